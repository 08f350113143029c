"""The one picture of docs/speed.md."""

import matplotlib.pyplot as plt

import course_utils as cu


def curves(live: dict, kept: dict, full: tuple[float, float] | None) -> bytes:
    """Return the quality against seconds as PNG: live minus ELBOs on the left, shipped Fréchet ratios on the right."""
    cu.plots.use_style()
    fig, axes = plt.subplots(1, 2 if kept else 1, figsize=(10 if kept else 6, 4), layout="constrained", squeeze=False)
    left = axes[0, 0]
    for (title, curve), colour in zip(live.items(), cu.plots.PALETTE):
        left.plot(curve["seconds"], curve["value"], "o-", color=colour, label=title)
    if full:
        left.plot(*full, "*", markersize=14, color=cu.plots.PALETTE[1], label="lesson 04, shipped run")
    left.set(xscale="log", xlabel="seconds of training", ylabel="minus ELBO, nats a digit", title="Nats")
    left.legend(fontsize=9)
    if kept:
        right = axes[0, 1]
        for (name, curve), colour in zip(kept.items(), cu.plots.PALETTE[2:]):
            pairs = [(s, v) for s, v in zip(curve["seconds"], curve["value"]) if s > 0]
            right.plot(*zip(*pairs), "o-", color=colour, label=name)
        right.axhline(1.0, color="#666666", linestyle="--", label="real digits")
        right.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="Fréchet ratio")
        right.set_title("Fréchet ratio")
        right.legend(fontsize=9)
    picture = cu.plots.png(fig)
    plt.close(fig)
    return picture
