# SPDX-License-Identifier: MIT
"""Shards: several environments as one sequence of samples.

Each process opens the shards for itself: a forked child begins with no shard open, and a pickle
has paths and options.  A child keeps the orders of keys of its parent, which are in memory.
"""

from __future__ import annotations

import errno
import glob
import inspect
import os
import threading
import warnings
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.numpy import np
from .._base.words import counted
from ..environment import Environment
from ..errors import InvalidParameterError, path_error
from ..tools.sources import open_unlocked_if_safe
from . import layouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from os import PathLike
    from types import FrameType

    from numpy.typing import NDArray

    from ..database import Database
    from .layouts import Recognised

    Path = str | bytes | PathLike[str] | PathLike[bytes]

_MAGIC = 0xBEEFC0DE.to_bytes(4, "little"), 0xBEEFC0DE.to_bytes(4, "big")


def find_environments(path: Path | Sequence[Path]) -> list[str]:
    """Return the paths of the environments that a path, a pattern, a directory or a list means.

    :raises PathNotFoundError: there is no environment.
    :raises InvalidParameterError: a path is neither an environment nor a directory.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        return [each for one in path for each in find_environments(one)]
    name = os.path.abspath(os.fsdecode(path))
    if is_environment(name):
        return [name]
    if os.path.isdir(name):
        inside: Iterable[str] = (os.path.join(name, entry) for entry in os.listdir(name))
    elif glob.has_magic(name):
        inside = glob.glob(name, recursive=True)
    elif os.path.exists(name):
        raise InvalidParameterError(
            f"{name!r} is not an LMDB environment: it is a file of another format"
        )
    else:
        raise path_error("Dataset", name, errno.ENOENT, "does not exist")
    found = sorted(each for each in inside if is_environment(each))
    if not found:
        raise path_error("Dataset", name, errno.ENOENT, "has no LMDB environment in it")
    return found


def is_environment(path: str) -> bool:
    """Whether a path is a data file, or a directory with one."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "data.mdb"))
    try:
        with open(path, "rb") as file:
            head = file.read(28)
    except OSError:
        return False
    return head[16:20] in _MAGIC or head[24:28] in _MAGIC


class Options(NamedTuple):
    """How each shard is opened and read."""

    layout: str
    db: bytes | None
    readahead: bool
    lock: bool
    max_open: int
    templates: tuple[bytes, bytes] | None = None  # pickles of earlier versions have none


def open_environment(path: str, options: Options) -> Environment:
    """Open a shard for reading; without its lock file if that cannot be used and that is safe."""
    opens = partial(Environment, path, readonly=True, readahead=options.readahead)
    if not options.lock:
        return opens(lock=False)
    return open_unlocked_if_safe(path, opens, _warn)


def _warn(text: str) -> None:
    """Warn, with the line of the first caller outside of pylmdb."""
    frame: FrameType | None = inspect.currentframe()
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("pylmdb."):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{text}; lock=False disables this warning", RuntimeWarning, stacklevel=level)


class OpenShard:
    """A shard that this process has open."""

    def __init__(self, path: str, options: Options) -> None:
        self.env = open_environment(path, options)
        self.db: Database | None = None
        if options.db is not None:
            self.db = self.env.open_db(options.db, create=False)
        # one object, so that no thread sees a state with the table of another
        self._table: tuple[object, NDArray[np.uintp]] = (None, np.zeros((0, 0), np.uintp))

    def address_table(self, state: object, shape: tuple[int, int]) -> NDArray[np.uintp]:
        """Return the table of the addresses that are known in this state of the file.

        An element is 0 if it is not known yet.  Another state begins a new table.
        """
        known, table = self._table
        if known != state:
            table = np.zeros(shape, np.uintp)
            self._table = state, table
        return table


class _ProcessState:
    """The shards that one process has open, least recently used first."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.open: OrderedDict[int, OpenShard] = OrderedDict()


class Shards:
    """The shards of a data set, of which at most ``max_open`` are open at once.

    :ivar layouts: the name of the layout of each shard.
    :ivar ends: the number after the last sample of each shard, int64.
    :ivar sample: what a sample is stored as; see :class:`layouts.Recognised`.
    """

    def __init__(self, paths: list[str], options: Options) -> None:
        self.paths, self.options = paths, options
        self._found: dict[int, Recognised] = {}
        self._process = _ProcessState()
        found = [self.recognised(i) for i in range(len(paths))]
        self.layouts = [each.layout for each in found]
        self.ends = np.cumsum([each.order.count for each in found], dtype=np.int64)
        kinds = {each.sample for each in found if each.order.count}
        if len(kinds) > 1:
            names = ", ".join(sorted({*self.layouts}))
            raise InvalidParameterError(
                f"the shards have several layouts: {names}; samples must be of one kind",
                hint="make a Dataset of each",
            )
        self.sample = kinds.pop() if kinds else "value"

    def __getstate__(self) -> dict[str, Any]:
        own = ("_found", "_process")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _found={}, _process=_ProcessState())

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def _own_process(self) -> _ProcessState:
        process = self._process
        if process.pid != os.getpid():
            process = self._process = _ProcessState()
        return process

    def opened(self, shard: int) -> OpenShard:
        """Return a shard, which is opened if it is not open.

        Then the least recently used one is dropped.  It is closed when nothing refers to it.
        """
        process = self._own_process()
        with process.lock:
            found = process.open.get(shard)
            if found is None:
                found = process.open[shard] = OpenShard(self.paths[shard], self.options)
                while len(process.open) > self.options.max_open:
                    process.open.popitem(last=False)
            process.open.move_to_end(shard)
            return found

    def recognised(self, shard: int) -> Recognised:
        """Return the layout and the order of a shard."""
        found = self._found.get(shard)
        if found is None:
            opened = self.opened(shard)
            names = self.__dict__.get("layouts")
            layout = names[shard] if names else self.options.layout
            found = layouts.recognise(opened.env, opened.db, layout, self.options.templates)
            if names and found.order.count != self._count(shard):
                raise InvalidParameterError(
                    f"{self.paths[shard]!r} had {counted(self._count(shard), 'sample')}, and"
                    f" now has {found.order.count}; make another Dataset"
                )
            self._found[shard] = found
        return found

    def _count(self, shard: int) -> int:
        return int(self.ends[shard] - (self.ends[shard - 1] if shard else 0))

    def by_shard(self, numbers: NDArray[Any]) -> Iterator[tuple[int, Any, NDArray[Any]]]:
        """Yield, for each shard with samples of these numbers, its number, an index of
        ``numbers``, and the ordinals of the samples in the shard.
        """
        if len(self.ends) == 1:
            yield 0, slice(None), numbers
            return
        shards = np.searchsorted(self.ends, numbers, "right")
        for shard in np.unique(shards).tolist():
            rows = np.flatnonzero(shards == shard)
            yield shard, rows, numbers[rows] - (self.ends[shard - 1] if shard else 0)

    def close(self) -> None:
        """Close all shards that this process has open."""
        process = self._own_process()
        with process.lock:
            process.open.clear()
