"""The arena's entrants, rebuilt from the lessons that made them, so that all can be timed on one machine.

    entrant = arena.rebuild("04_vae")          # None if its lesson or its run is not here
    images = entrant.sample(100)               # uint8 (100, 28, 28)
    entrant.train(20)                          # twenty training steps, as the lesson takes them

Nothing is written twice: networks, losses and samplers are read from the lesson's own source, exercises with their
solutions. Times are CPU seconds of one thread, or seconds of the GPU's clock where there is a GPU.
"""

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils import runs, runtime
from course_utils.lessoncode import Source


@dataclass(frozen=True)
class Entrant:
    """A model that can be drawn from and trained on.

    `sample(n)` → uint8 (n, 28, 28); `train(n)` takes n training steps; `steps`: how many its run took; `parameters`:
    numbers that must be stored to draw; `fit`: what else has to be done once before drawing, or None.
    """

    name: str
    sample: Callable[[int], Tensor]
    train: Callable[[int], None]
    steps: int
    parameters: int
    fit: Callable[[], None] | None = None


BUILDERS: dict[str, Callable[[], Entrant]] = {}


def _builds(*names: str):
    def register(build):
        BUILDERS.update({name: functools.partial(build, name) for name in names})
        return build

    return register


def rebuild(name: str) -> Entrant | None:
    """Return the entrant of this name, or None if nobody knows how to build it or its lesson or run is missing."""
    needed = PARENTS.get(name, name)
    if name not in BUILDERS or not runs.available(needed):
        return None
    try:
        return BUILDERS[name]()
    except LookupError:
        return None


PARENTS = {
    "04_vae_means": "04_vae",
    "06_ancestral": "06_diffusion",
    "06_ddim": "06_diffusion",
    "03_ae_mixture": "03_ae_8",
}
"""Runs that are drawn with another run's weights."""


@functools.cache
def _digits() -> Tensor:
    """The training digits, float32 (55000, 1, 28, 28) in [0, 1]."""
    from course_utils import data

    return data.mnist().train.float()


def _batch(size: int, step: int = 0) -> Tensor:
    return _digits()[step * size % 50_000 :][:size].to(runtime.device())


def _trainer(model, loss, batch: int):
    """Plain training steps with Adam on batches of `batch` digits, as `cu.fit` takes them."""
    model.requires_grad_(True).to(runtime.device())
    optimiser = torch.optim.Adam(model.parameters(), 1e-5, fused=True)

    def train(n):
        model.train()
        for step in range(n):
            optimiser.zero_grad()
            out = loss(model, _batch(batch, step))
            (out["loss"] if isinstance(out, dict) else out).backward()
            optimiser.step()

    return train


def _images(x: Tensor) -> Tensor:
    """Values around [0, 1], (n, …), as uint8 (n, 28, 28) on the CPU."""
    from course_utils import data

    return data.to_uint8(x.detach().clamp(0, 1).cpu().reshape(-1, 28, 28))


def _new_seed() -> int:
    """A seed for a sampler with a generator of its own: without it every call would draw the same images."""
    return int(torch.randint(2**31, ()))


def _copy(make, name: str, key: str | None = None):
    """A model with the shipped weights of a run, ready to draw."""
    model = make()
    runs.restore(name, {key: model} if key else model)
    return model.requires_grad_(False).to(runtime.device()).eval()


def _numbers(module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def mystery(n: int) -> Tensor:
    """Return the n images, uint8 (n, 28, 28), that an unknown hand entered in lesson 07."""
    order = torch.randperm(55_000, generator=torch.Generator().manual_seed(7))[:n]
    return _images(_digits()[order])


@_builds("00_pixels")
def _pixels(name: str) -> Entrant:
    state = {}

    def fit():
        ink = (_digits().flatten(1) > 0.5).float()
        state["theta"] = (ink.sum(0) + 1) / (len(ink) + 2)

    fit()
    draw = lambda n: _images((torch.rand(n, 784) < state["theta"]).float())  # noqa: E731
    return Entrant(name, draw, lambda n: [fit() for _ in range(n)], 1, 784)


@_builds("00_gaussian")
def _gaussian(name: str) -> Entrant:
    lesson, state = Source("00"), {}

    def fit():
        x = _digits().flatten(1)
        state["mean"], state["cov"] = x.mean(0), torch.cov(x.T) + 1e-4 * torch.eye(784)

    fit()
    draw = lambda n: _images(lesson.sample_gaussian(state["mean"], state["cov"], torch.randn(n, 784)))  # noqa: E731
    return Entrant(name, draw, lambda n: [fit() for _ in range(n)], 1, 784 + 784 * 785 // 2)


@_builds("02_mixture")
def _mixture(name: str) -> Entrant:
    lesson = Source("02")
    make = lambda: lesson.PPCAMixture(K=40, r=13)  # noqa: E731
    model, learner = _copy(make, name).cpu(), _copy(make, name).cpu()
    steps = int(runs.load(name).figure("EM steps"))
    numbers = _numbers(model)

    @functools.cache
    def rows():
        return (_digits().flatten(1) * 255 + torch.rand(len(_digits()), 784)) / 256

    def train(n):
        for _ in range(n):
            lesson.em_on_images(learner, rows())

    draw = lambda n: _images(lesson.sample_images(model, n, seed=_new_seed()).draw)  # noqa: E731
    return Entrant(name, draw, train, steps, numbers)


@_builds("03_ae_mixture")
def _autoencoder(name: str) -> Entrant:
    from sklearn.mixture import GaussianMixture

    lesson, state = Source("03"), {}
    model, learner = (_copy(lambda: lesson.Autoencoder(8), PARENTS[name]) for _ in range(2))

    def fit():
        with torch.no_grad():
            codes = model.encode(_batch(20_000).flatten(1)).cpu().double().numpy()
        state["mixture"] = GaussianMixture(60, random_state=0, reg_covar=1e-4).fit(codes)

    def draw(n):
        state["mixture"].random_state = _new_seed()
        z = torch.from_numpy(state["mixture"].sample(n)[0]).float()[torch.randperm(n)]
        return _images(model.decode(z.to(runtime.device())))

    steps = runs.load(PARENTS[name]).card["steps"]
    numbers = _numbers(model.decode) + 60 * (1 + 8 + 36)
    return Entrant(name, draw, _trainer(learner, lesson.reconstruction_loss, 256), steps, numbers, fit)


@_builds("04_vae", "04_vae_means")
def _vae(name: str) -> Entrant:
    lesson = Source("04")
    model, learner = (_copy(lambda: lesson.VAE(latent=32), "04_vae") for _ in range(2))

    def draw(n):
        means = torch.cat([lesson.paint(model, z) for z in torch.randn(n, 32).split(500)])
        return _images(means if name == "04_vae_means" else torch.bernoulli(means))

    steps, numbers = runs.load("04_vae").card["steps"], _numbers(model.paint)
    return Entrant(name, draw, _trainer(learner, lesson.vae_loss, 128), steps, numbers)


@_builds("05_gan")
def _gan(name: str) -> Entrant:
    lesson = Source("05")
    model = _copy(lesson.Generator, name, "G")
    _, _, _, step, _ = lesson.new_game()

    def train(n):
        for i in range(n):
            step(_batch(64, i))

    draw = lambda n: _images(lesson.paint(model, torch.randn(n, lesson.LATENT)))  # noqa: E731
    return Entrant(name, draw, train, runs.load(name).card["steps"], _numbers(model))


@_builds("06_diffusion", "06_ddim", "06_ancestral")
def _diffusion(name: str) -> Entrant:
    lesson = Source("06")
    model, learner = (_copy(lesson.UNet, "06_diffusion") for _ in range(2))
    model = model.to(memory_format=torch.channels_last)
    sampler, times = {
        "06_diffusion": (lesson.refreshed, lesson.spaced(50, bend=0.6)),
        "06_ddim": (lesson.ddim, lesson.spaced(50)),
        "06_ancestral": (lesson.ancestral, lesson.spaced(lesson.T)),
    }[name]

    def draw(n):
        return lesson.generate(model, n, times, sampler, seed=_new_seed())[:, 0]

    steps = runs.load("06_diffusion").card["steps"]
    return Entrant(name, draw, _trainer(learner, lesson.diffusion_loss, 64), steps, _numbers(model))


@contextlib.contextmanager
def one_thread():
    """Let PyTorch use one thread only: CPU seconds are then seconds of one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(action: Callable, *args) -> float:
    """Return the seconds that `action(*args)` takes: CPU time of this process, or the clock's where a GPU works."""
    gpu = runtime.device().type != "cpu"
    clock = time.perf_counter if gpu else time.process_time
    wait = torch.cuda.synchronize if runtime.device().type == "cuda" else lambda: None
    wait()
    began = clock()
    action(*args)
    wait()
    return clock() - began


def per_unit(action: Callable[[int], object], most: int, budget: float = 3.0) -> float:
    """Return seconds a unit of `action(n)`, after a warm-up, with n grown until it takes about `budget` s or is `most`.

    It starts with ten units (or `most`), so that a slow sampler is timed on a batch, too.
    """
    action(1)
    n = min(10, most)
    while True:
        spent = seconds(action, n)
        if n >= most or spent > budget / 2:
            return spent / n
        n = min(most, 16 * n if spent < 0.01 else max(n + 1, int(n * min(16, budget / spent))))
