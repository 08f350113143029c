"""Wrong answers to the exercises of lesson 09, each with a part of the hint that it must get."""

import math

import torch
import torch.nn.functional as F


def _masks(into, out, direct=lambda r: r[:, None] > r):
    def answer(rank, degrees):
        return into(rank, degrees), out(rank, degrees), direct(rank)

    return answer


def _in(r, m):
    return m[:, None] >= r


def _out(r, m):
    return r[:, None] > m


masks_geq_in_both = _masks(_in, lambda r, m: r[:, None] >= m)
masks_greater_in_both = _masks(lambda r, m: m[:, None] > r, _out)
masks_signs_exchanged = _masks(lambda r, m: m[:, None] > r, lambda r, m: r[:, None] >= m)
masks_from_zero = _masks(lambda r, m: m[:, None] >= r - 1, lambda r, m: r[:, None] - 1 > m)
masks_out_turned = _masks(_in, lambda r, m: r[:, None] < m)
masks_in_turned = _masks(lambda r, m: m[:, None] <= r, _out)
masks_open = _masks(lambda r, m: torch.ones(len(m), len(r)), lambda r, m: torch.ones(len(r), len(m)))
masks_direct_own = _masks(_in, _out, lambda r: r[:, None] >= r)
masks_direct_transposed = _masks(_in, _out, lambda r: r[:, None] < r)
masks_direct_of_the_page = _masks(_in, _out, lambda r: torch.ones(len(r), len(r)).tril(-1))
masks_transposed = _masks(lambda r, m: _in(r, m).T, lambda r, m: _out(r, m).T)


def masks_of_the_page(rank, degrees):
    page = torch.arange(1, len(rank) + 1)
    return _in(page, degrees), _out(page, degrees), page[:, None] > page


def masks_two_only(rank, degrees):
    return _in(rank, degrees), _out(rank, degrees)


def masks_of_infinities(rank, degrees):
    return [torch.where(mask, 0.0, -math.inf) for mask in leak_nothing(rank, degrees)]


leak_nothing = _masks(_in, _out)
leak_everything = _masks(
    lambda r, m: torch.ones(len(m), len(r)),
    lambda r, m: torch.ones(len(r), len(m)),
    lambda r: torch.ones(len(r), len(r)),
)
leak_the_next_one = _masks(lambda r, m: m[:, None] >= r - 1, lambda r, m: r[:, None] >= m)
leak_through_units_only = _masks(_in, lambda r, m: r[:, None] >= m)
leak_own_only = _masks(lambda r, m: m[:, None] == r, lambda r, m: r[:, None] == m, lambda r: r[:, None] == r)
leak_two_masks = masks_two_only


def leak_halves(rank, degrees):
    return [0.5 * mask for mask in leak_nothing(rank, degrees)]


def _picked(logits, letters, axis=1):
    return logits.log_softmax(axis).gather(1, letters[:, None])[:, 0]


def nats_sign(logits, letters):
    return _picked(logits, letters).sum((1, 2))


def nats_mean_over_places(logits, letters):
    return -_picked(logits, letters).mean((1, 2))


def nats_in_bits(logits, letters):
    return -_picked(logits, letters).sum((1, 2)) / math.log(2)


def nats_wrong_axis(logits, letters):
    return -_picked(logits, letters, 3).sum((1, 2))


def nats_over_rows(logits, letters):
    return -_picked(logits, letters, 2).sum((1, 2))


def nats_over_images(logits, letters):
    return -_picked(logits, letters, 0).sum((1, 2))


def nats_raw(logits, letters):
    return -logits.gather(1, letters[:, None])[:, 0].sum((1, 2))


def nats_probabilities(logits, letters):
    return -_picked(logits, letters).exp().sum((1, 2))


def nats_all_letters(logits, letters):
    return -logits.log_softmax(1).sum((1, 2, 3))


def nats_of_the_batch(logits, letters):
    return F.cross_entropy(logits, letters, reduction="sum") / len(letters)


def nats_a_place(logits, letters):
    return F.cross_entropy(logits, letters, reduction="none")


def nats_log_of_softmax(logits, letters):
    return -logits.softmax(1).gather(1, letters[:, None])[:, 0].log().sum((1, 2))


def nats_detached(logits, letters):
    return -_picked(logits.detach(), letters).sum((1, 2))


def nats_in_float32(logits, letters):
    return -_picked(logits.float(), letters).sum((1, 2)).to(logits.dtype)


def _places(size):
    place = torch.arange(size * size).view(size, size)
    return place, size * size // 2


def conv_centre_open(kind, size):
    place, centre = _places(size)
    return (place <= centre).float()


def conv_centre_closed(kind, size):
    place, centre = _places(size)
    return (place < centre).float()


def conv_exchanged(kind, size):
    place, centre = _places(size)
    return (place < centre + (kind == "A")).float()


def conv_turned(kind, size):
    place, centre = _places(size)
    return (place > centre - (kind == "B")).float()


def conv_row_below(kind, size):
    place, centre = _places(size)
    return (place < centre + size).float()


def conv_whole_row(kind, size):
    mask = torch.zeros(size, size)
    mask[: size // 2 + 1] = 1
    return mask


def conv_rows_above_only(kind, size):
    mask = torch.zeros(size, size)
    mask[: size // 2] = 1
    return mask


def conv_left_only(kind, size):
    mask = torch.zeros(size, size)
    mask[size // 2, : size // 2] = 1
    return mask


def conv_columns(kind, size):
    place, centre = _places(size)
    return (place < centre + (kind == "B")).float().T


def conv_open(kind, size):
    return torch.ones(size, size)


def conv_flat(kind, size):
    place, centre = _places(size)
    return (place < centre + (kind == "B")).float().flatten()


def _pick(p, u):
    return (p.cumsum(1) < u * p.sum(1, keepdim=True)).sum(1).clamp(max=p.shape[1] - 1)


def _drawn(choose, feed=True):
    def answer(model, u):
        rows, columns, n, _ = u.shape
        letters = torch.zeros(n, rows, columns, dtype=torch.long, device=u.device)
        page = letters.clone()
        for r in range(rows):
            for c in range(columns):
                letters[:, r, c] = choose(model(page)[:, :, r, c], u, r, c)
                if feed:
                    page = letters.clone()
        return letters

    return answer


draw_argmax = _drawn(lambda a, u, r, c: a.argmax(1))
draw_not_fed = _drawn(lambda a, u, r, c: _pick(a.softmax(1), u[r, c]), feed=False)
draw_same_noise = _drawn(lambda a, u, r, c: _pick(a.softmax(1), u[0, 0]))
draw_softmax_twice = _drawn(lambda a, u, r, c: _pick(a.softmax(1).softmax(1), u[r, c]))
draw_turned_noise = _drawn(lambda a, u, r, c: _pick(a.softmax(1), 1 - u[r, c]))
draw_right = _drawn(lambda a, u, r, c: _pick(a.softmax(1), u[r, c]))


def draw_down_the_columns(model, u):
    rows, columns, n, _ = u.shape
    letters = torch.zeros(n, rows, columns, dtype=torch.long)
    for c in range(columns):
        for r in range(rows):
            letters[:, r, c] = _pick(model(letters)[:, :, r, c].softmax(1), u[r, c])
    return letters


def draw_flat(model, u):
    return draw_right(model, u).flatten(1)


def draw_floats(model, u):
    return draw_right(model, u).float()


def bits_text():
    return "100 bits"


def bits_zero():
    return 0


def bits_many():
    return 6272


def bits_nan():
    return math.nan


def bits_negative():
    return -90.0


def bits_pair():
    return (90, 110)


WRONG = {
    "09.masks": [
        (masks_geq_in_both, "sees its own pixel"),
        (masks_greater_in_both, "seen by nobody"),
        (masks_signs_exchanged, "signs are exchanged"),
        (masks_from_zero, "places from 0"),
        (masks_out_turned, "out is turned round"),
        (masks_in_turned, "in is turned round"),
        (masks_open, "nothing is masked"),
        (masks_of_the_page, "order of the page"),
        (masks_direct_own, "direct lets a pixel"),
        (masks_direct_transposed, "direct is transposed"),
        (masks_direct_of_the_page, "direct is in the order of the page"),
        (masks_transposed, "exchanged or transposed"),
        (masks_two_only, "return three masks"),
        (masks_of_infinities, "zeros and ones"),
    ],
    "09.leak": [
        (leak_nothing, "nothing leaks"),
        (leak_everything, "nothing is masked"),
        (leak_the_next_one, "sees a *later* pixel"),
        (leak_through_units_only, "only some logits"),
        (leak_own_only, "earlier pixels are cut off"),
        (leak_two_masks, "return three masks"),
        (leak_halves, "zeros and ones"),
    ],
    "09.nats": [
        (nats_sign, "the sign is turned"),
        (nats_mean_over_places, "mean over the places"),
        (nats_in_bits, "these are bits"),
        (nats_wrong_axis, "softmax over the columns"),
        (nats_over_rows, "softmax over the rows"),
        (nats_over_images, "softmax over the images"),
        (nats_raw, "the raw logits"),
        (nats_probabilities, "these are probabilities"),
        (nats_all_letters, "all letters are summed"),
        (nats_of_the_batch, "one number an image"),
        (nats_a_place, "sum over the places"),
        (nats_log_of_softmax, "not the logarithm of a softmax"),
        (nats_detached, "the loss is made of it"),
        (nats_in_float32, "passes through float32"),
    ],
    "09.conv": [
        (conv_centre_open, "the centre is open in A"),
        (conv_centre_closed, "the centre is closed in B"),
        (conv_exchanged, "A and B are exchanged"),
        (conv_turned, "turned round"),
        (conv_row_below, "the row below is open"),
        (conv_whole_row, "the whole row of the centre"),
        (conv_rows_above_only, "left of the centre something is missing"),
        (conv_left_only, "the rows above come before, too"),
        (conv_columns, "down the columns"),
        (conv_open, "nothing is masked"),
        (conv_flat, "one square mask"),
    ],
    "09.draw": [
        (draw_argmax, "the likeliest letter each time"),
        (draw_not_fed, "not fed back"),
        (draw_same_noise, "same uniform numbers"),
        (draw_softmax_twice, "softmax twice"),
        (draw_turned_noise, "1 − u for u"),
        (draw_down_the_columns, "down the columns"),
        (draw_flat, "n pages of letters"),
        (draw_floats, "whole numbers"),
    ],
    "09.bits": [
        (bits_text, "not a text"),
        (bits_zero, "at least one bit"),
        (bits_many, "raw it takes"),
        (bits_nan, "not nan"),
        (bits_negative, "smaller than nothing"),
        (bits_pair, "one number"),
    ],
}
