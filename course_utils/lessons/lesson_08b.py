"""What lesson 08b wrote for later ones, generated from lessons/08b_graphs.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
from torch import nn

from course_utils.checks.references.ref_08b import crf_log_likelihood as checked_crf
from course_utils.checks.references.ref_08b import edge_weights as checked_weights
from course_utils.checks.references.ref_08b import likelihood_weighting as checked_weighting
from course_utils.checks.references.ref_08b import my_crossing as checked_crossing
from course_utils.checks.references.ref_08b import stuck_start as checked_start


# Section 7 · All sixteen trees, and any mask

def complete_tree(x, seen, tree, root, tables, generator):
    """Exact draws of the hidden pixels of x (N, 784) binary; seen (784,) bool.

    tree [(child, parent), …] from the root; tables: p(root = 1), p(child = 1 | parent).
    """
    p_root, p_on = tables
    step = torch.stack([1 - p_on, p_on], 2)  # (783, value of the parent, of the child)
    belief = torch.ones(784, len(x), 2, dtype=p_on.dtype)  # p(seen below | value)
    belief[seen] = nn.functional.one_hot(x[:, seen].T.long(), 2).to(p_on.dtype)
    for k in range(len(tree) - 1, -1, -1):
        i, j = tree[k]
        message = belief[i] @ step[k].T
        belief[j] = belief[j] * message / message.sum(1, keepdim=True)
    done = x.clone()
    root_on = belief[root] * torch.stack([1 - p_root, p_root])
    u = torch.rand(784, len(x), generator=generator)
    done[:, root] = (u[root] < root_on[:, 1] / root_on.sum(1)).to(x.dtype)
    for k, (i, j) in enumerate(tree):
        p = step[k][done[:, j].long()] * belief[i]  # (N, 2)
        done[:, i] = (u[i] < p[:, 1] / p.sum(1)).to(x.dtype)
    return done


__all__ = [
    "checked_crf",
    "checked_crossing",
    "checked_start",
    "checked_weighting",
    "checked_weights",
    "complete_tree",
]
