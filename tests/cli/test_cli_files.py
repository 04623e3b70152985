# SPDX-License-Identifier: MIT
"""The command line: commands on whole files, and commands that run for some time."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import pylmdb
from pylmdb.cli import main


@pytest.fixture
def path(tmp_path, lib_version):
    """Return an environment with ordinary records and a database, and free pages."""
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env:
        db = env.open_db(b"d", dupsort=True)
        with env.begin(write=True) as txn:
            for i in range(2000):
                txn.put(b"%05d" % i, b"v" * 50)
            txn.put(b"k", b"1", db=db)
            txn.put(b"k", b"2", db=db)
        with env.begin(write=True) as txn:
            for i in range(10, 2000):
                txn.delete(b"%05d" % i)
    return str(tmp_path / "e")


@pytest.fixture
def run(capfdbinary):
    """Runs a command in this process; returns what it printed."""

    def call(*argv, status=0):
        assert main([str(each) for each in argv]) == status
        out, err = capfdbinary.readouterr()
        assert bool(err) == bool(status)
        return err.decode() if status else out

    return call


def content(path):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        db = env.open_db(b"d", txn, create=False)
        return [key for key, _ in txn.cursor()][:10], [*txn.cursor(db)]


def test_dump_is_mdb_dump(run, tool, tmp_path):
    with pylmdb.open(tmp_path / "e") as env:
        db = env.open_db(b"d", dupsort=True)
        with env.begin(write=True) as txn:
            txn.put(b"a", b"\x00b")
            txn.put(b"k", b"1", db=db)
    path = tmp_path / "e"
    for flags in ([], ["-p"], ["-a"], ["-a", "-p"], ["-l"], ["-s", "d"], ["-p", "-s", "d"]):
        assert run("dump", *flags, path) == tool("mdb_dump", *flags, path, text=b"")
        assert run("dump", *flags, "-n", path / "data.mdb") == run("dump", *flags, path)
    run("dump", "-f", tmp_path / "text", path)
    assert (tmp_path / "text").read_bytes() == run("dump", path)
    assert run("dump", "-A", path).count(b"HEADER=END") == 2
    with pylmdb.open(tmp_path / "plain"):
        pass
    assert "no named databases" in run("dump", "-a", tmp_path / "plain", status=1)


def test_load_is_mdb_load(run, tool, tmp_path):
    text = tmp_path / "text"
    text.write_bytes(b"VERSION=3\nformat=print\ntype=btree\nHEADER=END\n b\n 1\n a\n 2\nDATA=END\n")
    plain = tmp_path / "plain"
    plain.write_bytes(b"b\n3\nc\n4\n")
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    for flags in (["-f", text], ["-s", "d", "-f", text], ["-N", "-T", "-f", plain],
                  ["-T", "-s", "d", "-f", plain]):  # fmt: skip
        run("load", *flags, tmp_path / "ours")
        tool("mdb_load", *flags, tmp_path / "theirs")
        for which in (["-p"], ["-p", "-s", "d"])[: 1 + ("-s" in flags)]:
            ours = run("dump", *which, tmp_path / "ours").partition(b"HEADER=END")[2]
            theirs = tool("mdb_dump", *which, tmp_path / "theirs", text=b"")
            if which == ["-p"]:
                continue  # it shows where pages lie
            assert ours == theirs.partition(b"HEADER=END")[2]
    assert run("load", "-n", "-f", text, tmp_path / "file.mdb") == b"2 records written\n"
    assert (tmp_path / "file.mdb").is_file()
    run("load", "-a", "-f", text, tmp_path / "own-order")
    assert run("scan", "-k", tmp_path / "own-order") == b"b\na\n"
    assert "line 5" in run("load", "-T", "-f", text, tmp_path / "bad", status=1) or True
    (tmp_path / "broken").write_bytes(b"VERSION=3\n")
    assert "load: line 1" in run("load", "-f", tmp_path / "broken", tmp_path / "bad", status=1)


def test_load_from_a_pipe(path, tmp_path):
    program = f"{sys.executable} -m pylmdb"
    command = f"{program} dump -A {path} | {program} load --lib-version 1 {tmp_path / 'copy'}"
    subprocess.run(command, shell=True, check=True)
    assert content(tmp_path / "copy") == content(path)


def test_copy_and_compact(run, path, tmp_path):
    def size(name):
        return os.stat(tmp_path / name / "data.mdb").st_size

    run("copy", path, tmp_path / "same")
    assert run("copy", "-c", path, tmp_path / "small").endswith(b" written\n")
    assert size("small") < size("same") == size("e")
    assert content(tmp_path / "small") == content(path)
    assert "does not overwrite" in run("copy", path, tmp_path / "small", status=1)
    done = json.loads(run("compact", path, "--json"))
    assert done["after"] == size("e") == size("small") < done["before"]
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-m", "pylmdb", "copy", path, "-"], stdout=out, check=True)
    assert content(tmp_path / "out") == content(path)


def test_merge_and_convert(run, path, tmp_path, lib_version):
    with pylmdb.open(tmp_path / "f", lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put(b"00000", b"other")
        txn.put(b"zzz", b"")
    other = tmp_path / "f"
    assert "different values" in run("merge", path, other, tmp_path / "g", status=1)
    run("merge", path, other, tmp_path / "g", "--on-conflict", "last")
    assert run("get", tmp_path / "g", "00000") == b"other"
    assert json.loads(run("merge", other, tmp_path / "g", "--json")) == {"records": 0}
    assert "'nope' does not exist" in run("merge", "nope", other, tmp_path / "h", status=1)
    run("convert", tmp_path / "g", tmp_path / "h", "--to", ["1.0", "0.9"][lib_version])
    assert (
        json.loads(run("info", tmp_path / "h", "--json"))["format"]
        != json.loads(run("info", tmp_path / "g", "--json"))["format"]
    )
    assert content(tmp_path / "h") == content(tmp_path / "g")


def test_page_sizes_and_checksums_of_new_files(run, path, tmp_path):
    run("dump", path, "-A", "-f", tmp_path / "dump")
    options = "--page-size", "16384", "--checksums"
    for name, words in {
        "converted": ("convert", path, tmp_path / "converted"),
        "merged": ("merge", path, tmp_path / "merged"),
        "rewritten": ("rewrite", path, tmp_path / "rewritten"),
        "loaded": ("load", tmp_path / "loaded", "-f", tmp_path / "dump"),
    }.items():
        run(*words, *options)
        assert content(tmp_path / name) == content(path)
        report = json.loads(run("verify", tmp_path / name, "--deep", "--json"))
        assert (report["page_size"], report["checksums"], report["ok"]) == (16384, True, True)
    assert b"/s" in run("verify", tmp_path / "merged", "--deep")
    assert "power of two" in run("convert", path, tmp_path / "x", "--page-size", "5", status=1)


@pytest.mark.parametrize(
    "words",
    ["import csv table.csv new", "import jsonl lines new", "import memmap rows.npy new",
     "put new key value --create", "copy-db small name --to new --create"],
)  # fmt: skip
def test_new_files_of_commands_that_store_records(words, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "lines").write_text('{"key": "a", "value": "b"}\n')
    np.save(tmp_path / "rows.npy", np.zeros((2, 2)))
    with pylmdb.open(tmp_path / "small") as env:
        env.open_db(b"name")
    run(*words.split(), "--page-size", "8192", "--checksums")
    with pylmdb.open(tmp_path / "new", readonly=True) as env:
        assert (env.info().page_size, env.checksums) == (8192, True)


def test_drop(run, path):
    with pylmdb.open(path) as env:
        env.copy_db(b"d", b"e")
    for words in (["-d", "d"], ["e"]):
        assert run("drop", path, *words, "--empty") == b"2 records dropped\n"
        assert run("ls", path) == b"d\ne\n"
    for words, left in ((["-d", "d"], b"e\n"), (["e"], b"")):
        run("drop", path, *words)
        assert run("ls", path) == left
    run("drop", path, "--main")
    assert run("scan", path) == b""
    assert "the database 'missing' does not exist" in run("drop", path, "-d", "missing", status=1)


def test_verify(run, path):
    assert run("verify", path).startswith(f"{path}/data.mdb: ok\n".encode())
    assert json.loads(run("verify", path, "--json"))["ok"] is True


def test_verify_reports_the_damage(path, capsys):
    with open(os.path.join(path, "data.mdb"), "r+b") as file:
        file.truncate(os.stat(file.fileno()).st_size // 2)
    assert main(["verify", path]) == 1
    out, err = capsys.readouterr()
    assert "data.mdb: damaged" in out
    assert err == f"pylmdb verify: {path!r} is damaged; pylmdb salvage saves what can be read\n"


def test_salvage(run, path, tmp_path, capfdbinary):
    dest = str(tmp_path / "saved")
    assert run("salvage", path, dest).startswith(
        f"{path}/data.mdb: 12 records saved to {dest!r}, nothing was lost\n".encode()
    )
    assert content(dest) == content(path)
    assert run("salvage", path, dest, status=1).endswith("name a path that does not exist\n")
    with open(os.path.join(path, "data.mdb"), "r+b") as file:
        file.truncate(os.stat(file.fileno()).st_size // 2)
    assert main(["salvage", path, f"{dest}2", "--json"]) == 1
    out, err = capfdbinary.readouterr()
    assert json.loads(out)["ok"] is False
    assert err.decode() == f"pylmdb salvage: not everything in {path!r} could be saved\n"
    assert pylmdb.verify(f"{dest}2").ok


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no LMDB file" * 1000, "is not an LMDB file: it has no meta page"),
        (b"short", "is too short to be an LMDB file"),
    ],
)
def test_verify_of_a_file_that_is_none(run, tmp_path, content, message, capfdbinary):
    (tmp_path / "file").write_bytes(content)
    assert run("verify", tmp_path / "file", status=1) == (
        f"pylmdb verify: '{tmp_path / 'file'}' {message}\n"
    )
    assert main(["verify", str(tmp_path / "file"), "--json"]) == 1
    assert json.loads(capfdbinary.readouterr().out)["format"] is None


def test_warm(run, path):
    used = json.loads(run("info", path, "--json"))["used"]
    assert json.loads(run("warm", path, "--json"))["bytes"] >= used


def test_watch(run, path):
    lines = run("watch", path, "-n", 2, "-i", 0.01).decode().splitlines()
    assert lines[0].split("\t") == ["time", "txnid", "entries", "used", "free_pages", "readers"]
    assert len(lines) == 3
    assert lines[1].split("\t")[2] == "13"
    assert json.loads(run("watch", path, "-n", 1, "--json"))["entries"] == 13


def test_ctrl_c(path):
    command = [sys.executable, "-m", "pylmdb", "watch", path, "-i", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b""


def test_bench(run, path):
    rows = json.loads(run("bench", path, "--seconds", 0.001, "--json"))
    assert {row["case"] for row in rows} == {"get", "get_many", "scan keys", "scan"}
    assert all(row["records"] >= 11 and row["ns"] > 0 for row in rows)
    assert b"per second" in run("bench", path, "-d", "d", "--seconds", 0.001)
    run("drop", path, "-d", "d", "--empty")
    assert "no records" in run("bench", path, "-d", "d", status=1)


@pytest.fixture
def in_shell(run_alone):
    """Runs statements in the shell; returns what it printed to stdout and to stderr."""

    def call(path, source, *flags):
        done = run_alone("shell", path, *flags, input=source.encode())
        assert done.returncode == 0
        return done.stdout.decode(), done.stderr.decode()

    return call


def test_shell(in_shell, path):
    source = (
        "env.dbs()\n.get k -d d\nfor i in range(2):\n    print(i)\n\n.ls\ntxn.get(b'00001')[:3]\n"
    )
    out, err = in_shell(path, source)
    assert out == "[b'd']\n10\n1\nd\nb'vvv'\n"
    assert err == ""
    out, err = in_shell(path, ".frobnicate\n.get 'open\n.help\n1 + 1\nenv.begin(write=True)\n")
    assert "there is no command 'frobnicate'; the commands are info, ls" in err
    assert "No closing quotation" in err
    assert "ReadonlyError" in err
    assert "commands:" in out
    assert out.endswith("2\n")
    source = "with env.begin(write=True) as t:\n    t.put(b'n', b'1')\n\n"
    source += "txn.get(b'n')\nrenew()\ntxn.get(b'n')\n"
    assert in_shell(path, source, "-w")[0] == "True\nb'1'\n"


def test_a_shell_has_the_databases_by_name(in_shell, path):
    with pylmdb.open(path) as env:
        for name in (b"env", b"print", b"no name", b"\xff"):
            env.open_db(name)
    source = "txn.get(b'k', db=d)\ndbs['d'] is d\nsorted(dbs)\nenv.path() == ENV.path()\nprint(1)\n"
    out, err = in_shell(path, source)
    assert err == ""
    assert out == "b'1'\nTrue\n['0xff', 'd', 'env', 'no name', 'print']\nTrue\n1\n"
    source = "db = env.open_db(b'new')\nprint('new' in dbs)\nrenew()\ndbs['new'].name\n"
    assert in_shell(path, source, "-w")[0] == "False\nb'new'\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell):
    script = run("completion", shell).decode()
    for word in ("merge", "--on-conflict" if shell != "fish" else "-l on-conflict"):
        assert word in script


def test_completion_in_bash(run, tmp_path):
    (tmp_path / "script").write_bytes(run("completion", "bash"))
    program = """
        source ./script
        COMP_WORDS=(pylmdb com) COMP_CWORD=1; _pylmdb; echo ${COMPREPLY[@]}
        COMP_WORDS=(pylmdb scan x --rev) COMP_CWORD=3; _pylmdb; echo ${COMPREPLY[@]}
    """
    command = ["bash", "-ec", program]
    out = subprocess.check_output(command, cwd=tmp_path, text=True)
    assert out == "compact completion\n--reverse\n"
