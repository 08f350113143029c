"""What usual mistakes make of the KL to the prior and of the two terms of the ELBO (lesson 04)."""


def mistaken_kl(mean, log_var):
    """Hint → what a usual mistake makes of (4) for mean and log_var, (6, 5)."""
    square, var = mean.square(), log_var.exp()
    right = 0.5 * (square + var - 1 - log_var)
    is_log_var = "log_var is log σ², the logarithm of the variance: exp(log_var) is σ², and log σ² is log_var"
    return {
        "at mean 0 and log σ² = 0 the cloud is the prior and its KL is 0: is the − 1 there?": right + 0.5,
        "at mean 0 and log σ² = 0 the cloud is the prior and its KL is 0: 1 is subtracted.": right + 1,
        "a centre at 2 with σ = 1 costs ½·2² = 2 nats, not 4: the factor ½ is missing.": 2 * right,
        "the factor ½ stands before the whole bracket, not before the first term only.": right
        + 0.5 * (var - 1 - log_var),
        "the factor ½ stands before the whole bracket, the square of the mean included.": right
        + 0.5 * square,
        "your KL is negative where it should be positive: the sign of the whole expression is turned.": -right,
        "you treat log_var as log σ; it is log σ², so do not double it.": 0.5
        * (square + var.square() - 1 - 2 * log_var),
        "exp(log_var) is σ² already: do not square it.": 0.5 * (square + var.square() - 1 - log_var),
        "you treat log_var as σ itself; it is log σ².": 0.5
        * (square + log_var.square() - 1 - log_var.square().log()),
        f"{is_log_var} itself; exp(½ log_var) is σ, not σ².": 0.5 * (square + var.sqrt() - 1 - log_var),
        f"{is_log_var} itself, so nothing is halved.": 0.5 * (square + var - 1 - 0.5 * log_var),
        f"{is_log_var} itself: the exponential is missing.": 0.5 * (square - 1),
        "the logarithm is subtracted: a narrow cloud (log σ² < 0) must cost more.": right + log_var,
        "where is log σ²? Without it a narrow cloud costs nothing.": right + 0.5 * log_var,
        "where is the mean? A cloud far from the prior must cost more.": right - 0.5 * square,
        "where is σ²? A wide cloud must cost more.": right - 0.5 * var,
        "the mean enters as its square μ².": right + 0.5 * (mean - square),
        "the mean enters as its square μ², not as |μ|.": right + 0.5 * (mean.abs() - square),
        "the square of the mean is not divided by σ² in (4).": right + 0.5 * (square / var - square),
        "one value for each latent: do not divide by their number.": right / 5,
        "one value for each image: do not divide by the batch size.": right / 6,
        "this is KL(N(0, 1) ‖ N(mean, σ²)), the other way round; the average in (4) is over q.": 0.5
        * ((1 + square) / var - 1 + log_var),
    }


def mistaken_terms(log_lik, kl):
    """Hint → what a usual mistake makes of R, and the same for D: log_lik (6, 1, 4, 5), kl (6, 3)."""
    true_rate, true_distortion = kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean()
    batch = "then loss and learning rate depend on the batch size. Take its mean."
    of_rate = {
        "the two are in the wrong order: first the rate (the KL), then the distortion.": true_distortion,
        "you average the KL over the latents too; sum over latents, average over the batch.": true_rate / 3,
        f"you sum the rate over the batch too: {batch}": true_rate * 6,
        "you sum the KL over the batch and average over the latents: it is the other way round.": (
            true_rate * 2
        ),
        "R is the KL itself, which is positive; the minus belongs to the log-likelihood.": -true_rate,
        "you divide the KL by the number of pixels, which is a hidden β of 1/784.": true_rate / 20,
        "R is in nats for an image: nothing is divided by 784.": true_rate / 784,
    }
    of_distortion = {
        "the distortion is MINUS the log-likelihood: turn its sign.": -true_distortion,
        "the distortion is MINUS the log-likelihood, whatever its sign: log-densities may be positive, so"
        " take no absolute value.": log_lik.abs().flatten(1).sum(1).mean(),
        "you average over the pixels too: that is a hidden β of 784. Sum over pixels, average over the"
        " batch.": true_distortion / 20,
        f"you sum the distortion over the batch too: {batch}": true_distortion * 6,
        "you sum over the batch and average over the pixels: it is the other way round.": (
            true_distortion * 6 / 20
        ),
        "you average over the rows of an image: sum over ALL pixels, then average over the batch.": true_distortion
        / 4,
        "you average over the columns of an image: sum over ALL pixels, then average over the batch.": (
            true_distortion / 5
        ),
        "D is in nats for an image: nothing is divided by 784.": true_distortion / 784,
        "this is R + D; the distortion alone is wanted, without the rate.": true_rate + true_distortion,
    }
    return of_rate, of_distortion
