# SPDX-License-Identifier: MIT
"""The messages of an open() that fails, and that it leaves no files."""

import errno
import fcntl
import os
import pickle
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import refusals
from programs import finish, run, start

import pylmdb
from pylmdb import _engine, _registry, lowlevel
from pylmdb._shared import opening
from pylmdb.cli import main

READ = {"readonly": True}
SINGLE = {"subdir": False}
MISSING, IS_DIR, NOT_DIR = errno.ENOENT, errno.EISDIR, errno.ENOTDIR
INVALID = -30793
ABSENT = pylmdb.PathNotFoundError

# What is asked for in the folder of `folder`, the exact class, the code, and the words.
SITUATIONS = {
    "no data.mdb": ("empty", READ, ABSENT, MISSING, "'empty/data.mdb' readonly=True"),
    "nothing, to read": ("no", READ, ABSENT, MISSING, "'no' exist readonly=True"),
    "nothing, create=False": ("no", {"create": False}, ABSENT, MISSING, "'no' create=False"),
    "no file": ("no", {**READ, **SINGLE}, ABSENT, MISSING, "'no' readonly=True"),
    "no parent": ("no/no", {}, ABSENT, MISSING, "'no/no' parent directory"),
    "no parent, to read": ("no/no", READ, ABSENT, MISSING, "'no/no' parent directory"),
    "no parent of a file": ("no/no", SINGLE, ABSENT, MISSING, "'no/no' parent directory"),
    "directory as a file": (
        "empty", SINGLE, pylmdb.PathError, IS_DIR, "'empty' directory subdir=False",
    ),
    "the same, to read": (
        "empty", {**READ, **SINGLE}, pylmdb.PathError, IS_DIR, "'empty' directory subdir=False",
    ),
    "file as a directory": (
        "notes.txt", {"subdir": True}, pylmdb.PathError, NOT_DIR, "'notes.txt' file subdir=True",
    ),
    "in a file": ("notes.txt/e", {}, pylmdb.PathError, NOT_DIR, "'notes.txt/e'"),
    "in a file, to read": ("notes.txt/e", READ, pylmdb.PathError, NOT_DIR, "'notes.txt/e'"),
    "another file": ("notes.txt", {}, pylmdb.InvalidError, INVALID, "'notes.txt' LMDB"),
    "the same, only read": ("notes.txt", READ, pylmdb.InvalidError, INVALID, "'notes.txt' LMDB"),
    "zeros": ("zeros", READ, pylmdb.InvalidError, INVALID, "'zeros' LMDB"),
    "many zeros": ("many zeros", {}, pylmdb.InvalidError, INVALID, "'many zeros' LMDB"),
    "empty file": ("nil", READ, pylmdb.InvalidError, 0, "'nil' empty readonly=True"),
    "empty data.mdb": ("new", READ, pylmdb.InvalidError, 0, "'new/data.mdb' empty"),
    "link to nothing": ("link", {}, ABSENT, MISSING, "'link' symbolic link not exist"),
    "link to itself": ("loop", READ, pylmdb.PathError, errno.ELOOP, "'loop' symbolic"),
    "FIFO": ("fifo", {}, pylmdb.PathError, errno.ENXIO, "'fifo' regular"),
    "long name": ("n" * 300, READ, pylmdb.PathError, errno.ENAMETOOLONG, "name too long"),
    "long new name": ("n" * 300, {}, pylmdb.PathError, errno.ENAMETOOLONG, "name too long"),
    "damaged": ("damaged", {}, pylmdb.CorruptedError, -30796, "'damaged' cut short 40000 bytes"),
    "no readers": (
        "no", {"max_readers": 0}, pylmdb.InvalidParameterError, errno.EINVAL, "max_readers 1 0",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, open_env, monkeypatch):
    """Change to a folder with files that are not environments."""
    (tmp_path / "notes.txt").write_text("These are notes.\n" * 1000)
    (tmp_path / "zeros").write_bytes(bytes(100))
    (tmp_path / "many zeros").write_bytes(bytes(100_000))
    (tmp_path / "nil").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "data.mdb").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    with open_env(tmp_path / "damaged", subdir=False) as env, env.begin(write=True) as txn:
        for i in range(1000):
            txn.put(b"%d" % i, b"v" * 100)
    os.unlink(tmp_path / "damaged-lock")
    os.truncate(tmp_path / "damaged", 40_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {str(path): path.lstat().st_size for path in folder.rglob("*")}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_is_named_and_leaves_nothing(folder, open_env, name):
    path, options, cls, code, words = SITUATIONS[name]
    before = contents(folder)
    with pytest.raises((pylmdb.Error, OSError)) as caught:
        open_env(path, **options)
    assert type(caught.value) is cls
    if cls in (ABSENT, pylmdb.PathError):
        again = pickle.loads(pickle.dumps(caught.value))
        assert again.filename == caught.value.filename
        assert caught.value.filename.startswith(path)
    assert getattr(caught.value, "code", caught.value.args[0]) == code
    text = str(caught.value)
    assert " b'" not in text
    for word in re.findall(r"'[^']*'|[^ ']+", words):
        assert word in text
    assert contents(folder) == before


def test_a_refused_file_is_as_it_was(folder, open_env):
    before = Path("notes.txt").read_bytes()
    for options in ({}, READ, {"writemap": True}):
        with pytest.raises(pylmdb.InvalidError):
            open_env("notes.txt", **options)
    assert Path("notes.txt").read_bytes() == before


@pytest.mark.parametrize(
    ("offset", "version", "other_order", "words"),
    [
        (16, 1, True, "-endian machine"),
        (24, 3, True, "-endian machine"),
        (12, 1, True, "-endian machine"),
        (12, 1, False, "32-bit program"),
        (16, 3, False, "32-bit program"),
    ],
)
def test_files_of_other_machines_are_refused_in_words(
    tmp_path, offset, version, other_order, words
):
    order = {"little": "big", "big": "little"}[sys.byteorder] if other_order else sys.byteorder
    data = bytearray(40000)
    data[offset : offset + 4] = (0xBEEFC0DE).to_bytes(4, order)
    data[offset + 4 : offset + 8] = version.to_bytes(4, order)
    path = tmp_path / "foreign.mdb"
    path.write_bytes(data)
    for options in ({}, READ, {"lib_version": 0}, {"lib_version": 1}):
        with pytest.raises(pylmdb.InvalidError, match=words) as caught:
            pylmdb.open(path, **options)
        assert "foreign.mdb" in str(caught.value)
        assert "pylmdb dump" in str(caught.value)
    assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["foreign.mdb"]


@pytest.mark.parametrize("command", ["info", "ls", "stat", "scan", "dump", "warm", "compact"])
def test_commands_create_no_file_next_to_a_file_of_another_kind(folder, capsys, command):
    before = contents(folder)
    assert main([command, "notes.txt"]) == 1
    assert (
        "'notes.txt' is not an LMDB file; check the path [MDB_INVALID]" in capsys.readouterr().err
    )
    assert contents(folder) == before


def test_verify_says_that_a_file_is_empty(folder):
    assert "it is empty, as before its first use" in str(pylmdb.verify("nil"))
    with pytest.raises(pylmdb.InvalidError, match="is empty, as before its first use"):
        pylmdb.open("nil", readonly=True, verify=True)
    assert pylmdb.open("nil").stat().entries == 0


def test_verify_names_paths_as_text(folder):
    missing = {
        "no": "no",
        "empty": ".*/data.mdb",
        b"empty": ".*/data.mdb",
        "notes.txt/e": "notes.txt/e",
    }
    for path, named in missing.items():
        with pytest.raises(pylmdb.PathNotFoundError, match=f"^verify: '{named}' does not exist "):
            pylmdb.verify(path)


# -- permissions --------------------------------------------------------------------------------


@pytest.fixture
def shared(open_env, lib_version):
    """Return an environment that belongs to another user, or at least may not be written."""
    place = tempfile.mkdtemp()
    os.chmod(place, 0o755)
    path = os.path.join(place, "e")
    with open_env(path, mode=0o755) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    yield path
    for each in (place, path):
        os.chmod(each, 0o755)
    shutil.rmtree(place)


# Root is refused nothing, so children of a program of root's become another user; the program
# imports before all that they need.
AS_OTHER = """
import contextlib, errno, io, shutil, tempfile, warnings
import pylmdb.datasets as datasets
from pylmdb._shared import opening
from pylmdb.cli import main
def command(*argv):
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(each) for each in argv])
    return status, err.getvalue()
with tempfile.TemporaryDirectory() as folder:
    with pylmdb.open(folder + "/e", lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    for words in ("info", "dump -A"):
        assert command(*words.split(), folder + "/e") == (0, "")
    assert datasets.Dataset(folder + "/e")[0] == b"v"
def protect(data=0o444, lock=0o444, directory=0o555):
    os.chmod(path, 0o755)
    os.chmod(path + "/data.mdb", data)
    if lock is not None:
        os.chmod(path + "/lock.mdb", lock)
    elif os.path.exists(path + "/lock.mdb"):
        os.unlink(path + "/lock.mdb")
    os.chmod(path, directory)
def as_other(check, *args):
    def call():
        if os.getuid() == 0:
            os.setgroups([]), os.setgid(65534), os.setuid(65534)
        check(*args)
    assert in_child(call) == 0, args
def refused(cls, *words, **options):
    before = sorted(os.listdir(path)) if os.access(path, os.R_OK) else None
    try:
        pylmdb.open(path, **options)
    except pylmdb.Error as error:
        assert type(error) is cls and isinstance(error, pylmdb.ReadonlyError), repr(error)
        assert error.errno == error.code == errno.EACCES
        for word in words:
            assert word in str(error), (word, str(error))
    else:
        raise AssertionError("it is opened")
    assert before is None or sorted(os.listdir(path)) == before
"""


def test_the_data_of_another_user(shared, lib_version):
    run(
        AS_OTHER
        + """
def check(does):
    refused(pylmdb.LockFileError, repr(path + "/lock.mdb"), f"permission to {does} it",
            "lock=False", readonly=True)
    assert pylmdb.open(path, readonly=True, lock=False).begin().get(b"k") == b"v"
    place = tempfile.TemporaryDirectory()
    for argv in (["info", path], ["stat", path], ["ls", path], ["ls", "-l", path], ["scan", path],
                 ["get", path, "k"], ["dump", path], ["dump", "-A", path],
                 ["copy", path, place.name + "/copy"]):
        status, said = command(*argv)
        assert status == 0, said
        assert said.startswith(f"pylmdb {argv[0]}: {path!r} is read without a lock"), said
        assert "other processes must not write to it" in said and said.count("\\n") == 1, said
    place.cleanup()
    assert command("verify", path) == (0, "")
    status, said = command("readers", path)
    assert status == 1 and "lock.mdb" in said, said
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert datasets.Dataset(path)[0] == b"v"
    assert [each.category for each in caught] == [RuntimeWarning], caught
    assert "without a lock" in str(caught[0].message)
    assert "pylmdb" not in caught[0].filename, "the warning names the line of the caller"
for lock, does in ((0o444, "write"), (0o400, "write"), (None, "create")):
    protect(lock=lock)
    as_other(check, does)
""",
        shared,
        lib_version,
    )


def test_locks_are_needed_where_this_process_may_write(shared, lib_version):
    """Then so may another process of the same user, which would not notice the reader."""
    if os.getuid():
        pytest.skip("the lock file can be replaced by its owner only")
    run(
        AS_OTHER
        + """
def check(modes):
    refused(pylmdb.LockFileError, "lock.mdb", "lock=False", readonly=True)
    for argv in (["info", path], ["get", path, "k"], ["dump", path]):
        status, said = command(*argv)
        assert status == 1 and "lock.mdb" in said and "--no-lock" in said, said
    assert raised_by(datasets.Dataset, path) is pylmdb.LockFileError
for modes in ({"directory": 0o777}, {"data": 0o666}):
    protect(**modes)
    as_other(check, modes)
""",
        shared,
        lib_version,
    )


def test_data_that_may_not_be_written_or_read(shared, lib_version):
    run(
        AS_OTHER
        + """
def write():
    refused(pylmdb.ReadonlyError, repr(path + "/data.mdb"), "permission to write it",
            "readonly=True")
def read(file, *words):
    refused(pylmdb.ReadonlyError, repr(path + file), *words, readonly=True)
protect(directory=0o777)
as_other(write)
protect(data=0o000, directory=0o777)
as_other(read, "/data.mdb", "no permission to read it")
os.chmod(path, 0o000)
as_other(read, "", "no permission to search a directory")
""",
        shared,
        lib_version,
    )


# -- what the system refuses -------------------------------------------------------------------

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the library stands before glibc"
)


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return refusals.compile_into(tmp_path_factory.mktemp("refusals"))


@pytest.fixture
def refusing(library, env_path, lib_version, monkeypatch):
    """Run a program to which the system refuses something; see refusals.py."""
    before = os.environ.get("LD_PRELOAD")

    def call(source):
        monkeypatch.setenv("LD_PRELOAD", f"{before} {library}" if before else library)
        try:
            return run(REFUSE + source, env_path, lib_version)
        finally:
            monkeypatch.undo()

    return call


REFUSE = """
import shutil
def refuse(what, number):
    os.environ["REFUSE_" + what] = str(number)
"""
REFUSED = """
def refused(cls, code, *words, **options):
    try:
        pylmdb.open(path, lib_version=lib_version, **options)
    except pylmdb.Error as error:
        assert type(error) is cls is getattr(pylmdb, cls.__name__), repr(error)
        assert error.code == code and os.strerror(code) in str(error), repr(error)
        assert isinstance(error, OSError) and error.errno == code
        for word in words:
            assert word in str(error), (word, str(error))
        return
    raise AssertionError("it is opened")
"""
REFUSALS = [
    errno.ENOLCK, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP,
    errno.ENODEV,
]  # fmt: skip


@linux
def test_locks_are_refused(refusing):
    refusing(
        REFUSED
        + f"""
said = repr(path + "/lock.mdb"), "refuses locks", "lock=False"
for number in {REFUSALS}:
    refuse("LOCKS", number)
    refused(pylmdb.FileSystemError, number, *said)
    assert not os.path.exists(path)
    env = pylmdb.open(path, lib_version=lib_version, lock=False)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env.close()
    assert os.listdir(path) == ["data.mdb"]
    refused(pylmdb.FileSystemError, number, *said, readonly=True)
    refused(pylmdb.FileSystemError, number, *said)
    assert os.listdir(path) == ["data.mdb"]
    assert pylmdb.open(path, readonly=True, lock=False).begin().get(b"k") == b"v"
    shutil.rmtree(path)
"""
    )


@linux
def test_locks_of_open_files_are_refused(refusing):
    """Then locks of processes are used, which conflict with those of open files."""
    refusing(
        f"""
from pylmdb._shared import exclusive
exclusive.WAIT = 0.05  # the seconds that compact() waits for others
libraries = os.environ["LD_PRELOAD"].split()
os.environ["LD_PRELOAD"] = " ".join(each for each in libraries if "refusals" not in each)
for number in {REFUSALS}:
    refuse("OFD", number)
    env = pylmdb.open(path, lib_version=lib_version)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with Rival(path, lib_version) as rival, env.begin() as txn:
        assert os.getpid() in rival.reader_pids() and rival.ask("check") == "0"
        assert rival.ask("put", "k", "new") == "put"
        assert env.reader_check() == 0
        try:
            env.compact()
        except pylmdb.Error:
            pass
        else:
            raise AssertionError("the other process has the environment open")
    assert env.begin().get(b"k") == b"new"
    env.compact()
    env.close()
    with pylmdb.open(path) as env, env.begin(write=True) as txn:
        assert txn.get(b"k") == b"new"
    shutil.rmtree(path)
"""
    )


@linux
def test_locks_of_another_binding_are_not_replaced(refusing, env_path):
    """Where there are only locks of processes, the system would give us those of the other one."""
    refusing(
        f"""
import lmdb
refuse("OFD", {errno.EINVAL})
pylmdb.open(path, lib_version=lib_version).close()
libraries = os.environ["LD_PRELOAD"].split()
os.environ["LD_PRELOAD"] = " ".join(each for each in libraries if "refusals" not in each)
with lmdb.open(path) as other, other.begin() as reader:
    for _ in range(2):
        try:
            pylmdb.open(path)
        except pylmdb.Error as error:
            assert "another LMDB binding" in str(error)
        else:
            raise AssertionError("it is opened")
    with Rival(path, lib_version) as rival:
        rival.ask("check")
        assert rival.reader_pids() == [os.getpid()]
pylmdb.open(path).close()
"""
    )


@linux
@pytest.mark.parametrize("options", ["", "writemap=True", "map_size=1 << 20"])
def test_maps_are_refused(refusing, options):
    numbers = [errno.ENODEV, errno.EINVAL, errno.ENOSYS, errno.EPERM]
    refusing(
        REFUSED
        + f"""
for what, file in (("DATA", "data.mdb"), ("LOCK_MAP", "lock.mdb")):
    said = f"{{path + '/' + file!r}}", "mmap failed", "file system"
    for number in {numbers}:
        refuse(what, number)
        refused(pylmdb.FileSystemError, number, *said, {options})
        assert not os.path.exists(path)
        os.mkdir(path)
        refused(pylmdb.FileSystemError, number, *said, {options})
        assert os.listdir(path) == []
        os.rmdir(path)
    del os.environ["REFUSE_" + what]
"""
    )


@linux
def test_the_lock_file_of_a_read_only_file_system(refusing, open_env, env_path):
    """LMDB does without it to read, and to write there is no need of words but these."""
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    refusing(
        REFUSED
        + f"""
refuse("OPEN", {errno.EROFS})
assert pylmdb.open(path, readonly=True).begin().get(b"k") == b"v"
refused(pylmdb.LockFileError, 30, repr(path + "/lock.mdb"))
"""
    )


# -- others at the same files ------------------------------------------------------------------


def make(path, lib_version):
    """Make an environment, close it, and return what its opening has noted, and its engine."""
    engine = lowlevel.engines()[lib_version]
    ffi, lib = engine.ffi, engine.lib
    out, noted = ffi.new("MDB_env **"), ffi.new("struct pylmdb_opening *")
    os.mkdir(path)
    assert not lib.mdb_env_create(out)
    assert not lib.pylmdb_env_open(out[0], os.fsencode(path), lib.MDB_NOTLS, 0o644, noted)
    lib.pylmdb_env_end(out)
    return noted, engine


def remove(path, noted, engine):
    names = [os.fsencode(os.path.join(path, name)) for name in ("data.mdb", "lock.mdb")]
    engine.lib.pylmdb_remove_made(noted, *names)
    return sorted(os.listdir(path))


BOTH = ["data.mdb", "lock.mdb"]


def test_what_was_made_is_removed(env_path, lib_version, core):
    assert remove(env_path, *make(env_path, lib_version)) == []


def test_what_another_process_has_open_is_left(env_path, lib_version, core):
    made = make(env_path, lib_version)
    other = start(
        """
env = pylmdb.open(path, lib_version=lib_version)
print("open", flush=True)
sys.stdin.read()
""",
        env_path,
        lib_version,
    )
    assert other.stdout.readline() == "open\n"
    assert remove(env_path, *made) == BOTH
    finish(other)
    assert remove(env_path, *made) == []


def test_what_has_transactions_is_left(open_env, env_path, lib_version):
    made = make(env_path, lib_version)
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    assert remove(env_path, *made) == BOTH
    assert open_env().stat().entries == 1


def test_what_was_put_in_its_place_is_left(open_env, env_path, lib_version):
    made = make(env_path, lib_version)
    for name in BOTH:
        place = os.path.join(env_path, name)
        shutil.copy(place, place + ".new")
        os.rename(place + ".new", place)
    assert remove(env_path, *made) == BOTH


def wait_for_waiter(file, process):
    """Wait until a process waits for a lock on an open file."""
    waits = rf"-> .*:{os.fstat(file.fileno()).st_ino} "
    while not re.search(waits, Path("/proc/locks").read_text()):
        assert process.poll() is None, process.communicate()


@linux
@pytest.mark.parametrize("options", ["", "readonly=True"])
def test_a_process_that_waits_for_a_removed_lock_file_takes_the_next(
    env_path, lib_version, core, options
):
    make(env_path, lib_version)
    lock_file = os.path.join(env_path, "lock.mdb")
    with open(lock_file, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        other = start(
            f"""
env = pylmdb.open(path, lib_version=lib_version, {options})
with env.begin():
    assert len(env.reader_list()) == 1
if not env.readonly:
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
""",
            env_path,
            lib_version,
        )
        wait_for_waiter(file, other)
        os.unlink(lock_file)
    finish(other)
    assert sorted(os.listdir(env_path)) == BOTH


@linux
@pytest.mark.parametrize("options", ["", "readonly=True"])
def test_a_process_that_waits_opens_the_data_file_that_is_there_then(
    open_env, env_path, lib_version, options
):
    for path, value in ((env_path, b"old"), (env_path + "-new", b"new")):
        with open_env(path) as env, env.begin(write=True) as txn:
            txn.put(b"k", value)
    with open(os.path.join(env_path, "lock.mdb"), "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        other = start(
            f"""
env = pylmdb.open(path, lib_version=lib_version, {options})
assert env.begin().get(b"k") == b"new"
""",
            env_path,
            lib_version,
        )
        wait_for_waiter(file, other)
        os.replace(os.path.join(env_path + "-new", "data.mdb"), os.path.join(env_path, "data.mdb"))
    finish(other)


@linux
def test_many_processes_of_which_some_fail(library, env_path, lib_version, core, monkeypatch):
    """Each that opens the environment finds what all others have written."""
    writing = """
for i in range(40):
    with pylmdb.open(path, lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put(b"%d-%d" % (os.getpid(), i), b"v")
"""
    failing = (
        REFUSED
        + """
for i in range(60):
    refused(pylmdb.FileSystemError, 19, "mmap failed")
"""
    )
    before = os.environ.get("LD_PRELOAD")
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", f"{before} {library}" if before else library)
        patch.setenv("REFUSE_DATA", str(errno.ENODEV))
        failers = [start(failing, env_path, lib_version) for _ in range(2)]
    writers = [start(writing, env_path, lib_version) for _ in range(2)]
    for each in (*failers, *writers):
        finish(each)
    with pylmdb.open(env_path) as env:
        assert env.stat().entries == 80


MAKE = """
pylmdb.open(path, lib_version=lib_version).close()
"""


def test_a_file_that_another_process_makes_in_the_other_format(env_path, lib_version, monkeypatch):
    """The other process creates it after this one has seen no file."""
    seen = []

    def look_too_early(*args):
        seen.append(opening.Look(*args))
        if len(seen) == 1:
            run(MAKE, env_path, 1 - lib_version)
        return seen[-1]

    monkeypatch.setattr(_registry, "Look", look_too_early)
    with pytest.raises(pylmdb.InvalidError, match="leave lib_version out"):
        pylmdb.open(env_path, lib_version=lib_version)
    shutil.rmtree(env_path)
    seen.clear()
    monkeypatch.setattr(_engine, "default", lambda: _engine.of_major(lib_version))
    with pylmdb.open(env_path) as env:
        assert lowlevel.engine(env).version[0] == 1 - lib_version
