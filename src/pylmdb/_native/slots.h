/* SPDX-License-Identifier: MIT */
/* The databases that are open in a native environment.  Plain C: both cores have one table for each
 * native environment, and make a Python object of each slot.
 *
 * A slot is a database that is open under a number (MDB_dbi).  It dies once and is never revived.
 * The table is by number: a slot that is alive is the last one of its number.  So a number has one
 * slot that is alive, and when it means another database, all handles of the one before are dead.
 *
 * The memory of a slot belongs to the core's object.  The core keeps the object while the slot is
 * in a list (held), and drops it when it takes the slot out of the list of released ones.
 *
 * Each function is one step for the caller: in the C core under the GIL, in the cffi core under
 * the lock of the handles.  A finalizer or a signal handler that opens the same database comes
 * before the step or after it.  The end of a transaction needs no memory, so it cannot fail.  A
 * forked child has tables of its own; of an inherited one it only frees the memory. */
#ifndef PYLMDB_SLOTS_H
#define PYLMDB_SLOTS_H

#include "engine.h"

#include <string.h>

/* cdef: begin */
#define PYLMDB_MAIN_DBI 1

/* The lists in which a slot can be: by number, and the two lists of a transaction. */
#define PYLMDB_IN_NUMBERS 1
#define PYLMDB_IN_OPENED 2
#define PYLMDB_IN_DROPPED 4

struct pylmdb_slot {
    MDB_dbi dbi;
    unsigned int flags;
    _Bool alive;
    /* opened by a write transaction that has not committed yet */
    _Bool pending;
    /* its database may no longer exist: open_db() must look */
    _Bool doubted;
    unsigned char held;
    /* If its number has meant another database before: how often numbers had been used again
     * then, and the transaction that used this one again. */
    size_t reuse, since;
    /* The core sets them, and keeps the memory of the name; NULL: the main database.  The hash is
     * Python's. */
    const char *name;
    size_t name_size;
    ptrdiff_t hash;
    struct pylmdb_slot *next_named, *next_opened, *next_dropped, *next_released;
};

/* What a transaction does with handles. */
struct pylmdb_handles {
    /* how often numbers had been used again when it began */
    size_t reuses;
    /* the databases that it has opened, which an abort closes; those that it has dropped or
     * renamed, which a commit retires */
    struct pylmdb_slot *opened, *dropped;
};

struct pylmdb_number {
    /* whether it has ever meant a database, and which one: NULL if that was retired */
    _Bool used;
    struct pylmdb_slot *last;
    /* how many of its slots are in the list of dropped ones of a transaction */
    int dropped;
    /* the slots that were opened last under their names, if the hash of the name is this number */
    struct pylmdb_slot *named;
};

/* All 0 at first, but for the pool. */
struct pylmdb_slots {
    struct pylmdb_pool *pool;
    /* how many named databases are open, and how many may be */
    size_t databases, max_dbs;
    /* how often a number was used again */
    size_t reuses;
    /* room is a power of two */
    struct pylmdb_number *numbers;
    size_t room;
    /* those that are in no other list any more */
    struct pylmdb_slot *released;
    /* called for each slot that dies; NULL: the core needs no call */
    void (*on_death)(struct pylmdb_slots *slots, struct pylmdb_slot *slot);
};

/* The parameters of pylmdb_slots_open(), and its result. */
struct pylmdb_db_opening {
    MDB_txn *txn;
    /* of a transaction that writes; else NULL */
    struct pylmdb_handles *handles;
    unsigned int flags;
    /* as for pylmdb_open_db() */
    int live, used;
    /* a new slot that has only a name, to be used if the database has none; or the main one */
    struct pylmdb_slot *fresh;
    struct pylmdb_slot *found;
};

/* Find the slot of a database as a native transaction sees it: 0, or a code. */
int pylmdb_slots_open(struct pylmdb_slots *slots, struct pylmdb_db_opening *opening);
/* Whether the number of a slot means another database in a transaction: it began before the number
 * was used again. */
int pylmdb_slot_is_newer(const struct pylmdb_slot *slot, const struct pylmdb_handles *handles,
                         MDB_txn *txn);
/* A transaction has dropped the database of a slot, or all if it is the main one, so their handles
 * are dead; or it has renamed it (dies 0), so they die when it commits. */
void pylmdb_slots_drop(struct pylmdb_slots *slots, struct pylmdb_handles *handles,
                       struct pylmdb_slot *slot, int dies);
/* A transaction has ended.  What it has opened and dropped is published (kept), or passed to its
 * parent if it has one, or undone. */
void pylmdb_slots_settle(struct pylmdb_slots *slots, struct pylmdb_handles *handles,
                         struct pylmdb_handles *parents, int kept);
/* The environment is closed: all slots die, and the table is empty. */
void pylmdb_slots_close(struct pylmdb_slots *slots, struct pylmdb_slot *main);
/* Free the memory of a table whose slots may be gone. */
void pylmdb_slots_free(struct pylmdb_slots *slots);
/* cdef: end */

/* The list of names with a hash; the table has room. */
static inline struct pylmdb_slot **pylmdb_names_at(const struct pylmdb_slots *slots, ptrdiff_t hash)
{
    return &slots->numbers[(size_t)hash & (slots->room - 1)].named;
}

static inline int pylmdb_slot_has_name(const struct pylmdb_slot *slot, const char *name,
                                       size_t size)
{
    return slot->name_size == size && !memcmp(slot->name, name, size);
}

/* The slot that was opened last under a name; NULL: there is none that is alive. */
static inline struct pylmdb_slot *pylmdb_slot_named(const struct pylmdb_slots *slots,
                                                    const char *name, size_t size, ptrdiff_t hash)
{
    struct pylmdb_slot *slot = slots->room ? *pylmdb_names_at(slots, hash) : NULL;

    while (slot && !pylmdb_slot_has_name(slot, name, size))
        slot = slot->next_named;
    return slot;
}

#endif
