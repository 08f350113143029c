"""Reference functions of lesson 12b, generated from lessons/12b_obedience_and_its_limits.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""


def compose(free, told, scales):
    """Equation (2): free (B, …) is the prediction when nothing is asked for.

    told: a list of predictions as large, one a wish. scales: as many numbers.
    """
    out = free
    for part, w in zip(told, scales):
        out = out + w * (part - free)
    return out


def my_bet():
    """Your five shares, from 0 to 1: VAE, GAN, flow, PixelCNN, diffusion."""
    return [0.5, 0.5, 0.5, 0.5, 0.5]


def to_noise(predict, x, times, abar):
    """Equation (4) from x (B, …) at times[0] up to times[-1]; returns x there.

    predict(x, t) → ε̂ (B, …). times: rising whole numbers. abar: ᾱ_0 … ᾱ_T, (T + 1,).
    """
    for t, s in zip(times, times[1:]):
        eps = predict(x, t)
        x0 = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
        x = abar[s].sqrt() * x0 + (1 - abar[s]).sqrt() * eps
    return x


def bayes(log_terms, log_prior):
    """Equation (5): log p(y | x) (N, K) and log p(x) (N,).

    log_terms (N, K, D): log of each factor of p(x | y), for each class.
    log_prior (K,): log p(y).
    """
    log_joint = log_terms.sum(2) + log_prior
    log_px = log_joint.logsumexp(1)
    return log_joint - log_px[:, None], log_px


REFERENCES = {
    "12b.compose": compose,
    "12b.bet": my_bet,
    "12b.to_noise": to_noise,
    "12b.bayes": bayes,
}
