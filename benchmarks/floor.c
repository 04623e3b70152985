/* SPDX-License-Identifier: MIT */
/* The loops of the benchmark in plain C over liblmdb: the time of an operation
 * without Python.
 *
 * All loops have one signature.  They take `operations` steps over `count` keys
 * of `width` bytes each, stored one after another, and report the seconds that
 * the steps alone took; they return 0 or liblmdb's error code.  Loops store
 * their results in `sink`, so that the compiler does not leave out the reading.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lmdb.h"
#include "loops.h"

enum { VALUE_SIZE = 96 };

typedef struct bench {
    MDB_env *env;
    MDB_dbi dbi;
    char *buffer;
    size_t capacity;
} bench;

static void touch(const MDB_val *v)
{
    sink ^= *(const unsigned char *)v->mv_data;
}

void bench_close(bench *b)
{
    if (!b)
        return;
    mdb_env_close(b->env);
    free(b->buffer);
    free(b);
}

/* Both bindings open with MDB_NOTLS, so beginning a read costs the same here. */
int bench_open(const char *path, unsigned int flags, const char *name, size_t capacity, bench **out)
{
    MDB_txn *txn;
    bench *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return MDB_PANIC;
    b->capacity = capacity;
    b->buffer = malloc(capacity ? capacity : 1);
    rc = b->buffer ? mdb_env_create(&b->env) : MDB_PANIC;
    if (rc) {
        free(b->buffer);
        free(b);
        return rc;
    }
    /* Touched once, so that no page of it is faulted in while time runs. */
    memset(b->buffer, 1, capacity);
    if (!(rc = mdb_env_set_mapsize(b->env, (size_t)1 << 28)) &&
        !(rc = mdb_env_set_maxdbs(b->env, 4)) &&
        !(rc = mdb_env_open(b->env, path, flags | MDB_NOTLS, 0644)) &&
        !(rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn))) {
        rc = mdb_dbi_open(txn, name, 0, &b->dbi);
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn);
    }
    if (rc) {
        bench_close(b);
        return rc;
    }
    *out = b;
    return 0;
}

#define LOOP(name) \
    int loop_##name(bench *b, const char *keys, size_t width, size_t count, size_t operations, \
                    double *seconds)

LOOP(get)
{
    MDB_val key = {width, NULL}, data;
    const char *at = keys, *end = keys + width * count;
    MDB_txn *txn;
    double start;
    size_t i;
    int rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn);

    if (rc)
        return rc;
    start = now();
    for (i = 0; i < operations; i++) {
        key.mv_data = (void *)at;
        rc = mdb_get(txn, b->dbi, &key, &data);
        if (!rc)
            touch(&data);
        else if (rc != MDB_NOTFOUND)
            break;
        if ((at += width) == end)
            at = keys;
    }
    *seconds = now() - start;
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int scan(bench *b, size_t operations, double *seconds, int values)
{
    MDB_val key, data;
    MDB_cursor *cursor;
    MDB_txn *txn;
    double start;
    size_t seen = 0;
    int rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn);

    if (rc)
        return rc;
    rc = mdb_cursor_open(txn, b->dbi, &cursor);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    start = now();
    if (values)
        while (!(rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))) {
            touch(&key);
            touch(&data);
            seen++;
        }
    else
        while (!(rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT))) {
            touch(&key);
            seen++;
        }
    *seconds = now() - start;
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND)
        return rc;
    return seen == operations ? 0 : MDB_CORRUPTED;
}

LOOP(scan)
{
    (void)keys, (void)width, (void)count;
    return scan(b, operations, seconds, 1);
}

LOOP(scan_keys)
{
    (void)keys, (void)width, (void)count;
    return scan(b, operations, seconds, 0);
}

/* The values of all keys, in their order, one after another in one buffer. */
LOOP(getmulti)
{
    MDB_val key = {width, NULL}, data;
    MDB_cursor *cursor;
    MDB_txn *txn;
    char *out = b->buffer;
    double start;
    size_t i;
    int rc;

    if (operations > count || operations * VALUE_SIZE > b->capacity)
        return MDB_BAD_VALSIZE;
    if ((rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn)))
        return rc;
    if (!(rc = mdb_cursor_open(txn, b->dbi, &cursor))) {
        start = now();
        for (i = 0; i < operations && !rc; i++) {
            key.mv_size = width;
            key.mv_data = (void *)(keys + i * width);
            rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_KEY);
            if (!rc && data.mv_size != VALUE_SIZE)
                rc = MDB_BAD_VALSIZE;
            if (!rc)
                memcpy(out, data.mv_data, VALUE_SIZE);
            out += VALUE_SIZE;
        }
        *seconds = now() - start;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc;
}

/* One page of fixed-size duplicates: each as key and value into the buffer. */
static char *copy_pairs(char *out, const char *key, size_t width, const MDB_val *page, size_t size)
{
    const char *at = page->mv_data, *end = at + page->mv_size;

    for (; at < end; at += size, out += width + size) {
        memcpy(out, key, width);
        memcpy(out + width, at, size);
    }
    return out;
}

/* All pairs of all keys of a dupfixed database with values of 8 bytes. */
LOOP(getmulti_fixed)
{
    enum { SIZE = 8 };
    MDB_val key = {width, NULL}, data;
    MDB_cursor *cursor;
    MDB_txn *txn;
    char *out = b->buffer;
    double start;
    size_t i;
    int rc;

    if (operations * (width + SIZE) > b->capacity)
        return MDB_BAD_VALSIZE;
    if ((rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn)))
        return rc;
    if (!(rc = mdb_cursor_open(txn, b->dbi, &cursor))) {
        start = now();
        for (i = 0; i < count && !rc; i++) {
            const char *at = keys + i * width;

            key.mv_size = width;
            key.mv_data = (void *)at;
            rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_KEY);
            if (!rc)
                rc = mdb_cursor_get(cursor, &key, &data, MDB_GET_MULTIPLE);
            while (!rc) {
                out = copy_pairs(out, at, width, &data, SIZE);
                rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT_MULTIPLE);
            }
            if (rc == MDB_NOTFOUND)
                rc = 0;
        }
        *seconds = now() - start;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (!rc && (size_t)(out - b->buffer) != operations * (width + SIZE))
        rc = MDB_CORRUPTED;
    return rc;
}

LOOP(begin_get_end)
{
    MDB_val key = {width, (void *)keys}, data;
    MDB_txn *txn;
    double start = now();
    size_t i;
    int rc = 0;

    (void)count;
    for (i = 0; i < operations; i++) {
        if ((rc = mdb_txn_begin(b->env, NULL, MDB_RDONLY, &txn)))
            break;
        if (!(rc = mdb_get(txn, b->dbi, &key, &data)))
            touch(&data);
        mdb_txn_abort(txn);
        if (rc)
            break;
    }
    *seconds = now() - start;
    return rc;
}

static int put(MDB_txn *txn, MDB_dbi dbi, const char *at, size_t width)
{
    static char bytes[VALUE_SIZE];
    MDB_val key = {width, (void *)at}, data = {VALUE_SIZE, bytes};

    return mdb_put(txn, dbi, &key, &data, 0);
}

LOOP(put)
{
    MDB_txn *txn;
    double start;
    size_t i, k;
    int rc = mdb_txn_begin(b->env, NULL, 0, &txn);

    if (rc)
        return rc;
    /* The first change copies a page: that is not part of "hot". */
    for (k = 0; k < count && !rc; k++)
        rc = put(txn, b->dbi, keys + k * width, width);
    start = now();
    for (i = k = 0; i < operations && !rc; i++) {
        rc = put(txn, b->dbi, keys + k * width, width);
        if (++k == count)
            k = 0;
    }
    *seconds = now() - start;
    mdb_txn_abort(txn);
    return rc;
}

LOOP(write_transaction)
{
    MDB_txn *txn;
    double start = now();
    size_t i;
    int rc = 0;

    for (i = 0; i < operations && !rc; i++) {
        if ((rc = mdb_txn_begin(b->env, NULL, 0, &txn)))
            break;
        rc = put(txn, b->dbi, keys + i % count * width, width);
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn);
    }
    *seconds = now() - start;
    return rc;
}
