"""Files that are handed out with an assignment: the anonymous sample sets of assignment 2.

They are drawn anew from the shipped weights, with seeds of the variant's own, so that no set in data/runs holds
one of these images. The families are told apart by what lessons 02b to 10 say of them, not by looking up.
"""

import ast
from pathlib import Path

import numpy as np
import torch

import course_utils as cu
from course_utils.system import randomness
from tools.assessment.variant import Variant
from tools.builder.lesson import ROOT

FILE = "sets.npz"
IMAGES = 300
STEPS = 50  # of the diffusion model's sampler, as in lesson 06


def write(v: Variant, folder: Path) -> None:
    """Write the three sample sets of a variant, whose `v.families` names the family of A, B and C.

    The file holds uint8 (300, 28, 28) under A, B and C (12 images in the profile `quick`).
    """
    n = cu.budget(IMAGES, 12)
    arrays = {}
    with randomness.forked():
        for place, (letter, family) in enumerate(v.families.items()):
            print(f"Drawing set {letter} …", flush=True)
            arrays[letter] = draw(family, n, seed=1_000_000 + 3 * v.number + place)
    np.savez_compressed(folder / FILE, **arrays)


def draw(family: str, n: int, seed: int) -> np.ndarray:
    """n fresh images of one family, uint8 (n, 28, 28). Raises KeyError for an unknown one."""
    torch.manual_seed(seed)
    with torch.no_grad():
        images = DRAWN[family](n, seed)
    return cu.to_uint8(images.cpu().reshape(n, 28, 28)).numpy()


def _mixture(n: int, seed: int) -> torch.Tensor:
    from course_utils.lessons.lesson_02b import PPCAMixture, sample_images

    model = PPCAMixture(K=40, q=13)
    cu.restore("02_mixture", model)
    return sample_images(model, n, seed).draw.clamp(0, 1)


def _vae(n: int, seed: int) -> torch.Tensor:
    from course_utils.lessons.lesson_04 import VAE, paint

    model = VAE(latent=32, width=16)
    cu.restore("04_vae", model)
    return paint(model, torch.randn(n, 32))


def _gan(n: int, seed: int) -> torch.Tensor:
    model = lesson("05", "Generator", "block", "LATENT")["Generator"]()
    cu.restore("05_gan", {"G": model})
    return model(torch.randn(n, 64))


def _diffusion(n: int, seed: int) -> torch.Tensor:
    from course_utils.lessons.lesson_06 import generate, predictor, spaced
    from course_utils.lessons.lesson_06b import sampler
    from course_utils.nets.unet import UNet

    model = UNet()
    cu.restore("06_diffusion", model)
    return generate(predictor(model), n, spaced(cu.budget(STEPS, 5)), sampler(1.5), seed)


def _flow(n: int, seed: int) -> torch.Tensor:
    from course_utils.lessons.lesson_10 import clouds, draw_flow, image_flow

    model = image_flow()
    cu.restore("10_flow", model)
    return torch.cat([draw_flow(model, z) for z in clouds(n, seed).split(100)])


DRAWN = {"mixture": _mixture, "VAE": _vae, "GAN": _gan, "diffusion": _diffusion, "flow": _flow}


def lesson(key: str, *names: str) -> dict:
    """Return functions, classes and constants that a lesson defines, without running the rest of it."""
    (path,) = (ROOT / "lessons").glob(f"{key}_*.py")
    body = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        defined = {getattr(node, "name", "")} | {
            target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)
        }
        if isinstance(node, ast.Import | ast.ImportFrom) or defined & set(names):
            body.append(node)
    scope = {}
    exec(compile(ast.Module(body, type_ignores=[]), str(path), "exec"), scope)
    return scope
