"""Keep what the browser showed when a test failed: build/browser/FAILED_name.png."""

import contextlib
import re

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and lab is not None:
        from tests.browser.book import SCREENSHOTS

        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Exception):  # the browser may be what failed
            lab.page.screenshot(
                path=SCREENSHOTS / f"FAILED_{re.sub(r'[^a-z0-9_]+', '_', item.name.lower())}.png"
            )
    return report
