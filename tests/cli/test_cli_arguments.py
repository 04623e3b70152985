# SPDX-License-Identifier: MIT
"""The command line: options anywhere between operands, and command lines of py-lmdb."""

import json
import os
import shutil
import subprocess
import sys

import lmdb
import pytest

import pylmdb
from pylmdb.cli import main
from pylmdb.cli._arguments import command_first, options_first
from pylmdb.cli._parser import parser

COMMANDS = next(each.choices for each in parser()._actions if each.dest == "command")


@pytest.fixture
def path(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env:
        db = env.open_db(b"d")
        with env.begin(write=True) as txn:
            for i in range(3):
                txn.put(b"k%d" % i, b"v%d" % i)
            txn.put(b"k", b"in d", db=db)
    return str(tmp_path / "e")


def records(path, name=None):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return [*txn.cursor(env.open_db(name, txn, create=False))]


# -- the order of words --


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-e P get k", "get --env=P k"),
        ("-eP -d x get k", "get --env=P --db=x k"),
        ("--env=P -rs stat", "stat --env=P --read --use-single-file"),
        ("-e get get k", "get --env=get k"),
        ("-S 100 -M 7 -e P -s shell", "shell --map_size=100 --max-dbs=7 --env=P --use-single-file"),
        ("-rdx scan", "scan --read --db=x"),
        ("--json --no-lock -e P info", "info --json --no-lock --env=P"),
        ("get P k", "get P k"),
        ("--unknown get P k", "--unknown get P k"),
        ("--version", "--version"),
        ("-q get P", "-q get P"),
        ("-e", "-e"),
        ("", ""),
    ],
)
def test_the_command_is_first(words, expected):
    assert command_first(words.split(), COMMANDS) == expected.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("P k v", "-- P k v"),
        ("-d x P k", "-d x -- P k"),
        ("P -d x k", "-d x -- P k"),
        ("P k -dx v", "-dx -- P k v"),
        ("P k --db=x", "--db=x -- P k"),
        ("P --key-f hex k", "--key-f hex -- P k"),
        ("k -e P v", "-- P k v"),
        ("-eP k", "-- P k"),
        ("--env=P k", "-- P k"),
        ("P k -1", "-- P k -1"),
        ("P k -- -d", "-- P k -d"),
        ("P k -", "-- P k -"),
        ("P k -Nd x", "-Nd x -- P k"),
        ("P k --nope v", "--nope -- P k v"),
        ("-e", "-e"),
        ("--json", "--json"),
    ],
)
def test_options_are_before_the_operands(words, expected):
    options = COMMANDS["put"]._option_string_actions
    assert options_first(words.split(), options, {"env": 0}) == expected.split()


def test_empty_words_and_words_with_blanks(run, path):
    run("put", path, "", "x", status=1)  # keys are not empty
    run("put", path, "a b", "-c d")
    assert run("get", path, "a b") == "-c d"


@pytest.mark.parametrize(
    "words",
    ["get -d d PATH k", "get PATH -d d k", "get PATH k -d d", "get -dd -ePATH k",
     "-d d -e PATH get k", "get k --db=d --env PATH"],
)  # fmt: skip
def test_options_anywhere(run, path, words):
    assert run(*words.replace("PATH", path).split()) == "in d"


@pytest.mark.parametrize("words", ["--json info PATH", "--no-lock --json -e PATH info"])
def test_options_of_many_commands_before_the_command(run, path, words):
    assert json.loads(run(*words.replace("PATH", path).split()))["databases"]


@pytest.mark.parametrize("command", ["scan", "count", "del", "export csv"])
@pytest.mark.parametrize("other", ["--start", "--stop"])
def test_prefix_and_other_bounds(path, capsys, command, other):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), path, "--prefix", "k", other, "k1"])
    assert ended.value.code == 2
    assert "error: give --prefix, or --start and --stop, not both" in capsys.readouterr().err
    assert len(records(path)) == 4


@pytest.mark.parametrize(
    ("words", "command", "unknown"),
    [
        ("count PATH nope", "count", "nope"),
        ("info PATH -d d", "info", "-d d"),
        ("readers PATH --clear", "readers", "--clear"),
        ("-e PATH -c copy d", "copy", "--clean"),
        ("export csv PATH d --nope", "export csv", "--nope"),
    ],
)
def test_unknown_words_are_refused_by_the_command(path, capsys, words, command, unknown):
    with pytest.raises(SystemExit) as ended:
        main(words.replace("PATH", path).split())
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"usage: pylmdb {command} [-h]")
    assert err.endswith(f"pylmdb {command}: error: unrecognized arguments: {unknown}\n")


def test_messages_name_the_option_that_creates(run, path, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for words in (["put", nowhere, "k", "v"], ["copy-db", path, "d", "--to", nowhere]):
        assert run(*words, status=1).endswith(f"{nowhere!r} does not exist; --create creates it\n")
    missing = run("put", path, "k", "v", "-d", "x", status=1)
    assert missing.endswith("lists the databases; --create creates it\n")
    for command in "scan", "del":
        assert "--create" not in run(command, nowhere, "--prefix", "k", status=1)
        assert "--create" not in run(command, path, "--prefix", "k", "-d", "x", status=1)
    assert not os.path.exists(nowhere)


def test_messages_name_options_instead_of_parameters(run, path, tmp_path):
    run("put", "--create", tmp_path / "other", "k0", "another")
    conflict = run("merge", path, tmp_path / "other", tmp_path / "all", status=1)
    assert conflict.endswith("choose one of them with --on-conflict first or last\n")
    single = run("get", "-s", path, "k0", status=1)
    assert "--use-single-file means a file; leave --use-single-file out to open either" in single


def test_a_path_that_ends_like_a_literal_of_bytes(run, path, tmp_path, monkeypatch):
    """Names of databases and keys are shown as they are typed, and paths as they are."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("dir")
    run("backup", path, "dir/b")
    for name in "é", "other-b":
        shutil.copy("dir/b", name)
        said = run("restore", "new", name, "dir/b", status=1)
        assert said.startswith(f"pylmdb restore: 'dir/b' and {name!r} are the same backup")


def test_a_full_reader_table_can_be_listed(tmp_path):
    def run(command):
        code = "import sys; from pylmdb.cli import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", code, command, tmp_path / "full"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    with pylmdb.open(tmp_path / "full", max_readers=1) as env, env.begin():
        refused, listed = run("stat"), run("readers")
    assert refused.returncode == 1
    assert "end read transactions, which 'pylmdb readers' lists" in refused.stderr
    assert listed.returncode == 0
    assert str(os.getpid()) in listed.stdout


def test_two_minus_signs_are_no_operand(path, capsys):
    """argparse drops them."""
    for words in (["get", path, "--", "--"], ["put", path, "--", "k", "--"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert "as a key or a value it is 0x2d2d" in capsys.readouterr().err


def test_a_path_that_is_missing(capsys):
    for words in (["get"], ["get", "-e"], ["stat"], ["-e"], ["-e", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert "usage: pylmdb" in capsys.readouterr().err


# -- command lines of py-lmdb --


def test_get_of_several_keys(run, path):
    assert run("get", "-e", path, "k0", "k2") == "k0\tv0\nk2\tv2\n"
    assert run("get", path, "-x", "k0") == f"00000000: 7630{' ' * 37}v0\n"


def test_a_missing_key_of_several(path, capfd):
    assert main(["get", "-e", path, "k0", "nope", "k1"]) == 1
    out, err = capfd.readouterr()
    assert (out, err) == ("k0\tv0\nk1\tv1\n", "pylmdb get: the key 'nope' does not exist\n")


def test_edit(run, path, tmp_path):
    (tmp_path / "file").write_bytes(b"\0content")
    run(
        "-e", path, "edit", "--add", "k0=no", "--add", "new=a=b", "--set", "k1=other", "--delete",
        "k2", "--delete", "nope", "--set-file", f"f={tmp_path / 'file'}", "--add-file",
        f"k1={tmp_path / 'file'}",
    )  # fmt: skip
    assert [(key, value) for key, value in records(path) if not key.startswith(b"d")] == [
        (b"f", b"\0content"), (b"k0", b"v0"), (b"k1", b"other"), (b"new", b"a=b"),
    ]  # fmt: skip
    run("edit", "-e", path, "-d", "d", "--set", "k=changed")
    assert records(path, b"d") == [(b"k", b"changed")]
    assert "'novalue' must be KEY=VALUE" in run("edit", path, "--set", "novalue", status=1)


def test_an_edit_that_fails_changes_nothing(run, path):
    before = records(path)
    run("edit", path, "--set", "a=1", "--set-file", "b=/nonexistent", status=1)
    assert records(path) == before


def test_read_refuses_to_write(run, path):
    for words in (["put", path, "a", "b"], ["edit", path], ["load", path],
                  ["restore", path, "d=dump"], ["drop", path, "d"], ["compact", path],
                  ["rename", path, "d", "e"], ["copy-db", path, "d", "e"],
                  ["copy-db", path, "d", "--to", path]):  # fmt: skip
        assert "leave out --read" in run("-r", *words, status=1)
    assert run("-r", "-e", path, "get", "k0") == "v0"


def test_copies(run, path, tmp_path):
    run("copy", "-e", path, tmp_path / "copy", "--compact")
    run("rewrite", "-e", path, "-E", tmp_path / "all")
    run("rewrite", "-e", path, "-E", tmp_path / "some", "d")
    run("rewrite", path, tmp_path / "main", ":main:")
    with open(tmp_path / "stream", "wb") as file:
        command = [sys.executable, "-m", "pylmdb", "copyfd", "-e", path]
        subprocess.run(command, stdout=file, check=True)
        file.seek(0, os.SEEK_END)
    for copy in ("copy", "all", "stream"):
        assert run("diff", path, tmp_path / copy) == ""
    assert records(tmp_path / "some", b"d") == [(b"k", b"in d")]
    assert run("scan", tmp_path / "some") == "d\t(database)\n"
    assert run("scan", tmp_path / "main", "-k") == "k0\nk1\nk2\n"
    assert "no source has the database 'no'" in run(
        "rewrite", path, tmp_path / "none", "no", status=1
    )
    assert not (tmp_path / "none").exists()


def test_drop_of_names(run, path, capfdbinary):
    with pylmdb.open(path) as env:
        for name in (b"e", b"\xff"):
            env.open_db(name)
    assert "'no' does not exist" in run("drop", "-e", path, "d", "no", status=1)
    assert run("ls", path) == "d\ne\n0xff\n", "all or none"
    assert run("drop", "-e", path, "d", "0xff") == "1 record dropped\n"
    assert run("ls", path) == "e\n"
    for words in ([], ["e", "--main"], ["-d", "e", "--main"]):
        with pytest.raises(SystemExit):
            main(["drop", str(path), *words])
    capfdbinary.readouterr()
    assert run("ls", path) == "e\n"


def test_rename(run, path):
    run("rename", path, "d", "0x00ff", status=1)  # names have no NUL
    run("rename", path, "d", "0xff")
    assert run("ls", path) == "0xff\n"
    assert records(path, b"\xff") == [(b"k", b"in d")]
    assert json.loads(run("rename", path, "0xff", "new", "--json")) == {"renamed": True}
    assert "the database 'd' does not exist" in run("rename", path, "d", "e", status=1)
    with pylmdb.open(path) as env:
        env.open_db(b"other")
    assert "other" in run("rename", path, "new", "other", status=1)
    assert records(path, b"new") == [(b"k", b"in d")]


def test_copy_of_a_database(run, path, tmp_path):
    with pylmdb.open(path) as env:
        db = env.open_db(b"tags", dupsort=True)
        with env.begin(write=True) as txn:
            for value in (b"1", b"2"):
                txn.put(b"k", value, db=db)
    assert run("copy-db", path, "tags", "0xff") == "2 records copied\n"
    assert records(path, b"\xff") == records(path, b"tags") == [(b"k", b"1"), (b"k", b"2")]
    assert "does not exist" in run("copy-db", path, "d", "--to", tmp_path / "f", status=1)
    run("copy-db", path, "nope", "--to", tmp_path / "f", "--create", status=1)
    assert not (tmp_path / "f").exists()
    words = ["copy-db", "-e", path, "tags", "--to", tmp_path / "f", "--create", "--json"]
    assert json.loads(run(*words)) == {"records": 2}
    run("copy-db", path, "d", "e", "--to", tmp_path / "f")
    assert run("ls", tmp_path / "f") == "e\ntags\n"
    assert "already" in run("copy-db", path, "d", "e", "--to", tmp_path / "f", status=1)
    with pytest.raises(SystemExit):
        main(["copy-db", path, "d"])


def test_readers_and_warm_and_stat(run, path):
    assert "0 reader slots of dead processes freed" in run("readers", "-e", path, "-c")
    assert " read in " in run("warm", "-e", path)
    assert "entries:        4\n" in run("-e", path, "stat")


def test_watch_csv(run, path):
    lines = run(
        "watch", "-e", path, "--csv", "--interval", "0", "--window", 5, "-n", 2
    ).splitlines()
    assert lines[0] == "time,txnid,entries,used,free_pages,readers"
    assert lines[1].split(",")[2] == "5"
    assert len(lines) == 3


def test_a_single_file(run, tmp_path):
    file = tmp_path / "file.mdb"
    run("put", "-s", file, "k", "v", "--create")
    assert file.is_file()
    assert run("-s", "-e", file, "get", "k") == "v"
    assert run("verify", "-s", file).startswith(f"{file}: ok\n")


@pytest.fixture
def theirs(tmp_path):
    """What py-lmdb's command dumps: the main database, and one with a name."""
    with lmdb.open(str(tmp_path / "t"), max_dbs=2) as env:
        db = env.open_db(b"d")
        with env.begin(write=True) as txn:
            for key, value in ((b"k\n", b"v->"), (b"l" * 300, b"\0" * 5000), (b"m", b"")):
                txn.put(key, value, db=db)
    command = [sys.executable, "-m", "lmdb", "-e", "t", "dump", "d=d.cdb"]
    subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    return tmp_path


def test_restore_of_a_dump_of_py_lmdb(run, theirs, monkeypatch):
    monkeypatch.chdir(theirs)
    assert (
        run("restore", "-e", "new", "--create", "d=d.cdb", ":main:=d.cdb") == "6 records written\n"
    )
    assert records("new", b"d") == records("t", b"d")
    run("dump", "new", "d=again.cdb", ":main:=main.cdbmake")
    assert (theirs / "again.cdb").read_bytes() == (theirs / "d.cdb").read_bytes()
    assert (theirs / "main.cdbmake").read_bytes() == (theirs / "d.cdb").read_bytes()
    run("restore", "other", "--create")
    assert records("other") == records("t", b"d")
    assert "does not exist" in run("restore", "missing", status=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "record 1: it must begin with"),
        (b"+1,1:a->b\n", "record 2: it must begin with"),
        (b"+1,x:a->b\n\n", "record 1: it must begin with"),
        (b"+,1:a->b\n\n", "record 1: it must begin with"),
        (b"+99999999999999999999999,1:a->b\n\n", "record 1: it must begin with"),
        (b"+1,9999999999999999:a->b\n\n", "record 1: it is cut short"),
        (b"+1,1:a=>b\n\n", "record 1: it is cut short"),
        (b"+1,1:a->bc\n\n", "record 1: it is cut short"),
    ],
)
def test_a_damaged_dump(run, tmp_path, text, message):
    (tmp_path / "f").write_bytes(text)
    assert message in run("restore", tmp_path / "e", f"d={tmp_path / 'f'}", "--create", status=1)
    assert not (tmp_path / "e").exists()
