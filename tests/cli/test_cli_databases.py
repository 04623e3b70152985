# SPDX-License-Identifier: MIT
"""Commands on environments with more named databases than max_dbs is by default, and commands
that do not list the databases."""

import json
import sys

import pytest

import pylmdb
from pylmdb._environment import catalog as _catalog
from pylmdb.cli import main

NAMES = [f"{i:03d}" for i in range(200)]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A dump of many databases, with a record each, and of a main one with a record of its own."""
    folder = tmp_path_factory.mktemp("databases")
    with pylmdb.open(folder / "e", max_dbs=len(NAMES)) as env:
        handles = [env.open_db(name.encode()) for name in NAMES]
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
            for db in handles:
                txn.put(b"k", b"v", db=db)
    pylmdb.dump(folder / "e", folder / "text")
    return folder / "text"


@pytest.fixture
def path(tmp_path, text, lib_version):
    pylmdb.load(text, tmp_path / "e", lib_version=lib_version)
    return str(tmp_path / "e")


@pytest.fixture
def unlisted(monkeypatch):
    """A call that lists the names of databases fails."""

    def refuse(env, txn):
        raise AssertionError("the databases were listed")

    monkeypatch.setattr(_catalog, "keys", refuse)


@pytest.mark.parametrize(
    "command",
    ["get PATH k", "scan PATH -n 1", "put PATH k w", "put PATH k w -d new --create", "del PATH k",
     "stat PATH", "drop PATH -d 000", "drop PATH --main", "compact PATH", "copy PATH COPY",
     "readers PATH", "readers PATH --clean", "warm PATH", "bench PATH --seconds 0",
     "dump PATH", "dump PATH -s 199"],
)  # fmt: skip
def test_no_names_are_listed(run, path, tmp_path, unlisted, command):
    words = {"PATH": path, "COPY": tmp_path / "copy"}
    run(*(words.get(word, word) for word in command.split()))


@pytest.mark.parametrize("databases", ["main", [b"000", None]], ids=["main", "names"])
def test_a_dump_of_some_lists_no_names(path, tmp_path, unlisted, databases):
    assert pylmdb.dump(path, tmp_path / "some", databases) >= 1


def test_a_command_that_lists_them_is_seen(path, unlisted):
    """The tests above can fail."""
    with pytest.raises(AssertionError, match="were listed"):
        main(["ls", path])


@pytest.mark.parametrize("command", ["info", "ls -l", "stat -a"])
def test_every_database_is_described(run, path, command):
    found = json.loads(run(*command.split(), path, "--json"))
    rows = found["databases"] if command == "info" else found
    assert [row["name"] for row in rows] == [None, *NAMES]
    assert [row["entries"] for row in rows] == [201, *[1] * 200]


def test_every_database_is_watched(run, path):
    assert json.loads(run("watch", path, "-n", 1, "--json"))["entries"] == 401


@pytest.mark.parametrize(("flag", "count"), [("-a", 200), ("-A", 201)])
def test_every_database_is_dumped(run, path, flag, count):
    assert run("dump", flag, path).count("HEADER=END") == count
    assert run("dump", "-l", path).split() == NAMES


def test_a_dump_on_a_terminal_says_what_it_left_out(path, capfdbinary, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["dump", path]) == 0
    out, err = capfdbinary.readouterr()
    assert out.count(b"HEADER=END") == 1
    assert err == b"pylmdb dump: named databases were left out; use -A to dump all\n"


def test_a_dump_of_many_by_name(path, tmp_path):
    names = [name.encode() for name in NAMES]
    assert pylmdb.dump(path, tmp_path / "named", names) == 200


def test_every_database_is_merged_and_converted(run, path, tmp_path, lib_version):
    run("merge", path, tmp_path / "merged")
    run("convert", path, tmp_path / "other", "--to", ["1.0", "0.9"][lib_version])
    for copy in ("merged", "other"):
        assert run("ls", tmp_path / copy).split() == NAMES


def test_a_shell_has_room_for_all_and_one_more(run_alone, path):
    source = "len([env.open_db(name) for name in [*env.dbs(), b'new']])\n.ls -l\n"
    done = run_alone("shell", "-w", path, input=source.encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"201\ndatabase")
    # the result, the headings, the main database, and 201 lines
    assert done.stdout.count(b"\n") == 204
