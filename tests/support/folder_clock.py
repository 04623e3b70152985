# SPDX-License-Identifier: MIT
"""Count how often files are looked up by name, under a clock that a test sets.

A small C library stands before the C library, by LD_PRELOAD.  In it the coarse clocks stand still,
as they may on a virtual machine: MONOTONIC_COARSE at one time, and REALTIME_COARSE
COARSE_AHEAD seconds after the library was loaded.  All other clocks are an hour ahead.
"""

from extensions import compile_library

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

int lookups, coarse_clock_is_read;

int stat(const char *path, struct stat *found)
{
    int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");

    lookups++;
    return real(path, found);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    static struct timespec loaded;

    if (!real) {
        real = dlsym(RTLD_NEXT, "clock_gettime");
        real(CLOCK_REALTIME, &loaded);
    }
    if (clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_REALTIME_COARSE) {
        const int failed = real(clock, now);

        now->tv_sec += 3600;
        return failed;
    }
    coarse_clock_is_read = 1;
    *now = loaded;
    if (clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += atoi(getenv("COARSE_AHEAD"));
    return 0;
}

__attribute__((constructor)) static void load(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
}
"""


def compile_into(folder):
    """Return the path of the library."""
    return compile_library(SOURCE, folder, "folder_clock")
