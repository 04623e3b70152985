# SPDX-License-Identifier: MIT
"""The options of ``open`` that random programs draw, and which of them go together.

No result depends on them, so a program must do the same with all of them.  The exceptions:
``flags`` shows them, with ``writemap`` there are no nested transactions, and with ``lock=False``
there is no ``compact``.
Limits, such as a small ``max_readers``, are for tests that expect the failures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

# Chooses one of some values for the option with a name.
Choose = Callable[[Sequence[Any], str], Any]

# The first value is the usual one.  A lock file keeps the greatest max_readers.
NEW_FILE: dict[int, dict[str, Sequence[Any]]] = {
    0: {"page_size": [None, None, 2048, 16384, 32768]},
    1: {"page_size": [None, None, 1024, 16384, 65536], "checksums": [False, True]},
}
EITHER_FILE: dict[str, Sequence[Any]] = {"subdir": [True, False], "max_readers": [126, 1000]}
EACH_OPEN: dict[str, Sequence[Any]] = {
    "map_size": [1 << 26, None],
    "lock": [True, False],
    "writemap": [False, False, True],
    "sync": [False, False, True],
    "metasync": [True, True, False],
    "map_async": [False, False, True],
    "max_spare_txns": [0, 0, 2],
    "meminit": [True, True, False],
    "readahead": [True, True, False],
    "guard": [True, True, False],
}


def at_random(rng: Random) -> Choose:
    return lambda values, _: rng.choice(values)


def by_hypothesis(data: Any) -> Choose:
    """Draw by ``data``, as ``hypothesis.strategies.data()`` gives it."""
    from hypothesis.strategies import sampled_from  # which takes long to import

    return lambda values, name: data.draw(sampled_from(values), name)


def of_a_new_file(choose: Choose, lib_version: int) -> dict[str, Any]:
    """Draw the options that stay the same for a file."""
    options = {**EITHER_FILE, **NEW_FILE[lib_version]}
    return {"lib_version": lib_version, **_drawn(choose, options)}


def of_an_open(choose: Choose, new_file: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a file, with those that can be others each time that it is opened."""
    excluded = {"writemap"} if new_file.get("checksums") else set()
    options = {name: values for name, values in EACH_OPEN.items() if name not in excluded}
    return {**new_file, **_drawn(choose, options)}


def deepest(options: Mapping[str, Any]) -> int:
    """Return how many write transactions a program may have open, each nested in the one before."""
    return 1 if options.get("writemap") else 3


def _drawn(choose: Choose, options: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {name: choose(values, name) for name, values in options.items()}
