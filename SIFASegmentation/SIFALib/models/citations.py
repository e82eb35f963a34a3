"""How the two papers are cited."""

from __future__ import annotations

CITATIONS = {
    "aaai2019": "Chen, Dou, Chen, Qin, Heng: Synergistic Image and Feature Adaptation, AAAI 2019",
    "tmi2020": "Chen, Dou, Chen, Qin, Heng: Unsupervised Bidirectional Cross-Modality Adaptation via Deeply "
    "Synergistic Image and Feature Alignment for Medical Image Segmentation, IEEE TMI 39(7), 2020",
    "unet": "Ronneberger, Fischer, Brox: U-Net, MICCAI 2015; Chen, Dou, Chen, Qin, Heng: SIFA, IEEE TMI 2020",
}
"""By the variant of the network."""
