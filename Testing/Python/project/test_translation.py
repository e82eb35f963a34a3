"""Every text that a person sees can be translated as Slicer does it, and nothing that a program reads is.

In .ui files all strings are translated, by the class of the form, but those that are marked; of Python files those within
`_()`, as Qt's lupdate finds literals alone.
"""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FORMS = sorted(ROOT.glob("SIFA*/Resources/UI/*.ui"))
PANELS = sorted(p for folder in ("SIFASegmentationLib", "SIFATrainingLib", "SegmentEditorSIFAHeartLib")
                for p in ROOT.glob(f"SIFA*/{folder}/*.py"))  # fmt: skip
MODULES = sorted(ROOT.glob("SIFA*/SIFA*.py"))
READ_BY_PROGRAMS = {"settingKey", "nodeTypes", "nameFilters", "SlicerParameterName"}
SEEN = {
    "text",
    "toolTip",
    "title",
    "windowTitle",
    "placeholderText",
    "helpText",
    "acknowledgementText",
    "suffix",
    "prefix",
}
SAYING = {
    "setText", "setToolTip", "setWindowTitle", "setTabText", "setTabToolTip", "addTab", "addItem", "addItems", "insertItem",
    "setHorizontalHeaderLabels", "showStatusMessage", "say", "_say", "show", "hint", "Progress", "QLabel", "QPushButton",
    "QCheckBox", "QRadioButton", "QGroupBox", "infoDisplay", "errorDisplay", "warningDisplay", "confirmOkCancelDisplay",
    "confirmed", "chosenFile", "showPicture", "tryWithErrorDisplay", "VolumeError", "RunError", "BatchError", "RequestError",
    "NodeGone", "DependencyError", "ModelError", "_button",
}  # fmt: skip
"""Functions and classes whose texts a person reads."""
NAMES = {"SIFA"}  # the same in every language
WORD = re.compile(r"[A-Za-z]{2}")


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_are_translated_but_for_what_programs_read(form):
    root = ElementTree.parse(form).getroot()
    assert root.findtext("class") == form.stem, "the context of its translations"
    for entry in root.iter("property"):
        text = entry.find("string") if entry.find("string") is not None else entry.find("stringlist")
        if text is not None and "".join(text.itertext()).strip():
            hidden = text.get("notr") == "true"
            assert hidden == (entry.get("name") in READ_BY_PROGRAMS), ElementTree.tostring(entry)


def said(node: ast.expr) -> Iterator[tuple[int, str]]:
    """Line and text of the literals that an expression may become, but for those within a call of another function."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else "" for v in node.values)
        yield node.lineno, "".join(map(str, parts))
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                yield from said(value.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
        yield from said(node.func.value)
    elif isinstance(node, (ast.BinOp, ast.IfExp, ast.BoolOp, ast.List, ast.Tuple)):
        parts = {
            ast.BinOp: lambda: (node.left, node.right),
            ast.IfExp: lambda: (node.body, node.orelse),
            ast.BoolOp: lambda: node.values,
        }.get(type(node), lambda: node.elts)()
        for part in parts:
            yield from said(part)


def shown(tree: ast.AST) -> Iterator[ast.expr]:
    """What is assigned to what a person sees, or given to what speaks to a person."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if getattr(node.func, "attr", getattr(node.func, "id", "")) in SAYING:
                yield from (*node.args, *(keyword.value for keyword in node.keywords))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=True))
                yield from (value for place, value in pairs if getattr(place, "attr", "") in SEEN)


def bare(tree: ast.AST) -> list[tuple[int, str]]:
    """Words for a person that no translation reaches."""
    found = [pair for value in shown(tree) for pair in said(value)]
    return [
        (line, text) for line, text in found if text not in NAMES and WORD.search(re.sub(r"<[^>]*>|&\w+;", "", text))
    ]


def test_no_visible_text_is_outside_of_a_wrapper():
    found = {path.name: bare(ast.parse(path.read_text(encoding="utf-8"))) for path in (*PANELS, *MODULES)}
    assert len(found) > 70 and not {name: texts for name, texts in found.items() if texts}


def test_the_test_sees_texts_that_were_forgotten():
    for text in (
        'label.text = "Ready"', 'button.toolTip = _("a") + "bad one"', 'self._say(f"{n} scans")', 'VolumeError("No heart")',
        'a.text, a.toolTip = _("x"), "Press it"', 'box.addItem("Fast" if x else "")', 'say(label, "{} left".format(n))',
    ):  # fmt: skip
        assert bare(ast.parse(text)), text
    assert not bare(ast.parse('label.text = f"<b>{_(\'x\')}</b> · {n:.1f}"\nlog.warning("Not seen")\nx = "y z"'))


def test_what_is_translated_is_a_literal_with_named_gaps():
    for path in (*PANELS, *MODULES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                (argument,) = node.args
                if isinstance(argument, ast.Constant):
                    assert "{}" not in argument.value, (path.name, node.lineno)
                else:  # a stage, whose words stand in Stages.py
                    assert ast.unparse(argument).endswith("stage"), (path.name, node.lineno)


def test_the_stages_of_the_library_are_known_to_translators():
    source = ast.parse((ROOT / "SIFASegmentation" / "SIFASegmentationLib" / "Stages.py").read_text(encoding="utf-8"))
    known = {node.args[0].value for node in ast.walk(source) if isinstance(node, ast.Call) and node.args
             and isinstance(node.args[0], ast.Constant)}  # fmt: skip
    rooms = ROOT / "SIFASegmentation" / "SIFALib" / "inference"
    for path in [rooms / f"{name}.py" for name in ("segmentation", "coarse", "localisation", "pasting", "batch/run")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            speaks = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "Progress", "progress", "run",
            )  # fmt: skip
            if speaks and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                assert node.args[0].value in known, (path.name, node.args[0].value)
