"""Print the seconds that a byte takes from one processor core to another: two processes answer each other.

    python hop.py PASSES PATIENCE

Python's own share in it (about 0.1 µs) is the same everywhere; what differs is whether the cores have a cache in
common. The median of passes of 1,000; 0 without a second core, without fork, or after PATIENCE seconds.
"""

import mmap
import os
import signal
import statistics
import struct
import sys
import time


def measure(passes: int, patience: int) -> float:
    """Let two child processes play, and return the seconds of one way."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    if not hasattr(os, "fork") or len(cores) < 2:
        return 0.0
    with mmap.mmap(-1, 16) as shared:
        players = [start(shared, passes, mine, patience) for mine in (0, 1)]
        for player in players:
            os.waitpid(player, 0)
        return struct.unpack("d", shared[8:])[0] / 2


def start(shared: mmap.mmap, passes: int, mine: int, patience: int) -> int:
    """Return the number of a new process that does nothing but `answer`."""
    child = os.fork()
    if child:
        return child
    signal.alarm(patience)  # ends a process that is not answered
    try:
        answer(shared, passes, mine)
    finally:
        os._exit(0)


def answer(shared: mmap.mmap, passes: int, mine: int) -> None:
    """Set the first byte to `mine` whenever it is not, `passes` times; the one with 0 notes the seconds a time."""
    other, found, began = 1 - mine, [], time.perf_counter()
    for count in range(1, passes + 1):
        while shared[0] != other:
            pass
        shared[0] = mine
        if count % 1_000 == 0:
            now = time.perf_counter()
            found.append((now - began) / 1_000)
            began = now
    if not mine:
        shared[8:] = struct.pack("d", statistics.median(found))


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
