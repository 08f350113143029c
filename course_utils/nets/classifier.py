"""The digit classifier that the metrics use."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Convolution, normalisation, SiLU: (B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.SiLU())


class DigitClassifier(nn.Module):
    """The course's ruler: a small convolutional network for 28×28 digits; its features feed the metrics.

    `forward`: float32 (B, 1, 28, 28) in [0, 1] → logits (B, 10). `features`: the same → the last hidden layer
    (B, 128).
    """

    N_FEATURES = 128

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _block(1, 32, 1), _block(32, 32, 2), _block(32, 64, 1), _block(64, 64, 2), _block(64, 128, 1)
        )  # (B, 128, 7, 7)
        self.hidden = nn.Linear(128 * 4, self.N_FEATURES)
        self.out = nn.Linear(self.N_FEATURES, 10)

    def features(self, x: Tensor) -> Tensor:
        """(B, 1, 28, 28) in [0, 1] → (B, 128), after the last hidden layer's SiLU."""
        pooled = F.adaptive_avg_pool2d(self.body(x), 2).flatten(1)  # (B, 512)
        return F.silu(self.hidden(pooled))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))


def shift(x: Tensor, pixels: int) -> Tensor:
    """Shift each image of a batch (B, C, H, W) by up to `pixels` in both directions, filling with zeros."""
    if pixels == 0:
        return x
    size = x.shape[-1]
    padded = F.pad(x, (pixels,) * 4)
    top, left = torch.randint(0, 2 * pixels + 1, (2, len(x)), device=x.device)
    rows = top[:, None] + torch.arange(x.shape[-2], device=x.device)  # (B, H)
    columns = left[:, None] + torch.arange(size, device=x.device)  # (B, W)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # back to (B, C, H, W)
