/* SPDX-License-Identifier: MIT */
/* Copy records to arrays. The records are first located in key order, and then copied in the
 * order of the array, with several threads if the caller asks for them. */
#include "arrays.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

/* -- locating --------------------------------------------------------------------- */

/* How many keys one call looks up. */
#define BATCH_SIZE 64
/* How many values ahead to prefetch, and how many bytes of each. */
#define PREFETCH_DISTANCE 4
#define PREFETCH_BYTES 2048

static void copy_row(char *to, const char *from, size_t size)
{
    if (from)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
}

/* Prefetch the first cache lines of a row; the processor prefetches the rest of a long one. */
static inline void prefetch_row(const char *row, size_t size)
{
    size_t at;

    for (at = 0; at < size && at < PREFETCH_BYTES; at += 64)
        PYLMDB_FETCH(row + at);
}

/* A batch of keys, and what was found for each. */
struct batch {
    MDB_val *keys, *values;
    void **overflow_nodes;
    struct pylmdb_sort_entry *entries;
    size_t count;
};

static int make_batch(const struct pylmdb_keys *keys, struct batch *batch)
{
    const size_t room = keys->count + 1;
    size_t i;

    batch->count = keys->count;
    batch->keys = malloc(room * sizeof(*batch->keys));
    batch->values = malloc(room * sizeof(*batch->values));
    batch->overflow_nodes = malloc(room * sizeof(*batch->overflow_nodes));
    batch->entries = malloc(2 * room * sizeof(*batch->entries));
    if (!batch->keys || !batch->values || !batch->overflow_nodes || !batch->entries)
        return ENOMEM;
    for (i = 0; i < keys->count; i++)
        batch->keys[i] = pylmdb_key_at(keys, i);
    return 0;
}

static void drop_batch(struct batch *batch)
{
    free(batch->keys);
    free(batch->values);
    free(batch->overflow_nodes);
    free(batch->entries);
}

static int look_up_all(MDB_cursor *cursor, unsigned int dbflags, struct batch *batch)
{
    const struct pylmdb_sort_entry *entries =
        pylmdb_order_keys(batch->keys, batch->count, dbflags, batch->entries);
    struct pylmdb_lookup found[BATCH_SIZE];
    size_t from, i, size;
    int rc = 0;

    for (from = 0; from < batch->count && !rc; from += size) {
        size = batch->count - from < BATCH_SIZE ? batch->count - from : BATCH_SIZE;
        rc = pylmdb_find(cursor, dbflags, batch->keys, entries + from, found, size);
        for (i = 0; i < size && !rc; i++) {
            batch->values[found[i].index] = found[i].value;
            batch->overflow_nodes[found[i].index] = found[i].overflow_node;
        }
    }
    return rc;
}

static int is_absent(const struct batch *batch, size_t i)
{
    return !batch->values[i].mv_data && !batch->overflow_nodes[i];
}

/* Check that each value has the size, and, if complete is set, that no key is missing. */
static int check_all(const struct batch *batch, size_t size, int complete, size_t *bad,
                     size_t *bad_size)
{
    for (*bad = 0; *bad < batch->count; ++*bad) {
        if (is_absent(batch, *bad)) {
            if (complete)
                return MDB_NOTFOUND;
        } else if (batch->values[*bad].mv_size != size) {
            *bad_size = batch->values[*bad].mv_size;
            return PYLMDB_MISFIT;
        }
    }
    return 0;
}

/* Let the system read all overflow pages of the batch at once, if they must be read from a
 * disk. Meanwhile the values have only the addresses of their pages. */
static void prefetch_overflow_pages(MDB_cursor *cursor, struct batch *batch)
{
    size_t i, count = 0;

    for (i = 0; i < batch->count; i++) {
        if (!batch->overflow_nodes[i])
            continue;
        batch->values[i].mv_data =
            (void *)pylmdb_prefetch_overflow(cursor, batch->overflow_nodes[i]);
        count++;
    }
    if (count)
        (void)pylmdb_read_ahead(batch->values, batch->count);
}

/* Read a value on overflow pages. First prefetch the pages of a later value, in the order in
 * which they are needed. */
static int read_overflow_value(MDB_cursor *cursor, const struct batch *batch, size_t i)
{
    if (i + PREFETCH_DISTANCE < batch->count && batch->overflow_nodes[i + PREFETCH_DISTANCE])
        pylmdb_prefetch_overflow(cursor, batch->overflow_nodes[i + PREFETCH_DISTANCE]);
    return i < batch->count && batch->overflow_nodes[i]
               ? pylmdb_read_overflow(cursor, batch->overflow_nodes[i], &batch->values[i])
               : 0;
}

/* With one thread each value is copied soon after it was read. */
static int copy_batch(MDB_cursor *cursor, struct batch *batch, size_t size, char *out,
                      ptrdiff_t stride, int threads)
{
    const MDB_val *values = batch->values;
    MDB_env *env = mdb_txn_env(mdb_cursor_txn(cursor));
    size_t i;
    int rc = 0;

    for (i = 0; i < batch->count + PREFETCH_DISTANCE && !rc; i++) {
        rc = read_overflow_value(cursor, batch, i);
        if (threads != 1)
            continue;
        if (i < batch->count && values[i].mv_data)
            prefetch_row(values[i].mv_data, size);
        if (!rc && i >= PREFETCH_DISTANCE)
            copy_row(out + (ptrdiff_t)(i - PREFETCH_DISTANCE) * stride,
                     values[i - PREFETCH_DISTANCE].mv_data, size);
    }
    if (rc || threads == 1)
        return rc ? rc : pylmdb_env_is_truncated(env) ? MDB_CORRUPTED : 0;
    return pylmdb_copy_rows(env, values, batch->count, size, out, stride, threads);
}

int pylmdb_locate(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                  MDB_val *out, size_t *bad)
{
    MDB_cursor *cursor;
    struct batch batch;
    int rc = make_batch(keys, &batch);

    *bad = 0;
    if (!rc && !(rc = pylmdb_cursor_open(txn, dbi, &cursor))) {
        rc = look_up_all(cursor, dbflags, &batch);
        if (!rc)
            prefetch_overflow_pages(cursor, &batch);
        for (; !rc && *bad < batch.count; ++*bad) {
            if (is_absent(&batch, *bad)) {
                rc = MDB_NOTFOUND;
                break;
            }
            if (batch.overflow_nodes[*bad])
                rc = pylmdb_read_overflow(cursor, batch.overflow_nodes[*bad], &batch.values[*bad]);
            out[*bad] = batch.values[*bad];
        }
        mdb_cursor_close(cursor);
    }
    drop_batch(&batch);
    return rc;
}

int pylmdb_take(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                size_t size, char *out, ptrdiff_t stride, int threads, char *absent, size_t *bad,
                size_t *bad_size)
{
    MDB_cursor *cursor;
    struct batch batch;
    size_t i;
    int rc = make_batch(keys, &batch);

    if (!rc && !(rc = pylmdb_cursor_open(txn, dbi, &cursor))) {
        rc = look_up_all(cursor, dbflags, &batch);
        if (!rc)
            rc = check_all(&batch, size, !absent, bad, bad_size);
        for (i = 0; !rc && absent && i < batch.count; i++)
            absent[i] = (char)is_absent(&batch, i);
        if (!rc)
            rc = copy_batch(cursor, &batch, size, out, stride, threads);
        mdb_cursor_close(cursor);
    }
    drop_batch(&batch);
    return rc;
}

/* -- ranges ----------------------------------------------------------------------- */

static int add_record(struct pylmdb_records *to, const MDB_val *key, const MDB_val *value)
{
    struct pylmdb_record *more;

    if (to->count == to->room) {
        to->room = to->room ? 2 * to->room : 1024;
        if (!(more = realloc(to->records, to->room * sizeof(*more))))
            return ENOMEM;
        to->records = more;
    }
    to->records[to->count].key = *key;
    to->records[to->count++].value = *value;
    return 0;
}

/* Integer keys of two widths cannot be compared. */
static int is_comparable(unsigned int dbflags, const MDB_val *stop, const MDB_val *key)
{
    return !stop || !(dbflags & MDB_INTEGERKEY) || stop->mv_size == key->mv_size;
}

static int scan(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start, const MDB_val *stop,
                struct pylmdb_records *out)
{
    MDB_txn *txn = mdb_cursor_txn(cursor);
    MDB_dbi dbi = mdb_cursor_dbi(cursor);
    MDB_val key, value;
    int rc = start ? pylmdb_cursor_seek(cursor, dbflags, start->mv_data, start->mv_size, "", 0,
                                        MDB_SET_RANGE, &key, &value)
                   : pylmdb_safe_cursor_get(cursor, &key, &value, MDB_FIRST);

    while (!rc) {
        if (!is_comparable(dbflags, stop, &key))
            return MDB_BAD_VALSIZE;
        if (stop && mdb_cmp(txn, dbi, &key, stop) >= 0)
            break;
        if (!(rc = add_record(out, &key, &value)))
            rc = pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int pylmdb_scan(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                const MDB_val *stop, struct pylmdb_records *out)
{
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    if (!rc) {
        out->count = 0;
        rc = scan(cursor, dbflags, start, stop, out);
        mdb_cursor_close(cursor);
    }
    return rc;
}

void pylmdb_scan_free(struct pylmdb_records *records)
{
    free(records->records);
    records->records = NULL;
}

/* -- duplicates ------------------------------------------------------------------- */

static int open_at(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, MDB_cursor **cursor, MDB_val *value)
{
    MDB_val found;
    int rc = pylmdb_cursor_open(txn, dbi, cursor);

    if (rc)
        return rc;
    if ((rc = pylmdb_cursor_seek(*cursor, dbflags, key, key_size, "", 0, MDB_SET_KEY, &found,
                                 value)))
        mdb_cursor_close(*cursor);
    return rc;
}

int pylmdb_count_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                        size_t key_size, size_t *count, size_t *size)
{
    MDB_cursor *cursor;
    MDB_val value;
    int rc = open_at(txn, dbi, dbflags, key, key_size, &cursor, &value);

    if (rc)
        return rc;
    *size = value.mv_size;
    *count = 1;
    if (dbflags & MDB_DUPSORT)
        rc = pylmdb_cursor_count(cursor, dbflags, count);
    mdb_cursor_close(cursor);
    return rc;
}

/* Copy the values of a key; the cursor is at the first one. MDB_GET_MULTIPLE leaves value
 * unchanged if the key has only one. In a database of fixed-size values a page of them is
 * copied at a time. */
static int copy_values(MDB_cursor *cursor, unsigned int dbflags, MDB_val value, char *out,
                       size_t count, size_t *size)
{
    const int pages = dbflags & MDB_DUPFIXED && *size;
    const size_t width = *size, room = count * width;
    size_t used = 0;
    MDB_val key;
    int rc = pages ? pylmdb_safe_cursor_get(cursor, &key, &value, MDB_GET_MULTIPLE) : 0;

    for (; !rc; rc = dbflags & MDB_DUPSORT
                         ? pylmdb_safe_cursor_get(cursor, &key, &value,
                                                  pages ? MDB_NEXT_MULTIPLE : MDB_NEXT_DUP)
                         : MDB_NOTFOUND) {
        if (pages ? value.mv_size % width != 0 : value.mv_size != width) {
            *size = value.mv_size;
            return PYLMDB_MISFIT;
        }
        if (value.mv_size > room - used)
            return MDB_CORRUPTED; /* there are more values than were counted */
        memcpy(out + used, value.mv_data, value.mv_size);
        used += value.mv_size;
    }
    if (rc != MDB_NOTFOUND)
        return rc;
    return used == room ? 0 : MDB_CORRUPTED;
}

int pylmdb_copy_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                       size_t key_size, char *out, size_t count, size_t *size)
{
    MDB_env *env = mdb_txn_env(txn);
    MDB_cursor *cursor;
    MDB_val value;
    int rc = open_at(txn, dbi, dbflags, key, key_size, &cursor, &value);

    if (rc)
        return rc;
    rc = copy_values(cursor, dbflags, value, out, count, size);
    mdb_cursor_close(cursor);
    return !rc && pylmdb_env_is_truncated(env) ? MDB_CORRUPTED : rc;
}

/* -- copying ---------------------------------------------------------------------- */

/* A thread is started only if it has at least this many bytes to copy. */
#define MIN_BYTES_PER_THREAD ((size_t)256 * 1024)
#define MAX_THREADS 64

/* The part of the rows that one thread copies. Rows are given by rows, or by their numbers. */
struct part {
    const MDB_val *rows;
    const char *base;
    const size_t *addresses;
    const long long *numbers;
    size_t total, from, to, size;
    char *out;
    ptrdiff_t stride;
};

static const char *row_of(const struct part *part, size_t i)
{
    long long number;

    if (part->rows)
        return part->rows[i].mv_data;
    number = part->numbers[i];
    return part->base + part->addresses[number < 0 ? number + (long long)part->total : number];
}

static void copy_part(const struct part *part)
{
    const size_t size = part->size;
    size_t i;

    for (i = part->from; i < part->to; i++) {
        char *to = part->out + (ptrdiff_t)i * part->stride;
        const char *from = row_of(part, i);

        if (i + PREFETCH_DISTANCE < part->to)
            prefetch_row(row_of(part, i + PREFETCH_DISTANCE), size);
        copy_row(to, from, size);
    }
}

static void *copy_in_thread(void *part)
{
    copy_part(part);
    return NULL;
}

/* Signals are for the program's own threads to handle; only faults of this thread are not
 * blocked. */
static int start_thread(pthread_t *thread, struct part *part)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, copy_in_thread, part);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void copy_in_threads(const struct part *whole, size_t threads)
{
    const size_t count = whole->to;
    struct part parts[MAX_THREADS];
    pthread_t running[MAX_THREADS];
    size_t i, started = 0;

    for (i = 0; i < threads; i++) {
        parts[i] = *whole;
        parts[i].from = count * i / threads;
        parts[i].to = count * (i + 1) / threads;
    }
    while (started < threads - 1 && !start_thread(&running[started], &parts[started]))
        started++;
    for (i = started; i < threads; i++)
        copy_part(&parts[i]);
    for (i = 0; i < started; i++)
        pthread_join(running[i], NULL);
}

/* A read of pages that the file no longer has is noted (truncation.c). */
static int copy_all(MDB_env *env, const struct part *whole, int threads)
{
    const size_t useful = whole->to * whole->size / MIN_BYTES_PER_THREAD;
    size_t count_of_threads = threads < 1 ? 1 : (size_t)threads;

    if (count_of_threads > useful)
        count_of_threads = useful;
    if (count_of_threads > MAX_THREADS)
        count_of_threads = MAX_THREADS;
    if (count_of_threads > 1)
        copy_in_threads(whole, count_of_threads);
    else
        copy_part(whole);
    return pylmdb_env_is_truncated(env) ? MDB_CORRUPTED : 0;
}

int pylmdb_copy_rows(MDB_env *env, const MDB_val *rows, size_t count, size_t size, char *out,
                     ptrdiff_t stride, int threads)
{
    const struct part whole = {
        .rows = rows, .to = count, .size = size, .out = out, .stride = stride};

    return copy_all(env, &whole, threads);
}

int pylmdb_copy_numbered(MDB_env *env, const char *base, const size_t *addresses, size_t count,
                         const long long *numbers, size_t wanted, size_t size, char *out,
                         ptrdiff_t stride, int threads, size_t *bad)
{
    const struct part whole = {.base = base,
                               .addresses = addresses,
                               .numbers = numbers,
                               .total = count,
                               .to = wanted,
                               .size = size,
                               .out = out,
                               .stride = stride};
    const long long total = (long long)count;

    for (*bad = 0; *bad < wanted; ++*bad)
        if (numbers[*bad] < -total || numbers[*bad] >= total)
            return PYLMDB_MISFIT;
    return copy_all(env, &whole, threads);
}

/* -- prefetching ---------------------------------------------------------------- */

/* How many rows are tested. */
#define SAMPLES 4

#ifdef __linux__
/* Whether the page of an address must be read from the disk. */
static int is_on_disk(const char *address, size_t page)
{
    unsigned char in_memory = 1;

    return !mincore((void *)((uintptr_t)address & ~(uintptr_t)(page - 1)), 1, &in_memory) &&
           !(in_memory & 1);
}

/* Tests the middle of a row: its first page may have been read for the size of the value. */
static int rows_are_on_disk(const MDB_val *rows, size_t count, size_t page)
{
    const size_t samples = count < SAMPLES ? count : SAMPLES;
    size_t i;

    for (i = 0; i < samples; i++) {
        const MDB_val *row = &rows[i * count / samples];

        if (row->mv_data && is_on_disk((char *)row->mv_data + row->mv_size / 2, page))
            return 1;
    }
    return 0;
}
#endif

int pylmdb_read_ahead(const MDB_val *rows, size_t count)
{
#ifdef __linux__
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t i;

    if (!rows_are_on_disk(rows, count, page))
        return 0;
    for (i = 0; i < count; i++) {
        const uintptr_t data = (uintptr_t)rows[i].mv_data, begin = data & ~(uintptr_t)(page - 1);

        if (data && rows[i].mv_size)
            (void)madvise((void *)begin, data + rows[i].mv_size - begin, MADV_WILLNEED);
    }
    return 1;
#else
    (void)rows, (void)count;
    return 0;
#endif
}
