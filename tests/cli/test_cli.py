# SPDX-License-Identifier: MIT
"""The command line: commands on records, their output, and their failures."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import pylmdb
from pylmdb.cli import main


@pytest.fixture
def path(tmp_path, lib_version):
    """Return an environment with ordinary records and two databases."""
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env:
        numbers = env.open_db(b"numbers", integerkey=True, integerdup=True)
        texts = env.open_db("märchen".encode())
        with env.begin(write=True) as txn:
            for i in range(5):
                txn.put(b"key%d" % i, b"value %d" % i)
                txn.put(
                    i.to_bytes(8, sys.byteorder), (i * i).to_bytes(4, sys.byteorder), db=numbers
                )
            txn.put("größe".encode(), b'{"a": [1, "\xc3\xa4"]}', db=texts)
            txn.put(b"raw", b"\x00\xff\n", db=texts)
            txn.put(b"tab", b"a\tb\\\n", db=texts)
            txn.put_array(b"array", np.arange(3, dtype="f4"), db=texts)
    return str(tmp_path / "e")


@pytest.fixture
def run(capfdbinary):
    """Runs a command in this process; returns what it printed, as str."""

    def call(*argv, status=0, binary=False):
        assert main([str(each) for each in argv]) == status
        out, err = capfdbinary.readouterr()
        if status:
            assert not out
            assert err.count(b"\n") == 1
            return err.decode()
        assert not err
        return out if binary else out.decode()

    return call


def records(path, name=None):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return [*txn.cursor(env.open_db(name, txn, create=False))]


# -- looking -------------------------------------------------------------------------------


def test_info(run, path, lib_version):
    text = run("info", path)
    assert f"format:      LMDB {['0.9', '1.0'][lib_version]}\n" in text
    assert (
        "numbers         5      1      1  4.0 KiB  integerkey integerdup dupfixed"
        in text.replace("dupsort ", "")
    )
    found = json.loads(run("info", path, "--json"))
    assert found["file_size"] == os.stat(os.path.join(path, "data.mdb")).st_size
    assert found["page_size"] == 4096
    assert found["checksums"] is False
    assert "checksums:   no\n" in text
    assert [each["name"] for each in found["databases"]] == [None, "märchen", "numbers"]
    assert [each["entries"] for each in found["databases"]] == [7, 4, 5]


def test_ls(run, path):
    assert run("ls", path) == "märchen\nnumbers\n"
    assert json.loads(run("ls", path, "--json")) == ["märchen", "numbers"]
    assert json.loads(run("ls", path, "-l", "--json"))[1]["flags"] == []
    assert run("ls", "-l", path).startswith("database  entries")


def test_stat(run, path):
    assert "entries:        7\n" in run("stat", path)
    assert json.loads(run("stat", path, "-d", "numbers", "--json"))["entries"] == 5
    assert len(json.loads(run("stat", path, "--all", "--json"))) == 3


def test_readers(run, path):
    assert run("readers", path) == "no readers\n"
    source = "import sys, pylmdb; t = pylmdb.open(sys.argv[1]).begin(); print(flush=True); input()"
    command = [sys.executable, "-c", source, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        (row,) = json.loads(run("readers", path, "--json"))["readers"]
        assert row["pid"] == reader.pid
        assert str(reader.pid) in run("readers", path)
        reader.kill()
        reader.wait()
    # opening an environment clears the slots of dead processes
    assert json.loads(run("readers", path, "--clean", "--json")) == {"readers": [], "freed": 0}


# -- records -------------------------------------------------------------------------------


def test_scan(run, path):
    args = ("scan", path, "--prefix", "key")
    assert run(*args, "-n", 2) == "key0\tvalue 0\nkey1\tvalue 1\n"
    assert run(*args, "-n", 2, "-r", "-k") == "key4\nkey3\n"
    assert run("scan", path, "--start", "key1", "--stop", "key3", "-k") == "key1\nkey2\n"
    assert run(*args, "--width", 4, "-n", 1) == "key0\tval… (7 bytes)\n"
    assert run(*args, "-n", 0) == ""
    lines = run(*args, "--json").splitlines()
    assert json.loads(lines[0]) == {"key": "key0", "value": "value 0"}
    assert len(lines) == 5


def test_formats(run, path):
    assert run("scan", path, "-d", "numbers", "--start", 1, "--stop", 3) == "1\t1\n2\t4\n"
    args = ("scan", path, "-d", "märchen")
    assert run(*args).splitlines() == [
        "array\tfloat32 (3,) [0. 1. 2.]",
        'größe\t{"a": [1, "ä"]}',
        "raw\t0x00ff0a",
        "tab\ta\\tb\\\\\\n",
    ]
    found = [json.loads(line) for line in run(*args, "--json").splitlines()]
    assert found[0]["value"] == {"dtype": "float32", "shape": [3], "data": [0.0, 1.0, 2.0]}
    assert found[2] == {"key": "raw", "value": {"hex": "00ff0a"}}
    one = ("get", path, "-d", "märchen")
    assert run(*one, "raw", "--value-format", "hex") == "00ff0a\n"
    assert run(*one, "größe", "--value-format", "json") == '{"a": [1, "ä"]}\n'
    assert json.loads(run(*one, "größe", "--value-format", "json", "--json"))["value"]["a"][0] == 1
    assert run(*one, "726177", "--key-format", "hex", binary=True) == b"\x00\xff\n"
    assert "not text in UTF-8" in run(*one, "raw", "--value-format", "text", status=1)
    assert "not JSON" in run(*one, "raw", "--value-format", "json", status=1)
    assert "not an integer: 3 bytes, not 1, 2, 4 or 8" in run(
        *one, "raw", "--value-format", "int", status=1
    )


def test_get(run, path):
    assert run("get", path, "key1", binary=True) == b"value 1"
    assert run("get", path, "-d", "märchen", "raw", binary=True) == b"\x00\xff\n"
    assert run("get", path, "key9", status=1) == "pylmdb get: the key 'key9' does not exist\n"
    assert "'missing'" in run("get", path, "-d", "missing", "k", status=1)


def test_put_and_del(run, path, tmp_path):
    run("put", path, "new", "größe")
    assert run("get", path, "new") == "größe"
    (tmp_path / "value").write_bytes(b"\x00from a file")
    run("put", path, "new", "-f", tmp_path / "value")
    assert run("get", path, "new", binary=True) == b"\x00from a file"
    assert "its value was kept" in run("put", path, "new", "x", "-N", status=1)
    run("put", path, "10", "100", "-d", "numbers")
    assert records(path, b"numbers")[-1] == (
        (10).to_bytes(8, sys.byteorder), (100).to_bytes(4, sys.byteorder)
    )  # fmt: skip
    run("put", path, "0x41", "-1", "--key-format", "hex", "--value-format", "signed")
    assert run("get", path, "A", binary=True) == b"\xff" * 8
    assert "the database 'fresh' does not exist" in run(
        "put", path, "k", "v", "-d", "fresh", status=1
    )
    run("put", path, "k", "v", "-d", "fresh", "--create")
    assert records(path, b"fresh") == [(b"k", b"v")]
    run("del", path, "new")
    assert "the record 'new' does not exist" in run("del", path, "new", status=1)
    assert json.loads(run("del", path, "A", "--json")) == {"deleted": True}


def test_del_of_one_value(run, path):
    with pylmdb.open(path) as env:
        db = env.open_db(b"d", dupsort=True)
        with env.begin(write=True) as txn:
            for value in (b"1", b"2"):
                txn.put(b"k", value, db=db)
    assert "the record 'k' does not exist" in run("del", path, "k", "", "-d", "d", status=1)
    run("del", path, "k", "1", "-d", "d")
    assert records(path, b"d") == [(b"k", b"2")]


def test_standard_input(run_alone, path):
    assert run_alone("put", path, "k", "-f", "-", input=b"piped\n").returncode == 0
    assert dict(records(path))[b"k"] == b"piped\n"


# -- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["info", "ls", "stat", "readers", "scan", "get K", "put K V", "del K", "dump", "compact",
     "copy D", "drop --main", "warm", "watch", "bench", "shell", "shell -w"],
)  # fmt: skip
def test_no_environment_is_created_by_mistake(run, tmp_path, command):
    name, *rest = command.split()
    missing = tmp_path / "missing"
    text = run(name, missing, *rest, status=1)
    hint = "; --create creates it" if name == "put" else ""
    assert text == f"pylmdb {name}: '{missing}' does not exist{hint}\n"
    missing.mkdir()
    assert f"the directory '{missing}' has no data.mdb" in run(name, missing, *rest, status=1)
    assert os.listdir(missing) == []


def test_a_directory_without_permission_is_not_called_empty(run, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root has every permission
    text = run("info", tmp_path, status=1)
    assert text.startswith(f"pylmdb info: '{tmp_path}': this process has no permission to search")


def test_put_creates_an_environment_with_create(run, tmp_path):
    run("put", tmp_path / "new", "k", "v", "--create")
    assert records(tmp_path / "new") == [(b"k", b"v")]


def test_a_file_that_is_not_an_environment(run, tmp_path):
    (tmp_path / "text").write_text("no LMDB file" * 1000)
    assert "MDB_INVALID" in run("ls", tmp_path / "text", status=1)


@pytest.mark.parametrize("argv", [[], ["frobnicate"], ["scan"], ["scan", "x", "--limit", "-1"]])
def test_wrong_usage(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "usage: pylmdb" in capsys.readouterr().err


def test_the_program(path):
    command = [sys.executable, "-m", "pylmdb"]
    assert subprocess.check_output([*command, "ls", path]).decode() == "märchen\nnumbers\n"
    installed = os.path.join(os.path.dirname(sys.executable), "pylmdb")
    version = subprocess.check_output([installed, "--version"], text=True)
    assert version == f"pylmdb {pylmdb.__version__}\n"
    done = subprocess.run([*command, "get", path, "missing"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pylmdb get: the key 'missing' does not exist\n"


def test_a_pipe_that_closes(tmp_path):
    with pylmdb.open(tmp_path / "e") as env, env.begin(write=True) as txn:
        for i in range(20000):
            txn.put(b"%08d" % i, b"v" * 50)
    command = f"{sys.executable} -m pylmdb scan {tmp_path / 'e'} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout[:9], done.stderr) == ("00000000\t", "")


def test_a_terminal_gets_tables(path):
    """Tables by rich, with a line of headings; a pipe gets plain text."""
    import pty

    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    command = [sys.executable, "-m", "pylmdb", "ls", "-l", path]
    with subprocess.Popen(command, stdout=child, env=environment) as process:
        process.wait()
    os.close(child)
    shown = os.read(parent, 1 << 16).decode()
    os.close(parent)
    assert "\x1b[1m" in shown, "headings are bold"
    assert "märchen" in shown
