# SPDX-License-Identifier: MIT
"""The environment of a Map: flags, closing, forks, pickles; and programs for shelve, dbm and
lmdbm, which run with Map."""

import os
import pickle
import shelve

import pytest
from programs import run

import pylmdb

# -- opening and closing -------------------------------------------------------------------------


@pytest.mark.parametrize("subdir", [True, False, None])
def test_flags(tmp_path, lib_version, subdir):
    path, options = tmp_path / "m", {"subdir": subdir, "lib_version": lib_version}
    for flag in "rw":
        with pytest.raises(pylmdb.PathNotFoundError):
            pylmdb.Map(path, flag=flag, **options)
    assert not path.exists()
    with pylmdb.Map(path, **options) as m:
        m[b"k"] = b"v"
        assert path.is_dir() == (subdir is not False)
    with pylmdb.Map(str(path), flag="r", **options) as m:
        assert m[b"k"] == b"v"
        m.sync()
        for change in (
            lambda: m.__setitem__(b"k", b""), lambda: m.__delitem__(b"k"), m.clear, m.popitem,
            m.transaction, m.update, lambda: m.pop(b"k"), lambda: m.setdefault(b"l", b""),
        ):  # fmt: skip
            with pytest.raises(pylmdb.ReadonlyError):
                change()
        assert m.setdefault(b"k", b"") == b"v"
    with pylmdb.Map(os.fsencode(path), flag="w", **options) as m:
        m[b"k"] = b"w"
    with pylmdb.Map(path, flag="c", **options) as m:
        assert m[b"k"] == b"w"
        m.env.open_db(b"named")
    with pylmdb.Map(path, flag="n", **options) as m:
        assert len(m) == 0
        assert m.env.dbs() == []


def test_an_empty_directory_holds_nothing(tmp_path):
    with pytest.raises(pylmdb.PathNotFoundError):
        pylmdb.Map(tmp_path, flag="w")
    assert not [*tmp_path.iterdir()]


def test_flags_on_an_open_environment(env):
    for flag in "rw":
        with pytest.raises(pylmdb.NotFoundError):
            pylmdb.Map(env, "m", flag=flag)
    pylmdb.Map(env, "m")[b"k"] = b"v"
    reader = pylmdb.Map(env, b"m", flag="r")
    assert reader[b"k"] == b"v"
    with pytest.raises(pylmdb.ReadonlyError):
        reader[b"k"] = b""
    with env.begin(write=True) as txn:
        txn.put(b"k", b"w", db=reader.db)
        assert reader[b"k"] == b"w"
    other = pylmdb.Map(env, "other")
    other[b"k"] = b"stays"
    assert len(pylmdb.Map(env, "m", flag="n")) == 0
    assert other[b"k"] == b"stays"


def test_the_main_database_keeps_the_named_ones(env):
    main = pylmdb.Map(env)
    main[b"a"] = b"1"
    main.clear()
    named = pylmdb.Map(env, "named")
    named[b"k"] = b"v"
    main[b"a"] = b"1"
    assert len(main) == 2, "a named database is a record of the main one"
    for attempt in (main.clear, lambda: pylmdb.Map(env, flag="n")):
        with pytest.raises(pylmdb.IncompatibleError, match="named databases"):
            attempt()
    assert main[b"a"] == b"1"
    assert named[b"k"] == b"v"


def test_a_map_of_a_renamed_database_says_so(env):
    m = pylmdb.Map(env, "old")
    m[b"k"] = b"v"
    env.rename_db(b"old", b"new")
    for use in (lambda: m[b"k"], lambda: m.update({b"k": b"w"}), lambda: len(m)):
        with pytest.raises(pylmdb.InvalidParameterError, match=r"renamed.*by its name.*a new Map"):
            use()
    assert pylmdb.Map(env, "new")[b"k"] == b"v"


def test_what_is_refused(env, tmp_path):
    env.open_db(b"dup", dupsort=True)
    with pytest.raises(pylmdb.IncompatibleError, match="dupsort"):
        pylmdb.Map(env, "dup")
    with pytest.raises(ValueError, match="'r', 'w', 'c' or 'n'"):
        pylmdb.Map(env, flag="x")
    with pytest.raises(TypeError, match=r"map_size cannot be given.*open"):
        pylmdb.Map(env, map_size=1 << 20)
    with pytest.raises(TypeError, match="no_such"):
        pylmdb.Map(tmp_path, no_such=1)
    with pylmdb.open(tmp_path) as other, pytest.raises(pylmdb.InvalidParameterError):
        pylmdb.Map(env, other.open_db(b"m"))


def test_closing(env, tmp_path):
    borrowed, own = pylmdb.Map(env, "m"), pylmdb.Map(tmp_path)
    own_env = own.env
    assert repr(borrowed) == f"<pylmdb.Map b'm' of {env.path()!r}, bytes to bytes>"
    assert repr(own) == f"<pylmdb.Map main of {own_env.path()!r}, bytes to bytes>"
    for m in (borrowed, own):
        assert not m.closed
        with m:
            m[b"k"] = b"v"
        m.close()
        assert m.closed
        assert "closed" in repr(m)
        for operation in (
            lambda m=m: m[b"k"], lambda m=m: len(m), m.first, m.clear, m.transaction, m.sync,
            lambda m=m: [*m], lambda m=m: m.__setitem__(b"k", b""), lambda m=m: pickle.dumps(m),
            lambda m=m: b"k" in m, lambda m=m: m.get(b"k"), lambda m=m: m.env.path(),
        ):  # fmt: skip
            with pytest.raises(pylmdb.ClosedError):
                operation()
    assert own_env.closed
    assert not env.closed
    again = pylmdb.Map(env, "m")
    assert again[b"k"] == b"v"
    env.close()
    assert again.closed
    with pytest.raises(pylmdb.ClosedError):
        _ = again[b"k"]


def test_a_map_that_cannot_be_made_closes_what_it_opened(tmp_path):
    pylmdb.open(tmp_path).open_db(b"dup", dupsort=True)
    with pytest.raises(pylmdb.IncompatibleError):
        pylmdb.Map(tmp_path, "dup")
    with pylmdb.open(tmp_path, writemap=True):
        pass  # would be refused if the environment were still open without writemap


# -- other processes -----------------------------------------------------------------------------


def encode_number(number):
    return b"%d" % number


@pytest.mark.parametrize("codecs", [("tuple", "json"), ((encode_number, int), "bytes")])
def test_pickling(env, codecs):
    m = pylmdb.Map(env, "m", *codecs)
    key, value = ((1,), [2]) if codecs[0] == "tuple" else (1, b"2")
    m[key] = value
    again = pickle.loads(pickle.dumps(m))
    assert again == m
    assert again.env is not env
    again[key] = value * 2
    assert m[key] == value * 2
    again.close()
    assert m[key] == value * 2
    reader = pylmdb.Map(env, "m", *codecs, flag="r")
    with pytest.raises(pylmdb.ReadonlyError):
        pickle.loads(pickle.dumps(reader)).clear()
    emptied = pickle.dumps(pylmdb.Map(env, "m", *codecs, flag="n"))
    m[key] = value
    assert len(pickle.loads(emptied)) == 1, "it is not emptied again"


def test_in_a_forked_child(env_path, lib_version):
    run(
        """
m = pylmdb.Map(path, "m", key="int", value="str", lib_version=lib_version)
m.update({i: str(i) for i in range(100)})
iterator = iter(m)
next(iterator)
with m.transaction():
    m[0] = "not committed"
    pid = os.fork()
    if not pid:
        assert m[0] == "0"
        assert next(iterator) == 1
        assert len(m) == 100
        assert [*m] == [*range(100)]
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    m[1] = "parent"
pid = os.fork()
if not pid:
    m[2] = "child"
    m.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert (m[0], m[1], m[2]) == ("not committed", "parent", "child")
assert [*iterator] == [*range(1, 100)]
""",
        env_path,
        lib_version,
    )


# -- programs --------------------------------------------------------------------------------------


def phone_book(open_shelf, path):
    """A program like the example in the documentation of shelve."""
    d = open_shelf(path, "c")
    d["ann"] = {"phone": 12, "tags": ("a", "b")}
    d["bob"] = [1, 2, {3}]
    data = d["ann"]
    del d["ann"]
    flag = "ann" in d
    names = sorted(d.keys())
    temp = d["bob"]
    temp.append(5)
    d["bob"] = temp
    d.update(carl=None, dora=1.5)
    d.sync()
    try:
        d["nobody"]
    except KeyError:
        missing = True
    d.close()
    with open_shelf(path, flag="r") as d:
        return data, flag, names, missing, sorted(d.items()), len(d), d.get("eve", 0)


def test_a_program_for_shelve(tmp_path, core):
    def replacement(path, flag="c"):
        return pylmdb.Map(path, key="str", value="pickle", flag=flag)

    theirs = phone_book(shelve.open, str(tmp_path / "shelve"))
    assert phone_book(replacement, str(tmp_path / "map")) == theirs


def test_a_program_for_dbm(tmp_path, core):
    """The example in the documentation of dbm, with bytes and str."""
    with pylmdb.Map.open(tmp_path / "cache", "c") as db:
        db[b"hello"] = b"there"
        db["www.python.org"] = "Python Website"
        db["www.cnn.com"] = "Cable News Network"
        assert db[b"www.python.org"] == b"Python Website"
        assert db["www.cnn.com"] == b"Cable News Network"
        assert db.get("python.org", b"not present") == b"not present"
        assert [*db.keys()] == [b"hello", b"www.cnn.com", b"www.python.org"]
        with pytest.raises(TypeError):
            db["www.yahoo.com"] = 4
        key = db.first()[0]
        assert key == b"hello"
    with pytest.raises(pylmdb.ReadonlyError):
        pylmdb.Map.open(tmp_path / "cache")["k"] = "v"
    with pytest.raises(OSError, match="nowhere"):  # as dbm.error is
        pylmdb.Map.open(tmp_path / "nowhere")


def test_a_program_for_lmdbm(tmp_path, core):
    """The README of lmdbm, with ``from pylmdb import Map as Lmdb``."""
    import json

    Lmdb = pylmdb.Map  # noqa: N806  as the import names it

    with Lmdb.open(str(tmp_path / "test.db"), "c") as db:
        db[b"key"] = b"value"
        db.update({b"key1": b"value1", b"key2": b"value2"})
        assert [*db.items()][1:] == [(b"key1", b"value1"), (b"key2", b"value2")]

    class JsonLmdb(Lmdb):
        def _pre_key(self, value):
            return value.encode("utf-8")

        def _post_key(self, value):
            return value.decode("utf-8")

        def _pre_value(self, value):
            return json.dumps(value).encode("utf-8")

        def _post_value(self, value):
            return json.loads(value.decode("utf-8"))

    with JsonLmdb.open(str(tmp_path / "json.db"), "c", 0o700, 2**20, True) as db:
        db["key"] = {"some": "object"}
        assert db["key"]["some"] == "object"
        assert [*db] == ["key"]
    assert (tmp_path / "json.db").stat().st_mode & 0o777 == 0o700

    class Doubled(Lmdb):
        def _pre_key(self, value):
            return Lmdb._pre_key(self, value) * 2

        def _post_key(self, value):
            return Lmdb._post_key(self, value)[: len(value) // 2]

        def _pre_value(self, value):
            return Lmdb._pre_value(self, value) * 2

        def _post_value(self, value):
            return Lmdb._post_value(self, value)[: len(value) // 2]

    with Doubled.open(str(tmp_path / "test.db"), "n") as db:
        db["k"] = "\xe9"
        assert [*db.items()] == [(b"k", "\xe9".encode("latin-1"))]
    with Lmdb.open(str(tmp_path / "test.db"), "r") as db:
        assert [*db.items()] == [(b"kk", b"\xe9\xe9")]

    with Lmdb.open(tmp_path / "small", "n", autogrow=False) as db:
        with pytest.raises(pylmdb.MapFullError):
            db.update((b"%d" % i, b"x" * 1000) for i in range(2000))
        assert len(db) == 0
    with Lmdb.open(tmp_path / "small", "w", map_size=2**20) as db:
        db.update((b"%d" % i, b"x" * 1000) for i in range(2000))
