"""What an adaptation that begins with a good model adds to the papers: narrower translators, a head start, the source."""

from __future__ import annotations

import pytest
import tiny_method
import torch
from SIFALib import adaptation
from SIFALib.adaptation.method import Method
from SIFALib.support.errors import RecordError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_translators_may_be_narrower_than_the_segmenter():
    wide, narrow = (adaptation.start(Method(width=8, translation_width=width), 0, 10) for width in (0, 4))
    same = adaptation.start(Method(width=8, translation_width=8), 0, 10)
    for name in wide.networks():
        sizes = [sum(p.numel() for p in state.networks()[name].parameters()) for state in (wide, same, narrow)]
        assert sizes[0] == sizes[1]
        assert sizes[2] == sizes[0] if name == "segmenter" else sizes[2] < 0.5 * sizes[0], name


def test_the_segmenter_waits_for_its_translators_and_then_moves():
    state = tiny_method.start(segmenter_from=2, self_training_weight=1.0, source_weight=1.0)
    before = tiny_method.weights(state)
    for _ in range(2):
        found = adaptation.step(state, tiny_method.batch())
        assert "self_training" not in found and "segmentation_source" not in found
    waiting = tiny_method.weights(state)
    assert tiny_method.same(waiting["segmenter"], before["segmenter"])  # statistics of normalisation among them
    for name in ("generator", "decoder", "discriminator_target", "discriminator_source"):
        assert not tiny_method.same(waiting[name], before[name]), name
    found = adaptation.step(state, tiny_method.batch())
    assert found["self_training"] > 0 and found["segmentation_source"] > 0
    assert not tiny_method.same(tiny_method.weights(state)["segmenter"], before["segmenter"])


def test_source_images_as_they_are_add_their_own_gradients_and_nothing_else():
    """Without noise of its own: the encoder's gradients are the paper's plus the weight times the supervised ones."""
    given = tiny_method.batch()
    found = {}
    for weight in (0.0, 1.0, 2.0):
        state = tiny_method.start(**tiny_method.NO_CHANCE, source_weight=weight)
        outcome = adaptation.shared_schedule.outcome_of(state, given)
        found[weight] = [outcome.gradients[p] for p in state.segmenter.parameters()]
    for none, once, twice in zip(*found.values(), strict=True):
        assert torch.allclose(2 * (once - none), twice - none, rtol=1e-3, atol=1e-6)
    assert any((once - none).abs().max() > 1e-6 for none, once in zip(found[0.0], found[1.0], strict=True))


@pytest.mark.parametrize("setting", ["source_weight", "segmenter_from"])
def test_both_belong_to_the_shared_schedule_with_translation(setting):
    for where in ({"schedule": "faithful"}, {"objective": "source_only"}):
        with pytest.raises(RecordError, match=f"{setting}.*must be 0 unless images are translated"):
            Method(**where, **{setting: 1})
