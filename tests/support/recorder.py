# SPDX-License-Identifier: MIT
"""Record all writes and flushes of a data file, and make from the recording the files that a power
failure can leave.

A small C library stands before the C library, by LD_PRELOAD, and keeps a log: every write with
its bytes, every change of the file's length, every flush when it returns, and what the program
says it acknowledges.  A writable map is compared with a copy of it at each flush and, by a
thread, at random moments; the pages that differ are writes.  Nothing is really flushed.
"""

import functools
import os
import random
import shlex
import struct
import subprocess
import sysconfig
import tempfile
from pathlib import Path

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *events;

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static void note(char kind, uint64_t at, uint64_t size, const void *data)
{
    const struct { uint64_t kind, at, size; } event = {(uint64_t)kind, at, size};

    fwrite(&event, sizeof event, 1, events);
    if (data)
        fwrite(data, size, 1, events);
}

static int is_recorded(int fd)
{
    const char *end = "/data.mdb";
    char link[32], target[4096];
    ssize_t size;

    if (!events)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = 0;
    return size > (ssize_t)strlen(end) && !strcmp(target + size - strlen(end), end);
}

/* The writable map of the file, and what of it is in the log. */
static char *map, *copy;
static size_t copied;
static int map_fd;

static void note_stores(void)
{
    struct stat found;
    size_t at, size;

    if (!map || fstat(map_fd, &found))
        return;
    size = (size_t)found.st_size & -(size_t)PAGE;
    if (size > copied) {
        copy = realloc(copy, size);
        memset(copy + copied, 0, size - copied);
        copied = size;
    }
    for (at = 0; at < size; at += PAGE)
        if (memcmp(copy + at, map + at, PAGE)) {
            memcpy(copy + at, map + at, PAGE);
            note('W', at, PAGE, copy + at);
        }
}

static void *watch(void *unused)
{
    unsigned int seed = (unsigned int)getpid();

    for (;;) {
        usleep((useconds_t)(rand_r(&seed) % 1000));
        pthread_mutex_lock(&lock);
        note_stores();
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

void *mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t at)
{
    void *made = REAL(void *, "mmap64", void *, size_t, int, int, int, off_t)
                     (addr, size, prot, flags, fd, at);
    pthread_t thread;

    if (made != MAP_FAILED && !at && prot & PROT_WRITE && flags & MAP_SHARED && is_recorded(fd)) {
        pthread_mutex_lock(&lock);
        map = made;
        map_fd = fd;
        note_stores();
        pthread_mutex_unlock(&lock);
        pthread_create(&thread, NULL, watch, NULL);
    }
    return made;
}

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t at)
{
    return mmap64(addr, size, prot, flags, fd, at);
}

int munmap(void *addr, size_t size)
{
    pthread_mutex_lock(&lock);
    if (addr == map) {
        note_stores();
        map = NULL;
    }
    pthread_mutex_unlock(&lock);
    return REAL(int, "munmap", void *, size_t)(addr, size);
}

int msync(void *addr, size_t size, int flags)
{
    pthread_mutex_lock(&lock);
    note_stores();
    if (flags & MS_SYNC && map)
        note('D', (uint64_t)((char *)addr - map), size, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    const int recorded = is_recorded(fd);
    ssize_t done;

    if (recorded)
        pthread_mutex_lock(&lock);
    done = REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t)(fd, data, size, at);
    if (recorded) {
        if (done > 0)
            note('W', (uint64_t)at, (uint64_t)done, data);
        if (done > 0 && fcntl(fd, F_GETFL) & O_DSYNC)
            note('D', (uint64_t)at, (uint64_t)done, NULL);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

ssize_t pwritev64(int fd, const struct iovec *list, int count, off_t at)
{
    ssize_t done = 0, part;
    int i;

    if (!is_recorded(fd))
        return REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off_t)
                   (fd, list, count, at);
    for (i = 0; i < count; i++, done += part)
        if ((part = pwrite64(fd, list[i].iov_base, list[i].iov_len, at + done)) < 0)
            return done ? done : -1;
    return done;
}

ssize_t pwritev(int fd, const struct iovec *list, int count, off_t at)
{
    return pwritev64(fd, list, count, at);
}

/* Nothing writes the file in these ways; a recording would be worth nothing if it began to. */
ssize_t write(int fd, const void *data, size_t size)
{
    if (is_recorded(fd))
        abort();
    return REAL(ssize_t, "write", int, const void *, size_t)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *list, int count)
{
    if (is_recorded(fd))
        abort();
    return REAL(ssize_t, "writev", int, const struct iovec *, int)(fd, list, count);
}

static int change_length(int fd, int result, uint64_t size)
{
    struct stat found;

    if (!result && is_recorded(fd) && !fstat(fd, &found)) {
        if ((uint64_t)found.st_size > size)
            size = (uint64_t)found.st_size;
        pthread_mutex_lock(&lock);
        note('L', size, 0, NULL);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int ftruncate64(int fd, off_t size)
{
    return change_length(fd, REAL(int, "ftruncate64", int, off_t)(fd, size), (uint64_t)size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off_t at, off_t size)
{
    return change_length(fd, REAL(int, "fallocate64", int, int, off_t, off_t)(fd, mode, at, size),
                         0);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return fallocate64(fd, mode, at, size);
}

int fdatasync(int fd)
{
    if (!is_recorded(fd))
        return REAL(int, "fdatasync", int)(fd);
    pthread_mutex_lock(&lock);
    note_stores();
    note('S', 0, 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd)
{
    return is_recorded(fd) ? fdatasync(fd) : REAL(int, "fsync", int)(fd);
}

void recorder_start(const char *path)
{
    events = fopen(path, "wb");
}

void recorder_acknowledge(unsigned int number)
{
    pthread_mutex_lock(&lock);
    note('A', number, 0, NULL);
    pthread_mutex_unlock(&lock);
}

/* The last moment: the machine has no power any more. */
void recorder_stop(void)
{
    pthread_mutex_lock(&lock);
    note_stores();
    fclose(events);
    _exit(0);
}
"""

# In the program: what it says to the library.
RECORDER = """\
import ctypes
recorder = ctypes.CDLL(os.environ["PYLMDB_RECORDER"])
recorder.recorder_start.argtypes = [ctypes.c_char_p]
"""

SECTOR = 512


@functools.cache
def library() -> str:
    """Return the path of the compiled library."""
    folder = Path(tempfile.mkdtemp(prefix="pylmdb-recorder-"))
    (folder / "recorder.c").write_text(LIBRARY)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-O1", "-shared", "-fPIC", "-o", "recorder.so", "recorder.c"]
    subprocess.run([*command, "-ldl", "-lpthread"], cwd=folder, check=True)
    return str(folder / "recorder.so")


def environment() -> dict[str, str]:
    """Return the environment variables that a recorded program needs."""
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), library()]))
    return {"PYLMDB_RECORDER": library(), "LD_PRELOAD": preload}


def events(path):
    """Yield the events of a log, in order: (kind, at, size, bytes)."""
    header = struct.Struct("QQQ")
    with open(path, "rb") as file:
        while head := file.read(header.size):
            kind, at, size = header.unpack(head)
            kind = chr(kind)
            yield kind, at, size, file.read(size) if kind == "W" else b""


class Disk:
    """A file on a disk that loses its power.

    ``cached`` is the file as programs see it, ``durable`` what no power failure can take.  What
    is between the two reaches the disk, or does not, sector by sector.  A sector has all that
    was written to it before it was written to the disk: there is one cache.
    """

    def __init__(self):
        self.cached, self.durable = bytearray(), bytearray()
        self.pending = []  # (number of the write, sector, its bytes then), in order
        self.lengths = [0]  # those that the file may have
        self.acknowledged = self.writes = 0

    def happen(self, kind, at, size, data):
        """Apply an event of a log."""
        if kind == "A":
            self.acknowledged = at
        elif kind == "L":
            self._lengthen(at)
        elif kind == "W":
            self._lengthen(at + size)
            self.cached[at : at + size] = data
            self.writes += 1
            for sector in range(at // SECTOR, (at + size - 1) // SECTOR + 1):
                now = bytes(self.cached[sector * SECTOR : (sector + 1) * SECTOR])
                self.pending.append((self.writes, sector, now))
        elif kind == "D":
            self._make_durable(at, at + size)
        else:
            self._make_durable(0, len(self.cached))
            self.lengths = [len(self.cached)]

    def _lengthen(self, size):
        if size > len(self.cached):
            self.cached.extend(bytes(size - len(self.cached)))
            self.lengths.append(size)

    def _make_durable(self, start, end):
        first, last = start // SECTOR, (end - 1) // SECTOR
        flushed = {s: now for _, s, now in self.pending if first <= s <= last}
        self.pending = [each for each in self.pending if each[1] not in flushed]
        end = min(end, len(self.cached))
        if end > len(self.durable):
            self.durable.extend(bytes(end - len(self.durable)))
        for sector, now in flushed.items():
            self.durable[sector * SECTOR : sector * SECTOR + len(now)] = now
        self.lengths = [size for size in self.lengths if size >= len(self.durable)]

    def image(self, chance: random.Random, in_order: bool) -> bytes:
        """Make a file that a power failure at this moment can leave.

        Pending writes have reached the disk up to some sector, or, if the disk keeps no order, in
        any part.
        """
        if in_order:
            kept = self.pending[: chance.randrange(len(self.pending) + 1)]
            length = max([len(self.durable), *(s * SECTOR + len(now) for _, s, now in kept)])
        else:
            kept = self._any_part(chance)
            length = chance.choice(self.lengths)
        found = self.durable + bytes(length - len(self.durable))
        for _, sector, now in kept:
            at = sector * SECTOR
            if at + len(now) <= length:
                found[at : at + len(now)] = now
        return bytes(found)

    def _any_part(self, chance):
        likely, torn = chance.choice([0, 0.1, 0.5, 0.9, 1]), chance.choice([0, 0.2, 1])
        last = fate = None
        for each in self.pending:
            if each[0] != last:  # whole writes, and torn ones
                last = each[0]
                fate = chance.random() if chance.random() < torn else chance.random() < likely
            if chance.random() < fate:
                yield each
