"""Help and packages: a report that says what happened and names nobody; check and repair in one place for both modules."""

from __future__ import annotations

from segmentation_panel import add_scan, panel
from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import getpass
import logging
from pathlib import Path

import pytest
import slicer
from SIFALib import __version__
from SIFALib.support.errors import VolumeError
from SIFASegmentationLib import ActionLog, BugReport, Failures, Scrub
from SIFASegmentationLib.Dependencies import Dependencies, DependencyError

assert panel is not None  # a fixture


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ("Reading /data/Mueller Hans/scan 1.nrrd", (), "Reading [path]"),
        (r"C:\Users\hans\x.nii.gz is empty", (), "[path]"),
        (r"\\server\share\Mueller Hans", (), "[path]"),
        ("wado https://pacs.clinic/studies/1", (), "wado [path]"),
        ("Mueller Hans.nii.gz is a sequence of 3 volumes", (), "[file] is a sequence of 3 volumes"),
        ("cases/Mueller is there", (), "[path]"),
        ("MUELLER^HANS has 2 values", ("mueller^hans",), "[name] has 2 values"),
        ("Cutting Patient 7, Patient 71", ("Patient 7",), "Cutting [name], Patient 71"),
        ("Cutting Meier_Anna_1 and Meier", ("Meier_Anna", "meier"), "Cutting [name]_1 and [name]"),
        ("WARNING target:Meier_Anna: no heart is found in it", (), "WARNING target:[name]: no heart is found in it"),
        ("source:a b, target:c: odd", (), "source:[name]: odd"),
        ("leave out target:Meier Anna", (), "leave out target:[name]"),
        ("mean 0.5, 3 of 7, 25 % (CPU)", (), "mean 0.5, 3 of 7, 25 % (CPU)"),
        ('  File "/home/hans/ext/SIFASegmentation/SIFALib/cli/main.py", line 3, in run', (),
         '  File "SIFASegmentation/SIFALib/cli/main.py", line 3, in run'),
        ('  File "/home/hans/own.py", line 3, in run', (), '  File "[path]/own.py", line 3, in run'),
        (f"asked by {getpass.getuser()}", (), "asked by [user]"),
    ],
)  # fmt: skip
def test_names_and_places_are_left_out(text, names, wanted):
    assert Scrub.without_names(text, names) == wanted


@pytest.fixture(autouse=True)
def as_in_slicer(caplog):
    """There the root logger takes everything from INFO on; a command line that ran before may have raised its level."""
    caplog.set_level(logging.INFO)


def test_the_report_says_what_happened_and_names_nobody(panel):
    scan = add_scan("Mueller Hans 1950")
    panel._parameterNode.inputVolume = scan
    ActionLog.LOG.begin("Apply")
    try:
        raise VolumeError(f"Mueller Hans 1950 in {Path.home()}/scans/Mueller Hans/1.nrrd is constant.")
    except VolumeError as error:
        Failures.sentence(error)
    try:
        raise KeyError("nobody foresaw it")
    except KeyError as error:
        Failures.sentence(error)
    logging.getLogger("SIFALib.inference").warning("The heart looks odd")
    logging.getLogger("other").warning("not ours")
    panel.helpPanel.copyButton.click()
    report = slicer.app.clipboard().text()
    for said in (
        "Module: SIFA Segmentation", f"SIFA: {__version__}", "Slicer: 5.13.0-2026-11-01 (35000)", "torch ", "cores",
        f"Model: {panel._models().key}", "Last action: Apply", "The heart looks odd", "nobody foresaw it",
        'File "[path]/test_slicer_help.py"', "[name] in [path]",
    ):  # fmt: skip
        assert said in report, report
    for secret in ("Mueller", "Hans", "1950", str(Path.home()) + "/", "not ours"):
        assert secret not in report, report
    assert "clipboard" in panel.helpPanel.statusLabel.text
    ActionLog.LOG.begin("Batch")
    panel.helpPanel.copyButton.click()
    assert "looks odd" not in slicer.app.clipboard().text()


def test_a_name_that_was_logged_is_left_out_after_its_scan_is_gone(panel):
    ActionLog.LOG.begin("Apply")
    add_scan("Meier_Anna")
    Failures.sentence(VolumeError("Meier_Anna is constant, says Anna."))
    slicer.mrmlScene.Clear(0)
    add_scan("Schulz_Bert")
    slicer.mrmlScene.Clear(0)
    logging.getLogger("SIFALib.inference").warning("Schulz is odd")
    logging.getLogger("SIFALib.datasets").warning("target:Weber-Cleo: no heart is found in Weber-Cleo_2")
    report = BugReport.text("Test", {"Last result": "Meier"}, ["Kurz_Dora"], ["Dora was last"])
    for secret in ("Meier", "Anna", "Schulz", "Weber", "Cleo", "Dora"):
        assert secret not in report, report
    assert "is constant, says [name]." in report and "target:[name]: no heart" in report
    ActionLog.LOG.begin("Batch")
    assert not ActionLog.LOG.names


def test_pytorch_is_tried_anew_and_what_is_wrong_is_said(panel, monkeypatch):
    dependencies = Dependencies()
    dependencies._tried = True
    monkeypatch.setattr(panel.logic, "dependencies", dependencies)
    outcomes = iter([None, DependencyError("PyTorch 1.0 is too old.")])

    def try_steps():
        assert not dependencies._tried
        yield from ()
        if (error := next(outcomes)) is not None:
            raise error

    monkeypatch.setattr(dependencies, "trySteps", try_steps)
    help_panel = panel.helpPanel
    for wanted in ("PyTorch works.", "PyTorch 1.0 is too old."):
        help_panel.tryButton.click()
        assert help_panel.tryButton.text == "Cancel" and not help_panel.repairButton.enabled
        stage.wait_until(lambda: not help_panel.runner.running)
        assert help_panel.statusLabel.text == wanted and help_panel.tryButton.text == "Try PyTorch"


def test_packages_are_installed_anew_once_the_person_agrees(panel, monkeypatch):
    asked = []
    monkeypatch.setattr(panel.logic, "dependencies", Dependencies())
    monkeypatch.setattr(slicer.packaging, "pip_install", lambda wanted, **more: asked.append(wanted))
    panel.helpPanel.repairButton.click()
    assert not asked, "in testing mode nothing is installed"
    with stage.person(False):
        panel.helpPanel.repairButton.click()
    assert not asked
    with stage.person(True):
        panel.helpPanel.repairButton.click()
    first, second = asked
    assert "--force-reinstall" in first and "--no-deps" in first and "scikit-image>=0.22" in first
    assert not [each for each in first + second if each.startswith(("numpy", "torch", "SimpleITK"))]
    assert "Restart Slicer" in panel.helpPanel.statusLabel.text
    monkeypatch.setattr(slicer.packaging, "pip_install", WORLD.packaging.pip_install)
    monkeypatch.setattr(WORLD.packaging, "fails", True)
    with stage.person(True):
        panel.helpPanel.repairButton.click()
    assert "pip ended with code 1" in panel.helpPanel.statusLabel.text


def test_both_modules_have_it_and_say_which_packages_are_there():
    for name in ("SIFASegmentation", "SIFATraining"):
        widget = stage.open_module(name)
        assert "safetensors " in widget.helpPanel.packagesLabel.text and widget.helpPanel.section.collapsed
        widget.helpPanel.copyButton.click()
        assert slicer.app.clipboard().text().startswith(f"Module: {name.replace('SIFA', 'SIFA ')}")
        stage.close_module(name)
