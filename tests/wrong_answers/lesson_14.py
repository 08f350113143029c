"""Wrong answers to the exercises of lesson 14, each with a part of the hint that it must get."""

import math

import torch


def parts(a_k, a_s):
    """α_k, σ_k, α_s, σ_s."""
    return a_k.sqrt(), (1 - a_k).sqrt(), a_s.sqrt(), (1 - a_s).sqrt()


def clocked(clock):
    """Equation (1) with another step, of α_k, σ_k, α_s, σ_s."""

    def ddim(y, eps, a_k, a_s):
        alpha_k, _, alpha_s, _ = four = parts(a_k, a_s)
        return alpha_s * (y / alpha_k + clock(*four) * eps)

    return ddim


def placed(place):
    """Another use of the old place y, the step times ε̂, and α_k, α_s."""

    def ddim(y, eps, a_k, a_s):
        alpha_k, sigma_k, alpha_s, sigma_s = parts(a_k, a_s)
        return place(y, (sigma_s / alpha_s - sigma_k / alpha_k) * eps, alpha_k, alpha_s)

    return ddim


def levelled(sigma):
    """ᾱ taken for α, and σ made of it."""

    def ddim(y, eps, a_k, a_s):
        return a_s * (y / a_k + (sigma(a_s) / a_s - sigma(a_k) / a_k) * eps)

    return ddim


def right_step(y, eps, a_k, a_s):
    alpha_k, sigma_k, alpha_s, sigma_s = parts(a_k, a_s)
    return alpha_s * (y / alpha_k + (sigma_s / alpha_s - sigma_k / alpha_k) * eps)


def ddim_slope_y(y, eps, a_k, a_s):
    return right_step(y, y, a_k, a_s)


def ddim_guess(y, eps, a_k, a_s):
    return (y - (1 - a_k).sqrt() * eps) / a_k.sqrt()


def ddim_only_signal(y, eps, a_k, a_s):
    return a_s.sqrt() * ddim_guess(y, eps, a_k, a_s)


def ddim_new_coordinates(y, eps, a_k, a_s):
    return right_step(y, eps, a_k, a_s) / (a_s.sqrt() + (1 - a_s).sqrt())


def ddim_exchanged(y, eps, a_k, a_s):
    return right_step(y, eps, a_s, a_k)


def ddim_slope_of_the_guess(y, eps, a_k, a_s):
    return right_step(y, ddim_guess(y, eps, a_k, a_s), a_k, a_s)


def ddim_by_logarithms(y, eps, a_k, a_s):
    alpha_k, sigma_k, alpha_s, sigma_s = parts(a_k, a_s)
    step = sigma_k / alpha_k * ((sigma_s / alpha_s).log() - (sigma_k / alpha_k).log()).expm1()
    return alpha_s * (y / alpha_k + step / (sigma_s / sigma_s) * eps)


def ddim_clamped(y, eps, a_k, a_s):
    alpha_k, sigma_k, alpha_s, sigma_s = parts(a_k.clamp(min=1e-6), a_s)
    return alpha_s * (y / alpha_k + (sigma_s / alpha_s - sigma_k / alpha_k) * eps)


def ddim_small_number(y, eps, a_k, a_s):
    return right_step(y, eps, a_k + 1e-8, a_s)


def ddim_promotes(y, eps, a_k, a_s):
    return right_step(y, eps, a_k[None], a_s[None])


def ddim_on_cpu(y, eps, a_k, a_s):
    return right_step(y, eps + torch.zeros(y.shape, dtype=y.dtype), a_k, a_s)


def ddim_in_place(y, eps, a_k, a_s):
    y /= a_k.sqrt()
    return a_s.sqrt() * (y + ((1 / a_s - 1).sqrt() - (1 / a_k - 1).sqrt()) * eps)


def ddim_flat(y, eps, a_k, a_s):
    return right_step(y, eps, a_k, a_s).flatten()


def heun(mean=lambda first, second: (first + second) / 2, place=None, time=None, width=None):
    """Equation (4) with another mean of the slopes, another second place or time, another length."""
    place = place or (lambda x, first, h: x + h * first)
    time = time or (lambda t, h: t + h)
    width = width or (lambda h: h)

    def step(u, x, t, h):
        first = u(x, t)
        second = u(place(x, first, h), time(t, h))
        return x + width(h) * mean(first, second)

    return step


def of_heun(change):
    """`change(x, first, second, h)` in the place of what (4) does with the slopes."""

    def step(u, x, t, h):
        first = u(x, t)
        return change(x, first, u(x + h * first, t + h), h)

    return step


def heun_euler(u, x, t, h):
    return x + h * u(x, t)


def heun_midpoint(u, x, t, h):
    return x + h * u(x + h / 2 * u(x, t), t + h / 2)


def heun_ralston(u, x, t, h):
    first = u(x, t)
    return x + h * (first + 3 * u(x + 2 * h / 3 * first, t + 2 * h / 3)) / 4


def heun_runge_kutta(u, x, t, h):
    a = u(x, t)
    b = u(x + h / 2 * a, t + h / 2)
    c = u(x + h / 2 * b, t + h / 2)
    return x + h / 6 * (a + 2 * b + 2 * c + u(x + h * c, t + h))


def heun_third_order(u, x, t, h):
    a = u(x, t)
    b = u(x + h / 2 * a, t + h / 2)
    return x + h / 6 * (a + 4 * b + u(x - h * a + 2 * h * b, t + h))


def heun_three_evaluations(u, x, t, h):
    return x + h / 2 * (u(x, t) + u(x + h * u(x, t), t + h))


def heun_twice_improved(u, x, t, h):
    first = u(x, t)
    second = u(x + h * first, t + h)
    return x + h / 2 * (first + u(x + h / 2 * (first + second), t + h))


def heun_implicit_at_x(u, x, t, h):
    return x + h * u(x, t + h)


def heun_forwards_only(u, x, t, h):
    h = abs(h)
    first = u(x, t)
    return x + h / 2 * (first + u(x + h * first, t + h))


def heun_in_place(u, x, t, h):
    first = u(x, t)
    before = x.clone()
    x += h * first
    return before + h / 2 * (first + u(x, t + h))


def heun_times_for_all(u, x, t, h):
    first = u(x, torch.full((len(x),), t))
    return x + h / 2 * (first + u(x + h * first, torch.full((len(x),), t + h)))


def heun_time_first(u, x, t, h):
    first = u(t, x)
    return x + h / 2 * (first + u(t + h, x + h * first))


def heun_in_single(u, x, t, h):
    first = u(x.float(), t)
    return (x.float() + h / 2 * (first + u(x.float() + h * first, t + h))).to(x.dtype)


def heun_in_double(u, x, t, h):
    return heun()(u, x.double(), t, h)


def heun_on_cpu(u, x, t, h):
    first = u(x, t)
    return x + torch.full(x.shape, h / 2, dtype=x.dtype) * (first + u(x + h * first, t + h))


def heun_summed(u, x, t, h):
    return heun()(u, x, t, h).sum(1)


def axes(t, x):
    return t.view(-1, *[1] * (x.dim() - 1))


def seeing(state=lambda x, eps, t: t * x + (1 - t) * eps, told=lambda t: t, flat=False):
    """The loss with another x_t, of times with as many axes as x (`flat`: as they came), or other times told."""

    def loss(model, x, eps, t):
        xt = state(x, eps, t if flat else axes(t, x))
        return (model(xt, told(t)) - (x - eps)).square().mean()

    return loss


def comparing(compare=lambda gap: gap.square().mean(), target=lambda x, eps, xt: x - eps):
    """The loss with another mean of the differences, or another target."""

    def loss(model, x, eps, t):
        xt = axes(t, x) * x + (1 - axes(t, x)) * eps
        return compare(model(xt, t) - target(x, eps, xt))

    return loss


def flow_own_noise(model, x, eps, t):
    return comparing()(model, x, torch.randn_like(x), t)


def flow_own_times(model, x, eps, t):
    return comparing()(model, x, eps, torch.rand_like(t))


def flow_for_points_only(model, x, eps, t):
    xt = t[:, None] * x + (1 - t[:, None]) * eps
    return (model(xt, t) - (x - eps)).square().mean()


def flow_for_images_only(model, x, eps, t):
    time = t.view(-1, 1, 1, 1)
    return (model(time * x + (1 - time) * eps, t) - (x - eps)).square().mean()


def flow_columns(model, x, eps, t):
    """torch's broadcasting does not complain where there are as many columns as samples."""
    time = t if len(t) == x.shape[-1] else axes(t, x)
    return (model(time * x + (1 - time) * eps, t) - (x - eps)).square().mean()


def flow_without_gradient(model, x, eps, t):
    with torch.no_grad():
        return comparing()(model, x, eps, t)


def flow_float(model, x, eps, t):
    return comparing()(model, x, eps, t).item()


def flow_backward(model, x, eps, t):
    loss = comparing()(model, x, eps, t)
    loss.backward(retain_graph=True)
    return loss


def flow_half_detached(model, x, eps, t):
    xt = axes(t, x) * x + (1 - axes(t, x)) * eps
    out, goal = model(xt, t), x - eps
    return (out * out.detach() - 2 * out * goal + goal**2).mean()


def flow_asks_twice(model, x, eps, t):
    xt = axes(t, x) * x + (1 - axes(t, x)) * eps
    return ((model(xt, t) - (x - eps)) * (model(xt, t) - (x - eps))).mean()


def flow_asks_nobody(model, x, eps, t):
    return (x - eps).square().mean()


def flow_time_first(model, x, eps, t):
    xt = axes(t, x) * x + (1 - axes(t, x)) * eps
    return (model(t, xt) - (x - eps)).square().mean()


def flow_in_place(model, x, eps, t):
    x -= eps
    return (model(eps + axes(t, x) * x, t) - x).square().mean()


def flow_in_single(model, x, eps, t):
    return comparing()(model, x, eps, t).float()


def flow_on_cpu(model, x, eps, t):
    xt = torch.zeros(x.shape, dtype=x.dtype) + axes(t, x) * x + (1 - axes(t, x)) * eps
    return (model(xt, t) - (x - eps)).square().mean()


def score_summed(u, x, t):
    return ((t * u - x) / (1 - t)).sum(1)


def score_by_quotient(u, x, t):
    return (u - x / t) * (t / (1 - t))


def score_small_number(u, x, t):
    return (t * u - x) / (1 - t + 1e-7)


def score_in_place(u, x, t):
    u *= t
    return (u - x) / (1 - t)


def score_in_double(u, x, t):
    return (t * u.double() - x.double()) / (1 - t)


def score_on_cpu(u, x, t):
    return (t * u - x) / torch.full(x.shape, 1 - t, dtype=x.dtype)


def of_pairs(change):
    """`change(eps, ends)` in the place of the pair."""

    def reflow(u, eps, times, solve):
        with torch.no_grad():
            return change(eps, solve(u, eps, times))

    return reflow


def walking(walk):
    """Another walk, `walk(u, eps, times, solve)`, beside its noise."""

    def reflow(u, eps, times, solve):
        with torch.no_grad():
            return eps, walk(u, eps, times, solve)

    return reflow


def euler(u, x, times):
    for t, later in zip(times, times[1:]):
        x = x + (later - t) * u(x, t)
    return x


def reflow_in_place(u, eps, times, solve):
    x = eps
    with torch.no_grad():
        for t, later in zip(times, times[1:]):
            x += (later - t) * u(x, t)
    return eps, x


def reflow_own_noise(u, eps, times, solve):
    noise = torch.randn_like(eps)
    with torch.no_grad():
        return noise, solve(u, noise, times)


def reflow_with_graph(u, eps, times, solve):
    return eps, solve(u, eps, times)


def reflow_inference(u, eps, times, solve):
    with torch.inference_mode():
        return eps, solve(u, eps, times)


def reflow_turns_times(u, eps, times, solve):
    times.reverse()
    with torch.no_grad():
        return eps, solve(u, eps, times)


def reflow_stops(u, eps, times, solve):
    x = eps
    with torch.no_grad():
        for t, later in zip(times, times[1:]):
            x = solve(u, x, [t, later])
    return eps, x


def even(times):
    n = len(times) - 1
    return [times[0] + (times[-1] - times[0]) * i / n for i in range(n + 1)]


WRONG = {
    "14.ddim_by_euler": [
        (clocked(lambda ak, sk, a, s: s - sk), "measured in σ"),
        (clocked(lambda ak, sk, a, s: a / s - ak / sk), "upside down"),
        (clocked(lambda ak, sk, a, s: s / sk), "a step is a difference"),
        (clocked(lambda ak, sk, a, s: a - ak), "measured in α"),
        (clocked(lambda ak, sk, a, s: a**2 - ak**2), "measured in ᾱ"),
        (clocked(lambda ak, sk, a, s: s / a), "new less old"),
        (clocked(lambda ak, sk, a, s: sk / ak - s / a), "wrong sign"),
        (clocked(lambda ak, sk, a, s: s**2 / a - sk**2 / ak), "σ² stands where σ belongs"),
        (clocked(lambda ak, sk, a, s: (1 - a) / a - (1 - ak) / ak), "σ is not 1 − α"),
        (clocked(lambda ak, sk, a, s: s / a**2 - sk / ak**2), "in the step as well"),
        (levelled(lambda a: (1 - a).sqrt()), "α is its root."),
        (levelled(lambda a: (1 - a**2).sqrt()), "σ follows from ᾱ"),
        (levelled(lambda a: 1 - a), "both roots are missing"),
        (placed(lambda y, way, ak, a: a * (y / ak**2 + way)), "divided by the wrong one"),
        (placed(lambda y, way, ak, a: a**2 * (y / ak + way)), "comes back by the wrong one"),
        (placed(lambda y, way, ak, a: y / ak + way), "y itself is asked for, so"),
        (placed(lambda y, way, ak, a: ak * (y / ak + way)), "with the old α"),
        (placed(lambda y, way, ak, a: (y / ak + way) / a), "once more"),
        (placed(lambda y, way, ak, a: a * (y + way)), "not divided by its α"),
        (placed(lambda y, way, ak, a: a * (ak * y + way)), "multiplied by its α"),
        (placed(lambda y, way, ak, a: a * y / ak + way), "only the old place"),
        (placed(lambda y, way, ak, a: y / ak + a * way), "only the step comes back"),
        (placed(lambda y, way, ak, a: a * way), "old place is missing"),
        (placed(lambda y, way, ak, a: y), "nothing moved"),
        (ddim_slope_y, "not y."),
        (ddim_slope_of_the_guess, "not the guess at the data"),
        (ddim_only_signal, "all noise is gone"),
        (ddim_guess, "this is the guess x̂"),
        (ddim_new_coordinates, "x_t of the next page"),
        (ddim_exchanged, "levels are exchanged"),
        (ddim_by_logarithms, "gives inf or nan"),
        (ddim_clamped, "no clamp and no small number"),
        (ddim_small_number, "seven digits"),
        (ddim_promotes, "float32 goes in and float64 comes out"),
        (ddim_on_cpu, "mixes devices"),
        (ddim_in_place, "in place"),
        (ddim_flat, "as many numbers as y has"),
        (lambda *a: right_step(*a).tolist(), "this is a list"),
    ],
    "14.heun_step": [
        (heun_euler, "this is Euler's step"),
        (heun(place=lambda x, first, h: x), "at the old place: go"),
        (heun(time=lambda t, h: t), "at the old time"),
        (heun(time=lambda t, h: h), "at the time h"),
        (heun(place=lambda x, first, h: x + first), "an Euler step is h long"),
        (heun(place=lambda x, first, h: x - h * first), "lies behind x"),
        (heun(place=lambda x, first, h: h * first), "counted from 0"),
        (heun(mean=lambda first, second: second), "only the second slope is walked along"),
        (heun(mean=lambda first, second: first + second), "twice as far"),
        (heun(mean=lambda first, second: first + second / 2), "only the second slope is halved"),
        (heun(mean=lambda first, second: first / 2 + second), "only the first slope is halved"),
        (heun(mean=lambda first, second: (second - first) / 2), "are subtracted"),
        (heun(width=lambda h: -h), "against them"),
        (heun(width=lambda h: 1), "the step has length 1"),
        (heun(width=abs), "its sign is lost in the walk"),
        (of_heun(lambda x, first, second, h: x + h * first + h * (first + second) / 2), "it starts at x"),
        (of_heun(lambda x, first, second, h: h * (first + second) / 2), "the way alone"),
        (of_heun(lambda x, first, second, h: (first + second) / 2), "this is the mean slope"),
        (of_heun(lambda x, first, second, h: x), "nothing moved"),
        (heun_implicit_at_x, "only a second slope"),
        (heun_midpoint, "the midpoint method"),
        (heun_ralston, "Ralston's method"),
        (heun_runge_kutta, "fourth order"),
        (heun_third_order, "not so from t = 0.2 by h = 0.3"),
        (heun_three_evaluations, "u is asked 3 times"),
        (heun_twice_improved, "improved twice"),
        (heun_forwards_only, "its sign is lost."),
        (heun_in_place, "in place"),
        (heun_times_for_all, "one number for the time"),
        (heun_in_single, "seven digits"),
        (heun_in_double, "float32 goes in and float64 comes out"),
        (heun_on_cpu, "mixes devices"),
        (heun_summed, "as many places as x has"),
    ],
    "14.flow_loss": [
        (seeing(lambda x, eps, t: t * eps + (1 - t) * x), "time runs the wrong way"),
        (seeing(lambda x, eps, t: t[0] * x + (1 - t[0]) * eps), "all have that of sample 0"),
        (seeing(lambda x, eps, t: t[-1] * x + (1 - t[-1]) * eps), "all have that of sample 4"),
        (seeing(lambda x, eps, t: t.mean() * x + (1 - t.mean()) * eps), "the mean of all times"),
        (seeing(lambda x, eps, t: x), "sees the data themselves"),
        (seeing(lambda x, eps, t: eps), "sees the noise itself"),
        (seeing(lambda x, eps, t: t * x + eps), "the noise must fade"),
        (seeing(lambda x, eps, t: x + (1 - t) * eps), "the data must appear"),
        (seeing(lambda x, eps, t: t * x - (1 - t) * eps), "the noise is subtracted"),
        (seeing(lambda x, eps, t: t * x + (1 - t**2).sqrt() * eps), "a circle"),
        (seeing(lambda x, eps, t: t.sqrt() * x + (1 - t).sqrt() * eps), "roots, as in lesson 06"),
        (seeing(lambda x, eps, t: eps - t * (x - eps)), "walks away from the data"),
        (seeing(lambda x, eps, t: t * x), "the noise is missing on the way"),
        (seeing(lambda x, eps, t: (1 - t) * eps), "the data are missing on the way"),
        (seeing(lambda x, eps, t: t**2 * x + (1 - t**2) * eps), "on the straight line"),
        (seeing(flat=True), "as many axes as x has. (your function"),
        (flow_columns, "meet the columns of x"),
        (flow_for_points_only, "meet the rows of x"),
        (flow_for_images_only, "times (B,) meet other axes"),
        (seeing(told=lambda t: 1 - t), "told 1 − t"),
        (seeing(told=lambda t: t[:1].expand_as(t)), "told the first time for all"),
        (seeing(told=lambda t: 1_000 * t), "up to 1000"),
        (seeing(told=lambda t: t**2), "the times t as they are"),
        (seeing(told=lambda t: t[:, None]), "as they came"),
        (comparing(target=lambda x, eps, xt: eps - x), "from data to noise: the way to learn"),
        (comparing(target=lambda x, eps, xt: x), "the target is the data"),
        (comparing(target=lambda x, eps, xt: eps), "the target is the noise"),
        (comparing(target=lambda x, eps, xt: xt), "the target is the state"),
        (comparing(target=lambda x, eps, xt: x - xt), "leads from x_t on"),
        (comparing(target=lambda x, eps, xt: x + eps), "adds data and noise"),
        (comparing(target=lambda x, eps, xt: eps - xt), "leads from x_t to the noise"),
        (comparing(target=lambda x, eps, xt: 0), "there is no target"),
        (comparing(target=lambda x, eps, xt: 2 * (x - eps)), "the velocity of the way"),
        (comparing(lambda gap: gap.square().sum()), "a sum over everything"),
        (comparing(lambda gap: gap.square().flatten(1).sum(1).mean()), "within a sample you add"),
        (comparing(lambda gap: gap.square().mean().sqrt()), "a root is taken"),
        (comparing(lambda gap: gap.square().mean() / 2), "halved"),
        (comparing(lambda gap: gap.abs().mean()), "absolute values are averaged"),
        (comparing(lambda gap: gap.mean().square()), "first averaged"),
        (comparing(lambda gap: gap.mean()), "without a square"),
        (comparing(lambda gap: -gap.square().mean()), "the sign is turned"),
        (comparing(lambda gap: gap.square().flatten(1).mean(1)), "One number for each sample"),
        (comparing(lambda gap: gap.square()), "The mean is missing"),
        (flow_own_noise, "draw nothing here"),
        (flow_without_gradient, "carries no gradient"),
        (flow_float, "this is a float"),
        (flow_backward, "leave backward() to the training"),
        (flow_half_detached, "part of the gradient is lost"),
        (flow_asks_twice, "asked 2 times"),
        (flow_asks_nobody, "never asked"),
        (flow_time_first, "states first, then their times"),
        (flow_in_place, "in place"),
        (flow_in_single, "float64 goes in and another dtype comes out"),
        (flow_on_cpu, "mixes devices"),
    ],
    "14.score_from_velocity": [
        (lambda u, x, t: (x - t * u) / (1 - t), "the sign is turned"),
        (lambda u, x, t: t * u - x, "the division is missing"),
        (lambda u, x, t: x - t * u, "the guess ε̂ at the noise"),
        (lambda u, x, t: (t * u - x) / (1 - t) ** 2, "divided by the variance"),
        (lambda u, x, t: (t * u - x) / math.sqrt(1 - t), "divided by a root"),
        (lambda u, x, t: x + (1 - t) * u, "the guess x̂ at the data"),
        (lambda u, x, t: (t * u + x) / (1 - t), "the same sign"),
        (lambda u, x, t: (u - x) / (1 - t), "a weight of its own"),
        (lambda u, x, t: ((1 - t) * u - x) / (1 - t), "is not 1 − t"),
        (lambda u, x, t: (t * x - u) / (1 - t), "u and x are exchanged"),
        (lambda u, x, t: t * (u - x) / (1 - t), "t multiplies both"),
        (lambda u, x, t: t * u - x / (1 - t), "only x is divided"),
        (lambda u, x, t: -x / (1 - t) ** 2, "the velocity has no say"),
        (lambda u, x, t: u, "u comes back unchanged"),
        (lambda u, x, t: (t * u - x) / t if t else -x, "divided by t:"),
        (lambda u, x, t: ((1 - t) * u - x) / t if t else -x, "t and 1 − t are exchanged"),
        (lambda u, x, t: -x, "the exact velocity for data"),
        (lambda u, x, t: (t * u - x) / max(1 - t, 0.1), "exact score at t = 0.95"),
        (lambda u, x, t: (t * u - x) / (1 - t) * (t > 0), "whose score is −x"),
        (score_summed, "as many numbers as x has"),
        (score_by_quotient, "inf or nan"),
        (score_small_number, "seven digits"),
        (score_in_place, "in place"),
        (score_in_double, "float32 goes in and float64 comes out"),
        (score_on_cpu, "mixes devices"),
        (lambda u, x, t: ((t * u - x) / (1 - t)).tolist(), "this is a list"),
    ],
    "14.reflow_pairs": [
        (of_pairs(lambda eps, ends: (torch.randn_like(eps), ends)), "not the noise that made the draw"),
        (of_pairs(lambda eps, ends: (ends, eps)), "the order is turned"),
        (of_pairs(lambda eps, ends: (ends, ends)), "both of the pair are draws"),
        (of_pairs(lambda eps, ends: (eps, eps)), "both of the pair are the noise"),
        (of_pairs(lambda eps, ends: (eps.flip(0), ends)), "the noises stand in another order"),
        (of_pairs(lambda eps, ends: (eps, ends.flip(0))), "the draws stand in another order"),
        (of_pairs(lambda eps, ends: (eps, ends - eps)), "draw less noise"),
        (of_pairs(lambda eps, ends: (eps, ends + eps)), "added to its own draw"),
        (of_pairs(lambda eps, ends: (eps, ends.clamp(-1, 1))), "clamped"),
        (of_pairs(lambda eps, ends: (eps, 2 * ends)), "not where `solve` leads"),
        (of_pairs(lambda eps, ends: ends), "return two things"),
        (of_pairs(lambda eps, ends: (eps, ends[0])), "each as many as eps"),
        (of_pairs(lambda eps, ends: (eps, ends.tolist())), "this is a list"),
        (of_pairs(lambda eps, ends: (eps, ends.float().to(ends.dtype))), "seven digits"),
        (of_pairs(lambda eps, ends: (eps, ends.double())), "float32 goes in and float64 comes out"),
        (
            of_pairs(lambda eps, ends: (eps, torch.zeros(ends.shape, dtype=ends.dtype) + ends)),
            "mixes devices",
        ),
        (walking(lambda u, eps, times, solve: solve(u, torch.randn_like(eps), times)), "walk from eps"),
        (walking(lambda u, eps, times, solve: solve(u, eps, times[::-1])), "times run backwards"),
        (walking(lambda u, eps, times, solve: u(eps, times[0])), "those at the start"),
        (walking(lambda u, eps, times, solve: u(solve(u, eps, times), times[-1])), "those at the end"),
        (
            walking(lambda u, eps, times, solve: solve(u, eps, [times[0], times[-1]])),
            "one step from the first",
        ),
        (walking(lambda u, eps, times, solve: solve(u, eps, times[:-1])), "last step is missing"),
        (walking(lambda u, eps, times, solve: solve(u, eps, times[1:])), "first step is missing"),
        (walking(lambda u, eps, times, solve: solve(u, eps, even(times))), "not evenly spaced"),
        (
            walking(lambda u, eps, times, solve: solve(lambda x, t: -u(x, t), eps, times)),
            "against the velocities",
        ),
        (walking(lambda u, eps, times, solve: euler(u, eps, times)), "no method of your own"),
        (reflow_stops, "called 4 times"),
        (reflow_in_place, "changes eps itself"),
        (reflow_own_noise, "its noise is not eps"),
        (reflow_with_graph, "drag the graph"),
        (reflow_inference, "inference_mode"),
        (reflow_turns_times, "changes the list"),
    ],
}
