"""Wrong answers to the exercises of lesson 11b, each with a part of the hint that it must get."""

import math

import torch


def langevin_no_half(x, score, eta, xi):
    return x + eta * score(x) + math.sqrt(eta) * xi


def langevin_eta_for_root(x, score, eta, xi):
    return x + eta / 2 * score(x) + eta * xi


def langevin_downhill(x, score, eta, xi):
    return x - eta / 2 * score(x) + math.sqrt(eta) * xi


def langevin_no_noise(x, score, eta, xi):
    return x + eta / 2 * score(x)


def langevin_no_slope(x, score, eta, xi):
    return x + math.sqrt(eta) * xi


def langevin_only_the_step(x, score, eta, xi):
    return eta / 2 * score(x) + math.sqrt(eta) * xi


def langevin_half_in_both(x, score, eta, xi):
    return x + eta / 2 * score(x) + math.sqrt(eta / 2) * xi


def langevin_two_eta(x, score, eta, xi):
    return x + eta / 2 * score(x) + math.sqrt(2 * eta) * xi


def langevin_noise_first(x, score, eta, xi):
    shaken = x + math.sqrt(eta) * xi
    return shaken + eta / 2 * score(shaken)


def langevin_own_noise(x, score, eta, xi):
    return x + eta / 2 * score(x) + math.sqrt(eta) * torch.randn(x.shape, dtype=x.dtype)


def langevin_in_place(x, score, eta, xi):
    x += eta / 2 * score(x) + math.sqrt(eta) * xi
    return x


def langevin_in_float32(x, score, eta, xi):
    return (x.float() + eta / 2 * score(x).float() + math.sqrt(eta) * xi.float()).to(x.dtype)


def _with_graph(score, x):
    x = x.detach().requires_grad_()
    return x, score(x)


def _columns(psi, x, graph=True):
    return [
        torch.autograd.grad(psi[:, i].sum(), x, create_graph=graph, retain_graph=True)[0]
        for i in range(x.shape[1])
    ]


def sm_no_half(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (psi.square().sum(1) + trace).mean()


def sm_trace_of_the_sum(score, x):
    x, psi = _with_graph(score, x)
    mixed = torch.autograd.grad(psi.sum(), x, create_graph=True)[0].sum(1)
    return (0.5 * psi.square().sum(1) + mixed).mean()


def sm_first_coordinate(score, x):
    x, psi = _with_graph(score, x)
    return (0.5 * psi.square().sum(1) + _columns(psi, x)[0][:, 0]).mean()


def _so_many(d):
    def answer(score, x):
        x, psi = _with_graph(score, x)
        loss = 0.5 * psi.square().sum(1)
        for i in range(d):
            loss = loss + torch.autograd.grad(psi[:, i].sum(), x, create_graph=True)[0][:, i]
        return loss.mean()

    return answer


sm_two_coordinates = _so_many(2)
sm_three_coordinates = _so_many(3)


def sm_mean_over_dimensions(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().mean(1) + trace / x.shape[1]).mean()


def sm_trace_subtracted(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().sum(1) - trace).mean()


def sm_no_trace(score, x):
    return 0.5 * score(x).square().sum(1).mean()


def sm_no_square(score, x):
    x, psi = _with_graph(score, x)
    return sum(part[:, i] for i, part in enumerate(_columns(psi, x))).mean()


def sm_sum_over_batch(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().sum(1) + trace).sum()


def sm_half_of_both(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return 0.5 * (psi.square().sum(1) + trace).mean()


def sm_trace_without_graph(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x, graph=False)))
    return (0.5 * psi.square().sum(1) + trace).mean()


def sm_never_asked(score, x):
    psi = score(x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().sum(1) + trace).mean()


def sm_asked_too_late(score, x):
    x = x.detach()
    psi = score(x)
    x.requires_grad_()
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().sum(1) + trace).mean()


def sm_graph_gone(score, x):
    x, psi = _with_graph(score, x)
    trace = 0
    for i in range(x.shape[1]):
        trace = trace + torch.autograd.grad(psi[:, i].sum(), x)[0][:, i]
    return (0.5 * psi.square().sum(1) + trace).mean()


def sm_detached(score, x):
    return sm_half(score, x).detach()


def sm_half(score, x):
    x, psi = _with_graph(score, x)
    trace = sum(part[:, i] for i, part in enumerate(_columns(psi, x)))
    return (0.5 * psi.square().sum(1) + trace).mean()


def sm_one_a_point(score, x):
    x, psi = _with_graph(score, x)
    return 0.5 * psi.square().sum(1) + sum(part[:, i] for i, part in enumerate(_columns(psi, x)))


def blind_the_same():
    return 0.3, 0.3, 8.0


def blind_too_near():
    return 0.9, 0.1, 3.0


def blind_small_kl():
    return 0.2, 0.5, 8.0


def blind_not_a_weight():
    return 1.0, 0.5, 8.0


def blind_two_numbers():
    return 0.9, 8.0


def blind_no_gap():
    return 0.9, 0.1, -8.0


def contrast_no_ratio(energy, log_z, log_q, nu):
    return -energy - log_z - log_q


def contrast_ratio_added(energy, log_z, log_q, nu):
    return -energy - log_z - log_q + math.log(nu)


def contrast_ratio_itself(energy, log_z, log_q, nu):
    return -energy - log_z - log_q - nu


def contrast_densities(energy, log_z, log_q, nu):
    return (-energy - log_z).exp() - nu * log_q.exp()


def contrast_quotient(energy, log_z, log_q, nu):
    return (-energy - log_z).exp() / (nu * log_q.exp())


def contrast_probability(energy, log_z, log_q, nu):
    return (-energy - log_z - log_q - math.log(nu)).sigmoid()


def contrast_energy_turned(energy, log_z, log_q, nu):
    return energy - log_z - log_q - math.log(nu)


def contrast_z_added(energy, log_z, log_q, nu):
    return -energy + log_z - log_q - math.log(nu)


def contrast_no_z(energy, log_z, log_q, nu):
    return -energy - log_q - math.log(nu)


def contrast_no_noise(energy, log_z, log_q, nu):
    return -energy - log_z - math.log(nu)


def contrast_upside_down(energy, log_z, log_q, nu):
    return energy + log_z + log_q + math.log(nu)


def contrast_density_of_noise(energy, log_z, log_q, nu):
    return -energy - log_z - log_q.exp() - math.log(nu)


def contrast_outside_log_space(energy, log_z, log_q, nu):
    return ((-energy - log_z).exp() / (nu * log_q.exp())).log()


def contrast_z_as_number(energy, log_z, log_q, nu):
    return -energy - float(log_z) - log_q - math.log(nu)


def width_in_words():
    return "wider"


def width_several():
    return [1, 2]


def width_between():
    return 3


def width_zero():
    return 0


def width_infinite():
    return math.inf


def width_true():
    return True


WRONG = {
    "11b.langevin": [
        (langevin_no_half, "½ is forgotten"),
        (langevin_eta_for_root, "the noise gets the root"),
        (langevin_downhill, "downhill in log p"),
        (langevin_no_noise, "the noise is missing"),
        (langevin_no_slope, "the slope is missing"),
        (langevin_only_the_step, "add it to x"),
        (langevin_half_in_both, "½ belongs to the slope alone"),
        (langevin_two_eta, "√(2η) belongs"),
        (langevin_noise_first, "taken after the noise"),
        (langevin_own_noise, "x + η/2"),
        (langevin_in_place, "changes"),
        (langevin_in_float32, "seven digits"),
    ],
    "11b.score_matching": [
        (sm_no_half, "½ is missing"),
        (sm_trace_of_the_sum, "a trace of the sum"),
        (sm_first_coordinate, "only the first coordinate"),
        (sm_two_coordinates, "only two coordinates"),
        (sm_three_coordinates, "not in two: loop over range"),
        (sm_mean_over_dimensions, "do not average"),
        (sm_trace_subtracted, "the trace is added"),
        (sm_no_trace, "the trace is missing"),
        (sm_no_square, "the square is missing"),
        (sm_sum_over_batch, "not the sum"),
        (sm_half_of_both, "before the square only"),
        (sm_trace_without_graph, "does not reach the parameters"),
        (sm_never_asked, "ask for gradients *before*"),
        (sm_asked_too_late, "ask for gradients *before*"),
        (sm_graph_gone, "each autograd.grad needs create_graph=True"),
        (sm_detached, "create_graph"),
        (sm_one_a_point, "one number"),
    ],
    "11b.blind": [
        (blind_the_same, "two different weights"),
        (blind_too_near, "farther apart"),
        (blind_small_kl, "KL is only"),
        (blind_not_a_weight, "between 0.001 and 0.999"),
        (blind_two_numbers, "three numbers"),
        (blind_no_gap, "positive"),
    ],
    "11b.contrast": [
        (contrast_no_ratio, "is forgotten"),
        (contrast_ratio_added, "*less* likely"),
        (contrast_ratio_itself, "not ν itself"),
        (contrast_densities, "densities for logarithms"),
        (contrast_quotient, "the ratio itself"),
        (contrast_probability, "the probability of data"),
        (contrast_energy_turned, "*minus* the energy"),
        (contrast_z_added, "log Z is subtracted"),
        (contrast_no_z, "log Z is missing"),
        (contrast_no_noise, "log q is missing"),
        (contrast_upside_down, "upside down"),
        (contrast_density_of_noise, "a logarithm already"),
        (contrast_outside_log_space, "stay in log-space"),
        (contrast_z_as_number, "both trained"),
    ],
    "11b.width": [
        (width_in_words, "not a text"),
        (width_several, "one width only"),
        (width_between, "only these were tried"),
        (width_zero, "a width is positive"),
        (width_infinite, "a finite number"),
        (width_true, "one number"),
    ],
}
