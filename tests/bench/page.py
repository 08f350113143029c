"""docs/speed.md: the targets with what was measured, then the numbers behind them."""

from pathlib import Path

from tests.bench.timing import Spread, ratio, spread, verdict

TITLES = {"points": "2-D MLP", "vae": "MLP VAE", "gan": "convolutional GAN", "unet": "diffusion U-Net"}
HEAD = """# Speed

The helper package against what a reader would use instead. Medians, quartiles in brackets; ratios are taken
within a round. `python tasks.py bench speed` measures and writes this page; let nothing else run meanwhile.

Competitors of a training loop see the same model, weights, seed, batches, fused Adam and memory layout, and
end at the same weights; only the tutorial's loop is what tutorials print: torchvision's `MNIST` with
`ToTensor()`, a shuffling `DataLoader`, plain Adam, `.item()` at every step. A round measures every competitor
once, each following each other one equally often. **met**: the median meets the limit. **undecided**: it does
not, but the limit lies within the quartiles. **missed**: it does not.
"""


def targets(results: dict) -> list[tuple[str, float, bool, Spread]]:
    """Return (what, limit, whether it is an upper limit, what was found) for all parts that were measured."""
    found = []
    for name, work in results.get("loops", {}).get("workloads", {}).items():
        ms, title = work["ms"], TITLES[name]
        mine = ratio(ms["ours"], ms["hand"])
        found.append((f"ours ÷ hand-written loop, {title}", 1.10 if name == "points" else 1.03, True, mine))
        for who in ("Lightning, all off", "Lightning, defaults", "Accelerate"):
            if who in ms:
                found.append((f"{who} ÷ ours, {title}", 1.0, False, ratio(ms[who], ms["ours"])))
    data = results.get("data", {}).get("us", {})
    for who in data:
        if who != "ours":
            found.append((f"{who} ÷ ours, data path alone", 50, False, ratio(data[who], data["ours"])))
    start = results.get("start", {}).get("s")
    if start:
        ours = [
            sum(parts) for parts in zip(*(v for k, v in start.items() if k != "import torch"), strict=True)
        ]
        found.append(
            ("import, setup() and mnist() ÷ import torch", 1, True, ratio(ours, start["import torch"]))
        )
    pictures = results.get("pictures", {}).get("ms", {})
    for what in pictures:
        if what != "100 axes":
            found.append((f"{what} ÷ 100 axes", 0.1, True, ratio(pictures[what], pictures["100 axes"])))
    tests = results.get("tests")
    if tests and tests["status"] == 0:
        found.append(("the whole test command, minutes", 4, True, spread([tests["minutes"]])))
    return found


def number(found: Spread) -> str:
    """Return a median with its quartiles."""
    return f"{found.median:.3g}" if found.n == 1 else f"{found.median:.3g} ({found.low:.3g}–{found.high:.3g})"


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write(results: dict, path: Path) -> None:
    """Write the page."""
    parts = [HEAD]
    measured = [f"{part}: {found['machine']}, {found['date']}" for part, found in results.items()]
    parts.append("Measured: " + "; ".join(measured) + ".\n")
    parts.append(
        table(
            ["target", "limit", "measured", ""],
            [
                [
                    what,
                    f"{'≤' if at_most else '≥'} {limit:g}",
                    number(found),
                    verdict(found, limit, at_most=at_most),
                ]
                for what, limit, at_most, found in targets(results)
            ],
        )
    )
    for work in results.get("loops", {}).get("workloads", {}).values():
        parts.append(f"\n## {work['title']}, ms a step\n")
        parts.append(table(["loop", "ms a step", "÷ ours", "weights after 6 steps"], loop_rows(work)))
    for title, part, unit in (("Batches alone, µs a batch", "data", "us"), ("Start, s", "start", "s"),
                              ("Pictures, ms", "pictures", "ms")):  # fmt: skip
        if part in results:
            parts.append(f"\n## {title}\n")
            rows = [[name, number(spread(values))] for name, values in results[part][unit].items()]
            parts.append(table(["what", "measured"], rows))
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def loop_rows(work: dict) -> list[list[str]]:
    """One row a competitor; where the weights differ from ours, it says so."""
    rows = []
    for who, ms in work["ms"].items():
        difference = work["check"][who]["difference"]
        same = (
            "the same" if difference < 1e-4 else "other order" if who.startswith("tutorial") else "**differ**"
        )
        rows.append([who, number(spread(ms)), number(ratio(ms, work["ms"]["ours"])), same])
    return rows
