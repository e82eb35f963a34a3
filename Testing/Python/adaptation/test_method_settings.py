"""Promises of the method's settings: the papers' values, their schedules, and refusal of what cannot be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from SIFALib.adaptation.method import PRESETS, Method
from SIFALib.support.limits import Choice, limits
from SIFALib.support.schema import decode

LIBRARY = Path(__file__).resolve().parents[3] / "SIFASegmentation"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def test_the_presets_are_what_the_authors_code_runs_with():
    tmi, aaai = PRESETS["tmi2020"], PRESETS["aaai2019"]
    for preset in (tmi, aaai):
        assert (preset.width, preset.classes, preset.objective, preset.schedule) == (16, 5, "full", "faithful")
        assert preset.authors_quirks
        assert preset.cycle_weight == 10.0
        assert preset.adversarial_rate == 2e-4 and not preset.adversarial_decay
        assert preset.decoder_keep_rate == 0.75
        assert (preset.translation_weight, preset.prediction_weight, preset.auxiliary_weight) == (0.1, 0.1, 0.1)
        assert preset.weight_decay == 1e-4 and preset.clip == 0.0
    assert (tmi.variant, tmi.keep_rate, tmi.segmentation_rate) == ("tmi2020", 1.0, 2e-4)
    assert tmi.deep_supervision and not aaai.deep_supervision
    assert (tmi.lower_weight, tmi.lower_prediction_weight) == (0.1, 0.01)
    assert (aaai.variant, aaai.keep_rate, aaai.segmentation_rate, aaai.epochs) == ("aaai2019", 0.75, 1e-3, 20)


def test_in_the_first_paper_the_rate_falls_by_a_tenth_every_second_epoch_and_alignment_sets_in_slowly():
    method = PRESETS["aaai2019"]
    rates = [method.segmentation_rate_at(epoch * 100, 2000) for epoch in range(20)]
    assert rates == pytest.approx([1e-3 * 0.9 ** (epoch // 2) for epoch in range(20)])
    weights = [method.prediction_weight_at(epoch * 100 + 99, 2000) for epoch in range(20)]
    assert weights == pytest.approx([0.0] * 5 + [0.1 / 3, 0.2 / 3] + [0.1] * 13)
    assert {method.adversarial_rate_at(n, 2000) for n in range(0, 2000, 100)} == {2e-4}


def test_in_the_second_paper_nothing_changes_with_time():
    method = PRESETS["tmi2020"]
    for iteration in (0, 1, 10_000, 19_999):
        assert method.segmentation_rate_at(iteration, 20_000) == 2e-4
        assert method.adversarial_rate_at(iteration, 20_000) == 2e-4
        assert method.prediction_weight_at(iteration, 20_000) == 0.1


def test_the_adversarial_rate_can_fall_linearly_over_the_second_half():
    method = Method(adversarial_decay=True, epochs=10, adversarial_rate=1e-3)
    rates = [method.adversarial_rate_at(epoch * 10, 100) for epoch in range(10)]
    assert rates == pytest.approx([1e-3 * factor for factor in (1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2)])


def test_an_iteration_beyond_the_last_belongs_to_the_last_epoch():
    assert Method(epochs=20).epoch(5000, 2000) == 19
    assert Method(epochs=20).epoch(0, 0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"variant": "miccai2021"},
        {"width": 3},
        {"width": 0},
        {"classes": 1},
        {"objective": "magic"},
        {"schedule": "lazy"},
        {"keep_rate": 0.0},
        {"decoder_keep_rate": 1.5},
        {"segmentation_rate": 0.0},
        {"adversarial_rate": 1.0},
        {"cycle_weight": -1.0},
        {"epochs": 0},
        {"prediction_from_epoch": 2},
        {"image_pool": -1},
        {"average_decay": 1.0},
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Method(**wrong)


def test_a_method_written_by_an_earlier_version_is_read_with_its_history_as_the_image_pool():
    saved = json.loads((FIXTURES / "old_files" / "method-0.3.json").read_text(encoding="utf-8"))
    assert decode(Method, saved) == Method(width=4, image_pool=7, keep_rate=0.9)


def test_every_limit_is_the_rule_that_its_message_says():
    """Neighbours of both ends: the last value that may be, and the first that may not."""
    for name, limit in limits(Method).items():
        if isinstance(limit, Choice):
            with pytest.raises(ValueError, match=f"must be {limit.rule}"):
                Method(**{name: "none of these"})
            continue
        step = 2 if limit.even else 1 if isinstance(getattr(Method(), name), int) else 1e-9
        for end, outwards, excluded in ((limit.low, -step, limit.open_low), (limit.high, step, limit.open_high)):
            Method(**{name: end - outwards if excluded else end})
            with pytest.raises(ValueError, match=f"{name} is .*; it must be {re.escape(limit.rule)}"):
                Method(**{name: end if excluded else end + outwards})


def test_every_preset_can_be_written_as_plain_values_and_read_again():
    for preset in PRESETS.values():
        assert Method(**asdict(preset)) == preset


def test_the_settings_are_read_without_torch():
    code = "import sys, SIFALib.adaptation.method; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=LIBRARY, check=False).returncode == 0
