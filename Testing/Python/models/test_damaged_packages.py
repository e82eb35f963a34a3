"""Promises about damaged model packages: whatever was damaged where, the answer is a sentence, and nothing is left."""

from __future__ import annotations

import contextlib

import tiny_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from SIFALib.models import archive as model_archive
from SIFALib.models import weights
from SIFALib.models.architectures import tensor_shapes
from SIFALib.models.store import ModelStore
from SIFALib.support.errors import ModelError


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), in_header=st.booleans())
def test_no_changed_byte_makes_the_weights_reader_fail_otherwise_than_by_a_sentence(position, value, in_header):
    architecture = tiny_models.ARCHITECTURE
    data = bytearray(_sound_weights())
    end = 8 + int.from_bytes(data[:8], "little") if in_header else len(data)
    data[int(position * end)] = value
    try:
        tensors = weights.decode(bytes(data), architecture, "weights")
    except ModelError:
        return
    assert {n: t.shape for n, t in tensors.items()} == tensor_shapes(architecture)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), value=st.binary(min_size=1, max_size=4), tail=st.booleans())
def test_no_damage_to_a_zip_makes_the_import_fail_otherwise_than_by_a_sentence(tmp_path, position, value, tail):
    sound = tmp_path / "sound"
    if not sound.exists():
        tiny_models.write(sound)
        model_archive.write_zip(sound, tmp_path / "sound.zip", "tiny")
    data = bytearray((tmp_path / "sound.zip").read_bytes())
    place = len(data) - 1 - int(position * 400) if tail else int(position * len(data))
    data[place : place + len(value)] = value
    (tmp_path / "damaged.zip").write_bytes(data)
    store = ModelStore(tmp_path / "bundled", tmp_path / "user")
    with contextlib.suppress(ModelError):
        store.delete(store.import_package(tmp_path / "damaged.zip"))
    assert list(store.user.iterdir()) == []


def _sound_weights() -> bytes:
    return weights.encode(tiny_models.state(), tiny_models.ARCHITECTURE)
