"""What a training call returns, and the buffer between two log points."""

from collections import defaultdict

import numpy as np
import torch
from torch import nn

from course_utils.data.pixels import to_numpy, to_uint8


class History:
    """The record of a training call: `history["loss"]` is a list of floats, one a log point.

    A value is the mean of its quantity over the steps since the log point before. `steps`: the steps done at
    each log point (list of int). `seconds`: wall-clock time, previews included. `stopped`: None, or a
    sentence that says why training ended early. `ema`: the averaged copy of the model, or None. `frames`,
    `frame_steps`: what a preview returned as images, a list of uint8 arrays (N, H, W), and after which steps.
    `total`: the steps asked for.
    """

    def __init__(self, name: str | None = None, seed: int = 0, total: int = 0):
        self.name = name
        self.seed = seed
        self.total = total
        self.steps: list[int] = []
        self.seconds = 0.0
        self.stopped: str | None = None
        self.ema: nn.Module | None = None
        self.frames: list[np.ndarray] = []
        self.frame_steps: list[int] = []
        self._values: dict[str, list[float]] = {}

    def keys(self) -> list[str]:
        """Return the names of the logged quantities."""
        return list(self._values)

    def __getitem__(self, key: str) -> list[float]:
        if key not in self._values:
            raise KeyError(
                f"nothing was logged as {key!r}; there is: {', '.join(self._values) or 'nothing yet'}"
            )
        return self._values[key]

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        parts = [f"{self.steps[-1] if self.steps else 0:,} steps", f"{self.seconds:.1f} s"]
        parts += [f"{key} {values[-1]:.4g}" for key, values in self._values.items()]
        return f"History({', '.join(parts)})"

    def add(self, step: int, values: dict[str, float]) -> None:
        """Append a log point; a quantity that is missing at it counts as NaN there."""
        for key in values:
            self._values.setdefault(key, [float("nan")] * len(self.steps))
        self.steps.append(step)
        for key, column in self._values.items():
            column.append(values.get(key, float("nan")))

    def add_frame(self, step: int, images) -> None:
        """Keep preview images (N, H, W) or (N, 1, H, W), uint8 or float in [0, 1], as a uint8 frame (N, H,
        W).

        Colour images (N, 3, H, W) stay in that shape. Raises ValueError for other shapes.
        """
        frame = to_numpy(images)
        frame = frame[:, 0] if frame.ndim == 4 and frame.shape[1] == 1 else frame
        colour = frame.ndim == 4 and frame.shape[1] == 3
        if not (frame.ndim == 3 or colour) or frame.dtype.kind not in "uf":
            raise ValueError(
                "preview must return a figure, or images (N, H, W) or (N, 1, H, W), uint8 or float in "
                f"[0, 1]; it returned {tuple(np.shape(images))} of {frame.dtype}."
            )
        if frame.dtype != np.uint8:
            frame = to_uint8(np.nan_to_num(frame).clip(0, 1)).numpy()  # a poor image must not end a training
        self.frames.append(frame)
        self.frame_steps.append(step)

    def state_dict(self, until: int) -> dict:
        """Return the record up to step `until` in plain lists and tensors."""
        n = sum(step <= until for step in self.steps)
        m = sum(step <= until for step in self.frame_steps)
        return {
            "steps": self.steps[:n],
            "values": {key: column[:n] for key, column in self._values.items()},
            "seconds": self.seconds,
            "frames": [torch.from_numpy(frame) for frame in self.frames[:m]],
            "frame_steps": self.frame_steps[:m],
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.steps = state["steps"]
        self.seconds = state["seconds"]
        self.frames = [frame.numpy() for frame in state["frames"]]
        self.frame_steps = state["frame_steps"]
        self._values = state["values"]


class Pending:
    """The values of the steps since the last log point. On a device that works ahead they stay unread until
    `means`.

    On the CPU, where reading costs nothing, they become numbers at once: hundreds of small tensors that live
    on would scatter the heap, and push the large ones of each step out of the caches.
    """

    def __init__(self):
        self.count = 0
        self._values = defaultdict(list)
        self._checked: set[str] = set()

    def add(self, values: dict) -> None:
        """Take what one step returned: a dict of scalars (tensors with one element, or numbers)."""
        if not isinstance(values, dict):
            raise TypeError(
                f"A step must return a dict of scalars, as {{'loss': loss}}, not {type(values).__name__}."
            )
        for key, value in values.items():
            if key not in self._checked:
                self._check(key, value)
            if isinstance(value, torch.Tensor):
                value = value.item() if value.device.type == "cpu" else value.detach()
            self._values[key].append(value)
        self.count += 1

    def _check(self, key: str, value) -> None:
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise ValueError(
                f"{key!r} has shape {tuple(value.shape)}; log scalars: take its mean over the batch."
            )
        if not isinstance(value, torch.Tensor | int | float | np.number):
            raise TypeError(f"{key!r} is a {type(value).__name__}; log tensors with one element, or numbers.")
        self._checked.add(key)

    def means(self, device: torch.device) -> tuple[list[str], torch.Tensor]:
        """Return the names and, on the device, the means (n,) float32 since the last call; then start anew.

        Nothing is read by the host: the caller does that once. The mean of values with a NaN among them is
        NaN.
        """
        columns = [_mean(values, device) for values in self._values.values()]
        names = list(self._values)
        self.count = 0
        self._values = defaultdict(list)
        return names, torch.stack(columns) if columns else torch.zeros(0, device=device)


def _mean(values: list, device: torch.device) -> torch.Tensor:
    """The mean of scalars, tensors or numbers, as a float32 tensor () on the device."""
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.stack([value.reshape(()) for value in values]).to(device, torch.float32).mean()
    return torch.tensor([float(value) for value in values], dtype=torch.float32).mean().to(device)
