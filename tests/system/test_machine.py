"""Profiles, folders, seeds, and what importing the package may load."""

import os
import subprocess
import sys

import pytest
import torch

import course_utils as cu
from course_utils.system import folders, machine


def python(code, **variables):
    """Run code in a fresh process; return its standard output."""
    env = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, course_utils; print({'torchvision', 'sklearn', 'matplotlib'} & set(sys.modules) or [])"
    )
    assert python(code) == "[]"


def test_every_public_name_resolves_and_is_documented():
    for name in cu.__all__:
        value = getattr(cu, name)
        assert getattr(value, "__doc__", None), f"cu.{name} has no docstring"
    with pytest.raises(AttributeError, match="fit"):
        cu.fitt


@pytest.mark.parametrize(("profile", "expected"), [("live", 10), ("quick", 1), ("full", 10), ("", 10)])
def test_budget_follows_the_profile(monkeypatch, profile, expected):
    monkeypatch.setenv("COURSE_PROFILE", profile)
    assert cu.budget(10, 1) == expected
    assert cu.budget(10, 1, full=99) == (99 if profile == "full" else expected)


def test_an_unknown_profile_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(ValueError, match="quick, live, full"):
        cu.profile()


def test_own_runs_go_where_the_profile_says(monkeypatch):
    for profile, folder in (("live", folders.ROOT / "runs"), ("full", folders.ROOT / "data" / "runs")):
        monkeypatch.setenv("COURSE_PROFILE", profile)
        assert folders.runs_dir() == folder
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    assert folders.ROOT not in folders.runs_dir().parents and folders.runs_dir().is_dir()


def test_the_quick_folder_vanishes_with_its_process():
    code = "from course_utils.system import folders; print(folders.runs_dir())"
    assert not os.path.exists(python(code, COURSE_PROFILE="quick"))


def test_setup_seeds_every_generator(capsys):
    code = "import course_utils as cu, torch, numpy, random; cu.setup(3); print("
    code += "torch.rand(1), numpy.random.rand(), random.random())"
    first, again, other = python(code), python(code), python(code.replace("setup(3)", "setup(4)"))
    assert first == again
    assert all(a != b for a, b in zip(first.splitlines()[-1].split(), other.splitlines()[-1].split()))
    assert isinstance(cu.setup(), torch.device)
    assert "profile" in capsys.readouterr().out


def test_half_precision_only_where_it_pays(monkeypatch):
    assert machine.autocast_dtype(torch.device("cpu")) is None
    for native, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native
        )
        assert machine.autocast_dtype(torch.device("cuda")) == dtype


def test_free_memory_drops_the_kept_traceback():
    try:
        big = torch.ones(10)
        raise MemoryError(str(big.shape))
    except MemoryError as error:
        sys.last_value, sys.last_traceback, sys.last_type = error, error.__traceback__, MemoryError
    cu.free_memory()
    assert not hasattr(sys, "last_value") and not hasattr(sys, "last_traceback")
