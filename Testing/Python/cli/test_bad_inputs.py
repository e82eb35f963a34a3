"""Every bad input is answered by one sentence and its exit code; nothing is written, no traceback is shown.

The tables are the list of what was tried. Whoever adds a way to fail adds a line.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from SIFALib.cli.main import main
from SIFALib.support.errors import OutOfMemory

RNG = np.random.default_rng(0)
SHAPE = (20, 40, 40)


def image(array: np.ndarray, spacing: float = 4.0) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.SetSpacing([spacing] * 3)
    return result


def scan() -> np.ndarray:
    return RNG.normal(0, 300, SHAPE).astype(np.int16)


def nifti_with(path: Path, **fields: bytes) -> None:
    """An uncompressed NIfTI whose header bytes at the offsets `at40="..."` are replaced."""
    sitk.WriteImage(image(scan()), str(path))
    data = bytearray(path.read_bytes())
    for place, value in fields.items():
        offset = int(place[2:])
        data[offset : offset + len(value)] = value
    path.write_bytes(data)


def metaimage(path: Path, spacing: str = "1 1 1", size: str = "40 40 20") -> None:
    header = f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementSpacing = {spacing}\n"
    path.write_bytes(f"{header}ElementType = MET_SHORT\nElementDataFile = LOCAL\n".encode() + scan().tobytes())


def cut(path: Path, part: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])


def overwrite(path: Path) -> None:
    """Sixteen other bytes in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 16] = bytes(range(16))
    path.write_bytes(data)


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    """A folder with a sound scan, and one file for each way to be bad."""
    folder = tmp_path_factory.mktemp("bad")

    def write(name: str, array: np.ndarray, vector: bool = False) -> Path:
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector) if vector else image(array), str(folder / name))
        return folder / name

    write("sound.nii.gz", scan())
    cut(write("cut.nii.gz", scan()), 0.6)
    cut(write("cut.nii", scan()), 0.6)
    cut(write("cut header.nii", scan()), 0.005)
    cut(write("cut.nrrd", scan()), 0.6)
    cut(write("cut.mha", scan()), 0.6)
    for suffix in ("nii.gz", "mha", "nrrd"):
        sitk.WriteImage(image(scan()), str(folder / f"damaged.{suffix}"), True)
        overwrite(folder / f"damaged.{suffix}")
    (folder / "empty.nii.gz").touch()
    (folder / "text.nii.gz").write_text("Dear colleague,\nplease find the scan attached.\n" * 20)
    (folder / "text.nrrd").write_text("not an image")
    sitk.WriteImage(sitk.JoinSeries([image(scan())] * 3), str(folder / "4d.nii.gz"))
    write("rgb.nrrd", RNG.integers(0, 255, (*SHAPE, 3)).astype(np.uint8), vector=True)
    sitk.WriteImage(sitk.GetImageFromArray(scan()[0]), str(folder / "2d.nrrd"))
    hole = scan().astype(np.float32)
    hole[3, 4, 5:7] = np.nan, np.inf
    write("nan.nrrd", hole)
    write("nan.nii.gz", hole)
    write("nan.nii", hole.astype(np.float64))
    write("constant.nii.gz", np.full(SHAPE, 7, np.int16))
    write("tiny.nii.gz", scan()[:4, :5, :6])
    nifti_with(folder / "zero spacing.nii", at76=struct.pack("<4f", 1, 0, 4, 4))
    nifti_with(folder / "nan spacing.nii", at76=struct.pack("<4f", 1, 4, float("nan"), 4))
    nifti_with(folder / "negative size.nii", at40=struct.pack("<4h", 3, 40, 40, -5))
    nifti_with(folder / "huge.nii", at40=struct.pack("<4h", 3, 30000, 30000, 30000))
    for name, offset in (("negative", -1000.0), ("infinite", float("inf")), ("nan", float("nan"))):
        nifti_with(folder / f"{name} offset.nii", at108=struct.pack("<f", offset))
    for count in (0, 9):
        nifti_with(folder / f"{count} dimensions.nii", at40=struct.pack("<h", count))
    nifti_with(folder / "nan matrix.nii", at280=struct.pack("<f", float("nan")))
    nifti_with(folder / "nan origin.nii", at254=struct.pack("<h", 0), at268=struct.pack("<f", float("nan")))
    nifti_with(folder / "sheared.nii", at252=struct.pack("<h", 0), at280=struct.pack("<8f", 4, 2, 0, 0, 0, 4, 0, 0))
    metaimage(folder / "nan spacing.mha", spacing="nan 1 1")
    metaimage(folder / "singular.mha", spacing="1 1 1\nTransformMatrix = 1 0 0 1 0 0 0 0 1")
    header = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 40 40 20\nendian: little\n"
    header += "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (nan,0,0)\nencoding: raw\n\n"
    (folder / "nan origin.nrrd").write_bytes(header.encode() + scan().tobytes())
    (folder / "no voxels.mhd").write_text(
        "NDims = 3\nDimSize = 40 40 20\nElementType = MET_SHORT\nElementDataFile = gone.raw\n"
    )
    metaimage(folder / "zero size.mha", size="0 40 40")
    metaimage(folder / "far apart.mha", spacing="0.7 0.7 5000")
    metaimage(folder / "zero spacing.mha", spacing="0 1 1")
    metaimage(folder / "huge.mha", size="40000 40000 40000")
    (folder / "no files").mkdir()
    (folder / "no dicom").mkdir()
    (folder / "no dicom" / "notes.txt").write_text("patient 1")
    (folder / "one.dcm").write_bytes(b"x" * 200)
    (folder / "photo.jpg").write_bytes(b"x" * 200)
    (folder / "folder.nii.gz").mkdir()
    (folder / "link.nii.gz").symlink_to(folder / "sound.nii.gz")
    (folder / "elsewhere.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that finds the left ventricle everywhere."""
    return tiny_models.write_constant(tmp_path_factory.mktemp("model") / "all-lv", 3).folder


def run(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and complaint of `sifa ARGUMENTS`; a complaint is one line."""
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as exit_of_argparse:
        code = int(exit_of_argparse.code or 0)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and shown.out == ""
    return code, shown.err


@pytest.fixture
def refused(bad, model, capsys):
    """Assert that `sifa segment IN OUT --model MODEL OPTIONS` is refused with that code and sentence, and writes nothing.

    IN is a file's name in `bad`, OUT too unless it is a path.
    """

    def refuse(code: int, sentence: str, name: str, output: str | Path, *options: object) -> None:
        chosen = () if "--model" in options else ("--model", model)
        before = {p: p.lstat().st_mtime_ns for p in bad.rglob("*")}
        found, complaint = run(capsys, "segment", bad / name, bad / output, *chosen, *options)
        assert sentence in complaint
        assert found == code, complaint
        assert {p: p.lstat().st_mtime_ns for p in bad.rglob("*")} == before, "something was written"
        last = complaint.strip().splitlines()[-1]
        assert "error: " in last or (last.startswith("sifa: ") and last.endswith("."))  # argparse says the former

    return refuse


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.nii.gz", "missing.nii.gz does not exist; check the path."),
        ("empty.nii.gz", "empty.nii.gz is empty (0 bytes)"),
        ("cut.nii.gz", "cut.nii.gz is damaged or cut off: voxels are missing at its end. Copy it again."),
        ("cut.nii", "cut.nii is cut off: voxels are missing at its end. Copy it again."),
        ("cut header.nii", "cut header.nii is cut off within its header"),
        ("cut.nrrd", "cut.nrrd is cut off: voxels are missing at its end. Copy it again."),
        ("cut.mha", "cut.mha is cut off: voxels are missing at its end. Copy it again."),
        ("damaged.nii.gz", "damaged.nii.gz is damaged. Copy it again."),
        ("damaged.mha", "damaged.mha is damaged. Copy it again."),
        ("damaged.nrrd", "damaged.nrrd is damaged. Copy it again."),
        ("text.nii.gz", "text.nii.gz cannot be read as an image"),
        ("text.nrrd", "text.nrrd cannot be read as an image"),
        ("4d.nii.gz", "4d.nii.gz is a sequence of 3 volumes"),
        ("rgb.nrrd", "rgb.nrrd has 3 values a voxel (a colour or vector image); a grey image is needed."),
        ("2d.nrrd", "2d.nrrd has 2 dimensions; a volume with three is needed."),
        ("nan.nrrd", "/nan.nrrd holds 2 voxels that are not numbers (NaN or infinite); replace them first."),
        ("nan.nii.gz", "nan.nii.gz holds 2 voxels that are not numbers (NaN or infinite); replace them first."),
        ("nan.nii", "nan.nii holds 2 voxels that are not numbers (NaN or infinite); replace them first."),
        ("constant.nii.gz", "/constant.nii.gz is constant (every voxel is 7); there is nothing to see in it."),
        ("tiny.nii.gz", "/tiny.nii.gz is only (6, 5, 4) voxels large; a heart cannot be told in it."),
        ("zero spacing.nii", "zero spacing.nii has the voxel spacing 0, 4, 4 mm; it must be above 0."),
        ("nan spacing.nii", "nan spacing.nii has the voxel spacing 4, nan, 4 mm"),
        ("zero spacing.mha", "zero spacing.mha has the voxel spacing 0, 1, 1 mm; it must be above 0. Mend its header."),
        ("nan spacing.mha", "nan spacing.mha has 'nan 1 1' as 'elementspacing', which cannot be. Mend its header."),
        ("singular.mha", "singular.mha has axes that do not span space (direction 1, 1, 0, 0, 0, 0, 0, 0, 1)."),
        ("sheared.nii", "sheared.nii has axes that are not at right angles to each other"),
        ("nan matrix.nii", "nan matrix.nii has an origin or axes that are not numbers (NaN). Mend its header."),
        ("nan origin.nii", "nan origin.nii has an origin or axes that are not numbers (NaN). Mend its header."),
        ("nan origin.nrrd", "nan origin.nrrd has an origin or axes that are not numbers (NaN or infinite). Mend"),
        ("no voxels.mhd", "gone.raw, which does not exist; copy it there, too."),
        ("negative size.nii", "negative size.nii claims to hold (40, 40, -5) voxels, which cannot be"),
        ("negative offset.nii", "negative offset.nii claims that its voxels begin at byte -1000, which cannot be"),
        ("infinite offset.nii", "infinite offset.nii claims that its voxels begin at byte inf, which cannot be"),
        ("nan offset.nii", "nan offset.nii claims that its voxels begin at byte nan, which cannot be"),
        ("0 dimensions.nii", "0 dimensions.nii claims to have 0 dimensions, which cannot be"),
        ("9 dimensions.nii", "9 dimensions.nii claims to have 9 dimensions, which cannot be"),
        ("zero size.mha", "zero size.mha claims to hold (0, 40, 40) voxels, which cannot be"),
        ("far apart.mha", "/far apart.mha has the voxel spacing 0.7, 0.7, 5000 mm, which no scanner has"),
        ("huge.nii", "huge.nii claims to hold (30000, 30000, 30000) voxels, too many to be read"),
        ("huge.mha", "huge.mha claims to hold (40000, 40000, 40000) voxels, too many to be read"),
        ("no files", "no files holds no DICOM series"),
        ("no dicom", "no dicom holds no DICOM series"),
        ("one.dcm", "one.dcm is one DICOM file; give the folder that holds the whole series."),
        ("photo.jpg", "photo.jpg is of no known kind"),
    ],
)
def test_a_scan_that_cannot_be_used_is_refused_with_code_3(refused, name, sentence):
    refused(3, sentence, name, "out.seg.nrrd")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--roi", "1,2,3"], "--roi '1,2,3' is no box; write R0,R1,A0,A1,S0,S1"),
        (["--roi", "a,b,c,d,e,f"], "is no box"),
        (["--roi", "-10,-20,0,50,0,50"], "with each first number below the second"),
        (["--roi", "0,0,0/50,50"], "is no box"),
        (["--roi", "0,0,0/50,50,-50"], "is no box"),
        (["--roi", "nan,50,0,50,0,50"], "is no box"),
        (["--roi", "0,inf,0,50,0,50"], "is no box"),
        (["--roi", "900,1000,900,1000,900,1000"], "The region of interest lies outside of the volume"),
        (["--device", "gpu"], "There is no device 'gpu'; choose auto, cpu, cuda, cuda:0 or mps."),
        (["--device", "cuda:99"], "torch cannot compute on 'cuda:99'"),
        (["--precision", "float8"], "There is no precision 'float8'"),
        (["--structures", "LV,RV"], "There is no structure 'RV'; choose from MYO, LA, LV, AA."),
        (["--batch-size", "0"], "A batch of 0 slices cannot be; give 1 or more."),
        (["--batch-size", "many"], "invalid int value: 'many'"),
        (["--modality", "us"], "invalid choice: 'us'"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--probabilities", "p.png"], "--probabilities p.png must end in .nii.gz"),
        (["--picture", "p.jpg"], "--picture p.jpg must end in .png."),
    ],
)
def test_options_that_cannot_be_are_refused_with_code_2(refused, options, sentence):
    refused(2, sentence, "sound.nii.gz", "out.nii.gz", *options)


def test_no_command_at_all_and_one_that_does_not_exist_end_with_code_2(capsys):
    code, shown = run(capsys)
    assert code == 2 and "exit codes:" in shown
    assert run(capsys, "segmentate")[0] == 2


@pytest.mark.parametrize(
    ("code", "sentence", "output", "options"),
    [
        *((2, "has no ending that labels can be written to; use .seg.nrrd for a segmentation", name, ())
          for name in ("out", "out.png", "out.seg", "out.nii.gz.bak", "out.mhd")),
        *((2, "is the input, which is never written over", name, ())
          for name in ("sound.nii.gz", "no files/../sound.nii.gz", "link.nii.gz")),
        (2, "--probabilities", "out.seg.nrrd", ("--probabilities", "sound.nii.gz")),
        (2, "are the same file", "a.nii.gz", ("--probabilities", "a.nii.gz")),
        (2, "is a scan that is there already; choose another name.", "a.nii.gz", ("--report", "cut.nii")),
        (6, "does not exist; make it first.", "no/o.nii.gz", ()),
        (6, "does not exist; make it first.", "photo.jpg/o.nii.gz", ()),
        (6, "does not exist; make it first.", "o.nii.gz", ("--report", "no/report.json")),
        (6, "is a folder; give a file name in it.", "folder.nii.gz", ()),
        (6, "it is a link, which is never replaced; choose another name.", "elsewhere.nii.gz", ()),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    bad, refused, monkeypatch, code, sentence, output, options
):
    monkeypatch.chdir(bad)
    refused(code, sentence, "sound.nii.gz", output, *options)


def test_a_protected_output_folder_is_refused_before_the_work_with_code_6(bad, refused, monkeypatch):
    def protected(**_: object) -> None:  # as root, who runs these tests in containers, no folder is protected
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", protected)
    refused(6, f"The folder {bad} cannot be written to (Permission denied).", "sound.nii.gz", "out.nii.gz")


@pytest.mark.parametrize("name", ["out.seg.nrrd", "out.nii.gz"])
def test_a_full_disk_is_told_with_code_6_and_leaves_nothing(refused, monkeypatch, name):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(6, "the disk is full.", "sound.nii.gz", name, "--quiet")


def test_a_model_that_is_not_there_is_refused_with_code_4(bad, refused, tmp_path):
    store = ("--models-folder", tmp_path)
    missing = "There is no model 'heart-o-matic'. There are:"
    refused(4, missing, "sound.nii.gz", "out.nii.gz", *store, "--model", "heart-o-matic")
    refused(4, "there is no model.json in it", "sound.nii.gz", "out.nii.gz", *store, "--model", bad)


@pytest.mark.parametrize("damage", ["weights", "card", "unknown key", "no weights"])
def test_a_damaged_model_is_refused_with_code_4(model, refused, tmp_path, damage):
    folder = shutil.copytree(model, tmp_path / "damaged")
    card, weights = folder / "model.json", folder / "model.safetensors"
    if damage == "weights":
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        sentence = "does not belong to its model card"
    elif damage == "card":
        cut(card, 0.5)
        sentence = "is not valid JSON"
    elif damage == "unknown key":
        card.write_text(json.dumps(json.loads(card.read_text()) | {"script": "x"}))
        sentence = "script is no key that this SIFA knows"
    else:
        weights.unlink()
        sentence = "model.safetensors is missing"
    refused(4, sentence, "sound.nii.gz", "out.nii.gz", "--model", folder)


def test_a_scan_without_a_heart_is_told_with_code_5(refused, tmp_path):
    nothing = tiny_models.write_constant(tmp_path / "nothing", 0).folder
    refused(5, "No heart was found in sound.", "sound.nii.gz", "out.nii.gz", "--model", nothing, "--quiet")


def test_memory_that_runs_out_is_told_with_code_1(refused, monkeypatch):
    from SIFALib.networks import engine

    def too_small(self: engine.Engine, batch: np.ndarray) -> np.ndarray:
        raise OutOfMemory(len(batch), self.device)

    monkeypatch.setattr(engine.Engine, "probabilities", too_small)
    refused(1, "Memory ran out on the CPU even for one slice", "sound.nii.gz", "out.nii.gz", "--quiet")


def test_a_bug_is_told_as_one_and_shows_its_place_when_asked(bad, model, refused, monkeypatch):
    from SIFALib.inference import segmentation

    def bug(*_: object) -> None:
        raise KeyError("atrium")

    monkeypatch.setattr(segmentation, "segment", bug)
    said = "unexpected KeyError: 'atrium'. Run again with --debug and report it."
    refused(1, said, "sound.nii.gz", "out.nii.gz", "--quiet")
    with pytest.raises(KeyError):
        main(["segment", *map(str, (bad / "sound.nii.gz", bad / "out.nii.gz")), "--model", str(model), "--debug"])


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["out.txt"], 2, "out.txt must end in .nii.gz"),
        (["out.seg.nrrd"], 2, "out.seg.nrrd must end in .nii.gz"),
        (["out.nii.gz", "--labels", "labels.txt"], 2, "has no ending that labels can be written to"),
        (["out.nii.gz", "--labels", "out.nii.gz"], 2, "are the same file"),
        (["out.nii.gz", "--spacing", "0.01"], 2, "spacing"),
        (["out.nii.gz", "--spacing", "nan"], 2, "spacing"),
        (["out.nii.gz", "--seed", "-1"], 2, "seed"),
        (["out.nii.gz", "--modality", "pet"], 2, "invalid choice: 'pet'"),
        (["no/out.nii.gz"], 6, "does not exist; make it first."),
    ],
)
def test_a_phantom_that_cannot_be_is_refused(tmp_path, capsys, monkeypatch, options, code, sentence):
    monkeypatch.chdir(tmp_path)
    found, complaint = run(capsys, "phantom", *options)
    assert (found, sentence in complaint) == (code, True), complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["import", "nothing.zip"], 4, "nothing.zip does not exist; check the path."),
        (["import", "sound.nii.gz"], 4, "is neither a folder nor a zip file"),
        (["import", "no dicom"], 4, "contains 'notes.txt'"),
        (["show", "big"], 4, "There is no model 'big'."),
        (["delete", "big"], 4, "There is no model 'big'."),
        (["verify", "big"], 4, "There is no model 'big'."),
        (["export", "tiny", "out.tar"], 4, "out.tar does not end in .zip"),
        (["export", "tiny", "no/out.zip"], 6, "does not exist; make it first."),
        (["delete"], 2, "the following arguments are required"),
    ],
)
def test_a_models_command_that_cannot_be_is_refused(bad, tmp_path, capsys, monkeypatch, arguments, code, sentence):
    tiny_models.write(tmp_path / "tiny-1.0.0")
    monkeypatch.chdir(bad)
    place = ["--models-folder", tmp_path]
    found, complaint = run(capsys, "models", arguments[0], *place, *arguments[1:])
    assert (found, sentence in complaint) == (code, True), complaint
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-1.0.0"]


@pytest.mark.parametrize("name", ["mit Leerzeichen", "Étude-Ärzte", "心臓", "a'b\"c", "dots...in.the.name"])
def test_odd_but_sound_paths_work(bad, model, tmp_path, capsys, name):
    folder = tmp_path / name
    folder.mkdir()
    source = Path(shutil.copy(bad / "sound.nii.gz", folder / f"{name} ä.nii.gz"))
    target, report = folder / f"{name} é.seg.nrrd", folder / f"{name}.json"
    command = ["segment", source, target, "--model", model, "--quiet", "--report", report]
    assert run(capsys, *command) == (0, "")
    assert sitk.ReadImage(str(target)).GetSize() == SHAPE[::-1]
    assert json.loads(report.read_text(encoding="utf-8"))["input"]["path"] == str(source)
