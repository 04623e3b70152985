/* SPDX-License-Identifier: MIT */
/* Plain C that both cores call: one call per operation, arguments checked for
 * what liblmdb would accept and mangle.  No Python objects here. */
#ifndef PYLMDB_PLAIN_H
#define PYLMDB_PLAIN_H

#include <errno.h>

#include "shim.h"

/* cdef: begin */
/* The code of a begin that did not get the writer lock in time. */
#define PYLMDB_ETIMEDOUT ETIMEDOUT

/* Whether a database of integers or of fixed-size values takes a value (NULL: not asked
 * for) of this size for the key: 0, or MDB_BAD_VALSIZE. */
int pylmdb_check_widths(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *key,
                        const MDB_val *value);

/* The handle of the database may have been opened after the transaction began.
 * PYLMDB_NOT_IN_SNAPSHOT or PYLMDB_GONE: the transaction does not have the database. */
int pylmdb_get(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size, MDB_val *value);
int pylmdb_put(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size,
               const void *value, size_t value_size, unsigned int flags);
/* value NULL or of no bytes: the key with all its values. */
int pylmdb_del(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const void *key, size_t key_size,
               const void *value, size_t value_size);
/* A record of size bytes that are still to be written, to where *out leads, before the
 * next write in the transaction. */
int pylmdb_reserve(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, size_t size, unsigned int flags, void **out);
/* mdb_drop(), which can be aborted: the handle is dead in the transaction, and
 * is retired by the caller once that has committed. */
int pylmdb_drop(MDB_txn *txn, MDB_dbi dbi, int del);
int pylmdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *out);

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
 * the one that op leads to: NEXT, PREV and their DUP and NODUP forms; others begin
 * at its successor if it is gone, but those for a key's first and last value at what
 * is left of the key when all of that is smaller. */
int pylmdb_cursor_continue(MDB_cursor *cursor, unsigned int dbflags,
                           const void *key, size_t key_size,
                           const void *value, size_t value_size, int op,
                           MDB_val *found_key, MDB_val *found_value);
/* The record on which a cursor of a write transaction stands, in a database with
 * duplicates.  liblmdb does not always keep a cursor there when others write: one on
 * a key with a single value does not see a second one come, and one among duplicates
 * can be led to what their page was before.  So once others have written, the record
 * is sought again before the cursor is used. */
struct pylmdb_stand;

/* For a cursor of the transaction that has no position; NULL: without memory.  The
 * others take NULL for a cursor that needs none. */
struct pylmdb_stand *pylmdb_stand_new(MDB_txn *txn);
void pylmdb_stand_free(struct pylmdb_stand *stand);
/* Before a seek: from now on the cursor stands where liblmdb has it. */
void pylmdb_stand_forget(struct pylmdb_stand *stand);
/* Notes where the cursor has come to, or if that is nowhere, that it stands behind
 * the record that it came from.  writes is a number that changes with each write in
 * the transaction. */
int pylmdb_stand_note(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor);
/* Moves the cursor by any op without a key from where it stands, and notes where it
 * has come to; GET_CURRENT reads what is there.  From a record that is gone it is as
 * with pylmdb_cursor_continue(). */
int pylmdb_stand_move(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor,
                      unsigned int dbflags, int op, MDB_val *found_key, MDB_val *found_value);
/* Moves a cursor of the main database to its next record that is a named database, and
 * copies its key to name, which has room for *size bytes; MDB_BAD_VALSIZE: it needs more.
 * *sure is 0 where liblmdb does not tell: then it is the next record of any kind. */
int pylmdb_cursor_next_db(MDB_cursor *cursor, char *name, size_t *size, int *sure);
/* cdef: end */
/* The number of values of the key that the cursor shows. */
int pylmdb_cursor_count(MDB_cursor *cursor, unsigned int dbflags, size_t *count);
/* cdef: begin */
/* The same from where it stands, which may be behind the key's values. */
int pylmdb_stand_count(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor,
                       unsigned int dbflags, int positioned, size_t *count);
/* Deletes the record that the cursor shows, or with MDB_NODUPDATA all values of
 * its key, and moves to the successor.  MDB_NOTFOUND: the record was the last of all,
 * or the last of a key that has others; the cursor has no position then, and what its
 * stand has noted is still the record.  *deleted tells whether the deletion itself
 * succeeded. */
int pylmdb_cursor_del(MDB_cursor *cursor, unsigned int dbflags,
                      unsigned int flags, MDB_val *found_key,
                      MDB_val *found_value, int *deleted);
/* cdef: end */

/* -- batch.c: many records in one call -- */

/* MDB_SET_KEY for the keys of count places; one that is not there is no error. */
int pylmdb_look_up(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                   const struct pylmdb_place *places, struct pylmdb_lookup *out, size_t count);
/* The same, but values that are far are not read: only their size is told. */
int pylmdb_find(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                const struct pylmdb_place *places, struct pylmdb_lookup *out, size_t count);

/* cdef: begin */
/* The number of pages that were freed by the transaction since and later ones,
 * as a read transaction sees it: what a reader of that snapshot keeps from being
 * used again. */
int pylmdb_pages_freed(MDB_txn *txn, size_t since, size_t *pages);

/* 0 if this process can have no environment of these files open, at a cost that does not
 * grow with what it has open: nobody has a lock on the lock file (-1: there is none), and
 * no map in the system has the first page of the data file, which an environment always
 * reads.  Else, and where that cannot be told, 1. */
int pylmdb_may_be_open(int lock_fd, int data_fd);

/* 0 if no descriptor of this process leads to the file, else, and where that cannot be
 * told, 1. */
int pylmdb_has_descriptor(unsigned long long device, unsigned long long inode);

/* -- pool.c -- */

/* Closes an environment and forgets it, in one call: one that was closed is not closed again. */
void pylmdb_env_end(MDB_env **env);

struct pylmdb_pool *pylmdb_pool_new(MDB_env *env, int keep);
void pylmdb_pool_release(struct pylmdb_pool *pool);
int pylmdb_pool_live(const struct pylmdb_pool *pool);
int pylmdb_open_db(struct pylmdb_pool *pool, MDB_txn *txn, const char *name,
                   unsigned int flags, int live, struct pylmdb_opened *opened);
/* Ends all idle transactions. */
void pylmdb_pool_drain(struct pylmdb_pool *pool);
/* cdef: end */

/* Where the forks are counted between the first process that loaded this and the calling
 * one: what was begun with another number belongs to a parent.  It is the core's count once
 * the engine has joined it. */
extern const int *pylmdb_generation_at;

/* cdef: begin */
/* A write transaction (flags 0) or a nested one. */
int pylmdb_begin(struct pylmdb_txn *txn, struct pylmdb_pool *pool,
                 MDB_txn *parent, unsigned int flags, int wait_ms);
/* A read transaction; an idle one is renewed where there is one.  wait_ms 0: EBUSY
 * instead of waiting for the lock of the reader table. */
int pylmdb_begin_reader(struct pylmdb_txn *txn, struct pylmdb_pool *pool,
                        int wait_ms);
/* Ends a read transaction, or keeps it idle. */
void pylmdb_end_reader(struct pylmdb_txn *txn);
void pylmdb_abort(struct pylmdb_txn *txn);
/* sync_flags: MDB_NOSYNC and MDB_NOMETASYNC for this commit; the caller holds
 * the writer lock, so no other commit sees them.  Nested transactions have no
 * sync of their own: env is NULL. */
void pylmdb_commit(struct pylmdb_txn *txn, MDB_env *env,
                   unsigned int sync_flags);
/* cdef: end */

#endif
