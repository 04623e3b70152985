/* SPDX-License-Identifier: MIT */
/* Merge sorted records of several sources into a database: of other databases, or of memory.
 * Databases may belong to another engine: each source has the function that moves it. */
#ifndef PYLMDB_MERGE_H
#define PYLMDB_MERGE_H

#include "plain/plain.h"

/* cdef: begin */
struct pylmdb_source {
    MDB_cursor *cursor;
    /* instead of a cursor: records in memory */
    struct pylmdb_sorter *sorter;
    /* pylmdb_source_move() of the engine to which the cursor belongs, or pylmdb_sorter_move() */
    int (*move)(struct pylmdb_source *source);
    /* whether the cursor belongs to this engine, so that its pages can be read */
    int has_pages;
    /* whether to skip records that describe named databases; the main database has them */
    int plain_only;
    /* the current record, valid as long as the source's read transaction or sorter */
    MDB_val key, value;
};

/* Which record to keep of several with one key and different values. */
enum { PYLMDB_CONFLICT_ERROR, PYLMDB_CONFLICT_FIRST, PYLMDB_CONFLICT_LAST };

struct pylmdb_merge {
    struct pylmdb_source *sources;
    size_t count;
    /* the indexes of the sources that have records left; that of the first record in order is
     * at 0 */
    size_t *heap;
    size_t size;
    int on_conflict;
    /* whether all records come after those that the database has */
    int append;
    /* the size of all keys, if the database requires one size */
    size_t key_size;
    /* how many records were read and written, and how many bytes of keys and values */
    size_t read, written, bytes;
    /* the source at which it stopped, and the one with which its record conflicts; count: the
     * database */
    size_t at, other;
    /* the record that was written last, in the map of a source, and the index of that source;
     * count: none was written */
    MDB_val key, value;
    size_t last;
};

/* Move to the next record; MDB_NOTFOUND at the end. */
int pylmdb_source_move(struct pylmdb_source *source);

/* Move the sources to their first records. MDB_BAD_VALSIZE: the key of sources[at] has
 * another size than those of the other sources. */
int pylmdb_merge_begin(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, struct pylmdb_merge *merge);

/* Write records into a database until limit bytes of records have been written or skipped.
 * MDB_NOTFOUND: no records are left. MDB_KEYEXIST: a conflict that is an error. */
int pylmdb_merge_some(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, struct pylmdb_merge *merge,
                      size_t limit);

/* -- sorter.c: records in memory, to be sorted -- */

/* Return an empty sorter; NULL: no memory. last_first: of records with one key, the last one
 * comes first. It uses at most memory bytes for more than one record. */
struct pylmdb_sorter *pylmdb_sorter_new(unsigned int dbflags, size_t max_key, int last_first,
                                        size_t memory);
void pylmdb_sorter_free(struct pylmdb_sorter *sorter);
/* Remove all records. */
void pylmdb_sorter_clear(struct pylmdb_sorter *sorter);
size_t pylmdb_sorter_count(const struct pylmdb_sorter *sorter);

/* Copy records from first on, until the memory is full; *done counts them. records are pairs of
 * key and value, count of them. MDB_BAD_VALSIZE: the database does not take the sizes of the
 * next record. */
int pylmdb_sorter_add(struct pylmdb_sorter *sorter, const MDB_val *records, size_t count,
                      size_t first, size_t *done);
/* The same for keys and values in blocks. */
int pylmdb_sorter_add_rows(struct pylmdb_sorter *sorter, const struct pylmdb_keys *keys,
                           const struct pylmdb_keys *values, size_t first, size_t *done);

/* Sort the records; then a source with pylmdb_sorter_move() gives them from the first one on. The
 * sort calls ask() at intervals; if that returns 1, the sort ends with ECANCELED. */
int pylmdb_sorter_sort(struct pylmdb_sorter *sorter, int (*ask)(void *context), void *context);
int pylmdb_sorter_move(struct pylmdb_source *source);
/* cdef: end */

#endif
