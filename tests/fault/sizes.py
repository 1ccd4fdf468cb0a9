# SPDX-License-Identifier: MIT
"""How much each story does: a short part for `make check`, the long one for `make fault` (FAULT=long). Each size has
a variable of its own, and so has the seed that all is drawn from."""
import os
import pathlib
import random

BUILD = pathlib.Path(os.environ.get("FAULT_BUILD", pathlib.Path(__file__).parents[2] / "build/release")).resolve()
SEED = int(os.environ.get("FAULT_SEED") or 1)
LONG = os.environ.get("FAULT") == "long"


def size(name, short, long):
    return type(short)(os.environ.get(f"FAULT_{name}") or (long if LONG else short))


KILLS = size("KILLS", 15, 500)                # story 1
MESSAGES = size("MESSAGES", 150, 5000)        # through faults
REPLICA_KILLS = size("REPLICA_KILLS", 5, 60)  # of three daemons
LOSSES = size("LOSSES", 8, 200)               # of power
DISK_MESSAGES = size("DISK_MESSAGES", 60, 600)
CLOCK_MESSAGES = size("CLOCK_MESSAGES", 40, 400)
TOKENS_A_JUMP = size("TOKENS_A_JUMP", 1, 10)
SOAK_MESSAGES = size("SOAK_MESSAGES", 2000, 10000)
SOAK_POLLS = size("SOAK_POLLS", 600, 14400)   # an hour's worth at 250 ms
STORM_MESSAGES = size("STORM_MESSAGES", 20, 1500)
STORM_SECONDS = size("STORM_SECONDS", 2.5, 100)


def dice(name):
    """The chances of one part of a story: the same for the same seed, whatever the other parts draw."""
    return random.Random(f"{SEED}/{name}")
