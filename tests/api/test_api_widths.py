# SPDX-License-Identifier: MIT
"""Databases with integer keys, integer values or fixed-size values refuse other sizes: keys have
one size in a database, values one size under each key.
"""

import io
import random
import shutil
import struct

import lmdb
import pytest
from numpy_if_any import np

import pylmdb
from pylmdb import tools


@pytest.mark.parametrize("width", [4, 8])
def test_integer_keys_have_one_width(env, width):
    db = env.open_db(b"db", integerkey=True)
    pack = struct.Struct({4: "=I", 8: "=Q"}[width]).pack
    numbers = [0, 1, 255, 256, 65536, 2**31]
    with env.begin(db, write=True) as txn:
        for number in reversed(numbers):
            txn.put(pack(number), b"%d" % number)
        assert list(txn.range(keys=False)) == [b"%d" % number for number in numbers]
        for wrong in (b"", b"1", b"123", bytes(12 - width), bytes(16)):
            for use in (
                lambda key=wrong: txn.put(key, b"v"),
                lambda key=wrong: txn.get(key),
                lambda key=wrong: txn.delete(key),
                lambda key=wrong: txn.pop(key),
                lambda key=wrong: txn.replace(key, b"v"),
                lambda key=wrong: txn.cursor().set_key(key),
                lambda key=wrong: txn.cursor().get(key),
                lambda key=wrong: txn.cursor().put(key, b"v"),
                lambda key=wrong: txn.cursor().getmulti([key]),
                lambda key=wrong: txn.cursor().set_range(key) if key else txn.get(key),
            ):
                with pytest.raises(pylmdb.BadValsizeError):
                    use()
        assert txn.stat().entries == len(numbers)


def test_another_width_while_the_file_lacks_pages(env):
    """They are not written yet, or free: the file was not cut short."""
    db = env.open_db(b"db", integerkey=True)

    def refused(txn):
        for use in (
            lambda: txn.get(bytes(8)),
            lambda: list(txn.range(None, bytes(8))),
            lambda: txn.count(None, bytes(8)),
        ):
            with pytest.raises((pylmdb.BadValsizeError, pylmdb.InvalidParameterError)):
                use()

    with env.begin(db, write=True) as txn:
        txn.put(bytes(4), bytes(500_000))
        refused(txn)
        with env.begin(db, parent=txn, write=True) as child:
            child.put(bytes(4), bytes(600_000))
            refused(child)
        if env.lib_version()[0]:
            with env.begin(db, parent=txn) as child:
                refused(child)
        txn.put(bytes(4), b"small")
    for write in False, True:
        with env.begin(db, write=write) as txn:
            refused(txn)


@pytest.mark.parametrize("options", [{"dupfixed": True}, {"integerdup": True}])
def test_fixed_size_values_have_one_width(env, options):
    db = env.open_db(b"db", **options)
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"1234")
        for wrong in (b"", b"123", b"12345678"):
            for use in (
                lambda value=wrong: txn.put(b"k", value),
                lambda value=wrong: txn.delete(b"k", value or b"1"),
                lambda value=wrong: txn.replace(b"k", value),
                lambda value=wrong: txn.cursor().put(b"k", value),
                lambda value=wrong: txn.cursor().putmulti([(b"k", value)]),
                lambda value=wrong: txn.cursor().set_key_dup(b"k", value),
                lambda value=wrong: txn.cursor().set_range_dup(b"k", value),
            ):
                with pytest.raises(pylmdb.BadValsizeError):
                    use()
        assert list(txn.range()) == [(b"k", b"1234")], "a refused call changes nothing"


KINDS = pytest.mark.parametrize("options", [{"dupfixed": True}, {"integerdup": True}])
WIDTHS = {b"a": 4, b"b": 8, b"big": 8, b"c": 4, b"large": 4}


def number(key, value):
    return value.to_bytes(WIDTHS.get(key, 8), "little")


def records_of(db, env):
    with env.begin(db) as txn:
        return list(txn.range())


@pytest.fixture
def mixed(env_path, lib_version, open_env):
    """Opens a database that py-lmdb has made, whose keys have values of two widths."""

    def make(options):
        with lmdb.open(env_path, max_dbs=2, map_size=1 << 24, lib_version=lib_version) as theirs:
            db = theirs.open_db(b"db", dupsort=True, **options)
            with theirs.begin(db, write=True) as txn:
                for key in WIDTHS:
                    for value in range(2000 if len(key) > 1 else 5):
                        txn.put(key, number(key, value))
        env = open_env()
        return env, env.open_db(b"db", create=False)

    return make


@KINDS
def test_each_key_has_a_width_of_its_own(mixed, options):
    env, db = mixed(options)
    before = records_of(db, env)
    assert len(before) == 3 * 5 + 2 * 2000
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        for key, width in WIDTHS.items():
            for other in (bytes(12 - width), bytes(12 - width - 1), b""):
                for use in (
                    txn.put, cursor.put, cursor.set_key_dup, cursor.set_range_dup,
                    cursor.replace, *[txn.delete][: len(other)],
                ):  # fmt: skip
                    with pytest.raises(pylmdb.BadValsizeError):
                        use(key, other)
        assert list(txn.range()) == before
        # one cursor, from key to key
        for key in (*WIDTHS, *reversed(WIDTHS)):
            assert cursor.set_key_dup(key, number(key, 3))
            assert cursor.set_range_dup(key, number(key, 4))
            assert cursor.put(key, number(key, 70_000))
            assert cursor.set_key_dup(key, number(key, 70_000))
            assert cursor.delete()
            assert txn.delete(key, number(key, 2))
            assert txn.put(key, number(key, 2))
        assert list(txn.range()) == before
        assert cursor.set_key_dup(b"none", bytes(4)) is False
    assert pylmdb.verify(env.path()).ok


@KINDS
def test_a_new_key_takes_any_width_and_keeps_it(env, options):
    db = env.open_db(b"db", **options)
    with env.begin(db, write=True) as txn:
        for key in (b"long", b"short"):
            assert txn.put(key, bytes(8 if key == b"long" else 4))
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"short", bytes(8))
        assert txn.delete(b"short")
        assert txn.put(b"short", bytes(8))


@KINDS
def test_batches_of_keys_with_different_widths(mixed, options):
    env, db = mixed(options)
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        assert len(cursor.getmulti([*WIDTHS], dupdata=True)) == txn.stat().entries
        for width, key, other in ((4, b"c", b"big"), (8, b"big", b"c")):
            found = cursor.getmulti([key], dupdata=True, dupfixed_bytes=width)
            assert found == list(txn.range(key, key + b"\0"))
            other_size = f"size {12 - width}, not dupfixed_bytes"
            with pytest.raises(pylmdb.InvalidParameterError, match=other_size):
                cursor.getmulti([key, other], dupdata=True, dupfixed_bytes=width)
            dtype = f"<u{width}"
            assert sorted(txn.dup_array(key, dtype).tolist()) == [*range(len(found))]
            with pytest.raises(pylmdb.InvalidParameterError):
                txn.dup_array(other, dtype)
            with pytest.raises(pylmdb.InvalidParameterError):
                txn.range_arrays(None, None, dtype)
        new = np.array([7000, 8000, 9000], "<u4")
        assert txn.put_arrays([b"a", b"a", b"z"], new) == 3
        assert {*txn.dup_array(b"a", "<u4").tolist()} == {*range(5), 7000, 8000}
        with pytest.raises(pylmdb.BadValsizeError, match="b'big'"):
            txn.put_arrays([b"c", b"big"], new[:2])
        items = [(key, number(key, 70_000)) for key in (*WIDTHS, *WIDTHS)]
        assert cursor.putmulti(items, dupdata=False) == (len(items), len(WIDTHS))


@KINDS
def test_whole_files_with_different_widths(mixed, options, open_env, tmp_path):
    env, db = mixed(options)
    want = records_of(db, env)
    text = io.BytesIO()
    tools.dump(env, text)
    tools.load(io.BytesIO(text.getvalue()), tmp_path / "loaded")
    (tmp_path / "copy").mkdir()
    env.copy(str(tmp_path / "copy"), compact=True)
    sources = [env.path(), tmp_path / "loaded", tmp_path / "copy"]
    for _ in range(2):
        tools.merge(sources, tmp_path / "merged")
    env.compact()
    for path in (*sources, tmp_path / "merged"):
        assert pylmdb.verify(path).ok
        with pylmdb.open(path) as other:
            assert records_of(other.open_db(b"db", create=False), other) == want


@KINDS
def test_a_merge_of_one_key_with_two_widths(env, options, open_env, tmp_path):
    others = [env, open_env(tmp_path / "other")]
    for width, each in zip((4, 8), others, strict=True):
        db = each.open_db(b"db", **options)
        with each.begin(db, write=True) as txn:
            txn.put(b"k", bytes(width))
            txn.put(b"%d" % width, bytes(width))
    with pytest.raises(pylmdb.BadValsizeError, match="key b'k'"):
        tools.merge(others, tmp_path / "merged")
    with pytest.raises(pylmdb.BadValsizeError, match="key b'k'"):
        tools.merge(others[1:], env.path())


@pytest.mark.parametrize("width", [1, 2, 3, 5, 16])
def test_integer_values_have_4_or_8_bytes(env, width):
    db = env.open_db(b"db", integerdup=True)
    with env.begin(db, write=True) as txn, pytest.raises(pylmdb.BadValsizeError):
        txn.put(b"k", bytes(width))


def test_integer_values_are_in_their_order(env):
    db = env.open_db(b"db", integerdup=True)
    numbers = [0, 1, 255, 256, 2**40]
    with env.begin(db, write=True) as txn:
        for number in reversed(numbers):
            txn.put(b"k", struct.pack("=Q", number))
        got = [struct.unpack("=Q", value)[0] for value in txn.range(keys=False)]
    assert got == numbers


def test_values_too_long_for_duplicates(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"k", b"v" * (env.max_key_size() + 1))
        assert txn.put(b"k", b"v" * env.max_key_size())


def test_reversed_keys_are_ordered_from_their_end(env):
    db = env.open_db(b"db", reverse_key=True)
    with env.begin(db, write=True) as txn:
        for key in (b"ba", b"ab", b"aa"):
            txn.put(key, b"")
        assert list(txn.range(values=False)) == [b"aa", b"ba", b"ab"]


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_all_values_of_a_byte_under_long_keys(tmp_path, page_size, checksums):
    """Those of a key are on a page whose header counts free space past its end."""
    path, new, options = tmp_path / "env", tmp_path / "new", {"lib_version": 1}
    options.update(page_size=page_size, checksums=checksums)
    values = [bytes([number]) for number in range(256)]
    for is_batch in (False, True):
        with pylmdb.open(path, **options) as env:
            keys = [b"%d" % number * env.max_key_size() for number in range(3)]
            records = [(key, value) for key in keys for value in values]
            db = env.open_db(b"db", dupsort=True, dupfixed=True)
            with env.begin(db, write=True) as txn:
                txn.drop(db, delete=False)
                if is_batch:
                    assert txn.cursor().putmulti(records, append=True) == (768, 768)
                else:
                    assert all(txn.put(*each) for each in random.Random(1).sample(records, 768))
            with env.begin(db, write=True) as txn:
                assert list(txn.cursor()) == records
                for record in records[256:512:2]:
                    assert txn.delete(*record)
        left = records[:256] + records[257:512:2] + records[512:]
        pylmdb.dump(path, text := io.BytesIO())
        text.seek(0)
        pylmdb.load(text, new, **options)
        for each in (path, new):
            report = pylmdb.verify(each)
            assert report.ok, str(report)
            with pylmdb.open(each) as env, env.begin(env.open_db(b"db")) as txn:
                assert list(txn.cursor()) == left
                assert list(txn.cursor().iterprev()) == left[::-1]
        shutil.rmtree(new)
