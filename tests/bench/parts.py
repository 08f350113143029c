"""The parts of the measurement that compare: training loops, the data path, the start, pictures and widgets."""

import contextlib
import dataclasses
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import course_utils as cu
from tests.bench import loops, profiles, timing
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

    This is the warm-up as well. The tutorial loop shuffles in its own order, so that only its steps can agree.
    """
    calls, found, weights = Counter(), {}, {}
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
    """Time all competitors on all workloads; `steps` overrides their number."""
    found = {}
    for name, work in works.items():
        agreed = check(work, folder)
        n = min(steps or work.steps, work.steps)
        entries = {who: timed(train, n) for who, train in loops.competitors(work, folder).items()}
        measured = timing.interleaved(entries, repeats)
        seconds, hops = ({who: [pair[i] for pair in pairs] for who, pairs in measured.items()} for i in (0, 1))
        spent = profiles.overhead(lambda: loops.competitors(work, folder)["ours"](n), n)
        found[name] = {"title": work.title, "steps": n, "check": agreed, "seconds": seconds, "hops": hops,
                       "overhead": spent}  # fmt: skip
        print(f"  {name}: " + ", ".join(f"{k} {1e3 * min(v) / n:.3g}" for k, v in seconds.items()) + " ms", flush=True)
    versions = {name: loops.installed(name) for name in ("torch", "torchvision", "lightning", "accelerate")}
    return {"workloads": found, "versions": versions}


def timed(train, steps: int):
    """Return a function that trains and returns its seconds, and those of the slower of two hops before and after."""

    def call() -> tuple[float, float | None]:
        before = timing.hop()
        seconds = timing.seconds(lambda: (train(steps), finished()))
        after = timing.hop()
        return seconds, max(before, after) if before and after else None

    return call


def data_part(work: Workload, folder: Path, repeats: int, count: int | None = None) -> dict:
    """Time the delivery of batches alone, one epoch: ours, and the tutorial's DataLoader with 0 and 2 workers."""
    device, batches = cu.runtime.device(), cu.Batches(work.data(), work.batch)
    count = count or len(batches)

    def ours():
        for t in range(count):
            batches.batch(t)
        finished()

    def loader(workers):
        data = torch.utils.data.DataLoader(tutorial_set(work, folder), work.batch, shuffle=True, num_workers=workers)
        for _, (x, *_) in zip(range(count), data):
            x.to(device)

    entries = {"ours": ours} | {f"tutorial, {n} workers": lambda n=n: loader(n) for n in (0, 2)}
    for call in entries.values():
        call()
    seconds = timing.interleaved({k: lambda c=c: timing.seconds(c) for k, c in entries.items()}, repeats)
    return {"seconds": seconds, "batches": count, "why": profiles.kernels(ours, 1),
            "why tutorial": profiles.functions(lambda: loader(0))}  # fmt: skip


START = """
import json, sys, time
a = time.perf_counter()
import torch
b = time.perf_counter()
print("MARK", file=sys.stderr, flush=True)
import course_utils as cu
c = time.perf_counter()
cu.setup()
d = time.perf_counter()
cu.mnist()
e = time.perf_counter()
print(json.dumps({"torch": b - a, "import course_utils": c - b, "setup()": d - c, "mnist()": e - d}))
"""


def start_part(repeats: int) -> dict:
    """Time the start of a lesson in fresh processes: torch, the package, `setup()`, `mnist()`."""
    found: dict[str, list] = {}
    for i in range(repeats + 1):
        out = subprocess.run([sys.executable, "-c", START], check=True, capture_output=True, text=True).stdout
        if i:  # the first run warms the cache of the disk
            for key, value in json.loads(out.splitlines()[-1]).items():
                found.setdefault(key, []).append(value)
    command = [sys.executable, "-X", "importtime", "-c", START]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stderr.split("MARK")[1]
    spent = Counter()
    for own, module in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", log):
        spent[module.split(".")[0]] += int(own) / 1e6
    return {"seconds": found, "imports": dict(spent.most_common(6))}


def naive_grid(images) -> bytes:
    """A figure of 100 axes with one image each, as PNG: what tutorials do."""
    fig, axes = plt.subplots(10, 10, figsize=(6.4, 6.5))
    for ax, image in zip(axes.flat, images, strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.axis("off")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=104)
    plt.close(fig)
    return buffer.getvalue()


def our_grid(images):
    """The same images by the course's mosaic; returns the figure."""
    return cu.plots.image_grid(images).figure


def shown(fig) -> bytes:
    """What `cu.show` does with a figure: the PNG that a notebook keeps; the figure is closed."""
    picture = cu.plots.png(fig)
    plt.close(fig)
    return picture


def pictures_part(repeats: int) -> dict:
    """Time a grid of 100 digits and the redraw of two widgets against 100 axes."""
    images = cu.mnist().test.x[:400, 0].reshape(4, 100, 28, 28).numpy()
    with contextlib.redirect_stdout(io.StringIO()):
        scrub = cu.scrub(list(images), ["0", "1", "2", "3"], "bench: scrubbing through grids of 100 digits")
        explore = cu.explore(lambda k: our_grid(images[k]), "bench: a slider that redraws a grid of 100", k=(0, 3))

    def moved(panel, name):
        control = panel.inputs[name]
        control.value = (control.value + 1) % 4
        if panel.error is not None:
            raise panel.error

    entries = {
        "100 axes": lambda: naive_grid(images[0]),
        "grid": lambda: shown(our_grid(images[0])),
        "scrub, redraw": lambda: moved(scrub, "frame"),
        "explore, redraw": lambda: moved(explore, "k"),
    }
    for call in entries.values():
        call()
    seconds = timing.interleaved({k: lambda c=c: timing.seconds(c) for k, c in entries.items()}, repeats)
    why = {name: profiles.functions(call) for name, call in entries.items()}
    for panel in (scrub, explore):
        panel.close()
    return {"seconds": seconds, "why": why}
