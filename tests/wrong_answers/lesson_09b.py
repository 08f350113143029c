"""Wrong answers to the exercises of lesson 09b, each with a part of the hint that it must get."""

import math

import torch


def _look(q, k, mask):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(-1)


def look_unscaled(q, k, mask):
    return (q @ k.transpose(-1, -2) + mask).softmax(-1)


def look_scaled_by_d(q, k, mask):
    return (q @ k.transpose(-1, -2) / q.shape[-1] + mask).softmax(-1)


def look_scaled_by_keys(q, k, mask):
    return (q @ k.transpose(-1, -2) / math.sqrt(k.shape[-2]) + mask).softmax(-1)


def look_scales_the_mask(q, k, mask):
    return ((q @ k.transpose(-1, -2) + mask) / math.sqrt(q.shape[-1])).softmax(-1)


def look_unmasked(q, k, mask):
    return _look(q, k, 0 * mask.nan_to_num(neginf=0))


def look_masked_after(q, k, mask):
    return _look(q, k, 0 * mask.nan_to_num(neginf=0)) * torch.isfinite(mask)


def look_open_and_shut(q, k, mask):
    shut = torch.zeros_like(mask).masked_fill(mask == -torch.inf, -torch.inf)
    return _look(q, k, shut)


def look_over_queries(q, k, mask):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(-2)


def look_over_heads(q, k, mask):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(1)


def look_scores(q, k, mask):
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask


def look_logarithms(q, k, mask):
    return look_scores(q, k, mask).log_softmax(-1)


def look_exchanged(q, k, mask):
    return _look(k, q, mask)


def look_detached(q, k, mask):
    return _look(q.detach(), k.detach(), mask)


def look_own_mask(q, k, mask):
    T = q.shape[-2]
    return _look(q, k, mask[..., :T, :T].nan_to_num(neginf=-1e4))[..., :T]


def _joined(k, v, cache):
    if cache is None:
        return k, v
    return torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)


def cache_overwritten(q, k, v, cache, bias, weigh):
    return _look(q, *_joined(k, v, cache)[:1], bias) @ _joined(k, v, cache)[1], (k, v)


def cache_not_extended(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ V, (k, v) if cache is None else cache


def cache_in_front(q, k, v, cache, bias, weigh):
    if cache is not None:
        k, v = torch.cat([k, cache[0]], 2), torch.cat([v, cache[1]], 2)
    return _look(q, k, bias) @ v, (k, v)


def cache_off_by_one(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    if cache is None:
        return _look(q, K, bias) @ V, (K, V)
    return _look(q, cache[0], bias[..., :-1]) @ cache[1], (K, V)


def cache_keys_only(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ V, (K, v)


def cache_oldest_dropped(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ V, (K[:, :, 1:], V[:, :, 1:])


def cache_exchanged(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ V, (V, K)


def cache_without_bias(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, 0) @ V, (K, V)


def cache_unscaled(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return look_unscaled(q, K, bias) @ V, (K, V)


def cache_averages_keys(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ K, (K, V)


def cache_key_asks(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(k, K, bias) @ V, (K, V)


def cache_found_only(q, k, v, cache, bias, weigh):
    K, V = _joined(k, v, cache)
    return _look(q, K, bias) @ V


def cache_sees_itself(q, k, v, cache, bias, weigh):
    return v, _joined(k, v, cache)


def weights_unnormalised(log_p, given):
    return (log_p * given).sum((1, 2)).exp()


def weights_logarithms(log_p, given):
    return (log_p * given).sum((1, 2))


def weights_of_drawn(log_p, given):
    return (log_p * ~given).sum((1, 2)).softmax(0)


def weights_of_all(log_p, given):
    return log_p.sum((1, 2)).softmax(0)


def weights_upside_down(log_p, given):
    return (-(log_p * given).sum((1, 2))).softmax(0)


def weights_divided(log_p, given):
    return (log_p * given - log_p * ~given).sum((1, 2)).softmax(0)


def weights_mean(log_p, given):
    return log_p[:, given].mean(1).softmax(0)


def weights_added(log_p, given):
    p = (log_p.exp() * given).sum((1, 2))
    return p / p.sum()


def weights_equal(log_p, given):
    return torch.full_like(log_p[:, 0, 0], 1 / len(log_p))


def weights_underflow(log_p, given):
    w = (log_p * given).sum((1, 2)).exp()
    return w / w.sum()


def weights_one_place(log_p, given):
    return (log_p * given).softmax(0)


def bits_255(bits, D):
    return D * (bits - math.log2(255)) * math.log(2)


def bits_natural_log(bits, D):
    return D * (bits - math.log(256)) * math.log(2)


def bits_not_nats(bits, D):
    return D * (bits - 8)


def bits_divided(bits, D):
    return D * (bits - 8) / math.log(2)


def bits_no_noise(bits, D):
    return D * bits * math.log(2)


def bits_noise_added(bits, D):
    return D * (bits + 8) * math.log(2)


def bits_one_pixel(bits, D):
    return (bits - 8) * math.log(2)


def bits_turned(bits, D):
    return D * (8 - bits) * math.log(2)


def bits_noise_once(bits, D):
    return D * bits * math.log(2) - math.log(256)


def order_number():
    return 1


def order_of_its_own():
    return "zigzag"


def order_all():
    return ["rows", "columns"]


def order_in_the_singular():
    return "row"


def order_empty():
    return ""


def order_backwards():
    return "rows backwards"


WRONG = {
    "09b.look": [
        (look_unscaled, "scale is missing"),
        (look_scaled_by_d, "not by d"),
        (look_scaled_by_keys, "not the number of keys"),
        (look_scales_the_mask, "no part of q·k"),
        (look_unmasked, "the mask is forgotten"),
        (look_masked_after, "masked after the softmax"),
        (look_open_and_shut, "its finite numbers"),
        (look_over_queries, "softmax over the keys"),
        (look_over_heads, "nothing but −∞"),
        (look_scores, "these are the scores"),
        (look_logarithms, "these are logarithms"),
        (look_exchanged, "queries and keys are exchanged"),
        (look_detached, "no gradient passes"),
        (look_own_mask, "T and S may differ"),
    ],
    "09b.cache": [
        (cache_overwritten, "cache is overwritten"),
        (cache_not_extended, "are not kept"),
        (cache_in_front, "stand in front"),
        (cache_off_by_one, "position off by one"),
        (cache_keys_only, "new values come behind"),
        (cache_oldest_dropped, "the oldest keys were dropped"),
        (cache_exchanged, "exchanged in the cache"),
        (cache_without_bias, "the bias is forgotten"),
        (cache_unscaled, "the scale √d is missing"),
        (cache_averages_keys, "the keys are averaged"),
        (cache_key_asks, "key asks"),
        (cache_found_only, "two things"),
        (cache_sees_itself, "only the new place"),
    ],
    "09b.weights": [
        (weights_unnormalised, "normalise"),
        (weights_logarithms, "these are log-weights"),
        (weights_of_drawn, "the drawn letters are counted"),
        (weights_of_all, "all letters are counted"),
        (weights_upside_down, "upside down"),
        (weights_divided, "divided out twice"),
        (weights_mean, "logarithms add up"),
        (weights_added, "here they are added"),
        (weights_equal, "clamped drawing itself"),
        (weights_underflow, "subtract the largest"),
        (weights_one_place, "one weight a draw"),
    ],
    "09b.bits": [
        (bits_255, "256 values"),
        (bits_natural_log, "log for log₂"),
        (bits_not_nats, "these are bits"),
        (bits_divided, "you divide"),
        (bits_no_noise, "take 8 bits a pixel off"),
        (bits_noise_added, "come off"),
        (bits_one_pixel, "number of dimensions"),
        (bits_turned, "sign is turned"),
        (bits_noise_once, "not once"),
    ],
    "09b.order": [
        (order_number, "return a word"),
        (order_of_its_own, "one of"),
        (order_all, "one order only"),
        (order_in_the_singular, "in the plural"),
        (order_empty, "the word is empty"),
        (order_backwards, "a fifth one"),
    ],
}
