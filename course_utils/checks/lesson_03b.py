"""Properties of lesson 03b's exercises."""

import numbers

import torch

from course_utils.checks.machinery import Wrong, call, exercise, expect, expect_close, expect_shape


@exercise(
    "03b.denoising_loss",
    verified="fresh noise of the asked level, the clean data as target, a mean over all entries",
)
def denoising_loss(fn):
    torch.manual_seed(0)
    x = 3 + torch.randn(4_000, 5)
    seen = []

    def identity(noisy):
        seen.append(noisy)
        return noisy

    out = torch.as_tensor(call(fn, identity, x, 0.5))
    expect(seen, "the model was never called: it gets the noisy data.")
    expect_shape(out, (), "a single number: .mean().")
    added = torch.as_tensor(seen[0]) - x
    expect_shape(added, (4_000, 5), "the model gets x with noise, in the shape of x.")
    expect(added.abs().max() > 1e-6, "the model sees the clean data: add sigma times noise first.")
    scale = added.std().item()
    expect(
        abs(scale - 0.5**2) > 0.02,
        "the noise is multiplied by sigma squared: sigma is a standard deviation, not a variance.",
    )
    expect(
        abs(scale - 0.5) < 0.02,
        "the noise must have the standard deviation sigma: sigma * torch.randn_like(x).",
    )
    expect(
        added.std(0).min() > 0.4 and added.std(1).min() > 1e-3,
        "all entries of a row get the same noise: it must be drawn for each entry (torch.randn_like(x)).",
    )
    expect(added.mean().abs() < 0.02, "the noise must have the mean 0: randn, not rand.")

    def oracle(_):
        return x

    def oracle_of_noise(noisy):
        return noisy - x

    out = torch.as_tensor(call(fn, oracle_of_noise, x, 0.5))
    expect(out > 1e-3, "the target is the clean x, not the noise.")
    out = torch.as_tensor(call(fn, oracle, x, 0.5))
    expect(out < 1e-6, "the target is the clean x: a model that returns it must cost nothing.")

    def off(_):
        return x + 0.3

    out = torch.as_tensor(call(fn, off, x, 0.5))
    expect(
        abs(out.item() - 0.45) > 1e-3,
        "this is a sum over the entries: take the mean over all of them (.mean()).",
    )
    expect_close(out, 0.09, "an error of 0.3 everywhere costs 0.09: the mean of the squares.")
    sigma = torch.tensor([0.1, 2.0]).repeat(2_000)[:, None]
    seen.clear()
    call(fn, identity, x, sigma)
    levels = (seen[0] - x).view(2_000, 2, 5).std((0, 2))
    expect_close(levels, torch.tensor([0.1, 2.0]), "sigma may differ between the rows of a batch.", rtol=0.1)
    bias = torch.zeros(5, requires_grad=True)
    loss = torch.as_tensor(call(fn, lambda noisy: noisy + bias, x, 0.5))
    expect(loss.requires_grad, "no gradient reaches the model: no .item(), .detach() or no_grad here.")


@exercise(
    "03b.no_datum",
    verified="the best answer is far from every clean point: it fails, as it should",
)
def no_datum(fn):
    out = call(fn)
    if not isinstance(out, tuple | list) or len(out) != 2:
        raise Wrong("return two things: clean points (m, 2) and one noisy point (2,).")
    clean, noisy = out
    if not isinstance(clean, torch.Tensor) or clean.dim() != 2 or clean.shape[1] != 2 or len(clean) < 1:
        raise Wrong("the clean points are a tensor (m, 2), one point a row.")
    expect_shape(noisy, (2,), "one noisy point.")
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
    "03b.score_of", verified="the exact score of a Gaussian with noise, at two noise levels, in any shape"
)
def score_of(fn):
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    for sigma in (0.5, 2.0):
        shrink = 1 / (1 + sigma**2)  # the clean data are N(0, I)

        def perfect(x, shrink=shrink):
            return shrink * x

        exact = -shrink * noisy
        out = call(fn, perfect, noisy, sigma)
        expect_shape(out, (40, 3), "one number for each entry of the noisy data.")
        expect(
            not torch.allclose(out.double(), -exact, atol=1e-6),
            "the sign: the score points from the noisy point to the answer, model(noisy) − noisy.",
        )
        hint = "this is σ² times the score: divide the correction by σ²."
        expect(not torch.allclose(out.double(), sigma**2 * exact, atol=1e-6), hint)
        hint = "divide by σ², not by σ."
        expect(not torch.allclose(out.double(), sigma * exact, atol=1e-6), hint)
        expect_close(out, exact, "the score is (E[x | x̃] − x̃) / σ², and the model's answer is E[x | x̃].")
    image = torch.zeros(2, 1, 4, 4)
    out = call(fn, lambda x: x + 1, image, 0.5)
    expect_close(out, torch.full((2, 1, 4, 4), 4.0), "it must work for images as well.")


@exercise("03b.gain", verified="a number of decibels; what it is worth is printed below")
def gain(fn):
    out = call(fn)
    if not isinstance(out, numbers.Real) or isinstance(out, bool):
        raise Wrong("return one plain number, in decibels: return 5, say.")
    expect(-30 <= out <= 30, "30 dB is a thousandth of the error: guess between −30 and 30.")


@exercise(
    "03b.denoise_down",
    verified="one restoration a level, less noise after each, none after the last",
)
def denoise_down(fn):
    torch.manual_seed(0)
    start = torch.full((3_000, 2), 9.0)
    levels = [0.8, 0.4, 0.1]
    seen = []

    def to_one(noisy):
        seen.append(noisy)
        return torch.ones_like(noisy)

    out = call(fn, to_one, start, levels)
    expect(seen, "the model was never called.")
    expect_close(seen[0], start, "the model first sees `start` as it is: that has its noise already.")
    expect(
        len(seen) == len(levels),
        f"the model was called {len(seen)} times for {len(levels)} levels: once for each level.",
    )
    expect_shape(out, (3_000, 2), "the last restoration, in the shape of start.")
    noises = [(torch.as_tensor(x) - 1).std().item() for x in seen[1:]]
    expect(max(noises) > 1e-4, "no noise is added between the restorations.")
    expect(
        not (abs(noises[0] - 0.8) < 0.02 and abs(noises[1] - 0.4) < 0.02),
        "after each restoration comes the noise of the NEXT level, not of the one just removed.",
    )
    hint = "after the first restoration comes noise of level levels[1], after the second levels[2]: level · randn."
    expect_close(torch.tensor(noises), torch.tensor([0.4, 0.1]), hint, atol=0.02, rtol=0)
    means = torch.tensor([(torch.as_tensor(x) - 1).mean().item() for x in seen[1:]])
    expect(means.abs().max() < 0.02, "the noise must have the mean 0: randn_like, not rand_like.")
    expect_close(out, torch.ones(3_000, 2), "after the last restoration no noise is added: return it clean.")
    single = call(fn, to_one, start, [0.8])
    expect_close(single, torch.ones(3_000, 2), "with a single level it is a single restoration.")
