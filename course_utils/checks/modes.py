"""Cases of the rule for covered modes (lesson 05), each of which shows one mistake."""

import math

import torch


def ring(centre, n, radius):
    """n points (n, 2) at this distance from a centre, all around it."""
    angle = torch.arange(n) * 2 * math.pi / n
    return torch.tensor(centre) + radius * torch.stack([angle.cos(), angle.sin()], 1)


AT = (7.0, -3.0)
LINE = torch.tensor([1.0, 0.0]).expand(30, 2)
SQUARE = torch.tensor([1.0, 1.0]).expand(30, 2)
CASES_OF_THE_RULE = [
    (ring(AT, 20, 0.1), [AT], 0.5, 1, "exactly 20 samples are enough: ≥, not >."),
    (
        torch.cat([ring(AT, 12, 0.1), ring((0.0, 0.0), 12, 0.1)]),
        [AT, (0.0, 0.0)],
        0.5,
        0,
        "20 samples are asked of EACH centre; here two centres have 12 each.",
    ),
    (
        ring(AT, 30, 8.0),
        [AT, (-20.0, 0.0)],
        0.5,
        0,
        "samples 16σ away from their nearest centre count for nobody: nearest is not near.",
    ),
    (
        ring(AT, 30, 0.4),
        [AT],
        0.1,
        0,
        "samples at 4σ are counted: compare distances with 3σ, or their squares with 9σ², not squares with"
        " 3σ.",
    ),
    (
        torch.tensor(AT) + 1.5 * LINE,
        [AT],
        1.0,
        1,
        "samples at 1.5σ are not counted: the distance limit is 3σ, not σ.",
    ),
    (
        torch.tensor(AT) + 2.9 * LINE,
        [AT],
        1.0,
        1,
        "samples at 2.9σ are not counted: the limit is 3σ; squared distances are compared with 9σ².",
    ),
    (
        torch.tensor(AT) + 5.5 * LINE,
        [AT],
        2.0,
        1,
        "samples at 2.75σ are not counted where σ = 2: compare distances with 3σ, whatever σ is.",
    ),
    (torch.tensor(AT) + 3.2 * LINE, [AT], 1.0, 0, "samples at 3.2σ are counted: the limit is 3σ."),
    (
        torch.tensor(AT) + 2 * SQUARE,
        [AT],
        1.0,
        1,
        "the distance is the root of the sum of squares: 2σ to the right and 2σ up is 2.8σ, not 4σ.",
    ),
    (
        torch.tensor(AT) + 2.8 * SQUARE,
        [AT],
        1.0,
        0,
        "“within 3σ” is a distance in the plane, a disc; comparing each coordinate with 3σ makes it a"
        " square.",
    ),
    (3 * LINE, [(0.0, 0.0)], 1.0, 1, "a distance of exactly 3σ is within 3σ: ≤, not <."),
    (
        0.4 * LINE,
        [(0.0, 0.0), (1.0, 0.0)],
        0.5,
        2,
        "a sample counts for every centre within 3σ of it, not for the nearest one only.",
    ),
    (
        torch.tensor([[5.0, 0.0, 1.0], [0.0, 5.0, 2.0]]).repeat(20, 1),
        [(5.0, 0.0, 1.0), (0.0, 5.0, 2.0), (5.0, 0.0, 2.0)],
        0.1,
        2,
        "it should work in any number of dimensions; here there are three.",
    ),
    (
        torch.full((30, 1), 2.0),
        [(2.0,), (9.0,)],
        0.1,
        1,
        "it should work in any number of dimensions, one, too.",
    ),
]
"""(samples, centres, σ, modes covered, hint): in each one mistake shows, and earlier ones are excluded."""
