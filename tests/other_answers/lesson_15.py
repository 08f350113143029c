"""Right answers to the exercises of lesson 15, each in another style than the lesson's own."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from course_utils import scenes
from course_utils.arena.game import interval


def graded_in_numpy(asked, read, field):
    marks = [scenes.grade(*pair).get(field) for pair in zip(asked, read)]
    marks = np.array([mark for mark in marks if mark is not None], dtype=bool)
    low, high = interval(int(marks.sum()), marks.size)
    return (marks.mean() if marks.size else np.float64(0), low, high)


def graded_by_counting(asked, read, field):
    right = n = 0
    for i in range(len(asked)):
        if field == "relation" and len(asked[i].things) == 1:
            continue
        n += 1
        if scenes.grade(asked[i], read[i])[field] is True:
            right += 1
    return [right / n if n else 0, *interval(right, n)]


def graded_in_tensors(asked, read, field):
    told = [scenes.grade(scene, found) for scene, found in zip(asked, read)]
    right = torch.tensor([float(mark[field]) for mark in told if field in mark])
    if len(right) == 0:
        return torch.tensor([0.0, 0.0, 1.0])
    return torch.tensor([right.mean().item(), *interval(int(right.sum()), len(right))])


def graded_by_equality(asked, read, field):
    """All fields are right where the two scenes are equal."""
    pairs = [pair for pair in zip(asked, read) if field != "relation" or pair[0].relation]
    if field == "all":
        right = sum(scene == found for scene, found in pairs)
    else:
        right = sum(scenes.grade(scene, found)[field] for scene, found in pairs)
    low, high = interval(right, len(pairs))
    return right / max(len(pairs), 1), low, high


def graded_with_wilson(asked, read, field):
    marks = [mark[field] for mark in map(scenes.grade, asked, read) if field in mark]
    n, z = len(marks), 1.959964
    if n == 0:
        return 0, 0, 1
    share = marks.count(True) / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return share, middle - half, middle + half


def loss_by_logsumexp(seen, heard, temperature, more=None):
    a, b = (v / v.norm(dim=1, keepdim=True) for v in (seen, heard))
    scores = a @ b.mT / temperature
    first = scores
    if more is not None:
        first = torch.hstack([first, a @ (more / more.norm(dim=1, keepdim=True)).mT / temperature])
    own = scores.diag()
    return (first.logsumexp(1) - own + scores.logsumexp(0) - own).sum() / (2 * len(seen))


def loss_by_cosines(seen, heard, temperature, more=None):
    sentences = heard if more is None else torch.cat([heard, more])
    similar = F.cosine_similarity(seen[:, None], sentences[None], dim=-1) / temperature
    B = len(seen)
    forth = similar.log_softmax(dim=1).diagonal().mean()
    back = similar[:, :B].log_softmax(dim=0).diagonal().mean()
    return -0.5 * (forth + back)


def loss_with_tiny_numbers(seen, heard, temperature, more=None):
    """Lengths are kept from 0 by a small number."""

    def scaled(v):
        return v / (v.pow(2).sum(-1, keepdim=True).sqrt() + 1e-8)

    scores = torch.einsum("id,jd->ij", scaled(seen), scaled(heard)).div(temperature)
    wide = (
        [scores]
        if more is None
        else [scores, torch.einsum("id,md->im", scaled(seen), scaled(more)).div(temperature)]
    )
    labels = torch.arange(scores.size(0)).to(seen.device)
    forth = F.nll_loss(F.log_softmax(torch.cat(wide, -1), -1), labels)
    return torch.stack([forth, F.nll_loss(F.log_softmax(scores.t(), -1), labels)]).mean()


def loss_row_by_row(seen, heard, temperature, more=None):
    others = [] if more is None else list(F.normalize(more))
    pictures, sentences = list(F.normalize(seen)), list(F.normalize(heard))
    parts = []
    for i in range(len(pictures)):
        forth = torch.stack([pictures[i] @ s for s in sentences + others]) / temperature
        back = torch.stack([p @ sentences[i] for p in pictures]) / temperature
        parts.append(-forth.log_softmax(0)[i] / 2 - back.log_softmax(0)[i] / 2)
    return sum(parts) / len(parts)


def loss_by_sharp_vectors(seen, heard, temperature, more=None):
    """The temperature goes into the pictures' vectors; the largest score is taken off before e."""
    a = F.normalize(seen, dim=-1) / temperature
    table = a @ F.normalize(heard if more is None else torch.vstack((heard, more)), dim=-1).T
    B = seen.shape[0]

    def total(scores, axis):
        top = scores.amax(axis, keepdim=True)
        return (scores - top).exp().sum(axis).log() + top.squeeze(axis)

    own = (a * F.normalize(heard, dim=-1)).sum(-1)
    return (0.5 * (total(table, 1) + total(table[:, :B], 0)) - own).mean()


def cross_by_library(x, memory, query, key, value, heads, hidden=None):
    """torch finds; the weights are computed beside it, for looking only."""
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query(x), key(memory), value(memory))
    )
    mask = None if hidden is None else ~hidden[:, None, None, :]
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with torch.no_grad():
        scores = q @ k.mT * q.size(-1) ** -0.5
        weights = (scores if mask is None else scores.where(mask, -torch.inf)).softmax(-1)
    return found.transpose(1, 2).flatten(2), weights


def cross_head_by_head(x, memory, query, key, value, heads, hidden=None):
    found, weights = [], []
    three = (part.chunk(heads, dim=-1) for part in (query(x), key(memory), value(memory)))
    for q, k, v in zip(*three):
        scores = torch.bmm(q, k.transpose(1, 2)) / k.shape[-1] ** 0.5
        if hidden is not None:
            scores = scores.masked_fill(hidden.unsqueeze(1), float("-inf"))
        weights.append(F.softmax(scores, dim=2))
        found.append(torch.bmm(weights[-1], v))
    return torch.cat(found, dim=-1), torch.stack(weights, dim=1)


def cross_by_einsum(x, memory, query, key, value, heads, hidden=None):
    q = query(x)
    B, N, width = q.shape
    d = width // heads
    q = q.view(B, N, heads, d) / math.sqrt(d)
    k = key(memory).reshape(B, -1, heads, d)
    v = value(memory).reshape(B, -1, heads, d)
    scores = torch.einsum("bnhd,bmhd->bhnm", q, k)
    if hidden is not None:
        scores = scores - 1e9 * hidden[:, None, None].to(scores.dtype)
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = weights / weights.sum(-1, keepdim=True)
    return [torch.einsum("bhnm,bmhd->bnhd", weights, v).reshape(B, N, width), weights]


def cross_added_mask(x, memory, query, key, value, heads, hidden=None):
    def split(t):
        return t.reshape(*t.shape[:2], heads, t.shape[2] // heads).permute(0, 2, 1, 3)

    q, k, v = split(query(x)), split(key(memory)), split(value(memory))
    if hidden is None:
        hidden = torch.zeros(memory.shape[:2], dtype=torch.bool, device=memory.device)
    mask = torch.zeros(hidden.shape, dtype=q.dtype, device=q.device).masked_fill(hidden, -torch.inf)
    weights = torch.softmax(
        q.matmul(k.transpose(2, 3)) / math.sqrt(q.shape[3]) + mask[:, None, None, :], dim=3
    )
    found = weights.matmul(v).permute(0, 2, 1, 3).contiguous()
    return found.view(*found.shape[:2], -1), weights


def cross_among_open_places(x, memory, query, key, value, heads, hidden=None):
    """Sentence by sentence, and only where memory may be looked at."""
    found, weights = [], []
    for i in range(len(x)):
        M = memory.shape[1]
        there = torch.ones(M, dtype=torch.bool, device=x.device) if hidden is None else ~hidden[i]
        kept = memory[i][there]
        q, k, v = (
            t.unflatten(-1, (heads, -1)).transpose(0, 1) for t in (query(x[i]), key(kept), value(kept))
        )
        shares = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        found.append((shares @ v).transpose(0, 1).flatten(1))
        whole = torch.zeros(heads, x.shape[1], M, dtype=shares.dtype, device=shares.device)
        whole[..., there] = shares
        weights.append(whole)
    return torch.stack(found), torch.stack(weights)


def nats_by_gather(logits, words, pad):
    log_p = logits[:, :-1].log_softmax(-1)
    target = words[:, 1:]
    nats = -log_p.gather(2, target.unsqueeze(2)).squeeze(2)
    real = (target != pad).to(nats.dtype)
    return (nats * real).sum() / real.sum()


def nats_with_axes_moved(logits, words, pad):
    return F.cross_entropy(logits.transpose(1, 2)[..., :-1], words[..., 1:], ignore_index=pad)


def nats_sentence_by_sentence(logits, words, pad):
    total, count = 0.0, 0
    for guesses, sentence in zip(logits, words):
        for t in range(1, len(sentence)):
            if sentence[t] != pad:
                total = total + guesses[t - 1].logsumexp(0) - guesses[t - 1, sentence[t]]
                count += 1
    return total / count


def nats_of_chosen_rows(logits, words, pad):
    targets = torch.cat([words[:, 1:], torch.full_like(words[:, :1], pad)], 1)
    real = targets.ne(pad)
    return F.nll_loss(F.log_softmax(logits[real], dim=-1), targets[real])


def nats_by_one_hot(logits, words, pad):
    targets = F.one_hot(words[:, 1:], logits.shape[-1]).to(logits.dtype) * (words[:, 1:, None] != pad)
    return -(targets * F.log_softmax(logits[:, :-1], -1)).sum() / targets.sum()


def nats_summed_by_library(logits, words, pad):
    guesses, targets = logits[:, :-1].reshape(-1, logits.size(-1)), words[:, 1:].reshape(-1)
    each = F.cross_entropy(guesses, targets, reduction="none")
    return each.masked_fill(targets == pad, 0).sum() / (targets != pad).sum().clamp(min=1)


OTHER = {
    "15.graded": [
        graded_in_numpy,
        graded_by_counting,
        graded_in_tensors,
        graded_by_equality,
        graded_with_wilson,
    ],
    "15.contrastive_loss": [
        loss_by_logsumexp,
        loss_by_cosines,
        loss_with_tiny_numbers,
        loss_row_by_row,
        loss_by_sharp_vectors,
    ],
    "15.cross_attention": [
        cross_by_library,
        cross_head_by_head,
        cross_by_einsum,
        cross_added_mask,
        cross_among_open_places,
    ],
    "15.sentence_nats": [
        nats_by_gather,
        nats_with_axes_moved,
        nats_sentence_by_sentence,
        nats_of_chosen_rows,
        nats_by_one_hot,
        nats_summed_by_library,
    ],
}
