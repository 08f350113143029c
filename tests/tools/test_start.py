"""cu.setup on outputs that are not UTF-8."""

import os
import subprocess
import sys

import pytest

from course_utils.system.folders import ROOT

SCRIPT = "import course_utils as cu; cu.setup(); print('✓ · σ → ü'); import sys; print('✗', file=sys.stderr)"


@pytest.mark.fault(
    fault="A lesson as a script whose output is redirected and not UTF-8 (a western Windows)",
    sees="the output, with ? where a sign does not exist there",
    kept="the run, which goes on",
)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_signs_that_an_output_lacks_are_replaced(encoding):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COURSE_PROFILE": "quick"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "seed 0" in text
    shown = "✓ · σ → ü".encode(encoding, "replace").decode(encoding)
    assert text.splitlines()[-1] == shown
