"""What each program of the debugging questions does wrong, and what it does after the repair of the model answer.

`PROGRAMS["02.4"](broken, repaired)` gets the variables of both after a run, and asserts exactly the fault that the
answer names.
"""

import math

import torch

PROGRAMS = {}


def fault(name):
    """Register the assertions about one program."""

    def keep(function):
        PROGRAMS[name] = function
        return function

    return keep


@fault("00.5")
def ascending(broken, repaired):
    assert broken["errors"][3] > 0.9 and broken["errors"][20] > 0.9
    assert repaired["errors"][3] < 0.001
    cov = broken["cov"]
    for made in (broken, repaired):  # what the old test saw is right in both
        assert torch.allclose(made["dial"](cov, 7).diagonal(), cov.diagonal(), atol=1e-5)
        assert made["errors"][40] < 1e-4


@fault("01.5")
def divisor(broken, repaired):
    x, y = broken["x"], broken["y"]
    means = torch.stack([x[y == k].mean(0) for k in range(10)])
    assert torch.allclose(repaired["fit"](x, y, 10, alpha=0), means)
    assert torch.allclose(broken["fit"](x, y, 10, alpha=0), means / 10)
    assert abs(float(repaired["draws"].mean()) - float(x.mean())) < 0.01


@fault("02.4")
def axis(broken, repaired):
    (weights, means, _), x = repaired["params"], broken["x"]
    assert abs(float(weights[0]) - 0.6) < 0.02 and torch.allclose(weights.sum(), torch.tensor(1.0))
    assert (means - torch.tensor([-2.0, 2.0])).abs().max() < 0.15
    assert torch.allclose(broken["params"][0], torch.full((2,), 1 / len(x)))


@fault("02.5")
def order(broken, repaired):
    start = [torch.tensor(v).double() for v in ([0.5, 0.5], [-4.0, 6.0], [1.0, 1.0])]
    _, (weights, means, stds) = broken["em_step"](broken["x"], *start)
    _, (right_weights, right_means, right_stds) = repaired["em_step"](broken["x"], *start)
    assert torch.equal(weights, right_weights) and torch.equal(means, right_means)
    assert torch.allclose(stds**2, right_stds**2 + (means - start[1]) ** 2)  # the identity of part (a)


@fault("02b.5")
def cached(broken, repaired):
    assert broken["gaps"][0] < 1e-3 and min(broken["gaps"][1:]) > 1
    assert max(repaired["gaps"]) < 1e-3
    model, seen = broken["model"], torch.arange(12) >= 6
    right = torch.eye(3) + model.W[seen].T @ model.W[seen] / model.noise
    assert torch.linalg.eigvalsh(model.M - right).min() > 0  # too precise: too sure of z


@fault("03.5")
def itself(broken, repaired):
    assert float(broken["spacing"](broken["codes"])) == 0 and broken["holes"] == 1
    assert abs(repaired["holes"] - 0.05) < 0.02


@fault("03b.5")
def same_noise(broken, repaired):
    loss, fresh = (float(broken[name].detach()) for name in ("loss", "fresh"))
    assert loss < 0.01 and fresh > 50 * loss  # the noise that it knows, and another
    loss, anew = (float(repaired[name].detach()) for name in ("loss", "fresh"))
    assert 0.4 < anew / loss < 2 and anew < 0.7 * fresh


@fault("04.5")
def two_sigmoids(broken, repaired):
    assert float(broken["distortion"].detach()) > 505 and float(broken["chance"].min()) >= 0.5
    assert float(repaired["distortion"].detach()) < 10 and float(repaired["chance"].min()) < 0.01


@fault("04b.5")
def one_draw(broken, repaired):
    one, ten, hundred = broken["bounds"]
    assert one == ten == hundred or max(broken["bounds"]) - min(broken["bounds"]) < 1e-4
    exact = float(torch.distributions.Normal(0.0, math.sqrt(2)).log_prob(broken["x"]).mean())
    one, ten, hundred = repaired["bounds"]
    assert one + 0.1 < ten < hundred < exact + 0.005 and exact - hundred < 0.005


@fault("05.4")
def left_over(broken, repaired):
    said = [float(made["D"](torch.tensor([[3.0]])).sigmoid().detach()) for made in (broken, repaired)]
    assert said[0] > 0.4 and said[1] < 0.05
    for made in (broken, repaired):  # G's turn leaves a gradient in D; only the repair clears it in time
        assert float(made["D"][0].weight.grad.norm()) > 0
    p, q = torch.tensor(0.3).double(), torch.tensor(0.2).double()
    d = torch.linspace(0.001, 0.999, 99_801).double()
    best = d[(-(p + q) * d.log() - q * (1 - d).log()).argmin()]
    assert abs(float(best - (p + q) / (p + 2 * q))) < 1e-4  # part (b)


@fault("05.5")
def shared(broken, repaired):
    assert broken["average"]["weight"].data_ptr() == broken["G"].weight.data_ptr()
    assert float(broken["G"].weight.detach().norm()) < 0.5 * broken["before"]
    assert abs(float(repaired["G"].weight.detach().norm()) / repaired["before"] - 1) < 1e-6
    assert torch.allclose(repaired["average"]["weight"], repaired["G"].weight.detach(), atol=1e-4)


@fault("06.4")
def step_for_time(broken, repaired):
    assert broken["good"][1000] == repaired["good"][1000] == 1
    assert broken["good"][50] < 0.1 and repaired["good"][50] == 1


@fault("06.5")
def halves(broken, repaired):
    means, right = broken["means"], repaired["means"]
    assert abs(means[0.0] - 1) < 0.1 and abs(means[1.0]) < 0.1 and means[3.0] < -1
    assert abs(right[0.0]) < 0.1 and abs(right[1.0] - 1) < 0.1 and right[3.0] > 1
    x, y, a = torch.linspace(-2, 2, 9), torch.ones(9, dtype=torch.long), torch.tensor(0.3)
    for w in (-1.0, 0.0, 0.4, 2.5):  # part (b): the broken one works with 1 - w
        assert torch.allclose(broken["guided"](x, y, a, w), repaired["guided"](x, y, a, 1 - w), atol=1e-5)


@fault("06b.5")
def noisier_level(broken, repaired):
    for steps in (10, 100, 1_000):
        assert broken["bound"](steps) < broken["entropy"] < repaired["bound"](steps)


@fault("07.5")
def trained_on_it(broken, repaired):
    draws = torch.Generator().manual_seed(1)
    sets = [torch.randn(60, 128, generator=draws) for _ in range(12)]
    pairs = list(zip(sets[::2], sets[1::2]))
    assert all(broken["two_sample_accuracy"](*pair) == 1 for pair in pairs)
    held_out = sum(repaired["two_sample_accuracy"](*pair) for pair in pairs) / len(pairs)
    assert abs(held_out - 0.5) < 0.11
    far = repaired["two_sample_accuracy"](sets[0], sets[1] + 1.0)
    assert far > 0.9  # and it still sees what is different
