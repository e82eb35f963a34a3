"""The stage refuses what PythonQt and Slicer would refuse, so a panel that passes here runs there."""

from __future__ import annotations

from slicer_helpers import stage

# the lines above set the stage on which the others can be imported
# isort: split
import enum
import gc
import weakref

import ctk
import pytest
import qt
import slicer
from HeadlessSlicer.ui_loader import UiError
from slicer.parameterNodeWrapper import parameterNodeWrapper

UI = """<?xml version="1.0"?><ui version="4.0"><class>P</class><widget class="qMRMLWidget" name="P">
<layout class="QVBoxLayout" name="l"><item><widget class="{cls}" name="w">{body}</widget></item></layout>
</widget>
<customwidgets>{custom}</customwidgets><connections>{connections}</connections></ui>"""
CUSTOM = "<customwidget><class>{0}</class><extends>QWidget</extends><header>{0}.h</header></customwidget>"


def load(tmp_path, cls="QLabel", body="", custom=("qMRMLWidget",), connections=""):
    path = tmp_path / "P.ui"
    text = UI.format(cls=cls, body=body, custom="".join(map(CUSTOM.format, custom)), connections=connections)
    path.write_text(text, encoding="utf-8")
    return slicer.util.loadUI(str(path))


def connection(signal: str, slot: str, receiver: str = "w") -> str:
    return (
        f"<connection><sender>P</sender><signal>{signal}</signal>"
        f"<receiver>{receiver}</receiver><slot>{slot}</slot></connection>"
    )


def test_properties_are_attributes_and_cannot_be_called():
    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    with pytest.raises(TypeError):
        button.text()
    button.enabled = False
    assert not button.isEnabled()


def test_unknown_and_read_only_attributes_are_refused():
    button = qt.QPushButton()
    for name in ("tooltip", "Text", "x"):
        with pytest.raises(AttributeError):
            setattr(button, name, "value")


def test_signals_are_connected_by_their_exact_signature():
    button, heard = qt.QPushButton(), []
    button.connect("clicked(bool)", heard.append)
    button.connect("clicked()", lambda: heard.append("plain"))
    button.click()
    assert heard == [False, "plain"]
    for wrong in ("clicked(int)", "clicked", "pushed()"):
        with pytest.raises(ValueError, match="has no signal"):
            button.connect(wrong, heard.append)
    assert button.disconnect("clicked(bool)", heard.append)
    button.click()
    assert heard == [False, "plain", "plain"]


def test_node_selector_follows_the_scene_and_names_its_signal_as_in_cpp():
    selector, heard = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLTextNode"]
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    with pytest.raises(ValueError, match="has no signal"):
        selector.connect("currentNodeChanged(PyObject)", heard.append)
    selector.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    assert selector.currentNode() is node and heard == [node]
    slicer.mrmlScene.RemoveNode(node)
    assert selector.currentNode() is None and heard == [node, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cls": "qMRMLMagicButton"}, "no widget class"),
        ({"cls": "ctkCollapsibleButton"}, "missing from <customwidgets>"),
        ({"body": '<property name="colour"><string>red</string></property>'}, "has no property 'colour'"),
        ({"connections": connection("mrmlSceneChanged(vtkMRMLScene*)", "hide()")}, "does not fit"),
        ({"connections": connection("mrmlSceneChanged(vtkMRMLScene*)", "vanish(vtkMRMLScene*)")}, "no slot"),
        ({"connections": connection("a()", "hide()", "nobody")}, "'nobody', which does not exist"),
    ],
)
def test_ui_files_are_read_strictly(tmp_path, given, message):
    with pytest.raises(UiError, match=message):
        load(tmp_path, **given)


def test_ui_signal_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no signal"):
        load(tmp_path, connections=connection("sceneChanged()", "hide()"))


def test_correct_ui_is_loaded_with_all_its_widgets(tmp_path):
    body = '<property name="text"><string>Hello</string></property>'
    widget = load(tmp_path, body=body)
    assert slicer.util.childWidgetVariables(widget).w.text == "Hello"


class Speed(enum.Enum):
    SLOW = 1
    FAST = 2

    def label(self) -> str:
        return self.name.title()


def wrapper(**annotations):
    defaults = annotations.pop("defaults", {})
    cls = type("Wrapped", (), {"__annotations__": annotations, "__module__": __name__, **defaults})
    return parameterNodeWrapper(cls)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


def test_parameters_are_typed_and_kept_in_the_node():
    node = wrapper(name=str, speed=Speed, on=bool, defaults={"name": "x", "speed": Speed.FAST})
    assert (node.name, node.speed, node.on) == ("x", Speed.FAST, False)
    node.speed = Speed.SLOW
    assert node.parameterNode.GetParameter("speed") == "SLOW"
    for name, value in (("name", 3), ("on", "yes"), ("speed", 1)):
        with pytest.raises(TypeError):
            setattr(node, name, value)
    with pytest.raises(AttributeError):
        node.other = 1
    with pytest.raises(TypeError, match="Unable to create serializer"):
        wrapper(both=complex)


def test_parameters_bind_to_the_documented_widgets_only():
    node = wrapper(speed=Speed, name=str)
    combo = qt.QComboBox()
    combo.setProperty("SlicerParameterName", "speed")
    ui = type("Ui", (), {})()
    ui.combo = combo
    tag = node.connectParametersToGui({"speed": combo})
    assert [combo.itemText(n) for n in range(combo.count)] == ["Slow", "Fast"]
    combo.currentIndex = 1
    assert node.speed is Speed.FAST
    node.speed = Speed.SLOW
    assert combo.currentIndex == 0
    node.disconnectGui(tag)
    combo.currentIndex = 1
    assert node.speed is Speed.SLOW
    assert node.connectGui(ui) is None, "not every version of Slicer tells what disconnectGui wants to know"
    ui.combo.setProperty("SlicerParameterName", "name")
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        node.connectGui(ui)


def test_collapsible_button_hides_what_is_in_it():
    button = ctk.ctkCollapsibleButton()
    inside = qt.QLabel("inside", button)
    button.show()
    button.collapsed = True
    assert inside.isHidden()
    button.collapsed = False
    assert not inside.isHidden()


def test_the_stage_lets_go_of_a_closed_panel_and_the_panel_of_each_scenes_parameters():
    """Else whatever a scene's end costs grows from test to test, and in Slicer from scene to scene."""
    panel = stage.open_module("SIFASegmentation")
    selector, wrappers = panel.ui.inputSelector, []
    for _ in range(2):
        wrappers.append(weakref.ref(panel._parameterNode))
        stage.clear_scene()
    gc.collect()
    assert [each() for each in wrappers] == [None, None]
    stage.close_module("SIFASegmentation")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert selector.mrmlScene() is None and selector.nodeCount() == 0
    stage.clear_scene()


def test_stage_is_set_once():
    assert stage.start() is stage.start()
