"""The Segment Editor's effect "SIFA heart", in a folder of its own: Slicer makes a module of that name of the file in it."""
