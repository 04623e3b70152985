/* SPDX-License-Identifier: MIT */
/* The position of a cursor, and how movements, reads, writes and iterations change it.  Plain C:
 * each core has one struct for each of its cursors, and makes Python objects of the records that
 * these functions find.
 *
 * Functions return 0 (found, done), MDB_NOTFOUND (there is no such record) or another code.
 * The rules are in plain/position.c; those that run once per record are here, because the C
 * core has them inline and calls the engine through its table. */
#ifndef PYLMDB_POSITION_H
#define PYLMDB_POSITION_H

#include "compare.h"
#include "memory.h"
#include "order.h"

#include <string.h>

/* cdef: begin */
/* A copy of a record; room is how many bytes it can have. */
struct pylmdb_saved {
    char *record;
    size_t room, key_size, value_size;
};

/* Which parts of the record that a position refers to are certainly unchanged. */
enum pylmdb_fresh { PYLMDB_NOT_FRESH, PYLMDB_KEY_FRESH, PYLMDB_BOTH_FRESH };

/* A cursor is positioned after a movement that found something, until one that did not. */
struct pylmdb_position {
    MDB_cursor *cursor;
    unsigned int dbflags;
    /* A number that changes with each write of the transaction; NULL in a read transaction,
     * where nothing changes. */
    size_t *writes;
    /* Its record when it was last read.  After a write that failed: the record that could not be
     * written. */
    MDB_val key, value;
    /* changes with each movement and each put */
    size_t moves;
    /* The last key that was sought was on the same page as the one before. */
    int same_page;
    /* Which of key and value are valid until the next movement; the others must be read again. */
    enum pylmdb_fresh fresh;
    char positioned;
    /* positioned only by a write: an iteration begins at an end, as without a position */
    char only_written;
    /* on the successor of a deleted record, and nothing was read there yet */
    char unseen;
    /* A copy of its record, and the number of writes then, in a database with duplicates.
     * liblmdb does not always keep a cursor on its record when other cursors write.  A cursor
     * on a key with a single value does not notice a second value.  A cursor among duplicates
     * may refer to an old copy of their page.  So after other writes the record is searched
     * again before the cursor is used.  saved.record is NULL if that is not needed. */
    char is_saved;
    size_t saved_writes;
    struct pylmdb_saved saved;
    /* the function of liblmdb in which the last write has failed */
    const char *failed;
    /* between pylmdb_position_append() and pylmdb_position_appended() */
    struct pylmdb_bulk *bulk;
};

/* A key or value has another width than those in the database. */
#define PYLMDB_OTHER_WIDTH (-2)

/* How the keys are compared with the bound of an iteration: as bytes, or by mdb_cmp(). */
enum pylmdb_bounded { PYLMDB_UNBOUNDED, PYLMDB_BOUNDED_BYTES, PYLMDB_BOUNDED_ORDER };

/* An iteration yields the record under the cursor, then moves on, in one direction.  It moves
 * the cursor itself.  So if the program moves the cursor in between, the iteration continues
 * from there, and it ends if the cursor has no position then.  If records were deleted in
 * between, it continues from the record that it yielded last, whether or not that still
 * exists.  So in a write transaction it keeps a copy of that record. */
struct pylmdb_iteration {
    int op;
    /* values are wanted */
    signed char values;
    /* The next record is the one after the last that was found.  A core that cannot make
     * objects of a record sets it to 0: the next step finds that record again. */
    signed char started;
    size_t moves, writes;
    struct pylmdb_saved last;
    /* Of a range: a copy of the key that ends it, and whether this key is in the range. */
    MDB_val bound;
    enum pylmdb_bounded bounded;
    char includes_bound;
    /* The range has no more records, whatever is written or where the cursor is moved. */
    char ended;
};

/* The records with start <= key < stop; with exclude_start, start < key; with include_stop,
 * key <= stop.  mv_data NULL: without this bound. */
struct pylmdb_range {
    MDB_val start, stop;
    int exclude_start, include_stop;
};

/* Call it for a cursor that was just opened; returns 0, or ENOMEM. */
int pylmdb_position_init(struct pylmdb_position *position, MDB_cursor *cursor, unsigned int dbflags,
                         size_t *writes);
void pylmdb_position_free(struct pylmdb_position *position);

/* Moves by an op that needs no key. */
int pylmdb_position_move(struct pylmdb_position *position, int op);
/* Moves to a key, or with a value to a duplicate.  MDB_SET_RANGE also takes an empty key, which is
 * before all keys. */
int pylmdb_position_seek(struct pylmdb_position *position, const void *key, size_t key_size,
                         const void *value, size_t value_size, int op);
/* Reads the record: show() for the program, refresh() for internal use. */
int pylmdb_position_show(struct pylmdb_position *position);
int pylmdb_position_refresh(struct pylmdb_position *position);
/* Reads the key without a change of the position, for those that only look, such as repr(). */
int pylmdb_position_peek(const struct pylmdb_position *position, MDB_val *key);
/* The number of the key's values, also if the cursor is after the last of them. */
int pylmdb_position_count(struct pylmdb_position *position, size_t *count);

/* MDB_KEYEXIST: the record exists already, and the cursor is on it. */
int pylmdb_position_put(struct pylmdb_position *position, const void *key, size_t key_size,
                        const void *value, size_t value_size, unsigned int flags);
/* The same with MDB_APPEND, for many records: whole pages are built of them (bulk.c). After a
 * code other than 0 and MDB_KEYEXIST, and before anything else uses the transaction,
 * pylmdb_position_appended() must be called, which leaves the cursor on the last record. */
int pylmdb_position_append(struct pylmdb_position *position, const void *key, size_t key_size,
                           const void *value, size_t value_size, unsigned int flags);
int pylmdb_position_appended(struct pylmdb_position *position);
/* Deletes the record, or all values of its key, and moves to the successor. */
int pylmdb_position_delete(struct pylmdb_position *position, int all);
/* After a search for the key: stores the value in place of all that the key has. */
int pylmdb_position_replace(struct pylmdb_position *position, const void *key, size_t key_size,
                            const void *value, size_t value_size);

/* Begins with op, one of MDB_NEXT and MDB_PREV and their forms for duplicates and for keys:
 * a cursor without a position goes to the end where that begins, but not for duplicates. */
int pylmdb_iteration_start(struct pylmdb_iteration *iteration, struct pylmdb_position *position,
                           int op, int values);
/* Reverse begins with the last record of the range.  Moves the cursor to where it begins. */
int pylmdb_range_start(struct pylmdb_iteration *iteration, struct pylmdb_position *position,
                       const struct pylmdb_range *range, int reverse, int values);
/* Before the first record of a range: leaves out some of the next *count records, and subtracts
 * their number; *count is 0 if the range has ended.  A call takes microseconds if the pages are in
 * memory. */
int pylmdb_range_skip(struct pylmdb_iteration *iteration, struct pylmdb_position *position,
                      size_t *count);
/* PYLMDB_OTHER_WIDTH: the keys are integers of another width than the bound. */
int pylmdb_iteration_next(struct pylmdb_iteration *iteration, struct pylmdb_position *position);
void pylmdb_iteration_free(struct pylmdb_iteration *iteration);

/* The first record of a range without a stop that begins at key (NULL: of all records); with
 * reverse the last one of a range that ends with key.  plain_only leaves out records that describe
 * named databases. */
int pylmdb_nearest(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, int reverse, int plain_only, MDB_val *found_key,
                   MDB_val *found_value);

/* For getmulti: the first value of a key and its next ones; with a width, all values of a page in
 * one piece.  PYLMDB_OTHER_WIDTH: the values have another width, that of position->value. */
int pylmdb_getmulti_first(struct pylmdb_position *position, const void *key, size_t key_size,
                          size_t width);
int pylmdb_getmulti_next(struct pylmdb_position *position, size_t width);
/* cdef: end */

/* pylmdb_cursor_step() of the engine. */
typedef int pylmdb_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op);

static inline int pylmdb_position_found(struct pylmdb_position *position, enum pylmdb_fresh fresh)
{
    position->positioned = 1;
    position->only_written = 0;
    position->fresh = position->writes ? PYLMDB_NOT_FRESH : fresh;
    return 0;
}

static inline int pylmdb_position_lost(struct pylmdb_position *position, int code)
{
    position->positioned = position->only_written = 0;
    position->fresh = PYLMDB_NOT_FRESH;
    position->key.mv_size = position->value.mv_size = 0;
    return code;
}

/* Movements that do not always return the key. */
#define PYLMDB_UNTOLD \
    (1u << MDB_FIRST_DUP | 1u << MDB_LAST_DUP | 1u << MDB_GET_MULTIPLE | 1u << MDB_NEXT_MULTIPLE)

/* Move, and store the record in *key and *value (NULL: not wanted); fresh says whether these are the
 * position's own.  PYLMDB_NOT_QUICK: nothing was done. */
static inline int pylmdb_quick_read(struct pylmdb_position *position, pylmdb_step *step, int op,
                                    MDB_val *key, MDB_val *value, enum pylmdb_fresh fresh)
{
    int rc;

    if (position->saved.record)
        return PYLMDB_NOT_QUICK;
    rc = step(position->cursor, key, value, op);
    position->moves++;
    return rc ? pylmdb_position_lost(position, rc) : pylmdb_position_found(position, fresh);
}

/* pylmdb_position_move(), or PYLMDB_NOT_QUICK: nothing was done. */
static inline int pylmdb_quick_move(struct pylmdb_position *position, pylmdb_step *step, int op)
{
    return pylmdb_quick_read(position, step, op, &position->key, &position->value,
                             PYLMDB_UNTOLD >> op & 1 ? PYLMDB_NOT_FRESH : PYLMDB_BOTH_FRESH);
}

/* Called before the program reads the record.  If it is the successor of a record that was deleted
 * during an iteration, the program gets it here, and the iteration continues after it.
 * PYLMDB_NOT_QUICK: it must be read (pylmdb_position_refresh()). */
static inline int pylmdb_quick_show(struct pylmdb_position *position)
{
    if (position->fresh == PYLMDB_BOTH_FRESH)
        return 0; /* a read transaction: only writes set the others */
    if (position->unseen) {
        position->unseen = 0;
        position->moves++;
    }
    position->only_written = 0;
    return PYLMDB_NOT_QUICK;
}

/* The next record in a read transaction, when nothing has moved the cursor since the last one;
 * else PYLMDB_NOT_QUICK. */
static inline int pylmdb_quick_step(struct pylmdb_iteration *iteration,
                                    struct pylmdb_position *position, pylmdb_step *step)
{
    int rc;

    if (!position->fresh || !iteration->started || position->moves != iteration->moves)
        return PYLMDB_NOT_QUICK;
    rc = step(position->cursor, &position->key, iteration->values ? &position->value : NULL,
              iteration->op);
    iteration->moves = ++position->moves;
    if (rc)
        return pylmdb_position_lost(position, rc);
    position->fresh = iteration->values ? PYLMDB_BOTH_FRESH : PYLMDB_KEY_FRESH;
    return 0;
}

static inline int pylmdb_compare_to_bound(const MDB_val *key, const MDB_val *bound)
{
    touch_pages(key->mv_data, key->mv_size < bound->mv_size ? key->mv_size : bound->mv_size);
    return pylmdb_compare_bytes(key->mv_data, key->mv_size, bound->mv_data, bound->mv_size);
}

/* Whether a range ends at a key, whose order to the bound is given. */
static inline int pylmdb_ends_at(struct pylmdb_iteration *iteration, int order)
{
    if (iteration->op == MDB_PREV ? order > 0 : order < 0)
        return 0;
    if (!order && iteration->includes_bound)
        return 0;
    iteration->started = 0;
    return iteration->ended = 1;
}

/* pylmdb_iteration_next() if a quick step is possible; else PYLMDB_NOT_QUICK. */
static inline int pylmdb_quick_next(struct pylmdb_iteration *iteration,
                                    struct pylmdb_position *position, pylmdb_step *step)
{
    int rc;

    if (iteration->bounded == PYLMDB_UNBOUNDED)
        return pylmdb_quick_step(iteration, position, step);
    if (iteration->bounded == PYLMDB_BOUNDED_ORDER)
        return PYLMDB_NOT_QUICK;
    rc = pylmdb_quick_step(iteration, position, step);
    if (rc ||
        !pylmdb_ends_at(iteration, pylmdb_compare_to_bound(&position->key, &iteration->bound)))
        return rc;
    return PYLMDB_NOT_QUICK;
}

#endif
