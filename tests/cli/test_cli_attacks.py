# SPDX-License-Identifier: MIT
"""The command line with odd names, values, locales and files: it prints one line with the error,
or output without control characters that every JSON parser reads."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from command_server import CommandServer

import pylmdb

ARRAYS = {
    b"nan": np.array([1.0, np.nan, -np.inf]),
    b"complex": np.array([1j]),
    b"bytes": np.array([b"a\xff\x1b"]),
    b"text": np.array(["\x1b[31m"]),
    b"dates": np.array(["2020-01-01"], dtype="M8[D]"),
    b"records": np.array([(1, b"x")], dtype=[("a", "i4"), ("b", "S3")]),
    b"void": np.zeros(2, "V3"),
    b"long": np.array([1], dtype=np.longdouble),
    b"none": np.array(np.nan),
}
VALUES = {
    b"escape\x1b[31m": b"\x1b]0;title\x07",
    "gr\u00f6\u00dfe".encode(): "\u00e9\u2026\U0001f600".encode(),
    b"\xff": b"\x9b31m",
    b"c1": "\x9b31m\x85".encode(),
    b"delete": b"\x7f",
    b"damaged": b"\x93NUMPY\x01\x00\xff\xff{'descr'",
    b"deep": b"[" * 100_000,
    b"quite-deep": b"[" * 500 + b"]" * 500,
    b"no-number": b"NaN",
    b"surrogate": b'"\\ud800"',
    b"json": '{"a":"\u00e9\\u001b\u009b"}'.encode(),
}
NAMES = [b"na\xff\x1b[31mme", b"two\nlines", "\u00fcn\u00ef".encode()]
LOCALES = {"utf-8": {}, "ascii": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = os.fsencode(tmp_path_factory.mktemp("cli")) + b"/p\xff\x1b[1m"
    with pylmdb.open(path) as env:
        for name in NAMES:
            db = env.open_db(name)
            with env.begin(write=True) as txn:
                txn.put(b"k", b"v", db=db)
        with env.begin(write=True) as txn:
            for key, array in ARRAYS.items():
                file = io.BytesIO()
                np.save(file, array)
                txn.put(key, file.getvalue())
            for key, value in VALUES.items():
                txn.put(key, value)
    return path


OPTIONS = ["-X", "dev", "-W", "error"]


@pytest.fixture(scope="module")
def servers():
    servers = {
        name: CommandServer(*OPTIONS, imported=("numpy", "pylmdb.datasets"), **variables)
        for name, variables in LOCALES.items()
    }
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def call(servers):
    """Runs a command, by default in UTF-8."""
    return lambda *argv, locale="utf-8": servers[locale].run(*argv)


def call_in_shell(*argv, shell="", **options):
    """Run a command from the start of Python, with redirections of the shell."""
    command = ["bash", "-c", f'"$@" {shell}', "-", sys.executable, *OPTIONS, "-m", "pylmdb", *argv]
    return subprocess.run(command, capture_output=True, check=False, **options)


def examine(done, is_json=False):
    """Check that output has no control characters, no traceback, and one line for a failure."""
    out, err = done.stdout.decode(), done.stderr.decode()
    assert all(char.isprintable() or char in "\n\t" for char in out + err), (out, err)
    assert "Traceback" not in err
    assert done.returncode in (0, 1), err
    assert err.count("\n") == done.returncode
    if is_json and not done.returncode:
        for line in out.splitlines() if "scan" in done.args else [out]:
            json.loads(line, parse_constant=pytest.fail)
    return out


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "command",
    ["info", "info --json", "ls", "ls -l", "ls --json", "ls -l --json", "stat -a", "stat -a --json",
     "verify", "verify --json", "dump -l", "dump -p", "watch -n 1", "warm", "readers", "scan -k",
     "scan", "scan --json", "merge NEW", "salvage NEW", "salvage NEW --json"],
)  # fmt: skip
def test_odd_names(call, path, tmp_path, command, locale):
    name, *rest = command.replace("NEW", str(tmp_path / "new")).split()
    done = call(name, path, *rest, locale=locale)
    examine(done, "--json" in rest)
    assert done.returncode == 0, done.stderr
    if command in ("ls", "dump -l"):
        assert done.stdout.count(b"\n") == len(NAMES)
        assert b"0x" + NAMES[0].hex().encode() in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("key", [*ARRAYS, *VALUES], ids=lambda key: ascii(key)[2:-1])
def test_odd_values(call, path, key):
    for form in ("auto", "text", "json", "npy"):
        examine(call("get", path, key, "--json", "--value-format", form), True)
        if form != "auto":
            examine(call("get", path, key, "--value-format", form))
    done = call("get", path, key, "--json")
    assert done.returncode == 0, done.stderr


def test_values_that_json_cannot_represent(call, path):
    values = {key: json.loads(call("get", path, key, "--json").stdout)["value"] for key in ARRAYS}
    assert values[b"nan"]["data"] == [1.0, None, None]
    assert values[b"complex"]["data"] == [[0.0, 1.0]]
    assert values[b"bytes"]["data"] == [{"hex": "61ff1b"}]
    assert values[b"dates"]["data"] == ["2020-01-01"]
    assert values[b"records"]["data"] == [[1, "x"]]


@pytest.mark.parametrize(
    "argv",
    [["get", b"no\x1b\xff"], ["get", "k", "-d", b"no\x1b\xff"], ["put", "q", "[" * 9999,
     "--value-format", "json"], ["put", "q", "1", "--value-format", "npy"],
     ["get", "\x1b", "--key-format", "int"]],
    ids=lambda argv: argv[0],
)  # fmt: skip
def test_a_failure_prints_one_line(call, path, argv):
    done = call(argv[0], path, *argv[1:])
    assert done.returncode == 1
    examine(done)


ODD = "\x1b]0;title\x07\x1b[31m\n\x9b1m\udcff"


@pytest.mark.parametrize(
    "argv",
    [
        [ODD], ["info", "PATH", ODD], ["info", "PATH", "--" + ODD],
        ["info", "PATH", "--json=" + ODD],
        ["scan", "PATH", "-n", ODD], ["scan", "PATH", "--key-format", ODD], ["merge", ODD],
        ["convert", "a", "b", "--to", ODD], ["watch", "PATH", "-i", ODD], ["completion", ODD],
        ["import", ODD], ["import", "npz", "a", "b", "--" + ODD], ["drop", "PATH", "-" + ODD],
        ["import", "npz", "a", "b", "--layout", ODD], ["export", "npz", "a", "b", ODD],
        ["import", "images", "a", "b", "--resize", ODD], ["load", "PATH", "--lib-version", ODD],
    ],
    ids=lambda argv: " ".join(map(ascii, argv))[:40],
)  # fmt: skip
def test_control_characters_of_wrong_usage_are_escaped(call, path, argv):
    argv = [path if word == "PATH" else os.fsencode(word) for word in argv]
    done = call(*argv)
    assert done.returncode == 2
    out = (done.stdout + done.stderr).decode()
    assert all(char.isprintable() or char == "\n" for char in out), ascii(out)
    assert "Traceback" not in out
    assert done.stderr.splitlines()[-1].startswith(b"pylmdb")


def on_terminal(*argv):
    """Return what a command writes to a terminal, and its exit status."""
    pty = pytest.importorskip("pty")
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "pylmdb", *argv]
    done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, check=False)
    os.close(terminal)
    found = b""
    try:
        while part := os.read(reader, 65536):
            found += part
    except OSError:  # the end of the output
        pass
    os.close(reader)
    return found, done


@pytest.mark.parametrize("options", [["-a"], ["-A", "-p"], ["-s", NAMES[0]], ["-l"]], ids=str)
def test_a_dump_on_a_terminal(call, tmp_path, options):
    """Lines with names of databases are escaped; a file or a pipe gets the bytes."""
    with pylmdb.open(tmp_path / "env") as env:
        for name in (NAMES[0], b"carriage\rreturn"):
            db = env.open_db(name)
            with env.begin(write=True) as txn:
                txn.put(b"\x1b", b"v", db=db)
    shown, _ = on_terminal("dump", tmp_path / "env", *options)
    assert b"\x1b" not in shown
    written = b"0x" + NAMES[0].hex().encode() if options == ["-l"] else rb"na\xff\x1b[31mme"
    assert written in shown
    assert b"\r" not in shown.replace(b"\r\n", b"")
    plain = call("dump", tmp_path / "env", *options).stdout
    assert options == ["-l"] or NAMES[0] in plain


def test_a_copy_is_not_written_to_a_terminal(path):
    shown, done = on_terminal("copy", path, "-")
    assert (shown, done.returncode) == (b"", 1)
    assert b"a copy cannot be written to a terminal" in done.stderr


COMMANDS = ["ls", "info", "scan", "dump", "verify", "stat", "readers", "warm", "watch -n 1"]
# What Python does at its start if the stream is closed, and a pipe that nothing reads.
CLOSED = "import os, sys; os.close(1); sys.stdout = sys.__stdout__ = None"
UNREAD = "import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r); os.close(w)"


@pytest.mark.parametrize("command", COMMANDS)
def test_streams_that_are_closed(servers, path, command):
    name, *rest = command.split()
    done = servers["utf-8"].run(name, path, *rest, before=CLOSED)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert pylmdb.verify(path).ok
    done = servers["utf-8"].run(name, path, *rest, before=UNREAD)
    assert done.returncode in (0, 1)
    assert not done.stderr


def test_streams_that_the_shell_closes(path):
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        done = call_in_shell("scan", path, shell=closed)
        assert (done.returncode, done.stderr) == (0, b"")
    assert pylmdb.verify(path).ok
    done = call_in_shell("scan", path, shell="| true; exit ${PIPESTATUS[0]}")
    assert done.returncode in (0, 1)
    assert not done.stderr


def test_a_full_disk(path):
    done = call_in_shell("ls", path, shell=">/dev/full")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert call_in_shell("info", "missing", shell="2>/dev/full").returncode == 1


def test_a_time_of_zero(call, path):
    assert call("watch", path, "-n", "0").stdout.count(b"\n") == 1
    for argv in (["watch", path, "-i", "nan"], ["watch", path, "-i", "-1"],
                 ["watch", path, "-n", "-1"], ["bench", path, "--seconds", "nan"]):  # fmt: skip
        assert call(*argv).returncode == 2


def test_a_statement_at_the_end_of_a_script(path):
    done = call_in_shell("shell", path, input=b"for i in range(3):\n    print(i)")
    assert done.stdout == b"0\n1\n2\n"


def test_bash_completes_names_with_blanks(call, tmp_path):
    """The script leaves them to readline, which quotes them; bash would split our words."""
    script = call("completion", "bash").stdout.decode()
    (tmp_path / "a b").touch()
    words = "COMP_WORDS=(pylmdb scan a); COMP_CWORD=2"
    program = f"{script}\n{words}; _pylmdb; echo ${{#COMPREPLY[@]}}; complete -p"
    command = ["bash", "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, text=True)
    assert done.stdout == "0\ncomplete -o default -F _pylmdb pylmdb\n"


def test_a_value_on_a_terminal(path):
    """It is shown as by scan; files and pipes get the bytes."""
    pty = pytest.importorskip("pty")
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "pylmdb", "get", path, b"escape\x1b[31m"]
    subprocess.run(command, stdout=terminal, check=True)
    os.close(terminal)
    assert os.read(reader, 1000) == b"0x1b5d303b7469746c6507\r\n"
    os.close(reader)


def test_a_limit_may_be_any_number(run, tmp_path):
    path = str(tmp_path / "env")
    run("put", "--create", path, "key", "value")
    assert "key" in run("scan", path, "--limit", str(10**30))
