"""Wrong answers to the exercises of lesson 10b, each with a part of the hint that it must get."""

import math

import torch
from torch.nn import functional as F


def shell_square(d):
    return d, d / 2


def shell_spread(d):
    return math.sqrt(2 * d), d / 2


def shell_at_the_centre(d):
    return 0.0, d / 2


def shell_one(d):
    return 1.0, d / 2


def shell_whole_gap(d):
    return math.sqrt(d), d


def shell_turned(d):
    return math.sqrt(d), -d / 2


def shell_entropy(d):
    return math.sqrt(d), d / 2 * (1 + math.log(2 * math.pi))


def shell_constant(d):
    return math.sqrt(d), d / 2 * math.log(2 * math.pi)


def shell_bits(d):
    return math.sqrt(d), d / 2 / math.log(2)


def shell_exchanged(d):
    return d / 2, math.sqrt(d)


def shell_of_one(d):
    return math.sqrt(d), 0.5


def shell_alone(d):
    return math.sqrt(d)


def shell_root(d):
    return math.sqrt(d), math.sqrt(d) / 2


def likelier_word():
    return "noise"


def likelier_number():
    return 3


def likelier_other():
    return ["blank page", "upside down"]


def likelier_digits():
    return ["test digits", "ones"]


def likelier_glued():
    return ["Blank Page"]


def likelier_twice():
    return ["ones", "ones"]


def likelier_all():
    return [
        *("ones", "letters", "half contrast", "blurred", "blank page"),
        *("full ink", "flat grey", "inverted", "noise"),
    ]


def likelier_numbers():
    return [1, 2]


def sneak_nothing(x):
    return x.clone()


def sneak_blank(x):
    return torch.zeros_like(x)


def sneak_faint(x):
    return 0.04 * x


def sneak_bright(x):
    return 1.5 * x


def sneak_smaller_picture(x):
    return F.interpolate(x, size=(16, 16), mode="area")


def sneak_same(x):
    return x[:1].expand(len(x), -1, -1, -1) * 0.5


def sneak_average(x):
    return 0.97 * x.mean(0, keepdim=True).expand_as(x) + 0.03 * x


def sneak_chance(x):
    return (x * torch.rand_like(x)).clamp(0, 1)


def sneak_bytes(x):
    return (127 * x).to(torch.uint8)


def sneak_by_place(x):
    factor = torch.linspace(0.4, 0.9, len(x), device=x.device)
    return x * factor[:, None, None, None]


def sneak_towards_the_mean(x):
    return 0.15 * x + 0.425 * x.mean(0, keepdim=True)


def _noise(v, s, t):
    """u and the logarithms of its three slopes."""
    y = s.exp() * v.logit() + t
    return y.sigmoid(), s, F.logsigmoid(y) + F.logsigmoid(-y), -(v * (1 - v)).log()


def noise_turned(v, s, t):
    u, *parts = _noise(v, s, t)
    return u, sum(parts).flatten(1).sum(1)


def noise_without_sigmoid(v, s, t):
    u, stretch, _, logit = _noise(v, s, t)
    return u, -(stretch + logit).flatten(1).sum(1)


def noise_without_logit(v, s, t):
    u, stretch, sigmoid, _ = _noise(v, s, t)
    return u, -(stretch + sigmoid).flatten(1).sum(1)


def noise_stretch_only(v, s, t):
    return _noise(v, s, t)[0], -s.flatten(1).sum(1)


def noise_without_stretch(v, s, t):
    u, _, sigmoid, logit = _noise(v, s, t)
    return u, -(sigmoid + logit).flatten(1).sum(1)


def noise_logit_upside_down(v, s, t):
    u, stretch, sigmoid, logit = _noise(v, s, t)
    return u, -(stretch + sigmoid - logit).flatten(1).sum(1)


def noise_exponential(v, s, t):
    u, stretch, sigmoid, logit = _noise(v, s, t)
    return u, -(stretch.exp() + sigmoid + logit).flatten(1).sum(1)


def noise_mean(v, s, t):
    u, *parts = _noise(v, s, t)
    return u, -sum(parts).flatten(1).mean(1)


def noise_over_the_batch(v, s, t):
    u, *parts = _noise(v, s, t)
    return u, -sum(parts).sum(0)


def noise_on_the_line(v, s, t):
    y = s.exp() * v.logit() + t
    return y, noise_right(v, s, t)[1]


def noise_right(v, s, t):
    u, *parts = _noise(v, s, t)
    return u, -sum(parts).flatten(1).sum(1)


def noise_no_logit(v, s, t):
    return (s.exp() * v + t).sigmoid(), noise_right(v, s, t)[1]


def noise_bare_stretch(v, s, t):
    return (s * v.logit() + t).sigmoid(), noise_right(v, s, t)[1]


def noise_shift_first(v, s, t):
    return (s.exp() * (v.logit() + t)).sigmoid(), noise_right(v, s, t)[1]


def noise_back(v, s, t):
    return ((v.logit() - t) * (-s).exp()).sigmoid(), noise_right(v, s, t)[1]


def noise_turned_stretch(v, s, t):
    return ((-s).exp() * v.logit() + t).sigmoid(), noise_right(v, s, t)[1]


def noise_underflow(v, s, t):
    u, stretch, _, logit = _noise(v, s, t)
    return u, -(stretch + u.log() + (1 - u).log() + logit).flatten(1).sum(1)


def noise_clamped(v, s, t):
    u, stretch, _, logit = _noise(v, s, t)
    u = u.clamp(1e-12, 1 - 1e-12)
    return u, -(stretch + u.log() + (1 - u).log() + logit).flatten(1).sum(1)


def noise_cut_off_below(v, s, t):
    u, stretch, _, logit = _noise(v, s, t)
    y = s.exp() * v.logit() + t
    return u, -(stretch + (u + 1e-12).log() + F.logsigmoid(-y) + logit).flatten(1).sum(1)


def noise_place_detached(v, s, t):
    u, log_q = noise_right(v, s, t)
    return u.detach(), log_q


def noise_log_q_in_float32(v, s, t):
    u, log_q = noise_right(v, s, t)
    return u, log_q.float().to(v.dtype)


def noise_alone(v, s, t):
    return _noise(v, s, t)[0]


def noise_detached(v, s, t):
    return noise_right(v, s.detach(), t.detach())


def turn_once(z, terms):
    mean, width = terms(torch.zeros_like(z))
    return mean + width * z


def turn_at_z(z, terms):
    mean, width = terms(z)
    return mean + width * z


def turn_there(z, terms):
    mean, width = terms(z)
    return (z - mean) / width


def _turn(z, terms, order, step):
    x = torch.zeros_like(z)
    for i in order:
        mean, width = terms(x)
        x[:, i] = step(mean[:, i], width[:, i], z[:, i])
    return x


def turn_without_mean(z, terms):
    return _turn(z, terms, range(z.shape[1]), lambda m, w, z: w * z)


def turn_without_width(z, terms):
    return _turn(z, terms, range(z.shape[1]), lambda m, w, z: m + z)


def turn_divided(z, terms):
    return _turn(z, terms, range(z.shape[1]), lambda m, w, z: m + z / w)


def turn_too_few(z, terms):
    return _turn(z, terms, range(z.shape[1] - 1), lambda m, w, z: m + w * z)


def turn_in_place(z, terms):
    x = z
    for i in range(z.shape[1]):
        mean, width = terms(x)
        x[:, i] = mean[:, i] + width[:, i] * z[:, i]
    return x


def turn_forever(z, terms):
    x = torch.zeros_like(z)
    for _ in range(100):
        mean, width = terms(x)
        x = mean + width * z
    return x


WRONG = {
    "10b.shell": [
        (shell_square, "take its root"),
        (shell_spread, "is the spread"),
        (shell_at_the_centre, "draws are not there"),
        (shell_one, "d of them together"),
        (shell_whole_gap, "half of d"),
        (shell_turned, "sign is turned"),
        (shell_entropy, "this is the entropy"),
        (shell_constant, "stands in both log-densities"),
        (shell_bits, "these are bits"),
        (shell_exchanged, "exchanged"),
        (shell_of_one, "share of one dimension"),
        (shell_alone, "return two numbers"),
        (shell_root, "with the square"),
    ],
    "10b.likelier": [
        (likelier_word, "no list"),
        (likelier_number, "return a list"),
        (likelier_other, "none of the sets"),
        (likelier_digits, "compared with"),
        (likelier_glued, "letter by letter"),
        (likelier_twice, "twice"),
        (likelier_all, "all nine"),
        (likelier_numbers, "names are texts"),
    ],
    "10b.sneak": [
        (sneak_nothing, "nothing is changed"),
        (sneak_blank, "blank page"),
        (sneak_faint, "hardly any ink"),
        (sneak_bright, "between 0 and 1"),
        (sneak_smaller_picture, "28 × 28 each"),
        (sneak_same, "the same picture"),
        (sneak_average, "told apart"),
        (sneak_chance, "leave chance out"),
        (sneak_bytes, "same dtype"),
        (sneak_by_place, "by its place"),
        (sneak_towards_the_mean, "that came with it"),
    ],
    "10b.noise": [
        (noise_turned, "gets thinner"),
        (noise_without_sigmoid, "slope of the sigmoid"),
        (noise_without_logit, "slope of the logit"),
        (noise_stretch_only, "on the real line only"),
        (noise_without_stretch, "is forgotten: its logarithm is s"),
        (noise_logit_upside_down, "minus its logarithms"),
        (noise_exponential, "logarithm of the stretch"),
        (noise_mean, "no mean"),
        (noise_over_the_batch, "one number an image"),
        (noise_on_the_line, "back by the sigmoid"),
        (noise_no_logit, "take its logit first"),
        (noise_bare_stretch, "multiply by e^s"),
        (noise_shift_first, "stretch first"),
        (noise_back, "the way back"),
        (noise_turned_stretch, "sign of s"),
        (noise_underflow, "F.logsigmoid"),
        (noise_alone, "return two results"),
        (noise_detached, "log q is detached"),
        (noise_clamped, "at t = 60 log q is finite and wrong"),
        (noise_cut_off_below, "at t = -60 log q is finite and wrong"),
        (noise_place_detached, "u is detached"),
        (noise_log_q_in_float32, "some seven digits"),
    ],
    "10b.turn": [
        (turn_once, "first number only"),
        (turn_at_z, "not at z"),
        (turn_there, "the way there"),
        (turn_without_mean, "mean is forgotten"),
        (turn_without_width, "width is forgotten"),
        (turn_divided, "divided by the width"),
        (turn_too_few, "last number is missing"),
        (turn_in_place, "in place"),
        (turn_forever, "one for each number is enough"),
    ],
}
