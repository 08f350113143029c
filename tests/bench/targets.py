"""The targets: what each one demands, what was measured, and the reason that the profile gives where it is missed."""

from dataclasses import dataclass

from tests.bench import notebooks, profiles, timing
from tests.bench.timing import Spread

LOOP_LIMITS = {"points": 1.10}
"""`fit` or `loop` ÷ hand-written loop, at most; 1.03 for all others, whose steps take over a millisecond."""
ON_GPU = 1.05
TEST_MINUTES, QUICK_SECONDS = 12, 25
"""Design budgets: the whole test command from an existing environment; a lesson in `quick`, on average."""


@dataclass(frozen=True)
class Target:
    """One line of the table. `found` is a ratio unless `unit` says otherwise."""

    what: str
    limit: float
    at_most: bool
    found: Spread
    why: str
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Return "met", "missed" or "undecided" (see `timing.verdict`)."""
        return timing.verdict(self.found, self.limit, at_most=self.at_most)


def one(value: float) -> Spread:
    """Return a single measurement as a spread without width."""
    return Spread(value, value, value, 1)


def targets(results: dict[str, dict], gpu: dict[str, dict] | None = None) -> list[Target]:
    """Return the targets of all parts that were measured."""
    makers = {"loops": loops, "data": data, "start": start, "pictures": pictures, "notebooks": books, "tests": tests}
    found = [target for part, make in makers.items() if part in results for target in make(results)]
    if gpu and "loops" in gpu:
        found += [target for target in loops(gpu, limit=ON_GPU, where=" on a GPU") if "hand-written" in target.what]
    return found


def loops(results: dict, limit: float | None = None, where: str = "") -> list[Target]:
    """Ours against the hand-written loop, and the frameworks and the tutorial against ours."""
    found = []
    for name, work in results["loops"]["workloads"].items():
        seconds, short = work["seconds"], work["title"].split(",")[0].split(" (")[0]
        bound = limit or LOOP_LIMITS.get(name, 1.03)
        mine = timing.ratio(seconds["ours"], seconds["hand"])
        found.append(Target(f"ours ÷ hand-written loop{where}, {short}", bound, True, mine, own_overhead(work)))
        others = [("Lightning, all off", 1.0), ("Lightning, defaults", 1.0), ("Accelerate", 1.0)]
        others += [("tutorial, 0 workers", 3.0), ("tutorial, 2 workers", 3.0)] if name == "vae" else []
        for who, least in others:
            if who in seconds:
                ratio = timing.ratio(seconds[who], seconds["ours"])
                found.append(Target(f"{who} ÷ ours, {short}", least, False, ratio, their_share(results, name, who)))
    return found


def own_overhead(work: dict) -> str:
    """Where the loop's own time goes, in microseconds a step (a profile slows Python down, by about two)."""
    step = 1e6 * timing.spread(work["seconds"]["hand"]).median / work["steps"]
    pieces = [f"{piece} {value:.0f}" for piece, value in work["overhead"].items() if value >= 0.5]
    return f"of {step:,.0f} µs a step: {', '.join(pieces)} µs by the profile (the hand-written loop gets batches, too)"


def their_share(results: dict, name: str, who: str) -> str:
    """Why a competitor is as quick as ours: both spend nearly all the time in the same kernels."""
    profile = results.get("profile", {}).get("workloads", {}).get(name)
    if not profile:
        return ""
    if who.startswith("tutorial"):
        return loader_and_step(results, name, who)
    same = 1 - profile["shares"].get(profiles.PYTHON, 0.0)
    share = f"{100 * same:.0f} % of a step"
    own = own_overhead(results["loops"]["workloads"][name])
    return f"{share} is spent in kernels, the same ones in both, and only the rest can differ; in ours, {own}"


def loader_and_step(results: dict, name: str, who: str) -> str:
    """Why the tutorial's loop is not three times slower: its loader's work does not outweigh the step that both do."""
    profile, work = results["profile"]["workloads"][name], results["loops"]["workloads"][name]
    step = 1e3 * timing.spread(work["seconds"]["hand"]).median / work["steps"]
    said = f"both do a step of {step:.1f} ms ({profiles.sentence(profile['shares'])})"
    if "data" in results:
        part = results["data"]
        batch = 1e3 * timing.spread(part["seconds"][who]).median / part["batches"]
        said += f", and the loader's work for a batch, alone, takes {batch:.1f} ms"
    return said + second_thread(results["profile"], name) + by_distance(work, who, "ours")


def by_distance(work: dict, a: str, b: str) -> str:
    """The ratio of two entries in the rounds with near and with far cores, if there were both."""
    near, far = timing.near_and_far(work.get("hops", {}), a, b) if work.get("hops") else ([], [])
    if not near or not far:
        return ""
    found = [timing.ratio(*([work["seconds"][who][r] for r in rounds] for who in (a, b))) for rounds in (near, far)]
    return (f". With near cores ({len(near)} of the rounds) the ratio was {found[0].median:.2f}, with far ones "
            f"({len(far)}) {found[1].median:.2f}")  # fmt: skip


def second_thread(part: dict, name: str) -> str:
    """What a step's kernels gain or lose by the further threads, and how far apart the cores are."""
    work, count = part["workloads"][name], part.get("threads", 1)
    if count == 1:
        return ""
    times = {kind: work["together"][kind] / value for kind, value in work["alone"].items()
             if kind != profiles.PYTHON and value >= 50 and kind in work["together"]}  # fmt: skip
    told = ", ".join(f"{kind} {value:.2g}" for kind, value in sorted(times.items(), key=lambda kv: kv[1]))
    whole = sum(work["together"].values()) / sum(work["alone"].values())
    far = f"; a byte takes {1e9 * work['hop']:.0f} ns from core to core" if work["hop"] else ""
    return f". {count} threads take {whole:.2f} times as long for a step as one: {told}{far}"


def data(results: dict) -> list[Target]:
    """The loader of the tutorials against `cu.Batches`, without training."""
    seconds = results["data"]["seconds"]
    why = f"`cu.Batches` itself: {profiles.sentence(results['data']['why'])}"
    return [Target(f"{who} ÷ ours, data path alone", 50.0, False, timing.ratio(seconds[who], seconds["ours"]), why)
            for who in seconds if who != "ours"]  # fmt: skip


def start(results: dict) -> list[Target]:
    """Importing the package, `setup()` and `mnist()` against the import of torch."""
    seconds = results["start"]["seconds"]
    pieces = [name for name in seconds if name != "torch"]
    ours = [sum(values) for values in zip(*(seconds[name] for name in pieces), strict=True)]
    halves = ", ".join(f"{name} {timing.spread(seconds[name]).median:.2f} s" for name in pieces)
    top = ", ".join(f"{name} {value:.2f} s" for name, value in results["start"]["imports"].items() if value >= 0.005)
    why = f"{halves}; imports by their own time: {top}"
    return [Target("import, setup() and mnist() ÷ import torch", 1.0, True, timing.ratio(ours, seconds["torch"]), why)]


def pictures(results: dict) -> list[Target]:
    """A grid of 100 images and two widget redraws against 100 axes."""
    part = results["pictures"]
    return [Target(f"{name} ÷ 100 axes", 0.1, True, timing.ratio(part["seconds"][name], part["seconds"]["100 axes"]),
                   profiles.sentence(part["why"][name])) for name in part["seconds"] if name != "100 axes"]  # fmt: skip


def books(results: dict) -> list[Target]:
    """The mean of the notebooks' quick runs against the design's budget."""
    lessons = results["notebooks"]["lessons"]
    mean = sum(lesson["seconds"] for lesson in lessons) / len(lessons)
    reasons = results.get("reasons", {}).get("cells", {})
    worst = notebooks.slowest(lessons, 3)
    said = [notebooks.reason(reasons.get(f"{cell['lesson']}/{cell['index']}", {})) for cell in worst]
    why = "; ".join(f"{cell['lesson'][:2]} “{cell['section']}” {cell['seconds']:.1f} s: {text}"
                    for cell, text in zip(worst, said, strict=True))  # fmt: skip
    return [Target("quick run of a notebook, mean", QUICK_SECONDS, True, one(mean), why, " s")]


def tests(results: dict) -> list[Target]:
    """The whole test command against the design's budget; a failing run counts for nothing."""
    part = results["tests"]
    why = f"exit status {part['status']}: {part['last']}"
    return [Target("the whole test command", TEST_MINUTES, True, one(part["seconds"] / 60), why, " min")]
