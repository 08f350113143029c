"""tools/sizes.py names each tracked file that would make the repository heavy."""

import subprocess

import pytest

from tools import sizes


@pytest.mark.parametrize(
    ("name", "bytes_", "message"),
    [
        ("notebooks/01_x.ipynb", 1_500_001, "limit is 1500 KB"),
        ("docs/picture.png", 1_000_001, "limit is 1000 KB"),
        ("data/runs/x/weights.safetensors", 80_000_001, "limit is 80 MB"),
        ("notebooks/01_x.ipynb", 1_500_000, None),
        ("data/mnist/x.gz", 10_000_000, None),
    ],
)
def test_only_what_is_over_its_limit_is_named(tmp_path, name, bytes_, message):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / name).parent.mkdir(parents=True)
    with open(tmp_path / name, "wb") as file:
        file.truncate(bytes_)
    assert sizes.problems(tmp_path) == []  # not tracked yet
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    found = sizes.problems(tmp_path)
    assert len(found) == (message is not None) and all(message in line for line in found)
