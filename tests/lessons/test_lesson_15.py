"""Lesson 15: pictures and sentences in one space, the order of words, and a writer; what its cards say."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils import runs, scenes
from course_utils.checks.references import ref_15
from course_utils.lessons import lesson_15
from tests.lessons.lesson_functions import load

NAMES = ["sayings", "one_of", "estimated", "meetings", "found_first", "swap_test", "hard_for", "beam_search"]
lesson = load(
    "15",
    *NAMES,
    swapped=lesson_15.swapped,
    checked_contrastive=ref_15.contrastive_loss,
    device=torch.device("cpu"),
)


def some_scenes(n, seed=0, **options):
    """Scenes and their pictures, in handwriting of the validation digits."""
    dice = torch.Generator().manual_seed(seed)
    some = scenes.draw_scenes(n, dice, **options)
    return some, scenes.render(some, scenes.Glyphs(cu.mnist().val, 1_000), dice)


# --- the contrastive loss


def test_the_contrastive_loss_is_two_cross_entropies():
    torch.manual_seed(0)
    seen, heard = F.normalize(torch.randn(7, 5), dim=1), F.normalize(torch.randn(7, 5), dim=1)
    logits = seen @ heard.T / 0.3
    expected = (F.cross_entropy(logits, torch.arange(7)) + F.cross_entropy(logits.T, torch.arange(7))) / 2
    assert torch.allclose(ref_15.contrastive_loss(3 * seen, heard / 2, 0.3), expected)


def test_vectors_that_say_nothing_cost_log_b():
    same = torch.ones(16, 4)
    assert math.isclose(ref_15.contrastive_loss(same, same, 0.1).item(), math.log(16), rel_tol=1e-6)


def test_the_estimate_is_never_above_log_b():
    some, pictures = some_scenes(64)
    for seed in range(3):
        torch.manual_seed(seed)
        model = cu.prepare(lesson_15.Pair()).eval()
        assert lesson.estimated(model, some, pictures, 16, batches=5) <= math.log(16)


def test_a_row_whose_own_column_is_largest_is_found():
    similar = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.0, 0.1, 0.5]])
    assert math.isclose(lesson.found_first(similar), 2 / 3, rel_tol=1e-6)


# --- the order of words


def test_sentences_for_training_tell_the_scene_and_leave_one_way_out():
    some, _ = some_scenes(40)
    told = lesson.sayings(some)
    assert told.shape == (40, 3, scenes.LENGTH)
    for scene, rows in zip(some, told, strict=True):
        sentences = scenes.decode(rows)
        assert {scenes.parse(sentence) for sentence in sentences} == {scene}
        assert scenes.say(scene, scenes.HELD_PATTERN) not in sentences


@pytest.mark.parametrize("how", ["colours", "kinds", "order"])
def test_an_exchange_keeps_the_words_and_undoes_itself(how):
    for scene in scenes.draw_scenes(50, torch.Generator().manual_seed(1), things=2):
        other = lesson_15.swapped(scene, how)
        assert sorted(scenes.say(other).split()) == sorted(scenes.say(scene).split())
        assert lesson_15.swapped(other, how) == scene


def test_a_hard_negative_is_another_scene():
    dice = random.Random(0)
    twins = scenes.Thing("big", "red", "3")
    same = scenes.Scene((twins, twins), "above")  # nothing can be exchanged
    for scene in [same, *scenes.draw_scenes(200, torch.Generator().manual_seed(2))]:
        assert lesson.hard_for(scene, dice) != scene


def test_a_coin_passes_half_of_the_swap_test_and_an_oracle_all():
    some, pictures = some_scenes(300, things=2)

    class Oracle(nn.Module):
        """Hears which scene a sentence tells, sees which one a picture shows (or guesses)."""

        def __init__(self, knows):
            super().__init__()
            self.knows = knows

        def see(self, x):
            rows = [(x == (p.float() / 255)[None]).flatten(1).all(1) for p in pictures.to(x.device)]
            which = torch.stack(rows, 1).int().argmax(1)
            return torch.stack([vector(some[i], self.knows) for i in which.tolist()]).to(x.device)

        def hear(self, words):
            told = [vector(scenes.parse(sentence), self.knows) for sentence in scenes.decode(words)]
            return torch.stack(told).to(words.device)

    def vector(scene, knows):
        seed = hash(scene) if knows else hash(tuple(sorted(scenes.say(scene).split())))
        generator = torch.Generator().manual_seed(seed % 2**31)
        noise = torch.randn(64, generator=generator)
        return F.normalize(noise, dim=0)

    for how in ("colours", "kinds", "order"):
        share, n = lesson.swap_test(Oracle(True), some, pictures, how)
        assert share == 1 and n > 200
        share, _ = lesson.swap_test(Oracle(False), some, pictures, how)
        assert share == 0  # equal similarities: a bag of words prefers neither


# --- the writer


def test_cross_attention_is_torchs():
    torch.manual_seed(0)
    x, memory = torch.randn(2, 3, 8, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    parts = [nn.Linear(8, 8).double(), nn.Linear(6, 8).double(), nn.Linear(6, 8).double()]
    hidden = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]]).bool()
    found, weights = ref_15.cross_attention(x, memory, *parts, 2, hidden)
    q, k, v = (
        part(t).view(2, -1, 2, 4).transpose(1, 2) for part, t in zip(parts, (x, memory, memory), strict=True)
    )
    trusted = F.scaled_dot_product_attention(q, k, v, attn_mask=~hidden[:, None, None])
    assert torch.allclose(found, trusted.transpose(1, 2).flatten(2), atol=1e-12)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 3, dtype=torch.float64))
    assert weights[:, :, :, -1].abs().max() == 0


def test_a_word_does_not_depend_on_later_ones():
    torch.manual_seed(0)
    model = lesson_15.Writer().eval()
    words = scenes.encode([scenes.say(scene) for scene in scenes.draw_scenes(3)])
    places = model.see(torch.rand(3, 3, 32, 32))
    other = words.clone()
    other[:, 6:] = 5
    a, b = model(places, words), model(places, other)
    assert torch.allclose(a[:, :6], b[:, :6], atol=1e-5) and not torch.allclose(a[:, 6:], b[:, 6:], atol=1e-3)


def test_what_fills_up_is_not_heard():
    torch.manual_seed(0)
    model = lesson_15.Hear().eval()
    words = scenes.encode(["a big red 3"])
    before = model(words)[0, :6]
    with torch.no_grad():
        model.embed.weight[scenes.PAD] += 10
    assert torch.allclose(model(words)[0, :6], before, atol=1e-5)


def test_a_beam_of_one_is_the_likeliest_word_each_time():
    some, pictures = some_scenes(12)
    writer = cu.prepare(lesson_15.Writer())
    cu.restore("15_writer", {"writer": writer})
    writer.eval()
    greedy = lesson_15.write(writer, pictures)
    assert [lesson.beam_search(writer, picture, 1) for picture in pictures] == greedy


# --- what the cards say


def test_the_shipped_grader_reads_98_percent_of_every_field():
    some, pictures = some_scenes(2_000, seed=3)
    net = cu.prepare(scenes.Kinds())
    cu.restore("15_kinds", {"kinds": net})
    found = scenes.Reader(net)(pictures)
    for field in (*scenes.FIELDS, "all"):
        assert ref_15.graded(some, found, field)[0] >= 0.98, field


def test_the_estimate_sticks_below_log_b():
    card = runs.load("15_bound")
    for size in (16, 64, 256):
        reached = card.figure(f"batches of {size}, step 4000")
        assert 0.8 * math.log(size) < reached < math.log(size) < scenes.entropy(held=False)


def test_three_seeds_cannot_read_order_before_and_can_after():
    card = runs.load("15_swaps")
    for seed in range(3):
        assert card.figure(f"plain, seed {seed}: sentence found") > 0.7
        for how in ("colours", "kinds", "order"):
            before, after = (card.figure(f"{way}, seed {seed}: {how}") for way in ("plain", "hard"))
            assert before < 0.8 and after > before + 0.1
        assert card.figure(f"hard, seed {seed}: colours") > 0.9
