"""What is trained in the comparisons: four models of the course, each with its data, its batch size and its
step."""

import functools
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import course_utils as cu
from course_utils.nets.unet import UNet
from tests.lessons.lesson_functions import load


@dataclass(frozen=True)
class Workload:
    """One training, the same for every competitor.

    `data()`: what `cu.Batches` takes. `model()`: the module, on the CPU, always with the same weights.
    `step(model, opts, x, backward)`: one update, returns a dict of scalars. `groups(model)`: one list of
    weights an optimiser. `log_every`: as in the lesson's live cell; `steps`: one such interval at least, so
    that ours pays for what it does at its end as often as there. `images`: the data are MNIST digits.
    """

    name: str
    title: str
    batch: int
    steps: int
    log_every: int
    data: Callable
    model: Callable[[], nn.Module]
    step: Callable
    groups: Callable[[nn.Module], list]
    adam: dict
    loss: Callable | None = None  # loss(model, x): where the step is the usual one, which cu.fit writes
    images: bool = True

    def optimisers(self, model: nn.Module, **extra) -> list[torch.optim.Optimizer]:
        """Return the optimisers of a model; `extra` goes to Adam."""
        return [torch.optim.Adam(weights, **self.adam, **extra) for weights in self.groups(model)]


def usual_step(loss: Callable) -> Callable:
    """Return the step of one model with one loss and one optimiser."""

    def step(model, opts, x, backward):
        losses = loss(model, x)
        opts[0].zero_grad(set_to_none=True)
        backward(losses["loss"])
        opts[0].step()
        return losses

    return step


def all_weights(model: nn.Module) -> list:
    """One optimiser for everything."""
    return [list(model.parameters())]


def seeded(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Return a function that makes the module from the same random numbers each time."""

    def build():
        torch.manual_seed(0)
        return make()

    return build


def digits():
    """The training images of MNIST, as lessons pass them to `cu.Batches`."""
    return cu.mnist().train


def points() -> torch.Tensor:
    """Points of a ring of eight Gaussians (20,000, 2)."""
    return cu.eight_gaussians(20_000)


def point_loss(model, x):
    """Lesson 03's denoising loss in the plane: (B, 2) → ()."""
    return {"loss": (model(x + 0.5 * torch.randn_like(x)) - x).square().sum(1).mean()}


def diffusion_loss(net, x, steps: int = 1_000):
    """Lesson 06's loss: noise each image to a time of its own, predict v; x (B, 1, 28, 28) in [0, 1] → ()."""
    x = 2 * x - 1
    t = torch.randint(1, steps + 1, (len(x),), device=x.device)
    angle = (t / steps * (torch.pi / 2))[:, None, None, None]
    eps = torch.randn_like(x)
    v = angle.cos() * eps - angle.sin() * x
    return {"loss": (net(angle.cos() * x + angle.sin() * eps, t) - v).square().mean()}


def game_step(latent: int, gamma: float = 0.05, few: int = 8) -> Callable:
    """Return lesson 05's step: D's turn with R1 on a few images, then G's turn, on the same fake images."""

    def step(model, opts, x, backward):
        G, D, (opt_g, opt_d) = model["G"], model["D"], opts
        fake = G(torch.randn(len(x), latent, device=x.device))
        real = x[:few].clone().requires_grad_()
        (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)
        loss_d = F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()
        opt_d.zero_grad()
        backward(loss_d + gamma / 2 * slope.square().sum((1, 2, 3)).mean())
        opt_d.step()
        D.requires_grad_(False)
        loss_g = F.softplus(-D(fake)).mean()
        opt_g.zero_grad()
        backward(loss_g)
        opt_g.step()
        D.requires_grad_(True)
        return {"loss of D": loss_d, "loss of G": loss_g}

    return step


@functools.cache
def workloads() -> dict[str, Workload]:
    """Return the four workloads by name, cheapest step first."""
    small = load("00", "SmallVAE", "vae_loss")
    game = load("05", "LATENT", "block", "Generator", "Discriminator")
    common = {"model": None, "step": None, "groups": all_weights}
    made = [
        Workload("points", "2-D MLP, lesson 03 (2-128-128-2, batch 512)", 512, 300, 50, points, **common
                 | {"model": seeded(lambda: cu.nets.mlp(2, 128, 128, 2)), "step": usual_step(point_loss)},
                 adam={"lr": 3e-3}, loss=point_loss, images=False),
        Workload("vae", "MLP VAE, lesson 00 (784-256-16, batch 128)", 128, 300, 143, digits, **common
                 | {"model": seeded(small.SmallVAE), "step": usual_step(small.vae_loss)},
                 adam={"lr": 1e-3}, loss=small.vae_loss),
        Workload("gan", "convolutional GAN, lesson 05 (batch 64)", 64, 20, 20, digits,
                 seeded(lambda: nn.ModuleDict({"G": game.Generator(), "D": game.Discriminator()})),
                 game_step(game.LATENT), lambda model: [list(model[k].parameters()) for k in "GD"],
                 {"lr": 2e-3, "betas": (0.0, 0.99)}),
        Workload("unet", "diffusion U-Net, lesson 06 (batch 64)", 64, 16, 16, digits, **common
                 | {"model": seeded(UNet), "step": usual_step(diffusion_loss)},
                 adam={"lr": 2e-3}, loss=diffusion_loss),
    ]  # fmt: skip
    return {work.name: work for work in made}


def raw_mnist(folder: Path) -> Path:
    """Lay the course's MNIST out as torchvision downloads it, and return the root to pass to
    `datasets.MNIST`."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for packed in sorted((cu.system.data_dir() / "mnist").glob("*.gz")):
        target = raw / packed.stem
        if not target.is_file():
            target.write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


def tutorial_set(work: Workload, folder: Path):
    """Return the data as a tutorial has them: torchvision's MNIST with ToTensor, item by item; points as a
    dataset."""
    if not work.images:
        return torch.utils.data.TensorDataset(work.data())
    from torchvision import datasets, transforms

    return datasets.MNIST(raw_mnist(folder), train=True, download=False, transform=transforms.ToTensor())
