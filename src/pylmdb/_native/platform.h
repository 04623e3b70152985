/* SPDX-License-Identifier: MIT */
/* The differences between systems. Other files ask for what they need by the names of this file,
 * and never for a system. docs/reference/platforms.md lists what is missing on which system.
 *
 * PYLMDB_POSIX_ONLY makes a build on Linux do without what only Linux has. It runs the code that
 * macOS runs, so tests on Linux reach that code. */
#ifndef PYLMDB_PLATFORM_H
#define PYLMDB_PLATFORM_H

#if defined(__linux__) && !defined(PYLMDB_POSIX_ONLY)
#define PYLMDB_LINUX 1
#else
#define PYLMDB_LINUX 0
#endif

/* Whether locks between processes are robust mutexes in the lock file (writer_lock.c). Otherwise
 * they are named semaphores (semaphores.c), as liblmdb has them on macOS. */
#define PYLMDB_ROBUST_LOCKS PYLMDB_LINUX
#if !PYLMDB_ROBUST_LOCKS
#define MDB_USE_POSIX_SEM 1
#endif

/* Whether a read past the end of a truncated data file can continue (truncation.c). */
#if PYLMDB_LINUX && (defined(__x86_64__) || defined(__aarch64__))
#define PYLMDB_GUARDS_READS 1
#else
#define PYLMDB_GUARDS_READS 0
#endif

/* How many bits an address has at least (addresses.c), where the stack is not near the highest
 * address. */
#if defined(__APPLE__) && defined(__aarch64__)
#define PYLMDB_ADDRESS_BITS 47
#else
#define PYLMDB_ADDRESS_BITS 0
#endif

/* Whether the system tells which pages are in memory, and reads those that it is asked for
 * (read_ahead.c). */
#define PYLMDB_READS_AHEAD PYLMDB_LINUX

/* Whether a process can find out what it has mapped (other_bindings.c). */
#define PYLMDB_LISTS_MAPS PYLMDB_LINUX

/* Whether msync() also flushes pages that were changed by a write to the file (bulk_pages.c). */
#define PYLMDB_MSYNC_FLUSHES_WRITES PYLMDB_LINUX

/* pwritev() (whole_writes.c), and fallocate() (growth.c; macOS has F_PREALLOCATE). */
#define PYLMDB_HAS_PWRITEV PYLMDB_LINUX
#define PYLMDB_HAS_FALLOCATE PYLMDB_LINUX

/* When a file, by its struct stat, was changed in any way, and when it was written to. */
#if defined(__APPLE__)
#define PYLMDB_CHANGED(found) ((found)->st_ctimespec)
#define PYLMDB_WRITTEN(found) ((found)->st_mtimespec)
#else
#define PYLMDB_CHANGED(found) ((found)->st_ctim)
#define PYLMDB_WRITTEN(found) ((found)->st_mtim)
#endif

/* A clock that is quick to read (files.c), and the one that gives files their times, where it has
 * a name (identity.c). */
#if PYLMDB_LINUX
#define PYLMDB_QUICK_CLOCK CLOCK_MONOTONIC_COARSE
#define PYLMDB_FILE_CLOCK CLOCK_REALTIME_COARSE
#else
#define PYLMDB_QUICK_CLOCK CLOCK_MONOTONIC
#define PYLMDB_FILE_CLOCK CLOCK_REALTIME
#endif

#endif
