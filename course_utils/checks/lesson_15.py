"""Checks of lesson 15: a fair grade, and nats a word.

The contrastive loss is in `lesson_15_pair.py`, cross-attention in `lesson_15_across.py`.
"""

import dataclasses
import math

import torch

from course_utils import scenes
from course_utils.arena.game import interval
from course_utils.checks import lesson_15_across  # noqa: F401  it registers its exercise
from course_utils.checks.lesson_14b_pairs import called
from course_utils.checks.lesson_15_pair import expect_gradients  # which registers the other one
from course_utils.checks.machinery import (
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal

UNREADY = (
    ("ZeroDivisionError", "no scene has this field: return (0, 0, 1) before you divide."),
    ("'NoneType'", "where nothing was read stands None: give it to scenes.grade, which calls it wrong."),
    ("KeyError", "one thing alone has no “relation”: keep the marks of those scenes that have the field."),
)


def _misread(scene, how):
    """What is read in a scene's picture: with so many mistakes that each field has another share."""
    *before, last = scene.things
    others = {"size": scenes.SIZES, "colour": scenes.COLOURS, "kind": scenes.KINDS}
    if how == "nothing":
        return None
    if how == "number":
        return scenes.Scene((last,)) if before else scenes.Scene((last, last), "above")
    if how in others:
        known = others[how]
        other = known[(known.index(getattr(last, how)) + 1) % len(known)]
        return scenes.Scene((*before, dataclasses.replace(last, **{how: other})), scene.relation)
    if how == "turned":
        return scenes.Scene(scene.things[::-1], scene.relation)
    if how == "relation" and before:
        return scenes.Scene(scene.things, scenes.RELATIONS[scene.relation == "above"])
    return scene


def _readings():
    """Scenes, and what was read."""
    asked = scenes.draw_scenes(57, torch.Generator().manual_seed(91))
    often = {"right": 6, "turned": 7, "kind": 2, "colour": 4, "size": 1, "relation": 3, "number": 3}
    hows = [how for how, times in (often | {"nothing": 2}).items() for _ in range(times)]
    return asked, [_misread(scene, hows[5 * i % len(hows)]) for i, scene in enumerate(asked)]


def _mean(marks):
    return sum(marks) / max(len(marks), 1)


def _in_place(scene, found, field):
    """A field compared thing by thing, first with first."""
    if found is None or len(found.things) != len(scene.things):
        return False
    return all(getattr(a, field) == getattr(b, field) for a, b in zip(scene.things, found.things))


def _share_causes(asked, read, field, marks):
    """What mistakes make of the share: pairs (value, hint)."""
    right = [mark[field] for mark in marks if field in mark]
    parts = [[mark[f] for f in scenes.FIELDS if f in mark] for mark in marks]
    taken = [mark[field] for mark, found in zip(marks, read) if field in mark and found is not None]
    empty = [mark.get(field, False) or found is None for mark, found in zip(marks, read) if field in mark]
    pairs = [mark.get(field, False) for mark, found in zip(marks, read) if found and len(found.things) == 2]
    alone = len(asked) - len(right)
    fifths = "the fields are averaged: a picture with four fields right of five is a wrong picture."
    causes = [
        (_mean(sum(parts, [])), fifths),
        (_mean([_mean(part) for part in parts]), f"{fifths} Take mark[field]."),
        (_mean(taken), "pictures in which nothing was read are left out: they are wrong, and count."),
        (_mean(empty), "pictures in which nothing was read count as right: scenes.grade calls them wrong."),
        (100 * _mean(right), "this is per cent: return a share between 0 and 1."),
        (sum(right), "this is how many are right: divide by how many scenes have the field."),
        (1 - _mean(right), "this is the share of wrong ones: count the right ones."),
        (
            sum(right) / len(asked),
            "divided by all scenes: one thing alone has no relation, so it must not count as wrong.",
        ),
        (
            (sum(right) + alone) / len(asked),
            "scenes of one thing count as right: they have no relation, so leave them out.",
        ),
        (_mean(pairs), "what was *asked* decides whether a scene has the field, not what was read."),
    ]
    if field in ("size", "colour", "kind"):
        here = [_in_place(scene, found, field) for scene, found in zip(asked, read)]
        causes.append((_mean(here), "first is compared with first: let scenes.grade match the things."))
    for other in (*scenes.FIELDS, "all"):
        share = _mean([mark[other] for mark in marks if other in mark])
        causes.append((share, f"this is the share of “{other}”, and “{field}” was asked for: mark[field]."))
    return causes


def _bound_causes(asked, read, field, marks):
    """What mistakes make of the two bounds: pairs (value, hint)."""
    right = [mark[field] for mark in marks if field in mark]
    k, n = sum(right), len(right)
    share, (low, high) = k / n, interval(k, n)
    off = 1.96 * math.sqrt(share * (1 - share) / n)
    taken = sum(field in mark and found is not None for mark, found in zip(marks, read))
    whole = "the interval's n is the number of scenes that have the field, not that of all."
    return [
        (interval(k, len(asked)), whole),
        (interval(k, taken), "the interval's n leaves out where nothing was read: those count, too."),
        (interval(n - k, n), "this is the interval of the wrong ones: give it the right ones."),
        ((high, low), "the bounds are exchanged: the lower one comes first."),
        ((share - low, high - share), "these are distances from the share: return the bounds themselves."),
        (
            (share - off, share + off),
            "share ± 1.96 deviations is no Wilson's interval: call interval(right, n).",
        ),
    ]


def _graded(fn, asked, read, field, where=""):
    """One call of the exercise, its three numbers compared; `where` comes in front of hints."""
    out = called(fn, asked, read, field, known=UNREADY)
    three = "return three numbers side by side, share, low and high: (share, *interval(right, n))."
    expect(not isinstance(out, set | frozenset | dict | str | bytes) and hasattr(out, "__len__"), three)
    expect(len(out) == 3 and all(is_number(part) for part in out), three)
    share, *bounds = (float(part) for part in out)
    marks = [scenes.grade(scene, found) for scene, found in zip(asked, read)]
    right = [mark[field] for mark in marks if field in mark]
    if not right:
        expect_close((share, *bounds), (0.0, 0.0, 1.0), f"{where}return (0, 0, 1), for nothing is known.")
        return
    hint = f"{where}count the marks of “{field}” that are True, and divide by how many have it."
    causes = () if where else _share_causes(asked, read, field, marks)
    expect_value(share, _mean(right), hint, causes)
    hint = f"{where}the interval is not interval(right, n), with the same two numbers as the share."
    causes = () if where else _bound_causes(asked, read, field, marks)
    expect_value(bounds, interval(sum(right), len(right)), hint, causes)


@exercise(
    "15.graded",
    verified="each field among the scenes that have it, None is wrong, Wilson's interval, (0, 0, 1) for none",
)
def graded(fn):
    asked, read = _readings()
    for field in ("all", *scenes.FIELDS):
        _graded(fn, asked, read, field)
    for field in ("relation", "all", "number"):
        _graded(fn, asked, [None] * len(asked), field, "Nothing was read in any picture: ")
        _graded(fn, asked, list(asked), field, "All is read as asked: ")
    alone = [scene for scene in asked if len(scene.things) == 1]
    _graded(fn, alone[:5], alone[1:6], "relation", "No scene has a relation: ")
    _graded(fn, alone[:1], alone[:1], "all", "One scene alone: ")
    _graded(fn, [], [], "all", "No scenes at all: ")


def _guessed(logits, words, pad):
    """−log p of each word that is guessed, (B, T − 1), and whether it counts."""
    nats = -logits[:, :-1].log_softmax(-1).gather(-1, words[:, 1:, None])[..., 0]
    return nats, words[:, 1:] != pad


def _nats(logits, words, pad):
    nats, real = _guessed(logits, words, pad)
    return nats[real].mean()


def _mean_at(logits, targets, counted):
    """Mean cross-entropy of targets where they count."""
    return -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0][counted].mean()


def _mean_causes(logits, words, pad):
    """What other means, logarithms and shares come to: pairs (value, hint)."""
    nats, real = _guessed(logits, words, pad)
    total, before, to = nats[real].sum(), logits[:, :-1], words[:, 1:]
    right, shares, each = total / real.sum(), (-nats).exp(), (nats * real).sum(1) / real.sum(1)
    turned = before.log_softmax(1).gather(-1, to[..., None])[..., 0]
    number = "divide by the number of words that count"
    return [
        (nats.mean(), "padding is guessed and counted: leave out where words[:, 1:] is pad."),
        (total / real.numel(), f"divided by all B·(T − 1) places: {number}."),
        (total / words.numel(), f"divided by all B·T places: {number}."),
        (
            total / (words != pad).sum(),
            f"START is among the words you divide by, and it is not guessed: {number}.",
        ),
        (total / len(words), f"these are nats a sentence: {number}."),
        (total, f"this is a sum: {number}."),
        (
            each.mean(),
            "a mean of the sentences' means: all words of the batch count alike, in long sentences, too.",
        ),
        (each.sum(), "the sentences' means are added: one mean over all words of the batch."),
        (right / math.log(2), "these are bits: take the natural logarithm."),
        (right / math.log(10), "this is a decimal logarithm: take the natural one."),
        (right.exp(), "this is a perplexity, e to the power of it: return the nats."),
        (-right, "the sign is turned: −log p is asked for."),
        (shares[real].mean(), "these are probabilities: the mean of −log p is asked for."),
        (-shares[real].mean(), "these are probabilities: take the logarithm before the mean."),
        (-shares[real].mean().log(), "the logarithm of a mean: take the mean of the logarithms."),
        (
            -before.gather(-1, to[..., None])[..., 0][real].mean(),
            "logits are no log p: first a log_softmax over the K words.",
        ),
        (
            _mean_at(before.softmax(-1), to, real),
            "a softmax before F.cross_entropy, which takes one itself: give it the logits.",
        ),
        (-turned[real].mean(), "softmax along the sentence: take it over the K words, the last axis."),
    ]


def _shift_causes(logits, words, pad):
    """What it comes to when other words are guessed: pairs (value, hint)."""
    nats, real = _guessed(logits, words, pad)
    before, after, to, last = logits[:, :-1], logits[:, 1:], words[:, 1:], words[:, :-1]
    end = real & (torch.arange(1, words.shape[1]) == real.sum(1, keepdim=True))
    on, flat, row, across = words.roll(-1, 1), logits.flatten(0, 1), words.flatten(), to.T.reshape(to.shape)
    return [
        (_mean_at(before, to, to != 0), "pad is taken to be 0: use the argument."),
        (
            _mean_at(logits, words, words != pad),
            "each place guesses its own word: logits[:, :-1] guess words[:, 1:].",
        ),
        (
            _mean_at(after, to, real),
            "each place guesses its own word, which it has seen: logits[:, :-1] guess words[:, 1:].",
        ),
        (_mean_at(after, last, last != pad), "shifted the wrong way: logits[:, t] guess words[:, t + 1]."),
        (
            _mean_at(after, last, real),
            "shifted the wrong way, and counted by the later word: logits[:, :-1], words[:, 1:].",
        ),
        (
            _mean_at(logits, on, on != pad),
            "START is guessed, too, by the last logits: nothing stands before it.",
        ),
        (
            _mean_at(flat[None, :-1], row[None, 1:], row[None, 1:] != pad),
            "flattened before the shift: the end of a sentence would guess the START of the next.",
        ),
        (
            _mean_at(before, across, across != pad),
            "the words lie in columns, the logits in rows: flatten both alike.",
        ),
        (
            _mean_at(before, to, last != pad),
            "the mask belongs to the word that is guessed: words[:, 1:] != pad.",
        ),
        (
            nats[real & ~end].mean(),
            "END is not guessed: it counts as a word, for it says that the sentence is over.",
        ),
        (
            nats[:, :-1][real[:, :-1]].mean(),
            "the last word of the longest sentences is not guessed: logits[:, :-1], words[:, 1:].",
        ),
        (
            nats[:, 1:][real[:, 1:]].mean(),
            "the first word after START is not guessed: only START itself is given.",
        ),
    ]


SHIFTED = (
    (
        "out of bounds",
        "some number of a word is too large for its axis: log p of word k is entry k of the last axis, K.",
    ),
    ("must match the size", "sizes do not fit: logits[:, :-1] and words[:, 1:] have T − 1 places each."),
    (
        "Expected target size",
        "F.cross_entropy wants the words in rows: flatten both, (B·(T − 1), K) and (B·(T − 1),).",
    ),
    ("to match target batch_size", "T logits, T − 1 words? logits[:, :-1] guess words[:, 1:]."),
)


def _told(fn, logits, words, pad, hint):
    """One call of the exercise, its shape and value."""
    out = called(fn, logits, words, pad, known=SHIFTED)
    expect_shape(
        out, (), "A single number that training can follow back: the mean over all words of the batch."
    )
    expect(
        out.isfinite(),
        "it gives inf or nan: take log_softmax (or F.cross_entropy), not the log of a softmax.",
    )
    causes = _shift_causes(logits, words, pad) + _mean_causes(logits, words, pad)
    expect_value(out, _nats(logits, words, pad), hint, causes)
    expect_like(out, logits)
    return out


def _sentences(pad):
    """START, words, END, and pad up to 7 places; where pad is not 0, this is a word."""
    rows = [[4, 6, 3, 8, 5], [3], [5, 4, 4], [8]]
    words = torch.tensor([[1, *row, 2] + [pad] * (5 - len(row)) for row in rows])
    return words if pad == 0 else words.masked_fill(words == 4, 0)


@exercise(
    "15.sentence_nats",
    verified="the next word, END too, no START, no padding, every word alike, any pad, a gradient, float32",
)
def sentence_nats(fn):
    logits, words = 1.5 * normal(4, 7, 9, seed=121), _sentences(0)
    hint = "the mean of −log softmax(logits[:, t]) at words[:, t + 1], wherever that is not pad, is another number."
    expect_double(_told(fn, logits, words, 0, hint), _nats(logits, words, 0))
    _told(fn, logits, _sentences(7), 7, f"Here pad is 7, and 0 is a word: {hint}")
    _told(fn, logits[:, :6], words[1:2, :6].expand(4, 6), 0, f"Sentences of one length: {hint}")
    _told(fn, logits[:1, :4], words[:1, :4], 0, f"One sentence, and nowhere a pad: {hint}")
    _told(fn, logits[:1, :2], words[:1, :2], 0, f"One word, T = 2: {hint}")
    learn = logits.clone().requires_grad_()
    out = _told(fn, learn, words, 0, hint)
    expect_gradients(out, _nats(learn, words, 0), [learn], ["the logits"])
    _told(fn, 800 * logits.float(), words, 0, f"Logits of thousands, in float32: {hint}")
    expect_any_device(fn, logits.float(), words, 0)
