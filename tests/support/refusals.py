# SPDX-License-Identifier: MIT
"""Simulate file systems and systems that refuse what an environment needs.

A small C library stands before the C library, by LD_PRELOAD.  Environment variables hold the
error number of what it refuses:

REFUSE_LOCKS   locks of processes and of open files          REFUSE_OFD  those of open files
REFUSE_DATA    mapping a file whose name ends in data.mdb    REFUSE_LOCK_MAP  in lock.mdb
REFUSE_OPEN    opening a file whose name ends in lock.mdb for writing
"""

from extensions import compile_library

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int refused(const char *what)
{
    const char *number = getenv(what);

    if (!number)
        return 0;
    errno = atoi(number);
    return 1;
}

static int ends_in(const char *name, const char *end)
{
    const size_t size = strlen(name), wanted = strlen(end);

    return size >= wanted && !strcmp(name + size - wanted, end);
}

static int is_file(int fd, const char *end)
{
    char link[40], name[4096];
    ssize_t size;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, name, sizeof(name) - 1);
    name[size < 0 ? 0 : size] = 0;
    return ends_in(name, end);
}

static int lock_is_refused(int command)
{
    if (command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK)
        return refused("REFUSE_OFD") || refused("REFUSE_LOCKS");
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK)
        return refused("REFUSE_LOCKS");
    return 0;
}

#define FCNTL(name)                                                         \
    int name(int fd, int command, ...)                                      \
    {                                                                       \
        int (*real)(int, int, ...) = dlsym(RTLD_NEXT, #name);               \
        va_list arguments;                                                  \
        void *argument;                                                     \
        va_start(arguments, command);                                       \
        argument = va_arg(arguments, void *);                               \
        va_end(arguments);                                                  \
        return lock_is_refused(command) ? -1 : real(fd, command, argument); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

#define MMAP(name)                                                                     \
    void *name(void *at, size_t size, int access, int flags, int fd, off_t offset)     \
    {                                                                                  \
        void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, #name); \
        if (fd >= 0 && ((is_file(fd, "data.mdb") && refused("REFUSE_DATA")) ||         \
                        (is_file(fd, "lock.mdb") && refused("REFUSE_LOCK_MAP"))))      \
            return MAP_FAILED;                                                         \
        return real(at, size, access, flags, fd, offset);                              \
    }
MMAP(mmap)
MMAP(mmap64)

#define OPEN(name)                                                                        \
    int name(const char *path, int flags, ...)                                            \
    {                                                                                     \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);                    \
        va_list arguments;                                                                \
        int mode;                                                                         \
        va_start(arguments, flags);                                                       \
        mode = va_arg(arguments, int);                                                    \
        va_end(arguments);                                                                \
        if ((flags & O_ACCMODE) == O_RDWR && ends_in(path, "lock.mdb") && refused("REFUSE_OPEN")) \
            return -1;                                                                    \
        return real(path, flags, mode);                                                   \
    }
OPEN(open)
OPEN(open64)
"""


def compile_into(folder):
    """Return the path of the library."""
    return compile_library(SOURCE, folder, "refusals")
