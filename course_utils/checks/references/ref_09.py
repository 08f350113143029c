"""Reference functions of lesson 09, generated from lessons/09_autoregressive.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch.nn.functional as F


def letter_nats(logits, letters):
    """−log p(x) of each image in nats (B,): logits (B, 16, 14, 14), letters (B, 14, 14)."""
    return F.cross_entropy(logits, letters, reduction="none").sum((1, 2))


REFERENCES = {
    "09.nats": letter_nats,
}
