"""The ground: profile, folders, machine, ranks, randomness, disk. Nothing here imports a room above."""

from course_utils.system.folders import ROOT, data_dir, runs_dir, shipped_runs_dir
from course_utils.system.machine import autocast_dtype, device, free_memory, in_notebook
from course_utils.system.profile import budget, profile
from course_utils.system.randomness import seed_everything
from course_utils.system.ranks import prepare, rank, world_size

__all__ = [
    "ROOT",
    "autocast_dtype",
    "budget",
    "data_dir",
    "device",
    "free_memory",
    "in_notebook",
    "prepare",
    "profile",
    "rank",
    "runs_dir",
    "seed_everything",
    "shipped_runs_dir",
    "world_size",
]
