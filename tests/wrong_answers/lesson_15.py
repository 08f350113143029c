"""Wrong answers to the exercises of lesson 15, each with a part of the hint that it must get."""

import math

import torch
import torch.nn.functional as F

from course_utils import scenes
from course_utils.arena.game import interval


def marked(asked, read):
    return [scenes.grade(scene, found) for scene, found in zip(asked, read)]


def with_interval(right, n):
    return right / n, *interval(right, n)


def counting(change):
    """Another count of what is right and of how many: `change(marks, field, asked, read)` → (right, n)."""

    def graded(asked, read, field):
        right, n = change(marked(asked, read), field, asked, read)
        return with_interval(right, n) if n else (0.0, 0.0, 1.0)

    return graded


def bounded(change):
    """Other bounds, or another way of handing them over: `change(right, n, number of scenes)`."""

    def graded(asked, read, field):
        right = [mark[field] for mark in marked(asked, read) if field in mark]
        return change(sum(right), len(right), len(asked)) if right else (0.0, 0.0, 1.0)

    return graded


def graded_fields_averaged(marks, field, asked, read):
    right = [mark[f] for mark in marks for f in scenes.FIELDS if f in mark]
    return sum(right), len(right)


def graded_averaged_by_scene(asked, read, field):
    shares = []
    for mark in marked(asked, read):
        parts = [mark[f] for f in scenes.FIELDS if f in mark]
        shares.append(sum(parts) / len(parts))
    n = len(shares)
    share = sum(shares) / max(n, 1)
    return (
        (share, *interval(round(share * n), n)) if field == "all" and n else graded_right(asked, read, field)
    )


graded_right = bounded(lambda k, n, _: with_interval(k, n))


def graded_other_field(other):
    return lambda asked, read, field: graded_right(asked, read, other)


def graded_in_place(asked, read, field):
    if field not in ("kind", "colour", "size"):
        return graded_right(asked, read, field)
    right = 0
    for scene, found in zip(asked, read):
        if found and len(found.things) == len(scene.things):
            right += all(getattr(a, field) == getattr(b, field) for a, b in zip(scene.things, found.things))
    return with_interval(right, len(asked)) if asked else (0, 0, 1)


def graded_divides_by_nothing(asked, read, field):
    right = [mark[field] for mark in marked(asked, read) if field in mark]
    return with_interval(sum(right), len(right))


def graded_sure_of_nothing(asked, read, field):
    return (
        graded_right(asked, read, field)
        if field != "relation" or any(s.relation for s in asked)
        else (0, 0, 0)
    )


def graded_needs_scenes(asked, read, field):
    return graded_right(asked, read, field) if asked else (1, 0, 1)


def graded_needs_field(asked, read, field):
    right = [mark[field] for mark in marked(asked, read)]
    return with_interval(sum(right), len(right)) if right else (0, 0, 1)


def graded_needs_things(asked, read, field):
    pairs = [pair for pair in zip(asked, read) if field != "relation" or len(pair[1].things) == 2]
    return graded_right(*zip(*pairs), field) if pairs else (0, 0, 1)


def graded_gives_up(asked, read, field):
    share, *bounds = graded_right(asked, read, field)
    return (share, *bounds) if share else (0, 0, 1)


def graded_never_sure(asked, read, field):
    share, low, high = graded_right(asked, read, field)
    return share, low, min(high, 0.999)


def graded_one_is_none(asked, read, field):
    return graded_right(asked, read, field) if len(asked) > 1 else (0, 0, 1)


def graded_changes_list(asked, read, field):
    out = graded_right(asked, read, field)
    read[:] = [found for found in read if found]
    return out


def unit(v):
    return F.normalize(v, dim=1)


def choosing(a, b, temperature, more=None, wide=None):
    """Equation (1) of vectors as they are."""
    scores = a @ b.T / temperature
    extra = scores[:, :0] if more is None else a @ more.T / temperature
    return (own(torch.cat([scores, extra], 1)) + own(scores.T)) / 2


def own(scores):
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def lengths(seen=unit, heard=unit, more=unit, temperature=lambda t: t):
    """Other lengths of the vectors, or another use of the temperature."""

    def loss(a, b, t, m=None):
        return choosing(seen(a), heard(b), temperature(t), None if m is None else more(m))

    return loss


loss_right = lengths()


def from_tables(change):
    """`change(scores, similarities to more, of sentences to more)`; the last two may have no columns."""

    def loss(seen, heard, temperature, more=None):
        seen, heard = unit(seen), unit(heard)
        scores = seen @ heard.T / temperature
        if more is None:
            return change(scores, scores[:, :0], scores[:, :0])
        more = unit(more)
        return change(scores, seen @ more.T / temperature, heard @ more.T / temperature)

    return loss


def joined(*parts):
    return torch.cat(parts, 1)


def without_own(scores):
    mine = torch.eye(*scores.shape, device=scores.device).bool()
    return (scores.masked_fill(mine, -torch.inf).logsumexp(1) - scores.diagonal()).mean()


def loss_near_only(scores, extra, other):
    near = extra.diagonal()[:, None] if extra.shape == scores.shape else extra
    return (own(joined(scores, near)) + own(scores.T)) / 2


def loss_by_exponentials(scores, extra, other):
    first = scores.diagonal().exp() / joined(scores, extra).exp().sum(1)
    return -(first.log() + (scores.diagonal().exp() / scores.exp().sum(0)).log()).mean() / 2


def loss_detached_columns(scores, extra, other):
    return (own(joined(scores, extra)) + own(scores.T).detach()) / 2


def loss_asks_more(seen, heard, temperature, more=None):
    return loss_right(seen, heard, temperature, more if more else None)


def loss_needs_more(seen, heard, temperature, more=None):
    return loss_right(seen, heard, temperature, torch.cat([more, more])[: len(more)])


def loss_squeezed(seen, heard, temperature, more=None):
    loss = loss_right(seen, heard, temperature, more)
    return loss if len(seen) > 1 else loss + 0.1


def loss_bounded_lengths(seen, heard, temperature, more=None):
    """Only vectors longer than a twentieth are scaled."""
    return lengths(*3 * (lambda v: v / v.norm(dim=1, keepdim=True).clamp(min=0.05),))(
        seen, heard, temperature, more
    )


def loss_without_temperature_gradient(seen, heard, temperature, more=None):
    return loss_right(seen, heard, torch.as_tensor(temperature).item(), more)


def loss_needs_tensor(seen, heard, temperature, more=None):
    return loss_right(seen, heard, temperature.clamp(min=1e-3), more)


def loss_number(seen, heard, temperature, more=None):
    return loss_right(seen, heard, temperature, more).item()


def loss_detached(seen, heard, temperature, more=None):
    return loss_right(seen, heard, temperature, more).detach()


def loss_in_double(seen, heard, temperature, more=None):
    return loss_right(seen.double(), heard.double(), temperature, None if more is None else more.double())


def loss_on_cpu(seen, heard, temperature, more=None):
    scores = unit(seen) @ unit(heard).T / temperature
    wide = scores if more is None else joined(scores, unit(seen) @ unit(more).T / temperature)
    target = torch.arange(len(seen))
    return (F.cross_entropy(wide, target) + F.cross_entropy(scores.T, target)) / 2


def loss_in_place(seen, heard, temperature, more=None):
    with torch.no_grad():
        seen /= seen.norm(dim=1, keepdim=True)
    return loss_right(seen, heard, temperature, more)


def split(t, heads):
    return t.unflatten(-1, (heads, -1)).transpose(1, 2)


def split_by_reshape(t, heads):
    return t.reshape(len(t), heads, -1, t.shape[-1] // heads)


def split_by_turns(t, heads):
    return t.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def join(t):
    return t.transpose(1, 2).flatten(2)


def fill(scores, hidden, value=-torch.inf):
    return scores if hidden is None else scores.masked_fill(hidden[:, None, None], value)


def looking(
    parts=lambda x, memory, query, key, value: (query(x), key(memory), value(memory)),
    splits=(split, split, split),
    scale=lambda q, heads, M: math.sqrt(q.shape[-1]),
    weigh=lambda scores, hidden: fill(scores, hidden).softmax(-1),
    end=join,
    out=lambda found, weights: (found, weights),
):
    """Cross-attention with one step done in another way."""

    def attention(x, memory, query, key, value, heads, hidden=None):
        three = parts(x, memory, query, key, value)
        q, k, v = (one(part, heads) for one, part in zip(splits, three))
        weights = weigh(q @ k.transpose(-1, -2) / scale(q, heads, memory.shape[1]), hidden)
        return out(end(weights @ v), weights)

    return attention


cross_right = looking()


def cross_memory_in_x(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return (x + found if x.shape == found.shape else found), weights


def cross_memory_as_values(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    if memory.shape[-1] == found.shape[-1]:
        found = join(weights @ split(memory, heads))
    return found, weights


def cross_values_of_x(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return join(weights @ split(value(x), heads)), weights


def cross_width_of_x(x, memory, query, key, value, heads, hidden=None):
    q, k, v = (
        t.view(len(t), t.shape[1], heads, x.shape[-1] // heads).transpose(1, 2)
        for t in (query(x), key(memory), value(memory))
    )
    weights = fill(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), hidden).softmax(-1)
    return join(weights @ v), weights


def cross_size_of_layer(x, memory, query, key, value, heads, hidden=None):
    d = query.out_features // heads
    return looking(scale=lambda q, h, M: math.sqrt(d))(x, memory, query, key, value, heads, hidden)


def cross_without_batches(x, memory, query, key, value, heads, hidden=None):
    """hidden's rows are taken for the queries'."""
    return looking(
        weigh=lambda s, h: (s if h is None else s.masked_fill(h[:, None, :, None], -torch.inf)).softmax(-1)
    )(x, memory, query, key, value, heads, hidden)


def masking(value):
    return looking(weigh=lambda scores, hidden: fill(scores, hidden, value).softmax(-1))


def adding(change):
    """hidden as something that is added to scores."""
    return looking(weigh=lambda s, h: (s if h is None else s + change(h[:, None, None])).softmax(-1))


def hiding(change):
    """`change(scores, hidden (B, 1, 1, M))`, where something is hidden."""
    return looking(weigh=lambda s, h: s.softmax(-1) if h is None else change(s, h[:, None, None]))


def raw_softmax(scores, hidden):
    shares = fill(scores, hidden).exp()
    return shares / shares.sum(-1, keepdim=True)


def cross_one_word_squeezed(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return found.squeeze(1), weights


def cross_in_single(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return found, weights.float()


def cross_in_double(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return found.double(), weights


def cross_detached(x, memory, query, key, value, heads, hidden=None):
    with torch.no_grad():
        return cross_right(x, memory, query, key, value, heads, hidden)


def cross_detached_weights(x, memory, query, key, value, heads, hidden=None):
    return looking(weigh=lambda s, h: fill(s, h).softmax(-1).detach())(
        x, memory, query, key, value, heads, hidden
    )


def cross_on_cpu(x, memory, query, key, value, heads, hidden=None):
    found, weights = cross_right(x, memory, query, key, value, heads, hidden)
    return found + torch.zeros(found.shape, dtype=found.dtype), weights


def cross_writes_into_memory(x, memory, query, key, value, heads, hidden=None):
    if hidden is not None:
        memory[hidden] = 0
    return cross_right(x, memory, query, key, value, heads, hidden)


def guessing(
    logits=lambda l: l[:, :-1],
    words=lambda w: w[:, 1:],
    counts=lambda w, pad: w[:, 1:] != pad,
    of=torch.log_softmax,
):
    """Mean −log p with other logits, other words to guess, or another mask."""

    def nats(l, w, pad):
        log_p = of(logits(l), -1).gather(-1, words(w)[..., None])[..., 0]
        return -log_p[counts(w, pad)].mean()

    return nats


nats_right = guessing()


def every(l, w, pad):
    """(B, T − 1): −log p of the next words, and whether they count."""
    return F.cross_entropy(l[:, :-1].transpose(1, 2), w[:, 1:], reduction="none"), w[:, 1:] != pad


def totalled(change):
    """`change(nats (B, T − 1), real, words)`."""
    return lambda l, w, pad: change(*every(l, w, pad), w)


def changed(change):
    return lambda l, w, pad: change(nats_right(l, w, pad))


def nats_without_end(l, w, pad):
    nats, real = every(l, w, pad)
    return nats[real & (real.cumsum(1) < real.sum(1, keepdim=True))].mean()


def nats_along_the_sentence(l, w, pad):
    log_p = l[:, :-1].log_softmax(1).gather(-1, w[:, 1:, None])[..., 0]
    return -log_p[w[:, 1:] != pad].mean()


def nats_of_small_shares(l, w, pad):
    p = l[:, :-1].softmax(-1).gather(-1, w[:, 1:, None])[..., 0]
    return -(p + 1e-12).log()[w[:, 1:] != pad].mean()


def nats_by_log(l, w, pad):
    p = l[:, :-1].softmax(-1).gather(-1, w[:, 1:, None])[..., 0]
    return -p.log()[w[:, 1:] != pad].mean()


def nats_flat_without_shift(l, w, pad):
    return F.cross_entropy(l.flatten(0, 1), w[:, 1:].flatten(), ignore_index=pad)


def nats_axes_in_wrong_order(l, w, pad):
    return F.cross_entropy(l[:, :-1], w[:, 1:], ignore_index=pad)


def nats_rows_in_wrong_order(l, w, pad):
    return F.cross_entropy(l[:, :-1].flatten(0, 1), w[:, 1:].T.flatten(), ignore_index=pad)


def nats_whole_batch_cut(l, w, pad):
    """Flattened first, shifted then: the end of a sentence guesses the start of the next."""
    return F.cross_entropy(l.flatten(0, 1)[:-1], w.flatten()[1:], ignore_index=pad)


def nats_on_cpu(l, w, pad):
    return nats_right(l, w, pad) * torch.ones(1, dtype=l.dtype)[0] + torch.zeros(1, dtype=l.dtype).sum()


def nats_weights_on_cpu(l, w, pad):
    weight = torch.ones(l.shape[-1], dtype=l.dtype)
    return F.cross_entropy(l[:, :-1].flatten(0, 1), w[:, 1:].flatten(), weight=weight, ignore_index=pad)


WRONG = {
    "15.graded": [
        (counting(graded_fields_averaged), "the fields are averaged"),
        (graded_averaged_by_scene, "Take mark[field]"),
        (
            counting(lambda m, f, a, r: (sum(x[f] for x in m if f in x), len(m))),
            "divided by all scenes",
        ),
        (
            counting(lambda m, f, a, r: (sum(x.get(f, True) for x in m), len(m))),
            "scenes of one thing count as right",
        ),
        (
            counting(
                lambda m, f, a, r: (
                    sum(x[f] for x, s in zip(m, r) if s and f in x),
                    sum(s is not None and f in x for x, s in zip(m, r)),
                )
            ),
            "pictures in which nothing was read are left out",
        ),
        (
            counting(
                lambda m, f, a, r: (
                    sum(x[f] or s is None for x, s in zip(m, r) if f in x),
                    sum(f in x for x in m),
                )
            ),
            "nothing was read count as right",
        ),
        (
            counting(
                lambda m, f, a, r: (
                    (
                        sum(x.get(f, False) for x, s in zip(m, r) if s and len(s.things) == 2),
                        sum(bool(s) and len(s.things) == 2 for s in r),
                    )
                    if f == "relation"
                    else (sum(x[f] for x in m), len(m))
                )
            ),
            "what was *asked* decides",
        ),
        (graded_other_field("all"), "this is the share of “all”, and “number”"),
        (graded_other_field("number"), "this is the share of “number”, and “all”"),
        (graded_other_field("relation"), "this is the share of “relation”"),
        (graded_in_place, "first is compared with first"),
        (bounded(lambda k, n, all_: (k / n, *interval(k, all_))), "not that of all"),
        (bounded(lambda k, n, all_: (k / n, *interval(n - k, n))), "interval of the wrong ones"),
        (bounded(lambda k, n, all_: (k / n, *interval(k, n)[::-1])), "the bounds are exchanged"),
        (
            bounded(lambda k, n, all_: (k / n, k / n - interval(k, n)[0], interval(k, n)[1] - k / n)),
            "distances from the share",
        ),
        (
            bounded(
                lambda k, n, all_: (
                    k / n,
                    k / n - 1.96 * math.sqrt(k / n * (1 - k / n) / n),
                    k / n + 1.96 * math.sqrt(k / n * (1 - k / n) / n),
                )
            ),
            "no Wilson's interval",
        ),
        (bounded(lambda k, n, all_: (k / n, *interval(2 * k, 2 * n))), "the same two numbers as the share"),
        (bounded(lambda k, n, all_: (100 * k / n, *interval(k, n))), "per cent"),
        (bounded(lambda k, n, all_: (k, *interval(k, n))), "how many are right"),
        (bounded(lambda k, n, all_: (1 - k / n, *interval(k, n))), "share of wrong ones"),
        (bounded(lambda k, n, all_: (k // n, *interval(k, n))), "divide by how many have it"),
        (bounded(lambda k, n, all_: (k / n, interval(k, n))), "three numbers side by side"),
        (graded_divides_by_nothing, "before you divide"),
        (graded_sure_of_nothing, "No scene has a relation"),
        (graded_needs_scenes, "No scenes at all"),
        (graded_needs_field, "keep the marks of those scenes that have the field"),
        (graded_needs_things, "where nothing was read stands None"),
        (graded_gives_up, "Nothing was read in any picture"),
        (graded_never_sure, "All is read as asked"),
        (graded_one_is_none, "One scene alone"),
        (graded_changes_list, "changes the list"),
    ],
    "15.contrastive_loss": [
        (lengths(*3 * (lambda v: v,)), "the vectors come in any length"),
        (lengths(more=lambda v: v), "vectors of `more` keep their lengths"),
        (lengths(seen=lambda v: v), "the pictures' vectors keep"),
        (lengths(heard=lambda v: v), "the sentences' vectors keep"),
        (lengths(*3 * (lambda v: F.normalize(v, dim=0),)), "scaled along the batch"),
        (lengths(*3 * (lambda v: F.normalize(v, p=1, dim=1),)), "scaled to a sum of one"),
        (lengths(*3 * (lambda v: v / v.square().sum(1, keepdim=True),)), "divided by the squared length"),
        (loss_bounded_lengths, "only their directions may"),
        (lengths(temperature=lambda t: 1 / t), "multiplied by the temperature"),
        (lengths(temperature=lambda t: 1.0), "the temperature is missing"),
        (lengths(temperature=lambda t: t * t), "by the temperature twice"),
        (from_tables(lambda s, e, o: own(joined(s, e))), "which sentence tells the picture"),
        (from_tables(lambda s, e, o: own(s.T)), "which picture a sentence tells."),
        (from_tables(lambda s, e, o: own(joined(s, e)) + own(s.T)), "the two questions are added"),
        (from_tables(lambda s, e, o: (own(joined(s, e)) + own(s.T)) * len(s)), "the 1/2B is missing"),
        (from_tables(lambda s, e, o: (own(joined(s, e)) + own(s.T)) / 2 * len(s)), "summed over the batch"),
        (from_tables(lambda s, e, o: -(own(joined(s, e)) + own(s.T)) / 2), "the sign is turned"),
        (from_tables(lambda s, e, o: (own(joined(s, e)) + own(s.T)) / 2 / math.log(2)), "these are bits"),
        (from_tables(lambda s, e, o: (own(s) + own(s.T)) / 2), "`more` is ignored"),
        (
            from_tables(lambda s, e, o: (own(s) + own(joined(s.T, o))) / 2),
            "`more` went to the second question",
        ),
        (from_tables(lambda s, e, o: (own(joined(s, e)) + own(joined(s.T, o))) / 2), "`more` went to both"),
        (
            from_tables(lambda s, e, o: (own(joined(s, o)) + own(s.T)) / 2),
            "`more` is compared with sentences",
        ),
        (from_tables(loss_near_only), "each picture meets one of `more` only"),
        (from_tables(lambda s, e, o: -s.diagonal().mean()), "bare similarities"),
        (
            from_tables(
                lambda s, e, o: -(joined(s, e).softmax(1).diagonal() + s.softmax(0).diagonal()).mean() / 2
            ),
            "a mean of shares",
        ),
        (
            from_tables(lambda s, e, o: -(joined(s, e).log_softmax(1).mean() + s.log_softmax(0).mean()) / 2),
            "averaged over all entries",
        ),
        (
            from_tables(lambda s, e, o: s.flatten().logsumexp(0) - s.diagonal().mean()),
            "one softmax over the whole table",
        ),
        (
            from_tables(lambda s, e, o: (without_own(joined(s, e)) + without_own(s.T)) / 2),
            "missing in the denominator",
        ),
        (
            from_tables(lambda s, e, o: (own(joined(s, e.flip(0))) + own(s.T)) / 2),
            "with `more`, equation (1)",
        ),
        (from_tables(lambda s, e, o: s.square().mean()), "equation (1) gives another number"),
        (from_tables(loss_by_exponentials), "it gives inf or nan"),
        (from_tables(loss_detached_columns), "part of the gradient of seen"),
        (
            from_tables(
                lambda s, e, o: F.cross_entropy(joined(s, e), torch.arange(len(s)), reduction="none")
            ),
            "A single number",
        ),
        (loss_asks_more, "`more is not None`"),
        (loss_needs_more, "your function raised TypeError"),
        (loss_squeezed, "one pair alone"),
        (loss_without_temperature_gradient, "must reach the temperature"),
        (loss_needs_tensor, "may be a plain number"),
        (loss_number, "this is a float"),
        (loss_detached, "no gradient passes"),
        (loss_in_double, "float32 goes in and float64 comes out"),
        (loss_on_cpu, "mixes devices"),
        (loss_in_place, "in place"),
    ],
    "15.cross_attention": [
        (looking(lambda x, m, q, k, v: (q(x), k(x), v(x))), "the keys come from x"),
        (looking(lambda x, m, q, k, v: (q(m), k(m), v(m))), "the queries come from memory"),
        (looking(lambda x, m, q, k, v: (q(m), k(x), v(x))), "x and memory are exchanged"),
        (looking(lambda x, m, q, k, v: (k(x), q(m), v(m))), "modules of queries and keys are exchanged"),
        (looking(lambda x, m, q, k, v: (q(x), v(m), k(m))), "the values answer for the keys"),
        (looking(lambda x, m, q, k, v: (q(x), k(m), k(m))), "the keys are averaged"),
        (cross_values_of_x, "the values come from x"),
        (cross_memory_as_values, "memory itself is averaged"),
        (cross_memory_in_x, "x is added"),
        (looking(scale=lambda q, h, M: 1.0), "the scale is missing"),
        (looking(scale=lambda q, h, M: math.sqrt(h * q.shape[-1])), "root of the whole width"),
        (looking(scale=lambda q, h, M: q.shape[-1]), "divide by its root"),
        (looking(scale=lambda q, h, M: q.shape[-1] ** -0.5), "multiplied by √d"),
        (looking(scale=lambda q, h, M: math.sqrt(M)), "root of the number of places"),
        (looking(scale=lambda q, h, M: 1.2), "the weights are wrong: softmax"),
        (looking(weigh=lambda s, h: fill(s, h).softmax(-2)), "softmax over the queries"),
        (looking(weigh=lambda s, h: fill(s, h).softmax(1)), "softmax over the heads"),
        (looking(weigh=fill), "these are the scores"),
        (looking(weigh=lambda s, h: fill(s, h).log_softmax(-1)), "these are logarithms"),
        (looking(out=lambda f, w: (f, w.mT)), "queries and places are exchanged"),
        (looking(splits=3 * (split_by_reshape,)), "words and heads are mixed by a reshape"),
        (looking(splits=3 * (split_by_turns,)), "head 0 has the first d numbers: unflatten to"),
        (looking(splits=(split, split, split_by_reshape)), "the values' heads are split by a reshape"),
        (looking(splits=(split, split, split_by_turns)), "the values' head 0"),
        (looking(end=lambda t: t.reshape(len(t), t.shape[2], -1)), "joined by a reshape alone"),
        (looking(end=lambda t: t.permute(0, 2, 3, 1).flatten(2)), "the heads' numbers alternate"),
        (looking(end=lambda t: t), "transpose(1, 2).flatten(2) joins them"),
        (looking(end=lambda t: t.transpose(1, 2)), "still apart: flatten(2) joins them"),
        (looking(end=lambda t: t.mean(1)), "do not average them"),
        (looking(end=lambda t: 2 * join(t)), "the weights are right, but not what is found"),
        (looking(out=lambda f, w: (f, w.mean(1))), "do not average the heads"),
        (looking(out=lambda f, w: (f, w.flatten(0, 1))), "an axis each"),
        (looking(out=lambda f, w: (f, w.mean(2))), "One row for each query."),
        (looking(out=lambda f, w: (w, f)), "the two are exchanged"),
        (looking(out=lambda f, w: f), "return two things"),
        (looking(weigh=lambda s, h: s.softmax(-1)), "hidden is ignored"),
        (hiding(lambda s, h: s.masked_fill(~h, -torch.inf).softmax(-1)), "hidden is inverted"),
        (hiding(lambda s, h: s.softmax(-1) * ~h), "no longer sums to one"),
        (masking(0.0), "hidden scores are set to 0"),
        (masking(-1.0), "hidden places get a weight of"),
        (masking(-100.0), "low scores beside"),
        (adding(lambda h: h), "True adds 1"),
        (adding(lambda h: h * -torch.inf), "the weights are nan"),
        (cross_without_batches, "lies along the queries"),
        (looking(weigh=raw_softmax), "e to a large score overflows"),
        (cross_width_of_x, "take the width from what query(x) returns"),
        (cross_size_of_layer, "are any modules"),
        (cross_one_word_squeezed, "As many rows as x has"),
        (cross_in_single, "float64 goes in and float32 comes out"),
        (cross_in_double, "float32 goes in and float64 comes out"),
        (cross_detached, "no gradient passes"),
        (cross_detached_weights, "must reach x"),
        (cross_on_cpu, "mixes devices"),
        (cross_writes_into_memory, "in place"),
    ],
    "15.sentence_nats": [
        (guessing(lambda l: l, lambda w: w, lambda w, pad: w != pad), "its own word: logits"),
        (guessing(lambda l: l[:, 1:]), "which it has seen"),
        (
            guessing(lambda l: l[:, 1:], lambda w: w[:, :-1], lambda w, pad: w[:, :-1] != pad),
            "shifted the wrong way: logits",
        ),
        (guessing(lambda l: l[:, 1:], lambda w: w[:, :-1]), "counted by the later word"),
        (guessing(counts=lambda w, pad: w[:, 1:] > -1), "padding is guessed and counted"),
        (guessing(counts=lambda w, pad: w[:, :-1] != pad), "the mask belongs to the word that is guessed"),
        (guessing(counts=lambda w, pad: w[:, 1:] != 0), "pad is taken to be 0"),
        (
            guessing(lambda l: l, lambda w: w.roll(-1, 1), lambda w, pad: w.roll(-1, 1) != pad),
            "START is guessed, too",
        ),
        (
            guessing(lambda l: l[:, :-2], lambda w: w[:, 1:-1], lambda w, pad: w[:, 1:-1] != pad),
            "the last word of the longest",
        ),
        (
            guessing(lambda l: l[:, 1:-1], lambda w: w[:, 2:], lambda w, pad: w[:, 2:] != pad),
            "the first word after START",
        ),
        (nats_without_end, "END is not guessed"),
        (totalled(lambda n, real, w: n[real].sum()), "this is a sum"),
        (totalled(lambda n, real, w: (n * real).mean()), "divided by all B·(T − 1) places"),
        (totalled(lambda n, real, w: n[real].sum() / w.numel()), "divided by all B·T places"),
        (
            totalled(lambda n, real, w: n[real].sum() / (real.sum() + len(w))),
            "START is among the words you divide by",
        ),
        (totalled(lambda n, real, w: n[real].sum() / len(w)), "nats a sentence"),
        (
            totalled(lambda n, real, w: ((n * real).sum(1) / real.sum(1)).mean()),
            "a mean of the sentences' means",
        ),
        (totalled(lambda n, real, w: ((n * real).sum(1) / real.sum(1)).sum()), "means are added"),
        (totalled(lambda n, real, w: (n * real).sum(1) / real.sum(1)), "A single number"),
        (totalled(lambda n, real, w: (-n).exp()[real].mean()), "these are probabilities: the mean"),
        (totalled(lambda n, real, w: -(-n).exp()[real].mean()), "take the logarithm before the mean"),
        (totalled(lambda n, real, w: -(-n).exp()[real].mean().log()), "the logarithm of a mean"),
        (totalled(lambda n, real, w: n[real].median()), "is another number"),
        (changed(lambda n: n / math.log(2)), "these are bits"),
        (changed(lambda n: n / math.log(10)), "a decimal logarithm"),
        (changed(torch.exp), "a perplexity"),
        (changed(torch.neg), "the sign is turned"),
        (changed(lambda n: n.item()), "this is a float"),
        (changed(torch.detach), "no gradient passes"),
        (changed(lambda n: (n + n.detach()) / 2), "part of the gradient"),
        (changed(lambda n: n.double()), "float32 goes in and float64"),
        (changed(lambda n: n.float().double()), "some seven digits only"),
        (guessing(of=lambda l, axis: l), "logits are no log p"),
        (guessing(of=lambda l, axis: l.softmax(-1).log_softmax(-1)), "a softmax before F.cross_entropy"),
        (nats_along_the_sentence, "softmax along the sentence"),
        (nats_by_log, "it gives inf or nan"),
        (nats_of_small_shares, "Logits of thousands"),
        (nats_flat_without_shift, "T logits, T − 1 words"),
        (nats_axes_in_wrong_order, "wants the words in rows"),
        (nats_rows_in_wrong_order, "the words lie in columns"),
        (nats_whole_batch_cut, "flattened before the shift"),
        (nats_weights_on_cpu, "mixes devices"),
    ],
}
