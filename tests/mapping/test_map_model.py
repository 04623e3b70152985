# SPDX-License-Identifier: MIT
"""A Map compared with a sorted dict: any operations, in and out of nested transactions, with open
iterators during changes."""

import bisect
import shutil
import tempfile
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from open_options import by_hypothesis, deepest, of_a_new_file, of_an_open
from programs import RANDOM_FACTOR

import pylmdb

# few keys, so that operations often use the same ones; some sort next to all others
KEYS = {
    "str": st.text("ab\0ÿ", min_size=1, max_size=3),
    "int": st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1]),
    "tuple": st.lists(st.integers(-2, 2), max_size=2).map(tuple),
}
VALUES = st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2)
# large enough for several pages, and for several batches of an iteration
MANY = 60


class Machine(RuleBasedStateMachine):
    """``map`` must equal ``models[-1]``; the models below are its states after an abort."""

    lib_version, codec = 0, "str"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.models: list[dict[Any, Any]] = [{}]
        self.txns: list[Any] = []
        # each with the key of its last step, or None, and its direction
        self.iterators: list[list[Any]] = []

    @initialize(data=st.data())
    def open(self, data: Any) -> None:
        new_file = of_a_new_file(by_hypothesis(data), self.lib_version)
        options = of_an_open(by_hypothesis(data), new_file)
        self.deepest = deepest(options)
        self.map: Any = pylmdb.Map(f"{self.folder}/env", "m", self.codec, "json", **options)

    def teardown(self) -> None:
        for txn in reversed(self.txns):
            txn.abort()
        self.map.close()
        shutil.rmtree(self.folder)

    @property
    def model(self) -> dict[Any, Any]:
        return self.models[-1]

    def key(self, data: Any) -> Any:
        stored = sorted(self.model)
        some = [st.sampled_from(stored)] * 2 if stored else []
        return data.draw(st.one_of(KEYS[self.codec], *some), "key")

    @rule(data=st.data(), value=VALUES)
    def store(self, data: Any, value: Any) -> None:
        key = self.key(data)
        self.map[key] = self.model[key] = value

    @rule(data=st.data(), value=VALUES, way=st.sampled_from(["get", "pop", "setdefault"]))
    def with_default(self, data: Any, value: Any, way: str) -> None:
        key = self.key(data)
        assert getattr(self.map, way)(key, value) == getattr(self.model, way)(key, value)

    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        key = self.key(data)
        if key in self.model:
            del self.map[key], self.model[key]
        else:
            with pytest.raises(KeyError):
                del self.map[key]
            with pytest.raises(KeyError):
                self.map[key]
        assert key not in self.map

    @precondition(lambda self: self.model)
    @rule()
    def popitem(self) -> None:
        last = max(self.model)
        assert self.map.popitem() == (last, self.model.pop(last))

    @rule(
        data=st.data(),
        kind=st.sampled_from([dict, lambda d: [*d.items()], lambda d: iter(d.items())]),
    )
    def update(self, data: Any, kind: Any) -> None:
        new = data.draw(st.dictionaries(KEYS[self.codec], VALUES, max_size=8))
        self.map.update(kind(new))
        self.model.update(new)

    @precondition(lambda self: self.codec == "str")
    @rule(letter=st.sampled_from("ab"))
    def update_many(self, letter: str) -> None:
        new = {f"{letter}{i:02}": i for i in range(MANY)}
        self.map.update(new)
        self.model.update(new)

    @rule(really=st.integers(0, 3))
    def clear(self, really: int) -> None:
        if not really:
            self.map.clear()
            self.model.clear()

    @rule(data=st.data(), by_prefix=st.booleans())
    def delete_range(self, data: Any, by_prefix: bool) -> None:
        start, stop = self.key(data), self.key(data)
        if by_prefix and self.codec != "int":
            gone = [key for key in self.model if key[: len(start)] == start]
            assert self.map.delete_range(prefix=start) == len(gone)
        else:
            gone = [key for key in self.model if start <= key < stop]
            assert self.map.delete_range(start, stop) == len(gone)
        for key in gone:
            del self.model[key]

    @precondition(lambda self: len(self.txns) < self.deepest)
    @rule()
    def begin(self) -> None:
        self.txns.append(self.map.transaction())
        self.models.append(dict(self.model))

    @precondition(lambda self: self.txns)
    @rule(commit=st.booleans())
    def end(self, commit: bool) -> None:
        txn, model = self.txns.pop(), self.models.pop()
        if commit:
            txn.commit()
            self.models[-1] = model
        else:
            txn.abort()

    @rule(data=st.data(), reverse=st.booleans())
    def look_at_a_range(self, data: Any, reverse: bool) -> None:
        start, stop = self.key(data), self.key(data)
        inside = [(k, v) for k, v in sorted(self.model.items(), key=first) if start <= k < stop]
        expected = inside[::-1] if reverse else inside
        assert [*self.map.range(start, stop, reverse)] == expected
        assert self.map.count(start, stop) == len(expected)
        after = [(k, v) for k, v in sorted(self.model.items(), key=first) if k >= start]
        assert self.map.nearest(start) == (after[0] if after else None)
        if self.codec != "int":
            part = data.draw(st.integers(0, len(start)))
            with_prefix = [
                (k, v) for k, v in sorted(self.model.items(), key=first) if k[:part] == start[:part]
            ]
            assert [*self.map.prefix(start[:part])] == with_prefix
            assert self.map.count(prefix=start[:part]) == len(with_prefix)

    @precondition(lambda self: len(self.iterators) < 3)
    @rule(reverse=st.booleans())
    def iterate(self, reverse: bool) -> None:
        view = self.map.items()
        self.iterators.append([reversed(view) if reverse else iter(view), None, reverse])

    @precondition(lambda self: self.iterators)
    @rule(data=st.data(), steps=st.integers(1, 20))
    def step(self, data: Any, steps: int) -> None:
        """The next key is the neighbour of the last one in the current state."""
        standing = data.draw(st.sampled_from(self.iterators))
        iterator, key, reverse = standing
        for _ in range(steps):
            keys = sorted(self.model)
            if key is None:
                rest = keys[::-1] if reverse else keys
            elif reverse:
                rest = keys[: bisect.bisect_left(keys, key)][::-1]
            else:
                rest = keys[bisect.bisect_right(keys, key) :]
            item = next(iterator, None)
            if not rest:
                assert item is None
                self.iterators.remove(standing)
                return
            key = standing[1] = rest[0]
            assert item == (key, self.model[key])

    @invariant()
    def same(self) -> None:
        assert len(self.map) == len(self.model)
        expected = sorted(self.model.items(), key=first)
        assert [*self.map.items()] == expected
        assert [*reversed(self.map)] == [key for key, _ in expected][::-1]
        assert self.map.first() == (expected[0] if expected else None)
        assert self.map.last() == (expected[-1] if expected else None)


def first(item: tuple[Any, Any]) -> Any:
    return item[0]


@pytest.mark.parametrize("codec", KEYS)
def test_a_map_is_a_sorted_dict(lib_version: int, codec: str) -> None:
    machine = type("Machine", (Machine,), {"lib_version": lib_version, "codec": codec})
    profile = settings(max_examples=12 * RANDOM_FACTOR, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(machine, settings=profile)
