"""A training as a folder: started, stopped, resumed, watched."""
