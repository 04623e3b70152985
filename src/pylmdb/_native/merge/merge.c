/* SPDX-License-Identifier: MIT */
/* Merge databases. The sources are read in order through a heap, so memory is bounded, and
 * each page is read and written once.
 *
 * The heap is ordered by key, then, if a key may have several values, by value, then by
 * source. The first of equal records is kept; with CONFLICT_LAST a later source comes first.
 * A record equal to the one that was written last is skipped. The key and value of that
 * record stay in the source's map. */
#include "merge.h"

#include <string.h>

/* Whether what was read may be zeros that the file did not have. */
static int is_truncated(const struct pylmdb_source *source)
{
    return any_file_is_truncated() &&
           pylmdb_env_is_truncated(mdb_txn_env(mdb_cursor_txn(source->cursor)));
}

int pylmdb_source_move(struct pylmdb_source *source)
{
    int rc;

    do
        rc = pylmdb_cursor_step(source->cursor, &source->key, &source->value, MDB_NEXT);
    while (!rc && source->plain_only && pylmdb_cursor_is_db(source->cursor));
    if (!rc) {
        touch_pages(source->key.mv_data, source->key.mv_size);
        touch_pages(source->value.mv_data, source->value.mv_size);
        if (is_truncated(source))
            rc = MDB_CORRUPTED;
    }
    return rc;
}

/* -- comparison ----------------------------------------------------------------------- */

struct comparison {
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned int dbflags;
    /* whether a key may have several values */
    int dups;
    const struct pylmdb_merge *merge;
};

static int compare_records(const struct comparison *by, const MDB_val *key, const MDB_val *value,
                           const struct pylmdb_source *other)
{
    const int cmp = mdb_cmp(by->txn, by->dbi, key, &other->key);

    return cmp || !by->dups ? cmp : mdb_dcmp(by->txn, by->dbi, value, &other->value);
}

static int is_before(const struct comparison *by, size_t i, size_t j)
{
    const struct pylmdb_source *one = &by->merge->sources[i];
    const int cmp = compare_records(by, &one->key, &one->value, &by->merge->sources[j]);

    if (cmp)
        return cmp < 0;
    return by->merge->on_conflict == PYLMDB_CONFLICT_LAST ? i > j : i < j;
}

/* Move the source at an index of the heap down until the heap is in order again. */
static void restore_heap(const struct comparison *by, size_t at)
{
    const struct pylmdb_merge *merge = by->merge;
    const size_t source = merge->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < merge->size && is_before(by, merge->heap[child + 1], merge->heap[child]))
            child++;
        if (child >= merge->size || !is_before(by, merge->heap[child], source))
            break;
        merge->heap[at] = merge->heap[child];
        at = child;
    }
    merge->heap[at] = source;
}

static struct comparison comparison_of(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                                       const struct pylmdb_merge *merge)
{
    const struct comparison by = {txn, dbi, dbflags, !!(dbflags & MDB_DUPSORT), merge};

    return by;
}

/* -- moving ------------------------------------------------------------------------ */

/* Integer keys must all have one size; otherwise they have no order. */
static int move(struct pylmdb_merge *merge, size_t i)
{
    struct pylmdb_source *source = &merge->sources[i];
    const int rc = source->move(source);

    if (!rc && merge->key_size && source->key.mv_size != merge->key_size)
        return MDB_BAD_VALSIZE;
    return rc;
}

/* Whether a key is greater than all keys in the database. */
static int is_greater_than_all(MDB_cursor *cursor, const struct comparison *by, const MDB_val *key)
{
    MDB_val last, value;
    const int rc = pylmdb_safe_cursor_get(cursor, &last, &value, MDB_LAST);

    return rc == MDB_NOTFOUND || (!rc && mdb_cmp(by->txn, by->dbi, &last, key) < 0);
}

/* Decide whether the records are appended: all of them are greater than those in the
 * database. MDB_BAD_VALSIZE: the database has keys of another size. */
static int begin_writing(const struct comparison *by, struct pylmdb_merge *merge)
{
    const struct pylmdb_source *first = &merge->sources[merge->heap[0]];
    MDB_cursor *cursor;
    int rc = pylmdb_check_widths(by->txn, by->dbi, by->dbflags, &first->key, NULL);

    if (!rc)
        rc = pylmdb_cursor_open(by->txn, by->dbi, &cursor);
    if (!rc) {
        merge->append = is_greater_than_all(cursor, by, &first->key);
        mdb_cursor_close(cursor);
    }
    return rc;
}

int pylmdb_merge_begin(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, struct pylmdb_merge *merge)
{
    const struct comparison by = comparison_of(txn, dbi, dbflags, merge);
    size_t i;

    merge->size = merge->key_size = 0;
    merge->last = merge->count;
    for (i = 0; i < merge->count; i++) {
        const struct pylmdb_source *source = &merge->sources[i];
        const int rc = move(merge, i);

        merge->at = i;
        if (rc == MDB_NOTFOUND)
            continue;
        if (rc)
            return rc;
        if (dbflags & MDB_INTEGERKEY)
            merge->key_size = source->key.mv_size;
        merge->heap[merge->size++] = i;
    }
    for (i = merge->size / 2; i-- > 0;)
        restore_heap(&by, i);
    return merge->size ? begin_writing(&by, merge) : 0;
}

/* Move the first source of the heap to its next record, or remove it at its end. */
static int advance(const struct comparison *by, struct pylmdb_merge *merge)
{
    const int rc = move(merge, merge->heap[0]);

    merge->read++;
    if (rc == MDB_NOTFOUND)
        merge->heap[0] = merge->heap[--merge->size];
    else if (rc)
        return rc;
    if (merge->size > 1)
        restore_heap(by, 0);
    return 0;
}

/* -- records --------------------------------------------------------------------- */

static int same(const MDB_val *a, const MDB_val *b)
{
    return a->mv_size == b->mv_size && !memcmp(a->mv_data, b->mv_data, a->mv_size);
}

/* Check that the next value has the size of the other values of its key: that of the record
 * written last, or of those in the database. */
static int fits(const struct comparison *by, const struct pylmdb_merge *merge,
                const struct pylmdb_source *source)
{
    if (!(by->dbflags & MDB_DUPFIXED))
        return 0;
    if (merge->last < merge->count && same(&merge->key, &source->key))
        return merge->value.mv_size == source->value.mv_size ? 0 : MDB_BAD_VALSIZE;
    /* A key that is appended has no other values, and the tree is not whole meanwhile. */
    if (merge->append)
        return (by->dbflags & MDB_INTEGERDUP) && !pylmdb_is_integer(source->value.mv_size)
                   ? MDB_BAD_VALSIZE
                   : 0;
    return pylmdb_check_widths(by->txn, by->dbi, by->dbflags, &source->key, &source->value);
}

/* Behind all records of the database. */
static int append(struct pylmdb_bulk *bulk, struct pylmdb_merge *merge,
                  const struct pylmdb_source *source)
{
    const int rc = pylmdb_bulk_add(bulk, &source->key, &source->value);

    merge->written += !rc;
    return rc == MDB_KEYEXIST ? MDB_CORRUPTED : rc; /* the source is not sorted */
}

static int put(MDB_cursor *cursor, const struct comparison *by, struct pylmdb_merge *merge,
               const struct pylmdb_source *source)
{
    MDB_val key = source->key, value = source->value;
    unsigned int flags = 0;
    int rc;

    if (by->dups)
        flags = MDB_NODUPDATA;
    else if (merge->on_conflict != PYLMDB_CONFLICT_LAST)
        flags = MDB_NOOVERWRITE;
    rc = pylmdb_safe_cursor_put(cursor, &key, &value, flags);
    if (rc == MDB_KEYEXIST) {
        /* liblmdb returns the value of the existing record */
        if (!by->dups && merge->on_conflict == PYLMDB_CONFLICT_ERROR &&
            !same(&value, &source->value)) {
            merge->other = merge->count;
            return rc;
        }
        return 0;
    }
    merge->written += !rc;
    return rc;
}

/* Append what is left of the first source's page in one go, if the other sources have nothing
 * that belongs between. Its first record was appended. */
static int append_page(const struct comparison *by, struct pylmdb_merge *merge,
                       struct pylmdb_bulk *bulk, size_t *done)
{
    struct pylmdb_source *source = &merge->sources[merge->at];
    MDB_val last;
    size_t i, count = 0;
    int rc;

    if (!source->has_pages || !pylmdb_bulk_has_page(source->cursor, &last))
        return 0;
    for (i = 1; i <= 2 && i < merge->size; i++)
        if (mdb_cmp(by->txn, by->dbi, &last, &merge->sources[merge->heap[i]].key) >= 0)
            return 0;
    rc = pylmdb_bulk_add_page(bulk, source->cursor, &source->key, &source->value, &count, done);
    *done += 16 * count;
    merge->read += count;
    merge->written += count;
    merge->key = source->key;
    merge->value = source->value;
    return rc == MDB_KEYEXIST || is_truncated(source) ? MDB_CORRUPTED : rc;
}

static int write_some(MDB_cursor *cursor, const struct comparison *by, struct pylmdb_merge *merge,
                      struct pylmdb_bulk *bulk, size_t limit)
{
    size_t done = 0;
    int rc = 0;

    while (!rc && merge->size && done < limit) {
        const struct pylmdb_source *source = &merge->sources[merge->at = merge->heap[0]];
        const size_t size = source->key.mv_size + source->value.mv_size;

        rc = fits(by, merge, source);
        if (!rc && merge->last < merge->count &&
            !compare_records(by, &merge->key, &merge->value, source)) {
            merge->other = merge->last;
            if (!by->dups && merge->on_conflict == PYLMDB_CONFLICT_ERROR &&
                !same(&merge->value, &source->value))
                rc = MDB_KEYEXIST;
        } else if (!rc) {
            rc = merge->append ? append(bulk, merge, source) : put(cursor, by, merge, source);
            if (!rc) {
                merge->key = source->key;
                merge->value = source->value;
                merge->last = merge->at;
                if (merge->append)
                    rc = append_page(by, merge, bulk, &done);
            }
        }
        if (!rc)
            rc = advance(by, merge);
        done += size + 16;
    }
    merge->bytes += done;
    return rc;
}

int pylmdb_merge_some(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, struct pylmdb_merge *merge,
                      size_t limit)
{
    const struct comparison by = comparison_of(txn, dbi, dbflags, merge);
    struct pylmdb_bulk *bulk;
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    if (rc)
        return rc;
    bulk = pylmdb_bulk_new(cursor, by.dups ? MDB_APPENDDUP : MDB_APPEND, NULL);
    rc = bulk ? write_some(cursor, &by, merge, bulk, limit) : ENOMEM;
    if (!rc)
        rc = pylmdb_bulk_finish(bulk);
    pylmdb_bulk_free(bulk);
    mdb_cursor_close(cursor);
    return rc ? rc : merge->size ? 0 : MDB_NOTFOUND;
}
