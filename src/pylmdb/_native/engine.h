/* SPDX-License-Identifier: MIT */
/* The seam between the core and an engine: one table of functions.
 *
 * The core (core/) is compiled once and includes this, and no lmdb.h; each engine (liblmdb, our
 * shim, our plain C) is compiled with its own lmdb.h, and engine.c holds what is written here
 * against that.  The table changes with the package: join() refuses an engine of another one.
 * What the functions do is said where they are declared, in shim.h, plain.h, arrays.h and
 * lmdb.h. */
#ifndef PYLMDB_ENGINE_H
#define PYLMDB_ENGINE_H

#include <stddef.h>

/* -- the names of lmdb.h that the core uses ---------------------------------------- */

#define PYLMDB_EACH_NUMBER(NUMBER)                                                       \
    /* codes */                                                                          \
    NUMBER(KEYEXIST, -30799) NUMBER(NOTFOUND, -30798) NUMBER(CORRUPTED, -30796)          \
    NUMBER(DBS_FULL, -30791)                                                             \
    /* flags of a database */                                                            \
    NUMBER(REVERSEKEY, 0x02) NUMBER(DUPSORT, 0x04) NUMBER(INTEGERKEY, 0x08)              \
    NUMBER(DUPFIXED, 0x10) NUMBER(CREATE, 0x40000)                                       \
    /* flags of a transaction */                                                         \
    NUMBER(NOSYNC, 0x10000) NUMBER(RDONLY, 0x20000) NUMBER(NOMETASYNC, 0x40000)          \
    /* flags of a write */                                                               \
    NUMBER(NOOVERWRITE, 0x10) NUMBER(NODUPDATA, 0x20) NUMBER(APPEND, 0x20000)            \
    NUMBER(APPENDDUP, 0x40000)                                                           \
    /* movements of a cursor */                                                          \
    NUMBER(FIRST, 0) NUMBER(FIRST_DUP, 1) NUMBER(GET_BOTH, 2) NUMBER(GET_BOTH_RANGE, 3)  \
    NUMBER(GET_CURRENT, 4) NUMBER(GET_MULTIPLE, 5) NUMBER(LAST, 6) NUMBER(LAST_DUP, 7)   \
    NUMBER(NEXT, 8) NUMBER(NEXT_DUP, 9) NUMBER(NEXT_MULTIPLE, 10)                        \
    NUMBER(NEXT_NODUP, 11) NUMBER(PREV, 12) NUMBER(PREV_DUP, 13) NUMBER(PREV_NODUP, 14)  \
    NUMBER(SET_KEY, 16) NUMBER(SET_RANGE, 17)

#ifndef _LMDB_H_
typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef struct MDB_cursor MDB_cursor;
typedef unsigned int MDB_dbi;
typedef struct MDB_val {
    size_t mv_size;
    void *mv_data;
} MDB_val;

#define PYLMDB_NAMED(name, value) MDB_##name = value,
enum { PYLMDB_EACH_NUMBER(PYLMDB_NAMED) };
#undef PYLMDB_NAMED
#endif

/* -- what both sides look into ----------------------------------------------------- */

/* cdef: begin */
/* What is counted and kept for all transactions of an environment.  It lives as
 * long as its environment's record or one of them. */
#define PYLMDB_MAX_IDLE 64
#define PYLMDB_MAX_PARKED 4
/* How deep transactions may be nested. */
#define PYLMDB_MAX_DEPTH 512

struct pylmdb_pool {
    MDB_env *env;
    /* twice the number of native transactions that are alive, and 1 while the
     * environment's record is */
    int count;
    /* how many idle read transactions may keep their reader slots */
    int keep;
    /* idle read transactions: the first with reader slots, the others only with
     * their memory (see pylmdb_txn_park) */
    MDB_txn *idle[PYLMDB_MAX_IDLE];
    MDB_txn *parked[PYLMDB_MAX_PARKED];
};

/* A native transaction with the outcome of its commit.  The functions that end
 * it take the handle out, end it and count it off within one call, so that a
 * caller who is interrupted between calls can repeat them: the second does
 * nothing.  Nor do they in a forked child, where the handle is the parent's. */
struct pylmdb_txn {
    MDB_txn *ptr;
    struct pylmdb_pool *pool;
    int code;
    int generation;
};

/* A database that was opened: its number and flags, and whether an abort of the
 * transaction takes the number back. */
struct pylmdb_opened {
    MDB_dbi dbi;
    unsigned int flags;
    int pending;
};

/* The database of a handle is not there any more: another process has dropped it, or the
 * handle was opened in an older snapshot. */
#define PYLMDB_GONE (-30703)
/* cdef: end */

/* The place of a key in key order: index is its number among those given. */
struct pylmdb_place {
    unsigned long long order;
    size_t index;
};

/* A key that is looked up.  value.mv_data is NULL if nothing was found.  A value on
 * pages of its own may be left to be read: then only its size is told, and later is not
 * NULL. */
struct pylmdb_lookup {
    MDB_val key, value;
    size_t index;
    void *later;
};

/* The code of a quick function that cannot do it: nothing was done. */
#define PYLMDB_NOT_QUICK (-1)

/* Is shown a record that is there already; a code that it returns is returned at once. */
typedef int pylmdb_seen(void *context, const MDB_val *old);

/* A record of a cursor in a database with duplicates; see plain.h. */
struct pylmdb_stand;

/* Where a read behind the end of a data file that was cut short can go on
 * (truncation.c). */
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define PYLMDB_GUARDS_READS 1
#else
#define PYLMDB_GUARDS_READS 0
#endif

/* -- the two structs -------------------------------------------------------------- */

/* Counts changes of the structs of this file, for a message; the version of the package
 * tells all others. */
#define PYLMDB_ENGINE_ABI 1

/* What the core lends to the engines: one count of forks and one note of cut files for all,
 * and where its code is, which reads their maps. */
struct pylmdb_host {
    unsigned int abi;
    size_t size; /* of this struct */
    const int *generation;
    int *any_cut;
    const void *code;
    size_t code_size;
};

/* What an engine has: read transactions nested in write transactions; handles that outlive the
 * read transaction in which they were opened. */
#define PYLMDB_READONLY_CHILDREN 1u
#define PYLMDB_LASTING_HANDLES 2u

/* Each function: SLOT(type of its result, prefix of its name in C, name, parameters). */
#define PYLMDB_EACH_SLOT(SLOT)                                                                \
    /* Takes what the core lends; 0, or EINVAL: of another package. */                        \
    SLOT(int, pylmdb_, join, (const struct pylmdb_host *host))                                \
    /* records */                                                                             \
    SLOT(int, pylmdb_, get, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,                 \
                             const void *key, size_t key_size, MDB_val *value))               \
    SLOT(int, pylmdb_, put, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,                 \
                             const void *key, size_t key_size, const void *value,             \
                             size_t value_size, unsigned int flags))                          \
    SLOT(int, pylmdb_, del, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,                 \
                             const void *key, size_t key_size, const void *value,             \
                             size_t value_size))                                              \
    SLOT(int, pylmdb_, reserve, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,             \
                                 const void *key, size_t key_size, size_t size,               \
                                 unsigned int flags, void **out))                             \
    SLOT(int, pylmdb_, exchange, (MDB_txn *txn, MDB_dbi dbi, const MDB_val *key,              \
                                  MDB_val *value, pylmdb_seen *seen, void *context))          \
    /* cursors */                                                                             \
    SLOT(int, pylmdb_, cursor_open, (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor))         \
    SLOT(void, mdb_, cursor_close, (MDB_cursor *cursor))                                      \
    SLOT(int, pylmdb_, cursor_step, (MDB_cursor *cursor, MDB_val *key, MDB_val *data,         \
                                     int op))                                                 \
    SLOT(int, pylmdb_, quick_seek, (MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op,  \
                                    int *near))                                               \
    SLOT(int, pylmdb_, cursor_seek, (MDB_cursor *cursor, unsigned int dbflags,                \
                                     const void *key, size_t key_size, const void *value,     \
                                     size_t value_size, int op, MDB_val *found_key,           \
                                     MDB_val *found_value))                                   \
    SLOT(int, pylmdb_, cursor_put, (MDB_cursor *cursor, unsigned int dbflags,                 \
                                    const void *key, size_t key_size, const void *value,      \
                                    size_t value_size, unsigned int flags))                   \
    SLOT(int, pylmdb_, cursor_del, (MDB_cursor *cursor, unsigned int dbflags,                 \
                                    unsigned int flags, MDB_val *found_key,                   \
                                    MDB_val *found_value, int *deleted))                      \
    SLOT(int, pylmdb_, cursor_continue, (MDB_cursor *cursor, unsigned int dbflags,            \
                                         const void *key, size_t key_size, const void *value, \
                                         size_t value_size, int op, MDB_val *found_key,       \
                                         MDB_val *found_value))                               \
    SLOT(int, pylmdb_, cursor_go_on, (MDB_cursor *cursor, const MDB_cursor *inherited))      \
    SLOT(int, pylmdb_, look_up, (MDB_cursor *cursor, unsigned int dbflags,                    \
                                 const MDB_val *keys, const struct pylmdb_place *places,      \
                                 struct pylmdb_lookup *out, size_t count))                    \
    SLOT(struct pylmdb_stand *, pylmdb_, stand_new, (MDB_txn *txn))                           \
    SLOT(void, pylmdb_, stand_free, (struct pylmdb_stand *stand))                             \
    SLOT(void, pylmdb_, stand_forget, (struct pylmdb_stand *stand))                           \
    SLOT(int, pylmdb_, stand_note, (struct pylmdb_stand *stand, size_t writes,                \
                                    MDB_cursor *cursor))                                      \
    SLOT(int, pylmdb_, stand_move, (struct pylmdb_stand *stand, size_t writes,                \
                                    MDB_cursor *cursor, unsigned int dbflags, int op,         \
                                    MDB_val *found_key, MDB_val *found_value))                \
    SLOT(int, pylmdb_, stand_count, (struct pylmdb_stand *stand, size_t writes,               \
                                     MDB_cursor *cursor, unsigned int dbflags,                \
                                     int positioned, size_t *count))                          \
    /* transactions */                                                                        \
    SLOT(int, pylmdb_, txn_is_changed, (MDB_txn *txn))                                        \
    SLOT(int, pylmdb_, txn_begin, (MDB_env *env, MDB_txn *parent, unsigned int flags,         \
                                   int wait_ms, MDB_txn **txn))                               \
    SLOT(int, pylmdb_, txn_renew, (MDB_txn *txn, int wait_ms))                                \
    SLOT(int, pylmdb_, txn_park, (MDB_txn *txn))                                              \
    SLOT(void, mdb_, txn_abort, (MDB_txn *txn))                                               \
    SLOT(size_t, mdb_, txn_id, (MDB_txn *txn))                                                \
    SLOT(int, pylmdb_, begin, (struct pylmdb_txn *txn, struct pylmdb_pool *pool,              \
                               MDB_txn *parent, unsigned int flags, int wait_ms))             \
    SLOT(int, pylmdb_, begin_reader, (struct pylmdb_txn *txn, struct pylmdb_pool *pool,       \
                                      int wait_ms))                                           \
    SLOT(void, pylmdb_, end_reader, (struct pylmdb_txn *txn))                                 \
    SLOT(void, pylmdb_, abort, (struct pylmdb_txn *txn))                                      \
    SLOT(void, pylmdb_, commit, (struct pylmdb_txn *txn, MDB_env *env,                        \
                                 unsigned int sync_flags))                                    \
    SLOT(int, pylmdb_, txn_is_old, (MDB_txn *txn))                                            \
    /* databases */                                                                           \
    SLOT(int, pylmdb_, open_db, (struct pylmdb_pool *pool, MDB_txn *txn, const char *name,    \
                                 unsigned int flags, int live,                                \
                                 struct pylmdb_opened *opened))                               \
    SLOT(void, pylmdb_, dbi_retire, (MDB_env *env, MDB_dbi dbi))                              \
    /* environments */                                                                        \
    SLOT(void *, pylmdb_, env_map, (MDB_env *env, size_t *size))                              \
    SLOT(int, pylmdb_, env_is_cut, (MDB_env *env))                                            \
    /* The number of the last committed transaction; 0 where that is not known. */            \
    SLOT(size_t, pylmdb_, last_txnid, (MDB_env *env))                                         \
    SLOT(int, mdb_, env_get_maxkeysize, (MDB_env *env))

struct pylmdb_engine {
    unsigned int abi;
    size_t size;         /* of this struct */
    const char *version; /* of pylmdb */
    unsigned int features;
#define PYLMDB_MEMBER(result, prefix, name, parameters) result(*name) parameters;
    PYLMDB_EACH_SLOT(PYLMDB_MEMBER)
#undef PYLMDB_MEMBER
};

/* cdef: begin */
/* In an engine: its table. */
const struct pylmdb_engine *pylmdb_engine_table(void);
/* cdef: end */

#endif
