"""The headless stage: Slicer's real scene, and Qt panels under PythonQt's rules, without the application.

stage.start()                                    once a process
stage.load_modules()                             as the application does at its start
widget = stage.open_module("SIFASegmentation")   as the user does
"""
