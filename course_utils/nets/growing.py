"""A critic that grows with its generator (lesson 13): the generator's stages backwards, one size at a time.

Source: T. Karras, T. Aila, S. Laine, J. Lehtinen, Progressive growing of GANs, 2018 (there with two convolutions a
stage and equalised rates).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def with_spread(h: Tensor) -> Tensor:
    """One more map: how much the features (B, c, s, s) differ within the batch → (B, c + 1, s, s); 0 for B = 1."""
    spread = h.var(0, correction=min(1, len(h) - 1))
    std = (spread + 1e-8).sqrt().mean().expand(len(h), 1, *h.shape[2:])
    return torch.cat([h, std], 1)


def _looked(layer: nn.Conv2d) -> nn.Sequential:
    """A layer with its leaky ReLU, and no normalisation, which would tie the images of a batch together."""
    return nn.Sequential(layer, nn.LeakyReLU(0.2))


class GrowingCritic(nn.Module):
    """Images (B, c, s, s) in [0, 1] → logits (B,), where s = first · 2^stage; sees how a batch varies.

    `widths`: channels of each stage, from the smallest; `first`: the smallest side; `c`: colours. Set `stage`
    (0 … len(widths) − 1) and `alpha` in [0, 1], how far the last stage has faded in: at 0 the logits are those
    that the smaller network gives the images at half the size.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 48, 24), first: int = 7, c: int = 1):
        super().__init__()
        w = widths[0]
        self.read = nn.ModuleList(_looked(nn.Conv2d(c, w, 3, 1, 1)) for w in widths)
        self.sink = nn.ModuleList(_looked(nn.Conv2d(b, a, 4, 2, 1)) for a, b in pairwise(widths))
        self.last = _looked(nn.Conv2d(w, w, 3, 1, 1))
        self.out = nn.Linear((w + 1) * first**2, 1)
        self.stage = len(widths) - 1
        self.alpha = 1.0

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x - 1
        h = self.read[self.stage](x)
        for k in reversed(range(self.stage)):
            h = self.sink[k](h)
            if k == self.stage - 1 and self.alpha < 1:
                h = torch.lerp(self.read[k](F.avg_pool2d(x, 2)), h, self.alpha)
        return self.out(with_spread(self.last(h)).flatten(1)).squeeze(1)
