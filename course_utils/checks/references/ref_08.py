"""Reference functions of lesson 08, generated from lessons/08_hidden_chains.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def my_marks():
    """Stretches of the loaded die: a list of pairs (first roll, last roll), 1 to 300."""
    return [(1, 20), (120, 150)]


def forward(log_pi, log_A, log_b):
    """Equation (3): log π (K,), log A (K, K), log b_k(x_t) (T, K) → log α (T, K)."""
    log_alpha = [log_pi + log_b[0]]
    for t in range(1, len(log_b)):
        arrive = (log_alpha[-1][:, None] + log_A).logsumexp(0)  # (K,): summed over j
        log_alpha.append(log_b[t] + arrive)
    return torch.stack(log_alpha)


def plain_forward(pi, A, b):
    """Equation (2) without logarithms: π (K,), A (K, K), b_k(x_t) (T, K) → α (T, K)."""
    alpha = [pi * b[0]]
    for t in range(1, len(b)):
        alpha.append(b[t] * (alpha[-1] @ A))
    return torch.stack(alpha)


def viterbi(log_pi, log_A, log_b):
    """log π (K,), log A (K, K), log b (T, K) → the most likely path z (T,), from 0 to K-1."""
    log_delta = log_pi + log_b[0]
    came_from = []
    for t in range(1, len(log_b)):
        best = (log_delta[:, None] + log_A).max(0)  # over the old state j
        came_from.append(best.indices)
        log_delta = best.values + log_b[t]
    path = [log_delta.argmax()]
    for notes in reversed(came_from):
        path.insert(0, notes[path[0]])
    return torch.stack(path)


def new_moves(xi):
    """Equation (6): ξ_t(j, k) of T-1 steps (T-1, ..., K, K) → new A (..., K, K)."""
    counts = xi.sum(0)
    return counts / counts.sum(-1, keepdim=True)


REFERENCES = {
    "08.marks": my_marks,
    "08.forward": forward,
    "08.plain": plain_forward,
    "08.viterbi": viterbi,
    "08.moves": new_moves,
}
