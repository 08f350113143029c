"""Backbones that several lessons share. A lesson draws and explains one before it imports it."""

from collections.abc import Callable

from torch import nn


def mlp(*sizes: int, activation: Callable[[], nn.Module] = nn.SiLU) -> nn.Sequential:
    """Return a multilayer perceptron (B, sizes[0]) → (B, sizes[-1]), with `activation` between its linear
    layers.

    Raises ValueError for fewer than two sizes.
    """
    if len(sizes) < 2:
        raise ValueError(f"An MLP needs at least an input and an output size, got {sizes}.")
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def count_parameters(module: nn.Module) -> int:
    """Return how many numbers of `module` training can change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
