"""What is measured: training loops, the data path, the start, pictures and widgets, and the test command."""

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import course_utils as cu
from tests.bench import loops, timing
from tests.bench.workloads import Workload, tutorial_set, usual_step

CHECK_STEPS = 6


def counted(work: Workload, calls: Counter) -> Workload:
    """Return the workload with its steps counted in `calls["steps"]`."""

    def wrap(function):
        def count(*args):
            calls["steps"] += 1
            return function(*args)

        return count

    if work.loss is None:
        return dataclasses.replace(work, step=wrap(work.step))
    loss = wrap(work.loss)
    return dataclasses.replace(work, loss=loss, step=usual_step(loss))


def check(work: Workload, folder: Path, steps: int = CHECK_STEPS) -> dict[str, dict]:
    """Let every competitor take `steps` steps; return how many it took and how far its weights are from ours.

    This is the warm-up as well. The tutorial loop shuffles in its own order, so only its steps can agree.
    """
    calls: Counter = Counter()
    found, weights = {}, {}
    for name, train in loops.competitors(counted(work, calls), folder).items():
        calls.clear()
        model = train(steps)
        weights[name] = torch.cat([w.detach().flatten().cpu() for w in model.parameters()])
        found[name] = {"steps": calls["steps"]}
    for name in found:
        found[name]["difference"] = (weights[name] - weights["ours"]).abs().max().item()
    return found


def finished() -> None:
    """Wait until the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def loops_part(works: dict[str, Workload], folder: Path, repeats: int, steps: int | None = None) -> dict:
    """Time all competitors on all workloads; `steps` overrides their number. Milliseconds a step."""
    found = {}
    for name, work in works.items():
        agreed = check(work, folder)
        n = min(steps or work.steps, work.steps)
        entries = {who: timed(train, n) for who, train in loops.competitors(work, folder).items()}
        found[name] = {"title": work.title, "check": agreed, "ms": timing.interleaved(entries, repeats)}
        print(f"  {name}: done", flush=True)
    versions = {name: loops.installed(name) for name in ("torch", "torchvision", "lightning", "accelerate")}
    return {"workloads": found, "versions": versions}


def timed(train, steps: int):
    """Return a function that trains and returns its milliseconds a step."""
    return lambda: 1e3 * timing.seconds(lambda: (train(steps), finished())) / steps


def data_part(work: Workload, folder: Path, repeats: int, count: int | None = None) -> dict:
    """Time batches alone, one epoch: ours, and the tutorial's DataLoader with 0 and 2 workers. µs a batch."""
    device = cu.device()
    batches = cu.Batches(work.data(), work.batch)
    count = count or len(batches)

    def ours():
        for t in range(count):
            batches.batch(t)
        finished()

    def loader(workers):
        data = torch.utils.data.DataLoader(
            tutorial_set(work, folder), work.batch, shuffle=True, num_workers=workers
        )
        for _, (x, *_) in zip(range(count), data):
            x.to(device)

    entries = {"ours": ours} | {f"tutorial, {n} workers": lambda n=n: loader(n) for n in (0, 2)}
    return {"us": timing.interleaved(scaled(entries, 1e6 / count), repeats)}


def scaled(entries: dict, factor: float) -> dict:
    """Warm every entry up; return functions that call it and return its seconds times `factor`."""
    for call in entries.values():
        call()
    return {name: lambda call=call: factor * timing.seconds(call) for name, call in entries.items()}


START = """
import json, time
a = time.perf_counter()
import torch
b = time.perf_counter()
import course_utils as cu
c = time.perf_counter()
cu.setup()
d = time.perf_counter()
cu.mnist()
e = time.perf_counter()
print(json.dumps({"import torch": b - a, "import course_utils": c - b, "setup()": d - c, "mnist()": e - d}))
"""


def start_part(repeats: int) -> dict:
    """Time the start of a lesson in fresh processes: torch, the package, `setup()`, `mnist()`. Seconds."""
    found: dict[str, list] = {}
    for i in range(repeats + 1):
        out = subprocess.run([sys.executable, "-c", START], check=True, capture_output=True, text=True).stdout
        if i:  # the first run warms the cache of the disk
            for key, value in json.loads(out.splitlines()[-1]).items():
                found.setdefault(key, []).append(value)
    return {"s": found}


def naive_grid(images) -> None:
    """A figure of 100 axes with one image each, as PNG: what tutorials do."""
    fig, axes = plt.subplots(10, 10, figsize=(6.4, 6.5))
    for ax, image in zip(axes.flat, images, strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.axis("off")
    fig.savefig(io.BytesIO(), format="png", dpi=150)
    plt.close(fig)


def our_grid(images) -> None:
    """The same images by the course's mosaic, as `cu.show` draws them."""
    fig = cu.plots.image_grid(images).figure
    cu.plots.png(fig)
    plt.close(fig)


def pictures_part(repeats: int) -> dict:
    """Time a grid of 100 digits and the redraw of two widgets against 100 axes. Milliseconds."""
    images = cu.mnist().test.x[:400, 0].reshape(4, 100, 28, 28).numpy()
    with contextlib.redirect_stdout(io.StringIO()):
        scrub = cu.scrub(list(images), ["0", "1", "2", "3"], "bench: scrubbing through grids of 100 digits")
        explore = cu.explore(
            lambda k: cu.plots.image_grid(images[k]).figure, "bench: a slider redraws a grid of 100", k=(0, 3)
        )

    def moved(panel, name):
        control = panel.inputs[name]
        control.value = (control.value + 1) % 4
        if panel.error is not None:
            raise panel.error

    entries = {
        "100 axes": lambda: naive_grid(images[0]),
        "grid": lambda: our_grid(images[0]),
        "scrub, redraw": lambda: moved(scrub, "frame"),
        "explore, redraw": lambda: moved(explore, "k"),
    }
    found = timing.interleaved(scaled(entries, 1e3), repeats)
    for panel in (scrub, explore):
        panel.close()
    return {"ms": found}


def tests_part() -> dict:
    """Time the whole test command, from the environment that is there. Minutes."""
    import tasks

    began = timing.time.perf_counter()
    status = tasks.test([])
    return {"minutes": (timing.time.perf_counter() - began) / 60, "status": status}
