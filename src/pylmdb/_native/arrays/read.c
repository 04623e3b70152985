/* SPDX-License-Identifier: MIT */
/* Copy records to arrays. The records are first located in key order, and then copied in the
 * order of the array, with several threads if the caller asks for them. */
#include "arrays.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- locating --------------------------------------------------------------------- */

/* How many keys one call looks up. */
#define BATCH_SIZE 64
_Static_assert(PYLMDB_READ_AHEAD_MAX % BATCH_SIZE == 0,
               "batches must not cross what is read ahead");
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
        const size_t left = batch->count - from;

        size = left < BATCH_SIZE ? left : BATCH_SIZE;
        if (from % PYLMDB_READ_AHEAD_MAX == 0 &&
            (rc = pylmdb_read_ahead_keys(cursor, batch->keys, entries + from,
                                         left < PYLMDB_READ_AHEAD_MAX ? left
                                                                      : PYLMDB_READ_AHEAD_MAX)))
            break;
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

int pylmdb_has_many(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                    char *present)
{
    MDB_cursor *cursor;
    struct batch batch;
    size_t i;
    int rc = make_batch(keys, &batch);

    if (!rc && !(rc = pylmdb_cursor_open(txn, dbi, &cursor))) {
        rc = look_up_all(cursor, dbflags, &batch);
        for (i = 0; !rc && i < batch.count; i++)
            present[i] = !is_absent(&batch, i);
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

/* MDB_NOTFOUND: a key is not before the end of a range. Integer keys of two widths cannot be
 * compared. */
static int is_behind(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *stop,
                     const MDB_val *key)
{
    if (!stop)
        return 0;
    if ((dbflags & MDB_INTEGERKEY) && stop->mv_size != key->mv_size)
        return pylmdb_unless_truncated(cursor, MDB_BAD_VALSIZE);
    return mdb_cmp(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), key, stop) >= 0 ? MDB_NOTFOUND
                                                                                   : 0;
}

static int seek_first(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start, MDB_val *key,
                      MDB_val *value)
{
    return start ? pylmdb_cursor_seek(cursor, dbflags, start->mv_data, start->mv_size, "", 0,
                                      MDB_SET_RANGE, key, value)
                 : pylmdb_safe_cursor_get(cursor, key, value, MDB_FIRST);
}

static int scan(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start, const MDB_val *stop,
                struct pylmdb_records *out)
{
    MDB_val key, value;
    int rc = seek_first(cursor, dbflags, start, &key, &value);

    for (; !rc; rc = pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT))
        if ((rc = is_behind(cursor, dbflags, stop, &key)) || (rc = add_record(out, &key, &value)))
            break;
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

/* -- warming ---------------------------------------------------------------------- */

/* A cursor, and keys in the order in which they are looked up. */
struct lookups {
    MDB_cursor *cursor;
    size_t count;
    const struct pylmdb_sort_entry *ordered;
    MDB_val keys[PYLMDB_READ_AHEAD_MAX];
    struct pylmdb_sort_entry entries[2 * PYLMDB_READ_AHEAD_MAX];
};

/* Open the cursor, and read ahead what the keys need. */
static int open_lookups(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                        const struct pylmdb_keys *keys, struct lookups *lookups)
{
    size_t i;
    int rc = keys->count > PYLMDB_READ_AHEAD_MAX ? EINVAL
                                                 : pylmdb_cursor_open(txn, dbi, &lookups->cursor);

    if (rc)
        return rc;
    lookups->count = keys->count;
    for (i = 0; i < keys->count; i++)
        lookups->keys[i] = pylmdb_key_at(keys, i);
    lookups->ordered = pylmdb_order_keys(lookups->keys, keys->count, dbflags, lookups->entries);
    rc = pylmdb_read_ahead_keys(lookups->cursor, lookups->keys, lookups->ordered, keys->count);
    if (rc)
        mdb_cursor_close(lookups->cursor);
    return rc;
}

int pylmdb_read_ahead(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                      const struct pylmdb_keys *keys)
{
    struct lookups lookups;
    int rc = open_lookups(txn, dbi, dbflags, keys, &lookups);

    if (!rc)
        mdb_cursor_close(lookups.cursor);
    return rc;
}

static int warm_each(const struct lookups *lookups, unsigned int dbflags, size_t *bytes)
{
    struct pylmdb_lookup found[BATCH_SIZE];
    size_t from, i, size;
    int rc = 0;

    for (from = 0; from < lookups->count && !rc; from += size) {
        size = lookups->count - from < BATCH_SIZE ? lookups->count - from : BATCH_SIZE;
        rc = pylmdb_look_up(lookups->cursor, dbflags, lookups->keys, lookups->ordered + from, found,
                            size);
        for (i = 0; i < size && !rc; i++) {
            if (!found[i].value.mv_data)
                continue;
            touch_pages(found[i].value.mv_data, found[i].value.mv_size);
            *bytes += found[i].key.mv_size + found[i].value.mv_size;
        }
    }
    return rc;
}

int pylmdb_warm_keys(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                     const struct pylmdb_keys *keys, size_t *bytes)
{
    MDB_env *env = mdb_txn_env(txn);
    struct lookups lookups;
    int rc;

    pylmdb_env_warms(env, 1);
    rc = open_lookups(txn, dbi, dbflags, keys, &lookups);
    if (!rc) {
        rc = warm_each(&lookups, dbflags, bytes);
        mdb_cursor_close(lookups.cursor);
    }
    pylmdb_env_warms(env, -1);
    return !rc && pylmdb_env_is_truncated(env) ? MDB_CORRUPTED : rc;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* All values of a key are warmed in one call. */
static int warm_range(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start,
                      const MDB_val *stop, MDB_val *next, size_t *bytes)
{
    const double end = seconds() + 0.1;
    MDB_val key, value;
    int rc = seek_first(cursor, dbflags, start, &key, &value);

    pylmdb_read_ahead_scan(cursor);
    for (next->mv_data = NULL; !rc; rc = pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT)) {
        const int is_new = key.mv_data != next->mv_data;

        if ((rc = is_behind(cursor, dbflags, stop, &key)))
            break;
        if (is_new && next->mv_data && seconds() > end) {
            *next = key;
            return 0;
        }
        *next = key;
        touch_pages(value.mv_data, value.mv_size);
        *bytes += key.mv_size + value.mv_size;
    }
    next->mv_data = NULL;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int pylmdb_warm_range(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                      const MDB_val *stop, MDB_val *next, size_t *bytes)
{
    MDB_env *env = mdb_txn_env(txn);
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    if (rc)
        return rc;
    pylmdb_env_warms(env, 1);
    rc = warm_range(cursor, dbflags, start, stop, next, bytes);
    pylmdb_env_warms(env, -1);
    mdb_cursor_close(cursor);
    return !rc && pylmdb_env_is_truncated(env) ? MDB_CORRUPTED : rc;
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
    MDB_env *env;
};

static const char *row_of(const struct part *part, size_t i)
{
    long long number;

    if (part->rows)
        return part->rows[i].mv_data;
    number = part->numbers[i];
    return part->base + part->addresses[number < 0 ? number + (long long)part->total : number];
}

/* Read ahead the rows that are copied next. */
static void read_ahead_rows(const struct part *part, size_t from)
{
    MDB_val rows[PYLMDB_READ_AHEAD_MAX];
    size_t i;

    for (i = 0; i < PYLMDB_READ_AHEAD_MAX && from + i < part->to; i++) {
        rows[i].mv_data = (void *)row_of(part, from + i);
        rows[i].mv_size = part->size;
    }
    pylmdb_read_ahead_values(part->env, rows, i);
}

static void copy_part(const struct part *part)
{
    const size_t size = part->size;
    size_t i;

    for (i = part->from; i < part->to; i++) {
        char *to = part->out + (ptrdiff_t)i * part->stride;
        const char *from = row_of(part, i);

        if ((i - part->from) % PYLMDB_READ_AHEAD_MAX == 0)
            read_ahead_rows(part, i);
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
static int copy_all(const struct part *whole, int threads)
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
    return pylmdb_env_is_truncated(whole->env) ? MDB_CORRUPTED : 0;
}

int pylmdb_copy_rows(MDB_env *env, const MDB_val *rows, size_t count, size_t size, char *out,
                     ptrdiff_t stride, int threads)
{
    const struct part whole = {
        .env = env, .rows = rows, .to = count, .size = size, .out = out, .stride = stride};

    return copy_all(&whole, threads);
}

int pylmdb_copy_numbered(MDB_env *env, const char *base, const size_t *addresses, size_t count,
                         const long long *numbers, size_t wanted, size_t size, char *out,
                         ptrdiff_t stride, int threads, size_t *bad)
{
    const struct part whole = {.env = env,
                               .base = base,
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
    return copy_all(&whole, threads);
}
