"""Why something takes the time it takes: kernels by kind, Python by function, floating-point operations."""

import contextlib
import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import course_utils as cu
from tests.bench import timing
from tests.bench.workloads import Workload

KINDS = {
    "convolutions": ("convolution", "conv_", "conv2d", "conv_transpose"),
    "matrix products": ("addmm", "::mm", "bmm", "::linear", "mkldnn_linear", "scaled_dot_product"),
    "normalisation": ("batch_norm", "group_norm", "layer_norm"),
    "optimiser": ("_fused_adam", "_foreach_"),
    "random numbers": ("bernoulli", "normal_", "randn", "randint", "randperm", "random_"),
    "memory traffic": ("copy_", "index", "::cat", "clone", "contiguous", "fill_", "zero_", "::to", "pixel_", "slice",
                       "narrow", "empty", "resize"),
}  # fmt: skip
"""Operators by kind, the first that matches; other operators of torch count as elementwise (memory-bound, too)."""
PYTHON = "Python, autograd, dispatch"
PLACES = {
    "drawing (matplotlib, Pillow)": ("matplotlib", "/PIL/", "ImagingEncoder", "ImagingCore", "contourpy"),
    "scikit-learn, SciPy, NumPy": ("sklearn", "scipy", "numpy", "threadpoolctl"),
    "backward passes": ("run_backward",),
    "torch, forward and other calls": ("torch",),
    "imports and compilation": ("importlib", "marshal", "builtins.compile", "posix.stat", "io.open_code"),
    "reading and hashing files": ("gzip", "zlib", "openssl", "io.BufferedReader", "hashlib"),
    "the course's Python": ("course_utils", "lessons", "ipykernel"),
}
"""Functions by where they are defined, the first that matches."""


def kind_of(operator: str) -> str:
    """Return the kind of an operator such as "aten::addmm"; what is no operator is Python's or autograd's."""
    if not operator.startswith(("aten::", "mkldnn::", "torch::")):
        return PYTHON
    return next((kind for kind, words in KINDS.items() if any(w in operator for w in words)), "elementwise")


def place_of(function: str) -> str:
    """Return where a function of a Python profile belongs: "file:name" or "{built-in method …}"."""
    return next((place for place, words in PLACES.items() if any(w in function for w in words)), "other Python")


def shares(weights: dict[str, float], whole: float | None = None, least: float = 0.005) -> dict[str, float]:
    """Return the shares of a whole (default: the sum), greatest first, without those below `least`."""
    whole = whole or sum(weights.values()) or 1.0
    return {k: v / whole for k, v in sorted(weights.items(), key=lambda kv: -kv[1]) if v / whole >= least}


def sentence(parts: dict[str, float], n: int = 3) -> str:
    """Return the greatest shares as words: "61 % backward passes, 20 % drawing"."""
    return ", ".join(f"{share:.0%} {name}".replace("%", " %") for name, share in list(parts.items())[:n])


def kernels(call: Callable, repeats: int) -> dict[str, float]:
    """Return which share of the time of `call` goes where: kinds of operators, and Python with autograd around them."""
    spent = microseconds(call, repeats)
    return shares(spent, sum(spent.values()))


def microseconds(call: Callable, repeats: int) -> dict[str, float]:
    """Return the microseconds that one `call` spends in each kind of operator, and in Python with autograd."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        whole = 1e6 * (time.perf_counter() - began)
    spent = Counter()
    for event in profile.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    del spent[PYTHON]
    spent[PYTHON] = max(0.0, whole - sum(spent.values()))
    return {kind: value / repeats for kind, value in spent.items()}


@contextlib.contextmanager
def threads(n: int):
    """Let torch use `n` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def functions(call: Callable) -> dict[str, float]:
    """Return which share of the time of `call` goes to which place, by a Python profile (it slows Python down)."""
    profile = cProfile.Profile()
    profile.runcall(call)
    return places(profile)


def places(profile: cProfile.Profile) -> dict[str, float]:
    """Return the shares of a finished Python profile by place."""
    spent = Counter()
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():
        spent[place_of(f"{file}:{name}")] += own
    return shares(spent, least=0.02)


def overhead(call: Callable, steps: int) -> dict[str, float]:
    """Return the microseconds a step that the pieces of `cu.loop` take, callees included, by a Python profile."""
    pieces = {"batches": ("feed.py", "__call__"), "values kept": ("history.py", "add"),
              "log points": ("session.py", "log_point"), "start": ("session.py", "begin"),
              "set-up": ("session.py", "__init__"), "end": ("session.py", "__exit__")}  # fmt: skip
    profile = cProfile.Profile()
    profile.runcall(call)
    found = dict.fromkeys(pieces, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        for piece, (module, function) in pieces.items():
            if name == function and file.replace("\\", "/").endswith(f"course_utils/{module}"):
                found[piece] += 1e6 * cumulative / steps
    return found


def one_step(work: Workload) -> Callable:
    """Return a function that does the next step of a workload, as the hand-written loop would, on `cu.Batches`."""
    model = cu.prepare(work.model())
    opts, batches, done = work.optimisers(model, fused=True), cu.Batches(work.data(), work.batch), iter(range(10**9))

    def step():
        work.step(model, opts, batches.batch(next(done)), torch.Tensor.backward)

    return step


class Counting(TorchDispatchMode):
    """Adds up torch's own counts for the operators it has one for: matrix products, convolutions, attention.

    torch's FlopCounterMode also follows modules, and cannot do that through a gradient of a gradient (the GAN's R1).
    """

    total = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        out = operator(*args, **(kwargs or {}))
        count = flop_registry.get(operator._overloadpacket)
        if count:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def flops(call: Callable) -> int:
    """Return the floating-point operations of the matrix products and convolutions in `call`."""
    with Counting() as counter:
        call()
    return counter.total


def peak(n: int = 2048, repeats: int = 9) -> timing.Spread:
    """Return the FLOP/s of a float32 matrix product (n, n) · (n, n) on this device."""
    device = cu.runtime.device()
    a, b = torch.rand(2, n, n, device=device)
    out, found = a @ b, []
    for _ in range(repeats):
        began = time.perf_counter()
        torch.mm(a, b, out=out)
        out[0, 0].item()  # waits for the device
        found.append(2 * n**3 / (time.perf_counter() - began))
    return timing.spread(found)


def profile_part(works: dict[str, Workload], steps: int) -> dict:
    """Return for each workload where its step's time goes, its operations, its seconds; and the machine's peak.

    `alone` and `together`: the microseconds by kind with one thread and with as many as torch takes.
    """
    found = {}
    for name, work in works.items():
        step = one_step(work)
        for _ in range(3):
            step()
        n = max(2, min(steps, work.steps))
        seconds = [timing.seconds(step) for _ in range(n)]
        together = microseconds(step, n)
        with threads(1):
            step()
            alone = microseconds(step, n)
        found[name] = {"title": work.title, "shares": shares(together, sum(together.values())), "flops": flops(step),
                       "seconds": seconds, "together": together, "alone": alone, "hop": timing.hop()}  # fmt: skip
    top = peak()
    return {"workloads": found, "peak": [top.low, top.median, top.high], "threads": torch.get_num_threads()}
