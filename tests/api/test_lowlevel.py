# SPDX-License-Identifier: MIT
"""pylmdb.lowlevel in a library that embeds pylmdb: its own calls of liblmdb, mixed with
pylmdb's.
"""

import ctypes
import errno
import os
import struct

import pytest

import pylmdb
from pylmdb import lowlevel


class Raw:
    """The native handles of one environment, as an embedding library has them."""

    def __init__(self, env):
        self.env = env
        self.engine = lowlevel.engine(env)
        self.ffi, self.lib = self.engine.ffi, self.engine.lib

    def check(self, code):
        if code:
            raise pylmdb.errors.error("mdb", code)

    def value(self, data):
        """(MDB_val *, what keeps its bytes alive)"""
        raw = self.ffi.from_buffer(data)
        return self.ffi.new("MDB_val *", {"mv_size": len(data), "mv_data": raw}), raw

    def bytes(self, value):
        return self.ffi.buffer(value.mv_data, value.mv_size)[:]


@pytest.fixture
def raw(env):
    return Raw(env)


def test_engines(lib_version, env):
    assert [engine.version[0] for engine in lowlevel.engines()] == [0, 1]
    engine = lowlevel.engine(env)
    assert engine is lowlevel.engines()[lib_version]
    assert isinstance(engine, lowlevel.Engine)
    assert engine.version == env.lib_version()
    with env.begin() as txn:
        assert lowlevel.engine(txn) is engine
        assert lowlevel.engine(txn.cursor()) is engine


def test_the_names_are_documented():
    assert set(lowlevel.__all__) <= set(dir(lowlevel))
    for name in lowlevel.__all__:
        if name != "engines":
            assert getattr(lowlevel, name).__doc__
    assert "mdb_" in lowlevel.__doc__


def test_handles(raw, env):
    ffi = raw.ffi
    assert ffi.typeof(lowlevel.handle(env)) is ffi.typeof("MDB_env *")
    with env.begin(write=True) as txn:
        assert ffi.typeof(lowlevel.handle(txn)) is ffi.typeof("MDB_txn *")
        cursor = txn.cursor()
        assert ffi.typeof(lowlevel.handle(cursor)) is ffi.typeof("MDB_cursor *")
        assert raw.lib.mdb_txn_env(lowlevel.handle(txn)) == lowlevel.handle(env)
        assert raw.lib.mdb_cursor_txn(lowlevel.handle(cursor)) == lowlevel.handle(txn)
        assert raw.lib.mdb_txn_id(lowlevel.handle(txn)) == txn.id()


@pytest.mark.parametrize("wrong", [None, b"env", 7, object()])
def test_objects_without_a_native_handle_raise_type_error(wrong):
    for function in (lowlevel.handle, lowlevel.engine):
        with pytest.raises(TypeError):
            function(wrong)
    with pytest.raises(TypeError):
        lowlevel.database_number(wrong, wrong)


def test_handles_of_dead_objects(env):
    txn = env.begin()
    cursor = txn.cursor()
    cursor.close()
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.handle(cursor)
    db = env.open_db()
    txn.abort()
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.handle(txn)
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.database_number(db, txn)
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.handle(env)
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.engine(env)


def test_own_calls_and_ours_see_each_other(raw, env):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        ptr, dbi = lowlevel.handle(txn), lowlevel.database_number(db, txn)
        key, _k = raw.value(b"theirs")
        value, _v = raw.value(b"1")
        raw.check(raw.lib.mdb_put(ptr, dbi, key, value, 0))
        assert txn.get(b"theirs", db=db) == b"1"
        txn.put(b"ours", b"2", db=db)
        key, _k = raw.value(b"ours")
        found = raw.ffi.new("MDB_val *")
        raw.check(raw.lib.mdb_get(ptr, dbi, key, found))
        assert raw.bytes(found) == b"2"
        assert raw.lib.mdb_get(ptr, dbi, raw.value(b"x")[0], found) == raw.lib.MDB_NOTFOUND
    with env.begin() as reader:
        assert list(reader.range(db=db)) == [(b"ours", b"2"), (b"theirs", b"1")]
        out = raw.ffi.new("MDB_stat *")
        number = lowlevel.database_number(db, reader)
        raw.check(raw.lib.mdb_stat(lowlevel.handle(reader), number, out))
        assert out.ms_entries == 2


def test_reserve(raw, env):
    with env.begin(write=True) as txn:
        key, _k = raw.value(b"k")
        value = raw.ffi.new("MDB_val *", {"mv_size": 100_000})
        dbi = lowlevel.database_number(env.open_db(), txn)
        raw.check(raw.lib.mdb_put(lowlevel.handle(txn), dbi, key, value, raw.lib.MDB_RESERVE))
        raw.ffi.memmove(value.mv_data, b"x" * 100_000, 100_000)
    with env.begin() as reader:
        assert reader.get(b"k") == b"x" * 100_000


def test_put_multiple(raw, env):
    db = env.open_db(b"db", dupfixed=True)
    numbers = [struct.pack(">I", n) for n in range(1000)]
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        key, _k = raw.value(b"k")
        content = raw.ffi.from_buffer(b"".join(numbers))
        values = raw.ffi.new("MDB_val[2]", [{"mv_size": 4, "mv_data": content}, {"mv_size": 1000}])
        flags = raw.lib.MDB_MULTIPLE
        raw.check(raw.lib.mdb_cursor_put(lowlevel.handle(cursor), key, values, flags))
        assert values[1].mv_size == 1000
        assert list(txn.range(keys=False)) == numbers


def test_a_comparator(raw, env):
    """A C function of the embedding library; here it is written in Python by cffi."""
    db = env.open_db(b"db")

    def longer_last(a, b):
        one, two = raw.bytes(a), raw.bytes(b)
        first, second = (len(one), one), (len(two), two)
        return (first > second) - (first < second)

    compare = raw.ffi.callback("MDB_cmp_func *", longer_last)
    keys = [b"z", b"a", b"bbb", b"cc", b"dddd", b"aa"]
    with env.begin(db, write=True) as txn:
        dbi = lowlevel.database_number(db, txn)
        raw.check(raw.lib.mdb_set_compare(lowlevel.handle(txn), dbi, compare))
        for key in keys:
            assert txn.put(key, b"v")
        assert list(txn.range(values=False)) == [b"a", b"z", b"aa", b"cc", b"bbb", b"dddd"]
        cursor = txn.cursor()
        assert cursor.set_range(b"b")
        assert cursor.key() == b"z"
        one, _o = raw.value(b"z")
        two, _t = raw.value(b"aa")
        assert raw.lib.mdb_cmp(lowlevel.handle(txn), dbi, one, two) < 0
    with env.begin(db) as reader:
        assert reader.get(b"cc") == b"v"
        assert reader.cursor().getmulti(keys, values=False) == keys


def test_comparing_of_values(raw, env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        dbi = lowlevel.database_number(db, txn)
        one, _o = raw.value(b"1")
        two, _t = raw.value(b"2")
        assert raw.lib.mdb_dcmp(lowlevel.handle(txn), dbi, one, two) < 0
        assert raw.lib.mdb_dcmp(lowlevel.handle(txn), dbi, two, two) == 0


def test_own_cursors(raw, env):
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(b"%d" % n, b"v%d" % n) for n in range(10)])
        out = raw.ffi.new("MDB_cursor **")
        dbi = lowlevel.database_number(env.open_db(), txn)
        raw.check(raw.lib.mdb_cursor_open(lowlevel.handle(txn), dbi, out))
        key, value = raw.ffi.new("MDB_val *"), raw.ffi.new("MDB_val *")
        seen = []
        while not raw.lib.mdb_cursor_get(out[0], key, value, raw.lib.MDB_NEXT):
            seen.append((raw.bytes(key), raw.bytes(value)))
        raw.lib.mdb_cursor_close(out[0])
        assert seen == list(txn.range())


def test_moving_our_cursor_from_outside(raw, env):
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")])
        cursor = txn.cursor()
        cursor.first()
        key, value = raw.ffi.new("MDB_val *"), raw.ffi.new("MDB_val *")
        raw.check(raw.lib.mdb_cursor_get(lowlevel.handle(cursor), key, value, raw.lib.MDB_LAST))
        assert cursor.item() == (b"c", b"3")


def test_the_reader_list(raw, env):
    lines = []

    @raw.ffi.callback("MDB_msg_func *")
    def collect(line, context):
        assert raw.ffi.from_handle(context) is lines
        lines.append(raw.ffi.string(line).decode())
        return 0

    context = raw.ffi.new_handle(lines)
    with env.begin():
        assert raw.lib.mdb_reader_list(lowlevel.handle(env), collect, context) >= 0
        assert "".join(lines) == env.readers()
        assert str(os.getpid()) in lines[-1]


def test_environment_calls(raw, env, env_path):
    handle = lowlevel.handle(env)
    fd = raw.ffi.new("mdb_filehandle_t *")
    raw.check(raw.lib.mdb_env_get_fd(handle, fd))
    assert os.fstat(fd[0]).st_ino == os.stat(os.path.join(env_path, "data.mdb")).st_ino
    path = raw.ffi.new("char **")
    raw.check(raw.lib.mdb_env_get_path(handle, path))
    assert raw.ffi.string(path[0]).decode() == env_path
    mine = raw.ffi.new("int *", 7)
    assert raw.lib.mdb_env_set_userctx(handle, mine) in (0, None)
    assert raw.lib.mdb_env_get_userctx(handle) == mine
    flags = raw.ffi.new("unsigned int *")
    raw.check(raw.lib.mdb_env_get_flags(handle, flags))
    assert flags[0] & raw.lib.MDB_NOTLS
    assert raw.lib.mdb_env_get_maxkeysize(handle) == env.max_key_size()
    info = raw.ffi.new("MDB_envinfo *")
    raw.check(raw.lib.mdb_env_info(handle, info))
    assert info.me_mapsize == env.info()["map_size"]


def test_strings_and_version(raw, env):
    parts = [raw.ffi.new("int *") for _ in range(3)]
    text = raw.ffi.string(raw.lib.mdb_version(*parts)).decode()
    assert tuple(part[0] for part in parts) == env.lib_version()
    assert ".".join(map(str, env.lib_version())) in text
    assert b"MDB_MAP_FULL" in raw.ffi.string(raw.lib.mdb_strerror(raw.lib.MDB_MAP_FULL))


def test_reset_and_renew(raw, env):
    """A read transaction that belongs to the embedding library alone."""
    out = raw.ffi.new("MDB_txn **")
    lib = raw.lib
    raw.check(lib.mdb_txn_begin(lowlevel.handle(env), raw.ffi.NULL, lib.MDB_RDONLY, out))
    before = lib.mdb_txn_id(out[0])
    lib.mdb_txn_reset(out[0])
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    raw.check(lib.mdb_txn_renew(out[0]))
    assert lib.mdb_txn_id(out[0]) == before + 1
    lib.mdb_txn_abort(out[0])
    assert env.reader_list() == []


def test_cursor_is_db(env, raw, lib_version):
    env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"record", b"v")
        cursor = txn.cursor()
        if lib_version == 0:
            assert raw.lib.PYLMDB_HAS_1_0 == 0
            assert raw.lib.mdb_cursor_is_db(lowlevel.handle(cursor)) == -errno.ENOSYS
            return
        found = {}
        for key in cursor.iternext(values=False):
            found[key] = raw.lib.mdb_cursor_is_db(lowlevel.handle(cursor))
        assert found == {b"db\0": 1, b"record": 0}


def test_another_page_size(open_env, env_path):
    """mdb_env_set_pagesize must come before the file exists: an environment of their own."""
    engine = lowlevel.engines()[1]
    ffi, lib = engine.ffi, engine.lib
    out = ffi.new("MDB_env **")
    assert lib.mdb_env_create(out) == 0
    assert lib.mdb_env_set_pagesize(out[0], 16384) == 0
    os.mkdir(env_path)
    assert lib.mdb_env_open(out[0], os.fsencode(env_path), 0, 0o644) == 0
    txn = ffi.new("MDB_txn **")
    assert lib.mdb_txn_begin(out[0], ffi.NULL, 0, txn) == 0
    dbi = ffi.new("MDB_dbi *")
    assert lib.mdb_dbi_open(txn[0], ffi.NULL, 0, dbi) == 0
    content = ffi.from_buffer(b"k")
    pair = ffi.new("MDB_val *", {"mv_size": 1, "mv_data": content})
    assert lib.mdb_put(txn[0], dbi[0], pair, pair, 0) == 0
    assert lib.mdb_txn_commit(txn[0]) == 0
    lib.mdb_env_close(out[0])
    env = open_env(lib_version=None)
    assert env.stat()["psize"] == 16384
    assert env.max_key_size() > 1978
    with env.begin(write=True) as writer:
        assert writer.get(b"k") == b"k"
        assert writer.put(b"x" * env.max_key_size(), b"v" * 100_000)


def test_what_only_1_0_has_answers_enosys_in_0_9():
    lib, ffi = lowlevel.engines()[0].lib, lowlevel.engines()[0].ffi
    out = ffi.new("MDB_env **")
    assert lib.mdb_env_create(out) == 0
    assert lib.mdb_env_set_pagesize(out[0], 16384) == errno.ENOSYS
    lib.mdb_env_close(out[0])
    assert lowlevel.engines()[1].lib.PYLMDB_HAS_1_0 == 1


def test_the_engines_share_nothing(tmp_path):
    """Both release lines in one process, each with its own liblmdb."""
    envs = [pylmdb.open(tmp_path / str(n), lib_version=n) for n in (0, 1)]
    for number, env in enumerate(envs):
        with env.begin(write=True) as txn:
            txn.put(b"k", b"%d" % number)
    for number, env in enumerate(envs):
        with env.begin() as txn:
            assert txn.get(b"k") == b"%d" % number
        env.close()
    assert lowlevel.engines()[0].lib is not lowlevel.engines()[1].lib


def test_the_symbols_are_hidden():
    """No mdb_... of ours is visible to, or taken from, another copy of liblmdb in the process."""
    process = ctypes.CDLL(None)
    for name in ("mdb_env_create", "mdb_put", "pylmdb_get"):
        assert not hasattr(process, name)
