"""What each process of tests/system/test_distributed.py does, alone or under torchrun:
-m tests.system.distributed_worker DIR."""

import contextlib
import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import course_utils as cu
from course_utils.system import folders, ranks
from course_utils.train import resume, saving
from tests.train.training import failing_at, noisy_loss


class Autoencoder(nn.Module):
    """Convolutions, an unused-looking method and a buffer; no BatchNorm."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.SiLU(), nn.Conv2d(4, 2, 3, padding=1)
        )
        self.decoder = nn.ConvTranspose2d(2, 1, 2, stride=2)
        self.register_buffer("offset", torch.rand(1))

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encode(x)) + self.offset


def images():
    return torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def distance(model, x):
    """A deterministic loss that is a mean over the batch, with values large enough to see a wrong average."""
    return 3 * (model.decoder(model.encode(x)) - x).square().mean()


def averaged(rank, world):
    """Train; every rank starts from other weights and, if all is well, ends with the same."""
    torch.manual_seed(rank)
    model = Autoencoder()
    batches = cu.Batches(images(), 16 // world)
    history = cu.fit(
        model, distance, batches, steps=10, lr=0.05, optimiser="sgd", ema=0.9, clip=1.0, log_every=2
    )
    assert type(model) is Autoencoder
    return {**model.state_dict(), **{f"ema.{k}": v for k, v in history.ema.state_dict().items()}}, history[
        "loss"
    ]


def two_players(rank, world):
    """Two optimisers; the gradient of each player is averaged, also where it comes in two pieces."""
    torch.manual_seed(7)
    G, D = cu.prepare(nn.Linear(3, 3), nn.Linear(3, 1))
    opt_g, opt_d = torch.optim.SGD(G.parameters(), 0.1), torch.optim.SGD(D.parameters(), 0.1)
    data = torch.randn(32, 3, generator=torch.Generator().manual_seed(1))

    def step(x):
        opt_d.zero_grad()
        nn.functional.softplus(-D(x)).mean().backward()
        nn.functional.softplus(D(G(x).detach())).mean().backward()
        opt_d.step()
        loss_g = nn.functional.softplus(-D(G(x))).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        return {"loss_g": loss_g}

    cu.loop(
        step, cu.Batches(data, 8 // world), state={"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}, steps=6
    )
    return {
        **{f"G.{k}": v for k, v in G.state_dict().items()},
        **{f"D.{k}": v for k, v in D.state_dict().items()},
    }


def noise_of(rank, world):
    """The random numbers that a rank draws while training."""
    drawn = []
    cu.loop(lambda x: drawn.append(torch.randn(1).item()) or {}, [torch.zeros(1)], state={}, steps=3, seed=4)
    return drawn


def resumed(folder):
    """Crash on all ranks after a save, resume; compare with an uninterrupted training."""
    data = cu.moons(64)

    def train(name=None, crash=False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2))
        batches = cu.Batches(data, 8)
        batches = failing_at(7, batches, InterruptedError()) if crash else batches
        cu.fit(model, noisy_loss, batches, steps=12, log_every=3, name=name)
        return model

    with contextlib.suppress(InterruptedError):
        train("mine", crash=True)
    dist.barrier()
    saved = torch.load(resume.resume_path("mine"), weights_only=True)["step"]
    write, written = resume.write_resume, []
    resume.write_resume = lambda *args: (written.append(args), write(*args))
    again, straight = train("mine"), train()
    resume.write_resume = write
    return (
        saved,
        all(torch.equal(a, b) for a, b in zip(again.parameters(), straight.parameters())),
        len(written),
    )


def stopped_by(rank_0, rank_1, rank):
    """Steps done when the cap on minutes strikes on one rank only."""
    minutes = (rank_0, rank_1)[rank]
    settings = {"steps": 40, "minutes": minutes, "log_every": 4}
    history = cu.fit(
        nn.Linear(2, 2), lambda m, x: (m(x) - x).square().mean(), cu.Batches(cu.moons(64), 8), **settings
    )
    return history.steps[-1], history.stopped is not None


def main(folder: Path):
    folders.runs_dir = lambda: folder
    torch.set_num_threads(1)
    saving.SAVE_SECONDS = saving.SAVE_SHARE = 0
    cu.setup()
    rank, world = ranks.rank(), ranks.world_size()
    weights, losses = averaged(rank, world)
    found = {"losses": losses, "noise": noise_of(rank, world)}
    torch.save(
        {"averaged": weights, "players": two_players(rank, world)}, folder / f"weights_{world}_{rank}.pt"
    )
    if world > 1:
        found["resumed"] = resumed(folder)
        found["stopped"] = [stopped_by(1e-9, None, rank), stopped_by(None, 1e-9, rank)]
        run = cu.save_run("shared", nn.Linear(2, 2))
        found["run"] = [run.name, run.card["command"], sorted(p.name for p in run.path.iterdir())]
    (folder / f"found_{world}_{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.environ["COURSE_PROFILE"] = "live"
    main(Path(sys.argv[1]))
