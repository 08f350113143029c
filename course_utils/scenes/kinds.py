"""The network that tells the kind of a cut-out thing, and the reader of pictures that it makes."""

import torch
from torch import Tensor, nn

from course_utils.scenes.grade import read_scenes
from course_utils.scenes.scene import KINDS, Scene


class Kinds(nn.Sequential):
    """Cut-out things (B, 1, 16, 16) in [0, 1] → logits of the 14 kinds (B, 14)."""

    def __init__(self, width: int = 16):
        super().__init__(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 64),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(64, len(KINDS)),
        )


class Reader:
    """Reads pictures (n, 3, 32, 32; uint8, or floats in [0, 1]) to scenes, or None: `Reader(net)(pictures)`.

    `net`: a trained `Kinds`, on any device; it is put into eval mode.
    """

    def __init__(self, net: nn.Module):
        self.net = net.eval()

    def __call__(self, pictures: Tensor) -> list[Scene | None]:
        return read_scenes(pictures, self.classify)

    @torch.no_grad()
    def classify(self, crops: Tensor) -> Tensor:
        """Return the numbers of the likeliest kinds, int64 (m,) on the CPU, of crops (m, 1, 16, 16)."""
        where = next(self.net.parameters()).device
        return torch.cat([self.net(part.to(where)).argmax(1).cpu() for part in crops.split(500)])
