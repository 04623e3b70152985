# SPDX-License-Identifier: MIT
"""A process that is killed loses nothing that it has committed, whatever the flags.

PYLMDB_ROUNDS=100 makes 1,000 kills for each engine and way to write.
"""

import os
import random
import sys

import crashes
import pytest
from programs import ROUNDS, run

SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))
KILLS = 5 * ROUNDS  # with each core

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="locks that are robust"),
    *([pytest.mark.slow] if ROUNDS > 1 else []),
]


@pytest.mark.parametrize("mode", crashes.MODES)
def test_no_kill_loses_or_tears_a_transaction(env_path, lib_version, mode):
    found = run(
        f"""
import crashes
print(crashes.kill_writers(path, lib_version, {crashes.MODES[mode]}, {KILLS}, {SEED}))
""",
        env_path,
        lib_version,
        timeout=60 + KILLS,
    )
    print(f"PYLMDB_SEED={SEED} {mode}: {found}")
