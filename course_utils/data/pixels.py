"""Images as arrays and as uint8: strict for what is measured, lenient for what is only looked at."""

import numpy as np
import torch

from course_utils.data.split import as_tensor

SLACK = 0.05  # to_uint8 tolerates values this far outside [0, 1]


def to_uint8(x: torch.Tensor | np.ndarray) -> torch.Tensor:
    """Return images in [0, 1] as uint8 of the same shape and device: round(255 · x), clipped; uint8 passes as
    it is.

    Excess up to 0.05 is clipped (samplers overshoot a little). Raises ValueError, saying which scale it
    suspects, if values lie further outside, are not finite, or are integers of another type.
    """
    x = as_tensor(x)
    if x.dtype == torch.uint8:
        return x
    if not (x.is_floating_point() or x.dtype == torch.bool):
        raise ValueError(
            f"to_uint8 takes floats in [0, 1] or uint8, not {x.dtype}; for 0..255 use x.to(torch.uint8)."
        )
    x = x.detach().to(torch.float32)
    low, high = (v.item() for v in x.aminmax()) if x.numel() else (0.0, 1.0)
    if not (np.isfinite(low) and np.isfinite(high)):  # aminmax hands a NaN on
        raise ValueError("to_uint8: the values are not finite (NaN or infinity); look at what made them.")
    if low < -SLACK or high > 1 + SLACK:
        hint = "use x / 255" if low >= 0 and high > 2 else "values in [-1, 1]? use (x + 1) / 2"
        raise ValueError(
            f"to_uint8 needs values in [0, 1], these lie in [{low:.3g}, {high:.3g}]: {hint}, "
            "or .clamp(0, 1) if an overshoot is meant."
        )
    return (x * 255).round().clamp(0, 255).to(torch.uint8)


def to_numpy(x) -> np.ndarray:
    """Return a tensor (any device, with or without gradient), an array, or a list of numbers or of these as a
    NumPy array."""
    if isinstance(x, torch.Tensor):
        return x.detach().float().cpu().numpy() if x.is_floating_point() else x.detach().cpu().numpy()
    if isinstance(x, list | tuple) and any(isinstance(part, torch.Tensor) for part in x):
        return np.asarray([to_numpy(part) for part in x])
    return np.asarray(x)


def as_images(images) -> np.ndarray:
    """Return images as uint8 (N, H, W) or (N, H, W, 3).

    Takes (N, H, W), (N, 1, H, W) or (N, 3, H, W), uint8 or float in [0, 1] (values a little outside are
    clipped for display only). Raises ValueError for other shapes and for NaN.
    """
    x = to_numpy(images)
    if x.ndim == 4 and x.shape[1] in (1, 3):
        x = x[:, 0] if x.shape[1] == 1 else np.moveaxis(x, 1, -1)
    if x.ndim not in (3, 4) or len(x) == 0 or (x.ndim == 4 and x.shape[-1] != 3):
        raise ValueError(f"Images must be (N, H, W), (N, 1, H, W) or (N, 3, H, W) with N > 0, got {x.shape}.")
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():
            raise ValueError("Images hold NaN or infinite values.")
        x = np.clip(x, 0, 1)
    if x.dtype.kind in "fb":
        return to_uint8(x).numpy()
    return np.clip(x, 0, 255).astype(np.uint8)
