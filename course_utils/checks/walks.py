"""A sampler watched on its way back: what it asks the model, what it gives to `step`, and the noise it adds."""

import math
import operator

import torch

from course_utils.checks.machinery import call, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_normal, expect_value, is_whole


def equation_3(x0, xt, a_t, a_s):
    """Mean and variance of lesson 06's equation (3); a_t and a_s are tensors ()."""
    a = a_t / a_s
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * (1 - a) * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * (1 - a)


class Walk:
    """One run of a sampler from `start` (n, …) along `times`, with all that it asked and gave to `step`.

    fn(predict, x, times, alpha_bar, step, *options) is the sampler, predict(x, t) → ε̂, schedule (T + 1,).
    `asked` holds pairs (t, x); `taken` holds (x̂_0, x_t, ᾱ_t, ᾱ_s, mean, variance); `out` is what came back.
    """

    def __init__(self, fn, predict, start, times, schedule, *options):
        self.asked, self.taken = [], []

        def noting(x, t):
            hint = "predict(x, t) takes the time t of all points, one whole number out of `times`, not ᾱ"
            expect(is_whole(t), hint)
            self.asked.append((operator.index(t), x))
            return predict(x, operator.index(t))

        def step(x0, xt, a_t, a_s):
            hint = (
                "step takes ᾱ_t = alpha_bar[t] and ᾱ_s = alpha_bar[s], tensors (), not times and not floats"
            )
            expect(all(isinstance(a, torch.Tensor) and a.ndim == 0 for a in (a_t, a_s)), hint)
            self.taken.append((x0, xt, a_t, a_s, *equation_3(x0, xt, a_t, a_s)))
            return self.taken[-1][4:]

        self.out = call(fn, noting, start, times, schedule, step, *options)
        expect_shape(self.out, tuple(start.shape), "as many points as at the start")

    def goes_along(self, times, schedule):
        """Raise Wrong unless the model was asked at all of `times` but the last, and each step taken between."""
        found = [t for t, _ in self.asked]
        expect(found, "ask predict(x, t) for the noise")
        hint = "ask the model at t, where x is, first at times[0] and never at the last of times"
        expect(found != times[1:], hint)
        expect(found[0] == times[0] and found[-1] != times[-1], hint)
        hint = "step from each time to the next one IN times, once each: they need not be neighbours"
        expect(found == times[:-1], hint)
        hint = "draw the next x from step(x0, x, a_t, a_s), once for each pair of neighbours in times"
        expect(len(self.taken) == len(found), hint)
        for (_, x), (_, xt, a_t, a_s, *_), t, s in zip(self.asked, self.taken, times, times[1:]):
            hint = "step takes first ᾱ_t = alpha_bar[t], where x is, then ᾱ_s = alpha_bar[s]"
            expect_close(torch.stack([a_t, a_s]), schedule[[t, s]], hint)
            expect(torch.equal(x, xt), "step takes the guess at x_0 first, then the x that predict saw")

    def noises(self):
        """The noise that each step added, in units of its standard deviation: a list of tensors."""
        after = [x for _, x in self.asked[1:]] + [self.out]
        return [
            (x - mean) / variance.sqrt()
            for x, (*_, mean, variance) in zip(after, self.taken)
            if variance > 1e-12
        ]

    def guesses(self, predict, schedule, clip=math.inf):
        """Raise Wrong unless `step` was given x̂_0 = (x − √(1 − ᾱ_t) ε̂)/√ᾱ_t, clamped to ±clip."""
        for (t, x), (x0, *_) in zip(self.asked, self.taken):
            eps, a = predict(x, t), schedule[t]
            right = (x - (1 - a).sqrt() * eps) / a.sqrt()
            causes = (
                (eps, "you give step ε̂ in the place of x_0: guess x_0 from ε̂ first"),
                (right * a.sqrt(), "the guess at x_0 must be divided by √ᾱ_t"),
                (right / a.sqrt(), "the guess at x_0 must be divided by the ROOT of ᾱ_t"),
                ((x - (1 - a) * eps) / a.sqrt(), "the noise in the guess has the factor √(1 − ᾱ_t)"),
                (
                    (x - (1 - a).sqrt() * eps.clamp(-clip, clip)) / a.sqrt(),
                    "clip works on ε̂; it is the guess at x_0 that must be clamped",
                ),
                (right.clamp(min=-clip), "only the lower end is clamped: from −clip to clip"),
                (right.clamp(max=clip), "only the upper end is clamped: from −clip to clip"),
                (right, "clamp the guess at x_0 to ±clip before `step`"),
                (right.clamp(-1, 1), "clamp to ±clip as it is given, not to ±1"),
            )
            hint = "the guess at x_0 is off: equation (2), solved for x_0, then clamped to ±clip"
            expect_value(x0, right.clamp(-clip, clip), hint, causes)


def near(a, b):
    """Whether two tensors of one shape agree in four digits."""
    return torch.allclose(a, b, atol=1e-5, rtol=1e-4)


def noise_is_right(noises):
    """Raise Wrong unless all of `noises` (each (n, 2)) are independent and standard normal."""
    last = noises[-1].flatten()
    both = torch.cat([noise.flatten() for noise in noises])
    size = both.std().item()
    hint = "on the way no new noise is added: √variance times new noise in each step"
    expect(size > 0.01, hint)
    for noise in noises:
        hint = (
            "some steps add new noise and others none: every step does, and the last one, too (unless s = 0)"
        )
        expect(noise.std() > 0.01, hint)
    hint = "new noise must be N(0, I), of mean 0: torch.randn, not torch.rand"
    expect(abs(both.mean().item()) < 0.1 * size, hint)
    hint = "each point gets noise of its own: torch.randn(x.shape, …)"
    expect(last.unique().numel() > 0.9 * last.numel(), hint)
    hint = "new noise in EACH step: draw it within the loop"
    expect(abs((noises[0] * noises[1]).mean().item()) < 0.3 * size**2, hint)
    sizes = torch.stack([noise.std() for noise in noises])
    hint = (
        "the noise on the way has the wrong size: multiply it by the ROOT of the variance that step returns"
    )
    expect((sizes - 1).abs().max() < 0.15, hint)
    expect_normal(both / size, 1.0, "new noise must be N(0, I): torch.randn")
