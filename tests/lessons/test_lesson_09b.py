"""Lesson 09b: attention against the library, causality, the cache, completion and grey against enumeration."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

import course_utils as cu
from course_utils import runs
from course_utils.lessons import lesson_09 as first
from tests.lessons.lesson_functions import load

exercises = load("09b", "look", "attend_next", "completion_weights", "density_nats")
L = load(
    "09b",
    *("Block", "offsets", "Page", "Transformer", "warm_cosine", "watched", "one_step", "write"),
    *("turned", "turned_loss", "hidden_nats", "spiral", "orders"),
    *("GreyTrunk", "GreyCNN", "patches_of", "softmax_nats", "grey_loss", "draw_grey"),
    *("logistic_nats", "logistic_loss"),
    checked_look=exercises.look,
    checked_next=exercises.attend_next,
    device=torch.device("cpu"),
)


def a_transformer(seed=0, width=16, heads=2, depth=2, **how):
    """A small transformer whose biases are not all zero."""
    torch.manual_seed(seed)
    model = L.Transformer(width, heads, depth, **how)
    with torch.no_grad():
        for weight in (model.place, model.usual, model.near):
            weight.normal_(std=0.1)
    return model


def pages(n, seed=0):
    return torch.randint(16, (n, 14, 14), generator=torch.Generator().manual_seed(seed))


# --- attention
# -----------------------------------------------------------------------------------------------------------------


def test_attention_is_the_library_s_with_a_mask_and_a_bias():
    g = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 20, 8, generator=g).double()
    bias = torch.randn(3, 20, 20, generator=g).double()
    bias = bias.masked_fill(torch.ones(20, 20).triu(1).bool(), -torch.inf)
    trusted = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(2, -1, -1, -1))
    assert (exercises.look(q, k, bias) @ v - trusted).abs().max() < 1e-12


@pytest.mark.parametrize("kind", ["rows", "columns", "spiral", "random"])
def test_nothing_moves_before_its_turn(kind):
    order = L.orders()[kind]
    assert sorted(order.tolist()) == list(range(196))
    model = a_transformer(order=order)
    page = pages(1)
    turn = order.argsort().view(14, 14)
    for row, column in ((0, 0), (7, 5), (13, 13)):
        other = page.clone()
        other[:, row, column] = (other[:, row, column] + 3) % 16
        with torch.no_grad():
            moved = (model(page) - model(other)).abs().amax((0, 1)) > 0
        assert not moved[turn <= turn[row, column]].any()
        after = turn == turn[row, column] + 1
        assert moved[after].all()


def test_what_is_heard_by_autograd_ends_with_the_letter_before():
    model = a_transformer()
    page = pages(1)
    x = model.tokens(page)
    hook = model.letter.register_forward_hook(lambda layer, given, out: x - model.place)
    out = model(page).flatten(2)
    hook.remove()
    heard = torch.autograd.grad(out[0, :, 104].square().sum(), x)[0][0].abs().sum(1)
    assert int(heard.nonzero().max()) == 104 and (heard[:105] > 0).all()


def test_probabilities_of_all_pages_with_two_free_letters_sum_to_one():
    model = a_transformer().double()
    page = pages(1).repeat(256, 1, 1)
    both = torch.tensor(list(itertools.product(range(16), repeat=2)))
    page[:, 13, 12:] = both
    with torch.no_grad():
        total = first.log_letters(model, page)[:, 13, 12:].sum(1).exp().sum()
    assert abs(float(total) - 1) < 1e-6


@pytest.mark.parametrize("order", [list(range(9)), [0, 3, 6, 1, 4, 7, 2, 5, 8], [4, 1, 8, 0, 6, 2, 7, 3, 5]])
def test_probabilities_of_all_512_images_of_3_by_3_sum_to_one(order):
    """The same network with two letters on the upper left corner of the page."""
    model = a_transformer().double()
    order = torch.tensor(order)
    model.order = order
    model.offset = L.offsets(14 * (order // 3) + order % 3)
    model.late = model.late[:9, :9]
    model.place = torch.nn.Parameter(model.place[:9].detach())
    model.usual = torch.nn.Parameter(model.usual[:9, :2].detach())
    model.read[1] = torch.nn.Linear(16, 2).double()
    every = torch.tensor(list(itertools.product(range(2), repeat=9))).view(512, 3, 3)
    with torch.no_grad():
        p = first.log_letters(model, every).sum((1, 2)).exp()
    assert abs(float(p.sum()) - 1) < 1e-6 and p.std() / p.mean() > 0.1


def test_offsets_are_those_on_the_page():
    order = L.orders()["spiral"]
    number = L.offsets(order)
    for t, s in ((5, 2), (100, 100), (195, 1)):
        at, seen = int(order[t]), int(order[s - 1])
        down, right = at // 14 - seen // 14, at % 14 - seen % 14
        assert int(number[t, s]) == 27 * (down + 13) + right + 13
    assert (number[0] == 729).all() and (number[:, 0] == 729).all()


def test_one_token_a_step_gives_the_full_pass_s_logits():
    model = a_transformer(order=L.orders()["columns"])
    page = pages(3)
    written = page.flatten(1)[:, model.order]
    before = F.pad(written[:, :-1], (1, 0), value=16)
    caches, masks = [None, None], model.masks().detach()
    steps = [L.one_step(model, t, before[:, t], caches, masks) for t in range(196)]
    with torch.no_grad():
        whole = model(page).flatten(2).mT[:, model.order]
    torch.testing.assert_close(torch.stack(steps, 1), whole, atol=1e-5, rtol=1e-5)
    assert caches[0][0].shape == (3, 2, 196, 8)


def test_drawing_follows_the_model_s_first_probability():
    model = a_transformer()
    drawn = L.write(model, 400, torch.Generator().manual_seed(0))
    with torch.no_grad():
        p = model(drawn[:1])[0, :, 0, 0].softmax(0)
    found = drawn[:, 0, 0].bincount(minlength=16) / 400
    assert (found - p).abs().max() < 0.08
    again = L.write(model, 400, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_weights_of_attention_are_distributions_over_the_past():
    model = a_transformer()
    maps = L.watched(model, pages(2))
    assert maps.shape == (2, 2, 2, 196, 196)
    assert (maps.sum(-1) - 1).abs().max() < 1e-5 and maps.triu(1).max() == 0


def test_the_transformer_learns_eight_digits():
    model = a_transformer()
    x = cu.mnist().train.float()[:8]
    letters = first.letters_of(x > 0.5)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = first.checked_nats(model(letters), letters).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


# --- completion
# -----------------------------------------------------------------------------------------------------------------


def test_weighted_clamped_draws_are_bayes_posterior():
    """A page of three letters, the middle one and the last given: against enumeration."""
    g = torch.Generator().manual_seed(2)
    p0 = torch.randn(4, generator=g).double().softmax(0)
    p1 = torch.randn(4, 4, generator=g).double().softmax(1)
    p2 = torch.randn(4, 4, 4, generator=g).double().softmax(2)
    a, b = 3, 1
    exact = p0 * p1[:, a] * p2[:, a, b]
    exact = exact / exact.sum()
    drawn = torch.multinomial(p0, 20_000, replacement=True, generator=g)
    log_p = torch.stack([p0[drawn].log(), p1[drawn, a].log(), p2[drawn, a, b].log()], 1)[:, None]
    w = exercises.completion_weights(log_p, torch.tensor([[False, True, True]]))
    found = torch.zeros(4).double().index_add(0, drawn, w)
    assert (found - exact).abs().max() < 0.02
    assert (found - p0).abs().max() > 0.05  # clamping alone is another distribution


def test_weights_are_equal_where_the_given_letters_come_first():
    torch.manual_seed(0)
    model = first.PixelCNN(width=8)
    upper = (torch.arange(14) < 7)[:, None].expand(14, 14)
    page = pages(1).expand(6, -1, -1)
    made = first.draw(model, 6, torch.Generator().manual_seed(0), start=page, given=upper)
    assert torch.equal(made[:, upper], page[:, upper])
    with torch.no_grad():
        w = exercises.completion_weights(first.log_letters(model, made), upper)
    torch.testing.assert_close(w, torch.full((6,), 1 / 6), atol=1e-4, rtol=0)
    nats = L.hidden_nats(model, made, upper)
    whole = first.all_nats(model, made)
    with torch.no_grad():
        above = -(first.log_letters(model, made) * upper).sum((1, 2))
    torch.testing.assert_close(nats + above, whole, atol=1e-2, rtol=1e-4)


def test_turning_a_page_turns_the_image():
    x = (torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    letters = first.letters_of(x)
    assert torch.equal(first.pixels_of(L.turned(letters)), x.mT)
    assert torch.equal(L.turned(L.turned(letters)), letters)


# --- grey
# -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grey():
    torch.manual_seed(0)
    return L.GreyCNN(width=8)


def greys(n, seed=0):
    return torch.randint(256, (n, 4, 14, 14), generator=torch.Generator().manual_seed(seed))


def test_patches_are_pixels_row_by_row():
    x = torch.arange(784).view(1, 1, 28, 28) % 256
    patches = L.patches_of(x / 255.0)
    assert patches[0, :, 2, 3].tolist() == [int(x[0, 0, r, c]) for r in (4, 5) for c in (6, 7)]


def test_no_pixel_hears_itself_or_a_later_one(grey):
    patches = greys(1)
    with torch.no_grad():
        before = grey(patches)
        for patch, pixel in ((103, 1), (0, 0), (195, 2)):
            other = patches.clone()
            where = (0, pixel, patch // 14, patch % 14)
            other[where] = 255 - other[where]
            moved = ((grey(other) - before).abs().amax(2)[0] > 0).flatten(1).T.flatten()
            assert int(moved.nonzero().min()) == 4 * patch + pixel + 1


@pytest.mark.parametrize("kind", ["softmax", "logistic"])
def test_probabilities_of_all_values_of_a_pixel_sum_to_one(kind):
    torch.manual_seed(1)
    model = L.GreyCNN(width=8, out=256 if kind == "softmax" else 30).double()
    nats_of = L.softmax_nats if kind == "softmax" else L.logistic_nats
    patches = greys(1).repeat(256, 1, 1, 1)
    patches[:, 2, 6, 7] = torch.arange(256)
    with torch.no_grad():
        # the heads read float features: double weights, so that the sum is exact
        model.see = lambda x: L.GreyTrunk.see(model, x).double()
        total = (-nats_of(model(patches), patches)[:, 2, 6, 7].double()).exp().sum()
    assert abs(float(total) - 1) < 1e-6


def test_one_wide_logistic_is_its_difference_of_sigmoids():
    out = torch.zeros(1, 4, 30, 1, 1)
    patches = torch.tensor([0, 100, 200, 255]).view(1, 4, 1, 1)
    p = (-L.logistic_nats(out, patches)).exp().flatten()
    edge = torch.tensor([0.5, 99.5, 100.5, 199.5, 200.5, 254.5])
    s = torch.sigmoid((edge - 128) / math.exp(3))
    wanted = torch.stack([s[0], s[2] - s[1], s[4] - s[3], 1 - s[5]])
    torch.testing.assert_close(p, wanted, atol=1e-6, rtol=1e-4)


def test_the_fast_grey_pen_draws_from_the_model(grey):
    """Every drawn pixel is the one that the full pass's probabilities pick with the same random number."""
    n = 3
    made = L.draw_grey(grey, n, torch.Generator().manual_seed(0))
    patches = L.patches_of(made)
    u = torch.rand(14, 14, 4, n, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        p = grey(patches).softmax(2)  # (n, 4, 256, 14, 14)
    wrong = 0
    for r, c, j in itertools.product(range(14), range(14), range(4)):
        row = p[:, j, :, r, c]
        picked = (row.cumsum(1) < u[r, c, j] * row.sum(1, keepdim=True)).sum(1).clamp(max=255)
        wrong += int((picked != patches[:, j, r, c]).sum())
    assert wrong <= 3  # a random number on the edge of two cells


def test_bits_and_nats_there_and_back():
    for bits in (0.81, 1.0, 7.5):
        nats = exercises.density_nats(bits, 784)
        assert cu.metrics.bits_per_dimension(nats, 784) == pytest.approx(bits, abs=1e-12)


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


def test_the_shipped_transformer_has_its_nats():
    model = L.Transformer()
    run = runs.restore("09b_attention", model)
    coins = torch.Generator().manual_seed(4)
    part = first.letters_of(torch.bernoulli(cu.mnist().test.float(), generator=coins))[:400]
    nats = first.all_nats(model, part)
    error = 4 * float(nats.std()) / 20
    assert abs(float(nats.mean()) - run.figure("test nats, exact")) < error
    assert run.figure("test nats, exact") < 95


def test_the_shipped_columns_have_their_nats():
    model = first.PixelCNN(width=32)
    run = runs.restore("09b_columns", model)
    coins = torch.Generator().manual_seed(4)
    part = first.letters_of(torch.bernoulli(cu.mnist().test.float(), generator=coins))[:400]
    nats = first.all_nats(model, L.turned(part))
    error = 4 * float(nats.std()) / 20
    assert abs(float(nats.mean()) - run.figure("test nats, exact")) < error


def test_the_shipped_grey_model_has_its_bits():
    model = L.GreyCNN()
    run = runs.restore("09_grey", model)
    x = cu.mnist().test.float()[:300]
    with torch.no_grad():
        parts = torch.cat([L.softmax_nats(model(p), p).mean((1, 2, 3)) for p in L.patches_of(x).split(100)])
    bits = parts / math.log(2)
    error = 4 * float(bits.std()) / 300**0.5
    assert abs(float(bits.mean()) - run.figure("test bits/dim, exact")) < error
    assert run.card["samples"] == {"kind": "draws", "n": 1_000}


def test_the_shipped_comparisons_hold_what_the_lesson_says():
    orders = runs.load("09b_orders")
    values = {name: [orders.figure(f"{name}, seed {s}") for s in range(3)] for name in L.orders()}
    assert all(60 < value < 160 for row in values.values() for value in row)
    scatter = runs.load("09b_scatter")
    nats = [scatter.figure(f"nats, step {n}") for n in (100, 400, 1_600, 4_800, 12_000)]
    assert nats == sorted(nats, reverse=True)
