/* SPDX-License-Identifier: MIT */
/* count() and delete_range(), and the bounds of a range. */
#include "ranges.h"
#include "cursor.h"

#include <string.h>

/* -- bounds ------------------------------------------------------------------------ */

static int take_bound(const char *name, PyObject *object, Bytes *out)
{
    PyObject *copy;

    if (!is_given(object))
        return 0;
    if (get_bytes(name, object, out))
        return -1;
    if (!out->view.obj)
        return 0;
    copy = PyBytes_FromStringAndSize(out->data, (Py_ssize_t)out->size);
    PyBuffer_Release(&out->view);
    Py_XSETREF(out->owner, copy);
    if (!copy)
        return -1;
    out->data = PyBytes_AS_STRING(copy);
    return 0;
}

static int take_after_prefix(CoreState *state, const Bytes *prefix, Bytes *out)
{
    PyObject *key;

    if (take_python_side(state)) /* the transaction may never have begun */
        return -1;
    key = PyObject_CallFunction(state->successor, "y#", prefix->data, (Py_ssize_t)prefix->size);
    if (!key || take_bound("stop", key, out)) {
        Py_XDECREF(key);
        return -1;
    }
    Py_XSETREF(out->owner, key);
    return 0;
}

int take_bounds(CoreState *state, PyObject *const *given, Bounds *bounds)
{
    memset(bounds, 0, sizeof(*bounds));
    if (take_bound("start", given[START], &bounds->start) ||
        take_bound("stop", given[STOP], &bounds->stop) ||
        take_bound("prefix", given[PREFIX], &bounds->prefix))
        return -1;
    return bounds->prefix.data ? take_after_prefix(state, &bounds->prefix, &bounds->after_prefix)
                               : 0;
}

void drop_bounds(Bounds *bounds)
{
    drop_bytes(&bounds->start);
    drop_bytes(&bounds->stop);
    drop_bytes(&bounds->prefix);
    drop_bytes(&bounds->after_prefix);
}

int check_prefix(CoreState *state, const char *operation, const Bounds *bounds, unsigned int flags,
                 int are_changed)
{
    const char *refusal;

    if (!bounds->prefix.data)
        return 0;
    refusal = pylmdb_prefix_refusal(are_changed || bounds->start.data || bounds->stop.data,
                                    flags & (MDB_INTEGERKEY | MDB_REVERSEKEY));
    return refusal ? refuse_with(state, refusal, "s", operation) : 0;
}

/* -- count() and delete_range() ---------------------------------------------------- */

/* name is not NULL for delete_range(); it has data if it is the name of a database. */
static PyObject *fail_range(CoreState *state, int code, const Slot *slot, const Bounds *bounds,
                            size_t width, const MDB_val *name)
{
    const char *const operation = name ? "delete_range" : "count";
    const char *const what = name ? "mdb_cursor_del" : "mdb_cursor_get";
    const Bytes *const first = first_key(bounds);

    if (code == PYLMDB_OTHER_WIDTH)
        return refused_with(state, "bound of another width", "snn", operation,
                            (Py_ssize_t)end_key(bounds)->size, (Py_ssize_t)width);
    if (name && name->mv_data)
        return fail_record(state, operation, what, code, slot, name->mv_data, name->mv_size,
                           NO_VALUE);
    if (first->data)
        return fail_record(state, operation, what, code, slot, first->data, first->size, NO_VALUE);
    return fail_database(state, operation, what, code, slot);
}

/* Without the GIL, because a range can be large. */
static PyObject *use_records(Transaction *txn, Slot *slot, const Bounds *bounds, int deletes)
{
    const struct pylmdb_engine *const engine = txn->engine;
    const Bytes *const first = first_key(bounds), *const end = end_key(bounds);
    MDB_txn *const native = txn->native.ptr;
    MDB_val name = {0, NULL};
    PyObject *result;
    size_t count = 0;
    int code;

    Py_INCREF(slot);
    enter_operation(txn);
    txn->mutations += deletes && txn->write;
    Py_BEGIN_ALLOW_THREADS code =
        deletes ? engine->del_range(native, slot->native.dbi, slot->native.flags, first->data,
                                    first->size, end->data, end->size, &count, &name)
                : engine->count(native, slot->native.dbi, slot->native.flags, first->data,
                                first->size, end->data, end->size, &count);
    Py_END_ALLOW_THREADS result =
        code ? fail_range(txn->state, code, slot, bounds, count, deletes ? &name : NULL)
             : PyLong_FromSize_t(count);
    leave_operation(txn);
    Py_DECREF(slot);
    return result;
}

static PyObject *use_range(Transaction *txn, PyObject *const *given, int deletes)
{
    PyObject *result = NULL;
    Bounds bounds;
    Slot *slot;

    if (!take_bounds(txn->state, given, &bounds) && !guard(txn) &&
        (slot = slot_for(txn, given[BOUNDS])) &&
        !check_prefix(txn->state, deletes ? "delete_range" : "count", &bounds, slot->native.flags,
                      0))
        result = use_records(txn, slot, &bounds, deletes);
    drop_bounds(&bounds);
    return result;
}

TRANSACTION_METHOD(count)
{
    static const Signature signature = {
        "count", 0, 2, 4, {ARG_START, ARG_STOP, ARG_PREFIX, ARG_DB}};
    PyObject *given[BOUNDS + 1];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return use_range(self, given, 0);
}

TRANSACTION_METHOD(delete_range)
{
    static const Signature signature = {
        "delete_range", 0, 2, 4, {ARG_START, ARG_STOP, ARG_PREFIX, ARG_DB}};
    PyObject *given[BOUNDS + 1];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    if (!is_given(given[START]) && !is_given(given[STOP]) && !is_given(given[PREFIX]))
        return refused(self->state, "no bounds");
    return use_range(self, given, 1);
}
