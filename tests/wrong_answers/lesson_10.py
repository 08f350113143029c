"""Wrong answers to the exercises of lesson 10, each with a part of the hint that it must get."""

import math

import torch


def _gauss(z):
    return -0.5 * (z**2 + math.log(2 * math.pi))


def density_plus(x, to_noise, slope):
    z = to_noise(x)
    return _gauss(z) + slope(z).abs().log()


def density_no_ledger(x, to_noise, slope):
    return _gauss(to_noise(x))


def density_slope_at_x(x, to_noise, slope):
    return _gauss(to_noise(x)) - slope(x).abs().log()


def density_not_inverted(x, to_noise, slope):
    return _gauss(x) - slope(x).abs().log()


def density_gauss_at_x(x, to_noise, slope):
    return _gauss(x) - slope(to_noise(x)).abs().log()


def density_no_absolute(x, to_noise, slope):
    z = to_noise(x)
    return _gauss(z) - slope(z).log()


def density_itself(x, to_noise, slope):
    z = to_noise(x)
    return _gauss(z).exp() / slope(z).abs()


def density_no_constant(x, to_noise, slope):
    z = to_noise(x)
    return -0.5 * z**2 - slope(z).abs().log()


def density_no_half(x, to_noise, slope):
    z = to_noise(x)
    return -(z**2) - 0.5 * math.log(2 * math.pi) - slope(z).abs().log()


def density_stretch_subtracted(x, to_noise, slope):
    z = to_noise(x)
    return _gauss(z) - slope(z).abs()


def density_whole_constant(x, to_noise, slope):
    z = to_noise(x)
    return -0.5 * z**2 - math.log(2 * math.pi) - slope(z).abs().log()


def density_sum(x, to_noise, slope):
    z = to_noise(x)
    return (_gauss(z) - slope(z).abs().log()).sum()


def density_detached(x, to_noise, slope):
    z = to_noise(x).detach()
    return _gauss(z) - slope(z).abs().log()


def density_in_float32(x, to_noise, slope):
    z = to_noise(x.float())
    return (_gauss(z) - slope(z).abs().log()).to(x.dtype)


def _coupling(there, line, undo=None, undone=None, of_b=False):
    """A coupling from its pieces: what the moved half becomes and its ledger, and the same for the way back."""

    def answer(x, terms, back=False):
        a, b = x.chunk(2, 1)
        s, t = terms(b if of_b else a)
        if back:
            moved = (b - t) * (-s).exp() if undo is None else undo(b, s, t)
            lost = -s.flatten(1).sum(1) if undone is None else undone(s, t)
            return torch.cat([a, moved], 1), lost
        return torch.cat([a, there(b, s, t)], 1), line(s, t)

    return answer


def _right(b, s, t):
    return b * s.exp() + t


def _sum(s, t):
    return s.flatten(1).sum(1)


couple_from_b = _coupling(_right, _sum, of_b=True)
couple_no_exp = _coupling(lambda b, s, t: b * s + t, _sum)
couple_shift_first = _coupling(lambda b, s, t: (b + t) * s.exp(), _sum)
couple_no_shift = _coupling(lambda b, s, t: b * s.exp(), _sum)
couple_no_stretch = _coupling(lambda b, s, t: b + t, _sum)
couple_line_negative = _coupling(_right, lambda s, t: -s.flatten(1).sum(1))
couple_line_mean = _coupling(_right, lambda s, t: s.flatten(1).mean(1))
couple_line_exp = _coupling(_right, lambda s, t: s.flatten(1).sum(1).exp())
couple_line_of_exps = _coupling(_right, lambda s, t: s.exp().flatten(1).sum(1))
couple_line_with_t = _coupling(_right, lambda s, t: (s + t).flatten(1).sum(1))
couple_line_of_t = _coupling(_right, lambda s, t: t.flatten(1).sum(1))
couple_line_batch = _coupling(_right, lambda s, t: s.sum())
couple_line_each = _coupling(_right, lambda s, t: s.sum(1))
couple_back_as_there = _coupling(_right, _sum, _right)
couple_back_order = _coupling(_right, _sum, lambda b, s, t: b * (-s).exp() - t)
couple_back_no_exp = _coupling(_right, _sum, lambda b, s, t: (b - t) / s)
couple_back_grows = _coupling(_right, _sum, lambda b, s, t: (b - t) * s.exp())
couple_back_adds = _coupling(_right, _sum, lambda b, s, t: (b + t) * (-s).exp())
couple_back_line = _coupling(_right, _sum, None, _sum)


def couple_first_moves(x, terms, back=False):
    a, b = x.chunk(2, 1)
    s, t = terms(b)
    return torch.cat([a * s.exp() + t, b], 1), s.flatten(1).sum(1)


def couple_changed_places(x, terms, back=False):
    a, b = x.chunk(2, 1)
    s, t = terms(a)
    return torch.cat([b * s.exp() + t, a], 1), s.flatten(1).sum(1)


def couple_half_only(x, terms, back=False):
    a, b = x.chunk(2, 1)
    s, t = terms(a)
    return b * s.exp() + t, s.flatten(1).sum(1)


def couple_one_result(x, terms, back=False):
    return couple_right(x, terms, back)[0]


def couple_detached(x, terms, back=False):
    y, line = couple_right(x, terms, back)
    return y, line.detach()


couple_right = _coupling(_right, _sum)
couple_line_float32 = _coupling(_right, lambda s, t: _sum(s.float(), t).to(s.dtype))
couple_back_float32 = _coupling(_right, _sum, lambda b, s, t: ((b - t) * (-s).exp()).float().to(b.dtype))
couple_back_line_float32 = _coupling(_right, _sum, None, lambda s, t: -_sum(s.float(), t).to(s.dtype))
couple_back_on_the_cpu = _coupling(
    _right, _sum, lambda b, s, t: (b - t) * (-s).exp() + torch.zeros(b.shape, dtype=b.dtype)
)
couple_stretch_detached = _coupling(lambda b, s, t: b * s.exp().detach() + t, _sum)


def couple_in_double(x, terms, back=False):
    y, line = couple_right(x, terms, back)
    return (y if back else y.double()), line


def couple_line_back_in_double(x, terms, back=False):
    y, line = couple_right(x, terms, back)
    return y, line.double() if back else line


def couple_moved_detached(x, terms, back=False):
    y, line = couple_right(x, terms, back)
    return (y if back else y.detach()), line


def couple_back_without_gradient(x, terms, back=False):
    with torch.set_grad_enabled(not back):
        return couple_right(x, terms, back)


def share_text():
    return "two per cent"


def share_nan():
    return math.nan


def share_negative():
    return -1.0


def share_many():
    return 150


def share_pair():
    return (1, 2)


def share_none():
    print(2.0)


def _bits(plus=8.0, cells=256, sign=-1.0, noise=lambda u: u, dims=None, log=True):
    def answer(log_p, levels, u):
        D = levels[0].numel() if dims is None else dims
        return plus + sign * log_p((levels + noise(u)) / cells) / (D * (math.log(2) if log else 1))

    return answer


bits_255 = _bits(cells=255)
bits_log_255 = _bits(plus=math.log2(255))
bits_no_8 = _bits(plus=0.0)
bits_minus_8 = _bits(plus=-8.0)
bits_sign = _bits(sign=1.0)
bits_nats = _bits(log=False)
bits_an_image = _bits(dims=1)
bits_784 = _bits(dims=784)
bits_half_cell = _bits(noise=lambda u: u / 2)
bits_centred = _bits(noise=lambda u: u - 0.5)
bits_no_noise = _bits(noise=lambda u: 0 * u)


def bits_noise_not_scaled(log_p, levels, u):
    return 8 - log_p(levels / 256 + u) / (levels[0].numel() * math.log(2))


def bits_not_scaled(log_p, levels, u):
    return 8 - log_p(levels + u) / (levels[0].numel() * math.log(2))


def bits_mean(log_p, levels, u):
    return _bits()(log_p, levels, u).mean()


def bits_detached(log_p, levels, u):
    with torch.no_grad():
        return _bits()(log_p, levels, u)


def noise_multiplied(u, gain):
    return u * 2**gain


def noise_power(u, gain):
    return u**gain


def noise_tenth(u, gain):
    return u / 10**gain


def noise_nats(u, gain):
    return u / math.e**gain


def noise_shifted(u, gain):
    return u - gain


def noise_left_out(u, gain):
    return u * (1 - 2.0**-gain)


def noise_constant(u, gain):
    return torch.full_like(u, 2.0**-gain)


def noise_divided(u, gain):
    return u / gain if gain else u


def noise_divided_twice(u, gain):
    return u / (2 * gain) if gain else u


def noise_centred(u, gain):
    return (u - 0.5) / 2**gain


def noise_in_the_upper_end(u, gain):
    return 1 - (1 - u) * 2.0**-gain


def noise_squared(u, gain):
    return u**2 / 2**gain


def noise_one_a_row(u, gain):
    return u[:, :1].expand_as(u) * 2.0**-gain


def mix_no_places(weight, height, width):
    return torch.linalg.slogdet(weight)[1]


def mix_height_only(weight, height, width):
    return height * torch.linalg.slogdet(weight)[1]


def mix_sum(weight, height, width):
    return (height + width) * torch.linalg.slogdet(weight)[1]


def mix_channels_too(weight, height, width):
    return height * width * len(weight) * torch.linalg.slogdet(weight)[1]


def mix_no_absolute(weight, height, width):
    return height * width * torch.linalg.det(weight).log()


def mix_no_logarithm(weight, height, width):
    return height * width * torch.linalg.det(weight).abs()


def mix_power(weight, height, width):
    return torch.linalg.det(weight).abs() ** (height * width)


def mix_negative(weight, height, width):
    return -height * width * torch.linalg.slogdet(weight)[1]


def mix_bits(weight, height, width):
    return height * width * torch.linalg.slogdet(weight)[1] / math.log(2)


def mix_diagonal(weight, height, width):
    return height * width * weight.diagonal().abs().log().sum()


def mix_trace(weight, height, width):
    return height * width * weight.diagonal().sum()


def mix_underflow(weight, height, width):
    return height * width * torch.linalg.det(weight).abs().log()


def mix_detached(weight, height, width):
    return height * width * torch.linalg.slogdet(weight.detach())[1]


WRONG = {
    "10.density": [
        (density_plus, "the ledger has the wrong sign"),
        (density_no_ledger, "the ledger is missing"),
        (density_slope_at_x, "the slope is taken at x"),
        (density_not_inverted, "the inverse is not taken"),
        (density_gauss_at_x, "the Gaussian is asked at x"),
        (density_no_absolute, "negative slope"),
        (density_itself, "return its logarithm"),
        (density_no_constant, "constant of the Gaussian is missing"),
        (density_no_half, "the half before"),
        (density_stretch_subtracted, "the stretch itself"),
        (density_whole_constant, "the constant is −½"),
        (density_sum, "one number a point"),
        (density_detached, "no detach"),
        (density_in_float32, "passes through float32"),
    ],
    "10.couple": [
        (couple_from_b, "s and t come from x_b"),
        (couple_no_exp, "the exponential is missing"),
        (couple_shift_first, "shifted before stretched"),
        (couple_no_shift, "the shift t is missing"),
        (couple_no_stretch, "the stretch e^s is missing"),
        (couple_first_moves, "the first half moves"),
        (couple_changed_places, "changed places"),
        (couple_half_only, "only the moved half"),
        (couple_one_result, "return two things"),
        (couple_line_negative, "wrong sign"),
        (couple_line_mean, "not the mean"),
        (couple_line_exp, "holds logarithms"),
        (couple_line_of_exps, "product of the e^s"),
        (couple_line_with_t, "t is in the ledger"),
        (couple_line_of_t, "the ledger sums t"),
        (couple_line_batch, "over the batch, too"),
        (couple_line_each, "all axes but the first"),
        (couple_back_as_there, "does the same as without"),
        (couple_back_order, "subtract t first"),
        (couple_back_no_exp, "exponential is forgotten"),
        (couple_back_grows, "divide by e^s"),
        (couple_back_adds, "t is subtracted"),
        (couple_back_line, "the way back is −Σ s"),
        (couple_detached, "the ledger is detached on the way there"),
        (couple_line_float32, "The ledger. (right to some seven digits"),
        (couple_back_float32, "The way back. (right to some seven digits"),
        (couple_back_line_float32, "The ledger of the way back. (right to some seven digits"),
        (couple_in_double, "the result, on the way there"),
        (couple_line_back_in_double, "the ledger, on the way back"),
        (couple_moved_detached, "what it makes of x is detached on the way there"),
        (couple_back_without_gradient, "what it makes of x is detached on the way back"),
        (couple_stretch_detached, "the gradient is not"),
        (couple_back_on_the_cpu, "mixes devices"),
    ],
    "10.share": [
        (share_text, "not a text"),
        (share_nan, "finite"),
        (share_negative, "no share is negative"),
        (share_many, "above 100"),
        (share_pair, "one number"),
        (share_none, "returns None"),
    ],
    "10.bits": [
        (bits_255, "255 for 256"),
        (bits_log_255, "log₂ 255 for 8"),
        (bits_no_8, "the 8 is forgotten"),
        (bits_minus_8, "the 8 is subtracted"),
        (bits_sign, "the sign is turned"),
        (bits_nats, "these are nats"),
        (bits_an_image, "bits an image"),
        (bits_784, "784 is written down"),
        (bits_half_cell, "half of the cell"),
        (bits_centred, "the noise is centred"),
        (bits_no_noise, "the noise is missing"),
        (bits_noise_not_scaled, "the noise is not scaled"),
        (bits_not_scaled, "divide by 256"),
        (bits_mean, "one number an image"),
        (bits_detached, "the loss is made of it"),
    ],
    "10.noise": [
        (noise_multiplied, "multiplied"),
        (noise_power, "a power of u"),
        (noise_tenth, "ten for two"),
        (noise_nats, "e for two"),
        (noise_shifted, "shifted"),
        (noise_left_out, "leaves out a part"),
        (noise_constant, "no noise at all"),
        (noise_divided, "each *bit* halves"),
        (noise_divided_twice, "each *bit* halves"),
        (noise_centred, "leaves the cell"),
        (noise_in_the_upper_end, "must begin at 0"),
        (noise_squared, "uniform from 0"),
        (noise_one_a_row, "share their noise"),
    ],
    "10.mix": [
        (mix_no_places, "H·W is missing"),
        (mix_height_only, "only one side"),
        (mix_sum, "height plus width"),
        (mix_channels_too, "the channels are counted"),
        (mix_no_absolute, "determinant is negative"),
        (mix_no_logarithm, "the logarithm is missing"),
        (mix_power, "determinant of the whole map"),
        (mix_negative, "the sign is turned"),
        (mix_bits, "these are bits"),
        (mix_diagonal, "the diagonal alone"),
        (mix_trace, "this is the trace"),
        (mix_underflow, "underflows"),
        (mix_detached, "W is learned"),
    ],
}
