/* SPDX-License-Identifier: MIT */
/* The functions that the shim adds to liblmdb. Both engines and the build against the
 * system's liblmdb have all of them. shim.c says which invariants of liblmdb each one relies
 * on. */
#ifndef PYLMDB_SHIM_H
#define PYLMDB_SHIM_H

#include <stddef.h>

#include "lmdb.h"
#include "memory.h"
#include "order.h"

/* Begin a transaction. A top-level write transaction waits at most wait_ms milliseconds for
 * the writer lock, without a limit if wait_ms is negative, and then returns ETIMEDOUT. A read
 * transaction waits for the lock of the reader table, unless wait_ms is 0: then it returns
 * EBUSY. */
int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, int wait_ms, MDB_txn **txn);

/* mdb_txn_renew() with the same wait_ms. */
int pylmdb_txn_renew(MDB_txn *txn, int wait_ms);

/* End a read transaction and free its reader slot, but keep its memory for
 * pylmdb_txn_renew(); 0 if this build cannot. */
int pylmdb_txn_release_slot(MDB_txn *txn);

/* Open a handle to a named database, so that no other transaction of this process is given
 * the same slot meanwhile. The caller serialises calls. PYLMDB_GONE: this process has a
 * handle of that name whose database no longer exists; it must be retired first. */
int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi);

/* Open the main database of an environment that was just opened, where no reader slot is left, and
 * say how many records it has; MDB_READERS_FULL if this build cannot. */
int pylmdb_env_open_main(MDB_env *env, unsigned int *flags, size_t *records);

/* Called after opening: 1 if an abort of the transaction removes the database. */
int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi);

/* 1 if something was committed since the read transaction began. */
int pylmdb_txn_is_old(MDB_txn *txn);
/* cdef: begin */
/* The number of the newest transaction: a read transaction that begins now has it, or a newer one.
 * mdb_env_info() may know it a moment before. */
size_t pylmdb_env_newest(MDB_env *env);
/* cdef: end */

/* Return whether an operation on a database that has failed must be made again: its handle was
 * opened after the transaction began, and the transaction knows it from now on. Else *code says
 * why it failed: PYLMDB_NOT_IN_SNAPSHOT if the transaction does not have the database, PYLMDB_GONE
 * if the newest snapshot does not have it either, or has another database of that name. */
int pylmdb_may_try_again(MDB_txn *txn, MDB_dbi dbi, int *code);

/* cdef: begin */
/* mdb_cursor_open(), with the two codes of pylmdb_may_try_again(). */
int pylmdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);

/* 1 if a commit of the write transaction would write anything, 0 if not, -1 if this build
 * cannot tell. */
int pylmdb_txn_is_changed(MDB_txn *txn);

/* Whether the record of a cursor of the main database describes a named database. */
int pylmdb_cursor_is_db(MDB_cursor *cursor);
/* cdef: end */

/* Move the cursor to the last record of its page, or to the one before the next record that
 * describes a named database. It reads no values. */
void pylmdb_cursor_skip_records(MDB_cursor *cursor);

/* mdb_get(), faster, for the usual case; else PYLMDB_NOT_QUICK. */
int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);

/* mdb_cursor_get() with MDB_SET_KEY or MDB_SET_RANGE, faster, for the usual case; else
 * PYLMDB_NOT_QUICK. A key that is not found leaves the cursor without a position. *same_page:
 * whether to search on the cursor's page first; afterwards whether the key was on it. */
int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *same_page);

/* MDB_SET_KEY for many keys at once, best in key order. Values on overflow pages are not read
 * yet: their lookup has an overflow_node. PYLMDB_NOT_QUICK: the caller must look up the keys
 * one by one. */
int pylmdb_lookup_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count);
/* Read the value of an overflow_node, before the transaction does anything else. */
int pylmdb_read_overflow(MDB_cursor *cursor, void *node, MDB_val *data);
/* Prefetch the first bytes of such a value. Return the address of its pages in the map, or
 * NULL. */
const void *pylmdb_prefetch_overflow(MDB_cursor *cursor, const void *node);

/* Called before keys are looked up, or before values are read whose addresses are known. What of
 * them is on the disk is read ahead, of all together (read_ahead.c). More keys than
 * PYLMDB_READ_AHEAD_MAX are not read ahead; they are best in key order. Addresses that are not in
 * the map, such as NULL, do not count. */
int pylmdb_read_ahead_keys(MDB_cursor *cursor, const MDB_val *keys,
                           const struct pylmdb_sort_entry *entries, size_t count);
/* cdef: begin */
void pylmdb_read_ahead_values(MDB_env *env, const MDB_val *values, size_t count);
/* cdef: end */

/* A call that warms records begins (1) or ends (-1). Meanwhile everything is read ahead, untested,
 * and scans read ahead whatever the environment's flags are. */
void pylmdb_env_warms(MDB_env *env, int calls);
/* A scan that warms begins at the cursor. */
void pylmdb_read_ahead_scan(MDB_cursor *cursor);
/* cdef: begin */
/* Read pages of the file into memory. Returns how many of them there are. */
size_t pylmdb_warm_pages(MDB_txn *txn, size_t from, size_t count);
/* cdef: end */

/* Store value for a key, or delete the key if value is NULL, in a database without
 * duplicates. on_old_value(), if given, is called first with the existing value; if it
 * returns a code other than 0, that is returned and nothing is changed. PYLMDB_NOT_QUICK:
 * nothing was done. */
int pylmdb_exchange(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *value,
                    pylmdb_on_old_value *on_old_value, void *context);

/* Count the records with start <= key < stop, each value of a key as one; NULL: no bound. start
 * is not empty. The cursor may be anywhere afterwards. */
int pylmdb_count_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop,
                       size_t *count);
/* Delete them; other cursors are left where mdb_cursor_del() leaves them. MDB_INCOMPATIBLE: *name
 * is that of a named database in the range, and nothing is deleted. After other codes the
 * transaction may have failed. */
int pylmdb_delete_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop,
                        size_t *deleted, MDB_val *name);

/* mdb_cursor_get() for movements without a key; faster for MDB_NEXT and MDB_PREV. data may be
 * NULL. */
int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op);

/* Move a cursor by count records with MDB_NEXT or MDB_PREV, without reading those in between.
 * MDB_NOTFOUND: there are fewer. */
int pylmdb_cursor_skip(MDB_cursor *cursor, size_t count, int op);

/* Call walk->on_record() with the records that follow on the cursor's page, as far as they are in
 * the range and simple to read, and move the cursor to the last of them. Returns what the function
 * has returned other than 0, which ends the walk; 0: the next step is pylmdb_cursor_step()'s. Only
 * read transactions walk, because a write could change the page meanwhile. */
int pylmdb_walk_page(MDB_cursor *cursor, const struct pylmdb_walk *walk);

/* Make a cursor have no position, as if it had never been moved. */
void pylmdb_cursor_unset(MDB_cursor *cursor);

/* cdef: begin */
/* In a forked child: close the descriptors of an inherited environment, and do nothing else
 * with it. */
void pylmdb_env_abandon(MDB_env *env);

/* In a forked child: let a read transaction of the child, which has just begun, show the
 * snapshot of an inherited one. ETIMEDOUT: a writer held the writer lock for a second.
 * MDB_BAD_TXN: the parent has released the snapshot. In both cases the transaction must be
 * ended. */
int pylmdb_txn_go_back(MDB_txn *txn, const MDB_txn *inherited);

/* Give a cursor of such a transaction the position of an inherited cursor. */
int pylmdb_cursor_go_on(MDB_cursor *cursor, const MDB_cursor *inherited);

/* Make room for the handles of more named databases. The caller has exclusive access: no
 * transaction is alive, not even an idle one. ENOSYS: this build cannot. */
int pylmdb_env_grow_dbs(MDB_env *env, unsigned int dbs);

/* Give a named database another name, in the transaction that has opened it. MDB_KEYEXIST: the
 * main database has that key. The caller retires the handle after the commit. ENOSYS: this build
 * cannot. */
int pylmdb_dbi_rename(MDB_txn *txn, MDB_dbi dbi, const char *name);
/* cdef: end */

/* Take back a handle whose database is gone for good. */
void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi);

/* mdb_drop() that can be aborted: the handle is invalid in the transaction, and the caller
 * retires it after the commit. */
int pylmdb_safe_drop(MDB_txn *txn, MDB_dbi dbi, int del);

/* Free the slots of retired handles. alone: the caller's transaction is the only one; else
 * the caller keeps older transactions away from handles that get these slots. */
void pylmdb_dbi_reclaim(MDB_env *env, int alone);

/* cdef: begin */
/* Return the address and the size of the map; NULL if this build cannot tell. */
void *pylmdb_env_map(MDB_env *env, size_t *size);
/* cdef: end */

/* Set the sizes of the map before an environment is opened: the first size, the size that it
 * may reach (at least the file's), and how much to map. fixed: the user has chosen the size,
 * and info() reports that size. */
void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed);
/* Say what the data file is like if opening creates it: its page size (0: the system's), and
 * whether its pages get checksums. Returns 0, or ENOSYS if this build cannot. */
int pylmdb_env_new_file(MDB_env *env, unsigned int page_size, int has_sums);
/* Whether the pages of an open environment have checksums that are checked. */
int pylmdb_env_has_sums(const MDB_env *env);

/* cdef: begin */
/* Set the limit of an open environment's map, never below what is used; 0 means the size in
 * the file. Transactions may be alive. MDB_MAP_RESIZED: nothing has changed, because the
 * mapping cannot be extended so far. ENOSYS: this build cannot. */
int pylmdb_env_limit(MDB_env *env, size_t size);

/* The same, with a new map in place of the old one, which no transaction and no view may
 * use. */
int pylmdb_env_replace_map(MDB_env *env, size_t size);

/* Move a map that cannot grow at its address, or that is smaller than the data that another
 * process has written. alone: no transaction and no view uses the map; otherwise it is not
 * moved. */
int pylmdb_env_make_room(MDB_env *env, int alone);

/* Note the path by which the files of an open environment were found, in the form that
 * mdb_env_open() takes. */
void pylmdb_env_named(MDB_env *env, const char *path);

/* An open environment is opened again with other sizes: the larger limit holds. */
void pylmdb_env_widen(MDB_env *env, size_t most, int fixed);

/* cdef: end */
/* From now on, note there what is to be logged; *notes lives as long as the transactions of the
 * environment. */
void pylmdb_env_note_in(MDB_env *env, struct pylmdb_notes *notes);

/* Return the limit of an open environment's map, how far it may rise by itself, and how much
 * is mapped. */
void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved);
/* cdef: begin */

/* Return the new size, in bytes, of a map that grows by a part of itself. */
size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part);
/* cdef: end */

/* Called before an environment is opened: whether reads of a data file that is truncated
 * while it is mapped fail with MDB_CORRUPTED, instead of ending the process. */
void pylmdb_env_guard_reads(MDB_env *env, int guard);

/* The core's note that this has happened to any environment (any_file_is_truncated()); NULL before
 * the engine has joined the core. */
extern int *pylmdb_host_truncated;
/* MDB_CORRUPTED if a file whose reads are guarded lacks pages of the snapshot; else the code, which
 * zeros could have caused. A page that is cut in its middle reads as zeros from there on, without
 * a SIGBUS, so the system is asked for the size of the file. */
int pylmdb_unless_truncated(MDB_cursor *cursor, int code);
/* cdef: begin */
/* Whether it has happened to this environment. Code that copies a value touches it before, and
 * asks this afterwards. */
int pylmdb_env_is_truncated(MDB_env *env);
/* Allow guarded reads to code outside this engine: that of the core, or of another engine,
 * which pylmdb_own_code() of that engine returns. */
void pylmdb_guard_code(const void *code, size_t size);
const void *pylmdb_own_code(size_t *size);
void pylmdb_touch(const void *data, size_t size);

/* Get exclusive access to an environment (EBUSY: another process has it open), or share it
 * again. pylmdb_env_replaced() tells the processes that wait to open it which file has
 * replaced the data file. */
int pylmdb_env_alone(MDB_env *env, int alone);
void pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd);

/* The snapshot of a read transaction: its number, how many pages there are up to its last one, and
 * the format of the file (MDB_DATA_VERSION). ENOSYS: this build cannot read pages. */
struct pylmdb_snapshot {
    size_t txnid, pages;
    unsigned int page_size, format;
};
int pylmdb_snapshot(MDB_txn *txn, struct pylmdb_snapshot *found);
/* Set the bits of the pages that are free in the snapshot. */
int pylmdb_snapshot_free(MDB_txn *txn, unsigned char *bits);
/* List pages whose bits are not set, from page ``from`` on, at most so many. Returns how many. */
size_t pylmdb_snapshot_list(const unsigned char *bits, size_t pages, size_t from,
                            unsigned long long *numbers, size_t most);
/* Read pages of the snapshot, with meta pages that belong to it. MDB_CORRUPTED: the file does not
 * have them. Else the code is one of the system. */
int pylmdb_snapshot_read(MDB_txn *txn, const unsigned long long *numbers, size_t count,
                         char *pages);

/* mdb_env_open() that refuses a file that another LMDB binding has open in this process, and
 * notes which files it has created (an inode of 0: none) and which step has failed.
 * pylmdb_remove_made() removes these files after the environment was closed, unless another
 * process uses them; lock_file is NULL if there is none. */
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
/* Whether another LMDB binding has the data file open in this process. */
enum pylmdb_other_binding { PYLMDB_NOT_ASKED, PYLMDB_HAS_IT, PYLMDB_HAS_IT_NOT };
/* Another binding has it, so the environment must not be open here. The descriptor of its lock
 * file stays open, if it has one, until this file is opened again. */
#define PYLMDB_OTHER_BINDING (-30705)
struct pylmdb_opening {
    int step, code;
    struct pylmdb_made data_file, lock_file;
    /* given by the caller: the data file that exists already; an inode of 0: do not ask */
    struct pylmdb_made looked;
    int other_binding;
};
int pylmdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode,
                    struct pylmdb_opening *noted);
void pylmdb_remove_made(const struct pylmdb_opening *noted, const char *data_file,
                        const char *lock_file);

/* A write transaction cannot begin in a file whose pages have checksums that this build cannot
 * compute: those of another program, and all without the shim. */
#define PYLMDB_CHECKSUMS (-30702)
/* A file whose pages have checksums cannot be opened with a writable map. */
#define PYLMDB_SUMS_IN_MAP (-30706)

/* Take the note of the page that this thread has found damaged last, and what was wrong with it:
 * its checksum, or its structure. */
enum pylmdb_damage { PYLMDB_NO_DAMAGE, PYLMDB_WRONG_SUM, PYLMDB_WRONG_STRUCTURE };
int pylmdb_take_damage(size_t *page);

/* The transaction's snapshot does not have the database of a handle; a newer one may. */
#define PYLMDB_NOT_IN_SNAPSHOT (-30704)

/* Called after pylmdb_env_open() and pylmdb_env_opened(), before the first transaction.
 * PYLMDB_OTHER_FILE: other processes have another data file open with the same lock file, so
 * the lock file must not be used. Then pylmdb_env_discard_locks() removes it, and the next
 * open creates a new one. ESTALE: the paths already name other files. EBUSY: another
 * process is removing it. */
#define PYLMDB_OTHER_FILE (-30701)
int pylmdb_env_discard_locks(MDB_env *env);
/* cdef: end */
int pylmdb_env_join(MDB_env *env);

/* Called after pylmdb_env_open() and before the first transaction: repairs what a process
 * that died while it opened the environment has left in the lock file. */
void pylmdb_env_opened(MDB_env *env);

/* cdef: begin */
/* Return the number by which this process is known in the environment's reader table; and the
 * process number for a number in the table, as it is in the PID namespace of that process. */
int pylmdb_env_number(MDB_env *env);
int pylmdb_env_process(MDB_env *env, int number);

/* mdb_reader_list(), and without a lock file the readers of this process, unless it has opened the
 * environment for reading. */
int pylmdb_reader_list(MDB_env *env, MDB_msg_func *func, void *context);

/* Make the reader table end after count slots again, or after the last one that is taken, so
 * that a process that only inspects the environment does not count as a reader. */
void pylmdb_env_forget_slots(MDB_env *env, unsigned int count);
/* cdef: end */

/* mdb_env_close() that also works while a thread of this process has yet to release the
 * writer lock of a transaction that another thread has ended. */
void pylmdb_env_close(MDB_env *env);

/* cdef: begin */
/* mdb_env_copyfd2(), which takes the writer lock for a moment unless it compacts. ETIMEDOUT:
 * it did not get the lock in wait_ms milliseconds, and has written nothing. */
int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags, int wait_ms);
/* cdef: end */

/* -- bulk.c: many records, in order, behind the last one of a database --

   cursor = a cursor of the database, of a write transaction
   bulk = pylmdb_bulk_new(cursor, MDB_APPEND, NULL);    NULL: no memory
   for each record:
       rc = pylmdb_bulk_add(bulk, &key, &value);        MDB_KEYEXIST: was not greater; go on
   rc = pylmdb_bulk_finish(bulk);                       before anything else uses the transaction
   pylmdb_bulk_free(bulk);

 * pylmdb_bulk_add() returns what mdb_cursor_put() with these flags does, and copies the
 * record. Records are put until a leaf page is full; from then on pages are built and written
 * (bulk.c). Whatever cannot be built is put, so every cursor and every record is allowed, and
 * a few records cost what putting them costs. In a database with duplicates the flags are
 * MDB_APPENDDUP: the records of one key come one after the other, with ascending values.
 * check, if given, is called before a record is put, and can refuse it; so a caller need not
 * check sizes that the database requires (pylmdb_cursor_widths()).
 *
 * Between the first add and finish nothing else can use the transaction: calls of liblmdb fail
 * with MDB_BAD_TXN, a commit too. So no Python code may run in between that could use it. After
 * finish, more records can be added; the cursor is on the last record. finish() is quick if
 * nothing was built. After a code other than 0 and MDB_KEYEXIST, finish() tells whether the
 * records before are there. A failure that leaves the tree in pieces fails the transaction
 * for good, and so does pylmdb_bulk_free() without finish(); that touches neither the
 * transaction nor the cursor, which may have ended. */
typedef int pylmdb_bulk_check(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *key,
                              const MDB_val *value);
struct pylmdb_bulk;
struct pylmdb_bulk *pylmdb_bulk_new(MDB_cursor *cursor, unsigned int flags,
                                    pylmdb_bulk_check *check);
int pylmdb_bulk_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value);
int pylmdb_bulk_finish(struct pylmdb_bulk *bulk);

/* Whether a cursor of another transaction is on the first of several records of a leaf page;
 * last gets the key of the last one. */
int pylmdb_bulk_has_page(MDB_cursor *source, MDB_val *last);
/* Then add the others, after the first one, and move the cursor to the last one that was added,
 * whose key and value these are. It stops before a large value and the record of a database.
 * *count and *bytes are raised by how many were added, and by the sizes of keys and values. */
int pylmdb_bulk_add_page(struct pylmdb_bulk *bulk, MDB_cursor *source, MDB_val *key, MDB_val *value,
                         size_t *count, size_t *bytes);
void pylmdb_bulk_free(struct pylmdb_bulk *bulk);

/* Before the first record: each belongs behind the one before it, in a database whose order
 * only its program knows. After finish() the cursor can only be closed. ENOTSUP: this build
 * cannot do that. */
int pylmdb_bulk_keep_order(struct pylmdb_bulk *bulk);

/* Called after opening: MDB_CORRUPTED if the file lacks pages that its newest snapshot uses. */
int pylmdb_env_check(MDB_env *env);

/* Calls into liblmdb whose failed assertions are MDB_PANIC instead of the end of the process,
 * in an environment for which pylmdb_env_guard() was called. */
void pylmdb_env_guard(MDB_env *env);
int pylmdb_safe_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int pylmdb_safe_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags);
int pylmdb_safe_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op);
int pylmdb_safe_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned int flags);
int pylmdb_safe_cursor_del(MDB_cursor *cursor, unsigned int flags);
int pylmdb_safe_commit(MDB_txn *txn);
void pylmdb_safe_abort(MDB_txn *txn);

/* cdef: begin */
/* 1 if a write transaction may be ended on another thread than its own, and a begin can time
 * out; 0 for the system's liblmdb. */
int pylmdb_has_shim(void);
/* cdef: end */

#endif
