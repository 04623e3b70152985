/* SPDX-License-Identifier: MIT */
/* The seam: what the core needs of an engine, as one table of functions.
 *
 * Prototype: the types of the functions are taken from the headers of the plain C.  A header
 * that others may include would write them out, and declare MDB_val, MDB_txn and the numbers
 * itself. */
#ifndef PYLMDB_ENGINE_H
#define PYLMDB_ENGINE_H

#include "helpers.h"
#include "arrays.h"

#define PYLMDB_ENGINE_ABI 1

/* What the core lends to the engines: one count of forks and one note of cut files for all,
 * and its code, which reads their maps. */
struct pylmdb_host {
    const int *generation;
    int *any_cut;
    const void *code;
    size_t code_size;
};

/* With a prefix that the name of the function in C has, and the slot has not. */
#define PYLMDB_EACH_SLOT(pylmdb, mdb)                                                       \
    /* records */                                                                           \
    pylmdb(get) pylmdb(put) pylmdb(del) pylmdb(reserve) pylmdb(exchange)                     \
    /* cursors */                                                                           \
    mdb(cursor_open) mdb(cursor_close) pylmdb(cursor_step) pylmdb(quick_seek)               \
    pylmdb(cursor_seek) pylmdb(cursor_put) pylmdb(cursor_del) pylmdb(cursor_count)          \
    pylmdb(cursor_continue) pylmdb(cursor_go_on) pylmdb(look_up)                                                 \
    pylmdb(stand_new) pylmdb(stand_free) pylmdb(stand_forget) pylmdb(stand_note)            \
    pylmdb(stand_move)                                                                      \
    /* transactions */                                                                      \
    pylmdb(txn_begin) pylmdb(txn_renew) pylmdb(txn_park) mdb(txn_abort) mdb(txn_id)         \
    pylmdb(begin) pylmdb(begin_reader) pylmdb(end_reader) pylmdb(abort) pylmdb(commit)      \
    /* environments */                                                                      \
    pylmdb(env_map) pylmdb(env_is_cut) mdb(env_get_maxkeysize)

struct pylmdb_engine {
    unsigned int abi;
    size_t size; /* of this struct: a later one is longer */
    int major, minor, patch, hardened;
    void (*join)(const struct pylmdb_host *host);
    size_t (*last_txnid)(MDB_env *env); /* 0: it cannot be told */
#define PYLMDB_SLOT(name) __typeof__(pylmdb_##name) *name;
#define MDB_SLOT(name) __typeof__(mdb_##name) *name;
    PYLMDB_EACH_SLOT(PYLMDB_SLOT, MDB_SLOT)
#undef PYLMDB_SLOT
#undef MDB_SLOT
};

const struct pylmdb_engine *pylmdb_engine_table(void);

#endif
