"""Properties of lesson 12b's exercises: two wishes at once, a bet, the way to noise, a classifier by Bayes."""

import math
import numbers

import torch

from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, normal, pair_of


@exercise(
    "12b.compose",
    verified="none, one, two and three wishes with scales of their own, points and images, both precisions",
)
def compose(fn):
    free, *told = normal(4, 5, 2, seed=1)
    scales = [0.75, 2.0, -1.5]
    for k in (3, 2):
        out = call(fn, free, told[:k], scales[:k])
        expect_shape(out, (5, 2), "one prediction, as large as each of those that came in.")
        right = free + sum(w * (part - free) for w, part in zip(scales, told[:k]))
        hint = f"for {k} wishes: the free prediction, and w times the difference to it for each wish."
        expect_value(out, right, hint, _compose_causes(free, told[:k], scales[:k]))
    expect_double(out, right)
    nobody = call(fn, free, told[:2], [0.0, 0.0])
    expect_close(nobody, free, "with both scales 0 nobody asks for anything: the free prediction is left.")
    alone = call(fn, free, told[:1], [1.0])
    expect_close(alone, told[0], "one wish at scale 1 is that wish's own prediction.")
    none = call(fn, free, [], [])
    expect_close(none, free, "without wishes the free prediction is left.")
    images = [part.float() for part in normal(3, 2, 1, 4, 5, seed=2)]
    out = call(fn, images[0], images[1:], [1.0, 3.0])
    expect_like(out, images[0])
    right = 3 * images[2] + images[1] - 3 * images[0]
    expect_close(out, right, "images come out differently from points.", atol=1e-4)
    learn = [part.clone().requires_grad_() for part in images]
    out = call(fn, learn[0], learn[1:], [1.0, 3.0])
    expect_gradient(out, *learn)
    for slope, right in zip(torch.autograd.grad(out.sum(), learn), (-3.0, 1.0, 3.0)):
        hint = "a part of the gradient is lost: is the free prediction or a difference detached?"
        expect_close(slope, torch.full_like(slope, right), hint, atol=1e-4)
    expect_any_device(fn, images[0], images[1:], [1.0, 3.0])


def _compose_causes(free, told, scales):
    """What usual mistakes come to: pairs (value, hint)."""
    sum_of = sum(w * part for w, part in zip(scales, told))
    steps = [part - free for part in told]
    moved = sum(w * step for w, step in zip(scales, steps))
    swapped = sum(w * step for w, step in zip(scales[::-1], steps))
    return [
        (free + sum_of, "each wish is a difference to the free prediction: w · (told − free), not w · told."),
        (sum_of, "the free prediction is missing, as the start and in each difference."),
        (sum_of - free, "the free prediction is subtracted once for all: each wish is a difference to it."),
        (moved, "the differences need a place to start from: add the free prediction."),
        (free - moved, "the sign is turned: from the free prediction towards what was asked for."),
        (free + moved / len(told), "the wishes add up: a sum, not a mean."),
        (free + swapped, "the scales are exchanged: the first belongs to the first wish."),
        (free + scales[0] * sum(steps), "each wish has its own scale; here the first one serves for all."),
        (free + scales[0] * steps[0], "only the first wish counts: go through all of them."),
        (free + scales[-1] * steps[-1], "only the last wish counts: add up instead of starting anew."),
        (
            _chained(free, told, scales),
            "each difference is taken to the free prediction, not to the result so far.",
        ),
        (
            free + sum((1 + w) * step for w, step in zip(scales, steps)),
            "some papers write 1 + w; here w = 1 is the conditional prediction itself.",
        ),
        (free + sum(steps), "the scales are forgotten."),
    ]


def _chained(free, told, scales):
    """Each wish measured from what the earlier ones made."""
    out = free
    for part, w in zip(told, scales):
        out = out + w * (part - out)
    return out


FAMILIES = ("VAE", "GAN", "flow", "PixelCNN", "diffusion")


@exercise("12b.bet", verified="five shares from 0 to 1; the table below has the measured ones")
def my_bet(fn):
    bet = call(fn)
    hint = "return five numbers in a list, for VAE, GAN, flow, PixelCNN and diffusion."
    expect(not isinstance(bet, dict), f"no names, only the numbers, in this order: {', '.join(FAMILIES)}.")
    expect(not isinstance(bet, str), f"words are no numbers: {hint}")
    if isinstance(bet, torch.Tensor) or hasattr(bet, "tolist"):
        bet = bet.tolist()
    expect(isinstance(bet, list | tuple), hint)
    expect(len(bet) == 5, f"these are {len(bet)} numbers, there are five families: {', '.join(FAMILIES)}.")
    for share in bet:
        real = isinstance(share, numbers.Real) and not isinstance(share, bool)
        expect(real, f"{share!r} is no number: {hint}")
        expect(math.isfinite(share), f"{share} is no share: finite numbers only.")
    expect(max(bet) <= 1 or min(bet) < 0, "shares run from 0 to 1: 30 per cent is 0.3.")
    expect(min(bet) >= 0 and max(bet) <= 1, "a share is not below 0 and not above 1.")


def _schedule():
    """A noise schedule ᾱ_0 … ᾱ_8, float64."""
    return torch.tensor([1.0, 0.97, 0.9, 0.8, 0.66, 0.5, 0.31, 0.13, 0.02], dtype=torch.float64)


def _guess(x, t):
    """A predictor that depends on the point, on its neighbour and on the time."""
    return 0.6 * torch.tanh(x) + 0.3 * x.flip(-1) + 0.1 * t


@exercise(
    "12b.to_noise",
    verified="one step and many against true values, the way back, an exact Gaussian, points and images",
)
def to_noise(fn):
    abar, x = _schedule(), normal(5, 2, seed=3)
    for times in ([1, 5], [0, 2, 3, 6, 8]):
        out = call(fn, _guess, x, times, abar)
        expect_shape(out, (5, 2), "as many numbers as came in.")
        expect(torch.isfinite(out).all(), "inf or nan: is something divided by 1 − ᾱ_0, which is 0?")
        hint = "from t to the next time s: x̂_0 by ε̂ at t, then √ᾱ_s x̂_0 + √(1 − ᾱ_s) ε̂."
        expect_value(out, _up(x, times, abar), hint, _noise_causes(x, times, abar))
    expect_double(out, _up(x, times, abar))
    expect_close(call(fn, _guess, x, [3], abar), x, "with one time only there is no way to go.")
    _there_and_back(fn, abar)
    _gaussian_goes_to_noise(fn)
    images = normal(3, 1, 4, 6, seed=5).float()
    out = call(fn, _guess, images, [1, 4, 8], abar)
    expect_like(out, images, "ᾱ is float64 and a tensor of shape (): leave it so, that converts nothing.")
    wanted = _up(images.double(), [1, 4, 8], abar)
    expect_close(out, wanted, "images come out differently from points.", atol=1e-4)
    expect_any_device(lambda x: fn(_guess, x, [1, 4, 8], abar), images)


def _up(x, times, abar, where="t", root=True, clip=math.inf, kept=True):
    """The way up, and with other arguments what mistakes make of it."""
    for t, s in zip(times, times[1:]):
        eps = _guess(x, t if where == "t" else s)
        a_t, a_s = abar[t], abar[s]
        noise_t, noise_s = ((1 - a).sqrt() if root else 1 - a for a in (a_t, a_s))
        x0 = ((x - noise_t * eps) / a_t.sqrt()).clamp(-clip, clip)
        x = a_s.sqrt() * x0 + (noise_s * eps if kept else 0)
    return x


def _noise_causes(x, times, abar):
    """What usual mistakes come to: pairs (value, hint)."""
    first, last = times[0], times[-1]
    swapped = x
    for t, s in zip(times, times[1:]):
        eps = _guess(swapped, t)
        x0 = (swapped - (1 - abar[s]).sqrt() * eps) / abar[s].sqrt()
        swapped = abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * eps
    fresh = x
    for t, s in zip(times, times[1:]):
        fresh = (abar[s] / abar[t]).sqrt() * fresh + (1 - abar[s] / abar[t]).sqrt() * _guess(fresh, t)
    guess = x
    for t in times[:-1]:
        guess = (guess - (1 - abar[t]).sqrt() * _guess(guess, t)) / abar[t].sqrt()
    jump = _up(x, [first, last], abar)
    return [
        (jump, "one jump from the first to the last time: go through all of them, asking anew at each."),
        (swapped, "the two levels are exchanged: x̂_0 is computed at t, then noised to s."),
        (_up(x, times, abar, where="s"), "ε̂ is asked for at t, where x stands, not at s, where it goes."),
        (_up(x, times, abar, root=False), "the noise has the ROOT of 1 − ᾱ as its factor."),
        (_up(x, times, abar, clip=1.0), "x̂_0 is clipped: then the way back does not end where it began."),
        (_up(x, times, abar, kept=False), "x̂_0 only shrinks: the noise √(1 − ᾱ_s) ε̂ belongs to it."),
        (guess, "this is x̂_0: put it to the level of s, √ᾱ_s x̂_0 + √(1 − ᾱ_s) ε̂."),
        (fresh, "ε̂ is added like new noise: first take it out, x̂_0, then put both together anew."),
        (_up(x, times[::-1], abar), "this goes down: the times rise as they come, do not reverse them."),
    ]


def _there_and_back(fn, abar):
    """Where ε̂ does not depend on x, every step is undone exactly."""
    noise = normal(5, 2, seed=4)
    x = normal(5, 2, seed=6)
    ends = [call(fn, lambda x, t: noise, x, [2, 4, 7], abar) for _ in range(2)]
    expect_close(ends[0], ends[1], "twice the same point, two results: no new noise on this way.")
    x0 = (x - (1 - abar[2]).sqrt() * noise) / abar[2].sqrt()
    hint = "if ε̂ is always the same, x̂_0 is, too, and x ends at √ᾱ x̂_0 + √(1 − ᾱ) ε̂."
    expect_close(ends[0], abar[7].sqrt() * x0 + (1 - abar[7]).sqrt() * noise, hint)


def _gaussian_goes_to_noise(fn):
    """The exact ε̂ of N(2, 0.5²) in 400 steps carries each point to its own quantile of N(0, 1)."""
    abar = torch.cos(math.pi / 2 * torch.linspace(0, 0.99, 401, dtype=torch.float64)) ** 2

    def predict(x, t):
        variance = abar[t] * 0.25 + 1 - abar[t]
        return (1 - abar[t]).sqrt() * (x - 2 * abar[t].sqrt()) / variance

    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    out = call(fn, predict, 2 + 0.5 * z, list(range(401)), abar)
    hint = "exact predictions carry N(2, ½²) to N(0, 1), each point to its own place; here they do not."
    expect_close(out, z, hint, atol=0.05, rtol=0)


@exercise(
    "12b.bayes",
    verified="posterior and log p(x) for three classes and priors that differ, also where each p is 0 to all digits",
)
def bayes(fn):
    terms = -normal(4, 3, 6, seed=7).abs()  # (N, K, D)
    prior = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    log_post, log_px = _pair(fn, terms, prior.log())
    expect_shape(log_post, (4, 3), "one log p(y | x) for each picture and class, (N, K).")
    expect_shape(log_px, (4,), "one log p(x) for each picture, (N,).")
    joint = terms.sum(2) + prior.log()
    right = joint.log_softmax(1)
    expect_value(
        log_post, right, "log p(y | x) = log p(y) + Σ log p(x_i | …, y) − log p(x).", _causes(terms, prior)
    )
    expect_value(
        log_px, joint.logsumexp(1), "log p(x) is the logarithm of the sum over classes.", _px(terms, prior)
    )
    total = log_post.exp().sum(1)
    expect_close(total, torch.ones(4), "the posterior of a picture adds up to 1.")
    expect_double(log_post, right)
    far, far_px = _pair(fn, terms - 200, prior.log())
    hint = "each p(x | y) is 0 to all digits there: stay with logarithms, torch.logsumexp or log_softmax."
    expect(bool(far.isfinite().all() and far_px.isfinite().all()), hint)
    expect_close(far, right, hint)
    expect_close(far_px, joint.logsumexp(1) - 1200, hint)
    small = terms.float(), prior.log().float()
    for part in _pair(fn, *small):
        expect_like(part, small[0])
    learn = terms.clone().requires_grad_()
    expect_gradient(_pair(fn, learn, prior.log())[1], learn)
    expect_any_device(fn, *small)


def _pair(fn, *args):
    pair = pair_of(call(fn, *args), "return two results: log p(y | x) (N, K) and log p(x) (N,).")
    for part in pair:
        if not isinstance(part, torch.Tensor):
            raise Wrong("return two tensors: log p(y | x) (N, K) and log p(x) (N,).")
    return pair


def _causes(terms, prior):
    """What usual mistakes make of log p(y | x): pairs (value, hint)."""
    likelihood, log_prior = terms.sum(2), prior.log()
    joint = likelihood + log_prior
    return [
        (likelihood.log_softmax(1), "the prior is forgotten: classes are not equally frequent here."),
        (
            (terms.mean(2) + log_prior).log_softmax(1),
            "nats a pixel: the logarithms of the factors are summed over the pixels, not averaged.",
        ),
        (joint, "this is log p(x, y): subtract log p(x), so that the classes add up to 1."),
        (joint.softmax(1), "these are probabilities: their logarithms are asked for."),
        (joint.log_softmax(0), "normalised over the pictures: each picture's classes add up to 1 (dim=1)."),
        ((likelihood + prior).log_softmax(1), "the prior comes as a logarithm already: add it, no exp."),
        (
            (likelihood + log_prior.log_softmax(0).exp()).log_softmax(1),
            "the prior is a logarithm: add it, no exp.",
        ),
        ((likelihood - log_prior).log_softmax(1), "the prior is divided by: add its logarithm."),
        ((likelihood * log_prior).log_softmax(1), "logarithms of a product add up: + log p(y)."),
        ((terms.amax(2) + log_prior).log_softmax(1), "all pixels count: sum over them, no maximum."),
        (
            (-likelihood + log_prior).log_softmax(1),
            "the sign is turned: the likelier class has the larger log p.",
        ),
        (likelihood, "this is log p(x | y): add log p(y), then subtract log p(x)."),
    ]


def _px(terms, prior):
    """What usual mistakes make of log p(x): pairs (value, hint)."""
    likelihood = terms.sum(2)
    joint = likelihood + prior.log()
    return [
        (likelihood.logsumexp(1), "log p(x) without the prior: each class counts by its frequency."),
        (
            likelihood.logsumexp(1) - math.log(3),
            "log p(x) with equal priors: each class counts by its frequency.",
        ),
        (joint.amax(1), "the largest class only: log p(x) sums over all classes, torch.logsumexp."),
        (joint.sum(1), "probabilities add up, not their logarithms: torch.logsumexp."),
        (joint.exp().sum(1), "this is p(x): take its logarithm."),
        (-joint.logsumexp(1), "the sign of log p(x) is turned."),
        (joint.mean(1), "probabilities add up, not their logarithms: torch.logsumexp."),
        ((terms.mean(2) + prior.log()).logsumexp(1), "nats a pixel: sum over the pixels, do not average."),
    ]
