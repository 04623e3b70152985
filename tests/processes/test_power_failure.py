# SPDX-License-Identifier: MIT
"""The contents of a file after a power failure, depending on its options and flushes.

PYLMDB_ROUNDS=100 makes 1,000 images for each engine and way to write.
"""

import collections
import json
import os
import random
import sys

import crashes
import pytest
import recorder
from programs import ROUNDS, finish, run, start

SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))
TRANSACTIONS, IMAGES = 100, 10
SAFE = ["default", "writemap", "lock=False"]
LAST = ["metasync=False", "metasync=False, writemap"]
ANY = ["sync=False", "sync=False, writemap", "map_async, writemap"]

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stands before glibc"),
    *([pytest.mark.slow] if ROUNDS > 1 else []),
]


@pytest.fixture(params=[0, 1], ids=["0.9", "1.0"])
def lib_version(request):
    """Both engines.  The core does not matter for the writes to the file."""
    return request.param


@pytest.fixture
def fail(tmp_path, lib_version, monkeypatch):
    """Record the writes in each round, make images, and return the results."""

    def fail(mode, transactions=TRANSACTIONS):
        found = []
        for number in range(ROUNDS):
            path, seed = tmp_path / f"{mode} {number}", SEED + number
            arguments = f"path, lib_version, {crashes.MODES[mode]}, {seed}, {transactions}"
            with monkeypatch.context() as patch:
                for name, text in recorder.environment().items():
                    patch.setenv(name, text)
                program = f"crashes.write_recorded(recorder, {arguments})"
                program = start(recorder.RECORDER + "import crashes\n" + program, path, lib_version)
            finish(program)
            program = f"""
import crashes, faulthandler, json
faulthandler.disable()  # opening what is damaged may end a process
for each in crashes.fail_power(path, lib_version, {seed}, {IMAGES}):
    print(json.dumps(each))
"""
            lines = run(program, path, lib_version)
            found += [json.loads(line) for line in lines.splitlines()]
            os.unlink(f"{path}.log")
        report(mode, found)
        return found

    return fail


def report(mode, found):
    """Print the table for a page of the documentation."""
    print(f"PYLMDB_SEED={SEED} {mode}")
    for in_order in (True, False):
        some = [each for each in found if each["in_order"] == in_order]
        lost = [each["lost"] for each in some if "lost" in each]
        tally = collections.Counter(
            next((key for key in ("cannot be opened", "damaged") if key in each), "whole")
            for each in some
        )
        order = "in order" if in_order else "any order"
        print(f"  {order}: {len(some)} images, {dict(tally)};", end=" ")
        print(f"{sum(map(bool, lost))} of the whole lost {max(lost, default=0)} or fewer")


@pytest.mark.parametrize("mode", SAFE)
def test_nothing_is_lost_or_torn(fail, mode):
    wrong = [each for each in fail(mode) if each.get("lost") != 0]
    assert not wrong, (SEED, wrong)


@pytest.mark.parametrize("mode", LAST)
def test_without_metasync_the_last_transaction_may_be_lost(fail, mode):
    wrong = [each for each in fail(mode) if each.get("lost") not in (0, 1)]
    assert not wrong, (SEED, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ANY)
def test_without_sync_anything_may_be_lost(fail, mode):
    """Nothing is guaranteed here: this only measures, and asserts that images were made."""
    assert fail(mode)


@pytest.mark.parametrize("mode", SAFE + LAST)
def test_a_file_that_was_only_just_made_can_be_opened(fail, mode):
    wrong = [each for each in fail(mode, transactions=1) if "lost" not in each]
    assert not wrong, (SEED, wrong)
