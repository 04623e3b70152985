/* SPDX-License-Identifier: MIT */
/* The interface between the C core and an engine: one table of functions.
 *
 * The core (core/) is compiled once and includes this header, and no lmdb.h. Each engine
 * (liblmdb, our shim, our plain C) is compiled with its own lmdb.h, and engine.c compares the
 * numbers and prototypes here with those. The table changes with the package: join() refuses an
 * engine of another version. position.h, shim.h, plain.h, arrays.h and lmdb.h document the
 * functions. */
#ifndef PYLMDB_ENGINE_H
#define PYLMDB_ENGINE_H

#include <stddef.h>

#include "platform.h"

/* -- the names of lmdb.h that the core uses ---------------------------------------- */

/* clang-format off */
#define PYLMDB_EACH_NUMBER(NUMBER) \
    /* codes */ \
    NUMBER(KEYEXIST, -30799) NUMBER(NOTFOUND, -30798) NUMBER(CORRUPTED, -30796) \
    NUMBER(DBS_FULL, -30791) \
    /* flags of a database */ \
    NUMBER(REVERSEKEY, 0x02) NUMBER(DUPSORT, 0x04) NUMBER(INTEGERKEY, 0x08) \
    NUMBER(CREATE, 0x40000) \
    /* flags of a transaction */ \
    NUMBER(NOSYNC, 0x10000) NUMBER(RDONLY, 0x20000) NUMBER(NOMETASYNC, 0x40000) \
    /* flags of a write */ \
    NUMBER(NOOVERWRITE, 0x10) NUMBER(NODUPDATA, 0x20) NUMBER(APPEND, 0x20000) \
    /* movements of a cursor */ \
    NUMBER(FIRST, 0) NUMBER(FIRST_DUP, 1) NUMBER(GET_BOTH, 2) NUMBER(GET_BOTH_RANGE, 3) \
    NUMBER(GET_MULTIPLE, 5) NUMBER(LAST, 6) NUMBER(LAST_DUP, 7) \
    NUMBER(NEXT, 8) NUMBER(NEXT_DUP, 9) NUMBER(NEXT_MULTIPLE, 10) \
    NUMBER(NEXT_NODUP, 11) NUMBER(PREV, 12) NUMBER(PREV_DUP, 13) NUMBER(PREV_NODUP, 14) \
    NUMBER(SET_KEY, 16) NUMBER(SET_RANGE, 17)
/* clang-format on */

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

/* -- structs that both sides use ----------------------------------------------------- */

/* cdef: begin */
/* What transactions have noted for the log, in any thread. */
struct pylmdb_notes {
    /* there is something to log, here or in the Python object of the environment */
    int is_noted;
    /* how many reader slots of dead processes were cleared */
    int dead_readers;
    /* to how many bytes the map has grown in place; 0: it has not */
    size_t map_size;
};

/* The count of an environment's transactions, and its idle ones. It lives as long as the
 * environment's record or one of its transactions. */
#define PYLMDB_MAX_IDLE 64
#define PYLMDB_MAX_SLOTLESS 16
/* How deep transactions may be nested. */
#define PYLMDB_MAX_DEPTH 512

struct pylmdb_pool {
    MDB_env *env;
    struct pylmdb_notes notes;
    /* twice the number of native transactions that are alive, plus 1 while the environment's
     * record is */
    int count;
    /* how many idle read transactions may keep their reader slots */
    int keep;
    /* Idle read transactions.  Those in idle keep their reader slots.  Those in slotless keep
     * only their memory (see pylmdb_txn_release_slot). */
    MDB_txn *idle[PYLMDB_MAX_IDLE];
    MDB_txn *slotless[PYLMDB_MAX_SLOTLESS];
};

/* A native transaction, with the result of its commit. Each function that ends it clears ptr, ends
 * the transaction and uncounts it within one call. So a caller that is interrupted between two
 * calls can repeat them: the second call does nothing. In a forked child they do nothing either,
 * because the transaction belongs to the parent. */
struct pylmdb_txn {
    MDB_txn *ptr;
    struct pylmdb_pool *pool;
    int code;
    int generation;
};

/* Statistics are arrays of these sizes; types.py names the fields, in their order.  The core fills
 * in how many snapshots are pinned. */
#define PYLMDB_STAT_SIZE 6
#define PYLMDB_INFO_SIZE 11
#define PYLMDB_INFO_TXNID 3
#define PYLMDB_INFO_PINNED 6

/* The database of a handle no longer exists: another process has dropped it, or the handle
 * was opened in an older snapshot. */
#define PYLMDB_GONE (-30703)
/* cdef: end */

/* A key in a sort: entries are sorted by order, which holds some bytes of the key. index is the
 * number of the key in the caller's list. */
struct pylmdb_sort_entry {
    unsigned long long order;
    size_t index;
};

/* One lookup. value.mv_data is NULL if the key was not found. A value on overflow pages may
 * be left unread: then value has only its size, and overflow_node is not NULL. */
struct pylmdb_lookup {
    MDB_val key, value;
    size_t index;
    void *overflow_node;
};

/* cdef: begin */
/* How many keys or values can be read ahead together. */
#define PYLMDB_READ_AHEAD_MAX 512
/* cdef: end */

/* The code of a fast function that cannot do it; it has done nothing. */
#define PYLMDB_NOT_QUICK (-1)

/* Called with the value of a record that exists already. A code other than 0 is returned at
 * once. */
typedef int pylmdb_on_old_value(void *context, const MDB_val *old);

/* Called with each record of a walk; a result other than 0 ends it.  (The struct is that of pylmdb.h,
 * which has the layout of an MDB_val.) */
struct PyLMDB_Value;
typedef int pylmdb_on_record(void *context, const struct PyLMDB_Value *key,
                             const struct PyLMDB_Value *value);

/* Several steps with MDB_NEXT or MDB_PREV in one call. */
struct pylmdb_walk {
    int op;
    /* 0: on_record() gets no values */
    int values;
    /* the key that ends the range, and whether it is in the range; mv_data NULL: none does */
    MDB_val bound;
    int includes_bound;
    /* the count of forks, and what it was in the process of the transaction */
    const int *forks;
    int forks_then;
    pylmdb_on_record *on_record;
    void *context;
};

/* The table of open databases; see slots.h. */
struct pylmdb_slots;
struct pylmdb_slot;
struct pylmdb_db_opening;
struct pylmdb_handles;

/* Where a cursor is, an iteration with it, and the bounds of a range; see position.h. */
struct pylmdb_position;
struct pylmdb_iteration;
struct pylmdb_range;

/* -- the two structs -------------------------------------------------------------- */

/* The version of the structs in this file, for a message. The version of the package covers
 * all other changes. */
#define PYLMDB_ENGINE_ABI 3

/* The core gives this to the engines: one count of forks and one flag for truncated files for all,
 * and the address range of its code, which reads their maps. */
struct pylmdb_host {
    unsigned int abi;
    size_t size; /* of this struct */
    const int *generation;
    int *any_truncated;
    const void *code;
    size_t code_size;
};

/* Features of an engine: read transactions nested in write transactions; handles that outlive
 * the read transaction in which they were opened. */
#define PYLMDB_READONLY_CHILDREN 1u
#define PYLMDB_LASTING_HANDLES 2u

/* Each function: SLOT(type of its result, prefix of its name in C, name, parameters). */
/* clang-format off */
#define PYLMDB_EACH_SLOT(SLOT) \
    /* Take the host's struct; EINVAL: the core is of another version. */ \
    SLOT(int, pylmdb_, join, (const struct pylmdb_host *host)) \
    /* records */ \
    SLOT(int, pylmdb_, get, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                             const void *key, size_t key_size, MDB_val *value)) \
    SLOT(int, pylmdb_, put, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                             const void *key, size_t key_size, const void *value, \
                             size_t value_size, unsigned int flags)) \
    SLOT(int, pylmdb_, put_if, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                                const void *key, size_t key_size, const void *value, \
                                size_t value_size, const void *expected, \
                                size_t expected_size)) \
    SLOT(int, pylmdb_, del, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                             const void *key, size_t key_size, const void *value, \
                             size_t value_size)) \
    SLOT(int, pylmdb_, reserve, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                                 const void *key, size_t key_size, size_t size, \
                                 unsigned int flags, void **out)) \
    SLOT(int, pylmdb_, nearest, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                                 const void *key, size_t key_size, int reverse, \
                                 int plain_only, MDB_val *found_key, \
                                 MDB_val *found_value)) \
    SLOT(int, pylmdb_, count, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                               const void *start, size_t start_size, const void *stop, \
                               size_t stop_size, size_t *count)) \
    SLOT(int, pylmdb_, del_range, (MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, \
                                   const void *start, size_t start_size, const void *stop, \
                                   size_t stop_size, size_t *count, MDB_val *name)) \
    SLOT(int, pylmdb_, exchange, (MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, \
                                  MDB_val *value, pylmdb_on_old_value *on_old_value, \
                                  void *context)) \
    /* cursors */ \
    SLOT(int, pylmdb_, cursor_open, (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)) \
    SLOT(void, mdb_, cursor_close, (MDB_cursor *cursor)) \
    SLOT(int, pylmdb_, cursor_step, (MDB_cursor *cursor, MDB_val *key, MDB_val *data, \
                                     int op)) \
    SLOT(int, pylmdb_, walk_page, (MDB_cursor *cursor, const struct pylmdb_walk *walk)) \
    SLOT(int, pylmdb_, cursor_go_on, (MDB_cursor *cursor, const MDB_cursor *inherited)) \
    SLOT(int, pylmdb_, look_up, (MDB_cursor *cursor, unsigned int dbflags, \
                                 const MDB_val *keys, const struct pylmdb_sort_entry *entries, \
                                 struct pylmdb_lookup *out, size_t count)) \
    SLOT(int, pylmdb_, find, (MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys, \
                              const struct pylmdb_sort_entry *entries, \
                              struct pylmdb_lookup *out, size_t count)) \
    SLOT(int, pylmdb_, read_ahead_keys, (MDB_cursor *cursor, const MDB_val *keys, \
                                     const struct pylmdb_sort_entry *entries, size_t count)) \
    SLOT(int, pylmdb_, position_init, (struct pylmdb_position *position, MDB_cursor *cursor, \
                                       unsigned int dbflags, size_t *writes)) \
    SLOT(void, pylmdb_, position_free, (struct pylmdb_position *position)) \
    SLOT(int, pylmdb_, position_move, (struct pylmdb_position *position, int op)) \
    SLOT(int, pylmdb_, position_seek, (struct pylmdb_position *position, const void *key, \
                                       size_t key_size, const void *value, \
                                       size_t value_size, int op)) \
    SLOT(int, pylmdb_, position_refresh, (struct pylmdb_position *position)) \
    SLOT(int, pylmdb_, position_peek, (const struct pylmdb_position *position, MDB_val *key)) \
    SLOT(int, pylmdb_, position_count, (struct pylmdb_position *position, size_t *count)) \
    SLOT(int, pylmdb_, position_put, (struct pylmdb_position *position, const void *key, \
                                      size_t key_size, const void *value, size_t value_size, \
                                      unsigned int flags)) \
    SLOT(int, pylmdb_, position_append, (struct pylmdb_position *position, const void *key, \
                                         size_t key_size, const void *value, size_t value_size, \
                                         unsigned int flags)) \
    SLOT(int, pylmdb_, position_appended, (struct pylmdb_position *position)) \
    SLOT(int, pylmdb_, position_delete, (struct pylmdb_position *position, int all)) \
    SLOT(int, pylmdb_, position_replace, (struct pylmdb_position *position, const void *key, \
                                          size_t key_size, const void *value, \
                                          size_t value_size)) \
    SLOT(int, pylmdb_, iteration_start, (struct pylmdb_iteration *iteration, \
                                         struct pylmdb_position *position, int op, \
                                         int values)) \
    SLOT(int, pylmdb_, range_start, (struct pylmdb_iteration *iteration, \
                                     struct pylmdb_position *position, \
                                     const struct pylmdb_range *range, int reverse, \
                                     int values)) \
    SLOT(int, pylmdb_, range_skip, (struct pylmdb_iteration *iteration, \
                                    struct pylmdb_position *position, size_t *count)) \
    SLOT(int, pylmdb_, iteration_next, (struct pylmdb_iteration *iteration, \
                                        struct pylmdb_position *position)) \
    SLOT(void, pylmdb_, iteration_free, (struct pylmdb_iteration *iteration)) \
    SLOT(int, pylmdb_, getmulti_first, (struct pylmdb_position *position, const void *key, \
                                        size_t key_size, size_t width)) \
    SLOT(int, pylmdb_, getmulti_next, (struct pylmdb_position *position, size_t width)) \
    /* transactions */ \
    SLOT(int, pylmdb_, txn_is_changed, (MDB_txn *txn)) \
    SLOT(int, pylmdb_, txn_begin, (MDB_env *env, MDB_txn *parent, unsigned int flags, \
                                   int wait_ms, MDB_txn **txn)) \
    SLOT(int, pylmdb_, txn_renew, (MDB_txn *txn, int wait_ms)) \
    SLOT(int, pylmdb_, txn_release_slot, (MDB_txn *txn)) \
    SLOT(void, mdb_, txn_abort, (MDB_txn *txn)) \
    SLOT(size_t, mdb_, txn_id, (MDB_txn *txn)) \
    SLOT(int, pylmdb_, begin, (struct pylmdb_txn *txn, struct pylmdb_pool *pool, \
                               MDB_txn *parent, unsigned int flags, int wait_ms)) \
    SLOT(int, pylmdb_, begin_reader, (struct pylmdb_txn *txn, struct pylmdb_pool *pool, \
                                      int wait_ms)) \
    SLOT(void, pylmdb_, end_reader, (struct pylmdb_txn *txn)) \
    SLOT(void, pylmdb_, abort, (struct pylmdb_txn *txn)) \
    SLOT(void, pylmdb_, commit, (struct pylmdb_txn *txn, MDB_env *env, \
                                 unsigned int sync_flags)) \
    /* databases */ \
    SLOT(int, pylmdb_, slots_open, (struct pylmdb_slots *slots, \
                                    struct pylmdb_db_opening *opening)) \
    SLOT(int, pylmdb_, slot_is_newer, (const struct pylmdb_slot *slot, \
                                       const struct pylmdb_handles *handles, MDB_txn *txn)) \
    SLOT(void, pylmdb_, slots_drop, (struct pylmdb_slots *slots, \
                                     struct pylmdb_handles *handles, \
                                     struct pylmdb_slot *slot, int dies)) \
    SLOT(void, pylmdb_, slots_settle, (struct pylmdb_slots *slots, \
                                       struct pylmdb_handles *handles, \
                                       struct pylmdb_handles *parents, int kept)) \
    SLOT(void, pylmdb_, slots_close, (struct pylmdb_slots *slots, struct pylmdb_slot *main)) \
    /* environments */ \
    SLOT(void, pylmdb_, pool_release, (struct pylmdb_pool *pool)) \
    SLOT(void *, pylmdb_, env_map, (MDB_env *env, size_t *size)) \
    SLOT(int, pylmdb_, env_is_truncated, (MDB_env *env)) \
    /* The number of the last committed transaction; 0 if it is unknown. */ \
    SLOT(size_t, pylmdb_, last_txnid, (MDB_env *env)) \
    SLOT(int, mdb_, env_get_maxkeysize, (MDB_env *env)) \
    /* numbers */ \
    SLOT(int, pylmdb_, stat, (MDB_txn *txn, MDB_dbi dbi, size_t *out)) \
    SLOT(int, pylmdb_, env_stat, (MDB_env *env, size_t *out)) \
    SLOT(int, pylmdb_, env_info, (MDB_env *env, size_t *out)) \
    SLOT(int, mdb_, env_get_maxreaders, (MDB_env *env, unsigned int *readers))
/* clang-format on */

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
/* The table of this engine. */
const struct pylmdb_engine *pylmdb_engine_table(void);
/* cdef: end */

#endif
