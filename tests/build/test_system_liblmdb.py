# SPDX-License-Identifier: MIT
"""PYLMDB_SYSTEM_LIBLMDB=1: the package with the system's liblmdb, as a distribution builds it."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from project import ROOT

import pylmdb

pytestmark = pytest.mark.slow

PROGRAM = """
import os, struct, sys, tempfile, threading
import pylmdb, pylmdb.lowlevel

assert [engine.version[0] for engine in pylmdb.lowlevel.engines()] == [0]
assert pylmdb.version() >= (0, 9, 14), pylmdb.version()
assert pylmdb.version(subpatch=True)[3] == 0
try:
    pylmdb.open(tempfile.mkdtemp(), lib_version=1)
except pylmdb.Error as error:
    assert "lib_version=1" in str(error), error
else:
    raise AssertionError("there is no 1.0 engine")

folder = tempfile.mkdtemp()
env = pylmdb.open(folder)
names = (b"dups", b"fixed", b"main-like", b"numbers")
dups = env.open_db(b"dups", dupsort=True)
fixed = env.open_db(b"fixed", dupfixed=True)
plain = env.open_db(b"main-like")
numbers = env.open_db(b"numbers", integerkey=True)

with env.begin(write=True) as txn:
    txn.put(b"ordinary record", b"of the main database")
    assert txn.put(b"k", b"v", db=plain) and not txn.put(b"k", b"w", db=plain, overwrite=False)
    for n in range(1000):
        txn.put(b"%04d" % n, b"x" * n, db=plain)
        txn.put(b"dup", b"%04d" % n, db=dups)
        txn.put(b"dup", b"%04d" % n, db=fixed)
        txn.put(struct.pack("=Q", n), b"%d" % n, db=numbers)
    with txn.cursor(plain) as cursor:
        cursor.put(b"zz", b"by cursor")
    assert txn.pop(b"0999", db=plain) == b"x" * 999
    with env.begin(parent=txn, write=True) as child:
        child.put(b"child", b"kept", db=plain)
    child = env.begin(parent=txn, write=True)
    child.put(b"child", b"undone", db=plain)
    child.abort()
    assert txn.get(b"child", db=plain) == b"kept"

assert env.dbs() == list(names), env.dbs()
# What describes a named database is no record of the main database.
apart = [tempfile.mkdtemp() for _ in range(2)]
for number, path in enumerate(apart):
    with pylmdb.open(path) as one, one.begin(write=True) as txn:
        txn.put(b"%02d" % number, b"x" * 48)
        txn.put(b"k", b"%d" % number, db=one.open_db(b"named %d" % number, txn=txn))
        assert txn.next_id() == number + 1, txn.next_id()
merged = tempfile.mkdtemp() + "/merged"
pylmdb.merge(apart, merged)
with pylmdb.open(merged) as both, both.begin() as txn:
    assert both.dbs(txn) == [b"named 0", b"named 1"], both.dbs(txn)
    assert txn.stat().entries == 4, txn.stat()
    assert txn.get(b"01") == b"x" * 48
    assert txn.get(b"k", db=both.open_db(b"named 1", txn=txn)) == b"1"

with env.begin() as txn:
    assert env.dbs(txn) == list(names)
    assert txn.get(b"0500", db=plain) == b"x" * 500
    assert txn.get(b"none", b"default") == b"default"
    assert txn.get_many([b"k", b"none"], db=plain) == [b"v", None]
    assert list(txn.range(b"0010", b"0013", values=False, db=plain)) == [b"0010", b"0011", b"0012"]
    assert [struct.unpack("=Q", key)[0] for key, _ in txn.cursor(numbers)] == list(range(1000))
    for db in dups, fixed:
        cursor = txn.cursor(db)
        assert cursor.set_key(b"dup") and cursor.count() == 1000
        assert cursor.last_dup() and cursor.item() == (b"dup", b"0999")
        assert [v for _, v in cursor.iterprev_dup(keys=True)][-1] == b"0000"

with env.begin(write=True) as txn:
    assert txn.count(b"0010", b"0020", db=plain) == 10 and txn.count(db=numbers) == 1000
    assert txn.count(b"a", db=dups) == 1000 == txn.delete_range(prefix=b"dup", db=dups)
    assert txn.delete_range(struct.pack("=Q", 10), struct.pack("=Q", 990), db=numbers) == 980
    assert [key for key, _ in txn.cursor(numbers)] == [
        struct.pack("=Q", n) for n in (*range(10), *range(990, 1000))]
    assert txn.delete_range(b"", b"0010", db=plain) == 10
    txn.abort()

# Views are made from the address of each value: this build does not know the map's address.
with env.begin(db=plain, buffers=True) as txn:
    view, pairs = txn.get(b"0500"), list(txn.cursor())[:20]
    assert isinstance(view, memoryview) and view.readonly and view == b"x" * 500
assert env.info()["pinned"] == 1, env.info()
with env.begin(write=True, db=plain) as txn:
    for n in range(1000):
        txn.put(b"%04d" % n, b"y" * n)
assert view == b"x" * 500 and bytes(view[10:12]) == b"xx"
assert [(bytes(k), bytes(v)) for k, v in pairs] == [(b"%04d" % n, b"x" * n) for n in range(20)]
del view, pairs
assert env.info()["pinned"] == 0

with env.begin(write=True) as txn:
    caught = []
    def other():
        try:
            env.begin(write=True, timeout=0.2)
        except pylmdb.LockTimeoutError as error:
            caught.append(error)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert caught
    txn.drop(dups)
assert b"dups" not in env.dbs()

for compact in False, True:
    copy = tempfile.mkdtemp()
    env.copy(copy, compact=compact)
    with pylmdb.open(copy, readonly=True) as other, other.begin() as txn:
        assert len(list(txn.cursor(other.open_db(b"numbers", txn=txn)))) == 1000
assert str(os.getpid()) not in env.readers() and env.reader_check() == 0

env.set_mapsize(64 << 20)
assert env.info()["map_size"] == 64 << 20
pid = os.fork()
if pid == 0:
    try:
        assert env.begin().get(b"ordinary record") == b"of the main database"
        with env.begin(write=True) as txn:
            txn.put(b"from the child", b"1")
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert env.begin().get(b"from the child") == b"1"

view = env.begin(buffers=True).get(b"ordinary record")
env.close()
assert view == b"of the main database"
print("all well with", pylmdb.version())
"""

# Checksums are of LMDB 1.0.  LMDB 0.9 cannot open such a file.
CHECKSUMS = """
import sys
import pylmdb

with open(sys.argv[1] + "/data.mdb", "rb") as file:
    before = file.read()
try:
    with pylmdb.open(sys.argv[1]) as env, env.begin(write=True) as txn:
        txn.put(b"key", b"new")
except pylmdb.ReadonlyError as error:
    assert "have checksums that this build of pylmdb cannot compute" in str(error), error
    with pylmdb.open(sys.argv[1]) as env, env.begin() as txn:
        assert txn.get(b"key") == b"value"
except pylmdb.VersionMismatchError as error:
    assert [engine.version[0] for engine in pylmdb.lowlevel.engines()] == [0], error
else:
    raise AssertionError("it was written to")
with open(sys.argv[1] + "/data.mdb", "rb") as file:
    assert file.read() == before
print("refused")
"""


def run(*command, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def require_lmdb_h(tmp_path):
    """Without liblmdb's header the test fails and is not skipped."""
    source = tmp_path / "probe.c"
    source.write_text("#include <lmdb.h>\nint main(void) { return MDB_VERSION_MAJOR; }\n")
    command = [os.environ.get("CC", "cc"), source, "-o", tmp_path / "probe", "-llmdb"]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return
    if os.environ.get("PYLMDB_NO_LMDB_UTILS") == "1":
        pytest.skip("PYLMDB_NO_LMDB_UTILS=1")
    pytest.fail(
        "lmdb.h and liblmdb.so not found: apt-get install liblmdb-dev, or set"
        " PYLMDB_NO_LMDB_UTILS=1 to do without this test",
        pytrace=False,
    )


def copy_sources(target):
    """Copy the sources without liblmdb's: this build must not need them."""
    leave = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "0.9", "1.0", ".placing-*")
    for name in ("src", "lib"):
        shutil.copytree(ROOT / name, target / name, ignore=leave)
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md", "MANIFEST.in"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, target / name)


@pytest.mark.usefixtures("require_lmdb_h")
def test_the_package_works_with_the_systems_liblmdb(tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    copy_sources(checkout)
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip()
    # The environment that runs the tests lends its setuptools and cffi; nothing is downloaded.
    run(
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--target", site, checkout),
        PYLMDB_SYSTEM_LIBLMDB="1",
        PYLMDB_WERROR="1",
        PYLMDB_SANITIZE="",
    )
    assert len(list(Path(site, "pylmdb").glob("_lmdb*"))) == 1
    lender = str(Path(__import__("cffi").__file__).resolve().parent.parent)
    program = f"import sys; sys.path.append({lender!r})\n{PROGRAM}"
    assert "all well" in run(python, "-I", "-W", "error", "-c", program)
    with pylmdb.open(tmp_path / "summed", checksums=True) as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    program = f"import sys; sys.path.append({lender!r})\n{CHECKSUMS}"
    assert "refused" in run(python, "-I", "-W", "error", "-c", program, tmp_path / "summed")
