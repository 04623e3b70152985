/* SPDX-License-Identifier: MIT */
/* Plain C for both cores: one call for each operation.  It refuses arguments that liblmdb would
 * accept and store wrongly.  No Python objects here. */
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
/* cdef: end */
/* Whether liblmdb has integers of so many bytes. */
static inline int pylmdb_is_integer(size_t size)
{
    return size == sizeof(unsigned int) || size == sizeof(size_t);
}
/* pylmdb_check_widths() in the database of a cursor. */
static inline int pylmdb_cursor_widths(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *key,
                                       const MDB_val *value)
{
    if (!(dbflags & (MDB_INTEGERKEY | MDB_DUPFIXED)))
        return 0;
    return pylmdb_check_widths(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), dbflags, key, value);
}
/* MDB_APPEND would add a key; with duplicates, the record may also add a value to the last key. */
static inline unsigned int pylmdb_append_flags(unsigned int dbflags, unsigned int flags)
{
    if (flags & MDB_APPEND && dbflags & MDB_DUPSORT)
        return flags ^ (MDB_APPEND | MDB_APPENDDUP);
    return flags;
}
/* Finish and free bulk; return rc, or, if that is 0 or MDB_KEYEXIST, whether it finished. */
static inline int pylmdb_bulk_end(struct pylmdb_bulk *bulk, int rc)
{
    const int finished = bulk ? pylmdb_bulk_finish(bulk) : 0;

    pylmdb_bulk_free(bulk);
    return rc && rc != MDB_KEYEXIST ? rc : finished;
}
/* cdef: begin */
/* Keys, or values, in one block: each has width bytes, or, if ends is given, key i ends at
 * ends[i]. */
struct pylmdb_keys {
    const char *bytes;
    const size_t *ends;
    size_t count, width;
};
/* cdef: end */

static inline MDB_val pylmdb_key_at(const struct pylmdb_keys *keys, size_t i)
{
    const size_t begin = !keys->ends ? i * keys->width : i ? keys->ends[i - 1] : 0;
    const size_t end = keys->ends ? keys->ends[i] : begin + keys->width;

    return (MDB_val){end - begin, (void *)(keys->bytes + begin)};
}

/* cdef: begin */

/* The functions below take handles that were opened after the transaction began. Those that
 * put take MDB_APPEND for all databases, and mean MDB_APPENDDUP in one with duplicates.
 * PYLMDB_NOT_IN_SNAPSHOT or PYLMDB_GONE: the transaction does not have the database. */
int pylmdb_get(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               MDB_val *value);
int pylmdb_put(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               const void *value, size_t value_size, unsigned int flags);
/* Put a record if its key has the value expected; NULL: if the key does not exist. Otherwise
 * MDB_KEYEXIST. The database has no duplicates. */
int pylmdb_put_if(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
                  const void *value, size_t value_size, const void *expected, size_t expected_size);
/* value NULL or of no bytes: the key with all its values. */
int pylmdb_del(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               const void *value, size_t value_size);
/* Put a record of size bytes. *out is the address to which the caller writes the value,
 * before the next write in the transaction. */
int pylmdb_reserve(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, size_t size, unsigned int flags, void **out);
/* mdb_drop() that can be aborted: the handle is invalid in the transaction, and the caller
 * retires it after the commit. */
int pylmdb_drop(MDB_txn *txn, MDB_dbi dbi, int del);
/* cdef: end */
/* Moves the cursor by op, and returns its record. */
int pylmdb_cursor_seek(MDB_cursor *cursor, unsigned int dbflags, const void *key, size_t key_size,
                       const void *value, size_t value_size, int op, MDB_val *found_key,
                       MDB_val *found_value);
/* cdef: begin */
/* Moves a cursor of the main database to its next record that is a named database, and copies
 * its key to name, which has room for *size bytes; MDB_BAD_VALSIZE: it needs more. */
int pylmdb_cursor_next_db(MDB_cursor *cursor, char *name, size_t *size);

/* Let the system begin to write the file's changed pages to the disk, where it can be asked to
 * (Linux). It makes nothing durable, but a later sync has less to wait for. */
void pylmdb_begin_flush(MDB_env *env);
/* cdef: end */
/* The number of values of the cursor's key. */
int pylmdb_cursor_count(MDB_cursor *cursor, unsigned int dbflags, size_t *count);

/* -- batch.c: many records in one call -- */

/* Look up the keys of count entries; a missing key is not an error. */
int pylmdb_look_up(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                   const struct pylmdb_sort_entry *entries, struct pylmdb_lookup *out,
                   size_t count);
/* The same, but values on overflow pages are not read: only their size is returned. */
int pylmdb_find(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                const struct pylmdb_sort_entry *entries, struct pylmdb_lookup *out, size_t count);

/* cdef: begin */
/* -- store.c -- */

/* Store count records, pairs of key and value: append them as long as each comes after all others
 * in the database, so that pages are full, then put them with flags. keep_order: append all of them
 * in the order given. *done counts the records that were stored or were there already, *written
 * those that were stored. */
int pylmdb_store(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *records,
                 size_t count, unsigned int flags, int keep_order, size_t *done, size_t *written);

/* Return the number of pages that the transaction since and later ones have freed, as a read
 * transaction sees it. A reader of that snapshot keeps these pages from being used again. */
int pylmdb_pages_freed(MDB_txn *txn, size_t since, size_t *pages);

/* -- numbers.c: arrays of PYLMDB_STAT_SIZE and PYLMDB_INFO_SIZE numbers -- */

/* mdb_stat */
int pylmdb_stat(MDB_txn *txn, MDB_dbi dbi, size_t *out);
/* mdb_env_stat */
int pylmdb_env_stat(MDB_env *env, size_t *out);
/* mdb_env_info, and how far the map reaches and may grow */
int pylmdb_env_info(MDB_env *env, size_t *out);

/* -- ranges.c -- */

/* Count the records with start <= key < stop, or delete them and count those; NULL: no bound.
 * MDB_BAD_VALSIZE: start has another size than the keys. PYLMDB_OTHER_WIDTH: stop has, and
 * *count is that of the keys. MDB_INCOMPATIBLE: *name is the name of a database in the range, and
 * nothing is deleted. */
int pylmdb_count(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *start,
                 size_t start_size, const void *stop, size_t stop_size, size_t *count);
int pylmdb_del_range(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *start,
                     size_t start_size, const void *stop, size_t stop_size, size_t *count,
                     MDB_val *name);

/* -- look.c -- */

struct pylmdb_file {
    unsigned long long device, inode;
};
enum pylmdb_look_step { PYLMDB_LOOK_FOR_FILE, PYLMDB_LOOK_AT_KIND, PYLMDB_LOOK_INSIDE };
struct pylmdb_look {
    /* where it failed; the mode of the data file is known from the second step on */
    int step;
    unsigned int mode;
    struct pylmdb_file data;
    /* the first bytes of the data file */
    int size;
    char head[64];
};
/* Look at the data file; return 0, or an error number. */
int pylmdb_look(const char *data_path, int writes, struct pylmdb_look *found);
/* Set everything that must be set before an environment is opened: see pylmdb_env_guard_reads(),
 * pylmdb_env_plan(), the functions of liblmdb for max_readers and max_dbs, and
 * pylmdb_env_new_file(). */
int pylmdb_set_up(MDB_env *env, int guard, size_t start, size_t most, size_t reserve, int fixed,
                  unsigned int max_readers, unsigned int max_dbs, unsigned int page_size,
                  int has_sums);

struct pylmdb_open_result {
    /* the data file that is open, and the lock file that has that name (0: none); whether the data
     * file has its name */
    struct pylmdb_file data, lock;
    int has_name;
    int max_key_size;
    unsigned int page_size;
    int has_sums;
    /* the flags of the main database, and 0 or why no transaction could begin to read them */
    unsigned int main_flags;
    int main_code;
    /* how many named databases the main database has, if those may be more than asked for */
    unsigned int databases;
    /* how many reader slots of dead processes were cleared */
    int dead_readers;
};
/* What must be done after pylmdb_env_open(): check that the lock file and the data file belong
 * together (PYLMDB_OTHER_FILE) and that the data file has all its pages, clear dead readers, have
 * liblmdb set the key order of the main database, count the named databases if the main database
 * has more than room records, and look at the names. any_size: the map may have the size that the
 * file says. */
int pylmdb_finish_open(struct pylmdb_pool *pool, const char *data_path, const char *lock_path,
                       int any_size, unsigned int room, struct pylmdb_open_result *out);

/* -- pool.c -- */

/* Close an environment and set *env to NULL in one call, so that it is closed only once. */
void pylmdb_env_end(MDB_env **env);

struct pylmdb_pool *pylmdb_pool_new(MDB_env *env, int keep);
void pylmdb_pool_release(struct pylmdb_pool *pool);
/* Take out what transactions have noted for the log. */
void pylmdb_take_notes(struct pylmdb_pool *pool, struct pylmdb_notes *taken);
int pylmdb_pool_live(const struct pylmdb_pool *pool);
/* End all idle transactions. */
void pylmdb_pool_drain(struct pylmdb_pool *pool);
/* cdef: end */

/* A database that was opened: its handle and flags, and whether an abort of the transaction
 * takes the handle back. */
struct pylmdb_opened {
    MDB_dbi dbi;
    unsigned int flags;
    int pending;
};
int pylmdb_open_db(struct pylmdb_pool *pool, MDB_txn *txn, const char *name, unsigned int flags,
                   int live, int used, struct pylmdb_opened *opened);

/* Points to the number of forks between the first process that loaded this and the calling
 * process. A transaction that was begun with another number belongs to a parent. It is the
 * core's count once the engine has joined the core. */
extern const int *pylmdb_generation_at;

/* cdef: begin */
/* Begin a write transaction (flags 0) or a nested one. */
int pylmdb_begin(struct pylmdb_txn *txn, struct pylmdb_pool *pool, MDB_txn *parent,
                 unsigned int flags, int wait_ms);
/* Begin a read transaction; if there is an idle one, it is renewed. With wait_ms 0 this returns
 * EBUSY instead of waiting for the lock of the reader table. */
int pylmdb_begin_reader(struct pylmdb_txn *txn, struct pylmdb_pool *pool, int wait_ms);
/* End a read transaction, or keep it idle. */
void pylmdb_end_reader(struct pylmdb_txn *txn);
void pylmdb_abort(struct pylmdb_txn *txn);
/* Commit. sync_flags: MDB_NOSYNC and MDB_NOMETASYNC for this commit; the caller has the writer
 * lock, so no other commit uses them. A nested transaction is not synced: env is NULL. */
void pylmdb_commit(struct pylmdb_txn *txn, MDB_env *env, unsigned int sync_flags);
/* cdef: end */

#endif
