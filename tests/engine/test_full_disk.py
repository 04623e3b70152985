# SPDX-License-Identifier: MIT
"""A full disk raises an exception, loses nothing, and writing works again when there is room.

A small library is loaded before the C library.  It simulates a disk of a given size: it accepts
writes until the disk is full, to the byte, and refuses the rest.
"""

import os
import shlex
import subprocess
import sys
import sysconfig

import programs
import pytest

DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

static off_t capacity = -1;
static int error = ENOSPC;

void disk_set(long long bytes, int number)
{
    capacity = bytes;
    error = number;
}

/* How much of a write to a regular file there is room for; -1 for none. */
static ssize_t room(int fd, off_t at, size_t size)
{
    struct stat found;
    off_t end = at + (off_t)size;

    if (capacity < 0 || fstat(fd, &found) || !S_ISREG(found.st_mode) || end <= capacity ||
        end <= found.st_size)
        return (ssize_t)size;
    if (at < capacity)
        return (ssize_t)(capacity - at);
    errno = error;
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
    const ssize_t fits = room(fd, at, size);

    return fits < 0 ? -1 : real(fd, data, (size_t)fits, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

ssize_t pwritev64(int fd, const struct iovec *list, int count, off_t at)
{
    ssize_t done = 0, part;
    int i;

    for (i = 0; i < count; i++) {
        part = pwrite64(fd, list[i].iov_base, list[i].iov_len, at + done);
        if (part < 0)
            return done ? done : -1;
        done += part;
        if ((size_t)part < list[i].iov_len)
            break;
    }
    return done;
}

ssize_t pwritev(int fd, const struct iovec *list, int count, off_t at)
{
    return pwritev64(fd, list, count, at);
}

int fallocate64(int fd, int mode, off_t at, off_t size)
{
    int (*real)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, "fallocate64");

    if (room(fd, at, (size_t)size) == (ssize_t)size)
        return real(fd, mode, at, size);
    errno = error;
    return -1;
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return fallocate64(fd, mode, at, size);
}
"""

SETUP = """
import ctypes, errno
set_disk = ctypes.CDLL(os.environ["DISK"]).disk_set
set_disk.argtypes = [ctypes.c_longlong, ctypes.c_int]
def disk(size, number=errno.ENOSPC):
    set_disk(size, number)
writemap = sys.argv[3] == "True"
MIB = 1 << 20
def open_env(**options):
    return pylmdb.open(path, lib_version=lib_version, writemap=writemap, **options)
def fill(env, size, name=b"k"):
    with env.begin(write=True) as txn:
        for i in range(size // 4000):
            txn.put(name + b"%08d" % i, b"v" * 3900)
def refused(call, number=errno.ENOSPC):
    try:
        call()
    except pylmdb.DiskError as error:
        assert error.errno == number and isinstance(error, OSError), error
        return str(error)
    else:
        raise AssertionError("there was room")
def count(env):
    with env.begin() as txn:
        assert all(value == b"v" * 3900 for _, value in txn.cursor())
        return txn.stat().entries
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Return the path of the library."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "disk.c").write_text(DISK)
    library = folder / "disk.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-shared", "-fPIC", "-O1", "-o", library, folder / "disk.c", "-ldl"]
    subprocess.run(command, check=True)
    return str(library)


@pytest.fixture(params=[False, True], ids=["plain", "writemap"])
def run(request, disk, env_path, lib_version, monkeypatch):
    """Run a program on a disk whose size it sets."""
    before = os.environ.get("LD_PRELOAD")
    monkeypatch.setenv("LD_PRELOAD", f"{before} {disk}" if before else disk)
    monkeypatch.setenv("DISK", disk)
    head = f"sys.argv.append({str(request.param)!r})\n"
    return lambda source: programs.run(head + SETUP + source, env_path, lib_version)


pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the library stands before glibc"
)


@pytest.mark.parametrize("size", [0, 1, 2048, 4096, 5000])
def test_nothing_that_was_committed_is_lost(run, size):
    run(
        f"MORE = {size}\n"
        """
env = open_env()
fill(env, 4 * MIB)
had = count(env)
reader = env.begin()
disk(os.stat(path + "/data.mdb").st_size + MORE)
for _ in range(3):
    refused(lambda: fill(env, 6 * MIB, b"new"))
    assert count(env) == had
    assert open_env().stat().entries == had
disk(-1)
fill(env, 6 * MIB, b"new")
assert count(env) > 2 * had and reader.stat().entries == had
env.close()
assert count(open_env()) > 2 * had
"""
    )


def test_the_disk_says_what_the_matter_is(run):
    run("""
env = open_env()
fill(env, MIB)
reasons = {
    errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be too large", errno.EIO: "the disk has failed",
}
for number in reasons:
    disk(os.stat(path + "/data.mdb").st_size, number)
    said = refused(lambda: fill(env, 20 * MIB, b"new"), number)
    assert f": the data file cannot be written: {reasons[number]}; earlier" in said, said
    disk(-1)
assert count(env) == MIB // 4000
""")


def test_what_there_is_room_for_is_taken(run):
    """The map grows by less if the disk has no more room."""
    run("""
env = open_env()
fill(env, 8 * MIB)
size = os.stat(path + "/data.mdb").st_size
disk(size + 200_000)
with env.begin(write=True) as txn:
    for i in range(20):
        txn.put(b"new%d" % i, b"v" * 3900)
assert count(env) == 8 * MIB // 4000 + 20
""")


def test_opening_allocates_what_is_stored_into(run):
    run("""
env = open_env(map_size=64 * MIB)
fill(env, MIB)
env.close()
with open(path + "/data.mdb", "r+b") as file:  # a copy may have holes where nothing was
    size = os.fstat(file.fileno()).st_size
    file.truncate(size + 8 * MIB)
env = open_env(map_size=64 * MIB)
found = os.stat(path + "/data.mdb")
assert not writemap or found.st_blocks * 512 >= env.info().used
fill(env, 2 * MIB)
assert count(env) == 2 * MIB // 4000
""")


def test_compact_needs_room_for_the_copy(run):
    run("""
env = open_env()
fill(env, 4 * MIB)
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limit[1]))
assert refused(env.compact, errno.EFBIG).startswith("compact: the new file cannot be written: the")
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
assert os.listdir(path) and not os.path.exists(path + "/data.mdb.compact")
assert count(env) == 4 * MIB // 4000
env.compact()
assert count(env) == 4 * MIB // 4000
""")


def test_a_new_environment(run):
    run("""
for size in (0, 1, 10, 5000):
    disk(size)
    refused(open_env)
    disk(-1)
    assert not os.path.exists(path)
fill(open_env(), 1 * MIB)
""")


def test_records_that_are_appended_many_at_a_time(run):
    """Their pages are written before the commit."""
    run("""
env = open_env()
fill(env, 2 * MIB)
had = count(env)
items = [(b"new%08d" % i, b"v" * 3900 if i % 3 else b"v" * 300) for i in range(3000)]
def append(txn):
    assert txn.cursor().putmulti(items, append=True) == (3000, 3000)
def append_in_transaction():
    with env.begin(write=True) as txn:
        append(txn)
size = os.stat(path + "/data.mdb").st_size
for more in (0, 1, 5000, MIB, 2 * MIB, 6 * MIB):
    disk(size + more)
    refused(append_in_transaction)
    if not writemap:
        with env.begin(write=True) as txn:
            try:
                with env.begin(write=True, parent=txn) as child:
                    append(child)
            except pylmdb.DiskError:
                pass
            else:
                raise AssertionError("there was room")
            assert txn.stat().entries == had
            txn.abort()
    disk(-1)
    assert count(env) == had and pylmdb.verify(path).ok
append_in_transaction()
env.close()
assert open_env().stat().entries == had + 3000 and pylmdb.verify(path).ok
""")


def test_a_merge_of_large_values(run):
    """Pages are written before the commit."""
    run("""
env = open_env()
fill(env, 2 * MIB)
with env.begin(write=True) as txn:
    for i in range(100):
        txn.put(b"large%06d" % i, b"V" * 100_000)
env.close()
for size in range(0, 12 * MIB, 900_001):
    disk(size)
    refused(lambda: pylmdb.merge([path], path + "-new"))
    assert not os.path.exists(path + "-new")
disk(-1)
with pylmdb.open(path + "-into", lib_version=lib_version, writemap=writemap) as other:
    fill(other, 1 * MIB, b"a")
    had = count(other)
    for more in (0, 4095, 5 * MIB):
        disk(os.stat(path + "-into/data.mdb").st_size + more)
        refused(lambda: pylmdb.merge([path], other))
        disk(-1)
        assert count(other) == had and pylmdb.verify(path + "-into").ok
    assert pylmdb.merge([path], other) == other.stat().entries - had == 2 * MIB // 4000 + 100
""")
