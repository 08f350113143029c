"""Time to quality: how good a model is after how many seconds of training, live here and in the shipped runs."""

import re
import time

import torch

import course_utils as cu
from course_utils.checks.references.ref_04 import REFERENCES
from tests.bench import loops, profiles
from tests.lesson_functions import load

CURVES = ("05_gan", "06_diffusion", "07_flow")
"""Shipped runs whose cards hold a Fréchet ratio along the training."""


def elbo_models() -> dict:
    """Return {title: (model, loss, steps)}: the MLP VAE of lesson 00 and lesson 04's own, both in nats a digit."""
    small = load("00", "SmallVAE", "vae_loss")
    names = {"checked_kl": "04.kl", "checked_sample": "04.reparameterise", "checked_elbo": "04.elbo"}
    given = {name: REFERENCES[key] for name, key in names.items()}
    conv = load("04", "Residual", "VAE", "vae_loss", **given)

    def binarised(model, x):
        return {"loss": small.vae_loss(model, torch.bernoulli(x))["loss"]}

    torch.manual_seed(0)
    return {
        "MLP VAE (lesson 00's network)": (small.SmallVAE(), binarised, 1_500),
        "convolutional VAE (lesson 04's live cell)": (conv.VAE(latent=32), conv.vae_loss, 1_000),
    }


def live(model, loss, steps: int, marks: int = 10) -> dict:
    """Train as lesson 04's live cell does; return seconds of training and minus the ELBO on validation digits, nats.

    Validation: 1,000 digits, always with the same coins and noise; its own time does not count.
    """
    held_out, clock = cu.mnist().val.float()[:1_000], {"lost": 0.0}
    seconds, nats = [], []

    def look(step):
        paused = time.perf_counter()
        torch.manual_seed(0)
        with torch.no_grad():
            value = loss(model, held_out.to(next(model.parameters()).device))["loss"].item()
        if step:
            seconds.append(paused - clock["began"] - clock["lost"])
            nats.append(value)
        clock["lost"] += time.perf_counter() - paused

    every = [round(steps * (k / marks) ** 1.5) for k in range(1, marks + 1)]
    batches = cu.Batches(cu.mnist().train, 128)
    with loops.quiet():
        clock["began"] = time.perf_counter()
        cu.fit(model, loss, batches, steps=steps, lr=2e-3, schedule="cosine", ema=0.999, log_every=10, preview=look,
               preview_at=every)  # fmt: skip
    return {"seconds": seconds, "value": nats, "steps": steps}


def quality_part(scale: float = 1.0) -> dict:
    """Return the live curves, with where their steps' time goes, and those on the cards of the shipped runs."""
    found = {}
    for title, (model, loss, steps) in elbo_models().items():
        found[title] = live(model, loss, max(10, round(scale * steps)))
        batches = cu.Batches(cu.mnist().train, 128)
        opt, done = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), iter(range(10**6))

        def step(model=model, loss=loss, opt=opt, batches=batches, done=done):
            opt.zero_grad(set_to_none=True)
            loss(model, batches.batch(next(done)))["loss"].backward()
            opt.step()

        step()
        found[title] |= {"flops": profiles.flops(step), "shares": profiles.kernels(step, 10)}
    return {"live": found}


def cards() -> dict[str, dict]:
    """Return {run: {"seconds", "value", "steps", "device"}} of the cards that hold Fréchet ratios along a training.

    The GAN's card names steps (its seconds are spread evenly over them), the diffusion model's hours of processor
    time.
    """
    found = {}
    for name in CURVES:
        path = cu.runtime.shipped_runs_dir() / name / "card.json"
        if not path.is_file():
            continue
        card = cu.runs.load(name).card
        curve = sorted(at(key, value["value"], card) for key, value in card["figures"].items()
                       if re.search(r"ratio after [\d.,]+", key))  # fmt: skip
        if curve:
            seconds, values = zip(*curve)
            found[name] = {"seconds": seconds, "value": values, "steps": card["steps"], "device": card["device"]}
    return found


def at(key: str, value: float, card: dict) -> tuple[float, float]:
    """Return (seconds, value) of a figure such as "ratio after 859" or "Fréchet ratio after 1.25 CPU hours"."""
    number = float(re.search(r"after ([\d.,]+)", key)[1].replace(",", ""))
    if "hour" in key:
        return 3600 * number, value
    return number / card["steps"] * card["seconds"], value


def full_elbo() -> tuple[float, float] | None:
    """Return seconds and minus the ELBO (nats) of lesson 04's shipped run, or None."""
    path = cu.runtime.shipped_runs_dir() / "04_vae" / "card.json"
    if not path.is_file():
        return None
    card = cu.runs.load("04_vae").card
    return card["seconds"], card["figures"]["minus ELBO, validation"]["value"]
