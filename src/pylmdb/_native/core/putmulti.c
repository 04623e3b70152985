/* SPDX-License-Identifier: MIT */
/* putmulti: many writes in one call.
 * The records of a list are put in key order where nothing else changes by that, because each
 * page is then searched, copied and split while it is in the processor's cache.  Records of one
 * key keep their order, so the database has the same records afterwards. */
#include "cursor.h"

#include <string.h>

/* How many of the caller's objects ahead to prefetch. */
#define AHEAD 8
/* At most and at least so many records are sorted at once. */
#define MANY 262144
#define FEW 16
/* The largest value that liblmdb takes. */
#define MAX_VALUE 0x7fffffff
/* How many records of an iterator wait to be appended together, and how many bytes of values. */
#define MOST_WAITING 4096
#define MOST_BYTES ((size_t)1 << 20)

static int put_item(Cursor *cursor, PyObject *item, int flags)
{
    Bytes key, value;
    int written = -1;

    if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != 2)
        return refuse_named(cursor->state, "putmulti without pairs");
    if (get_bytes("key", PyTuple_GET_ITEM(item, 0), &key))
        return -1;
    if (!get_bytes("value", PyTuple_GET_ITEM(item, 1), &value)) {
        if (!guard_cursor(cursor))
            written = cursor_put_record(cursor, "putmulti", &key, &value, flags);
        drop_bytes(&value);
    }
    drop_bytes(&key);
    return written;
}

/* -- in key order ----------------------------------------------------------------- */

/* Records that are sorted and put together. */
typedef struct {
    PyObject **items; /* owned */
    MDB_val *keys;
    struct pylmdb_sort_entry *entries;
    Py_ssize_t count;
} Load;

static void drop_load(Load *load)
{
    while (load->count)
        Py_DECREF(load->items[--load->count]);
    PyMem_Free(load->items);
    PyMem_Free(load->keys);
    PyMem_Free(load->entries);
}

static int is_in_range(PyObject *object, Py_ssize_t least, Py_ssize_t most)
{
    return PyBytes_CheckExact(object) && PyBytes_GET_SIZE(object) >= least &&
           PyBytes_GET_SIZE(object) <= most;
}

/* Whether a record can be put without running Python code, and can fail only for lack of room or
 * because of a damaged file. */
static int is_plain(PyObject *item, int max_key)
{
    return PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2 &&
           is_in_range(PyTuple_GET_ITEM(item, 0), 1, max_key) &&
           is_in_range(PyTuple_GET_ITEM(item, 1), 0, MAX_VALUE);
}

/* The number of plain records from index i to the first other one, at most so many. */
static Py_ssize_t count_plain(PyObject *list, Py_ssize_t i, int max_key, Py_ssize_t most)
{
    const Py_ssize_t room = PyList_GET_SIZE(list) - i < most ? PyList_GET_SIZE(list) - i : most;
    Py_ssize_t count = 0;

    for (; count < room; count++) {
        if (count + AHEAD < room)
            PYLMDB_FETCH(PyList_GET_ITEM(list, i + count + AHEAD));
        if (!is_plain(PyList_GET_ITEM(list, i + count), max_key))
            break;
    }
    return count;
}

static int fill_load(Load *load, PyObject *list, Py_ssize_t i, Py_ssize_t count)
{
    memset(load, 0, sizeof(*load));
    load->items = PyMem_New(PyObject *, count);
    load->keys = PyMem_New(MDB_val, count);
    load->entries = PyMem_New(struct pylmdb_sort_entry, 2 * count);
    if (!load->items || !load->keys || !load->entries) {
        PyErr_NoMemory();
        drop_load(load);
        return -1;
    }
    for (; load->count < count; load->count++, i++) {
        PyObject *item = PyList_GET_ITEM(list, i), *key = PyTuple_GET_ITEM(item, 0);

        load->items[load->count] = Py_NewRef(item);
        load->keys[load->count].mv_data = PyBytes_AS_STRING(key);
        load->keys[load->count].mv_size = (size_t)PyBytes_GET_SIZE(key);
    }
    return 0;
}

/* A record that comes after all others is appended, and so are those after it, until one does not:
 * with a comparison function of the program's own, records may be in another order. */
static int append_or_put(Cursor *cursor, PyObject *item, int flags, int *appends)
{
    int written;

    if (!*appends)
        return put_item(cursor, item, flags);
    written = cursor_append_record(cursor, item, flags | MDB_APPEND);
    if (written)
        return written;
    *appends = 0;
    return cursor_end_append(cursor) ? -1 : put_item(cursor, item, flags);
}

static int put_load(Cursor *cursor, const Load *load, int flags, size_t *added)
{
    /* The last one is put last, because the cursor must be on it afterwards. */
    const Py_ssize_t last = load->count - 1;
    const struct pylmdb_sort_entry *entries =
        pylmdb_order_keys(load->keys, (size_t)last, 0, load->entries);
    Py_ssize_t i;
    int written = guard_cursor(cursor), appends = 1;

    for (i = 0; i < last && written >= 0; i++) {
        if (i + AHEAD < last)
            PYLMDB_FETCH(load->keys[entries[i + AHEAD].index].mv_data);
        written = append_or_put(cursor, load->items[entries[i].index], flags, &appends);
        *added += written > 0;
    }
    if (written < 0 || (appends && cursor_end_append(cursor)))
        return -1;
    written = put_item(cursor, load->items[last], flags);
    *added += written > 0;
    return written < 0 ? -1 : 0;
}

static int put_sorted(Cursor *cursor, PyObject *list, Py_ssize_t i, Py_ssize_t count, int flags,
                      size_t *added)
{
    Load load;
    int rc = fill_load(&load, list, i, count);

    if (!rc) {
        rc = put_load(cursor, &load, flags, added);
        drop_load(&load);
    }
    return rc;
}

/* -- into an empty database ---------------------------------------------------------- */

static MDB_val key_at(const struct pylmdb_strings *strings, size_t index)
{
    return ((const MDB_val *)strings->context)[index];
}

/* Whether another record of the same key remains: a later one, or without overwrite the first.
 * i is the index of the record in order. */
static int is_replaced(const Load *load, Py_ssize_t i, int flags)
{
    const Py_ssize_t other = flags & MDB_NOOVERWRITE ? i - 1 : i + 1;
    const MDB_val *a, *b;

    if (other < 0 || other == load->count)
        return 0;
    a = &load->keys[load->entries[i].index];
    b = &load->keys[load->entries[other].index];
    return a->mv_size == b->mv_size && !memcmp(a->mv_data, b->mv_data, a->mv_size);
}

static int append_load(Cursor *cursor, Load *load, int flags, size_t *added)
{
    const struct pylmdb_strings keys = {key_at, load->keys, 0};
    const Py_ssize_t count = load->count;
    Py_ssize_t i;
    int written = 1, appends = 1;

    for (i = 0; i < count; i++)
        load->entries[i].index = (size_t)i;
    (void)pylmdb_sort_strings(&keys, load->entries, load->entries + count, (size_t)count);
    for (i = 0; i < count && written >= 0; i++) {
        if (i + AHEAD < count)
            PYLMDB_FETCH(load->items[load->entries[i + AHEAD].index]);
        if (!is_replaced(load, i, flags))
            written = append_or_put(cursor, load->items[load->entries[i].index], flags, &appends);
        else if (flags & MDB_NOOVERWRITE)
            continue;
        *added += written > 0;
    }
    if (written < 0 || (appends && cursor_end_append(cursor)))
        return -1;
    /* The cursor must be on the last record that was given. */
    return put_item(cursor, load->items[count - 1], flags) < 0 ? -1 : 0;
}

/* Whether the database has no records; -1: raised. */
static int is_empty(Cursor *cursor)
{
    size_t stat[PYLMDB_STAT_SIZE];
    int code;

    if (guard_cursor(cursor))
        return -1;
    code = cursor->engine->stat(cursor->txn->native.ptr, cursor->slot->native.dbi, stat);
    if (!code)
        return !stat[PYLMDB_STAT_SIZE - 1];
    fail_database(cursor->state, "putmulti", "mdb_stat", code, cursor->slot);
    return -1;
}

/* Put the first plain records of the list in key order, if the database is empty; their number,
 * 0 if it is not or if they are few, or -1. */
static Py_ssize_t append_sorted(Cursor *cursor, PyObject *list, int max_key, int flags,
                                size_t *added)
{
    Py_ssize_t count;
    Load load;
    int rc = is_empty(cursor);

    if (rc <= 0)
        return rc;
    count = count_plain(list, 0, max_key, PY_SSIZE_T_MAX);
    if (count < FEW)
        return 0;
    if (fill_load(&load, list, 0, count))
        return -1;
    rc = append_load(cursor, &load, flags, added);
    drop_load(&load);
    return rc ? -1 : count;
}

/* -- appended ----------------------------------------------------------------------- */

/* Prefetch a record that is appended soon, and the bytes of one that is appended sooner. */
static inline void fetch_ahead(PyObject *list, Py_ssize_t i)
{
    const Py_ssize_t size = PyList_GET_SIZE(list);
    PyObject *item;

    if (i + 2 * AHEAD >= size)
        return;
    PYLMDB_FETCH(PyList_GET_ITEM(list, i + 2 * AHEAD));
    item = PyList_GET_ITEM(list, i + AHEAD);
    if (PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2) {
        PYLMDB_FETCH(PyTuple_GET_ITEM(item, 0));
        PYLMDB_FETCH(PyTuple_GET_ITEM(item, 1));
    }
}

/* Appends the plain records from i on, before the first other; their number, or -1. */
static Py_ssize_t append_plain(Cursor *cursor, PyObject *list, Py_ssize_t i, int max_key, int flags,
                               size_t *added)
{
    const Py_ssize_t first = i;
    int written;

    for (; i < PyList_GET_SIZE(list) && is_plain(PyList_GET_ITEM(list, i), max_key); i++) {
        if (i == first && guard_cursor(cursor))
            return -1;
        fetch_ahead(list, i);
        written = cursor_append_record(cursor, PyList_GET_ITEM(list, i), flags);
        if (written < 0)
            return -1;
        *added += (size_t)written;
    }
    return i > first && cursor_end_append(cursor) ? -1 : i - first;
}

/* Records that an iterator has given and that are not appended yet, or whose appending has not
 * ended.  What the iterator runs may use the transaction, which must have the records then: so
 * the transaction is not ready meanwhile, and the guard appends them first and ends that. */
struct waiting {
    Cursor *cursor;
    PyObject *items[MOST_WAITING]; /* owned; plain records */
    Py_ssize_t count;
    size_t bytes;
    int flags;
    size_t *consumed, *added;
};

static int is_appending(const struct waiting *waiting)
{
    return waiting->count || waiting->cursor->position.bulk;
}

static int append_waiting(struct waiting *waiting, int ends)
{
    Cursor *cursor = waiting->cursor;
    Py_ssize_t i;
    int written = 0, rc = guard_cursor(cursor);

    for (i = 0; !rc && i < waiting->count; i++) {
        written = cursor_append_record(cursor, waiting->items[i], waiting->flags);
        rc = written < 0 ? -1 : 0;
        *waiting->added += (size_t)(written > 0);
    }
    if (!rc && (ends || !cursor->txn->ready))
        rc = cursor_end_append(cursor);
    *waiting->consumed += (size_t)i;
    while (waiting->count) /* bytes, whose end runs no code */
        Py_DECREF(waiting->items[--waiting->count]);
    waiting->bytes = 0;
    return rc;
}

int put_waiting(Transaction *txn)
{
    struct waiting *waiting = txn->waiting;

    txn->waiting = NULL;
    txn->ready = 1;
    return append_waiting(waiting, 1);
}

/* The next record; NULL at the end, or with an exception. */
static PyObject *next_item(struct waiting *waiting, PyObject *iterator)
{
    Transaction *txn = waiting->cursor->txn;
    PyObject *item;

    if (!is_appending(waiting) || !txn->ready)
        return PyIter_Next(iterator);
    txn->waiting = waiting;
    txn->ready = 0;
    item = PyIter_Next(iterator);
    if (txn->waiting == waiting) {
        txn->waiting = NULL;
        txn->ready = !txn->revoked;
    }
    return item;
}

static int append_item(struct waiting *waiting, PyObject *item, int max_key)
{
    int written;

    if (is_plain(item, max_key)) {
        waiting->items[waiting->count++] = Py_NewRef(item);
        waiting->bytes += (size_t)PyBytes_GET_SIZE(PyTuple_GET_ITEM(item, 1));
        return waiting->count < MOST_WAITING && waiting->bytes < MOST_BYTES
                   ? 0
                   : append_waiting(waiting, 0);
    }
    if (is_appending(waiting) && append_waiting(waiting, 1))
        return -1;
    written = put_item(waiting->cursor, item, waiting->flags);
    *waiting->consumed += written >= 0;
    *waiting->added += (size_t)(written > 0);
    return written < 0 ? -1 : 0;
}

/* Records that were given before an exception are put. */
static int end_waiting(struct waiting *waiting, int rc)
{
    PyObject *kind, *value, *traceback;

    if (!is_appending(waiting))
        return rc;
    PyErr_Fetch(&kind, &value, &traceback);
    if (append_waiting(waiting, 1)) {
        Py_XDECREF(kind);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return -1;
    }
    PyErr_Restore(kind, value, traceback);
    return rc;
}

static int append_each(Cursor *cursor, PyObject *iterator, int flags, size_t *consumed,
                       size_t *added)
{
    const int max_key = cursor->engine->env_get_maxkeysize(cursor->txn->shared->pool->env);
    struct waiting *waiting = PyMem_Malloc(sizeof(*waiting));
    PyObject *item;
    int rc = 0;

    if (!waiting) {
        PyErr_NoMemory();
        return -1;
    }
    waiting->cursor = cursor;
    waiting->count = 0;
    waiting->bytes = 0;
    waiting->flags = flags;
    waiting->consumed = consumed;
    waiting->added = added;
    while (!rc && (item = next_item(waiting, iterator))) {
        rc = append_item(waiting, item, max_key);
        Py_DECREF(item);
    }
    rc = end_waiting(waiting, PyErr_Occurred() ? -1 : 0);
    PyMem_Free(waiting);
    return rc;
}

/* -- all -------------------------------------------------------------------------- */

/* Whether keys are ordered by their bytes and have one value each, and the caller did not ask to
 * append, which requires sorted records. */
static int may_sort(const Cursor *cursor, int flags)
{
    return !(flags & MDB_APPEND) &&
           !(cursor->slot->native.flags & (MDB_DUPSORT | MDB_INTEGERKEY | MDB_REVERSEKEY));
}

/* The same as for other iterables, without an iterator.  The list can change meanwhile, because
 * getting the memory of an object can run Python code. */
static int put_list(Cursor *cursor, PyObject *list, int flags, size_t *consumed, size_t *added)
{
    /* It depends on the page size of the file. */
    const int max_key = cursor->engine->env_get_maxkeysize(cursor->txn->shared->pool->env);
    const int sorts = may_sort(cursor, flags);
    Py_ssize_t i = sorts ? append_sorted(cursor, list, max_key, flags, added) : 0, count;
    PyObject *item;
    int written;

    if (i < 0)
        return -1;
    for (*consumed += (size_t)i; i < PyList_GET_SIZE(list);
         i += count, *consumed += (size_t)count) {
        if (flags & MDB_APPEND) {
            if ((count = append_plain(cursor, list, i, max_key, flags, added)) < 0)
                return -1;
            if (count)
                continue;
        }
        count = sorts ? count_plain(list, i, max_key, MANY) : 0;
        if (count >= FEW) {
            if (put_sorted(cursor, list, i, count, flags, added))
                return -1;
            continue;
        }
        count = 1;
        item = Py_NewRef(PyList_GET_ITEM(list, i));
        written = put_item(cursor, item, flags);
        Py_DECREF(item);
        if (written < 0)
            return -1;
        *added += (size_t)written;
    }
    return 0;
}

static int put_each(Cursor *cursor, PyObject *iterator, int flags, size_t *consumed, size_t *added)
{
    PyObject *item;
    int written = 0;

    while (written >= 0 && (item = PyIter_Next(iterator))) {
        written = put_item(cursor, item, flags);
        Py_DECREF(item);
        if (written >= 0) {
            ++*consumed;
            *added += (size_t)written;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int put_items(Cursor *cursor, PyObject *items, int flags, size_t *consumed, size_t *added)
{
    PyObject *iterator;
    int rc;

    if (PyList_CheckExact(items))
        return put_list(cursor, items, flags, consumed, added);
    if (!(iterator = PyObject_GetIter(items)))
        return -1;
    rc = flags & MDB_APPEND ? append_each(cursor, iterator, flags, consumed, added)
                            : put_each(cursor, iterator, flags, consumed, added);
    Py_DECREF(iterator);
    return rc;
}

CURSOR_METHOD(putmulti)
{
    static const Signature signature = {
        "putmulti", 1, 4, 4, {ARG_ITEMS, ARG_DUPDATA, ARG_OVERWRITE, ARG_APPEND}};
    PyObject *given[4];
    size_t consumed = 0, added = 0;
    int flags;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (flags = put_flags(given[1], given[2], given[3])) < 0 || guard_cursor(self) ||
        put_items(self, given[0], flags, &consumed, &added) || guard_cursor(self) ||
        found_record(self, "putmulti", self->engine->position_refresh(&self->position)) < 0)
        return NULL;
    return Py_BuildValue("(nn)", (Py_ssize_t)consumed, (Py_ssize_t)added);
}
