"""Fakes of earlier iterations, shown to a discriminator so that it does not forget them.

A. Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", CVPR 2017, as in
CycleGAN: with probability 1/2 an image is exchanged for one of the pool. The authors of SIFA meant the same; in
their code the pool has no effect (a view of the array is returned before it is overwritten).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class ImagePool:
    """At most `size` images [1, H, W]; 0: `exchange` gives back what it gets."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, fakes: Tensor, rng: np.random.Generator) -> Tensor:
        """Fakes [N, 1, H, W] of which about half are exchanged for older ones; no gradient."""
        result = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
                result.append(fake)
            elif self.size and rng.random() < 0.5:
                place = int(rng.integers(self.size))
                result.append(self.images[place])
                self.images[place] = fake.clone()
            else:
                result.append(fake)
        return torch.stack(result)

    def state_dict(self) -> dict[str, Tensor]:
        return {"images": torch.stack(self.images)} if self.images else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.images = list(state["images"].unbind()) if state else []
