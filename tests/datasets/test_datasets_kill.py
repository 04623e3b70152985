# SPDX-License-Identifier: MIT
"""A killed writer leaves complete batches, and the next writer continues after them."""

import os
import random
import time

import pytest
from killed_writer import COUNT, EVERY, add, value_of
from programs import start

from pylmdb.datasets import Dataset, Writer

ROUNDS = int(os.environ.get("PYLMDB_KILL_ROUNDS", "4"))

PROGRAM = """
from pylmdb.datasets import Writer
from killed_writer import COUNT, EVERY, add
with Writer(path, layout=layout, exist=exist, commit_every=EVERY) as writer:
    print(len(writer), flush=True)
    for number in range(len(writer), COUNT):
        add(writer, layout, number)
"""


def expected(layout, number):
    if layout == "ocr":
        return value_of(number), f"text {number}"
    if layout in ("plain", "numbered"):
        return value_of(number)
    return value_of(number), number


def run(path, layout, exist, seconds):
    """Start a writer and kill it; returns how many samples it found."""
    settings = f"layout, exist = {layout!r}, {exist!r}"
    child = start(settings + PROGRAM, path, 0, imported="pylmdb.datasets, killed_writer")
    line = child.stdout.readline()
    time.sleep(seconds)
    child.kill()
    child.communicate()
    return int(line)


@pytest.mark.parametrize("layout", ["plain", "datum", "numbered", "folder2lmdb", "ocr"])
def test_whole_batches_are_left(tmp_path, layout):
    path = str(tmp_path / "killed")
    chance = random.Random(layout)
    known = 0
    for _ in range(ROUNDS):
        found = run(path, layout, "extend", chance.uniform(0, 0.02))
        assert found >= known
        assert found == COUNT or (found - known) % EVERY == 0
        known = found
    with Writer(path, layout=layout, exist="extend", commit_every=EVERY) as writer:
        found = len(writer)
        assert found >= known
        for number in range(found, COUNT):
            add(writer, layout, number)
    with Dataset(path) as dataset:
        assert len(dataset) == COUNT
        for number, sample in enumerate(dataset):
            assert sample == expected(layout, number)


def test_a_replacement_is_there_as_a_whole_or_not_at_all(tmp_path):
    path = str(tmp_path / "replaced")
    chance = random.Random(1)
    with Writer(path, layout="numbered") as writer:
        for number in range(3):
            add(writer, "numbered", number)
    for _ in range(ROUNDS):
        run(path, "numbered", "replace", chance.uniform(0, 0.3))
        with Dataset(path) as dataset:
            assert len(dataset) in (3, COUNT)
            assert dataset[2] == value_of(2)
