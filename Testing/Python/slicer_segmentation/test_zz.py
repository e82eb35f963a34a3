from test_slicer_segment_editor import *

def test_changed(tool, editor):
    segmentation, volume = editor.segmentation, editor.volume
    other = add_volume(np.zeros((20,20,20), np.int16), ijk_to_ras(), "Other")
    tool.applyButton.click()
    editor.setSourceVolumeNode(other)
    stage.wait_until(lambda: not tool.runner.running)
    print("STATUS", tool.statusLabel.text, ids(segmentation))
    # replaced voxel data while running
    other2 = add_volume(np.zeros((48,56,64), np.int16), ijk_to_ras(), "V2")
    seg2 = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "M2")
    seg2.CreateDefaultDisplayNodes()
    editor.setSegmentationNode(seg2); editor.setSourceVolumeNode(other2)
    tool.applyButton.click()
    slicer.util.updateVolumeFromArray(other2, np.zeros((30,40,50), np.int16))
    stage.wait_until(lambda: not tool.runner.running)
    print("STATUS2", tool.statusLabel.text, ids(seg2))
