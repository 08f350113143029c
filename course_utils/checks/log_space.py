"""Values of log responsibilities, near and far: for lesson 02's second exercise."""

import torch

from course_utils.checks.machinery import call, expect, expect_close
from course_utils.checks.mistakes import expect_double, expect_value


def resp_values(log_w, log_n, log_r, log_px):
    """True values, and what the usual mistakes give instead."""
    joint = log_w + log_n
    true_px = torch.logsumexp(joint, 1)
    hint = "some results are not a number: both arguments are logarithms already; take no logarithm of them."
    expect(not (log_r.isnan().any() or log_px.isnan().any()), hint)
    expect_value(
        log_px,
        true_px,
        "log p(x) is log Σ_k exp(log w_k + log p(x | k)), summed over the components.",
        (
            (
                log_n.logsumexp(1),
                "log p(x) of equal densities 1 is log Σ w = 0: sum w_k p(x | k), not p(x | k).",
            ),
            (true_px.exp(), "this is p(x); return its logarithm."),
            (joint.sum(1), "you add the logarithms: that is the logarithm of a product. Use logsumexp."),
            (joint.max(1).values, "you take the largest term for the sum: use logsumexp."),
            (
                true_px - torch.tensor(3.0).log(),
                "the sum over components is no mean: nothing is divided by K.",
            ),
            (
                (log_n - log_w).logsumexp(1),
                "the log weights are subtracted; log w + log p(x | k) is the joint.",
            ),
            (
                (log_w.exp() + log_n).logsumexp(1),
                "add the *logarithm* of the weights, as given: no exp() of it.",
            ),
            ((log_w * log_n).logsumexp(1), "in log-space one adds: log w + log p(x | k), no product."),
        ),
    )
    _log_r_value(log_w, log_n, log_r)
    expect_double(log_r, joint - true_px[:, None])
    expect_double(log_px, true_px)


def _log_r_value(log_w, log_n, log_r):
    """The log responsibilities alone."""
    joint = log_w + log_n
    true_px = torch.logsumexp(joint, 1)
    expect_value(
        log_r,
        joint - true_px[:, None],
        "log r + log p(x) must be the log joint, log w + log p(x | k) (equation 3).",
        (
            (
                joint - joint.logsumexp(0),
                "your columns sum to 1: normalise over the components (dim=1), so that each point's row"
                " sums to 1.",
            ),
            (
                joint.softmax(1),
                "return the logarithm of the responsibilities; your rows sum to 1 without exp().",
            ),
            (joint, "each row of exp(log r) must sum to 1: subtract log p(x)."),
            (
                log_n - true_px[:, None],
                "where all components have the same density, the responsibilities are the weights: add"
                " log w first.",
            ),
            (
                log_n.log_softmax(1),
                "you leave the weights out of the responsibilities: they are the normalised log w + log"
                " p(x | k).",
            ),
            (
                joint - joint.max(1, keepdim=True).values,
                "you subtract the largest term only; subtract log p(x), the log-sum-exp of the row.",
            ),
            (joint + true_px[:, None], "subtract log p(x); you add it."),
        ),
    )


def resp_far_away(fn, log_w, log_n, log_r, log_px):
    """Values, not only their finiteness, where every exp() is 0 or ∞."""
    far, far_px = call(fn, log_w, log_n - 5000)
    good = torch.isfinite(far).all() and torch.isfinite(far_px).all()
    hint = (
        "with log-densities near -5000 every exp() is 0 and its logarithm -inf: use torch.logsumexp, no"
        " exp() first."
    )
    expect(good, hint)
    hint = (
        "log-densities 5000 lower make log p(x) 5000 lower and change no responsibility: no clamp, no"
        " small number."
    )
    expect_close(far_px, log_px - 5000, hint)
    expect_close(far, log_r, hint)
    shift = torch.tensor([0.0, -5000, 3000, -1000, 20, 700, -5]).double()[:, None]
    far, far_px = call(fn, log_w, log_n + shift)
    hint = (
        "one point at -5000, another at 3000: each row has a largest term of its own, and one maximum"
        " of the whole table does not save the other rows. torch.logsumexp(…, 1) takes each row's."
    )
    expect_close(far, log_r, hint)
    expect_close(far_px, log_px + shift[:, 0], hint)
    behind = torch.tensor([[0.0, -800.0, -5000.0]]).double()
    far, far_px = call(fn, torch.zeros(3).double(), behind)
    expect(
        torch.isfinite(far).all(),
        "a component 800 nats behind has log r = -800; yours is -inf, since exp(-800) is 0. Subtract"
        " logarithms; do not take the logarithm of a softmax.",
    )
    expect_close(
        far,
        behind,
        "a component 800 nats behind has log r = -800; yours stops earlier: no small number inside the"
        " logarithm, and no clamp.",
    )
    expect_close(far_px, [0.0], "beside a component 800 nats ahead the others add nothing to log p(x).")
