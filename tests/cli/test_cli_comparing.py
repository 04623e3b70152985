# SPDX-License-Identifier: MIT
"""The command line: diff, find, count, and ranges of del."""

import json
import sys

import pytest

import pylmdb
from pylmdb.cli import main


@pytest.fixture
def run(capfd):
    """Runs a command in this process; returns its exit status and its output."""

    def call(*argv):
        status = main([str(each) for each in argv])
        out, err = capfd.readouterr()
        assert bool(err) == (status == 2)
        return status, err or out

    return call


def number(value):
    return value.to_bytes(8, sys.byteorder)


@pytest.fixture
def pair(tmp_path, versions):
    """Two environments with the same records, in both formats of files."""
    for name, lib_version in zip("ab", versions, strict=True):
        with pylmdb.open(tmp_path / name, lib_version=lib_version) as env:
            tags = env.open_db(b"tags", dupsort=True)
            numbers = env.open_db(b"numbers", integerkey=True)
            backwards = env.open_db(b"backwards", reverse_key=True)
            with env.begin(write=True) as txn:
                for i in range(1, 1000):
                    txn.put(b"k%d" % i, b"v%d" % i)
                    txn.put(number(i), b"v", db=numbers)
                    txn.put(b"%d" % i, b"v", db=backwards)
                    txn.put(b"%d" % (i % 7), b"%d" % i, db=tags)
    return tmp_path / "a", tmp_path / "b"


def change(path, name, *changes):
    """Put (key, value), or delete (key, None)."""
    with pylmdb.open(path) as env:
        db = None if name is None else env.open_db(name, create=False)
        with env.begin(write=True) as txn:
            for key, value in changes:
                txn.delete(key, db=db) if value is None else txn.put(key, value, db=db)


def test_equal_environments(run, pair):
    assert run("diff", *pair) == (0, "")
    assert run("diff", *pair, "-d", "tags", "--json") == (0, "")


@pytest.mark.parametrize(("name", "odd"), [(b"numbers", number), (b"backwards", b"%d".__mod__)])
def test_orders_of_keys(run, pair, name, odd):
    """The records of both are read once, in the order of the database."""
    change(pair[0], name, (odd(7), None), (odd(256), b"other"), (odd(999), None))
    change(pair[1], name, (odd(1), None), (odd(300), None))
    status, out = run("diff", *pair, "-d", name.decode())
    assert status == 1
    assert sorted(out.splitlines()) == sorted(
        ["+\t7\tv", "-\t256\tother", "+\t256\tv", "+\t999\tv", "-\t1\tv", "-\t300\tv"]
    )


def test_differences_of_all_databases(run, pair):
    change(pair[0], None, (b"k5", b"five"))
    change(pair[1], None, (b"k6", None), (b"z", b"\xff"))
    change(pair[1], b"tags", (b"0", b"x"))
    with pylmdb.open(pair[1]) as env:
        env.open_db(b"new")
    status, out = run("diff", *pair)
    assert (status, out.splitlines()) == (1, [
        "-\t(main)\tk5\tfive", "+\t(main)\tk5\tv5", "-\t(main)\tk6\tv6", "+\t(main)\tz\t0xff",
        "+\tnew\t(database)", "+\ttags\t0\tx",
    ])  # fmt: skip
    lines = [json.loads(line) for line in run("diff", *pair, "--json")[1].splitlines()]
    assert lines[0] == {"database": None, "key": "k5", "a": "five", "b": "v5"}
    assert lines[2] == {"database": None, "key": "z", "b": {"hex": "ff"}}
    assert lines[3] == {"database": "new", "flags": {"b": []}}
    assert run("diff", *pair, "-q") == (1, "")
    assert len(run("diff", *pair, "-n", 1)[1].splitlines()) == 2, "both sides of a record"
    assert run("diff", *pair, "-n", 0) == (1, "")
    assert run("diff", *pair, "-d", "numbers") == (0, "")
    assert run("diff", *pair, "-d", "new") == (1, "+\tnew\t(database)\n")


def test_databases_with_other_flags(run, pair):
    with pylmdb.open(pair[1]) as env, env.begin(write=True) as txn:
        txn.drop(env.open_db(b"tags"))
        env.open_db(b"tags", txn)
    assert run("diff", *pair) == (1, "-\ttags\tflags dupsort\n+\ttags\tflags\n")


def test_trouble_has_another_status(run, pair):
    assert run("diff", pair[0], "missing") == (2, "pylmdb diff: 'missing' does not exist\n")
    status, err = run("diff", *pair, "-d", "no")
    assert (status, err) == (2, "pylmdb diff: neither environment has the database 'no'\n")


@pytest.fixture
def path(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env:
        db, tags = env.open_db(b"d"), env.open_db(b"tags", dupsort=True)
        with env.begin(write=True) as txn:
            txn.put(b"apple", b"Red\nand round")
            txn.put(b"berry", b"blue")
            txn.put(b"bytes", b"\x00\xff")
            txn.put(b"fire", b"red", db=db)
            for i in range(1000):
                txn.put(b"%d" % (i % 10), b"%d" % i, db=tags)
    return str(tmp_path / "e")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("red", None),
        ("red -i", "apple\tRed\\nand round\n"),
        ("0x00", "bytes\t0x00ff\n"),
        ("^b.*e$ -E", "berry\tblue\n"),
        ("^and -E -k", "apple\n"),
        ("re -i -a", "(main)\tapple\tRed\\nand round\nd\tfire\tred\n"),
        ("ue|re -E -n 1", "berry\tblue\n"),
        ("red -d d", "fire\tred\n"),
        ("blue --value-format hex", None),
        ("00 --value-format hex", "bytes\t00ff\n"),
    ],
)
def test_find(run, path, words, expected):
    pattern, *options = words.split()
    if words.startswith("blue --value"):
        assert run("find", path, pattern, *options)[0] == 2, "blue is not hexadecimal"
    else:
        assert run("find", path, pattern, *options) == (int(expected is None), expected or "")


def test_find_does_not_look_into_the_records_of_databases(run, path):
    assert run("find", path, "0x00") == (0, "bytes\t0x00ff\n")
    assert run("find", path, "0x00", "-k") == (0, "bytes\n")
    change(path, b"d", (b"tags", b"\0" * 48), (b"tags\0", b"\0" * 48))  # of the same size
    out = f"tags\t0x{'00' * 48}\n0x7461677300\t0x{'00' * 48}\n"
    assert run("find", path, "0x0000", "-d", "d") == (0, out)
    assert run("scan", path, "-d", "d", "--start", "tags") == (0, out)
    assert run("get", path, "-d", "d", "tags", "-x")[0] == 0
    assert run("find", path, "(", "-E")[0] == 2


def test_count(run, path):
    assert run("count", path) == (0, "5\n")
    assert run("count", path, "-d", "tags") == (0, "1000\n")
    assert run("count", path, "--prefix", "b") == (0, "2\n")
    assert run("count", path, "-d", "tags", "--start", "3", "--stop", "5") == (0, "200\n")
    assert json.loads(run("count", path, "--json", "--stop", "b")[1]) == {"records": 1}


def test_delete_a_range(run, path):
    assert run("del", path, "--prefix", "by") == (0, "1 record deleted\n")
    assert run("del", path, "-d", "tags", "--start", "1", "--stop", "3") == (
        0, "200 records deleted\n"
    )  # fmt: skip
    assert json.loads(run("del", path, "-d", "tags", "--start", "5", "--json")[1]) == {
        "deleted": 500
    }
    assert (
        run("scan", path, "-d", "tags", "-k")[1].split() == ["0"] * 100 + ["3"] * 100 + ["4"] * 100
    )
    with pytest.raises(SystemExit):
        main(["del", path, "apple", "--prefix", "a"])
