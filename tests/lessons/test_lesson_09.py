"""Lesson 09: sums over all images, causality by autograd and by change, the drawing loops, the coder, the
shipped runs."""

import itertools
import math

import pytest
import torch

import course_utils as cu
from course_utils import runs
from tests.lessons.lesson_functions import load

X = load("09", "made_masks", "leaking_masks", "letter_nats", "conv_mask", "draw_slowly", "my_bits")
L = load(
    "09",
    *(
        "FVSBN",
        "log_p_pixels",
        "MADE",
        "pixel_loss",
        "draw_made",
        "some_orders",
        "AllOrders",
        "both_ways",
    ),
    *("letters_of", "pixels_of", "GatedLayer", "PixelCNN", "letter_loss", "all_nats", "log_letters"),
    *("MaskedConv", "Stacked", "field", "one_hot", "begin_row", "next_letter", "write", "draw"),
    *("TOTAL", "edges", "encode", "decode", "letter_source", "hmm_source", "tree_source"),
    checked_masks=X.made_masks,
    checked_nats=X.letter_nats,
    checked_conv_mask=X.conv_mask,
)
EVERY = torch.cartesian_prod(*[torch.arange(2)] * 9).double()  # (512, 9)


def shaken(model, seed=0, by=0.05):
    """The model with weights away from their beginnings."""
    g = torch.Generator().manual_seed(seed)
    for part in model.parameters():
        part.data += by * torch.randn(part.shape, generator=g).to(part)
    return model


def some_letters(n, seed=0):
    return torch.randint(0, 16, (n, 14, 14), generator=torch.Generator().manual_seed(seed))


# --- sums over all images
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [lambda: L.FVSBN(9), lambda: L.MADE(9, 40), lambda: L.MADE(9, 3)])
def test_pixels_sum_to_one_over_all_512_images(build):
    model = shaken(build().double(), by=0.7)
    total = L.log_p_pixels(model(EVERY), EVERY).exp().sum()
    assert abs(float(total.detach()) - 1) < 1e-6


def bars_and_stripes():
    squares = EVERY.view(-1, 3, 3)
    same_rows = (squares == squares[:, :1]).flatten(1).all(1)
    same_columns = (squares == squares[:, :, :1]).flatten(1).all(1)
    return EVERY[same_rows | same_columns]


def fitted(model, x, steps):
    adam = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(steps):
        loss = -L.log_p_pixels(model(x), x).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return float(loss.detach())


def test_any_order_sums_to_one_the_mixture_too_and_averaged_logits_do_not():
    torch.manual_seed(0)
    model, orders = L.MADE(9, 40).double(), L.some_orders(9)
    assert all(sorted(rank.tolist()) == list(range(1, 10)) for rank in orders)
    fitted(L.AllOrders(model, orders), bars_and_stripes(), 400)
    with torch.no_grad():
        each, averaged = L.both_ways(model, orders, EVERY)
    assert (each.exp().sum(1) - 1).abs().max() < 1e-6
    assert abs(float((each.logsumexp(0) - math.log(8)).exp().sum()) - 1) < 1e-6
    assert float(averaged.exp().sum()) > 2


def small_page(model, rows, columns):
    """A network of pages of another size: what is usual at each place is drawn anew."""
    for name in ("place", "usual"):
        part = getattr(model, name)
        shape = (*part.shape[:-2], rows, columns)
        setattr(
            model, name, torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
        )
    return model


def test_the_pixelcnn_sums_to_one_over_all_512_images_and_the_single_stack_over_two_letters():
    tiny = small_page(shaken(L.PixelCNN(8, (1, 2), alphabet=2), by=0.2), 3, 3)
    pages = EVERY.view(512, 3, 3).long()
    logits = tiny(pages).double().detach()
    assert abs(float((-X.letter_nats(logits, pages)).exp().sum()) - 1) < 1e-6
    pairs = torch.tensor(list(itertools.product(range(16), repeat=2))).view(256, 1, 2)
    for build in (L.PixelCNN, L.Stacked):
        model = small_page(shaken(build(8, (1, 2))), 1, 2)
        logits = model(pairs).double().detach()
        assert abs(float((-X.letter_nats(logits, pairs)).exp().sum()) - 1) < 1e-6


def test_a_leak_lowers_the_loss_and_breaks_the_sum():
    torch.manual_seed(0)
    leaky = L.MADE(9, 20, X.leaking_masks).double()
    loss = fitted(leaky, bars_and_stripes(), 500)
    total = L.log_p_pixels(leaky(EVERY), EVERY).exp().sum()
    assert loss < 0.1 < math.log(14) and float(total.detach()) > 10


# --- causality
# -----------------------------------------------------------------------------------------------------------------


def test_made_looks_back_alone_in_any_order_by_autograd_and_by_change():
    rank = torch.randperm(12, generator=torch.Generator().manual_seed(3)) + 1
    model = shaken(L.MADE(12, 50).double(), by=0.4)
    x = torch.bernoulli(torch.full((1, 12), 0.5), generator=torch.Generator().manual_seed(1)).double()
    slopes = torch.autograd.functional.jacobian(lambda x: model(x, rank), x)[0, :, 0]
    order = rank.argsort()
    slopes = slopes[order][:, order]
    assert slopes.triu().abs().max() == 0 and (slopes.tril(-1) != 0).sum() == 66
    for place in range(12):
        changed = x.clone()
        changed[0, order[place]] = 1 - changed[0, order[place]]
        moved = (model(changed, rank) != model(x, rank))[0][order]
        assert not moved[: place + 1].any()


def test_fvsbn_is_a_made_without_hidden_units():
    torch.manual_seed(0)
    made, plain = shaken(L.MADE(9, 5).double()), L.FVSBN(9).double()
    made.out.weight.data.zero_()
    plain.weight.data = made.direct.data
    plain.bias.data = made.out.bias.data
    torch.testing.assert_close(made(EVERY), plain(EVERY))


@pytest.mark.parametrize("build", [L.PixelCNN, L.Stacked])
def test_letters_move_later_outputs_alone_and_the_first_is_the_next_place(build):
    torch.manual_seed(0)
    model = shaken(build(16))
    word = some_letters(1)
    with torch.no_grad():
        base = model(word)
        for r, c in ((0, 0), (7, 5), (3, 11), (13, 12)):
            changed = word.clone()
            changed[0, r, c] = (changed[0, r, c] + 1) % 16
            moved = (model(changed) - base).abs().amax(1).flatten() > 1e-5
            assert int(moved.nonzero()[0]) == 14 * r + c + 1
    assert 14 * 7 + 6 == 104


def test_receptive_fields_by_autograd_two_stacks_see_all_one_stack_has_a_blind_spot():
    before = torch.arange(196).view(14, 14) < 7 * 14 + 6
    for build, unseen in ((L.PixelCNN, 0), (L.Stacked, 10)):
        torch.manual_seed(0)
        seen = L.field(build(16), 7, 6) > 0
        assert not (seen & ~before).any()
        assert int((before & ~seen).sum()) == unseen
    blind = before & ~seen  # those of the single stack lie above and to the right
    rows, columns = blind.nonzero().T
    assert bool((rows < 7).all()) and bool((columns > 6 + 3).all())


def test_the_convolution_masks_leave_open_what_comes_first():
    for size in (3, 5, 7):
        a, b = X.conv_mask("A", size), X.conv_mask("B", size)
        assert int(a.sum()) == size * size // 2 and int((b - a).sum()) == 1 and b[size // 2, size // 2] == 1
        assert a[: size // 2].all() and not a[size // 2 + 1 :].any()


# --- letters
# -----------------------------------------------------------------------------------------------------------------


def test_folding_loses_nothing_and_letters_are_binary_numbers_of_their_blocks():
    x = torch.bernoulli(torch.full((5, 1, 28, 28), 0.4), generator=torch.Generator().manual_seed(0))
    letters = L.letters_of(x)
    assert torch.equal(L.pixels_of(letters), x) and set(letters.unique().tolist()) == set(range(16))
    block = x[2, 0, 8:10, 20:22].flatten().tolist()
    assert int(letters[2, 4, 10]) == sum(int(bit) << k for k, bit in enumerate(block))
    assert torch.equal(L.letters_of(L.pixels_of(some_letters(3))), some_letters(3))


def test_nats_are_the_sum_over_places_and_the_loss_has_a_gradient_everywhere():
    torch.manual_seed(0)
    model, words = shaken(L.PixelCNN(8, (1, 2))), some_letters(3)
    by_place = L.log_letters(model, words)
    nats = X.letter_nats(model(words), words)
    torch.testing.assert_close(-by_place.sum((1, 2)), nats)
    torch.testing.assert_close(L.all_nats(model, words, 2), nats.detach())
    L.letter_loss(model, torch.rand(4, 1, 28, 28)).backward()
    quiet = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]
    assert quiet == ["layers.1.link.weight"] or not quiet


# --- drawing
# -----------------------------------------------------------------------------------------------------------------


def a_writer():
    torch.manual_seed(0)
    return shaken(L.PixelCNN(12)).eval()


def test_the_quick_loop_writes_what_the_slow_one_writes():
    model = a_writer()
    u = torch.rand(14, 14, 5, 1, generator=torch.Generator().manual_seed(2))
    slow_draw = load("09", "draw_slowly").draw_slowly
    with torch.no_grad():
        slow = slow_draw(model, u)
    quick = L.draw(model, 5, torch.Generator().manual_seed(2))
    assert torch.equal(slow, quick) and len(quick.unique()) > 8


def test_logits_letter_by_letter_are_those_of_the_full_pass():
    model, words = a_writer(), some_letters(4)
    pen = L.write(model, 4)
    logits = [next(pen)]
    for place in range(195):
        logits.append(pen.send(words.flatten(1)[:, place]))
    with torch.no_grad():
        whole = model(words).flatten(2).movedim(2, 0)
    assert (torch.stack(logits) - whole).abs().max() < 1e-5 * max(1.0, float(whole.abs().max()))
    assert torch.equal(pen.send(words.flatten(1)[:, 195]), words)


def test_given_letters_stay_and_temperature_zero_takes_the_likeliest():
    model, start = a_writer(), some_letters(3, seed=4)
    given = torch.rand(14, 14, generator=torch.Generator().manual_seed(1)) < 0.5
    done = L.draw(model, 3, torch.Generator().manual_seed(0), start=start, given=given)
    assert torch.equal(done[:, given], start[:, given]) and not torch.equal(done, start)
    cold = L.draw(model, 2, torch.Generator().manual_seed(0), temperature=0)
    with torch.no_grad():
        assert torch.equal(cold, model(cold).argmax(1))


def test_drawings_have_the_models_own_entropy():
    """The mean of −log p of drawings is the entropy; a draw of another temperature misses it."""
    model = a_writer()
    words = L.draw(model, 200, torch.Generator().manual_seed(0))
    with torch.no_grad():
        log_p = model(words).log_softmax(1)
    entropy = -(log_p.exp() * log_p).sum((1, 2, 3))  # given what was drawn, term by term
    gap = L.all_nats(model, words) - entropy
    assert abs(float(gap.mean())) < 5 * float(gap.std()) / 200**0.5
    cool = L.draw(model, 200, torch.Generator().manual_seed(0), temperature=0.7)
    with torch.no_grad():
        log_p = model(cool).log_softmax(1)
    gap = L.all_nats(model, cool) + (log_p.exp() * log_p).sum((1, 2, 3))
    assert float(gap.mean()) < -5 * float(gap.std()) / 200**0.5


def test_made_draws_pixel_by_pixel_what_whole_passes_draw():
    torch.manual_seed(0)
    model = shaken(L.MADE(784, 30)).eval()
    u = torch.rand(784, 2, generator=torch.Generator().manual_seed(7))
    x = torch.zeros(2, 784)
    with torch.no_grad():
        for d in range(784):
            x[:, d] = (u[d] < model(x)[:, d].sigmoid()).float()
    assert (L.draw_made(model, 2, seed=7).view(2, 784) != x).sum() <= 2


# --- the coder
# -----------------------------------------------------------------------------------------------------------------


def a_source(tables):
    """The same tables (T, n, A) for writer and reader; what stood there is not needed."""
    for t in range(len(tables)):
        yield tables[t]
    yield None


@pytest.mark.parametrize("seed", range(4))
def test_a_file_comes_back_bit_for_bit_and_is_as_long_as_shannon_says(seed):
    g = torch.Generator().manual_seed(seed)
    tables = (6 * torch.randn(50, 3, 7, generator=g)).softmax(2)  # some letters below 1e-8
    words = torch.stack([torch.multinomial(p, 1, generator=g)[:, 0] for p in tables], 1)
    words[0, :5] = tables[:5, 0].argmin(1)  # the unlikeliest, too
    file, bits = L.encode(a_source(tables), words)
    assert torch.equal(L.decode(a_source(tables), file, *words.shape), words)
    cuts = torch.tensor([L.edges(p) for p in tables])  # (T, n, A + 1)
    shares = cuts.diff(dim=2).double() / L.TOTAL
    ideal = -shares.gather(2, words.T[..., None]).log2().sum()
    assert -1e-6 < bits - float(ideal) < 2.01
    assert len(file) == math.ceil(bits / 8)


def test_shares_are_whole_never_zero_and_sum_up():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [1e-12, 0.5, 0.5]])
    cuts = torch.tensor(L.edges(p))
    assert (cuts[:, 0] == 0).all() and (cuts[:, -1] == L.TOTAL).all() and (cuts.diff(dim=1) >= 1).all()
    assert ((cuts.diff(dim=1) / L.TOTAL) - p).abs().max() < 1e-6


def test_the_pixelcnn_codes_within_two_bits_and_with_a_wrong_letter_all_that_follows_is_noise():
    model, words = a_writer(), L.draw(a_writer(), 3, torch.Generator().manual_seed(5))
    flat = words.flatten(1)
    file, bits = L.encode(L.letter_source(model, 3), flat)
    assert torch.equal(L.decode(L.letter_source(model, 3), file, 3, 196), flat)
    ideal = float(L.all_nats(model, words).sum()) / math.log(2)
    assert abs(bits - ideal) < 2
    broken = bytes([file[0] ^ 128]) + file[1:]
    assert not torch.equal(L.decode(L.letter_source(model, 3), broken, 3, 196), flat)


def test_lesson_08s_models_go_through_the_same_coder():
    from course_utils.lessons.lesson_08 import RowChain, log_digits

    chain = RowChain(3)
    g = torch.Generator().manual_seed(0)
    for part in (chain.start, chain.moves, chain.ink):
        part.copy_(torch.randn(part.shape, generator=g))
    x = torch.bernoulli(torch.full((2, 784), 0.4), generator=g).long()
    file, bits = L.encode(L.hmm_source(chain, 2), x)
    assert torch.equal(L.decode(L.hmm_source(chain, 2), file, 2, 784), x)
    ideal = -float(log_digits(x.view(2, 28, 28).float(), *chain.logs()).sum()) / math.log(2)
    assert abs(bits - ideal) < 2.5
    order = [(0, -1), *((i, (i - 1) // 2) for i in range(1, 784))]
    p_on = torch.rand(784, 2, generator=g)
    make = lambda: L.tree_source(order, torch.tensor(0.3), p_on, 2)  # noqa: E731
    file, bits = L.encode(make(), x)
    assert torch.equal(L.decode(make(), file, 2, 784), x)
    p = torch.stack([p_on[k][x[:, j]] for k, (_, j) in enumerate(order)][1:], 1)
    ideal = -torch.where(x[:, 1:] == 1, p, 1 - p).log2().sum()
    ideal -= torch.where(x[:, 0] == 1, torch.tensor(0.3), torch.tensor(0.7)).log2().sum()
    assert abs(bits - float(ideal)) < 2.5


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


def test_letters():
    coins = torch.Generator().manual_seed(4)
    return torch.bernoulli(cu.mnist().test.float(), generator=coins)


test_letters.__test__ = False


def test_the_shipped_pixelcnn_has_the_nats_on_its_card():
    model = L.PixelCNN()
    run = runs.restore("09_pixelcnn", model)
    words = L.letters_of(test_letters()[:1_000])
    nats = float(L.all_nats(model, words).mean())
    assert abs(nats - run.figure("the first 1,000 test digits")) < 0.05
    assert run.figure("test nats, exact") < 80.9 and run.figure("standard error") < 0.3
    assert run.card["lesson"] == "09_autoregressive" and run.card["steps"] == 12_000
    model.layers[0].down.weight.data = model.layers[0].down.weight.data.flip(0)
    assert float(L.all_nats(model, words[:200]).mean()) > nats + 3
    steps = [int(key.split()[-1]) for key in run.card["figures"] if key.startswith("validation")]
    curve = [run.figure(f"validation nats, step {step}") for step in sorted(steps)]
    assert len(curve) >= 8 and all(after < before for before, after in zip(curve, curve[1:]))


def test_the_shipped_drawings_are_binary_and_have_the_distance_on_the_card():
    run = runs.load("09_pixelcnn")
    kept = torch.from_numpy(run.samples)
    assert run.card["samples"] == {"kind": "draws", "n": len(kept)} and len(kept) == 1_000
    assert set(kept.unique().tolist()) == {0, 255}
    score = cu.metrics.score([kept], 1_000)
    spread = run.figure("Fréchet distance, spread of sets")
    assert abs(score.distance - run.figure("Fréchet distance")) < 4 * spread + 1
    frames, rows = run.replay
    assert frames.shape == (3, 9, 28, 28) and rows.tolist() == [4, 7, 10]
    for shown, n in zip(frames, rows):
        assert (shown[1:, : 2 * n] == shown[0, : 2 * n]).all()  # what was written stays
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 1.5e6


def test_the_cards_of_made_and_of_the_blind_spot_hold_together():
    made = runs.load("09_made")
    mixture = made.figure("eight orders: mixture")
    assert (
        made.figure("eight orders: averaged logits")
        < mixture
        < made.figure("eight orders: mean of the eight")
    )
    assert mixture > made.figure("eight orders: mean of the eight") - math.log(8) - 8
    assert made.card["steps"] == 1_200 and made.figure("rows alone, 9,000 steps") < mixture
    kept = torch.from_numpy(made.samples)
    score = cu.metrics.score([kept], 1_000)
    spread = made.figure("Fréchet distance, spread of sets")
    assert abs(score.distance - made.figure("Fréchet distance")) < 4 * spread + 1
    assert len(kept) == 1_000 and set(kept.unique().tolist()) == {0, 255}
    blind = runs.load("09_blind")
    sizes = [blind.figure(f"{kind}: open numbers") for kind in ("one stack", "two stacks")]
    assert abs(sizes[0] / sizes[1] - 1) < 0.03
    for seed in range(3):
        one, two = (
            blind.figure(f"{kind}: validation nats, seed {seed}") for kind in ("one stack", "two stacks")
        )
        assert one > two


def test_what_lesson_09_shares_is_the_lessons_own():
    from course_utils.lessons import lesson_09 as shared

    torch.manual_seed(0)
    model = shared.PixelCNN(8, (1, 2))
    mine = L.PixelCNN(8, (1, 2))
    mine.load_state_dict(model.state_dict())
    words = some_letters(2)
    torch.testing.assert_close(model(words), mine(words))
    drawn = [source.draw(model, 2, torch.Generator().manual_seed(0)) for source in (L, shared)]
    assert torch.equal(*drawn)
