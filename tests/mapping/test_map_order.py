# SPDX-License-Identifier: MIT
"""Map: the options of ranges, single records next to a key, has_many(), and ``|``."""

import itertools

import pytest

import pylmdb

PAIRS = [(f"{i:03}", i) for i in range(600)]


@pytest.fixture
def m(env):
    """Return a Map of str and JSON with 600 records."""
    made = pylmdb.Map(env, "m", key="str", value="json")
    made.update(PAIRS)
    return made


@pytest.fixture(params=[False, True], ids=["outside", "inside"])
def inside(request, m):
    """Whether the calls are inside of a write transaction."""
    if not request.param:
        yield False
        return
    with m.transaction():
        yield True


@pytest.mark.parametrize("reverse", [False, True])
def test_the_options_of_a_range(m, inside, reverse):
    bounds = [
        (None, None),
        ("100", "110"),
        ("1005", "1105"),
        ("110", "100"),
        ("", "zz"),
        ("5", None),
    ]
    numbers = itertools.product([0, 1, 5, 300], [None, 0, 1, 5, 300])
    for (start, stop), (offset, limit) in itertools.product(bounds, numbers):
        for below, above in itertools.product([False, True], repeat=2):
            inside_bounds = [
                pair
                for pair in PAIRS
                if start is None or pair[0] > start or (below and pair[0] == start)
                if stop is None or pair[0] < stop or (above and pair[0] == stop)
            ]
            found = m.range(
                start, stop, reverse, limit=limit, offset=offset,
                include_start=below, include_stop=above,
            )  # fmt: skip
            expected = inside_bounds[:: -1 if reverse else 1][offset:]
            assert [*found] == expected[:limit]


def test_the_options_of_a_prefix(m, inside):
    assert [key for key, _ in m.prefix("01", limit=3, offset=2)] == ["012", "013", "014"]
    assert [key for key, _ in m.prefix("01", True, limit=2)] == ["019", "018"]
    assert [*m.prefix("01", offset=10)] == []


def test_a_limit_holds_although_the_map_changes(m, env):
    found = m.range(limit=5, offset=2)
    assert next(found) == ("002", 2)
    del m["003"]
    assert next(found) == ("004", 4)
    m["0041"] = "new"
    assert [*found] == [("0041", "new"), ("005", 5), ("006", 6)]


def test_bounds_of_numbers_and_tuples(env):
    numbers = pylmdb.Map(env, "numbers", key="int")
    numbers.update((i, b"") for i in range(-5, 6))
    options = {"include_start": False, "include_stop": True}
    assert [key for key, _ in numbers.range(-2, 2, **options)] == [-1, 0, 1, 2]
    tuples = pylmdb.Map(env, "tuples", key="tuple")
    tuples.update({(1,): b"", (1, 2): b"", (2,): b""})
    assert [key for key, _ in tuples.range((1,), (2,), **options)] == [(1, 2), (2,)]


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_wrong_numbers_are_refused_at_once(m, name):
    for call in (m.range, lambda **options: m.prefix("0", **options)):
        with pytest.raises(ValueError, match=f"{name} must be at least 0, not -1"):
            call(**{name: -1})
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            call(**{name: "1"})


def test_single_records(m, inside):
    assert (m.first(), m.last()) == (PAIRS[0], PAIRS[-1])
    assert m.floor("100") == m.ceiling("100") == m.nearest("100") == ("100", 100)
    assert m.floor("1000") == ("100", 100)
    assert m.ceiling("1000") == m.nearest("1000") == ("101", 101)
    assert m.floor("") is m.ceiling("x") is None
    assert m.floor("x") == PAIRS[-1]
    assert m.ceiling("") == PAIRS[0]


def test_single_records_of_an_empty_map(env):
    m = pylmdb.Map(env, key="int", value="json")
    assert m.first() is m.last() is m.floor(1) is m.ceiling(1) is None


def test_a_record_that_the_codec_cannot_read_is_named(env):
    pylmdb.Map(env, "m").update({b"a": b"{", b"b": b"{"})
    m = pylmdb.Map(env, "m", key="str", value="json")
    for call in (m.first, m.last, lambda: m.floor("az"), lambda: m.ceiling("b"), lambda: m | {}):
        with pytest.raises(pylmdb.InvalidParameterError, match=r"the value of b'[ab]' in"):
            call()


def test_has_many(m, inside):
    assert m.has_many(["000", "x", "599", "", "000"]) == [True, False, True, False, True]
    assert m.has_many(f"{i}" for i in (100, 1000)) == [True, False]
    assert m.has_many([]) == []
    with pytest.raises(TypeError, match="key must be str"):
        m.has_many([b"000"])
    for key in "000", b"000":
        with pytest.raises(TypeError, match=f"keys, not {type(key).__name__}; for one key use"):
            m.has_many(key)


def test_or_is_that_of_a_dict(m, inside):
    small, other = dict(PAIRS), {"000": "other", "new": 1}
    assert m | other == small | other
    assert other | m == other | small
    assert type(m | other) is type(other | m) is type(m | m) is dict
    assert [*(m | other)] == [*(small | other)]
    assert [*(other | m)] == [*(other | small)]
    assert m | m == small
    assert (m == small, "new" in m) == (True, False), "the Map is not changed"


def test_update_by_an_operator(m, inside):
    same = m
    m |= {"000": "other"}
    m |= [("new", 1)]
    m |= iter([("newer", 2)])
    assert m is same
    assert (m["000"], m["new"], m["newer"], len(m)) == ("other", 1, 2, 602)
    plain = {"k": 1}
    plain |= m
    assert len(plain) == 603


@pytest.mark.parametrize("other", [3, None, [("a", 1)], "ab"])
def test_what_a_dict_refuses_is_refused(m, other):
    for operation in (lambda: m | other, lambda: other | m):
        with pytest.raises(TypeError, match="unsupported operand"):
            operation()


def test_a_union_is_of_one_snapshot(m, env):
    """Another commit while the records are decoded does not show."""

    def decode(value):
        if value == b"0":
            plain[b"599"] = b"changed"
        return value

    plain = pylmdb.Map(env, "m")
    reading = pylmdb.Map(env, "m", value=(bytes, decode))
    assert (reading | {})[b"599"] == b"599"
    assert plain[b"599"] == b"changed"
