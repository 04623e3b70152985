# SPDX-License-Identifier: MIT
"""The cases that read: single keys, scans, cursors, many keys at once.

In the loops a method is called as users write it, ``txn.get(key)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any

import data
from data import Stage
from floor import Floor
from measure import Job, Timed
from registry import Cases

CASES = Cases()

# -- get ------------------------------------------------------------------------------


def get_one(stage: Stage, wanted: bytes, **options: Any) -> Iterator[Timed]:
    count = stage.sizes.loops
    with stage.hot.begin(**options) as txn:

        def run() -> None:
            for _ in repeat(None, count):
                txn.get(wanted)

        yield Job(count, run)


@CASES.case("get, hot key", 1.5, Floor("get", "hot", data.hot_key, data.loops, at_most=1.25))
def get_hot(stage: Stage) -> Iterator[Timed]:
    yield from get_one(stage, *data.hot_key(stage.sizes))


@CASES.case("get, missing key", 1.4, Floor("get", "hot", data.missing_key, data.loops))
def get_missing(stage: Stage) -> Iterator[Timed]:
    yield from get_one(stage, *data.missing_key(stage.sizes))


@CASES.case("get, hot key, buffers=True", 1.2)
def get_view(stage: Stage) -> Iterator[Timed]:
    yield from get_one(stage, *data.hot_key(stage.sizes), buffers=True)


@CASES.case("get, hot key, db=named", 1.3)
def get_named(stage: Stage) -> Iterator[Timed]:
    count, (wanted,) = stage.sizes.loops, data.hot_key(stage.sizes)
    env = stage.named
    named = env.open_db(b"plain")
    with env.begin() as txn:

        def run() -> None:
            for _ in repeat(None, count):
                txn.get(wanted, db=named)

        yield Job(count, run)


@CASES.case(
    "get, every key in random order", None, Floor("get", "large", data.spread_keys, data.many)
)
def get_spread(stage: Stage) -> Iterator[Timed]:
    keys = data.spread_keys(stage.sizes)
    with stage.large.begin() as txn:

        def run() -> None:
            for each in keys:
                txn.get(each)

        yield Job(len(keys), run)


# -- scans ----------------------------------------------------------------------------


@CASES.case("scan, (key, value)", 2.0, Floor("scan", "large", data.hot_key, data.many))
def scan(stage: Stage) -> Iterator[Timed]:
    with stage.large.begin() as txn:

        def run() -> None:
            for _key, _value in txn.cursor():
                pass

        yield Job(stage.sizes.many, run)


@CASES.case("scan in reverse, (key, value)", 2.0)
def scan_reverse(stage: Stage) -> Iterator[Timed]:
    with stage.large.begin() as txn:

        def run() -> None:
            for _key, _value in txn.cursor().iterprev():
                pass

        yield Job(stage.sizes.many, run)


@CASES.case("scan, duplicates, (key, value)", 2.0)
def scan_dups(stage: Stage) -> Iterator[Timed]:
    env = stage.named
    dups = env.open_db(b"dupsort")
    with env.begin() as txn:

        def run() -> None:
            for _key, _value in txn.cursor(dups):
                pass

        yield Job(data.dup_records(stage.sizes), run)


@CASES.case("scan, iternext_dup of each key", 2.0)
def scan_iternext_dup(stage: Stage) -> Iterator[Timed]:
    env, keys = stage.named, data.dup_keys(stage.sizes)
    dups = env.open_db(b"dupsort")
    with env.begin() as txn, txn.cursor(dups) as cursor:

        def run() -> None:
            for each in keys:
                cursor.set_key(each)
                for _value in cursor.iternext_dup():
                    pass

        yield Job(data.dup_records(stage.sizes), run)


@CASES.case("scan, keys", 1.6, Floor("scan_keys", "large", data.hot_key, data.many, at_most=6))
def scan_keys(stage: Stage) -> Iterator[Timed]:
    with stage.large.begin() as txn:

        def run() -> None:
            for _key in txn.cursor().iternext(keys=True, values=False):
                pass

        yield Job(stage.sizes.many, run)


@CASES.case("scan, values", 1.6)
def scan_values(stage: Stage) -> Iterator[Timed]:
    with stage.large.begin() as txn:

        def run() -> None:
            for _value in txn.cursor().iternext(keys=False, values=True):
                pass

        yield Job(stage.sizes.many, run)


@CASES.case("scan, (key, value), buffers=True", 1.1)
def scan_views(stage: Stage) -> Iterator[Timed]:
    with stage.large.begin(buffers=True) as txn:

        def run() -> None:
            for _key, _value in txn.cursor():
                pass

        yield Job(stage.sizes.many, run)


# -- ranges ---------------------------------------------------------------------------


Bounds = tuple[bytes, bytes]


def ranges_of_ten(sizes: data.Sizes) -> list[Bounds]:
    """Bounds of ten records each, from the whole of *large*, with others between them."""
    return [(data.key(i), data.key(i + 10)) for i in range(0, sizes.many - 10, 100)]


def walk_forward(txn: Any, start: bytes, stop: bytes) -> None:
    """The usual loop with py-lmdb; this and the next ones compare each key with the end."""
    cursor = txn.cursor()
    if cursor.set_range(start):
        for key, _value in cursor.iternext():
            if key >= stop:
                break


def walk_backward(txn: Any, start: bytes, stop: bytes) -> None:
    cursor = txn.cursor()
    if cursor.prev() if cursor.set_range(stop) else cursor.last():
        for key, _value in cursor.iterprev():
            if key < start:
                break


def walk_prefix(txn: Any, prefix: bytes) -> None:
    cursor = txn.cursor()
    if cursor.set_range(prefix):
        for key, _value in cursor.iternext():
            if not key.startswith(prefix):
                break


@CASES.case("range over all, (key, value)", 3.0)
def range_all(stage: Stage) -> Iterator[Timed]:
    start, stop = data.key(0), data.key(stage.sizes.many - 1)
    with stage.large.begin() as txn:

        def run() -> None:
            for _key, _value in txn.range(start, stop):
                pass

        theirs = partial(walk_forward, txn, start, stop)
        yield Job(stage.sizes.many - 1, run if stage.ours else theirs)


@CASES.case("range over all in reverse, (key, value)", 2.5)
def range_reverse(stage: Stage) -> Iterator[Timed]:
    start, stop = data.key(1), data.key(stage.sizes.many)
    with stage.large.begin() as txn:

        def run() -> None:
            for _key, _value in txn.range(start, stop, reverse=True):
                pass

        theirs = partial(walk_backward, txn, start, stop)
        yield Job(stage.sizes.many - 1, run if stage.ours else theirs)


@CASES.case("range of 10 records", 1.1)
def range_ten(stage: Stage) -> Iterator[Timed]:
    bounds = ranges_of_ten(stage.sizes)
    with stage.large.begin() as txn:

        def run() -> None:
            for start, stop in bounds:
                for _key, _value in txn.range(start, stop):
                    pass

        def theirs() -> None:
            for start, stop in bounds:
                walk_forward(txn, start, stop)

        yield Job(len(bounds), run if stage.ours else theirs)


@CASES.case("range of a prefix, 10 records", 1.1)
def range_prefix(stage: Stage) -> Iterator[Timed]:
    prefixes = [start[:-1] for start, _stop in ranges_of_ten(stage.sizes)]
    with stage.large.begin() as txn:

        def run() -> None:
            for prefix in prefixes:
                for _key, _value in txn.range(prefix=prefix):
                    pass

        def theirs() -> None:
            for prefix in prefixes:
                walk_prefix(txn, prefix)

        yield Job(len(prefixes), run if stage.ours else theirs)


@CASES.case("count of half the records", 50)
def count_half(stage: Stage) -> Iterator[Timed]:
    start, stop = data.middle_half(stage.sizes)
    with stage.large.begin() as txn:

        def theirs() -> int:
            count, cursor = 0, txn.cursor()
            cursor.set_range(start)
            for key in cursor.iternext(values=False):
                if key >= stop:
                    break
                count += 1
            return count

        count = stage.sizes.many // 2
        yield Job(count, partial(txn.count, start, stop) if stage.ours else theirs)


# -- cursor ---------------------------------------------------------------------------


@CASES.case("cursor.next", 1.3)
def cursor_next(stage: Stage) -> Iterator[Timed]:
    count = stage.sizes.loops // 2
    with stage.large.begin() as txn, txn.cursor() as cursor:

        def run() -> None:
            for _ in repeat(None, count):
                cursor.next()

        yield Job(count, run, before=cursor.first)


@CASES.case("cursor.next and item")
def cursor_next_item(stage: Stage) -> Iterator[Timed]:
    count = stage.sizes.loops // 2
    with stage.large.begin() as txn, txn.cursor() as cursor:

        def run() -> None:
            for _ in repeat(None, count):
                cursor.next()
                cursor.item()

        yield Job(count, run, before=cursor.first)


def read_current(stage: Stage, part: str) -> Iterator[Timed]:
    count, (wanted,) = stage.sizes.loops, data.hot_key(stage.sizes)
    with stage.hot.begin() as txn, txn.cursor() as cursor:
        cursor.set_key(wanted)
        read = getattr(cursor, part)

        def run() -> None:
            for _ in repeat(None, count):
                read()

        yield Job(count, run)


@CASES.case("cursor.item", 1.3)
def cursor_item(stage: Stage) -> Iterator[Timed]:
    yield from read_current(stage, "item")


@CASES.case("cursor.key")
def cursor_key(stage: Stage) -> Iterator[Timed]:
    yield from read_current(stage, "key")


@CASES.case("cursor.value")
def cursor_value(stage: Stage) -> Iterator[Timed]:
    yield from read_current(stage, "value")


@CASES.case("cursor.set_key", 1.3)
def cursor_set_key(stage: Stage) -> Iterator[Timed]:
    keys = data.hot_keys_shuffled(stage.sizes)
    with stage.hot.begin() as txn, txn.cursor() as cursor:

        def run() -> None:
            for each in keys:
                cursor.set_key(each)

        yield Job(len(keys), run, repeat=5)


@CASES.case("cursor.set_range", 1.3)
def cursor_set_range(stage: Stage) -> Iterator[Timed]:
    # One byte shorter than the keys there are, so that each is searched for and none is met.
    keys = [each[:-1] for each in data.hot_keys_shuffled(stage.sizes)]
    with stage.hot.begin() as txn, txn.cursor() as cursor:

        def run() -> None:
            for each in keys:
                cursor.set_range(each)

        yield Job(len(keys), run, repeat=5)


# -- many keys at once ----------------------------------------------------------------


def getmulti(stage: Stage, keys: list[bytes]) -> Iterator[Timed]:
    with stage.large.begin() as txn, txn.cursor() as cursor:
        yield Job(len(keys), lambda: cursor.getmulti(keys))


@CASES.case("getmulti, random keys", 2.0, Floor("getmulti", "large", data.random_keys, data.batch))
def getmulti_random(stage: Stage) -> Iterator[Timed]:
    yield from getmulti(stage, data.random_keys(stage.sizes))


@CASES.case("getmulti, sorted keys", 2.0, Floor("getmulti", "large", data.sorted_keys, data.batch))
def getmulti_sorted(stage: Stage) -> Iterator[Timed]:
    yield from getmulti(stage, data.sorted_keys(stage.sizes))


@CASES.case(
    "get_many beside getmulti", 2.0, Floor("getmulti", "large", data.random_keys, data.batch)
)
def get_many(stage: Stage) -> Iterator[Timed]:
    keys = data.random_keys(stage.sizes)
    if not stage.ours:
        yield from getmulti(stage, keys)
        return
    with stage.large.begin() as txn:
        yield Job(len(keys), lambda: txn.get_many(keys))


@CASES.case("get_many beside [txn.get(k) ...]")
def get_many_list(stage: Stage) -> Iterator[Timed]:
    keys = data.random_keys(stage.sizes)
    with stage.large.begin() as txn:
        if stage.ours:
            yield Job(len(keys), lambda: txn.get_many(keys))
        else:
            yield Job(len(keys), lambda: [txn.get(each) for each in keys])


@CASES.case("getmulti, duplicates")
def getmulti_dups(stage: Stage) -> Iterator[Timed]:
    env, keys = stage.named, data.dup_keys(stage.sizes)
    dups = env.open_db(b"dupsort")
    with env.begin() as txn, txn.cursor(dups) as cursor:
        yield Job(data.dup_records(stage.sizes), lambda: cursor.getmulti(keys, dupdata=True))


FIXED = Floor(
    "getmulti_fixed", "named", data.dup_keys, data.dup_records, at_most=1.5, db="dupfixed"
)


@CASES.case("getmulti, fixed size, one buffer", 1.7, FIXED)
def getmulti_fixed(stage: Stage) -> Iterator[Timed]:
    env, keys = stage.named, data.dup_keys(stage.sizes)
    dups = env.open_db(b"dupfixed")
    with env.begin() as txn, txn.cursor(dups) as cursor:

        def run() -> Any:
            return cursor.getmulti(keys, dupdata=True, dupfixed_bytes=8, keyfixed=True)

        yield Job(data.dup_records(stage.sizes), run)


# -- statistics of environments and transactions ---------------------------------------


@CASES.case("env.info", 1.0)
def env_info(stage: Stage) -> Iterator[Timed]:
    env, count = stage.hot, stage.sizes.loops

    def run() -> None:
        for _ in repeat(None, count):
            env.info()

    yield Job(count, run)


@CASES.case("env.stat", 1.0)
def env_stat(stage: Stage) -> Iterator[Timed]:
    env, count = stage.hot, stage.sizes.loops

    def run() -> None:
        for _ in repeat(None, count):
            env.stat()

    yield Job(count, run)


@CASES.case("txn.id", 0.9)
def txn_id(stage: Stage) -> Iterator[Timed]:
    count = stage.sizes.loops
    with stage.hot.begin() as txn:

        def run() -> None:
            for _ in repeat(None, count):
                txn.id()

        yield Job(count, run)


@CASES.case("txn.stat", 1.0)
def txn_stat(stage: Stage) -> Iterator[Timed]:
    env, count = stage.hot, stage.sizes.loops
    main = env.open_db(None)
    with env.begin() as txn:

        def run() -> None:
            for _ in repeat(None, count):
                txn.stat(main)

        yield Job(count, run)
