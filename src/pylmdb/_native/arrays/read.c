/* SPDX-License-Identifier: MIT */
/* From records to arrays: many are located first, in key order, and copied then, in the
 * order of the array, by as many threads as asked for. */
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

/* How many are looked up in a round. */
#define ROUND 64
/* How far ahead the first bytes of values are fetched, and how many. */
#define AHEAD 4
#define FETCHED 2048

static void copy_row(char *to, const char *from, size_t size)
{
    if (from)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
}

/* The first lines of a row; of a large one the processor fetches the rest. */
static inline void fetch_row(const char *row, size_t size)
{
    size_t at;

    for (at = 0; at < size && at < FETCHED; at += 64)
        PYLMDB_FETCH(row + at);
}

/* A batch of keys, and what was found of each. */
struct batch {
    MDB_val *keys, *values;
    void **later;
    struct pylmdb_place *places;
    size_t count;
};

static int make_batch(const struct pylmdb_keys *keys, struct batch *batch)
{
    const size_t room = keys->count + 1;
    size_t i;

    batch->count = keys->count;
    batch->keys = malloc(room * sizeof(*batch->keys));
    batch->values = malloc(room * sizeof(*batch->values));
    batch->later = malloc(room * sizeof(*batch->later));
    batch->places = malloc(2 * room * sizeof(*batch->places));
    if (!batch->keys || !batch->values || !batch->later || !batch->places)
        return ENOMEM;
    for (i = 0; i < keys->count; i++)
        batch->keys[i] = pylmdb_key_at(keys, i);
    return 0;
}

static void drop_batch(struct batch *batch)
{
    free(batch->keys);
    free(batch->values);
    free(batch->later);
    free(batch->places);
}

static int find_all(MDB_cursor *cursor, unsigned int dbflags, struct batch *batch)
{
    const struct pylmdb_place *places =
        pylmdb_order_keys(batch->keys, batch->count, dbflags, batch->places);
    struct pylmdb_lookup found[ROUND];
    size_t from, i, size;
    int rc = 0;

    for (from = 0; from < batch->count && !rc; from += size) {
        size = batch->count - from < ROUND ? batch->count - from : ROUND;
        rc = pylmdb_find(cursor, dbflags, batch->keys, places + from, found, size);
        for (i = 0; i < size && !rc; i++) {
            batch->values[found[i].index] = found[i].value;
            batch->later[found[i].index] = found[i].later;
        }
    }
    return rc;
}

static int is_absent(const struct batch *batch, size_t i)
{
    return !batch->values[i].mv_data && !batch->later[i];
}

/* Whether each value is there, unless that does not matter, and has the size. */
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

/* Has the pages read that values which were left lie on, all at once, where that takes a disk:
 * the values have their addresses meanwhile. */
static void read_far_ahead(MDB_cursor *cursor, struct batch *batch)
{
    size_t i, far = 0;

    for (i = 0; i < batch->count; i++) {
        if (!batch->later[i])
            continue;
        batch->values[i].mv_data = (void *)pylmdb_fetch_later(cursor, batch->later[i]);
        far++;
    }
    if (far)
        (void)pylmdb_read_ahead(batch->values, batch->count);
}

/* Reads what was left.  The first page of each is fetched before, and its value then, in the
 * order in which they are needed. */
static int read_left(MDB_cursor *cursor, const struct batch *batch, size_t i)
{
    if (i + AHEAD < batch->count && batch->later[i + AHEAD])
        pylmdb_fetch_later(cursor, batch->later[i + AHEAD]);
    return i < batch->count && batch->later[i]
               ? pylmdb_read_later(cursor, batch->later[i], &batch->values[i])
               : 0;
}

/* Where there is one thread each value is copied soon after it was read. */
static int copy_batch(MDB_cursor *cursor, struct batch *batch, size_t size, char *out,
                      ptrdiff_t stride, int threads)
{
    const MDB_val *values = batch->values;
    MDB_env *env = mdb_txn_env(mdb_cursor_txn(cursor));
    size_t i;
    int rc = 0;

    for (i = 0; i < batch->count + AHEAD && !rc; i++) {
        rc = read_left(cursor, batch, i);
        if (threads != 1)
            continue;
        if (i < batch->count && values[i].mv_data)
            fetch_row(values[i].mv_data, size);
        if (!rc && i >= AHEAD)
            copy_row(out + (ptrdiff_t)(i - AHEAD) * stride, values[i - AHEAD].mv_data, size);
    }
    if (rc || threads == 1)
        return rc ? rc : pylmdb_env_is_cut(env) ? MDB_CORRUPTED : 0;
    return pylmdb_copy_rows(env, values, batch->count, size, out, stride, threads);
}

int pylmdb_locate(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                  const struct pylmdb_keys *keys, MDB_val *out, size_t *bad)
{
    MDB_cursor *cursor;
    struct batch batch;
    int rc = make_batch(keys, &batch);

    *bad = 0;
    if (!rc && !(rc = pylmdb_cursor_open(txn, dbi, &cursor))) {
        rc = find_all(cursor, dbflags, &batch);
        if (!rc)
            read_far_ahead(cursor, &batch);
        for (; !rc && *bad < batch.count; ++*bad) {
            if (is_absent(&batch, *bad)) {
                rc = MDB_NOTFOUND;
                break;
            }
            if (batch.later[*bad])
                rc = pylmdb_read_later(cursor, batch.later[*bad], &batch.values[*bad]);
            out[*bad] = batch.values[*bad];
        }
        mdb_cursor_close(cursor);
    }
    drop_batch(&batch);
    return rc;
}

int pylmdb_take(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                const struct pylmdb_keys *keys, size_t size, char *out, ptrdiff_t stride,
                int threads, char *absent, size_t *bad, size_t *bad_size)
{
    MDB_cursor *cursor;
    struct batch batch;
    size_t i;
    int rc = make_batch(keys, &batch);

    if (!rc && !(rc = pylmdb_cursor_open(txn, dbi, &cursor))) {
        rc = find_all(cursor, dbflags, &batch);
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

/* Integers of two widths cannot be compared. */
static int is_comparable(unsigned int dbflags, const MDB_val *stop, const MDB_val *key)
{
    return !stop || !(dbflags & MDB_INTEGERKEY) || stop->mv_size == key->mv_size;
}

static int scan(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start,
                const MDB_val *stop, struct pylmdb_records *out)
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

/* The cursor is at the first value, which MDB_GET_MULTIPLE leaves as it is where there is
 * no other.  In a database of fixed-size values a page of them at a time. */
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
            return MDB_CORRUPTED; /* there are more than were counted */
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
    return !rc && pylmdb_env_is_cut(env) ? MDB_CORRUPTED : rc;
}

/* -- copying ---------------------------------------------------------------------- */

/* What a thread must have to copy, in bytes, to be worth its beginning. */
#define WORTH ((size_t)256 * 1024)
#define MAX_THREADS 64

/* A part of the rows, for one thread: they are the values of rows, or numbered. */
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

        if (i + AHEAD < part->to)
            fetch_row(row_of(part, i + AHEAD), size);
        copy_row(to, from, size);
    }
}

static void *copy_in_thread(void *part)
{
    copy_part(part);
    return NULL;
}

/* Signals are the business of the program's own threads; a fault is the thread's own. */
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

/* Reading pages that a file does not have any more is noted (truncation.c). */
static int copy_all(MDB_env *env, const struct part *whole, int threads)
{
    const size_t worth = whole->to * whole->size / WORTH;
    size_t most = threads < 1 ? 1 : (size_t)threads;

    if (most > worth)
        most = worth;
    if (most > MAX_THREADS)
        most = MAX_THREADS;
    if (most > 1)
        copy_in_threads(whole, most);
    else
        copy_part(whole);
    return pylmdb_env_is_cut(env) ? MDB_CORRUPTED : 0;
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

/* -- reading ahead ---------------------------------------------------------------- */

/* How many rows are looked at to know of all. */
#define LOOKED_AT 4

#ifdef __linux__
/* Whether the page of an address would have to be read from the disk. */
static int is_far(const char *address, size_t page)
{
    unsigned char there = 1;

    return !mincore((void *)((uintptr_t)address & ~(uintptr_t)(page - 1)), 1, &there) &&
           !(there & 1);
}

/* The middle of a row, whose first page may have been read to know its size. */
static int are_far(const MDB_val *rows, size_t count, size_t page)
{
    const size_t looked_at = count < LOOKED_AT ? count : LOOKED_AT;
    size_t i;

    for (i = 0; i < looked_at; i++) {
        const MDB_val *row = &rows[i * count / looked_at];

        if (row->mv_data && is_far((char *)row->mv_data + row->mv_size / 2, page))
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

    if (!are_far(rows, count, page))
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
