"""Run the self-tests of both modules inside the real application, and end it with 0 if they passed."""

import traceback

import slicer

status = 0
for name in ("SIFASegmentation", "SIFATraining"):
    try:
        slicer.util.getModule(name)
        test = getattr(__import__(name), f"{name}Test")()
        test.runTest()
    except Exception:
        traceback.print_exc()
        status = 1
slicer.util.exit(status)
