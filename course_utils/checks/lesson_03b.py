"""Properties of lesson 03b's exercises."""

import torch

from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import (
    expect_double,
    expect_normal,
    expect_value,
    is_number,
    normal,
    pair_of,
)


@exercise(
    "03b.denoising_loss",
    verified="fresh Gaussian noise of the asked level, the clean data as target, the mean of all squares",
)
def denoising_loss(fn):
    torch.manual_seed(0)
    x = 0.5 + normal(4_000, 5, seed=7).float()
    seen = []

    def identity(noisy):
        seen.append(noisy)
        return noisy

    out = torch.as_tensor(call(fn, identity, x, 0.5))
    expect(seen, "the model was never called: it gets the noisy data.")
    expect_shape(out, (), "a single number: .mean().")
    expect_like(seen[0], x, "the model gets noise in the dtype of x: torch.randn_like(x).")
    expect(
        seen[0].max() > 1 and seen[0].min() < 0,
        "the noisy data are cut to [0, 1]: the model has to see all the noise, so no clamp.",
    )
    added = seen[0] - x
    expect_shape(added, (4_000, 5), "the model gets x with noise, in the shape of x.")
    slope = ((x - x.mean()) * added).mean() / x.var()
    expect(abs(slope) < 0.05, "the clean data are scaled, too: the model sees x + σ ε, with x as it is.")
    _noise_is_right(added)
    _target_is_clean(fn, x)
    seen.clear()
    call(fn, identity, x, 0.5)
    expect(
        not torch.equal(seen[0] - x, added),
        "two calls add the same noise: fix no seed inside, and draw anew each time.",
    )
    _each_level(fn)
    slope = torch.ones(5, requires_grad=True)
    seen.clear()
    loss = torch.as_tensor(call(fn, lambda noisy: identity(noisy) * slope, x, 0.5))
    expect(slope.grad is None, "return the loss and leave .backward() to the training loop.")
    expect(loss.requires_grad, "no gradient reaches the model: no .item(), .detach() or no_grad here.")
    (gradient,) = torch.autograd.grad(loss, slope)
    exact = 2 * (seen[0] * (seen[0] - x)).mean(0) / 5
    expect_close(gradient, exact, "the gradient of the loss is 2 (x̂ − x) dx̂, averaged over all entries.")
    expect_like(loss, x)
    for level in (0.5, torch.full((len(x), 1), 0.5)):
        expect_any_device(lambda clean, sigma: fn(lambda noisy: 0.5 * noisy, clean, sigma), x, level)


def _noise_is_right(added):
    """added (4000, 5): the noise for σ = 0.5."""
    expect(added.abs().max() > 1e-6, "the model sees the clean data: add sigma times noise first.")
    scale = added.std().item()
    for wrong, hint in (
        (0.5**2, "the noise is multiplied by sigma squared: sigma is a standard deviation, not a variance."),
        (0.5**0.5, "the noise is multiplied by the root of sigma: sigma is a standard deviation already."),
        (1.0, "the noise has the level 1, whatever sigma is: sigma * torch.randn_like(x)."),
    ):
        expect(abs(scale - wrong) > 0.02, hint)
    hint = "noise must be drawn for each entry (torch.randn_like(x))."
    expect(added.std(0).min() > 1e-3, f"all rows get the same noise: {hint}")
    expect(added.std(1).min() > 1e-3, f"all entries of a row get the same noise: {hint}")
    hint = "the noise must have the mean 0: randn as it comes, not rand and not abs."
    expect(added.mean().abs() < 0.03, hint)
    expect(
        abs(scale - 0.5) < 0.02,
        "the noise must have the standard deviation sigma: sigma * torch.randn_like(x).",
    )
    expect_normal(added, 0.5, "mean and level are right, but the noise is not Gaussian: torch.randn_like(x).")


def _target_is_clean(fn, x):
    """The loss of models whose errors are known."""
    out = torch.as_tensor(call(fn, lambda noisy: noisy - x, x, 0.5))
    expect(out > 1e-3, "the target is the clean x, not the noise.")
    out = torch.as_tensor(call(fn, lambda _: x, x, 0.5))
    hint = "the target is the clean x: a model that returns it must cost nothing."
    expect(abs(out.item() - 0.5**2) > 0.02, hint)  # the cost of the noise
    free = out < 1e-6
    off = torch.tensor([0.3, -0.1, 0.5, 0.0, -0.6]) * torch.linspace(0.5, 1.5, len(x))[:, None]
    out = call(fn, lambda _: x + off, x, 0.5)
    square = off.square()
    causes = (
        (square.sum(1).mean(), "this is a sum over the entries: take the mean over all of them (.mean())."),
        (square.sum(), "this is the sum over the whole batch: take the mean over all entries (.mean())."),
        (off.abs().mean(), "the errors are squared, not taken by size."),
        (square.mean().sqrt(), "the mean of the squares is the loss; no root."),
        (square.sum(1).sqrt().mean(), "the squares are averaged; no root and no norm."),
        (off.mean().square(), "the errors are averaged before the square: square first."),
        (off.mean(1).square().mean(), "the errors of a row are averaged before the square: square first."),
        (off.mean(), "the errors are not squared, so that they cancel."),
        (square.mean() / 2, "the loss has no factor ½."),
        (square.mean() / 0.5**2, "the loss is not divided by σ²."),
        (square.mean() * 0.5**2, "the loss is not multiplied by σ²."),
        (
            ((x + off).clamp(0, 1) - x).square().mean(),
            "the model's answer is compared as it is, not clamped.",
        ),
        (-square.mean(), "the loss is the error itself, not its negative."),
    )
    hint = "a model with known errors costs the mean of their squares, over all entries of the batch."
    expect_value(out, square.mean(), hint, causes, rtol=1e-3)
    expect(free, "a model that returns the clean x must cost nothing.")


def _each_level(fn):
    """A level of its own for each row or image, and other shapes."""
    seen = []

    def identity(noisy):
        seen.append(noisy)
        return noisy

    for shape in ((6_000, 4), (600, 1, 5, 8)):
        x = torch.zeros(shape)
        sigma = torch.tensor([0.1, 2.0, 0.5]).repeat(shape[0] // 3).view(-1, *[1] * (len(shape) - 1))
        call(fn, identity, x, sigma)
        levels = seen[-1].view(shape[0] // 3, 3, -1).std((0, 2))
        expect_close(
            levels, [0.1, 2.0, 0.5], "sigma may differ between the rows of a batch: sigma * noise.", rtol=0.1
        )


@exercise(
    "03b.no_datum",
    verified="the best answer is far from every clean point: it fails, as it should",
)
def no_datum(fn):
    clean, noisy = pair_of(call(fn), "return two things: clean points (m, 2) and one noisy point (2,).")
    if not isinstance(clean, torch.Tensor) or clean.dim() != 2 or clean.shape[1] != 2 or len(clean) < 1:
        raise Wrong("the clean points are a tensor (m, 2), one point a row.")
    expect_shape(noisy, (2,), "one noisy point.")
    expect(
        clean.is_floating_point() and noisy.is_floating_point(),
        "coordinates are decimal numbers, for the next cell to compute with: write 3.0, not 3.",
    )
    expect_like(noisy, clean, "the clean points and the noisy one need the same dtype.")
    clean, noisy = clean.detach().double(), noisy.detach().double()
    expect(torch.isfinite(clean).all() and torch.isfinite(noisy).all(), "all coordinates must be finite.")
    expect(len(clean) > 1, "with one clean point the best answer is that point: give at least two.")
    weight = torch.softmax(-(noisy - clean).square().sum(1) / 2, 0)
    answer = weight @ clean
    distance = (answer - clean).norm(dim=1).min().item()
    if distance >= 2:
        return
    if weight.max() > 0.95:
        raise Wrong(
            f"one clean point explains the noisy one almost alone (weight {weight.max():.2f}), so the answer "
            f"is {distance:.2f} from it: put the noisy point as far from two of them."
        )
    raise Wrong(
        f"the best answer is only {distance:.2f} away from a clean point: move the points further apart, and "
        "put none of them where the mean will be."
    )


@exercise(
    "03b.score_of",
    verified="the exact score of a slanted Gaussian with noise, at two noise levels, in any shape and float64",
)
def score_of(fn):
    noisy = normal(40, 3).requires_grad_()  # as in the next cell
    root = normal(3, 3, seed=1)
    centre = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    for sigma in (0.6, 2.0):
        precision = torch.linalg.inv(root @ root.T + sigma**2 * eye)  # of the noisy data

        def perfect(x, precision=precision, sigma=sigma):
            return x - sigma**2 * (x - centre) @ precision

        exact = (-(noisy - centre) @ precision).detach()
        answer, point = perfect(noisy).detach(), noisy.detach()
        out = call(fn, perfect, noisy, sigma)
        expect_shape(out, (40, 3), "one number for each entry of the noisy data.")
        variance = sigma**2
        causes = (
            (-exact, "the sign: the score points from the noisy point to the answer, model(noisy) − noisy."),
            (variance * exact, "this is σ² times the score: divide the correction by σ²."),
            (sigma * exact, "divide by σ², not by σ."),
            (exact / sigma, "divide by σ², not by σ³."),
            (exact * sigma**1.5, "divide by σ², not by the root of σ."),
            (variance**2 * exact, "divide by σ²; you multiply by it."),
            (exact / variance, "you divide by σ² twice."),
            (exact / 2, "the correction is divided by σ², not by 2σ²."),
            (
                answer / variance,
                "the score is the *correction* over σ²: subtract the noisy point from the answer.",
            ),
            (answer - point / variance, "brackets: the whole difference is divided by σ²."),
            (variance * exact / (1 + variance), "divide by σ², not by 1 + σ²."),
            (-point / variance, "the model's answer is missing: it is E[x | x̃] in (3)."),
            (
                (perfect(answer).detach() - answer) / variance,
                "the model is called twice: once, at the noisy point.",
            ),
        )
        hint = "the score is (E[x | x̃] − x̃) / σ², and the model's answer is E[x | x̃]."
        expect_value(out, exact, hint, causes)
        expect_double(out, exact)
    image = torch.arange(32.0).view(2, 1, 4, 4)
    out = call(fn, lambda x: 2 * x + 1, image, 0.5)
    expect_close(out, 4 * (image + 1), "it must work for images (n, 1, h, w) as well.")
    expect_like(out, image)


@exercise("03b.gain", verified="a number of decibels; what it is worth is printed below")
def gain(fn):
    out = call(fn)
    expect(is_number(out), "return one plain number, in decibels: return 5, say.")
    expect(-30 <= out <= 30, "30 dB is a thousandth of the error: guess between −30 and 30.")


def _downhill(fn, start, levels):
    """What comes out, and what the model x → 1 + x/4 saw."""
    seen = []

    def model(noisy):
        seen.append(noisy)
        return 1 + noisy / 4

    given = list(levels)
    out = call(fn, model, start, given)
    expect(
        given == list(levels), "your function changes the list `levels` (pop, append, …): leave it as it is."
    )
    expect(seen, "the model was never called.")
    expect_close(seen[0], start, "the model first sees `start` as it is: that has its noise already.")
    expect(
        len(seen) == len(levels),
        f"the model was called {len(seen)} times for {len(levels)} levels: once for each level.",
    )
    expect_shape(out, tuple(start.shape), "the last restoration, in the shape of start.")
    for noisy in seen:
        expect_like(noisy, start, "draw the noise with torch.randn_like(x).")
    return out, seen


@exercise(
    "03b.denoise_down",
    verified="one restoration a level, less and fresh Gaussian noise after each, none after the last",
)
def denoise_down(fn):
    torch.manual_seed(0)
    start = 9 + normal(3_000, 2, seed=7).float()
    out, seen = _downhill(fn, start, [0.8, 0.4, 0.1])
    noises = torch.stack([after - (1 + before / 4) for before, after in zip(seen, seen[1:])])
    _noises_are_right(noises, seen, start)
    expect_close(out, 1 + seen[-1] / 4, "after the last restoration no noise is added: return it clean.")
    _, again = _downhill(fn, start, [0.8, 0.4, 0.1])
    expect(
        not torch.equal(again[1], seen[1]),
        "two calls add the same noise: fix no seed inside, and draw anew each time.",
    )
    hint = "with a single level it is a single restoration."
    single, _ = _downhill(fn, start, [0.8])
    expect_close(single, 1 + start / 4, hint)
    images = torch.zeros(60, 1, 9, 10)
    _, seen = _downhill(fn, images, [0.7, 0.6, 0.3, 0.2, 0.1])
    scales = [(after - (1 + before / 4)).std() for before, after in zip(seen, seen[1:])]
    expect_close(
        torch.stack(scales),
        [0.6, 0.3, 0.2, 0.1],
        "five levels and images: after restoration i comes noise of level levels[i + 1], for each pixel.",
        atol=0.03,
    )
    out, _ = _downhill(fn, images[:1].double(), [0.8, 0.4])
    expect_like(out, images.double(), "draw the noise with torch.randn_like(x).")
    expect_any_device(lambda x: fn(lambda noisy: 0.5 * noisy, x, [0.8, 0.4]), start)


def _noises_are_right(noises, seen, start):
    """noises (2, 3000, 2): what was added between the three restorations, for the levels 0.8, 0.4, 0.1."""
    expect(
        not torch.equal(seen[1], start),
        "the model sees `start` again and again: it gets the restored x, with its new noise.",
    )
    expect(
        seen[1].max() > 1.001,
        "what goes on is cut to [0, 1]: pass on the model's answer with all its noise, so no clamp.",
    )
    expect(
        (seen[1] - start).std() > 0.7,
        "the model's answer is not used: x = model(x) + noise.",
    )
    scales = noises.std((1, 2))
    expect(scales.max() > 1e-4, "no noise is added between the restorations.")
    for wrong, hint in (
        (
            (0.8, 0.4),
            "after each restoration comes the noise of the NEXT level, not of the one just removed.",
        ),
        ((0.16, 0.01), "a level is a standard deviation: level · randn, not its square."),
        ((0.4**0.5, 0.1**0.5), "a level is a standard deviation already: no root."),
        (
            (0.48**0.5, 0.15**0.5),
            "the noise of the next level is added in full: no difference of squares.",
        ),
        ((0.4, 0.3), "noise of the next level itself is added, not of the difference of two levels."),
        ((1.0, 1.0), "the noise has the level 1 throughout: multiply by the level."),
        (
            (0.1, 0.1),
            "the noise of the last level comes after every restoration: each has its own next level.",
        ),
        ((0.1, 0.4), "the levels are taken from their end: they are sorted downwards already."),
    ):
        expect(not torch.allclose(scales, torch.tensor(wrong), atol=0.02, rtol=0), hint)
    expect(
        noises.mean((1, 2)).abs().max() < 0.03, "the noise must have the mean 0: randn_like, not rand_like."
    )
    expect(
        noises.std(1).min() > 1e-3 and noises.std(2).max(1).values.min() > 1e-3,
        "all rows, or all entries of a row, get the same noise: draw it for each entry (torch.randn_like).",
    )
    hint = "after the first restoration comes noise of level levels[1], after the second of levels[2]."
    expect_close(scales, [0.4, 0.1], hint, atol=0.02, rtol=0)
    both = torch.corrcoef(noises.flatten(1))[0, 1].abs()
    expect(
        both < 0.5, "the same noise, only smaller, is added again: draw fresh noise after each restoration."
    )
    expect_normal(
        noises[0], 0.4, "mean and level are right, but the noise is not Gaussian: torch.randn_like."
    )
