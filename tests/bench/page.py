"""Writes docs/speed.md, and the picture beside it, from the measured parts."""

from pathlib import Path

import course_utils as cu
from tests.bench import notebooks, profiles, quality, timing
from tests.bench.targets import Target, targets

PARTS = {
    "loops": "training loops", "data": "data path", "start": "start", "pictures": "pictures and widgets",
    "profile": "profiles and peak", "notebooks": "quick runs of the notebooks", "reasons": "profiles of slow cells",
    "quality": "time to quality", "tests": "the test command",
}  # fmt: skip
HEAD = """# Speed

Written by `python tasks.py bench speed`; do not edit. Every target is a ratio of two things measured here side by side:
in one process, in turns, the median of the rounds' ratios with their quartiles in brackets. Seconds belong to the
machine below.
"""
RULES = """## How it is measured

- Competitors of a training loop see the same model, weights, seed, batch size, number of steps and batches in the same
  order, in memory; the same fused Adam; the same memory layout. The table's last column is the proof. Only the
  tutorial's loop is what tutorials print: torchvision's `MNIST` with `ToTensor()`, a shuffling `DataLoader`, plain
  Adam, `.item()` at every step. Ours includes what it does beyond the hand-written loop: curves, log points with a
  finite snapshot, the guard against a loss that is not finite.
- A round measures every competitor once, in an order that changes: each follows each other one equally often. A ratio
  is taken within a round.
- From core to core: before and after each measurement two processes hand each other a byte (Python's share in it is
  always the same). Cores that share a cache do so soonest; where they do not, a thread waits for what another wrote. A
  virtual machine's cores may be moved while it runs. Near: less than 1.3 times the least hop of a workload.
- **met**: the median meets the limit. **undecided**: it does not, but the limit lies within the quartiles.
  **missed**: it does not. What is not met has its reason, from a profile, below the table.
- "Others" is the share of the processors' time that other processes took meanwhile.
- `--only PART …` measures some parts again; the rest of the page is kept from the last run (in `build/bench/`).
"""


def number(value: float) -> str:
    """Return a ratio or a time with three significant digits or two decimals, whichever is less."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """Return a ratio near 1 with three decimals: the limits are 1.03 and 1.00."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 2 else number(value)


def with_quartiles(found: timing.Spread, text=number, unit: str = "") -> str:
    """Return "1.02 (1.01–1.03)", or the number alone if it was measured once."""
    inside = f" ({text(found.low)}–{text(found.high)})" if found.n > 1 else ""
    return f"{text(found.median)}{unit}{inside}"


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table, with an empty line after it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def verdicts(found: list[Target]) -> list[str]:
    """Return the table of the targets and, below it, a reason for each one that is not met.

    Raises ValueError for a target that is not met and has no reason.
    """
    rows, reasons = [], []
    for target in found:
        sign = "≤" if target.at_most else "≥"
        rows.append([target.what, f"{sign} {target.limit:g}{target.unit}",
                     with_quartiles(target.found, number if target.unit else ratio, target.unit),
                     target.verdict if target.verdict == "met" else f"**{target.verdict}**"])  # fmt: skip
        if target.verdict != "met":
            if not target.why:
                raise ValueError(f"“{target.what}” is {target.verdict} and no profile says why: measure `profile` too.")
            reasons.append(f"- {target.what} ({target.verdict}): {target.why}.")
    met = sum(target.verdict == "met" for target in found)
    columns = ["what", "target", "measured", "verdict"]
    lines = ["## Targets", "", f"{met} of {len(found)} met.", "", *table(columns, rows)]
    return lines + (["Not met, by the profile:", "", *reasons, ""] if reasons else [])


def loops(part: dict) -> list[str]:
    """Return the tables of all competitors, one a workload."""
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items() if version)
    lines = ["## Training loops", "", f"With {versions}."]
    for work in part["workloads"].values():
        n, rows = work["steps"], []
        for who, values in work["seconds"].items():
            agreed = work["check"][who]
            same = "other order" if who.startswith("tutorial") else f"{agreed['difference']:.0e}"
            same = "the same" if agreed["difference"] == 0 else same
            rows.append([who, with_quartiles(timing.spread(values).scaled(1e3 / n)),
                         with_quartiles(timing.ratio(values, work["seconds"]["ours"]), ratio), same])  # fmt: skip
        lines += ["", f"**{work['title']}**: {n} steps, {len(values)} rounds", ""]
        lines += table(["loop", "ms a step", "÷ ours", "weights after 6 steps, against ours"], rows) + hops(work)
    return lines


def hops(work: dict) -> list[str]:
    """Say how far apart the cores were, and what the hand-written step took when they were near and when far."""
    known = [1e9 * hop for column in work.get("hops", {}).values() for hop in column if hop]
    if not known:
        return []
    count = len(work["seconds"]["hand"])
    line = f"From core to core a byte took {with_quartiles(timing.spread(known), unit=' ns')}"
    for word, rounds in zip(("near", "far"), timing.near_and_far(work["hops"], "hand"), strict=True):
        if rounds:
            found = timing.spread(work["seconds"]["hand"][r] for r in rounds).scaled(1e3 / work["steps"])
            line += f"; {word} in {len(rounds)} of {count} rounds, with {with_quartiles(found)} ms a step by hand"
    return [line + ".", ""]


def profile(part: dict) -> list[str]:
    """Return where a step's time goes, and the achieved against the peak floating-point rate."""
    low, peak, high = part["peak"]
    rows = []
    for work in part["workloads"].values():
        seconds = timing.spread(work["seconds"]).median
        rate = work["flops"] / seconds
        rows.append([work["title"], f"{1e3 * seconds:.3g}", f"{rate / 1e9:.1f}", f"{100 * rate / peak:.0f} %",
                     profiles.sentence(work["shares"], 5)])  # fmt: skip
    return [
        "## Where a step's time goes", "",
        f"Peak, float32 matrix product of 2,048 × 2,048: {peak / 1e9:.0f} GFLOP/s ({low / 1e9:.0f}–{high / 1e9:.0f}).",
        "Operations are those of matrix products and convolutions, forward and backward. Shares are by torch.profiler, "
        "whose own cost counts as Python's.", "",
        *table(["step", "ms", "GFLOP/s", "of the peak", "time"], rows),
        *limits(part),
        *threads(part),
    ]  # fmt: skip


def threads(part: dict) -> list[str]:
    """Return the table of what further threads bring, by kind of operator; nothing where there is one thread."""
    count = part.get("threads", 1)
    if count == 1:
        return []
    kinds = ("convolutions", "matrix products", "elementwise", "memory traffic", "normalisation", "optimiser")
    rows = []
    for work in part["workloads"].values():
        one, more = work["alone"], work["together"]
        cells = [f"{one[kind]:,.0f} → {more.get(kind, 0):,.0f}" if one.get(kind, 0) >= 10 else "" for kind in kinds]
        whole = f"{sum(one.values()):,.0f} → {sum(more.values()):,.0f}"
        rows.append([work["title"].split(",")[0].split(" (")[0], whole, *cells])
    far = [1e9 * work["hop"] for work in part["workloads"].values() if work["hop"]]
    note = f" Meanwhile a byte took {min(far):.0f} to {max(far):.0f} ns from core to core." if far else ""
    what = "a second thread brings" if count == 2 else f"{count} threads bring"
    line = f"What {what}: µs a step with one thread → with {count}, by the same profiler.{note}"
    return [line, "", *table(["step", "all", *kinds], rows)]


def limits(part: dict) -> list[str]:
    """Say for which steps convolutions and matrix products dominate, and what limits the others."""
    lines = []
    for work in part["workloads"].values():
        shares = work["shares"]
        useful = shares.get("convolutions", 0) + shares.get("matrix products", 0)
        rest = {kind: share for kind, share in shares.items() if kind not in ("convolutions", "matrix products")}
        text = f"{work['title'].split(' (')[0]}: {useful:.0%} in convolutions and matrix products"
        text += " (they dominate)" if useful > 0.5 else "; the greatest of the rest is " + profiles.sentence(rest, 1)
        lines.append("- " + text.replace("%", " %").replace("  ", " ") + ".")
    return [*lines, ""]


def data(part: dict) -> list[str]:
    """Return the table of the data path."""
    rows = [[who, with_quartiles(timing.spread(v).scaled(1e6 / part["batches"])),
             with_quartiles(timing.ratio(v, part["seconds"]["ours"]), ratio)]
            for who, v in part["seconds"].items()]  # fmt: skip
    return [
        "## Data path alone", "", f"{part['batches']} batches of 128 digits, no training. Ours: "
        f"{profiles.sentence(part['why'])}. The tutorial's: {profiles.sentence(part['why tutorial'])}.", "",
        *table(["loader", "µs a batch", "÷ ours"], rows),
    ]  # fmt: skip


def start(part: dict) -> list[str]:
    """Return the table of the start."""
    rows = [[f"`{name}`" if name != "torch" else "`import torch`", with_quartiles(timing.spread(v))]
            for name, v in part["seconds"].items()]  # fmt: skip
    return ["## Start", "", "In a fresh process, files in the disk's cache.", "", *table(["what", "s"], rows)]


def pictures(part: dict) -> list[str]:
    """Return the table of pictures and widgets."""
    rows = [[name, with_quartiles(timing.spread(v).scaled(1e3)),
             with_quartiles(timing.ratio(v, part["seconds"]["100 axes"]), ratio), profiles.sentence(part["why"][name])]
            for name, v in part["seconds"].items()]  # fmt: skip
    return ["## Pictures and widgets", "", "100 digits, as PNG.", "",
            *table(["what", "ms", "÷ 100 axes", "time"], rows)]  # fmt: skip


def books(part: dict, reasons: dict) -> list[str]:
    """Return the quick seconds of the notebooks and their slowest cells, each with its reason."""
    lessons = part["lessons"]
    rows = [[lesson["lesson"].replace("_", " "), f"{lesson['seconds']:.1f}"] for lesson in lessons]
    lines = ["## Notebooks in `quick`", "", "Imports included.", "", *table(["notebook", "s"], rows)]
    rows = []
    for cell in notebooks.slowest(lessons):
        text = notebooks.reason(reasons.get(f"{cell['lesson']}/{cell['index']}", {}))
        line = cell["line"] if len(cell["line"]) <= 60 else cell["line"][:57] + "…"
        section, line = cell["section"].replace("|", "\\|"), line.replace("|", "¦").replace("`", "'")
        rows.append([cell["lesson"][:2].strip("_"), section, f"`{line}`", f"{cell['seconds']:.1f}", text])
    return [*lines, "The ten slowest cells; the shares are of a Python profile of the same cell:", "",
            *table(["#", "section", "begins", "s", "time"], rows)]  # fmt: skip


def curves(part: dict, target: Path) -> list[str]:
    """Draw quality against seconds and return the picture's lines and a table."""
    from tests.bench import drawing

    kept, rows = quality.cards(), []
    picture = drawing.curves(part["live"], kept, quality.full_elbo())
    target.write_bytes(picture)
    for title, curve in part["live"].items():
        ends = [f"{curve['value'][i]:.1f} after {curve['seconds'][i]:.1f} s" for i in (0, -1)]
        rows.append([f"{title}, live", "minus ELBO, nats", *ends, profiles.sentence(curve["shares"])])
    for name, curve in kept.items():
        ends = [f"{curve['value'][i]:.3g} after {curve['seconds'][i] / 3600:.2f} h" for i in (0, -1)]
        rows.append([f"`{name}`, full ({curve['device']})", "Fréchet ratio", *ends, "see its step above"])
    return [
        "## Time to quality", "", f"![Quality against seconds of training]({target.name})", "",
        "Left: minus the ELBO of 1,000 validation digits along live trainings (the clock stands still while it is "
        "measured), and lesson 04's shipped run. Right: Fréchet ratios on the cards of shipped runs, whose machine was "
        "shared while they trained: their seconds are an upper bound.", "",
        *table(["training", "quality", "first", "last", "time of a step"], rows),
    ]  # fmt: skip


def machine(results: dict) -> list[str]:
    """Return when and where each part was measured, and how quiet it was."""
    others = {name: "unknown" if part["others"] is None else f"{100 * part['others']:.0f} %"
              for name, part in results.items()}  # fmt: skip
    rows = [[PARTS[name], results[name]["date"], others[name]] for name in PARTS if name in results]
    where = sorted({part["machine"] for part in results.values()})
    missing = [PARTS[name] for name in PARTS if name not in results]
    lines = [f"Machine: {'; '.join(where)}.", "", *table(["part", "measured", "others"], rows)]
    return lines + ([f"Not measured yet: {', '.join(missing)}.", ""] if missing else [])


def write(results: dict[str, dict], path: Path, gpu: dict[str, dict] | None = None) -> None:
    """Write the page from the results of the parts; a part that is missing is named as such. Raises ValueError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [HEAD, *machine(results), *verdicts(targets(results, gpu))]
    if not gpu and "Machine: CPU" in "\n".join(lines):
        lines += ["Not measured, for this machine has no GPU: ours ÷ hand-written loop on a GPU, at most 1.05.", ""]
    sections = {"loops": loops, "profile": profile, "data": data, "start": start, "pictures": pictures}
    for name, make in sections.items():
        if name in results:
            lines += make(results[name])
    if "notebooks" in results:
        lines += books(results["notebooks"], results.get("reasons", {}).get("cells", {}))
    if "quality" in results:
        lines += curves(results["quality"], path.with_suffix(".png"))
    lines += ["", RULES]
    path.write_text("\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n", encoding="utf-8")
    print(f"Wrote {path.relative_to(cu.runtime.ROOT) if path.is_relative_to(cu.runtime.ROOT) else path}.")
