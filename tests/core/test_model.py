# SPDX-License-Identifier: MIT
"""pylmdb compared with a model: hypothesis runs the same steps on both.

The model of a database (``model.py``) is a sorted list of records, (key, value) pairs;
that of a cursor is the record that it is on.

Each run draws a fresh seed and prints it; PYLMDB_MODEL_SEED repeats one.  PYLMDB_MODEL=n
multiplies the examples.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import KINDS, UNKNOWN, Level, Place, Record, Snapshot, Table
from open_options import by_hypothesis, deepest, of_a_new_file, of_an_open
from programs import RANDOM_FACTOR

import pylmdb

STEPS = [f"{way}{part}" for way in ("next", "prev") for part in ("", "_nodup", "_dup")]
STEPS += ["first_dup", "last_dup"]
WRITES = ["put", "delete", "delete_all", "pop", "replace"]
NAMES = st.sampled_from(sorted(KINDS))
SLOTS = st.integers(0, 3)


class Environments(RuleBasedStateMachine):
    """Steps on one environment and on its model."""

    lib_version = 0

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = tempfile.mkdtemp(prefix="pylmdb-model-", dir=memory)
        self.committed: dict[bytes, Table] = {}
        self.levels: list[Level] = []
        self.snapshots: list[Snapshot] = []
        self.views: list[tuple[memoryview, bytes]] = []
        self.handles: dict[bytes, Any] = {}
        self.new_file, self.way = dict[str, Any](), dict[str, Any]()

    def open(self, data: Any) -> None:
        if not self.views:  # which keep the files open in the same way
            self.way = of_an_open(by_hypothesis(data), self.new_file)
        self.env = pylmdb.open(f"{self.folder}/env", max_dbs=16, **self.way)

    def teardown(self) -> None:
        self.check_views()
        while self.levels:
            self.levels.pop().txn.abort()
        self.compare_all(self.env, self.committed)
        self.env.close()
        self.check_views()
        shutil.rmtree(self.folder)

    # -- the whole contents ------------------------------------------------------------

    def compare_all(self, env: Any, tables: dict[bytes, Table]) -> None:
        assert env.dbs() == sorted(tables)
        for name, table in tables.items():
            handle = env.open_db(name, create=False)
            with env.begin() as txn:
                self.compare(txn, handle, table)

    def compare(self, txn: Any, handle: Any, table: Table) -> None:
        assert list(txn.cursor(handle)) == table.records
        assert list(txn.cursor(handle).iterprev()) == table.records[::-1]
        assert txn.stat(handle)["entries"] == len(table.records)

    def check_views(self) -> None:
        for view, expected in self.views:
            assert view == expected
            assert view.readonly

    # -- transactions -----------------------------------------------------------------------

    @property
    def level(self) -> Level:
        """Return the innermost write transaction, begun if there is none."""
        if not self.levels:
            self.begin(buffers=False)
        return self.levels[-1]

    @precondition(lambda self: len(self.levels) < deepest(self.way))
    @rule(buffers=st.booleans())
    def begin(self, buffers: bool) -> None:
        parent = self.level if self.levels else None
        tables = parent.tables if parent else self.committed
        txn = self.env.begin(parent=parent.txn if parent else None, write=True, buffers=buffers)
        handles = parent.handles if parent else self.handles
        copied = {name: table.copy() for name, table in tables.items()}
        self.levels.append(Level(txn, copied, dict(handles)))

    @precondition(lambda self: self.levels)
    @rule()
    def commit(self) -> None:
        done = self.levels.pop()
        done.txn.commit()
        if self.levels:
            # The parent's cursors are now on records that the child may have changed.
            self.level.tables, self.level.handles = done.tables, done.handles
            self.forget_places()
        else:
            self.committed, self.handles = done.tables, done.handles

    @precondition(lambda self: len(self.levels) > 1)
    @rule()
    def abort(self) -> None:
        done = self.levels.pop()
        done.txn.abort()
        if self.levels:
            self.forget_places()
        # A handle of a database that a child has dropped stays dead.
        outer = self.level.handles if self.levels else self.handles
        for name in [name for name, handle in outer.items() if handle.closed]:
            del outer[name]

    @precondition(lambda self: len(self.levels) == 1)
    @rule(data=st.data())
    def reopen(self, data: Any) -> None:
        self.levels.pop().txn.abort()
        self.env.close()
        self.snapshots.clear()
        self.handles.clear()
        self.open(data)
        self.compare_all(self.env, self.committed)

    # -- snapshots ---------------------------------------------------------------------------

    @precondition(lambda self: len(self.snapshots) < 4)
    @rule(buffers=st.booleans())
    def snapshot(self, buffers: bool) -> None:
        tables = {name: table.copy() for name, table in self.committed.items()}
        txn = self.env.begin(buffers=buffers)
        self.snapshots.append(Snapshot(txn, tables, list(self.handles.values())))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data(), keep=st.booleans())
    def read_snapshot(self, data: Any, keep: bool) -> None:
        snapshot = data.draw(st.sampled_from(self.snapshots), "snapshot")
        for name, table in snapshot.tables.items():
            handle = self.handles.get(name)
            if handle is None or handle.closed or not table.records:
                continue
            key = data.draw(st.sampled_from(table.records), "record")[0]
            try:
                found = snapshot.txn.get(key, db=handle)
            except pylmdb.InvalidParameterError:
                assert handle not in snapshot.handles
                continue
            assert found == table.first_of(key)[1]  # type: ignore[index]
            if isinstance(found, memoryview):
                self.views.append((found, bytes(found)))
            assert list(snapshot.txn.cursor(handle)) == table.records
        if not keep:
            self.snapshots.remove(snapshot)
            snapshot.txn.abort()
            self.check_views()

    @precondition(lambda self: len(self.levels) == 1 and len(self.snapshots) < 4)
    @rule(name=NAMES, data=st.data(), times=st.integers(2, 5))
    def commit_often(self, name: bytes, data: Any, times: int) -> None:
        """Transactions that use pages again, but not those of an older snapshot."""
        self.commit()
        self.snapshot(buffers=True)
        for _ in range(times):
            self.begin(buffers=False)
            self.remove(name, data, "all")
            self.fill(name, data, 20)
            self.commit()
        self.begin(buffers=False)
        self.read_snapshot(data, keep=True)

    @rule()
    def look_at_views(self) -> None:
        self.check_views()

    # -- databases ----------------------------------------------------------------------------

    def table(self, name: bytes) -> tuple[Any, Table]:
        """Return the handle and the model of a database, which is created if it does not exist."""
        level = self.level
        if name not in level.handles:
            level.handles[name] = self.env.open_db(name, txn=level.txn, **KINDS[name].flags)
            level.tables.setdefault(name, Table(KINDS[name]))
        return level.handles[name], level.tables[name]

    @rule(name=NAMES, delete=st.booleans())
    def drop(self, name: bytes, delete: bool) -> None:
        handle, table = self.table(name)
        self.level.txn.drop(handle, delete)
        table.records.clear()
        for number, place in list(self.level.places.items()):
            if place.name == name:
                # its record may be put again before the next check
                place.at = UNKNOWN if place.at else None
                if delete:
                    del self.level.places[number]
        if delete:
            for handles in [self.handles, *(level.handles for level in self.levels)]:
                handles.pop(name, None)
            del self.level.tables[name]

    @rule()
    def names(self) -> None:
        assert [bytes(name) for name in self.env.dbs(self.level.txn)] == sorted(self.level.tables)

    # -- records, through the transaction ------------------------------------------------------

    def changed(self, name: bytes, gone: list[Record], by: Place | None = None) -> None:
        """Note that other cursors on removed records may be on any record now."""
        for place in self.level.places.values():
            if place is not by and place.name == name and place.at in gone:
                place.at = UNKNOWN

    def forget_places(self) -> None:
        for number, place in list(self.level.places.items()):
            place.at = UNKNOWN
            if place.cursor.closed:
                del self.level.places[number]

    def put_in_model(
        self, name: bytes, key: bytes, value: bytes, by: Place | None = None, **flags: bool
    ) -> bool:
        table = self.level.tables[name]
        old = [] if table.kind.dupsort else table.of_key(key)
        result = table.put(key, value, **flags)
        for place in self.level.places.values():
            if place is not by and place.name == name and place.at in old:
                place.at = table.first_of(key)
        return result

    @rule(name=NAMES, data=st.data(), dupdata=st.booleans(), overwrite=st.booleans())
    def put(self, name: bytes, data: Any, dupdata: bool, overwrite: bool) -> None:
        handle, table = self.table(name)
        key, value = data.draw(table.kind.keys, "key"), data.draw(table.kind.values, "value")
        flags = {"dupdata": dupdata, "overwrite": overwrite}
        found = self.level.txn.put(key, value, db=handle, **flags)
        assert found == self.put_in_model(name, key, value, **flags)

    @rule(name=NAMES, data=st.data(), size=st.sampled_from([2, 20, 150]))
    def fill(self, name: bytes, data: Any, size: int) -> None:
        """Many records at once, so that trees have several pages."""
        handle, table = self.table(name)
        key, value = data.draw(table.kind.keys, "key"), data.draw(table.kind.values, "value")
        if table.kind.dupsort and data.draw(st.booleans(), "one key"):
            items = [(key, self.vary(value, n)) for n in range(size)]
        else:
            items = [(self.vary(key, n), value) for n in range(size)]
        taken, added = self.level.txn.cursor(handle).putmulti(items)
        assert (taken, added) == (size, sum(self.put_in_model(name, *item) for item in items))

    @staticmethod
    def vary(data: bytes, number: int) -> bytes:
        """Another key or value of the same size, or of any size where sizes are free."""
        if len(data) in (3, 8):
            return (int.from_bytes(data, "little") ^ (number << 4)).to_bytes(len(data), "little")
        return data + b"%03d" % number

    @rule(name=NAMES, data=st.data())
    def read(self, name: bytes, data: Any) -> None:
        handle, table = self.table(name)
        keys = data.draw(st.lists(self.some_key(table), max_size=5), "keys")
        firsts = [table.first_of(key) for key in keys]
        expected = [first and first[1] for first in firsts]
        assert [self.level.txn.get(key, db=handle) for key in keys] == expected
        assert self.level.txn.get_many(keys, db=handle) == expected
        assert self.level.txn.has_many(keys, handle) == [first is not None for first in firsts]
        cursor = self.level.txn.cursor(handle)
        assert cursor.getmulti(keys) == [first for first in firsts if first]
        if table.kind.dupsort:
            every = [record for key in keys for record in table.of_key(key)]
            assert cursor.getmulti(keys, dupdata=True) == every

    @staticmethod
    def some_key(table: Table) -> st.SearchStrategy[bytes]:
        """Return a key, mostly one that exists."""
        stored = [key for key, _ in table.records]
        if not stored:
            return table.kind.keys
        return st.one_of(*[st.sampled_from(stored)] * 4, table.kind.keys)

    @rule(name=NAMES, data=st.data(), how=st.sampled_from(["all", "one", "pop", "replace"]))
    def remove(self, name: bytes, data: Any, how: str) -> None:
        handle, table = self.table(name)
        txn, key = self.level.txn, data.draw(self.some_key(table), "key")
        gone = table.of_key(key)
        if how == "one":
            value = data.draw(table.kind.values, "value")
            if gone and data.draw(st.booleans(), "existing"):
                value = data.draw(st.sampled_from(gone))[1]
            gone = [each for each in gone if each[1] == value or not table.kind.dupsort]
            assert txn.delete(key, value, db=handle) == bool(gone)
        elif how == "all":
            assert txn.delete(key, db=handle) == bool(gone)
        elif how == "pop":
            gone = gone[:1]
            assert txn.pop(key, db=handle) == (gone[0][1] if gone else None)
        else:
            value = data.draw(table.kind.values, "value")
            assert txn.replace(key, value, db=handle) == (gone[0][1] if gone else None)
        table.remove(gone)
        self.changed(name, gone)
        if how == "replace":
            self.put_in_model(name, key, value)

    @rule(name=NAMES, data=st.data())
    def delete_range(self, name: bytes, data: Any) -> None:
        handle, table = self.table(name)
        start, stop = data.draw(self.some_key(table), "start"), data.draw(self.some_key(table))
        order = table.kind.key_order
        gone = [each for each in table.records if order(start) <= order(each[0]) < order(stop)]
        assert self.level.txn.count(start, stop, db=handle) == len(gone)
        if data.draw(st.booleans(), "to the end"):
            gone, stop = [each for each in table.records if order(each[0]) >= order(start)], None
        assert self.level.txn.delete_range(start, stop, db=handle) == len(gone)
        table.remove(gone)
        self.changed(name, gone)

    @rule(name=NAMES, data=st.data(), reverse=st.booleans())
    def range(self, name: bytes, data: Any, reverse: bool) -> None:
        handle, table = self.table(name)
        bounds = st.none() | self.some_key(table)
        start, stop = data.draw(bounds, "start"), data.draw(bounds, "stop")
        include_start, include_stop = data.draw(st.booleans()), data.draw(st.booleans())
        offset, limit = data.draw(st.sampled_from([0, 0, 1, 3])), data.draw(st.none() | st.just(4))
        order = table.kind.key_order
        expected = [
            each for each in table.records
            if (start is None or order(each[0]) > order(start)
                or (include_start and each[0] == start))
            and (stop is None or order(each[0]) < order(stop)
                 or (include_stop and each[0] == stop))
        ]  # fmt: skip
        found = self.level.txn.range(
            start, stop, reverse=reverse, limit=limit, offset=offset,
            include_start=include_start, include_stop=include_stop, db=handle,
        )  # fmt: skip
        assert list(found) == (expected[::-1] if reverse else expected)[offset:][:limit]
        self.check_nearest(handle, table, start)
        if not table.kind.flags.keys() & {"integerkey", "reverse_key"} and start:
            expected = [each for each in table.records if each[0].startswith(start)]
            assert list(self.level.txn.range(prefix=start, db=handle)) == expected
            assert self.level.txn.count(prefix=start, db=handle) == len(expected)

    def check_nearest(self, handle: Any, table: Table, key: bytes | None) -> None:
        txn, order, records = self.level.txn, table.kind.key_order, table.records
        assert txn.first(handle) == (records[0] if records else None)
        assert txn.last(handle) == (records[-1] if records else None)
        if key is not None:
            above = [each for each in records if order(each[0]) >= order(key)]
            below = [each for each in records if order(each[0]) <= order(key)]
            assert txn.ceiling(key, handle) == (above[0] if above else None)
            assert txn.floor(key, handle) == (below[-1] if below else None)

    # -- cursors ----------------------------------------------------------------------------------

    @rule(number=SLOTS, name=NAMES, data=st.data())
    def open_cursor(self, number: int, name: bytes, data: Any) -> None:
        self.level.places[number] = Place(self.level.txn.cursor(self.table(name)[0]), name)
        self.seek_with(self.level.places[number], data)

    def draw_place(self, data: Any) -> tuple[Place, Table]:
        if not self.level.places:
            self.open_cursor(0, data.draw(NAMES, "name"), data)
        place = self.level.places[data.draw(st.sampled_from(sorted(self.level.places)), "cursor")]
        self.look(place)
        return place, self.level.tables[place.name]

    def look(self, place: Place) -> None:
        """Assert that the cursor shows the right record."""
        found = tuple(bytes(part) for part in place.cursor.item())
        if place.at == UNKNOWN:
            place.at = found if found in self.level.tables[place.name].records else None
        assert found == (place.at or (b"", b""))
        assert (place.cursor.key(), place.cursor.value()) == found

    @initialize(name=NAMES, other=NAMES, data=st.data())
    def start(self, name: bytes, other: bytes, data: Any) -> None:
        """Begin with two databases with records, and a cursor in each."""
        self.new_file = of_a_new_file(by_hypothesis(data), self.lib_version)
        self.open(data)
        self.begin(data.draw(st.booleans(), "buffers"))
        for number, each in enumerate([name, other]):
            self.fill(each, data, data.draw(st.sampled_from([0, 2, 20, 150]), "size"))
            self.open_cursor(number, each, data)

    @rule(
        data=st.data(),
        ways=st.lists(st.sampled_from(STEPS + WRITES + ["seek"]), min_size=1, max_size=15),
    )
    def use_cursors(self, data: Any, ways: list[str]) -> None:
        """Several steps with the open cursors, each with any of them."""
        for way in ways:
            place, table = self.draw_place(data)
            if way == "seek" or (place.at is None and table.records):
                self.seek_with(place, data)
            elif way in STEPS:
                self.step(place, table, way)
            else:
                self.write(place, table, way, data)

    def seek_with(self, place: Place, data: Any) -> None:
        table, cursor = self.level.tables[place.name], place.cursor
        ways = ["first", "last", "set_key", "set_range", "get"]
        ways += ["set_key_dup", "set_range_dup"] if table.kind.dupsort else []
        way = data.draw(st.sampled_from(ways), "way")
        arguments: tuple[bytes, ...] = ()
        if way == "first":
            place.at = next(iter(table.records), None)
        elif way == "last":
            place.at = next(iter(table.records[::-1]), None)
        else:
            key = data.draw(self.some_key(table), "key")
            arguments, place.at = (key,), table.first_of(key)
        if way == "set_range":
            place.at = table.from_key(key)
        elif way.endswith("_dup"):
            stored = [value for _, value in table.of_key(key)]
            values = [table.kind.values, *([st.sampled_from(stored)] * 3 if stored else [])]
            value = data.draw(st.one_of(values), "value")
            arguments, found = (key, value), table.after_or_at((key, value))
            place.at = found if found and found[0] == key else None
            if way == "set_key_dup" and found != (key, value):
                place.at = None
        result = getattr(cursor, way)(*arguments)
        expected = place.at is not None
        assert result == (expected if way != "get" else place.at and place.at[1])
        self.look(place)

    def step(self, place: Place, table: Table, way: str) -> None:
        if place.at is None or (way.endswith("_dup") and not table.kind.dupsort):
            return
        records, here = table.records, table.place(place.at)
        same_key = table.of_key(place.at[0])
        first = table.place(same_key[0])
        target = {
            "next": here + 1, "prev": here - 1, "next_nodup": first + len(same_key),
            "prev_nodup": first - 1, "first_dup": first, "last_dup": first + len(same_key) - 1,
            "next_dup": here + 1 if place.at != same_key[-1] else -1,
            "prev_dup": here - 1 if place.at != same_key[0] else -1,
        }[way]  # fmt: skip
        place.at = records[target] if 0 <= target < len(records) else None
        assert getattr(place.cursor, way)() == (place.at is not None)
        self.look(place)
        if place.at and table.kind.dupsort:
            assert place.cursor.count() == len(table.of_key(place.at[0]))

    def write(self, place: Place, table: Table, way: str, data: Any) -> None:
        cursor, name = place.cursor, place.name
        if way.startswith("delete"):
            gone = [] if place.at is None else [place.at]
            if gone and way == "delete_all":
                gone = table.of_key(place.at[0])
            assert cursor.delete(dupdata=way == "delete_all") == table.remove(gone)
            place.at = table.after(gone[-1]) if gone else None
            left = table.of_key(gone[0][0]) if gone else []
            if left and place.at not in left:
                place.at = None  # after the values that are left of the key
        else:
            key, value = data.draw(self.some_key(table), "key"), data.draw(table.kind.values)
            gone = {"put": [], "pop": table.of_key(key)[:1], "replace": table.of_key(key)}[way]
            table.remove(gone)
            old = gone[0][1] if gone else None
            if way == "pop":
                assert cursor.pop(key) == old
                place.at = table.after(gone[0]) if gone else None
            else:
                result = getattr(cursor, way)(key, value)
                assert result == old if way == "replace" else result
                self.put_in_model(name, key, value, by=place)
                place.at = (key, value)
        self.changed(name, gone, by=place)
        self.look(place)

    # -- iteration with changes in between -------------------------------------------------------

    @rule(name=NAMES, data=st.data(), reverse=st.booleans())
    def iterate(self, name: bytes, data: Any, reverse: bool) -> None:
        """Each item is the neighbour of the one before, among the records at that time."""
        handle, table = self.table(name)
        cursor = self.level.txn.cursor(handle)
        neighbour = table.before if reverse else table.after
        expected = next(iter(table.records[::-1] if reverse else table.records), None)
        some = st.lists(st.sampled_from("..ddDtp"), min_size=2, max_size=25)
        changes = data.draw(some, "changes")
        iterator = cursor.iterprev() if reverse else cursor.iternext()
        for change in changes:
            item = next(iterator, None)
            assert item == expected
            if item is None:
                break
            item = (bytes(item[0]), bytes(item[1]))
            self.change_at(change, item, name, cursor, handle, data)
            expected = neighbour(item)
        assert next(iterator, None) == expected

    def change_at(
        self, change: str, item: Record, name: bytes, cursor: Any, handle: Any, data: Any
    ) -> None:
        """Delete the record or the key that an iterator has yielded, or change another record."""
        table, txn, gone = self.level.tables[name], self.level.txn, []
        if change == "d":
            assert cursor.delete()
            gone = [item]
        elif change == "D":
            gone = table.of_key(item[0])
            assert txn.delete(item[0], db=handle)
        elif change in "tp":
            key, value = data.draw(self.some_key(table), "key"), data.draw(table.kind.values)
            if change == "p":
                assert txn.put(key, value, db=handle) == self.put_in_model(name, key, value)
            else:
                gone = table.of_key(key)[:1]
                assert txn.pop(key, db=handle) == (gone[0][1] if gone else None)
        table.remove(gone)
        self.changed(name, gone)


class Environments10(Environments):
    lib_version = 1


@pytest.mark.parametrize("machine", [Environments, Environments10], ids=["0.9", "1.0"])
def test_model(machine: type[Environments]) -> None:
    number = int(os.environ.get("PYLMDB_MODEL_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PYLMDB_MODEL_SEED={number}")
    profile = settings(
        max_examples=40 * RANDOM_FACTOR, stateful_step_count=40, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(seed(number)(machine), settings=profile)
