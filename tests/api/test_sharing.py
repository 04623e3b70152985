# SPDX-License-Identifier: MIT
"""One file has one native environment in a process, whatever the path by which it is opened."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from programs import ROUNDS, Rival, descriptors, finish, in_threads, maps, run, start

import pylmdb


def put(env, key, value):
    with env.begin(write=True) as txn:
        txn.put(key, value)


def get(env, key):
    with env.begin() as txn:
        return txn.get(key)


def names_of(path):
    """Other names of an environment's directory."""
    link, inner = path.parent / "link", path.parent / "hard"
    link.symlink_to(path)
    inner.mkdir()
    for file in path.iterdir():
        os.link(file, inner / file.name)
    return {
        "same": str(path),
        "path": path,
        "bytes": os.fsencode(path),
        "symlink": link,
        "hard links": inner,
        "relative": os.path.relpath(path),
        "dots": path / ".." / path.name,
        "slash": f"{path}/",
    }


def test_every_name_leads_to_one_environment(env, env_path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    put(env, b"k", b"v")
    before = descriptors(tmp_path)
    for name, path in names_of(Path(env_path)).items():
        with pylmdb.open(path) as again:
            assert descriptors(tmp_path) == before, name
            assert get(again, b"k") == b"v"
            put(again, b"k2", name.encode())
            with again.begin(write=True), pytest.raises(pylmdb.BusyError):
                env.begin(write=True)
        assert get(env, b"k2") == name.encode()


def test_every_name_of_a_single_file(tmp_path, lib_version, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.lmdb"
    with pylmdb.open(path, subdir=False, lib_version=lib_version) as env:
        put(env, b"k", b"v")
        os.link(path, tmp_path / "hard")
        (tmp_path / "soft").symlink_to(path)
        before = descriptors(tmp_path)
        for other in ("data.lmdb", tmp_path / "hard", "soft", b"data.lmdb"):
            with pylmdb.open(other, subdir=False) as again:
                assert get(again, b"k") == b"v"
                assert descriptors(tmp_path) == before


def test_closing_one_leaves_the_others(open_env, tmp_path):
    first, second, third = open_env(), open_env(), open_env()
    put(first, b"k", b"v")
    txn = second.begin()
    first.close()
    assert txn.get(b"k") == b"v"
    assert get(second, b"k") == b"v"
    second.close()
    with pytest.raises(pylmdb.ClosedError):
        txn.get(b"k")
    writer = third.begin(write=True)
    first.close()
    writer.put(b"k", b"w")
    writer.commit()
    assert descriptors(tmp_path)
    assert get(third, b"k") == b"w"
    assert not third.reader_list()
    third.close()
    assert not descriptors(tmp_path)
    assert not maps(tmp_path)


def test_the_last_reference_closes(env_path, lib_version, tmp_path):
    env = pylmdb.open(env_path, lib_version=lib_version)
    again = pylmdb.open(env_path)
    txn = env.begin()
    del env, again
    assert descriptors(tmp_path)  # the transaction holds its environment
    assert txn.get(b"k") is None
    del txn
    assert not descriptors(tmp_path)


def test_opened_by_many_threads_at_once(env_path, lib_version, tmp_path):
    pylmdb.open(env_path, lib_version=lib_version).close()
    barrier = threading.Barrier(8)

    def work():
        for i in range(15 * ROUNDS):
            barrier.wait()
            with pylmdb.open(env_path) as env:
                put(env, b"%d" % i, b"x")
                assert get(env, b"%d" % i) == b"x"
                assert descriptors(tmp_path) <= 4

    in_threads(*[work] * 8)
    assert not descriptors(tmp_path)
    assert not maps(tmp_path)


def test_created_by_many_threads_at_once(tmp_path, lib_version):
    def work(i):
        barrier.wait()
        with pylmdb.open(tmp_path / str(i), lib_version=lib_version) as env:
            put(env, threading.current_thread().name.encode(), b"x")
            names.append(threading.current_thread().name.encode())

    for i in range(5 * ROUNDS):
        names, barrier = [], threading.Barrier(4)
        in_threads(*[lambda i=i: work(i)] * 4)
        with pylmdb.open(tmp_path / str(i)) as env, env.begin() as txn:
            assert sorted(txn.range(values=False)) == sorted(names)


def test_created_by_many_processes_at_once(tmp_path, lib_version, monkeypatch):
    source = """
time.sleep(max(0, float(os.environ["START"]) - time.time()))
for i in range(10):
    with pylmdb.open(f"{path}{i}", lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put(b"%d" % os.getpid(), b"x")
"""
    monkeypatch.setenv("START", str(time.time() + 0.5))
    programs = [start(source, tmp_path / "env", lib_version) for _ in range(4)]
    pids = sorted(b"%d" % program.pid for program in programs)
    for program in programs:
        finish(program)
    for i in range(10):
        with pylmdb.open(f"{tmp_path}/env{i}") as env, env.begin() as txn:
            assert sorted(txn.range(values=False)) == pids


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"readonly": True}, {}, "readonly"),
        ({}, {"writemap": True}, "writemap"),
        ({"writemap": True}, {}, "writemap"),
        ({}, {"lock": False}, "lock"),
        ({"lock": False}, {}, "lock"),
        ({"max_dbs": 3}, {"max_dbs": 4}, "max_dbs"),
    ],
)
def test_what_cannot_be_shared_is_said(env_path, lib_version, first, second, words):
    with pylmdb.open(env_path, lib_version=lib_version) as env:
        put(env, b"k", b"v")
    with pylmdb.open(env_path, **first) as env:
        before = descriptors(env_path)
        for _ in range(3):
            with pytest.raises(pylmdb.Error, match=words):
                pylmdb.open(env_path, **second)
        assert descriptors(env_path) == before
        assert get(env, b"k") == b"v"
    assert not descriptors(env_path), "the refused open kept a count"
    with pylmdb.open(env_path, **second) as env:
        assert get(env, b"k") == b"v"


def test_another_format_is_not_shared(env, env_path, lib_version):
    with pytest.raises(pylmdb.Error, match="lib_version"):
        pylmdb.open(env_path, lib_version=1 - lib_version)


def test_what_differs_without_harm(open_env):
    writer = open_env(max_dbs=5)
    reader = open_env(readonly=True, max_dbs=2, max_spare_txns=3, sync=False)
    put(writer, b"k", b"v")
    assert get(reader, b"k") == b"v"
    assert reader.readonly
    assert not writer.readonly
    with pytest.raises(pylmdb.ReadonlyError):
        reader.begin(write=True)
    with pytest.raises(pylmdb.ReadonlyError):
        reader.open_db(b"new").flags()
    assert reader.flags()["sync"] is False
    assert writer.flags()["sync"] is True
    with writer.begin(write=True), pytest.raises(pylmdb.ReadonlyError):
        reader.begin(write=True)


def test_a_file_that_was_deleted_and_made_anew_is_another_one(open_env, env_path, tmp_path):
    old = open_env()
    put(old, b"k", b"old")
    for round in range(3):
        shutil.rmtree(env_path)
        new = open_env()
        assert get(new, b"k") is None
        put(new, b"k", b"new%d" % round)
        assert get(old, b"k") == b"old"
        assert get(open_env(), b"k") == b"new%d" % round
        new.close()


def test_only_the_data_file_was_replaced(open_env, env_path):
    old = open_env()
    put(old, b"k", b"old")
    (Path(env_path) / "data.mdb").unlink()
    with pytest.raises(pylmdb.Error, match="lock file"):
        open_env()
    assert get(old, b"k") == b"old"
    old.close()
    assert get(open_env(), b"k") is None


def test_paths_swapped_while_open(tmp_path, lib_version):
    a, b = tmp_path / "a", tmp_path / "b"
    with (
        pylmdb.open(a, lib_version=lib_version) as env_a,
        pylmdb.open(b, lib_version=lib_version) as env_b,
    ):
        put(env_a, b"k", b"a")
        put(env_b, b"k", b"b")
        a.rename(tmp_path / "c")
        b.rename(a)
        (tmp_path / "c").rename(b)
        for value in (b"b2", b"b3"):  # whose files are whose is looked at every 10 ms
            with pylmdb.open(a) as now_a, pylmdb.open(b) as now_b:
                assert get(now_b, b"k") == b"a"
                time.sleep(0.02)
                put(now_a, b"k", value)
            assert get(env_b, b"k") == value


def test_py_lmdb_holds_the_file(env_path, lib_version):
    """Refused, and the other's locks are left alone; afterwards it opens."""
    run(
        """
import lmdb
pylmdb.open(path, lib_version=lib_version).close()
other = lmdb.open(path)
reader = other.begin()
for _ in range(3):
    assert raised_by(pylmdb.open, path) is pylmdb.Error
with Rival(path, lib_version) as rival:
    rival.ask("check")
    assert rival.reader_pids() == [os.getpid()]
reader.abort()
other.close()
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.put(b"k", b"v")
""",
        env_path,
        lib_version,
    )


def test_py_lmdb_holds_the_file_by_another_name(env_path, lib_version):
    """Hard links: closing the lock file by either name would release the other binding's locks."""
    run(
        """
import lmdb
pylmdb.open(path, lib_version=lib_version).close()
hard = path + "-hard"
os.mkdir(hard)
for name in os.listdir(path):
    os.link(f"{path}/{name}", f"{hard}/{name}")
with lmdb.open(path) as other, other.begin() as reader:
    assert raised_by(pylmdb.open, hard) is pylmdb.Error
    with Rival(path, lib_version) as rival:
        rival.ask("check")
        assert rival.reader_pids() == [os.getpid()]
pylmdb.open(hard).close()
""",
        env_path,
        lib_version,
    )


def test_py_lmdb_without_lock_file_holds_the_file(env_path, lib_version):
    run(
        """
import lmdb
pylmdb.open(path, lib_version=lib_version).close()
other = lmdb.open(path, lock=False)
assert raised_by(pylmdb.open, path) is pylmdb.Error
other.close()
pylmdb.open(path).close()
""",
        env_path,
        lib_version,
    )


def test_a_file_that_py_lmdb_has_open_among_many_descriptors_is_refused(env_path, lib_version):
    run(
        """
import lmdb
pylmdb.open(path, lib_version=lib_version).close()
many = [open(os.devnull) for _ in range(300)]
with pylmdb.open(path):
    pass
other = lmdb.open(path, readonly=True)
assert raised_by(pylmdb.open, path) is pylmdb.Error
other.close()
pylmdb.open(path).close()
""",
        env_path,
        lib_version,
    )


IN_USE = """
import lmdb
from pylmdb import lowlevel
with pylmdb.open(path, lib_version=lib_version) as env:
    engine = lowlevel.engine(env)
def may_be_open():
    "Whether an open looks at all maps of the process."
    lib, handle = engine.lib, engine.ffi.new("MDB_env **")
    assert lib.mdb_env_create(handle) == 0
    noted, data = engine.ffi.new("struct pylmdb_opening *"), os.stat(f"{path}/data.mdb")
    noted.looked.device, noted.looked.inode = data.st_dev, data.st_ino
    code = lib.pylmdb_env_open(handle[0], path.encode(), lib.MDB_NOTLS, 0o600, noted)
    lib.pylmdb_env_end(handle)
    assert code == (lib.PYLMDB_OTHER_BINDING if noted.other_binding == lib.PYLMDB_HAS_IT else 0)
    return noted.other_binding != lib.PYLMDB_NOT_ASKED
"""


def test_a_file_that_is_not_open_is_recognised(env_path, lib_version):
    run(
        IN_USE
        + """
assert not may_be_open()
with open(f"{path}/data.mdb") as file:
    assert not may_be_open()
""",
        env_path,
        lib_version,
    )


@pytest.mark.parametrize("lock", [True, False])
def test_a_file_that_py_lmdb_has_open_is_recognised(env_path, lib_version, lock):
    run(
        IN_USE
        + f"""
other = lmdb.open(path, lock={lock})
assert may_be_open()
many = [open(os.devnull) for _ in range(300)]
before = len(os.listdir("/proc/self/fd"))
for _ in range(10):
    assert raised_by(pylmdb.open, path) is pylmdb.Error
assert len(os.listdir("/proc/self/fd")) <= before + 1  # closing it takes the other's locks
other.close()
pylmdb.open(path).close()
assert len(os.listdir("/proc/self/fd")) <= before
assert not may_be_open()
"""
        + """
with Rival(path, lib_version) as rival:
    rival.ask("check")
    assert may_be_open()
    pylmdb.open(path).close()
""",
        env_path,
        lib_version,
    )


def test_a_plain_reader_of_the_files_is_no_binding(env, env_path):
    env.close()
    with open(f"{env_path}/lock.mdb", "rb") as lock, open(f"{env_path}/data.mdb", "rb") as data:
        lock.read(), data.read()
        with pylmdb.open(env_path) as again:
            put(again, b"k", b"v")


def test_a_view_keeps_the_native_environment_while_reopening_shares_it(open_env, tmp_path):
    env = open_env()
    put(env, b"k", b"old")
    txn = env.begin(buffers=True)
    view = txn.get(b"k")
    env.close()
    before = descriptors(tmp_path)
    assert before
    again = open_env()
    assert descriptors(tmp_path) == before
    for i in range(10):
        put(again, b"k", b"new%d" % i)
    assert view == b"old"
    assert again.info()["pinned"] == 1
    again.close()
    assert view == b"old"
    del view, txn
    assert not descriptors(tmp_path)
    assert not maps(tmp_path)


def test_a_thousand_times_open_and_closed(env_path, lib_version):
    run(
        f"ROUNDS = {1000 * ROUNDS}\n"
        """
def cycle(i):
    env = pylmdb.open(path, lib_version=lib_version, max_spare_txns=i % 3, readonly=i % 5 == 4)
    if i % 2:
        with env.begin(buffers=True) as txn:
            view = txn.get(b"k")
            txn.cursor().first()
    if i % 7 == 0 and i % 5 != 4:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v", db=env.open_db(b"named"))
            txn.put(b"k", b"v")
    if i % 3:
        env.close()
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4
for i in range(100):
    cycle(i)
before, lines = rss(), len(open("/proc/self/maps").readlines())
for i in range(ROUNDS):
    cycle(i)
gc.collect()
assert not descriptors(path) and not maps(path)
assert len(open("/proc/self/maps").readlines()) < lines + 20
assert rss() < before + 4000, (before, rss())
with pylmdb.open(path) as env:
    assert not env.reader_list()
""",
        env_path,
        lib_version,
    )


def test_descriptors_are_closed_on_exec(env, tmp_path):
    put(env, b"k", b"v")
    source = """
import os
for name in os.listdir("/proc/self/fd"):
    try: print(os.readlink("/proc/self/fd/" + name))
    except OSError: pass
"""
    command = [sys.executable, "-c", source]
    found = subprocess.run(
        command, close_fds=False, capture_output=True, text=True, check=True
    ).stdout
    assert str(tmp_path) not in found


def test_modes_and_umask(tmp_path, lib_version):
    old = os.umask(0o027)
    try:
        pylmdb.open(tmp_path / "env", mode=0o777, lib_version=lib_version).close()
    finally:
        os.umask(old)
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o750
    for name in ("data.mdb", "lock.mdb"):
        assert (tmp_path / "env" / name).stat().st_mode & 0o777 == 0o640, name


def test_another_process_closes_and_opens_too(env, env_path, lib_version):
    """Sharing inside one process changes nothing for the others."""
    again = pylmdb.open(env_path)
    with Rival(env_path, lib_version) as rival:
        with again.begin(write=True) as txn:
            assert not rival.can_write(0.02)
            txn.put(b"k", b"v")
        again.close()
        assert rival.ask("put", "k", "w") == "put"
    assert get(env, b"k") == b"w"


def test_an_exception_while_opening_begins_leaves_other_descriptors_open(env_path, lib_version):
    """At every line that looks at the files; a descriptor that is not set yet could be 0."""
    run(
        """
from pylmdb._shared import opening
pylmdb.open(path, lib_version=lib_version).close()
def trace(frame, event, arg):
    global left
    if frame.f_code.co_filename != opening.__file__:
        return None
    if event == "line":
        left -= 1
        if not left:
            raise ZeroDivisionError
    return trace
for step in range(1, 12):
    left = step
    sys.settrace(trace)
    try:
        pylmdb.open(path).close()
    except ZeroDivisionError:
        pass
    sys.settrace(None)
    os.fstat(0)
pylmdb.open(path).close()
""",
        env_path,
        lib_version,
    )
