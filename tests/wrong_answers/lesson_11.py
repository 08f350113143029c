"""Wrong answers to the exercises of lesson 11, each with a part of the hint that it must get."""

import torch
import torch.nn.functional as F


def _soft(v, W, c):
    return F.softplus(c + v @ W)


def energy_no_visible_bias(v, W, b, c):
    return -_soft(v, W, c).sum(1)


def energy_sign(v, W, b, c):
    return v @ b + _soft(v, W, c).sum(1)


def energy_visible_sign(v, W, b, c):
    return v @ b - _soft(v, W, c).sum(1)


def energy_mean(v, W, b, c):
    return -v @ b - _soft(v, W, c).mean(1)


def energy_overflows(v, W, b, c):
    return -v @ b - (1 + (c + v @ W).exp()).log().sum(1)


def energy_clamped(v, W, b, c):
    return -v @ b - (c + v @ W).clamp(max=80).exp().log1p().sum(1)


def energy_no_hidden_bias(v, W, b, c):
    return -v @ b - F.softplus(v @ W).sum(1)


def energy_sigmoid(v, W, b, c):
    return -v @ b - (c + v @ W).sigmoid().sum(1)


def energy_relu(v, W, b, c):
    return -v @ b - (c + v @ W).relu().sum(1)


def energy_all_on(v, W, b, c):
    return -v @ b - (c + v @ W).sum(1)


def energy_exponential(v, W, b, c):
    return (v @ b + _soft(v, W, c).sum(1)).exp()


def energy_each_unit(v, W, b, c):
    return -_soft(v, W, c)


def energy_detached(v, W, b, c):
    return energy_right(v, W, b, c).detach()


def energy_in_float32(v, W, b, c):
    return energy_right(v.float(), W.float(), b.float(), c.float()).to(W.dtype)


def energy_right(v, W, b, c):
    return -v @ b - _soft(v, W, c).sum(1)


@torch.no_grad()
def _move(model, chains):
    return torch.bernoulli(model.p_v(torch.bernoulli(model.p_h(chains))))


def _loss(model, v, chains):
    return model.free_energy(v).mean() - model.free_energy(chains).mean()


@torch.no_grad()
def _probabilities(model, chains):
    return model.p_v(torch.bernoulli(model.p_h(chains)))


def pcd_probabilities(model, v, chains):
    chains = _probabilities(model, chains)
    return _loss(model, v, chains), chains


@torch.no_grad()
def _mean_field(model, chains):
    return torch.bernoulli(model.p_v(model.p_h(chains)))


def pcd_hidden_probabilities(model, v, chains):
    chains = _mean_field(model, chains)
    return _loss(model, v, chains), chains


def pcd_sign(model, v, chains):
    chains = _move(model, chains)
    return -_loss(model, v, chains), chains


def pcd_restarted(model, v, chains):
    start = v[torch.arange(len(chains)) % len(v)]
    chains = _move(model, start)
    return _loss(model, v, chains), chains


def pcd_old_chains_in_the_loss(model, v, chains):
    return _loss(model, v, chains), _move(model, chains)


def pcd_chains_stand_still(model, v, chains):
    return _loss(model, v, chains), chains


def pcd_two_steps(model, v, chains):
    chains = _move(model, _move(model, chains))
    return _loss(model, v, chains), chains


def pcd_sums(model, v, chains):
    chains = _move(model, chains)
    return model.free_energy(v).sum() - model.free_energy(chains).sum(), chains


def pcd_data_only(model, v, chains):
    return model.free_energy(v).mean(), _move(model, chains)


def pcd_exchanged(model, v, chains):
    chains = _move(model, chains)
    return chains, _loss(model, v, chains)


def pcd_each_state(model, v, chains):
    chains = _move(model, chains)
    return model.free_energy(v) - model.free_energy(chains).mean(), chains


def pcd_loss_only(model, v, chains):
    return _loss(model, v, _move(model, chains))


def pcd_detached(model, v, chains):
    chains = _move(model, chains)
    return _loss(model, v, chains).detach(), chains


def pcd_gradient_through(model, v, chains):
    p = model.p_v(torch.bernoulli(model.p_h(chains)))
    chains = torch.bernoulli(p.detach()) + p - p.detach()
    return _loss(model, v, chains), chains


def pcd_coins_on_the_cpu(model, v, chains):
    with torch.no_grad():
        p_h = model.p_h(chains)
        h = (torch.rand(p_h.shape, dtype=p_h.dtype) < p_h).to(p_h.dtype)
        chains = torch.bernoulli(model.p_v(h))
    return _loss(model, v, chains), chains


def copier_small_weights():
    return torch.eye(9), torch.full((9,), -0.5), torch.full((9,), -0.5)


def copier_asleep():
    return torch.zeros(9, 9), torch.zeros(9), torch.zeros(9)


def copier_without_biases():
    return 20 * torch.eye(9), torch.zeros(9), torch.zeros(9)


def copier_transposed():
    return torch.zeros(3, 9), torch.zeros(9), torch.zeros(3)


def copier_two():
    return 20 * torch.eye(9), torch.full((9,), -10.0)


def copier_hidden_bias_missing():
    return 20 * torch.eye(9), torch.full((9,), -10.0), torch.zeros(8)


def copier_infinite():
    return torch.inf * torch.eye(9), torch.zeros(9), torch.zeros(9)


def copier_that_knows():
    page = ((torch.arange(512)[:, None] >> torch.arange(9)) & 1).double().view(-1, 3, 3)
    bars = (page == page[:, :1]).flatten(1).all(1)
    stripes = (page == page[:, :, :1]).flatten(1).all(1)
    x = page[bars | stripes].flatten(1)  # a hidden unit for each pattern
    W = 20 * (2 * x - 1).T
    return W, torch.zeros(9), -20 * x.sum(1) + 10


def copier_of_whole_numbers():
    return 20 * torch.eye(9), torch.full((9,), -10), torch.full((9,), -10)


def copier_that_prefers_off():
    return 40 * torch.eye(9), torch.full((9,), -30.0), torch.full((9,), -20.0)


def copier_that_prefers_one_pixel():
    b = torch.full((9,), -10.0)
    b[4] += 5
    return 20 * torch.eye(9), b, torch.full((9,), -10.0)


def copier_of_lists():
    return [[20.0] * 9] * 9, [-10.0] * 9, [-10.0] * 9


def _anneal(weigh):
    def answer(log_f, move, v, shares):
        log_w = 0
        for before, now in zip(shares, shares[1:]):
            after = move(v, now)
            log_w = log_w + weigh(log_f, v, after, before, now)
            v = after
        return log_w

    return answer


anneal_after_the_move = _anneal(lambda f, v, after, s, t: f(after, t) - f(after, s))
anneal_same_share = _anneal(lambda f, v, after, s, t: f(after, t) - f(v, t))
anneal_two_states = _anneal(lambda f, v, after, s, t: f(after, t) - f(v, s))
anneal_no_division = _anneal(lambda f, v, after, s, t: f(v, t))
anneal_sign = _anneal(lambda f, v, after, s, t: f(v, s) - f(v, t))
anneal_right = _anneal(lambda f, v, after, s, t: f(v, t) - f(v, s))


def anneal_standing(log_f, move, v, shares):
    pairs = zip(shares, shares[1:])
    return sum(log_f(v, now) - log_f(v, before) for before, now in pairs)


def anneal_old_move(log_f, move, v, shares):
    log_w = 0
    for before, now in zip(shares, shares[1:]):
        log_w = log_w + log_f(v, now) - log_f(v, before)
        v = move(v, before)
    return log_w


def anneal_mean_over_steps(log_f, move, v, shares):
    return anneal_right(log_f, move, v, shares) / (len(shares) - 1)


def anneal_mean_over_chains(log_f, move, v, shares):
    return anneal_right(log_f, move, v, shares).mean()


def anneal_weights_themselves(log_f, move, v, shares):
    return anneal_right(log_f, move, v, shares).exp()


def anneal_stops_early(log_f, move, v, shares):
    return anneal_right(log_f, move, v, shares[:-1])


def anneal_last_only(log_f, move, v, shares):
    for before, now in zip(shares, shares[1:]):
        log_w = log_f(v, now) - log_f(v, before)
        v = move(v, now)
    return log_w


def anneal_sorted(log_f, move, v, shares):
    return anneal_right(log_f, move, v, sorted(shares))


def anneal_factors(log_f, move, v, shares):
    w = torch.ones_like(v[:, 0])
    for before, now in zip(shares, shares[1:]):
        w = w * (log_f(v, now).exp() / log_f(v, before).exp())
        v = move(v, now)
    return w.log()


def anneal_pops(log_f, move, v, shares):
    log_w = 0
    before = shares.pop(0)
    while shares:
        now = shares.pop(0)
        log_w = log_w + log_f(v, now) - log_f(v, before)
        v = move(v, now)
        before = now
    return log_w


def guess_text():
    return "half"


def guess_many():
    return 1_000


def guess_negative():
    return -1


def guess_nan():
    return float("nan")


def guess_pair():
    return 30, 40


def guess_true():
    return True


def guess_share():
    return 0.42


WRONG = {
    "11.free_energy": [
        (energy_no_visible_bias, "the visible biases are missing"),
        (energy_sign, "the sign is turned"),
        (energy_visible_sign, "the sign of b·v is turned"),
        (energy_mean, "mean over the hidden units"),
        (energy_overflows, "overflows at a = 710"),
        (energy_clamped, "finite and wrong"),
        (energy_no_hidden_bias, "the hidden biases c are missing"),
        (energy_sigmoid, "sigmoid for softplus"),
        (energy_relu, "relu for softplus"),
        (energy_all_on, "softplus is missing"),
        (energy_exponential, "what is proportional to p(v)"),
        (energy_each_unit, "one number a state"),
        (energy_detached, "it is trained"),
        (energy_in_float32, "passes through float32"),
    ],
    "11.pcd": [
        (pcd_probabilities, "the new chains are probabilities"),
        (pcd_hidden_probabilities, "probabilities of h are passed on"),
        (pcd_sign, "the sign is turned"),
        (pcd_restarted, "restarted at the data"),
        (pcd_old_chains_in_the_loss, "the loss takes the old chains"),
        (pcd_chains_stand_still, "the chains stand still"),
        (pcd_two_steps, "two Gibbs steps"),
        (pcd_sums, "sums in place of means"),
        (pcd_data_only, "the chains are missing"),
        (pcd_exchanged, "the two are exchanged"),
        (pcd_each_state, "the loss is one number"),
        (pcd_loss_only, "return the loss and the new chains"),
        (pcd_detached, "must keep its gradient"),
        (pcd_gradient_through, "no gradient passes through the draws"),
        (pcd_coins_on_the_cpu, "mixes devices"),
    ],
    "11.copier": [
        (copier_small_weights, "larger weights"),
        (copier_asleep, "do not look at the image"),
        (copier_without_biases, "choose the biases"),
        (copier_transposed, "nine rows"),
        (copier_two, "return W (9, H)"),
        (copier_hidden_bias_missing, "the shape should be (9,)"),
        (copier_infinite, "finite numbers"),
        (copier_that_knows, "it knows something"),
        (copier_of_lists, "three tensors"),
        (copier_of_whole_numbers, "write -10.0"),
        (copier_that_prefers_off, "prefers pixel 0 off: F differs by 10.00"),
        (copier_that_prefers_one_pixel, "prefers pixel 4 on: F differs by 5.00"),
    ],
    "11.annealing": [
        (anneal_after_the_move, "weighed after the move"),
        (anneal_same_share, "both at the same share"),
        (anneal_two_states, "both belong to the same state"),
        (anneal_no_division, "divide by f at the share before"),
        (anneal_sign, "the sign is turned"),
        (anneal_standing, "the chains stand still"),
        (anneal_old_move, "moved at the old share"),
        (anneal_mean_over_steps, "mean over the steps"),
        (anneal_mean_over_chains, "one log w a chain"),
        (anneal_weights_themselves, "its logarithm is asked for"),
        (anneal_stops_early, "the last step"),
        (anneal_last_only, "only the last step is left"),
        (anneal_sorted, "in reverse order"),
        (anneal_factors, "stay in log-space"),
        (anneal_pops, "changes the list"),
    ],
    "11.dream": [
        (guess_text, "not a text"),
        (guess_many, "there are 100 dreams"),
        (guess_negative, "less than none"),
        (guess_nan, "not nan"),
        (guess_pair, "one number"),
        (guess_true, "not True or False"),
        (guess_share, "How many of 100: 42"),
    ],
}
