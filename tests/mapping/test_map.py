# SPDX-License-Identifier: MIT
"""Map: the operations of a dict, in the order of the keys; transactions, changes during
iteration, threads."""

import collections.abc
import contextlib
import decimal
import gc
import subprocess
import sys
import threading

import pytest
from programs import PATIENCE

import pylmdb


class UndoError(Exception):
    """Raised by a block that is to be undone."""


@pytest.fixture
def m(env):
    """Return an empty Map of str and JSON."""
    return pylmdb.Map(env, "m", key="str", value="json")


@pytest.fixture
def full(m):
    """Return the same Map with 1000 records."""
    m.update({f"{i:04}": i for i in range(1000)})
    return m


# -- as a dict ---------------------------------------------------------------------------


def test_one_record(m):
    assert isinstance(m, collections.abc.MutableMapping)
    m["k"] = 1
    m["k"] = [2]
    assert m["k"] == m.get("k") == m.get("k", 3) == m.setdefault("k", 3) == [2]
    assert "k" in m
    assert len(m) == 1
    assert m
    del m["k"]
    assert "k" not in m
    assert not m
    assert m.get("k") is None
    assert m.get("k", 3) == 3
    assert m.setdefault("k", 4) == 4
    assert m.pop("k") == 4
    assert m.pop("k", None) is None
    assert m.pop("k", 5) == 5


@pytest.mark.parametrize("inside", [False, True])
def test_a_missing_key_is_named(m, inside):
    def check():
        for operation in (m.__getitem__, m.__delitem__, m.pop):
            with pytest.raises(KeyError) as raised:
                operation("k")
            assert raised.value.args == ("k",)
        with pytest.raises(KeyError, match="empty"):
            m.popitem()

    if inside:
        with m.transaction():
            check()
            m["other"] = 1
        assert m["other"] == 1
    else:
        check()


def test_the_size_of_a_key(env):
    m = pylmdb.Map(env)
    longest = env.max_key_size()
    m[b"x" * longest] = b"v"
    assert m[b"x" * longest] == b"v"
    for key in (b"", b"x" * (longest + 1), b"x" * 10_000):
        with pytest.raises(pylmdb.BadValsizeError):
            m[key] = b""
        assert key not in m
        assert m.get(key) is None
        for operation in (m.__getitem__, m.__delitem__, m.pop):
            with pytest.raises(KeyError):
                operation(key)
    assert [*m] == [*reversed(m)] == [b"x" * longest], "no step stumbles over the longest key"
    assert [*m.range(b"")] == [*m.prefix(b"")] == [*m.range(None, b"y" * 10_000, reverse=True)]
    assert [*m.range(None, b"")] == []


def test_update_takes_what_a_dict_takes(m):
    class Keyed:
        def keys(self):
            return ["k"]

        def __getitem__(self, key):
            return key * 2

    m.update({"a": 1}, b=2)
    m.update([("c", 3), ["d", 4]])
    m.update(iter([("e", 5)]), self=6, other=7)
    m.update(Keyed())
    m.update(z=0)
    m.update()
    expected = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "self": 6, "other": 7, "k": "kk", "z": 0}
    assert m == expected
    assert dict(m) == expected
    assert m != {}
    for wrong in (5, [1], [("a", 1, 2)]):
        with pytest.raises((TypeError, ValueError)):
            m.update(wrong)


@pytest.mark.parametrize("kind", [list, dict, iter])
def test_update_is_all_or_nothing(m, kind):
    pairs = [(f"{i:05}", i) for i in range(3000)]
    with pytest.raises(TypeError):
        m.update(kind([*pairs, ("z", {1j})]))
    assert len(m) == 0
    before = m.env.info().last_txnid
    m.update(kind(pairs))
    assert list(m.items()) == pairs
    assert m.env.info().last_txnid == before + 1


def test_update_reads_what_it_writes(m, env):
    m.update((word, m.get(word, 0) + 1) for word in ["a", "b", "a", "c", "a"])
    assert m == {"a": 3, "b": 1, "c": 1}
    m.update((key, value + 1) for key, value in m.items())
    assert m == {"a": 4, "b": 2, "c": 2}
    other = pylmdb.Map(env, "other", key="str", value="json")
    other.update(m)
    other.update(other)
    assert other == m


def test_views(full):
    m = full
    keys = [f"{i:04}" for i in range(1000)]
    assert [*m] == [*m.keys()] == keys
    assert [*m.values()] == [*range(1000)]
    assert [*m.items()] == [*zip(keys, range(1000), strict=True)]
    for view in (m, m.keys(), m.values(), m.items()):
        assert [*reversed(view)] == [*view][::-1]
        assert len(view) == 1000
    assert m.keys() & {"0003", "x"} == {"0003"}
    assert ("0003", 3) in m.items()
    assert ("0003", 4) not in m.items()
    assert 999 in m.values()
    assert 1000 not in m.values()
    assert {*keys} == m.keys()
    assert m.items() >= {("0001", 1)}


def test_order(full):
    m = full
    assert m.first() == ("0000", 0)
    assert m.last() == ("0999", 999)
    assert m.nearest("0500") == ("0500", 500)
    assert m.nearest("0500x") == ("0501", 501)
    assert m.nearest("x") is None
    values = [*range(1000)]
    for start, stop, part in [
        ("0100", "0300", slice(100, 300)), (None, "0300", slice(300)),
        ("0100", None, slice(100, None)),
        ("", "", slice(0)), ("0100", "0100x", slice(100, 101)), ("0300", "0100", slice(0)),
        ("", "z", slice(None)), ("z", None, slice(0)),
    ]:  # fmt: skip
        assert [value for _, value in m.range(start, stop)] == values[part]
        assert [value for _, value in m.range(start, stop, reverse=True)] == values[part][::-1]
        assert m.count(start, stop) == len(values[part])
    assert m.count() == len(m) == 1000
    assert m.count(prefix="05") == 100
    assert [value for _, value in m.prefix("05")] == values[500:600]
    assert [value for _, value in m.prefix("05", reverse=True)] == values[500:600][::-1]
    assert m.popitem() == ("0999", 999)
    assert len(m) == 999
    m.clear()
    assert [*m] == []
    assert m.first() is m.last() is m.nearest("") is None


def test_delete_range(full):
    m = full
    assert m.delete_range("0100", "0300") == 200
    with m.transaction():
        assert m.delete_range(prefix="00") == 100
        assert m.delete_range("0990") == 10
        assert m.count() == 690
    assert [*m] == [f"{number:04}" for number in range(300, 990)]
    with pytest.raises(TypeError, match=r"clear\(\)"):
        m.delete_range()
    with pytest.raises(TypeError, match="not both"):
        m.delete_range("0", prefix="0")
    assert m.delete_range("") == 690


def test_delete_range_leaves_named_databases(env):
    m = pylmdb.Map(env)
    m.update({b"a": b"1", b"z": b"2"})
    env.open_db(b"named")
    with pytest.raises(pylmdb.IncompatibleError):
        m.delete_range(b"b")
    assert m.delete_range(b"o") == 1
    assert [key.rstrip(b"\0") for key in m] == [b"a", b"named"]


def test_prefixes_of_bytes_and_tuples(env):
    m = pylmdb.Map(env, "b")
    m.update(dict.fromkeys([b"\xfe", b"\xff", b"\xff\xff", b"\xff\xffa"], b""))
    assert [key for key, _ in m.prefix(b"\xff\xff")] == [b"\xff\xff", b"\xff\xffa"]
    t = pylmdb.Map(env, "t", key="tuple")
    keys = [(), ("a",), ("a", 1), ("a", 1, 2), ("a", 2), ("a\0",), ("ab", 1)]
    t.update(dict.fromkeys(reversed(keys), b""))
    assert [*t] == keys
    assert [key for key, _ in t.prefix(("a",))] == keys[1:5]
    assert [key for key, _ in t.prefix(("a", 1))] == keys[2:4]
    assert [key for key, _ in t.prefix(())] == keys
    for codec in ("int", "uint"):
        with pytest.raises(TypeError, match="no prefixes"):
            pylmdb.Map(env, codec, key=codec).prefix(1)


def test_large_values_are_not_read_ahead(env, monkeypatch):
    m = pylmdb.Map(env, "m", key="int")
    m.update((i, b"%d" % i * 50_000) for i in range(100))
    sizes = []
    original = pylmdb.mapping.iteration._take_limited

    def spy(records):
        ahead = original(records)
        sizes.append(sum(len(value) for _, value in ahead))
        return ahead

    monkeypatch.setattr(pylmdb.mapping.iteration, "_take_limited", spy)
    assert [key for key, _ in m.items()] == [*range(100)]
    assert max(sizes) < 300_000


# -- which snapshot is read -----------------------------------------------------------------


def another_process_writes(path, source):
    program = (
        f"import pylmdb\nwith pylmdb.Map({path!r}, 'm', key='str', value='json') as m: {source}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_reads_never_return_old_values(m, env, env_path):
    m["k"] = 1
    assert m["k"] == 1
    with env.begin(write=True, db=m.db) as txn:
        txn.put(b"k", b"2")
    assert m["k"] == 2
    another_process_writes(env_path, "m['k'] = 3")
    assert (m["k"], [*m.values()]) == (3, [3])
    assert all(reader.txnid is None for reader in env.reader_list()), "no snapshot is held"


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_changes_during_iteration_show(full, inside, reverse):
    """Each key is deleted when it is reached; later keys are deleted or added."""
    m, seen, step = full, [], -1 if reverse else 1
    with m.transaction() if inside else contextlib.nullcontext():
        for key in reversed(m) if reverse else m:
            seen.append(key)
            number = int(key[:4])
            assert m.pop(key) == number
            if number % 10 == 5:
                m.pop(f"{number + step:04}", None)
            if number % 10 == 2 and len(key) == 4:
                m[f"{number - reverse:04}x"] = number - reverse
    assert not m
    expected = [f"{i:04}" for i in range(1000) if i % 10 != 5 + step]
    new = [f"{i - reverse:04}x" for i in range(1000) if i % 10 == 2]
    assert seen == sorted(expected + new, reverse=reverse)


@pytest.mark.parametrize("change", ["own", "txn", "nested", "process"])
def test_the_next_step_sees_the_change(full, env, env_path, change):
    m = full
    items = iter(m.items())
    assert [next(items)[1] for _ in range(10)] == [*range(10)]
    if change == "own":
        m["0010"] = "new"
        del m["0011"]
    elif change == "txn":
        with env.begin(write=True) as txn:
            txn.put(b"0010", b'"new"', db=m.db)
            txn.delete(b"0011", db=m.db)
    elif change == "nested":
        with m.transaction():
            with m.transaction():
                m["0010"] = "new"
            assert next(items) == ("0010", "new")
            assert next(items) == ("0011", 11)
            with m.transaction() as inner:
                m["0012"] = "undone"
                assert next(items) == ("0012", "undone")
                m["0013"] = "undone"
                inner.abort()
            assert next(items) == ("0013", 13)
        m["0014"] = "later"
        assert next(items) == ("0014", "later")
        return
    else:
        another_process_writes(env_path, "m.update({'0010': 'new'}); del m['0011']")
    assert next(items) == ("0010", "new")
    assert next(items) == ("0012", 12)


def test_nothing_is_skipped_and_nothing_comes_twice(full):
    m, seen = full, []
    for i, key in enumerate(m.keys()):
        seen.append(key)
        if i % 3 == 0:
            m[key] = -1
        if i % 7 == 0:
            del m[key]
    assert seen == [f"{i:04}" for i in range(1000)]
    assert len(m) == 1000 - 143


def test_an_iterator_does_not_hold_a_transaction(full):
    iterator = iter(full.items())
    next(iterator)
    assert all(reader.txnid is None for reader in full.env.reader_list())
    txn = full.transaction()
    next(iterator)
    del txn
    gc.collect()
    with full.env.begin(write=True, timeout=1):
        pass
    full.close()
    with pytest.raises(pylmdb.ClosedError):
        next(iterator)


# -- transactions ------------------------------------------------------------------------------


def test_a_block_is_one_commit(m, env):
    before = env.info().last_txnid
    with m.transaction():
        for i in range(20):
            m[f"{i:02}"] = i
        assert m["05"] == 5
        assert m.pop("05") == 5
        assert m.popitem() == ("19", 19)
        assert m.setdefault("05", 6) == 6
        assert [*m][:2] == ["00", "01"]
        assert len(m) == 19
        assert "05" in m
        assert m.last() == ("18", 18)
    assert env.info().last_txnid == before + 1
    assert len(m) == 19


def test_an_exception_undoes_the_block(m):
    m["k"] = 1
    with contextlib.suppress(UndoError), m.transaction():
        m["k"] = 2
        m.clear()
        raise UndoError
    assert m == {"k": 1}


def test_blocks_nest(m):
    with m.transaction():
        m["outer"] = 1
        with contextlib.suppress(UndoError), m.transaction():
            m["inner"] = 1
            raise UndoError
        assert m == {"outer": 1}
        with m.transaction():
            m["inner"] = 2
    assert m == {"outer": 1, "inner": 2}


def test_a_block_is_for_all_maps_of_the_environment(m, env):
    other = pylmdb.Map(env, "other")
    with contextlib.suppress(UndoError), m.transaction():
        m["a"], other[b"a"] = 1, b"1"
        raise UndoError
    assert len(m) == len(other) == 0
    for buffers in (False, True):
        with env.begin(write=True, buffers=buffers):
            m["a"], other[b"a"] = 1, b"1"
            assert (m["a"], other[b"a"]) == (1, b"1")
            assert [*other.items(), *other.range(reverse=True)] == [(b"a", b"1")] * 2
            assert [*other] == [b"a"]
            assert other.first() == other.popitem() == (b"a", b"1")
            assert other.setdefault(b"b", b"2") == other.setdefault(b"b", b"3") == b"2"
            assert type(other.pop(b"b")) is bytes
    assert (len(m), len(other)) == (1, 0)


def test_other_threads_read_the_last_commit_and_wait_to_write(m):
    m["k"] = 1
    results = []

    def other():
        results.append((m["k"], [*m.values()], len(m)))
        written.set()
        m["k"] += 10

    written = threading.Event()
    thread = threading.Thread(target=other)
    with m.transaction():
        m["k"] = 2
        m["l"] = 3
        thread.start()
        assert written.wait(PATIENCE)
        with pytest.raises(pylmdb.BusyError):
            m.env.begin(write=True)
        thread.join(0.05)
        assert thread.is_alive()
    thread.join()
    assert results == [(1, [1], 1)]
    assert m == {"k": 11, "l": 3} or m["k"] == 12


def test_many_threads(m):
    def work(number):
        for i in range(30):
            with m.transaction():
                m["sum"] = m.get("sum", 0) + 1
            m[f"{number}-{i}"] = i
            assert m[f"{number}-{i}"] == i
            assert sum(1 for _ in m.prefix(f"{number}-")) == i + 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert m["sum"] == 120
    assert len(m) == 121


def test_waiting_has_a_limit(m):
    with m.transaction():
        errors = []

        def wait():
            try:
                m.transaction(timeout=0.05)
            except pylmdb.LockTimeoutError as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert errors


def test_setdefault_keeps_what_came_in_between(m, monkeypatch):
    m["k"] = 1
    with monkeypatch.context() as patch:
        patch.setattr(m, "_lookup", lambda key: None)
        assert m.setdefault("k", 2) == 1
    assert m["k"] == 1


# -- increment ---------------------------------------------------------------------------


def test_increment_adds_and_returns_the_sum(m):
    assert [m.increment("k") for _ in range(3)] == [1, 2, 3]
    assert m.increment("k", 10) == 13
    assert m.increment("k", -20) == -7
    assert m.increment("x", 0.5) == 0.5
    assert m == {"k": -7, "x": 0.5}


def test_increment_is_part_of_a_transaction(m):
    with contextlib.suppress(UndoError), m.transaction():
        m["k"] = 5
        assert m.increment("k") == 6
        raise UndoError
    assert m.increment("k") == 1


def test_increment_of_what_is_no_number_changes_nothing(m):
    m.update(text="1", list=[1], true=True, none=None)
    before = dict(m)
    for key in before:
        with pytest.raises(TypeError, match=f"increment: the value of '{key}' must be a number"):
            m.increment(key)
    with pytest.raises(TypeError, match="increment: by must be a number, not str"):
        m.increment("new", "1")
    assert m == before


def test_increment_with_other_codecs(env):
    dec = pylmdb.Map(
        env, "d", value=(lambda v: str(v).encode(), lambda b: decimal.Decimal(b.decode()))
    )
    assert dec.increment(b"k", decimal.Decimal("0.1")) == decimal.Decimal("0.1")
    assert dec.increment(b"k", decimal.Decimal("0.2")) == decimal.Decimal("0.3")
    with pytest.raises(
        TypeError, match="value must be bytes, not int; for this Map, use value='js"
    ):
        pylmdb.Map(env, "b").increment(b"k")
    with pytest.raises(pylmdb.ReadonlyError):
        pylmdb.Map(env, "d", flag="r").increment(b"k")


@pytest.mark.parametrize(
    ("role", "other", "hint"),
    [
        ("key", "k", "use key='str'"),
        ("key", 1, "use key='int'"),
        ("key", (1, "k"), "use key='tuple'"),
        ("key", 1.5, "key= chooses another type"),
        ("value", "v", "use value='str'"),
        ("value", {"v": 1}, "use value='json'"),
        ("value", {1}, "value= chooses another type"),
    ],
)
def test_a_map_of_bytes_names_the_codec(env, role, other, hint):
    key, value = (other, b"v") if role == "key" else (b"k", other)
    text = f"{role} must be bytes, not {type(other).__name__}; for this Map, {hint}"
    with pytest.raises(TypeError, match=f"^{text}$"):
        pylmdb.Map(env, "b")[key] = value


def test_increment_in_threads(m):
    threads = [
        threading.Thread(target=lambda: [m.increment("k") for _ in range(20)]) for _ in "123"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert m["k"] == 60
