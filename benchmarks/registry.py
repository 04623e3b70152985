# SPDX-License-Identifier: MIT
"""A case: the job that is timed, the ratio that it should reach, and the C loop to compare with.

A case is a generator that gets a stage, yields one job and then cleans up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from data import Stage
from floor import Floor
from measure import Timed

Make = Callable[[Stage], Iterator[Timed]]


@dataclass(frozen=True)
class Case:
    """One line of the table.

    :param at_least: the ratio py-lmdb / pylmdb that is wanted, if one is.
    :param at_most_more: instead: how many nanoseconds longer than py-lmdb pylmdb may take.
    :param rounds: the least number of rounds.
    """

    name: str
    title: str
    prepare: Callable[[Stage], AbstractContextManager[Timed]]
    at_least: float | None
    floor: Floor | None
    at_most_more: float | None
    rounds: int


class Cases(list[Case]):
    """Cases in the order of the table."""

    def case(
        self,
        title: str,
        at_least: float | None = None,
        floor: Floor | None = None,
        at_most_more: float | None = None,
        rounds: int = 1,
    ) -> Callable[[Make], Make]:
        """Note a function as the next case."""

        def note(make: Make) -> Make:
            prepare = contextmanager(make)
            name = make.__name__
            self.append(Case(name, title, prepare, at_least, floor, at_most_more, rounds))
            return make

        return note
