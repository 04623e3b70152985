# SPDX-License-Identifier: MIT
"""The commands backup, restore and backup-info."""

import json
import os
import subprocess
import sys
from datetime import datetime

import pytest

import pylmdb
from pylmdb.cli import main


@pytest.fixture
def paths(env, run, tmp_path):
    """A full backup and an increment; each has 100 records more."""
    made = []
    for i in range(2):
        with env.begin(write=True) as txn:
            for k in range(100 * i, 100 * i + 100):
                txn.put(b"%05d" % k, b"v" * 50)
        made.append(tmp_path / f"{i}.backup")
        since = ["--since", made[0]] if i else []
        text = run("backup", env.path(), made[-1], *since)
        assert text.endswith("pages\n")
        assert " written, " in text
    return made


def count(path):
    with pylmdb.open(path, readonly=True) as env:
        return env.stat().entries


def test_backup_and_restore(paths, env, run, tmp_path):
    assert run("restore", tmp_path / "new", *paths).startswith("transaction 2 of 2")
    assert count(tmp_path / "new") == 200
    run("restore", tmp_path / "first", *paths, "--until", "1")
    assert count(tmp_path / "first") == 100
    found = json.loads(run("restore", "--json", "-s", tmp_path / "file", *paths))
    assert found["txnid"] == 2
    assert os.path.isfile(tmp_path / "file")
    message = run("restore", tmp_path / "first", *paths, status=1)
    assert message.endswith("'{}' exists; --overwrite replaces it [File exists]\n".format(
        tmp_path / "first"))  # fmt: skip
    run("restore", tmp_path / "first", *paths, "--overwrite")
    assert count(tmp_path / "first") == 200


def test_until_a_time(paths, run, tmp_path):
    times = [pylmdb.backup_info(each).time.isoformat() for each in paths]
    run("restore", tmp_path / "new", *paths, "--until", times[0])
    assert count(tmp_path / "new") == 100
    message = run("restore", tmp_path / "no", *paths, "--until", "2001-02-03 04:05", status=1)
    assert "--until 2001-02-03 04:05:00 is before the full backup" in message
    with pytest.raises(SystemExit):
        main(["restore", str(tmp_path / "no"), str(paths[0]), "--until", "yesterday"])


def test_until_what_is_no_time_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["restore", "no", "file", "--until", "yesterday"])
    message = capsys.readouterr().err
    assert "'yesterday' is neither the number of a transaction nor a time" in message


def test_backup_info(paths, run, tmp_path):
    text = run("backup-info", *paths, "--check")
    assert f"{paths[0]}: full backup" in text
    assert f"{paths[1]}: increment since transaction 1" in text
    first, second = json.loads(run("backup-info", *paths, "--json"))
    assert second["parent"] == first["identity"]
    datetime.fromisoformat(first["time"])
    data = bytearray(paths[1].read_bytes())
    data[len(data) // 2] ^= 1
    paths[1].write_bytes(data)
    assert "is damaged: the content of page" in run("backup-info", paths[1], "--check", status=1)
    assert "is damaged" in run("restore", tmp_path / "new", *paths, status=1)
    assert not os.path.exists(tmp_path / "new")


def test_standard_output_and_input(env, tmp_path):
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    command = [sys.executable, "-m", "pylmdb"]
    backup = subprocess.Popen([*command, "backup", env.path(), "-"], stdout=subprocess.PIPE)
    restore = subprocess.run(
        [*command, "restore", tmp_path / "new", "-"], stdin=backup.stdout, check=False
    )
    backup.stdout.close()
    assert (backup.wait(), restore.returncode) == (0, 0)
    assert count(tmp_path / "new") == 1


def test_refusals(paths, env, run, tmp_path):
    message = run("backup", env.path(), paths[0], status=1)
    assert message == (
        f"pylmdb backup: '{paths[0]}' exists; --overwrite replaces it [File exists]\n"
    )
    message = run("backup", env.path(), tmp_path / "b", "--max-seconds", "0", status=1)
    assert "(--max-seconds); allow more time, or make an increment (--since)" in message
    assert "does not exist" in run("restore", tmp_path / "new", tmp_path / "none", status=1)
    assert "give the full backup first" in run("restore", tmp_path / "new", paths[1], status=1)
    swapped = run("restore", paths[0], tmp_path / "new", status=1)
    assert swapped.endswith("give the path of the environment first, and then the backups\n")
    for words in (
        [paths[0], "db=file"],
        [paths[0], "--create"],
        [paths[0], "--checksums"],
        [paths[0], "--page-size", "512"],
        [],
        ["db=file", "--until", "3"],
        ["--overwrite"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["restore", str(tmp_path / "new"), *map(str, words)])
        assert ended.value.code == 2


def test_restore_without_files_says_what_is_missing(run, tmp_path, capfdbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["restore", "new"])
    assert b"no FILE is given; give a full backup" in capfdbinary.readouterr().err
    (tmp_path / "main.cdbmake").write_text("+1,1:a->b\n\n")
    assert "'new' does not exist; --create creates it" in run("restore", "new", status=1)


def test_restore_creates_an_environment_of_another_kind(run, tmp_path):
    (tmp_path / "text").write_text("+1,1:a->b\n\n")
    run("restore", tmp_path / "new", f":main:={tmp_path / 'text'}", "--create", "--checksums",
        "--page-size", "8192")  # fmt: skip
    with pylmdb.open(tmp_path / "new") as env:
        assert (env.checksums, env.info().page_size) == (True, 8192)
