"""What lesson 08 wrote for later ones, generated from lessons/08_hidden_chains.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
from torch import nn

from course_utils.checks.references.ref_08 import forward as checked_forward
from course_utils.checks.references.ref_08 import my_marks as checked_marks
from course_utils.checks.references.ref_08 import new_moves as checked_moves
from course_utils.checks.references.ref_08 import plain_forward as checked_plain
from course_utils.checks.references.ref_08 import viterbi as checked_viterbi


# Section 2 · Backward is backprop

def log_evidence(log_pi, log_A, log_b):
    """log p(x) (..., N) of N sequences by (2), rescaled at each step.

    log_pi (..., 1, K), log_A (T-1, ..., K, K), log_b (T, ..., N, K).
    """
    top = log_b.detach().amax(-1, keepdim=True)
    b = (log_b - top).exp()
    A = log_A.exp()
    log_px = top.sum((0, -1))
    for t in range(len(b)):
        alpha = b[t] * (alpha @ A[t - 1] if t else log_pi.exp())
        total = alpha.sum(-1, keepdim=True)
        log_px = log_px + total[..., 0].log()
        alpha = alpha / total
    return log_px


# Section 7 · A digit is a chain of 28 rows

class RowChain(nn.Module):
    """A chain of 28 rows with K states each; all parameters are logits."""

    def __init__(self, K):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, K), requires_grad=False)
        self.moves = nn.Parameter(torch.zeros(27, K, K), requires_grad=False)
        self.ink = nn.Parameter(
            torch.zeros(28, 28, K), requires_grad=False
        )  # row, pixel, state

    def logs(self):
        """log π (1, K), log A (27, K, K), log μ and log (1 − μ) (28, 28, K)."""
        log_on = nn.functional.logsigmoid(self.ink)
        log_off = nn.functional.logsigmoid(-self.ink)
        return self.start.log_softmax(1), self.moves.log_softmax(2), log_on, log_off


def log_rows(x, log_on, log_off):
    """log p(row r of image n | state k), (28, N, K), of binary images x (N, 28, 28)."""
    rows = x.transpose(0, 1)  # (28, N, 28)
    return torch.baddbmm(log_off.sum(1, keepdim=True), rows, log_on - log_off)


def log_digits(x, log_pi, log_A, log_on, log_off):
    """log p(x), exact, of binary images (N, 28, 28): (N,)."""
    return log_evidence(log_pi, log_A, log_rows(x, log_on, log_off))


def pick(p, u):
    """One index a row of p (N, K): the first whose cumulative probability exceeds u (N, 1)."""
    return (p.cumsum(1) < u * p.sum(1, keepdim=True)).sum(1).clamp(max=p.shape[1] - 1)


def draw_rows(chain, u):
    """Coin probabilities (N, 28, 28) of N digits drawn from u (28, N, 1), uniform in [0, 1)."""
    log_pi, log_A, log_on, _ = chain.logs()
    A = log_A.exp()
    ink = log_on.exp().transpose(1, 2)  # (28, K, 28)
    state = pick(log_pi.exp().expand(u.shape[1], -1), u[0])
    rows = [ink[0, state]]
    for r in range(1, 28):
        state = pick(A[r - 1, state], u[r])
        rows.append(ink[r, state])
    return torch.stack(rows, 1)


# Section 8 · Exact completion

def complete_rows(chain, x, seen, u):
    """Coin probabilities (N, 28, 28) of exact completions by (7), with u (28, N, 1) uniform.

    x (N, 28, 28) binary; seen (28,) bool: rows that are hidden (False) are not looked at.
    """
    log_pi, log_A, log_on, log_off = chain.logs()
    A = log_A.exp()
    log_b = log_rows(x, log_on, log_off) * seen[:, None, None]
    b = (log_b - log_b.amax(2, keepdim=True)).exp()
    alpha = [log_pi.exp() * b[0]]
    for r in range(1, 28):
        now = (alpha[-1] @ A[r - 1]) * b[r]
        alpha.append(now / now.sum(1, keepdim=True))
    state = pick(alpha[27], u[27])
    ink = log_on.exp().transpose(1, 2)
    rows = [ink[27, state]]
    for r in range(26, -1, -1):
        state = pick(alpha[r] * A[r, :, state].T, u[r])
        rows.insert(0, ink[r, state])
    return torch.where(seen[:, None], x, torch.stack(rows, 1))


def mean_rows(chain, x, seen):
    """The mean of all completions of x (N, 28, 28) binary, from the rows seen (28,)."""
    log_pi, log_A, log_on, log_off = chain.logs()
    log_b = log_rows(x, log_on, log_off) * seen[:, None, None]
    log_b.requires_grad_()
    gamma = torch.autograd.grad(log_evidence(log_pi, log_A, log_b).sum(), log_b)[0]
    mean = (gamma @ log_on.exp().transpose(1, 2)).transpose(0, 1)  # (N, 28, 28)
    return torch.where(seen[:, None], x, mean)


__all__ = [
    "RowChain",
    "checked_forward",
    "checked_marks",
    "checked_moves",
    "checked_plain",
    "checked_viterbi",
    "complete_rows",
    "draw_rows",
    "log_digits",
    "log_evidence",
    "log_rows",
    "mean_rows",
    "pick",
]
