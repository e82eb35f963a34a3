"""Scans, lists and released files for the tests of the data: a round toy heart, written as real files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SIFALib.datasets import Domains, prepared
from SIFALib.datasets.settings import DataSettings
from SIFALib.models.card import Preprocessing
from SIFALib.support.crc32c import masked_crc32c

SHAPE = (12, 40, 48)  # k, j, i
SPACING = (2.0, 2.0, 4.0)
PREPROCESSING = Preprocessing(
    spacing_mm=2.0, slice_spacing_mm=4.0, crop=48, locate_spacing_mm=4.0, locate_slice_spacing_mm=8.0
)


def toy(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Grey values int16 and labels uint8 0..4: four shells of an ellipsoid, noise around; no two seeds alike."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum((axis - rng.uniform(-0.1, 0.1)) ** 2 for axis in grid))
    labels = np.zeros(shape, np.uint8)
    for value, limit in ((1, 0.7), (2, 0.55), (3, 0.4), (4, 0.25)):
        labels[radius < limit] = value
    grey = np.array([-500, 100, 250, 300, 350])[labels] + rng.normal(0, 20, shape)
    return grey.astype(np.int16), labels


def write(
    path: Path, array: np.ndarray, spacing: tuple[float, ...] = SPACING, origin=(0.0, 0.0, 0.0)
) -> Path:
    """An image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def source(folder: Path, count: int = 3, first: int = 0) -> Path:
    """A folder with labelled scans s0, s1, ... and their label maps s0_label, ..."""
    for n in range(first, first + count):
        grey, labels = toy(n)
        write(folder / f"s{n}.nii.gz", grey)
        write(folder / f"s{n}_label.nii.gz", labels)
    return folder


def target(folder: Path, count: int = 2, first: int = 100) -> Path:
    """A folder with unlabelled scans t100, t101, ..."""
    for n in range(first, first + count):
        write(folder / f"t{n}.nrrd", toy(n)[0])
    return folder


def settings(folder: Path, **changed) -> DataSettings:
    """Settings for folder/source and folder/target, with slices of 32 pixels."""
    values = {
        "source": str(folder / "source"),
        "target": str(folder / "target"),
        "preprocessing": PREPROCESSING,
        "size": 32,
    }
    return DataSettings(**(values | changed))


def domains(folder: Path, **changed) -> Domains:
    """Slices of three source and two target scans."""
    source(folder / "source")
    target(folder / "target")
    return prepared(settings(folder, **changed), folder / "cache")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(features: dict[str, bytes | int]) -> bytes:
    """A serialised tf.train.Example."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = message(1, message(1, value))
        else:
            feature = message(3, message(1, varint(value)))
        entries += message(1, message(1, name.encode()) + message(2, feature))
    return message(1, entries)


def record(data: bytes) -> bytes:
    """One record of a TFRecord file."""
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked_crc32c(head)) + data + struct.pack("<I", masked_crc32c(data))


def slice_record(image: np.ndarray, labels: np.ndarray) -> bytes:
    """A record as the authors write it: three neighbouring slices [h, w, 3] of image and labels."""
    sizes = {f"{kind}size_dim{n}": image.shape[n] for kind in "dl" for n in range(3)}
    volumes = {"data_vol": image.astype("<f4").tobytes(), "label_vol": labels.astype("<f4").tobytes()}
    return record(example(sizes | volumes))


def released_slices(seed: int, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Three z-scored slices [side, side, 3] and their labels, 5 among them."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.3, 0.9, (side, side, 3)), rng.integers(0, 6, (side, side, 3))
