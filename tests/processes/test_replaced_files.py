# SPDX-License-Identifier: MIT
"""Files that were deleted, moved or replaced while an environment has them open: every write
raises, and a process that opens the new file sees all of it.
"""

import errno
import os
import shutil
import sys
import tempfile
import threading
import time

import folder_clock
import pytest
from programs import Rival, finish, run, start

import pylmdb


def put(env, key):
    with env.begin(write=True) as txn:
        txn.put(key, b"v")


def keys(env):
    with env.begin() as txn:
        return [key for key, _ in txn.cursor()]


# -- writes --------------------------------------------------------------------------------------


def delete(path):
    os.unlink(path)


def replace(path):
    os.rename(path, path + ".old")
    shutil.copy(path + ".old", path)


def rename_over(path):
    shutil.copy(path, path + ".new")
    os.rename(path + ".new", path)


def move(path):
    os.rename(path, path + ".old")


@pytest.mark.parametrize("file", ["data.mdb", "lock.mdb"])
@pytest.mark.parametrize("change", [delete, replace, rename_over, move])
@pytest.mark.parametrize("subdir", [True, False])
def test_a_write_after_a_file_has_gone_is_refused(open_env, env_path, file, change, subdir):
    env = open_env(subdir=subdir)
    put(env, b"before")
    names = {"data.mdb": env_path, "lock.mdb": env_path + "-lock"}
    path = os.path.join(env_path, file) if subdir else names[file]
    reader = env.begin()
    put(env, b"last")
    change(path)
    for _ in range(3):
        with pytest.raises(pylmdb.ReplacedError, match="open it again"):
            env.begin(write=True)
    assert reader.get(b"before") == b"v"
    reader.abort()
    env.close()
    env = open_env(subdir=subdir)
    put(env, b"again")
    kept = [] if file == "data.mdb" and change in (delete, move) else [b"before", b"last"]
    assert keys(env) == [b"again", *kept]


def settle(folder):
    """Wait until the last change of a folder is so old that only the folder is checked."""
    while time.time() - os.stat(folder).st_ctime < 5:
        time.sleep(0.2)


@pytest.mark.slow  # it waits for the clock
def test_a_change_after_the_folder_was_settled_is_noticed(open_env, tmp_path):
    cases = []
    for change in (delete, replace, rename_over, move):
        for name in ("data.mdb", "lock.mdb", "linked"):
            path = tmp_path / change.__name__ / name
            path.mkdir(parents=True)
            file = path / name
            if name == "linked":
                file = tmp_path / change.__name__ / "target"
                file.touch()
                (path / "link").symlink_to(file)
                path = path / "link"
            cases.append((open_env(path, sync=False), change, str(file)))
    (tmp_path / "folder").mkdir()
    env = open_env(tmp_path / "folder", sync=False)
    cases.append((env, replace_folder, tmp_path / "folder"))
    settle(tmp_path / "folder")
    for env, _, _ in cases:
        put(env, b"k")
        put(env, b"k")
    for env, change, file in cases:
        change(str(file))
        for _ in range(2):
            with pytest.raises(pylmdb.ReplacedError):
                env.begin(write=True)


def replace_folder(path):
    move(path)
    shutil.copytree(path + ".old", path)


@pytest.mark.slow  # it waits for the clock
def test_a_change_above_a_settled_folder_is_noticed(open_env, tmp_path):
    (tmp_path / "parent" / "env").mkdir(parents=True)
    envs = [open_env(tmp_path / "parent" / "env", sync=False)]
    other = tmp_path / "other"
    (other / "env").mkdir(parents=True)
    (tmp_path / "other-link").symlink_to(other)
    envs.append(open_env(tmp_path / "other-link" / "env", sync=False))
    settle(tmp_path / "parent" / "env")
    settle(other / "env")
    for env in envs:
        put(env, b"k")
        put(env, b"k")
    replace_folder(str(tmp_path / "parent"))
    os.unlink(tmp_path / "other-link")
    shutil.copytree(other, tmp_path / "copy")
    (tmp_path / "other-link").symlink_to(tmp_path / "copy")
    for env in envs:
        for _ in range(2):
            with pytest.raises(pylmdb.ReplacedError):
                env.begin(write=True)


COUNTED = """
import ctypes
library = ctypes.CDLL(os.environ["FOLDER_CLOCK"])
lookups = ctypes.c_int.in_dll(library, "lookups")
env = pylmdb.open(path, lib_version=lib_version, sync=False)
for _ in range(12):
    lookups.value = 0
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    print(lookups.value)
print(ctypes.c_int.in_dll(library, "coarse_clock_is_read").value)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such clock has a name")
@pytest.mark.parametrize("ahead", [-1000, 1000])
def test_how_many_names_a_write_looks_up(env_path, lib_version, tmp_path, monkeypatch, ahead):
    """The folder and both names at first, and then the folder alone if the clock of the files says
    that its last change is long ago, whatever other clocks say; else both names alone."""
    library = folder_clock.compile_into(tmp_path)
    monkeypatch.setenv("FOLDER_CLOCK", library)
    monkeypatch.setenv("COARSE_AHEAD", str(ahead))
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), library]))
    monkeypatch.setenv("LD_PRELOAD", preload)
    *found, reads_coarse_clock = map(int, run(COUNTED, env_path, lib_version).split())
    if not reads_coarse_clock:
        pytest.skip("built without the clock of the files, as for macOS")
    assert found == [3] + [1 if ahead > 0 else 2] * 11


def test_no_write_is_lost_however_soon_it_follows(open_env, env_path):
    env = open_env(sync=False)
    for round in range(50):
        put(env, b"%d" % round)
        rename_over(os.path.join(env_path, "data.mdb"))
        with pytest.raises(pylmdb.ReplacedError):
            env.begin(write=True)
        env.close()
        env = open_env(sync=False)
    assert len(keys(env)) == 50


def test_a_file_without_lock_file(open_env, env_path):
    env = open_env(lock=False)
    put(env, b"k")
    rename_over(os.path.join(env_path, "data.mdb"))
    with pytest.raises(pylmdb.ReplacedError):
        env.begin(write=True)


def test_a_file_that_is_replaced_while_a_write_waits(open_env, env_path, lib_version):
    env = open_env()
    put(env, b"k")
    waiting, raised = threading.Event(), []

    def write():
        waiting.set()
        try:
            env.begin(write=True)
        except pylmdb.Error as error:
            raised.append(type(error))

    with Rival(env_path, lib_version) as rival:
        assert rival.ask("hold") == "holds"
        thread = threading.Thread(target=write)
        thread.start()
        waiting.wait(10)
        rename_over(os.path.join(env_path, "data.mdb"))
        assert rival.ask("drop") == "dropped"
        thread.join(10)
    assert raised == [pylmdb.ReplacedError]


def test_a_directory_that_was_moved_is_no_matter(open_env, env_path):
    env = open_env()
    put(env, b"before")
    os.rename(env_path, env_path + "-moved")
    put(env, b"after")
    env.close()
    assert open_env(env_path + "-moved").stat().entries == 2


def test_a_directory_that_was_moved_can_be_copied_and_not_compacted(open_env, env_path, tmp_path):
    env = open_env()
    put(env, b"before")
    os.rename(env_path, f"{env_path}-moved")
    with pytest.raises(pylmdb.ReplacedError) as raised:
        env.compact()
    assert str(raised.value).startswith(
        f"compact: {env_path!r}: the data file or the lock file was"
    )
    (tmp_path / "copy").mkdir()
    env.copy(tmp_path / "copy")
    with open_env(tmp_path / "copy") as copy:
        assert keys(copy) == [b"before"]
    assert (tmp_path / "copy" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_another_directory_in_its_place(open_env, env_path):
    env = open_env()
    put(env, b"before")
    os.rename(env_path, env_path + "-moved")
    shutil.copytree(env_path + "-moved", env_path)
    with pytest.raises(pylmdb.ReplacedError):
        put(env, b"after")


def test_files_that_were_moved_out_of_their_directory(open_env, env_path, tmp_path):
    env = open_env()
    put(env, b"before")
    for file in ("data.mdb", "lock.mdb"):
        os.rename(os.path.join(env_path, file), tmp_path / file)
    with pytest.raises(pylmdb.ReplacedError) as raised:
        put(env, b"after")
    assert raised.value.code == errno.ESTALE
    assert str(raised.value) == (
        f"begin: {env_path!r}: the data file or the lock file was moved, deleted or replaced"
        "; close the environment and open it again"
    )


@pytest.mark.parametrize("subdir", [True, False])
def test_a_directory_that_was_deleted_is_named(open_env, tmp_path, subdir):
    folder = tmp_path / "folder"
    folder.mkdir()
    env = open_env(folder if subdir else folder / "file", subdir=subdir)
    put(env, b"before")
    shutil.rmtree(folder)
    messages = set()
    for _ in range(20):
        with pytest.raises(pylmdb.ReplacedError) as raised:
            env.begin(write=True)
        messages.add(str(raised.value))
    (message,) = messages
    assert f"the directory '{folder}' does not exist any more" in message
    assert "open it again" not in message
    assert len(message) < 120 + len(str(folder))
    assert keys(env) == [b"before"]


def test_compact_does_not_replace_another_file(open_env, env_path):
    env = open_env()
    put(env, b"k")
    data = os.path.join(env_path, "data.mdb")
    rename_over(data)
    before = os.stat(data).st_ino
    with pytest.raises(pylmdb.ReplacedError):
        env.compact()
    assert os.stat(data).st_ino == before
    assert keys(env) == [b"k"]
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]


# -- opening a file that was put in the place of one that is open ---------------------------------

HOLDER = """
import lmdb
module = {"pylmdb": pylmdb, "lmdb": lmdb}[KIND]
env = module.open(path, lib_version=lib_version, **OPTIONS)
held = env.begin()
def records(txn):
    return sorted(key for key, _ in txn.cursor())
before = records(held)
print("open", flush=True)
for line in sys.stdin:
    if line == "write\\n":
        try:
            with env.begin(write=True) as txn:
                txn.put(b"holder", b"x")
            print("written", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
    if line == "look\\n":
        assert records(held) == before
        with env.begin() as txn:
            print(set(before) <= set(records(txn)), flush=True)
"""

KINDS = [
    ("pylmdb", {}),
    ("pylmdb", {"readonly": True}),
    ("lmdb", {}),
    ("lmdb", {"readonly": True}),
]


class Holder:
    """Another process that has the file open."""

    def __init__(self, path, lib_version, kind, options):
        source = HOLDER.replace("KIND", repr(kind)).replace("OPTIONS", repr(options))
        self.process = start(source, path, lib_version)
        assert self.process.stdout.readline() == "open\n"

    def ask(self, word):
        print(word, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        finish(self.process)


def fill(open_env, path, count):
    env = open_env(path, sync=False)
    for n in range(count):
        put(env, b"%04d" % n)
    env.close()


# how many records, each with a transaction, the old and the new file have
NUMBERS = [(9, 4), (4, 9), (3, 40), (3, 4)]
MORE_NUMBERS = [(4, 3), (5, 3), (3, 5), (1, 2), (7, 1)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *NUMBERS,
        (5, 5),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in MORE_NUMBERS),
    ],
)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_all_records_of_the_new_file_are_read(
    open_env, env_path, lib_version, kind, options, old, new
):
    data, backup = env_path + "/data.mdb", env_path + ".backup"
    fill(open_env, env_path, old)
    fill(open_env, backup, new)
    expected = [b"%04d" % n for n in range(new)]
    with Holder(env_path, lib_version, kind, options) as holder:
        os.replace(backup + "/data.mdb", data)
        env = open_env()
        assert keys(env) == expected
        put(env, b"more")
        env.close()
        # the other binding's file has the same inode number: only its next commit differs
        if (kind, old) != ("lmdb", new):
            assert holder.ask("look") == "True"
        if not options:
            answer = holder.ask("write")
            assert kind != "pylmdb" or answer == "ReplacedError"
        seen = run("print(pylmdb.open(path).stat().entries)", env_path, lib_version)
        assert seen == f"{new + 1}\n"
        env = open_env()
        put(env, b"after")
    assert keys(env) == [*expected, b"after", b"more"]
    put(env, b"at last")
    env.close()
    report = pylmdb.verify(env_path)
    assert report.ok, report
    assert keys(open_env()) == sorted([*expected, b"after", b"at last", b"more"])


def test_a_data_file_that_shares_the_lock_file_of_another_is_refused(
    open_env, env_path, lib_version
):
    """Another binding has a file of the same inode number open, and continues to write to it."""
    data, backup = env_path + "/data.mdb", env_path + ".backup"
    fill(open_env, env_path, 5)
    fill(open_env, backup, 5)
    with Holder(env_path, lib_version, "lmdb", {}) as holder:
        os.replace(backup + "/data.mdb", data)
        env = open_env()
        assert len(keys(env)) == 5
        assert holder.ask("write") == "written"
        for write in (False, True):
            with pytest.raises(pylmdb.ReplacedError, match="belongs to another data file"):
                env.begin(write=write)
        env.close()
        env = open_env()
        assert len(keys(env)) == 5
        put(env, b"more")
    assert len(keys(env)) == 6


def test_many_processes_open_the_new_file_at_once(open_env, env_path, lib_version):
    data, backup = env_path + "/data.mdb", env_path + ".backup"
    fill(open_env, env_path, 9)
    fill(open_env, backup, 4)
    program = """
sys.stdin.readline()
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    assert txn.get(b"0003") == b"v"
    txn.put(b"%d" % os.getpid(), b"v")
"""
    with Holder(env_path, lib_version, "pylmdb", {}):
        os.replace(backup + "/data.mdb", data)
        processes = [start(program, env_path, lib_version) for _ in range(8)]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            finish(process)
        env = open_env()
        assert len(keys(env)) == 4 + len(processes)


UNPRIVILEGED = """
import shutil
folder = path + "/env"
os.makedirs(folder)
for source in ("old", "new"):
    with pylmdb.open(path + "/" + source, lib_version=lib_version) as env:
        for n in range({"old": 9, "new": 4}[source]):
            with env.begin(write=True) as txn:
                txn.put(b"%d" % n, b"v")
shutil.copy(path + "/old/data.mdb", folder)
with Rival(folder, lib_version) as rival:
    assert rival.ask("pids") == "none"
    shutil.copy(path + "/new/data.mdb", folder + "/next")
    os.replace(folder + "/next", folder + "/data.mdb")
    for name in ("data.mdb", "lock.mdb"):
        os.chmod(folder + "/" + name, 0o666)
    os.chmod(folder, 0o555)
    def child():
        if not os.geteuid():
            os.setuid(65534)
        try:
            pylmdb.open(folder)
        except pylmdb.ReplacedError as error:
            assert "cannot be removed" in str(error) and "/lock.mdb" in str(error), error
        else:
            raise AssertionError
    assert in_child(child) == 0
os.chmod(folder, 0o755)
with pylmdb.open(folder) as env:
    assert env.stat().entries == 4
"""


def test_a_lock_file_that_cannot_be_removed(lib_version, core):
    # other users cannot enter pytest's own directory
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        run(UNPRIVILEGED, folder, lib_version)
