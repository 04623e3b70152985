/* SPDX-License-Identifier: MIT */
/* Sorted records of several databases into one.  The sources may be of another engine:
 * each brings the function that moves it. */
#ifndef PYLMDB_MERGE_H
#define PYLMDB_MERGE_H

#include "plain/plain.h"

/* cdef: begin */
struct pylmdb_source {
    MDB_cursor *cursor;
    /* pylmdb_source_move() of the engine that the cursor is of */
    int (*move)(struct pylmdb_source *source);
    /* whether records of named databases are passed over: the main database has them */
    int plain_only;
    /* the record that it stands on, valid for as long as its read transaction */
    MDB_val key, value;
};

/* Which record is kept of those with one key, where values differ. */
enum { PYLMDB_CONFLICT_ERROR, PYLMDB_CONFLICT_FIRST, PYLMDB_CONFLICT_LAST };

struct pylmdb_merge {
    struct pylmdb_source *sources;
    size_t count;
    /* the indexes of sources that are not at their end; the one with the first record is
     * at 0 */
    size_t *heap;
    size_t size;
    int on_conflict;
    /* whether every record comes behind all that the database has */
    int append;
    /* what size all keys have, where the database demands it */
    size_t key_size;
    /* what has been read, and written: records, and bytes of keys and values */
    size_t read, written, bytes;
    /* where it stopped: the source, and the one that it is in conflict with, which is
     * count for the database itself */
    size_t at, other;
    /* the record written last, in the map of a source, and which source that is; count:
     * there is none */
    MDB_val key, value;
    size_t last;
};

/* To the next record; MDB_NOTFOUND at the end. */
int pylmdb_source_move(struct pylmdb_source *source);

/* Moves the sources to their first records; MDB_BAD_VALSIZE: that of sources[at] does
 * not have the size of the others. */
int pylmdb_merge_begin(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                       struct pylmdb_merge *merge);

/* Writes records into a database until some limit of bytes has been written or read past;
 * MDB_NOTFOUND once there are no more, MDB_KEYEXIST for a conflict that is an error. */
int pylmdb_merge_some(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                      struct pylmdb_merge *merge, size_t limit);
/* cdef: end */

#endif
