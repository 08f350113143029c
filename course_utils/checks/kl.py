"""What usual mistakes make of the KL to the prior (lesson 04)."""


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
