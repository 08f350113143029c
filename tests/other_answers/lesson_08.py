"""Right answers to the exercises of lesson 08, each in another style than the lesson's own."""

import math

import numpy as np
import torch


def marks_in_lists():
    return [[3, 14], (200, 230)]


def marks_as_array():
    return np.array([[41, 60], [100, 120]])


def forward_state_by_state(log_pi, log_A, log_b):
    rows = [log_pi + log_b[0]]
    for t in range(1, len(log_b)):
        row = [torch.logsumexp(rows[t - 1] + log_A[:, k], 0) + log_b[t, k] for k in range(len(log_pi))]
        rows.append(torch.stack(row))
    return torch.stack(rows)


def forward_by_maximum(log_pi, log_A, log_b):
    alpha = (log_pi + log_b[0])[None]
    for scores in log_b[1:]:
        arrive = alpha[-1, :, None] + log_A
        top = arrive.max(0).values
        top = torch.where(top.isfinite(), top, torch.zeros_like(top))
        alpha = torch.cat([alpha, (top + (arrive - top).exp().sum(0).log() + scores)[None]])
    return alpha


def plain_state_by_state(pi, A, b):
    alpha = torch.zeros_like(b)
    alpha[0] = pi * b[0]
    for t in range(1, len(b)):
        for k in range(len(pi)):
            alpha[t, k] = b[t, k] * (alpha[t - 1] * A[:, k]).sum()
    return alpha


def plain_with_einsum(pi, A, b):
    alpha = [pi * b[0]]
    for chance in b[1:]:
        alpha.append(torch.einsum("j,jk,k->k", alpha[-1], A, chance))
    return torch.stack(alpha)


def viterbi_with_whole_paths(log_pi, log_A, log_b):
    """Keep the best path into every state, not notes."""
    K = len(log_pi)
    best = [(float(log_pi[k] + log_b[0, k]), [k]) for k in range(K)]
    for t in range(1, len(log_b)):
        new = []
        for k in range(K):
            score, path = max((best[j][0] + float(log_A[j, k]), best[j][1]) for j in range(K))
            new.append((score + float(log_b[t, k]) if score > -math.inf else score, [*path, k]))
        best = new
    return torch.tensor(max(best)[1], device=log_pi.device)


def viterbi_from_the_end(log_pi, log_A, log_b):
    """The best rest of the path for each state, then forwards."""
    T, K = log_b.shape
    rest = torch.zeros_like(log_b)
    for t in range(T - 2, -1, -1):
        rest[t] = (log_A + (log_b[t + 1] + rest[t + 1])[None]).max(1).values
    path = torch.zeros(T, dtype=torch.long, device=log_b.device)
    path[0] = (log_pi + log_b[0] + rest[0]).argmax()
    for t in range(1, T):
        path[t] = (log_A[path[t - 1]] + log_b[t] + rest[t]).argmax()
    return path


def moves_row_by_row(xi):
    counts = xi.sum(dim=0)
    flat = counts.reshape(-1, counts.shape[-1])
    return torch.stack([row / row.sum() for row in flat]).reshape(counts.shape)


def moves_with_einsum(xi):
    return torch.einsum("t...jk->...jk", xi) / torch.einsum("t...jk->...j", xi).unsqueeze(-1)


OTHER = {
    "08.marks": [marks_in_lists, marks_as_array],
    "08.forward": [forward_state_by_state, forward_by_maximum],
    "08.plain": [plain_state_by_state, plain_with_einsum],
    "08.viterbi": [viterbi_with_whole_paths, viterbi_from_the_end],
    "08.moves": [moves_row_by_row, moves_with_einsum],
}
