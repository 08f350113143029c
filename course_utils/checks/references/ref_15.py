"""Reference functions of lesson 15, generated from lessons/15_pictures_and_sentences.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch
import torch.nn.functional as F

from course_utils import scenes
from course_utils.arena.game import interval


def graded(asked, read, field):
    """Share of scenes right in a field, and Wilson's interval: (share, low, high).

    asked: scenes; read: what was read in their pictures, scenes or None, as many.
    `scenes.grade(asked[i], read[i])` → {"number": True, …, "all": False}; None is wrong in all
    fields. An asked thing alone has no "relation". `interval(successes, n)` → (low, high).
    Without a scene that has the field: (0, 0, 1).
    """
    marks = [scenes.grade(scene, found) for scene, found in zip(asked, read)]
    right = [mark[field] for mark in marks if field in mark]
    if not right:
        return 0.0, 0.0, 1.0
    return sum(right) / len(right), *interval(sum(right), len(right))


def contrastive_loss(seen, heard, temperature, more=None):
    """Equation (1): vectors (B, d) of pictures and of their sentences → the loss, a tensor ().

    Row i of seen belongs to row i of heard. Vectors come in any length and are scaled to one
    here. temperature: a number or a tensor (). more (M, d), or None: vectors of sentences that
    belong to no picture, wrong answers to the first question only.
    """
    seen = F.normalize(seen, dim=1)
    heard = F.normalize(heard, dim=1)
    scores = seen @ heard.T / temperature  # (B, B): row a picture, column a sentence
    choices = scores
    if more is not None:
        choices = torch.cat([scores, seen @ F.normalize(more, dim=1).T / temperature], 1)
    right = torch.arange(len(seen), device=seen.device)
    return (F.cross_entropy(choices, right) + F.cross_entropy(scores.T, right)) / 2


def cross_attention(x, memory, query, key, value, heads, hidden=None):
    """Equation (2): x (B, N, …) asks memory (B, M, …); returns what it found (B, N, width)
    and the weights (B, heads, N, M).

    query, key, value: modules that end in width = heads · d numbers, the first d of them for
    head 0. hidden (B, M): True where memory must not be looked at, never a whole row.
    """
    q = query(x).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, heads, N, d)
    k = key(memory).unflatten(-1, (heads, -1)).transpose(1, 2)
    v = value(memory).unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden[:, None, None], -torch.inf)
    weights = scores.softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2), weights


def sentence_nats(logits, words, pad):
    """Mean cross-entropy in nats a word: logits (B, T, K), words (B, T) → a tensor ().

    logits[:, t] guess the word at t + 1, having seen those up to t: START is not guessed, END
    is. pad: the number that only fills up, and does not count. The mean runs over all words of
    the batch that do.
    """
    guesses = logits[:, :-1].flatten(0, 1)
    return F.cross_entropy(guesses, words[:, 1:].flatten(), ignore_index=pad)


REFERENCES = {
    "15.graded": graded,
    "15.contrastive_loss": contrastive_loss,
    "15.cross_attention": cross_attention,
    "15.sentence_nats": sentence_nats,
}
