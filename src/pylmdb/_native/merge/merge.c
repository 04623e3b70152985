/* SPDX-License-Identifier: MIT */
/* Merging databases: the sources are read in order through a heap, so memory is bounded
 * and each page is read and written once.
 *
 * The heap is ordered by key, then, where a key may have several values, by value, then
 * by source: the first of equal records is the one that is kept.  With CONFLICT_LAST the
 * later source is the first of equals.  What is equal to the record that was written
 * last is passed over; its key and value stay in the source's map. */
#include "merge.h"

#include <string.h>

int pylmdb_source_move(struct pylmdb_source *source)
{
    int rc;

    do
        rc = pylmdb_cursor_step(source->cursor, &source->key, &source->value, MDB_NEXT);
    while (!rc && source->plain_only && pylmdb_cursor_is_db(source->cursor) == 1);
    if (!rc) {
        touch_pages(source->key.mv_data, source->key.mv_size);
        touch_pages(source->value.mv_data, source->value.mv_size);
        if (pylmdb_any_cut && pylmdb_env_is_cut(mdb_txn_env(mdb_cursor_txn(source->cursor))))
            rc = MDB_CORRUPTED;
    }
    return rc;
}

/* -- order ----------------------------------------------------------------------- */

struct order {
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned int dbflags;
    /* whether a key may have several values */
    int dups;
    const struct pylmdb_merge *merge;
};

static int compare_records(const struct order *by, const MDB_val *key, const MDB_val *value,
                           const struct pylmdb_source *other)
{
    const int cmp = mdb_cmp(by->txn, by->dbi, key, &other->key);

    return cmp || !by->dups ? cmp : mdb_dcmp(by->txn, by->dbi, value, &other->value);
}

static int is_before(const struct order *by, size_t i, size_t j)
{
    const struct pylmdb_source *one = &by->merge->sources[i];
    const int cmp = compare_records(by, &one->key, &one->value, &by->merge->sources[j]);

    if (cmp)
        return cmp < 0;
    return by->merge->on_conflict == PYLMDB_CONFLICT_LAST ? i > j : i < j;
}

/* Puts the source at a place of the heap, below which order may be lost, where it belongs. */
static void sift(const struct order *by, size_t place)
{
    const struct pylmdb_merge *merge = by->merge;
    const size_t source = merge->heap[place];

    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < merge->size && is_before(by, merge->heap[child + 1], merge->heap[child]))
            child++;
        if (child >= merge->size || !is_before(by, merge->heap[child], source))
            break;
        merge->heap[place] = merge->heap[child];
        place = child;
    }
    merge->heap[place] = source;
}

static struct order order_of(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                             const struct pylmdb_merge *merge)
{
    const struct order by = {txn, dbi, dbflags, !!(dbflags & MDB_DUPSORT), merge};

    return by;
}

/* -- moving ------------------------------------------------------------------------ */

/* Integer keys have one size throughout, or their order is none. */
static int move(struct pylmdb_merge *merge, size_t i)
{
    struct pylmdb_source *source = &merge->sources[i];
    const int rc = source->move(source);

    if (!rc && merge->key_size && source->key.mv_size != merge->key_size)
        return MDB_BAD_VALSIZE;
    return rc;
}

/* Whether the record comes behind the last one of the database. */
static int is_behind_all(MDB_cursor *cursor, const struct order *by, const MDB_val *key)
{
    MDB_val last, value;
    const int rc = pylmdb_safe_cursor_get(cursor, &last, &value, MDB_LAST);

    return rc == MDB_NOTFOUND || (!rc && mdb_cmp(by->txn, by->dbi, &last, key) < 0);
}

/* Whether all records come behind those of the database, which takes none of other sizes. */
static int settle(const struct order *by, struct pylmdb_merge *merge)
{
    const struct pylmdb_source *first = &merge->sources[merge->heap[0]];
    MDB_cursor *cursor;
    int rc = pylmdb_check_widths(by->txn, by->dbi, by->dbflags, &first->key, NULL);

    if (!rc)
        rc = pylmdb_cursor_open(by->txn, by->dbi, &cursor);
    if (!rc) {
        merge->append = is_behind_all(cursor, by, &first->key);
        mdb_cursor_close(cursor);
    }
    return rc;
}

int pylmdb_merge_begin(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, struct pylmdb_merge *merge)
{
    const struct order by = order_of(txn, dbi, dbflags, merge);
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
        sift(&by, i);
    return merge->size ? settle(&by, merge) : 0;
}

/* Moves the source at the top of the heap to its next record, or takes it out. */
static int advance(const struct order *by, struct pylmdb_merge *merge)
{
    const int rc = move(merge, merge->heap[0]);

    merge->read++;
    if (rc == MDB_NOTFOUND)
        merge->heap[0] = merge->heap[--merge->size];
    else if (rc)
        return rc;
    if (merge->size > 1)
        sift(by, 0);
    return 0;
}

/* -- records --------------------------------------------------------------------- */

static int same(const MDB_val *a, const MDB_val *b)
{
    return a->mv_size == b->mv_size && !memcmp(a->mv_data, b->mv_data, a->mv_size);
}

/* How the next record is put behind all others: a key's first value, or one more. */
static unsigned int behind(const struct order *by, const struct pylmdb_merge *merge,
                           const MDB_val *key)
{
    if (by->dups && merge->last < merge->count && same(&merge->key, key))
        return MDB_APPENDDUP;
    return MDB_APPEND;
}

/* Whether the next record's value has the size of its key's others: of the record that
 * was written last, or of those in the database. */
static int fits(const struct order *by, const struct pylmdb_merge *merge,
                const struct pylmdb_source *source)
{
    if (!(by->dbflags & MDB_DUPFIXED))
        return 0;
    if (merge->last < merge->count && same(&merge->key, &source->key))
        return merge->value.mv_size == source->value.mv_size ? 0 : MDB_BAD_VALSIZE;
    if (merge->append && !(by->dbflags & MDB_INTEGERDUP))
        return 0;
    return pylmdb_check_widths(by->txn, by->dbi, by->dbflags, &source->key, &source->value);
}

static int put(MDB_cursor *cursor, const struct order *by, struct pylmdb_merge *merge,
               struct pylmdb_unwritten *pages)
{
    const struct pylmdb_source *source = &merge->sources[merge->heap[0]];
    MDB_val key = source->key, value = source->value;
    unsigned int flags = 0;
    int rc = PYLMDB_NOT_QUICK;

    if (merge->append)
        flags = behind(by, merge, &key);
    else if (by->dups)
        flags = MDB_NODUPDATA;
    else if (merge->on_conflict != PYLMDB_CONFLICT_LAST)
        flags = MDB_NOOVERWRITE;
    if (flags == MDB_APPEND)
        rc = pylmdb_append_large(cursor, &key, &value, pages);
    if (rc == PYLMDB_NOT_QUICK)
        rc = pylmdb_safe_cursor_put(cursor, &key, &value, flags);
    if (rc == MDB_KEYEXIST && merge->append)
        return MDB_CORRUPTED; /* the source is not in order */
    if (rc == MDB_KEYEXIST) {
        /* of a key that is there liblmdb gives the value */
        if (!by->dups && merge->on_conflict == PYLMDB_CONFLICT_ERROR
            && !same(&value, &source->value)) {
            merge->other = merge->count;
            return rc;
        }
        return 0;
    }
    merge->written += !rc;
    return rc;
}

static int write_some(MDB_cursor *cursor, const struct order *by, struct pylmdb_merge *merge,
                      struct pylmdb_unwritten *pages, size_t limit)
{
    size_t done = 0;
    int rc = 0;

    while (!rc && merge->size && done < limit) {
        const struct pylmdb_source *source = &merge->sources[merge->at = merge->heap[0]];
        const size_t size = source->key.mv_size + source->value.mv_size;

        rc = fits(by, merge, source);
        if (!rc && merge->last < merge->count
            && !compare_records(by, &merge->key, &merge->value, source)) {
            merge->other = merge->last;
            if (!by->dups && merge->on_conflict == PYLMDB_CONFLICT_ERROR
                && !same(&merge->value, &source->value))
                rc = MDB_KEYEXIST;
        } else if (!rc) {
            rc = put(cursor, by, merge, pages);
            if (!rc) {
                merge->key = source->key;
                merge->value = source->value;
                merge->last = merge->at;
            }
        }
        if (!rc)
            rc = advance(by, merge);
        done += size + 16;
    }
    merge->bytes += done;
    return rc;
}

int pylmdb_merge_some(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                      struct pylmdb_merge *merge, size_t limit)
{
    const struct order by = order_of(txn, dbi, dbflags, merge);
    struct pylmdb_unwritten *pages;
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    if (rc)
        return rc;
    pages = pylmdb_unwritten_new(txn);
    rc = pages ? write_some(cursor, &by, merge, pages, limit) : ENOMEM;
    if (pages && !rc)
        rc = pylmdb_unwritten_write(pages);
    pylmdb_unwritten_free(pages);
    mdb_cursor_close(cursor);
    return rc ? rc : merge->size ? 0 : MDB_NOTFOUND;
}
