/* SPDX-License-Identifier: MIT */
/* What the loops in C share: their clock, and where a byte of each record goes, so that it is
 * read. */
#ifndef LOOPS_H
#define LOOPS_H

#include <time.h>

static volatile unsigned char sink;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
