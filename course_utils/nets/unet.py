"""The U-Net of the diffusion lessons: image and time in, image out. Lesson 06 draws it before it imports it.

    net = UNet()                      # unconditional, 28 × 28 × 1
    v = net(xt, t)                    # (B, 1, 28, 28), (B,) → (B, 1, 28, 28)
    net = UNet(labels=10)             # class-conditional; y = None or y = 10 means "no label"
    v = net(xt, t, y)                 # y: int64 (B,) in 0 … 10

Built for a CPU: the image is folded 2 × 2 into channels first (pixel unshuffle, nothing is lost), so that no
convolution runs at full resolution; attention runs on 7 × 7 places only. After Ronneberger et al. (2015), Ho
et al. (2020), Dhariwal and Nichol (2021: scale and shift by time), Shi et al. (2016: pixel shuffle).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def time_features(t: Tensor, size: int, longest: float = 1000.0) -> Tensor:
    """Return sines and cosines of the time at `size` / 2 frequencies: t (B,) → (B, size), float32.

    The periods run geometrically from 2π to 2π · `longest` steps: the fast ones tell t from t + 1, the slow
    ones the beginning from the end. `size` must be even. Source: Vaswani et al. (2017), section 3.5.
    """
    if size % 2:
        raise ValueError(f"size must be even, half sines and half cosines; got {size}.")
    speed = torch.exp(
        -math.log(longest) * torch.linspace(0, 1, size // 2, dtype=torch.float32, device=t.device)
    )
    angle = t.float()[:, None] * speed  # (B, size / 2)
    return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    """Two convolutions inside a residual connection; time scales and shifts what lies between them.

    (B, inputs, H, W) and an embedding (B, E) → (B, outputs, H, W). The last convolution starts at zero, so
    that the block begins as its shortcut.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, groups: int = 8):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, 1)  # (B, outputs, 1, 1) each
        h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        return self.shortcut(x) + self.conv2(F.silu(h))


class Attention(nn.Module):
    """Self-attention over the H · W places of a feature map, with a residual connection: (B, C, H, W) → the
    same.

    It is what lets the loop of a 9 know where its tail is. The output projection starts at zero.
    """

    def __init__(self, channels: int, heads: int = 4, groups: int = 8):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(B, H * W, C)  # one token a place
        q, k, v = self.qkv(tokens).view(B, H * W, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)  # (B, heads, H·W, C / heads)
        mixed = self.out(mixed.transpose(1, 2).reshape(B, H * W, C))
        return x + mixed.view(B, H, W, C).permute(0, 3, 1, 2)


class UNet(nn.Module):
    """Image (B, channels, H, W) and time (B,) → image of the same shape, at two resolutions, H/2 and H/4.

    `channels`: of the image. `width`: channels at H/2; twice as many at H/4. `labels`: number of classes, 0
    for an unconditional network; there is one label more, `labels` itself, that means "not told". H and W are
    multiples of 4. The time is a number of steps, 1 … T (fractions are allowed). Label embeddings start at
    zero: a conditional
    network that takes over unconditional weights begins as the unconditional one, whatever the label.
    Raises ValueError for labels given to an unconditional network and for a size that cannot be folded.
    """

    def __init__(self, channels: int = 1, width: int = 48, labels: int = 0, embedding: int = 192):
        super().__init__()
        self.labels, self.features = labels, 64
        half, quarter = width, 2 * width
        self.embed_time = nn.Sequential(
            nn.Linear(self.features, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.embed_label = nn.Embedding(labels + 1, embedding) if labels else None
        if labels:
            nn.init.zeros_(self.embed_label.weight)
        self.fold, self.unfold = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
        self.enter = nn.Conv2d(4 * channels, half, 3, padding=1)
        self.down_half = self._blocks([half, half, half], embedding)
        self.shrink = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.down_quarter = self._blocks([quarter, quarter], embedding)
        self.middle_in, self.middle_out = self._blocks([quarter, quarter, quarter], embedding)
        self.attention = Attention(quarter)
        self.up_quarter = self._blocks([2 * quarter, quarter], embedding)
        self.grow = nn.Sequential(nn.Conv2d(quarter, 4 * half, 1), nn.PixelShuffle(2))
        self.up_half = self._blocks([2 * half, half, half], embedding)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, half), nn.SiLU(), nn.Conv2d(half, 4 * channels, 3, padding=1)
        )
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    @staticmethod
    def _blocks(sizes: list[int], embedding: int) -> nn.ModuleList:
        """A chain of blocks sizes[0] → sizes[1] → …"""
        return nn.ModuleList([Block(a, b, embedding) for a, b in zip(sizes, sizes[1:])])

    def embed(self, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Return what the blocks are told: time (B,) and label (B,) or None → (B, embedding)."""
        weights = self.embed_time[0].weight
        told = self.embed_time(time_features(t, self.features).to(weights.dtype))
        if self.embed_label is None:
            if y is not None:
                raise ValueError("this network is unconditional: it takes no labels; build UNet(labels=10).")
            return F.silu(told)
        nobody = torch.full(t.shape, self.labels, device=t.device) if y is None else y
        return F.silu(told + self.embed_label(nobody))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if x.shape[-1] % 4 or x.shape[-2] % 4:
            raise ValueError(
                f"the sides of an image are halved twice: multiples of 4, not {tuple(x.shape[-2:])}."
            )
        told = self.embed(t, y)
        h = self.enter(self.fold(x))  # (B, width, H/2, W/2)
        for block in self.down_half:
            h = block(h, told)
        skip_half, h = h, self.shrink(h)  # (B, 2 width, H/4, W/4)
        for block in self.down_quarter:
            h = block(h, told)
        skip_quarter = h
        h = self.middle_out(self.attention(self.middle_in(h, told)), told)
        h = torch.cat([h, skip_quarter], 1)  # (B, 4 width, H/4, W/4)
        for block in self.up_quarter:
            h = block(h, told)
        h = torch.cat([self.grow(h), skip_half], 1)  # (B, 2 width, H/2, W/2)
        for block in self.up_half:
            h = block(h, told)
        return self.unfold(self.leave(h))  # (B, channels, H, W)
