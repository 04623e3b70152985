/* SPDX-License-Identifier: MIT */
/* Read and copy memory, and pause. None of this needs an engine, so the core is
 * compiled with it, too. */
#ifndef PYLMDB_MEMORY_H
#define PYLMDB_MEMORY_H

#include "engine.h"

/* Prefetch an address that is read soon and is probably not in the processor's cache. */
#if defined(__GNUC__)
#define PYLMDB_FETCH(address) __builtin_prefetch(address)
#else
#define PYLMDB_FETCH(address) ((void)(address))
#endif

/* Whether any data file of this process was found truncated (truncation.c). The core has a note
 * of its own. */
#if defined(__GNUC__)
extern int pylmdb_any_truncated __attribute__((visibility("hidden")));
#else
extern int pylmdb_any_truncated;
#endif

/* Called before and after a read. The fence orders the reads before it: if they read zeros in
 * place of a missing page, which the handler of another thread has mapped, the note of that
 * thread is seen. It pairs with fill_page() in truncation.c. */
static inline int any_file_is_truncated(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __builtin_expect(__atomic_load_n(&pylmdb_any_truncated, __ATOMIC_RELAXED), 0);
}

/* Read a byte of each page. Called before a value is copied: if the file lacks a page, that
 * is noted (any_file_is_truncated()). */
static inline void touch_pages(const void *data, size_t size)
{
    const volatile char *bytes = data;
    size_t at;

    for (at = 0; at < size; at += 4096)
        (void)bytes[at];
    if (size)
        (void)bytes[size - 1];
}

/* Write a record, key and value, for each width bytes of values. */
void pylmdb_copy_records(char *out, const MDB_val *key, const MDB_val *values, size_t width);

/* Copy the items of an array into one block, in C order; shape and strides as in a Python
 * buffer. */
void pylmdb_copy_strided(char *out, const char *from, int ndim, const ptrdiff_t *shape,
                         const ptrdiff_t *strides, size_t item);

/* Sleep for a moment, in a loop that waits for another thread. */
void pylmdb_pause(void);

#endif
