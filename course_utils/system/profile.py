"""The profile (quick, live, full), read here and nowhere else, and what it changes: `budget`."""

import os

from course_utils.system.numbers import whole

PROFILES = ("quick", "live", "full")


def profile() -> str:
    """Return the profile, "quick" (CI), "live" (readers, the default) or "full" (maintainers' long runs).

    It is read from the environment variable COURSE_PROFILE, here and nowhere else.
    Raises ValueError for any other word.
    """
    name = os.environ.get("COURSE_PROFILE", "live") or "live"
    if name not in PROFILES:
        raise ValueError(
            f"COURSE_PROFILE is {name!r}; it must be one of {', '.join(PROFILES)}, or unset for live."
        )
    return name


def budget(live, quick=None, full=None):
    """Return `live`, `quick` or `full` by the profile: for everything that costs time.

    `quick` defaults to a twentieth of a whole number `live` (at least 2, never more than `live`), `full` to
    `live`. Example: `n_samples = cu.budget(5_000)` is 5,000 for readers and 250 in CI. Raises TypeError where
    the default for quick is wanted and `live` is no whole number.
    """
    if quick is None:
        try:
            live = whole(live, "live")
        except ValueError:
            raise TypeError(
                f"budget({live!r}) needs a second value, for the profile quick: only whole numbers have one."
            ) from None
        quick = min(live, max(2, live // 20))
    return {"live": live, "quick": quick, "full": live if full is None else full}[profile()]
