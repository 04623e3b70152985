# SPDX-License-Identifier: MIT
"""A reader sees a commit when its meta page has been flushed, and not before: with a lock file and
without.

A small library is loaded before the C library.  With it, each flush of a meta page waits.
"""

import os
import shlex
import subprocess
import sys
import sysconfig

import pytest
from programs import run

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the library stands before glibc"
)

SLOW_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

static int told = -1, go;

void slow_disk(int told_fd, int go_fd)
{
    told = told_fd;
    go = go_fd;
}

static void wait_for_disk(void)
{
    char byte = 0;

    if (told >= 0 && write(told, &byte, 1) == 1)
        (void)!read(go, &byte, 1);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
    const ssize_t done = real(fd, data, size, at);

    if (fcntl(fd, F_GETFL) & O_DSYNC)
        wait_for_disk();
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

int msync(void *map, size_t size, int flags)
{
    int (*real)(void *, size_t, int) = dlsym(RTLD_NEXT, "msync");

    wait_for_disk();
    return real(map, size, flags);
}
"""

COMMIT_SLOWLY = """
import ctypes
for lock in (True, False):
    for writemap in (False, True):
        env = pylmdb.open(f"{path}-{lock}-{writemap}", lib_version=lib_version, lock=lock,
                          writemap=writemap)
        told, go = os.pipe(), os.pipe()
        for number in range(1, 4):
            ctypes.CDLL(os.environ["SLOW_DISK"]).slow_disk(told[1], go[0])
            def commit():
                with env.begin(write=True) as txn:
                    txn.put(b"number", b"%d" % number)
            thread = threading.Thread(target=commit)
            thread.start()
            seen = []
            for flush in range(1 + writemap):  # that of the map, and that of the meta page
                os.read(told[0], 1)
                with env.begin() as txn:
                    seen.append((txn.id(), txn.get(b"number", b"0")))
                os.write(go[1], b"x")
            thread.join()
            ctypes.CDLL(os.environ["SLOW_DISK"]).slow_disk(-1, -1)
            assert set(seen) == {(number - 1, b"%d" % (number - 1))}, (lock, writemap, seen)
            with env.begin() as txn:
                assert (txn.id(), txn.get(b"number")) == (number, b"%d" % number)
        env.close()
print("done")
"""


def test_a_reader_does_not_see_a_commit_before_its_flush(
    tmp_path, env_path, lib_version, monkeypatch
):
    source, library = tmp_path / "disk.c", str(tmp_path / "disk.so")
    source.write_text(SLOW_DISK)
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    before = os.environ.get("LD_PRELOAD")
    monkeypatch.setenv("LD_PRELOAD", f"{before} {library}" if before else library)
    monkeypatch.setenv("SLOW_DISK", library)
    assert run(COMMIT_SLOWLY, env_path, lib_version) == "done\n"
