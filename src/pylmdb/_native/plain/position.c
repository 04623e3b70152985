/* SPDX-License-Identifier: MIT */
/* The position of a cursor, and how movements, reads, writes and iterations change it. */
#include "plain.h"
#include "position.h"

#include <stdlib.h>
#include <string.h>

/* -- copies of records -------------------------------------------------------------- */

static int save_record(struct pylmdb_saved *saved, const MDB_val *key, const MDB_val *value)
{
    const size_t size = key->mv_size + value->mv_size;
    char *bigger;

    if (size > saved->room) {
        if (!(bigger = malloc(size)))
            return ENOMEM;
        free(saved->record);
        saved->record = bigger;
        saved->room = size;
    }
    touch_pages(key->mv_data, key->mv_size);
    touch_pages(value->mv_data, value->mv_size);
    if (key->mv_size)
        memcpy(saved->record, key->mv_data, key->mv_size);
    if (value->mv_size)
        memcpy(saved->record + key->mv_size, value->mv_data, value->mv_size);
    saved->key_size = key->mv_size;
    saved->value_size = value->mv_size;
    return 0;
}

static void get_saved(const struct pylmdb_saved *saved, MDB_val *key, MDB_val *value)
{
    key->mv_data = saved->record;
    key->mv_size = saved->key_size;
    value->mv_data = saved->record + saved->key_size;
    value->mv_size = saved->value_size;
}

/* -- from a record that may have been deleted -------------------------------------- */

/* Read the record under the cursor.  MDB_NOTFOUND: there is none; liblmdb returns EINVAL when the
 * database has become empty. */
static int current(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
    int rc = pylmdb_safe_cursor_get(cursor, key, value, MDB_GET_CURRENT);

    return rc == EINVAL ? MDB_NOTFOUND : rc;
}

static int same(const MDB_val *a, const void *data, size_t size)
{
    return a->mv_size == size && (!size || !memcmp(a->mv_data, data, size));
}

/* The result of the search for a record.  EXACT: it exists.  SUCCESSOR: it does not, and the
 * cursor is on its successor.  BEHIND_KEY: the same, but its key still has smaller values, so the
 * successor has the next key. */
enum sought { EXACT, SUCCESSOR, BEHIND_KEY };

/* Moves the cursor to the record (k, v) or, if it was deleted, to its successor in the whole
 * database. */
static int resume(MDB_cursor *cursor, unsigned int dbflags, MDB_val *k, MDB_val *v,
                  enum sought *sought)
{
    const MDB_val key = *k, value = *v;
    int rc;

    *sought = SUCCESSOR;
    if (dbflags & MDB_DUPSORT) {
        rc = pylmdb_safe_cursor_get(cursor, k, v, MDB_GET_BOTH_RANGE);
        if (!rc)
            rc = current(cursor, k, v);
        if (!rc && same(v, value.mv_data, value.mv_size))
            *sought = EXACT;
        if (rc != MDB_NOTFOUND)
            return rc;
        *k = key;
    }
    rc = pylmdb_safe_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc || !same(k, key.mv_data, key.mv_size))
        return rc;
    if (!(dbflags & MDB_DUPSORT)) {
        *sought = EXACT;
        return 0;
    }
    *sought = BEHIND_KEY;
    return pylmdb_safe_cursor_get(cursor, k, v, MDB_NEXT_NODUP);
}

/* Continue from the successor of a deleted record; op is a forward move or has no direction. */
static int continue_forward(MDB_cursor *cursor, const MDB_val *key, int op, MDB_val *k, MDB_val *v)
{
    const int same_key = same(k, key->mv_data, key->mv_size);

    if (op == MDB_NEXT_DUP)
        return same_key ? 0 : MDB_NOTFOUND;
    if (op == MDB_NEXT || (op == MDB_NEXT_NODUP && !same_key))
        return 0;
    return pylmdb_safe_cursor_get(cursor, k, v, op);
}

/* Continue from the successor of a deleted record, or from the end; op is a backward move. */
static int continue_backward(MDB_cursor *cursor, const MDB_val *key, int op, int at_end, MDB_val *k,
                             MDB_val *v)
{
    int rc = pylmdb_safe_cursor_get(cursor, k, v, at_end ? MDB_LAST : MDB_PREV);

    if (rc || op == MDB_PREV)
        return rc;
    if (!same(k, key->mv_data, key->mv_size))
        return op == MDB_PREV_DUP ? MDB_NOTFOUND : 0;
    return op == MDB_PREV_DUP ? 0 : pylmdb_safe_cursor_get(cursor, k, v, op);
}

/* Moves the cursor by op from a record, which may have been deleted.  NEXT, PREV and their DUP
 * and NODUP forms continue as if it still existed.  Other moves begin at its successor if it
 * was deleted.  But the moves to a key's first and last value stay on the key if only smaller
 * values of it are left. */
static int go_on_from(const struct pylmdb_saved *saved, MDB_cursor *cursor, unsigned int dbflags,
                      int op, MDB_val *found_key, MDB_val *found_value)
{
    const MDB_val last = {saved->key_size, saved->record};
    enum sought sought;
    int rc, at_end, backward;

    get_saved(saved, found_key, found_value);
    rc = resume(cursor, dbflags, found_key, found_value, &sought);
    at_end = rc == MDB_NOTFOUND;
    backward = op == MDB_PREV || op == MDB_PREV_DUP || op == MDB_PREV_NODUP ||
               (sought == BEHIND_KEY && (op == MDB_FIRST_DUP || op == MDB_LAST_DUP));
    if (!rc && sought == EXACT)
        rc = pylmdb_safe_cursor_get(cursor, found_key, found_value, op);
    else if (backward && (!rc || at_end))
        rc = continue_backward(cursor, &last, op, at_end, found_key, found_value);
    else if (!rc)
        rc = continue_forward(cursor, &last, op, found_key, found_value);
    /* After SET_RANGE and GET_BOTH_RANGE these may be the bytes of the caller. */
    if (!rc)
        rc = current(cursor, found_key, found_value);
    if (rc)
        found_key->mv_size = found_value->mv_size = 0;
    return rc;
}

/* -- the saved position ----------------------------------------------------------- */

/* Save the record to which a movement or a write has moved the cursor.  If there is none, the saved
 * record stays: the cursor is after it. */
static int save(struct pylmdb_position *p)
{
    MDB_val key, value;
    int rc;

    if (!p->saved.record)
        return 0;
    if ((rc = current(p->cursor, &key, &value)))
        return rc == MDB_NOTFOUND ? 0 : rc;
    if ((rc = save_record(&p->saved, &key, &value)))
        return rc;
    p->saved_writes = *p->writes;
    p->is_saved = 1;
    return 0;
}

/* Another write was made since the position was saved. */
static int is_stale(const struct pylmdb_position *p)
{
    return p->is_saved && p->saved_writes != *p->writes;
}

/* Move a cursor whose position is saved; MDB_GET_CURRENT only reads its record. */
static int move_saved(struct pylmdb_position *p, int op)
{
    int saved = 0, rc;

    if (is_stale(p) && op != MDB_FIRST && op != MDB_LAST) {
        rc = go_on_from(&p->saved, p->cursor, p->dbflags, op, &p->key, &p->value);
        /* It stays at the saved record, not at a successor that was passed on the way. */
        if (rc == MDB_NOTFOUND)
            pylmdb_cursor_unset(p->cursor);
    } else if (op == MDB_GET_CURRENT)
        return current(p->cursor, &p->key, &p->value);
    else
        rc = pylmdb_safe_cursor_get(p->cursor, &p->key, &p->value, op);
    if (!rc || rc == MDB_NOTFOUND)
        saved = save(p);
    return saved ? saved : rc;
}

/* -- its life --------------------------------------------------------------------- */

int pylmdb_position_init(struct pylmdb_position *p, MDB_cursor *cursor, unsigned int dbflags,
                         size_t *writes)
{
    p->cursor = cursor;
    p->dbflags = dbflags;
    p->writes = writes;
    if (!writes || !(dbflags & MDB_DUPSORT))
        return 0;
    /* Room for every record, because saving the position after a write must not fail.  (Only a
     * liblmdb that was built for larger records may have stored a larger one.) */
    p->saved.room = 2 * (size_t)mdb_env_get_maxkeysize(mdb_txn_env(mdb_cursor_txn(cursor)));
    p->saved.record = malloc(p->saved.room);
    return p->saved.record ? 0 : ENOMEM;
}

void pylmdb_position_free(struct pylmdb_position *p)
{
    free(p->saved.record);
    p->saved.record = NULL;
    pylmdb_bulk_free(p->bulk);
    p->bulk = NULL;
}

/* -- duplicates ------------------------------------------------------------------- */

/* In a database with duplicates, liblmdb's own cursor can be wrong after some movements, and
 * after changes that were not made through it: about the duplicate that it is on, and about
 * their number.  So its record is searched again by its content.  The caller frees the copy of
 * the content. */
static int seek_again(MDB_cursor *cursor, MDB_val *k, MDB_val *v, struct pylmdb_saved *copy)
{
    int rc = current(cursor, k, v);

    if (rc || (rc = save_record(copy, k, v)))
        return rc;
    get_saved(copy, k, v);
    return pylmdb_safe_cursor_get(cursor, k, v, MDB_GET_BOTH);
}

int pylmdb_cursor_count(MDB_cursor *cursor, unsigned int dbflags, size_t *count)
{
    MDB_val k, v;
    struct pylmdb_saved copy = {0};
    int rc = 0;

    if (dbflags & MDB_DUPSORT)
        rc = seek_again(cursor, &k, &v, &copy);
    free(copy.record);
    /* Without a position liblmdb returns the right code. */
    return rc && rc != MDB_NOTFOUND ? rc : mdb_cursor_count(cursor, count);
}

/* The position that liblmdb leaves after the deletion is not reliable either.  After the greatest
 * value of a key that has others, the cursor has no position, so that repeated deletes end with
 * the key. */
static int del_duplicate(MDB_cursor *cursor, unsigned int dbflags, unsigned int flags, MDB_val *k,
                         MDB_val *v, int *deleted)
{
    struct pylmdb_saved copy = {0};
    enum sought sought;
    int rc = seek_again(cursor, k, v, &copy);

    if (!rc)
        rc = pylmdb_safe_cursor_del(cursor, flags);
    if (!rc) {
        *deleted = 1;
        get_saved(&copy, k, v);
        rc = resume(cursor, dbflags, k, v, &sought);
        if (!rc && sought == BEHIND_KEY)
            rc = MDB_NOTFOUND;
        if (rc == MDB_NOTFOUND)
            pylmdb_cursor_unset(cursor);
        if (!rc)
            rc = current(cursor, k, v);
    }
    if (rc) /* they may be those of the copy */
        k->mv_size = v->mv_size = 0;
    free(copy.record);
    return rc;
}

/* Deletes the record under the cursor, or with MDB_NODUPDATA all values of its key, and
 * moves to the successor.  MDB_NOTFOUND: the record was the last of all, or the last of a key
 * that has others; the cursor has no position then.  *deleted tells whether the deletion itself
 * succeeded. */
static int delete_native(MDB_cursor *cursor, unsigned int dbflags, unsigned int flags,
                         MDB_val *found_key, MDB_val *found_value, int *deleted)
{
    int rc;

    *deleted = 0;
    if (dbflags & MDB_DUPSORT)
        return del_duplicate(cursor, dbflags, flags, found_key, found_value, deleted);
    if ((rc = current(cursor, found_key, found_value)) ||
        (rc = pylmdb_safe_cursor_del(cursor, flags)))
        return rc;
    *deleted = 1;
    return current(cursor, found_key, found_value);
}

/* -- movements and reads ---------------------------------------------------------- */

/* Note the position after a movement that returned a code. */
static int settle(struct pylmdb_position *p, int code)
{
    const int saved = code && code != MDB_NOTFOUND ? 0 : save(p);

    if (saved)
        code = saved;
    return code ? pylmdb_position_lost(p, code) : pylmdb_position_found(p, PYLMDB_BOTH_FRESH);
}

int pylmdb_position_move(struct pylmdb_position *p, int op)
{
    int rc = pylmdb_quick_move(p, pylmdb_cursor_step, op);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    rc = move_saved(p, op);
    p->moves++;
    return rc ? pylmdb_position_lost(p, rc) : pylmdb_position_found(p, PYLMDB_NOT_FRESH);
}

int pylmdb_position_seek(struct pylmdb_position *p, const void *key, size_t key_size,
                         const void *value, size_t value_size, int op)
{
    int rc = PYLMDB_NOT_QUICK;

    if (op == MDB_SET_RANGE && !key_size)
        return pylmdb_position_move(p, MDB_FIRST);
    p->moves++;
    p->is_saved = 0;
    if (!value) {
        p->key = (MDB_val){key_size, (void *)key};
        p->value = (MDB_val){value_size, (void *)value};
        rc = pylmdb_quick_seek(p->cursor, &p->key, &p->value, op, &p->same_page);
    }
    if (rc == PYLMDB_NOT_QUICK)
        rc = pylmdb_cursor_seek(p->cursor, p->dbflags, key, key_size, value ? value : "",
                                value_size, op, &p->key, &p->value);
    return settle(p, rc);
}

static int read_current(struct pylmdb_position *p)
{
    return p->saved.record ? move_saved(p, MDB_GET_CURRENT)
                           : current(p->cursor, &p->key, &p->value);
}

int pylmdb_position_refresh(struct pylmdb_position *p)
{
    int rc = MDB_NOTFOUND;

    if (p->fresh == PYLMDB_BOTH_FRESH)
        return 0;
    if (p->positioned && (rc = read_current(p)) != MDB_NOTFOUND)
        return rc;
    p->positioned = 0;
    p->key.mv_size = p->value.mv_size = 0;
    return rc;
}

int pylmdb_position_show(struct pylmdb_position *p)
{
    return pylmdb_quick_show(p) ? pylmdb_position_refresh(p) : 0;
}

int pylmdb_position_peek(const struct pylmdb_position *p, MDB_val *key)
{
    MDB_val value;

    if (!p->positioned)
        return MDB_NOTFOUND;
    if (!p->is_saved)
        return current(p->cursor, key, &value);
    *key = (MDB_val){p->saved.key_size, p->saved.record};
    return 0;
}

int pylmdb_position_count(struct pylmdb_position *p, size_t *count)
{
    MDB_val key, value;
    int rc = 0;

    p->fresh = PYLMDB_NOT_FRESH;
    if (p->saved.record && p->positioned)
        rc = move_saved(p, MDB_GET_CURRENT);
    else if (is_stale(p))
        /* After a key's values: to the last of them.  The next movement nevertheless begins at
         * the saved record. */
        rc = go_on_from(&p->saved, p->cursor, p->dbflags, MDB_LAST_DUP, &key, &value);
    return rc ? rc : pylmdb_cursor_count(p->cursor, p->dbflags, count);
}

/* -- writes ----------------------------------------------------------------------- */

static int fail(struct pylmdb_position *p, const char *failed, int code)
{
    p->failed = failed;
    return code;
}

static void count_write(struct pylmdb_position *p)
{
    if (p->writes)
        ++*p->writes;
}

static int put_native(struct pylmdb_position *p, const void *key, size_t key_size,
                      const void *value, size_t value_size, unsigned int flags)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    int rc = pylmdb_cursor_widths(p->cursor, p->dbflags, &k, &v);

    flags = pylmdb_append_flags(p->dbflags, flags);
    return rc ? rc : pylmdb_safe_cursor_put(p->cursor, &k, &v, flags);
}

int pylmdb_position_put(struct pylmdb_position *p, const void *key, size_t key_size,
                        const void *value, size_t value_size, unsigned int flags)
{
    int rc, saved = 0;

    count_write(p);
    p->moves++;
    p->fresh = PYLMDB_NOT_FRESH;
    rc = put_native(p, key, key_size, value, value_size, flags);
    if ((rc && rc != MDB_KEYEXIST) || (saved = save(p))) {
        p->key = (MDB_val){key_size, (void *)key};
        p->value = (MDB_val){value_size, (void *)value};
        return fail(p, "mdb_cursor_put", saved ? saved : rc);
    }
    /* It is on the new record, or on the one that exists already. */
    p->only_written = p->only_written || !p->positioned;
    p->positioned = 1;
    return rc;
}

static int append_native(struct pylmdb_position *p, const MDB_val *key, const MDB_val *value,
                         unsigned int flags)
{
    flags = pylmdb_append_flags(p->dbflags, flags);
    if (!p->bulk && !(p->bulk = pylmdb_bulk_new(p->cursor, flags, pylmdb_cursor_widths)))
        return ENOMEM;
    return pylmdb_bulk_add(p->bulk, key, value);
}

int pylmdb_position_append(struct pylmdb_position *p, const void *key, size_t key_size,
                           const void *value, size_t value_size, unsigned int flags)
{
    const MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    int rc;

    if (!(flags & MDB_APPEND))
        return pylmdb_position_put(p, key, key_size, value, value_size, flags);
    count_write(p);
    p->moves++;
    p->fresh = PYLMDB_NOT_FRESH;
    rc = append_native(p, &k, &v, flags);
    if (rc && rc != MDB_KEYEXIST) {
        p->key = k;
        p->value = v;
        return fail(p, "mdb_cursor_put", rc);
    }
    p->only_written = p->only_written || !p->positioned;
    p->positioned = 1;
    return rc;
}

int pylmdb_position_appended(struct pylmdb_position *p)
{
    int rc;

    if (!p->bulk)
        return 0;
    rc = pylmdb_bulk_finish(p->bulk);
    pylmdb_bulk_free(p->bulk);
    p->bulk = NULL;
    if (!rc)
        rc = save(p);
    return rc ? fail(p, "mdb_cursor_put", rc) : 0;
}

int pylmdb_position_delete(struct pylmdb_position *p, int all)
{
    int deleted, rc = pylmdb_position_refresh(p);

    if (rc)
        return fail(p, "mdb_cursor_get", rc);
    rc =
        delete_native(p->cursor, p->dbflags, all ? MDB_NODUPDATA : 0, &p->key, &p->value, &deleted);
    count_write(p);
    p->fresh = PYLMDB_NOT_FRESH;
    if (rc && !deleted)
        return fail(p, "mdb_cursor_del", rc);
    rc = settle(p, rc);
    if (rc && rc != MDB_NOTFOUND)
        return fail(p, "mdb_cursor_get", rc);
    p->unseen = p->positioned;
    return 0;
}

int pylmdb_position_replace(struct pylmdb_position *p, const void *key, size_t key_size,
                            const void *value, size_t value_size)
{
    int rc = 0;

    /* Put first, because a record that is refused must not cost the old ones. */
    if (p->positioned && p->dbflags & MDB_DUPSORT) {
        rc = pylmdb_position_put(p, key, key_size, value, value_size, 0);
        if (!rc)
            rc = pylmdb_position_delete(p, 1);
    }
    return rc ? rc : pylmdb_position_put(p, key, key_size, value, value_size, 0);
}

/* -- iterations ------------------------------------------------------------------- */

int pylmdb_iteration_start(struct pylmdb_iteration *iteration, struct pylmdb_position *p, int op,
                           int values)
{
    const int forward = op == MDB_NEXT || op == MDB_NEXT_NODUP;
    int rc;

    iteration->op = op;
    iteration->values = (signed char)values;
    if (op == MDB_NEXT_DUP || op == MDB_PREV_DUP)
        return 0;
    /* It begins at the cursor's record.  If that cannot be read, the first step fails. */
    if (p->positioned && !p->only_written && (p->fresh || read_current(p) != MDB_NOTFOUND))
        return 0;
    rc = pylmdb_position_move(p, forward ? MDB_FIRST : MDB_LAST);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int go_on(struct pylmdb_iteration *iteration, struct pylmdb_position *p)
{
    if (p->moves == iteration->moves && p->writes && *p->writes != iteration->writes) {
        p->moves++;
        return settle(p, go_on_from(&iteration->last, p->cursor, p->dbflags, iteration->op, &p->key,
                                    &p->value));
    }
    if (p->moves == iteration->moves || p->positioned)
        return pylmdb_position_move(p, iteration->op);
    return MDB_NOTFOUND;
}

static int step(struct pylmdb_iteration *iteration, struct pylmdb_position *p)
{
    int rc = pylmdb_quick_step(iteration, p, pylmdb_cursor_step);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    if ((rc = iteration->started ? go_on(iteration, p) : pylmdb_position_refresh(p)))
        return rc;
    p->unseen = 0;
    iteration->started = 1;
    iteration->moves = p->moves;
    if (p->writes) {
        iteration->writes = *p->writes;
        if ((rc = save_record(&iteration->last, &p->key, &p->value)))
            iteration->started = 0; /* the next call gives this record */
    }
    return rc;
}

/* End the range at the cursor's record, unless its key was read from a page that the file no
 * longer has. */
static int end_range(struct pylmdb_position *p)
{
    if (any_file_is_truncated() && pylmdb_env_is_truncated(mdb_txn_env(mdb_cursor_txn(p->cursor))))
        return MDB_CORRUPTED;
    return MDB_NOTFOUND;
}

/* PYLMDB_OTHER_WIDTH, unless the width was read from the end of a page that the file no longer
 * has. */
static int other_width(const struct pylmdb_position *p)
{
    return pylmdb_unless_truncated(p->cursor, PYLMDB_OTHER_WIDTH);
}

static int check_bound(struct pylmdb_iteration *iteration, struct pylmdb_position *p)
{
    const MDB_val *bound = &iteration->bound;
    int order;

    if (iteration->bounded == PYLMDB_BOUNDED_BYTES) {
        order = pylmdb_compare_to_bound(&p->key, bound);
    } else {
        if (p->dbflags & MDB_INTEGERKEY && p->key.mv_size != bound->mv_size)
            return other_width(p);
        touch_pages(p->key.mv_data, p->key.mv_size);
        order = mdb_cmp(mdb_cursor_txn(p->cursor), mdb_cursor_dbi(p->cursor), &p->key, bound);
    }
    return pylmdb_ends_at(iteration, order) ? end_range(p) : 0;
}

int pylmdb_iteration_next(struct pylmdb_iteration *iteration, struct pylmdb_position *p)
{
    int rc = iteration->ended ? end_range(p) : step(iteration, p);

    return rc || iteration->bounded == PYLMDB_UNBOUNDED ? rc : check_bound(iteration, p);
}

/* -- ranges ----------------------------------------------------------------------- */

static int copy_bound(struct pylmdb_iteration *iteration, const MDB_val *key, unsigned int dbflags)
{
    if (!(iteration->bound.mv_data = malloc(key->mv_size ? key->mv_size : 1)))
        return ENOMEM;
    memcpy(iteration->bound.mv_data, key->mv_data, key->mv_size);
    iteration->bound.mv_size = key->mv_size;
    iteration->bounded =
        dbflags & (MDB_INTEGERKEY | MDB_REVERSEKEY) ? PYLMDB_BOUNDED_ORDER : PYLMDB_BOUNDED_BYTES;
    return 0;
}

/* To the first record with this key or a greater one; after: with a greater one. */
static int seek_first(struct pylmdb_position *p, const MDB_val *key, int after)
{
    int rc;

    if (!key->mv_data)
        return pylmdb_position_move(p, MDB_FIRST);
    rc = pylmdb_position_seek(p, key->mv_data, key->mv_size, NULL, 0, MDB_SET_RANGE);
    if (rc || !after)
        return rc;
    touch_pages(p->key.mv_data, p->key.mv_size);
    return same(&p->key, key->mv_data, key->mv_size) ? pylmdb_position_move(p, MDB_NEXT_NODUP) : 0;
}

/* To the last record with a smaller key; including: with this key or a smaller one. */
static int seek_last(struct pylmdb_position *p, const MDB_val *key, int including)
{
    int rc = key->mv_data ? seek_first(p, key, including) : MDB_NOTFOUND;

    if (rc && rc != MDB_NOTFOUND)
        return rc;
    return pylmdb_position_move(p, rc ? MDB_LAST : MDB_PREV);
}

int pylmdb_range_start(struct pylmdb_iteration *iteration, struct pylmdb_position *p,
                       const struct pylmdb_range *range, int reverse, int values)
{
    const MDB_val *const bound = reverse ? &range->start : &range->stop;
    int rc = 0;

    iteration->includes_bound = reverse ? !range->exclude_start : range->include_stop;
    if (bound->mv_data)
        rc = copy_bound(iteration, bound, p->dbflags);
    if (rc)
        return rc;
    rc = reverse ? seek_last(p, &range->stop, range->include_stop)
                 : seek_first(p, &range->start, range->exclude_start);
    if (rc == MDB_NOTFOUND) {
        iteration->ended = 1;
        return 0;
    }
    return rc ? rc : pylmdb_iteration_start(iteration, p, reverse ? MDB_PREV : MDB_NEXT, values);
}

/* How many records a call of pylmdb_range_skip() leaves out. */
#define SKIPPED_AT_ONCE 4096

/* Nothing reads the records that are left out; so only the one behind them is compared with the
 * bound. */
static int skip(const struct pylmdb_iteration *iteration, struct pylmdb_position *p, size_t count)
{
    int rc = pylmdb_cursor_skip(p->cursor, count, iteration->op);

    p->moves++;
    if (!rc)
        rc = save(p);
    if (rc)
        return pylmdb_position_lost(p, rc);
    pylmdb_position_found(p, PYLMDB_NOT_FRESH);
    return pylmdb_position_refresh(p);
}

int pylmdb_range_skip(struct pylmdb_iteration *iteration, struct pylmdb_position *p, size_t *count)
{
    const size_t some = *count < SKIPPED_AT_ONCE ? *count : SKIPPED_AT_ONCE;
    int rc = iteration->ended ? MDB_NOTFOUND : skip(iteration, p, some);

    *count -= some;
    if (!rc && iteration->bounded != PYLMDB_UNBOUNDED)
        rc = check_bound(iteration, p);
    if (rc != MDB_NOTFOUND && rc != PYLMDB_OTHER_WIDTH)
        return rc;
    /* The first step tells that the bound has another width. */
    *count = 0;
    iteration->ended = rc == MDB_NOTFOUND;
    return 0;
}

int pylmdb_nearest(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, int reverse, int plain_only, MDB_val *found_key,
                   MDB_val *found_value)
{
    const MDB_val bound = {key_size, (void *)key};
    struct pylmdb_position position = {.dbflags = dbflags};
    int rc = pylmdb_cursor_open(txn, dbi, &position.cursor);

    if (rc)
        return rc;
    rc = reverse ? seek_last(&position, &bound, 1) : seek_first(&position, &bound, 0);
    while (!rc && plain_only && pylmdb_cursor_is_db(position.cursor))
        rc = pylmdb_position_move(&position, reverse ? MDB_PREV : MDB_NEXT);
    *found_key = position.key;
    *found_value = position.value;
    mdb_cursor_close(position.cursor);
    return rc;
}

void pylmdb_iteration_free(struct pylmdb_iteration *iteration)
{
    free(iteration->bound.mv_data);
    iteration->bound.mv_data = NULL;
    free(iteration->last.record);
    iteration->last.record = NULL;
}

/* -- getmulti --------------------------------------------------------------------- */

int pylmdb_getmulti_first(struct pylmdb_position *p, const void *key, size_t key_size, size_t width)
{
    MDB_val found;
    int rc = pylmdb_position_seek(p, key, key_size, NULL, 0, MDB_SET_KEY);

    if (rc)
        return rc;
    if (width && p->dbflags & MDB_DUPFIXED && p->value.mv_size != width)
        return other_width(p);
    found = p->key;
    if ((rc = pylmdb_position_move(p, width ? MDB_GET_MULTIPLE : MDB_GET_CURRENT)))
        return rc;
    p->key = found;
    return 0;
}

int pylmdb_getmulti_next(struct pylmdb_position *p, size_t width)
{
    if (!(p->dbflags & MDB_DUPSORT))
        return MDB_NOTFOUND;
    return pylmdb_position_move(p, width ? MDB_NEXT_MULTIPLE : MDB_NEXT_DUP);
}
