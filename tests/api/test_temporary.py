# SPDX-License-Identifier: MIT
"""open(temporary=True): an environment that is removed with its last user."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile

import pytest

import pylmdb


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Return the directory for temporary files, which is empty."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    monkeypatch.setenv("TMPDIR", str(made))
    return made


@pytest.fixture
def open_temporary(open_env):
    return lambda path=None, **options: open_env(path, temporary=True, **options)


def put(env, key=b"k"):
    with env.begin(write=True) as txn:
        txn.put(key, b"v")


def run(program, code=0):
    done = subprocess.run(
        [sys.executable, "-c", "import os, pylmdb\n" + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, ""), done
    return done.stdout


def test_it_is_a_private_directory_until_it_is_closed(open_temporary, folder):
    env = open_temporary()
    put(env)
    assert os.listdir(folder) == [os.path.basename(env.path())]
    assert os.stat(env.path()).st_mode & 0o777 == 0o700
    assert sorted(os.listdir(env.path())) == ["data.mdb", "lock.mdb"]
    assert env.flags().sync is False
    env.close()
    assert os.listdir(folder) == []
    env.close()


def test_it_has_the_path_that_is_given(open_temporary, tmp_path, folder):
    env = open_temporary(tmp_path / "mine", mode=0o750)
    put(env)
    assert os.stat(tmp_path / "mine").st_mode & 0o777 == 0o750
    assert os.listdir(folder) == []
    env.close()
    assert not (tmp_path / "mine").exists()


def test_the_last_user_removes_it(open_temporary, open_env, folder):
    first = open_temporary()
    put(first)
    second = open_env(first.path())
    first.close()
    put(second, b"more")
    assert second.stat().entries == 2
    second.close()
    assert os.listdir(folder) == []


def test_a_dropped_one_is_removed(lib_version, folder):
    env = pylmdb.open(temporary=True, lib_version=lib_version)
    put(env)
    del env
    gc.collect()
    assert os.listdir(folder) == []


def test_a_with_block_and_views(open_temporary, folder):
    with open_temporary() as env:
        put(env)
        with env.begin() as txn:
            view = txn.view(b"k")
    assert bytes(view) == b"v"
    del view, txn
    gc.collect()
    assert os.listdir(folder) == []


def test_other_files_in_it_stay(open_temporary, folder):
    env = open_temporary()
    path = env.path()
    with open(os.path.join(path, "mine"), "w") as file:
        file.write("x")
    env.close()
    assert os.listdir(path) == ["mine"]


def test_compact_keeps_it(open_temporary, folder):
    env = open_temporary()
    put(env)
    env.compact()
    put(env, b"more")
    assert env.stat().entries == 2
    env.close()
    assert os.listdir(folder) == []
    env = open_temporary()
    env.compact()
    env.close()
    assert os.listdir(folder) == []


def test_a_pickle_opens_the_same_files_and_removes_nothing(open_temporary, folder):
    env = open_temporary()
    put(env)
    other = pickle.loads(pickle.dumps(env))
    assert other.stat().entries == 1
    other.close()
    assert env.stat().entries == 1
    text = pickle.dumps(env)
    env.close()
    with pytest.raises(pylmdb.PathNotFoundError):
        pickle.loads(text)


@pytest.mark.parametrize("end", ["", "env.close()", "os._exit(0)"])
def test_a_forked_child_does_not_remove_it(open_temporary, folder, end):
    env = open_temporary()
    put(env)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            with env.begin() as txn:
                status = 0 if txn.get(b"k") == b"v" else 1
            if end:
                env.close()
                gc.collect()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    put(env, b"after")
    assert env.stat().entries == 2


def test_the_end_of_the_interpreter_removes_it(folder):
    run("env = pylmdb.open(temporary=True); txn = env.begin(); print(env.path())")
    assert os.listdir(folder) == []
    run("env = pylmdb.open(temporary=True)\nif os.fork(): os.wait(); env.stat()")
    assert os.listdir(folder) == []


def test_after_a_crash_only_a_directory_among_temporary_files_is_left(folder):
    program = "env = pylmdb.open(temporary=True); os.kill(os.getpid(), 9)"
    run(program, code=-signal.SIGKILL)
    assert len(os.listdir(folder)) == 1


def test_two_are_different(open_temporary):
    one, two = open_temporary(), open_temporary()
    put(one)
    assert two.stat().entries == 0


def test_refused(open_env, tmp_path, folder):
    (tmp_path / "mine").mkdir()
    for options, cls, text in (
        (
            {"readonly": True},
            ValueError,
            "temporary=True creates a new environment; leave readonly",
        ),
        ({"create": False}, ValueError, "creates a new environment; leave create=False out"),
        ({"subdir": False}, ValueError, "creates a directory; leave subdir=False out"),
        ({"path": tmp_path / "mine"}, pylmdb.Error, "mine' exists already; temporary=True"),
        ({"path": tmp_path / "no" / "x"}, pylmdb.PathNotFoundError, "its parent directory does"),
        ({"max_readers": 0}, pylmdb.Error, "max_readers must be at least 1"),
        ({"map_size": "1"}, TypeError, "map_size must be an integer"),
    ):
        with pytest.raises(cls, match=text):
            pylmdb.open(**options, temporary=True)
    with pytest.raises(TypeError, match="path is missing; temporary=True opens"):
        pylmdb.open()
    assert os.listdir(folder) == []
    assert os.listdir(tmp_path / "mine") == []
    assert not (tmp_path / "no").exists()


def test_a_map(folder, tmp_path):
    with pylmdb.Map(tmp_path / "m", key="str", value="json", temporary=True) as counts:
        counts.increment("a")
    assert not (tmp_path / "m").exists()
    with pylmdb.open(temporary=True) as env:
        pylmdb.Map(env)[b"k"] = b"v"
    assert os.listdir(folder) == []
