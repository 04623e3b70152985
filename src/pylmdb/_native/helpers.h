/* SPDX-License-Identifier: MIT */
/* Plain C that both cores call: one call per operation, arguments checked for
 * what liblmdb would accept and mangle.  No Python objects here. */
#ifndef PYLMDB_HELPERS_H
#define PYLMDB_HELPERS_H

#include <errno.h>

#include "shim.h"

/* The code of a begin that did not get the writer lock in time. */
#define PYLMDB_ETIMEDOUT ETIMEDOUT

int pylmdb_get(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size, MDB_val *value);
int pylmdb_put(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size,
               const void *value, size_t value_size, unsigned int flags);
/* value NULL: the key with all its values. */
int pylmdb_del(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size,
               const void *value, size_t value_size);
/* Moves the cursor by op and gives the record it then shows. */
int pylmdb_cursor_seek(MDB_cursor *cursor, unsigned int dbflags,
                       const void *key, size_t key_size,
                       const void *value, size_t value_size, int op,
                       MDB_val *found_key, MDB_val *found_value);
int pylmdb_cursor_put(MDB_cursor *cursor, unsigned int dbflags,
                      const void *key, size_t key_size,
                      const void *value, size_t value_size,
                      unsigned int flags);
/* Moves the cursor from the record (key, value), which may be gone by now, to
 * the one that op (NEXT, PREV and their DUP and NODUP forms) leads to. */
int pylmdb_cursor_continue(MDB_cursor *cursor, unsigned int dbflags,
                           const void *key, size_t key_size,
                           const void *value, size_t value_size, int op,
                           MDB_val *found_key, MDB_val *found_value);
/* The number of values of the key that the cursor shows. */
int pylmdb_cursor_count(MDB_cursor *cursor, unsigned int dbflags,
                        size_t *count);
/* Deletes the record that the cursor shows, or with MDB_NODUPDATA all values of
 * its key, and moves to the successor; MDB_NOTFOUND: it was the last.  *deleted
 * tells whether the deletion itself succeeded. */
int pylmdb_cursor_del(MDB_cursor *cursor, unsigned int dbflags,
                      unsigned int flags, MDB_val *found_key,
                      MDB_val *found_value, int *deleted);

/* The number of pages that were freed by the transaction since and later ones,
 * as a read transaction sees it: what a reader of that snapshot keeps from being
 * used again. */
int pylmdb_pages_freed(MDB_txn *txn, size_t since, size_t *pages);

/* How many native transactions of an environment are alive.  It lives as long
 * as its environment's record or one of them. */
struct pylmdb_counter {
    int refs;
    int live;
};

struct pylmdb_counter *pylmdb_counter_new(void);
void pylmdb_counter_release(struct pylmdb_counter *counter);

/* A native transaction with the outcome of its commit.  The functions that end
 * it take the handle out, end it and count it off within one call, so that a
 * caller who is interrupted between calls can repeat them: the second does
 * nothing.  Nor do they in a forked child, where the handle is the parent's. */
struct pylmdb_txn {
    MDB_txn *ptr;
    struct pylmdb_counter *counter;
    int code;
    int pid;
};

int pylmdb_begin(struct pylmdb_txn *txn, struct pylmdb_counter *counter,
                 MDB_env *env, MDB_txn *parent, unsigned int flags,
                 int wait_ms);
/* Makes an idle read transaction the one of txn, or ends it when it cannot. */
int pylmdb_renew(struct pylmdb_txn *txn, struct pylmdb_counter *counter,
                 MDB_txn *idle);
/* The reverse: NULL if there is none. */
MDB_txn *pylmdb_reset(struct pylmdb_txn *txn);
void pylmdb_abort(struct pylmdb_txn *txn);
/* sync_flags: MDB_NOSYNC and MDB_NOMETASYNC for this commit; the caller holds
 * the writer lock, so no other commit sees them.  Nested transactions have no
 * sync of their own: env is NULL. */
void pylmdb_commit(struct pylmdb_txn *txn, MDB_env *env,
                   unsigned int sync_flags);

#endif
