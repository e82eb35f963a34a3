"""What the settings of a training mean, in a few words: for `sifa train --help` and for the panel's table. No torch here."""

from __future__ import annotations

from ..adaptation.method import OBJECTIVES, SCHEDULES

_NORMALISATIONS = "card (as inference does), or the authors' for z-scores: sifa_mr, sifa_ct, sifa_ct_old"
_PLACES = "a folder, a JSON list, one image, phantom, phantom:mr or phantom:ct"

HELP_TEXTS = {
    "data.source": f"labelled images: {_PLACES}",
    "data.target": f"images to adapt to, without labels: {_PLACES}",
    "start_model": "adapt this model: id or folder (default: random weights)",
    "name": "what the run is called (default: its folder's name)",
    "data.source_normalisation": f"grey values: {_NORMALISATIONS}",
    "data.target_normalisation": "the same for the target",
    "data.target_labels": "read labels of the target (for target_supervised alone)",
    "data.partial_labels": "a structure that a source scan does not label may be anywhere in it; otherwise it is background",
    "iterations": "how many in all (0: the epochs of the method)",
    "batch": "slices of each domain in one iteration, over all processes together",
    "accumulate": "compute a batch in so many parts, which saves memory",
    "data.size": "side of a training slice",
    "method.width": "channels of the first layer (16 in the papers)",
    "method.objective": ", ".join(OBJECTIVES),
    "method.schedule": " or ".join(SCHEDULES),
    "data.phantoms": "how many phantoms of each domain",
    "seed": "another seed, other random numbers",
    "device": "auto, cpu, cuda, cuda:0 or mps",
    "precision": "auto, float32 or bfloat16",
    "threads": "of the CPU (0: as many as there are)",
    "workers": "threads that prepare batches beside the training",
    "compile": "let torch.compile make the networks faster, which takes minutes first",
    "tensorboard": "write TensorBoard's files too, if it is installed",
    "save_every": "iterations between checkpoints",
    "judge_every": "iterations between scores (0: none, and no best model)",
    "preview_every": "iterations between pictures (0: none)",
    "keep_checkpoints": "how many of the newest stay",
    "cache": "for prepared slices; several runs may share it (default: RUN/cache)",
}
"""Dotted key of the configuration -> what it means."""
