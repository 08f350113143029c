"""Right answers to the exercises of lesson 09, each in another style than the lesson's own."""

import numpy as np
import torch


def masks_one_by_one(rank, degrees):
    D, H = len(rank), len(degrees)
    into, out, direct = torch.zeros(H, D), torch.zeros(D, H), torch.zeros(D, D)
    for d in range(D):
        for k in range(H):
            into[k, d] = float(degrees[k] >= rank[d])
            out[d, k] = float(rank[d] > degrees[k])
        for j in range(D):
            direct[d, j] = float(rank[d] > rank[j])
    return into.to(rank.device), out.to(rank.device), direct.to(rank.device)


def masks_by_difference(rank, degrees):
    into = (degrees.unsqueeze(1) - rank.unsqueeze(0) >= 0).float()
    direct = (rank.unsqueeze(1) - rank.unsqueeze(0)).clamp(0, 1).float()
    return [into, 1 - into.T, direct]


def leak_by_the_diagonal(rank, degrees):
    direct = (rank[:, None] > rank) | torch.eye(len(rank), dtype=torch.bool, device=rank.device)
    return degrees[:, None] >= rank, rank[:, None] > degrees, direct


def leak_in_floats(rank, degrees):
    into = (rank[None] <= degrees[:, None]).float()
    out = (degrees[None] <= rank[:, None]).float()
    return into, out, (rank[None] <= rank[:, None]).float()


def nats_with_logsumexp(logits, letters):
    score = torch.gather(logits, 1, letters.unsqueeze(1)).squeeze(1)
    return (logits.logsumexp(1) - score).flatten(1).sum(1)


def nats_with_one_hot(logits, letters):
    chosen = torch.nn.functional.one_hot(letters, logits.shape[1]).movedim(3, 1)
    return -(chosen * logits.log_softmax(1)).sum((1, 2, 3))


def conv_place_by_place(kind, size):
    mask = torch.zeros(size, size)
    for r in range(size):
        for c in range(size):
            before = r < size // 2 or (r == size // 2 and c < size // 2)
            centre = r == c == size // 2
            mask[r, c] = float(before or (centre and kind == "B"))
    return mask


def conv_by_numpy(kind, size):
    mask = np.zeros(size * size, dtype=np.float32)
    mask[: size * size // 2 + {"A": 0, "B": 1}[kind]] = 1
    return torch.from_numpy(mask.reshape(size, size))


def draw_with_searchsorted(model, u):
    rows, columns, n, _ = u.shape
    letters = torch.zeros((n, rows, columns), dtype=torch.int64, device=u.device)
    for place in range(rows * columns):
        r, c = divmod(place, columns)
        p = torch.softmax(model(letters)[:, :, r, c], 1)
        edges = p.cumsum(1) / p.sum(1, keepdim=True)
        letter = (edges < u[r, c].to(p.dtype)).sum(1)
        letters[:, r, c] = letter.clamp(max=p.shape[1] - 1)
    return letters


def draw_without_writing_in_place(model, u):
    rows, columns, n, _ = u.shape
    page = torch.full((n, rows * columns), 1, dtype=torch.long, device=u.device)
    for place in range(rows * columns):
        r, c = divmod(place, columns)
        p = model(page.view(n, rows, columns))[:, :, r, c].softmax(1)
        new = (p.cumsum(1) < u[r, c]).sum(1, keepdim=True).clamp(max=p.shape[1] - 1)
        page = torch.cat([page[:, :place], new, page[:, place + 1 :]], 1)
    return page.view(n, rows, columns)


def bits_in_floats():
    return 93.5


def bits_as_tensor():
    return torch.tensor(120)


OTHER = {
    "09.masks": [masks_one_by_one, masks_by_difference],
    "09.leak": [leak_by_the_diagonal, leak_in_floats],
    "09.nats": [nats_with_logsumexp, nats_with_one_hot],
    "09.conv": [conv_place_by_place, conv_by_numpy],
    "09.draw": [draw_with_searchsorted, draw_without_writing_in_place],
    "09.bits": [bits_in_floats, bits_as_tensor],
}
