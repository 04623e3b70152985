/* SPDX-License-Identifier: MIT */
/* What the shim adds to liblmdb.  Both engines and the build against a system
 * liblmdb have all of these; shim.c says what each one relies on. */
#ifndef PYLMDB_SHIM_H
#define PYLMDB_SHIM_H

#include <stddef.h>

#include "lmdb.h"
#include "memory.h"

/* Begin a transaction.  A top-level write transaction waits at most wait_ms
 * milliseconds for the writer lock (for ever when negative) and returns
 * ETIMEDOUT when it is not had by then.  A read transaction waits for the lock
 * of the reader table, unless wait_ms is 0: then it returns EBUSY. */
int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags,
                     int wait_ms, MDB_txn **txn);

/* mdb_txn_renew() with the same wait_ms. */
int pylmdb_txn_renew(MDB_txn *txn, int wait_ms);

/* Ends a read transaction and gives its reader slot back, but keeps its memory
 * for pylmdb_txn_renew(); 0 if this build cannot. */
int pylmdb_txn_park(MDB_txn *txn);

/* Open a handle to a named database so that no other transaction of this
 * process can be given the same slot meanwhile.  The caller serialises calls.
 * PYLMDB_GONE if this process has a handle of that name whose database is not there any
 * more: it must be retired first. */
int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags,
                    MDB_dbi *dbi);

/* After opening: 1 if an abort of the transaction takes the database back. */
int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi);

/* cdef: begin */
/* 1 if something was committed since the read transaction began. */
int pylmdb_txn_is_old(MDB_txn *txn);
/* cdef: end */

/* Whether an operation on a database that has failed is to be made again: its handle was opened
 * after the transaction began, which knows it from now on.  Else *code says why it failed:
 * PYLMDB_NOT_IN_SNAPSHOT if the transaction does not have the database, PYLMDB_GONE if the newest
 * snapshot does not, either, or has another of that name. */
int pylmdb_may_try_again(MDB_txn *txn, MDB_dbi dbi, int *code);

/* cdef: begin */
/* mdb_cursor_open(), with the same two codes. */
int pylmdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);

/* 1 if a commit of the write transaction would write anything, 0 if it would not, -1 if
 * this build cannot tell. */
int pylmdb_txn_is_changed(MDB_txn *txn);
/* cdef: end */

/* 1 if the record that the cursor shows describes a named database, 0 if it is
 * an ordinary record, -1 if this build cannot tell. */
int pylmdb_cursor_is_db(MDB_cursor *cursor);

/* mdb_get(), quicker, where it can be; else PYLMDB_NOT_QUICK. */
int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);

/* The same of mdb_cursor_get() with MDB_SET_KEY or MDB_SET_RANGE; a key that is not
 * found leaves the cursor without a position.  *near: look on the page that the
 * cursor is on first; then whether that is where the key was. */
int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *near);

/* MDB_SET_KEY for many keys at once, best in their order; values on pages of their own are
 * left to be read.  PYLMDB_NOT_QUICK: the keys must be looked up one by one. */
int pylmdb_find_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count);
/* Reads a value that was left, before the transaction does anything else. */
int pylmdb_read_later(MDB_cursor *cursor, void *later, MDB_val *data);
/* Fetches its first line; where its pages begin in the map, or NULL. */
const void *pylmdb_fetch_later(MDB_cursor *cursor, const void *later);

/* Stores value for a key, or deletes the key where value is NULL, in a database
 * without duplicates.  What is there already is shown to seen(), if given, before;
 * a code that it returns is returned at once.  PYLMDB_NOT_QUICK: nothing was done. */
int pylmdb_exchange(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *value,
                    pylmdb_seen *seen, void *context);

/* mdb_cursor_get() for movements without a key; quicker for MDB_NEXT and MDB_PREV.
 * data may be NULL. */
int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op);

/* Take a cursor's position away, as if it had never been moved. */
void pylmdb_cursor_unset(MDB_cursor *cursor);

/* cdef: begin */
/* In a forked child: close the descriptors of an inherited environment and
 * touch nothing else of it. */
void pylmdb_env_abandon(MDB_env *env);

/* In a forked child: has a read transaction of its own, which has just begun, show the
 * snapshot of one that it has inherited.  ETIMEDOUT: a writer was in the way for a second;
 * MDB_BAD_TXN: the parent has let the snapshot go.  Then the transaction must be ended. */
int pylmdb_txn_go_back(MDB_txn *txn, const MDB_txn *inherited);

/* Gives a cursor of such a transaction the position of an inherited one. */
int pylmdb_cursor_go_on(MDB_cursor *cursor, const MDB_cursor *inherited);

/* Takes back a handle whose database is gone for good. */
void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi);
/* cdef: end */

/* mdb_drop(), which can be aborted: the handle is dead in the transaction, and
 * is retired by the caller once that has committed. */
int pylmdb_safe_drop(MDB_txn *txn, MDB_dbi dbi, int del);

/* Free the slots of retired handles.  alone: the caller's transaction is the
 * only one; else others, which are older, must not use what gets these slots. */
void pylmdb_dbi_reclaim(MDB_env *env, int alone);

/* cdef: begin */
/* Where the map lies; NULL if this build cannot tell. */
void *pylmdb_env_map(MDB_env *env, size_t *size);

/* Before an environment is opened: how large its map is at first, how large it may
 * become (never less than it has), how much of the address space it should
 * have, and whether the user has fixed the size, which is then what he is told. */
void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed);

/* Set the limit of an open environment's map, and 0 means what the file says, whatever
 * is alive; never below what is used.  MDB_MAP_RESIZED: nothing has changed, because
 * the addresses that were reserved do not reach so far; ENOSYS: this build cannot. */
int pylmdb_env_limit(MDB_env *env, size_t size);

/* The same by another map, in which nothing must lie that anybody uses. */
int pylmdb_env_replace_map(MDB_env *env, size_t size);

/* A map that cannot become larger where it lies, or is smaller than another process has
 * made the data, comes to lie elsewhere, if nothing lies in it that anybody uses
 * (alone). */
int pylmdb_env_make_room(MDB_env *env, int alone);

/* The files of an open environment were found by this name, as it is given to
 * mdb_env_open(). */
void pylmdb_env_named(MDB_env *env, const char *path);

/* An open environment is opened again with such a plan: the wider one holds. */
void pylmdb_env_widen(MDB_env *env, size_t most, int fixed);

/* The limit of an open environment's map, how far it may rise by itself, and how much
 * address space is reserved. */
void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved);

/* How large a map becomes when it grows by a part of itself; sizes in bytes. */
size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part);

/* Before an environment is opened: whether a data file that is cut short under its map
 * makes reads fail with MDB_CORRUPTED, and not the process. */
void pylmdb_env_guard_reads(MDB_env *env, int guard);
/* cdef: end */

/* Whether that has happened to any environment, and to this one: whoever copies a value
 * touches it before, and asks afterwards. */
#if defined(__GNUC__)
extern int pylmdb_any_cut __attribute__((visibility("hidden")));
#else
extern int pylmdb_any_cut;
#endif
/* Where the core has such a note; NULL before the engine has joined it. */
extern int *pylmdb_host_cut;
/* cdef: begin */
int pylmdb_env_is_cut(MDB_env *env);
/* Code of the core, or of another engine, which its _own_code() tells, may read the maps. */
void pylmdb_guard_code(const void *code, size_t size);
const void *pylmdb_own_code(size_t *size);
void pylmdb_touch(const void *data, size_t size);

/* Have an environment for this process alone (EBUSY: others have it open), or share it
 * again; and tell those who wait to open it of the file that was put in its place. */
int pylmdb_env_alone(MDB_env *env, int alone);
void pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd);

/* mdb_env_open(), which notes what it makes that was not there (an inode of 0: nothing), and
 * which step returned the error.  _remove_made() removes that again after the environment was
 * closed, unless another process uses it; lock_file is NULL where there is none. */
enum pylmdb_step {
    PYLMDB_OTHER_STEP,
    PYLMDB_OPEN_DATA_FILE,
    PYLMDB_OPEN_LOCK_FILE,
    PYLMDB_LOCK_LOCK_FILE,
    PYLMDB_MAP_DATA_FILE,
    PYLMDB_MAP_LOCK_FILE
};
struct pylmdb_made {
    unsigned long long device, inode;
};
struct pylmdb_opening {
    int step, code;
    struct pylmdb_made data_file, lock_file;
};
int pylmdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode,
                    struct pylmdb_opening *noted);
void pylmdb_remove_made(const struct pylmdb_opening *noted, const char *data_file,
                        const char *lock_file);

/* A write transaction cannot begin in a file whose pages have checksums. */
#define PYLMDB_CHECKSUMS (-30702)

/* A transaction's snapshot does not have the database of a handle; a newer one may have it. */
#define PYLMDB_NOT_IN_SNAPSHOT (-30704)

/* To be called after pylmdb_env_open(), pylmdb_env_opened(), and before the first transaction.
 * PYLMDB_OTHER_FILE: others have another data file open with the same lock file, which must
 * not be used then.  pylmdb_env_discard_locks() takes it away, and who opens the environment
 * makes a new one; ESTALE: the names lead to other files already, EBUSY: somebody is at it. */
#define PYLMDB_OTHER_FILE (-30701)
int pylmdb_env_join(MDB_env *env);
int pylmdb_env_discard_locks(MDB_env *env);

/* To be called after pylmdb_env_open() and before the first transaction: puts right what a
 * process that died while it opened the environment has left in the lock file. */
void pylmdb_env_opened(MDB_env *env);

/* The number by which an environment of this process is known in its reader table, and the
 * process number that goes with one that stands there, as that process knows it. */
int pylmdb_env_number(MDB_env *env);
int pylmdb_env_process(MDB_env *env, int number);

/* Makes the table end at a number of slots again, or behind the last one that is taken: a look
 * at the environment does not count as a reader. */
void pylmdb_env_forget_slots(MDB_env *env, unsigned int count);
/* cdef: end */

/* mdb_env_close(), also while a thread of this process still has to give back
 * the writer lock that another one has ended for it. */
void pylmdb_env_close(MDB_env *env);

/* cdef: begin */
/* mdb_env_copyfd2(), which takes the writer lock for a moment unless it
 * compacts; ETIMEDOUT, with nothing written, when that was not had in wait_ms. */
int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags,
                      int wait_ms);

/* Appends records, a key and a value each, in the order in which they come: nobody asks
 * whether the database's own order is that.  *done tells how many were appended. */
int pylmdb_append(MDB_txn *txn, MDB_dbi dbi, const MDB_val *records, size_t count, size_t *done);
/* cdef: end */

/* Puts a record behind all others, and a value that takes pages of its own straight into
 * the file; PYLMDB_NOT_QUICK, with nothing done, of other values, or where that cannot be.
 * Before anything else is done with the transaction, _write() writes what is still in
 * memory; what _free() finds there fails the transaction.  The value must not be changed in
 * this transaction. */
struct pylmdb_unwritten;
struct pylmdb_unwritten *pylmdb_unwritten_new(MDB_txn *txn);
int pylmdb_append_large(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value,
                        struct pylmdb_unwritten *pages);
int pylmdb_unwritten_write(struct pylmdb_unwritten *pages);
void pylmdb_unwritten_free(struct pylmdb_unwritten *pages);

/* cdef: begin */
/* After opening: MDB_CORRUPTED if the file lacks pages that its newest snapshot uses. */
int pylmdb_env_check(MDB_env *env);

/* Calls into liblmdb whose failed assertions are MDB_PANIC instead of the end of
 * the process, in an environment for which pylmdb_env_guard() was called. */
void pylmdb_env_guard(MDB_env *env);
/* cdef: end */
int pylmdb_safe_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int pylmdb_safe_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data,
                    unsigned int flags);
int pylmdb_safe_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                           int op);
int pylmdb_safe_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                           unsigned int flags);
int pylmdb_safe_cursor_del(MDB_cursor *cursor, unsigned int flags);
int pylmdb_safe_commit(MDB_txn *txn);
void pylmdb_safe_abort(MDB_txn *txn);

/* cdef: begin */
/* 1 when a write transaction may be ended on another thread than its own and
 * a begin can time out; 0 for a system liblmdb. */
int pylmdb_has_shim(void);
/* cdef: end */

#endif
