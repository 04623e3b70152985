/* SPDX-License-Identifier: MIT */
/* Native read transactions: those that begin and end without Python, and pinned snapshots. */
#include "core.h"

#include <time.h>

int begin_quick(Shared *shared, struct pylmdb_txn *native)
{
    MDB_txn *ptr;
    int rc;

    if (shared->pool->keep)
        return shared->engine->begin_reader(native, shared->pool, 0);
    if (LIKELY(shared->idle_count)) {
        ptr = shared->idle[--shared->idle_count];
        if ((rc = shared->engine->txn_renew(ptr, 0)))
            shared->engine->txn_abort(ptr);
    } else {
        rc = shared->engine->txn_begin(shared->pool->env, NULL, MDB_RDONLY, 0, &ptr);
    }
    if (rc)
        return rc;
    native->ptr = ptr;
    native->pool = NULL;
    native->code = 0;
    native->generation = pylmdb_generation;
    shared->live++;
    return 0;
}

void end_native_reader(Shared *shared, struct pylmdb_txn *native)
{
    MDB_txn *ptr = native->ptr;

    if (native->pool) {
        shared->engine->end_reader(native);
        return;
    }
    native->ptr = NULL;
    if (!ptr || native->generation != pylmdb_generation)
        return;
    if (shared->idle_count < PYLMDB_MAX_SLOTLESS && shared->engine->txn_release_slot(ptr))
        shared->idle[shared->idle_count++] = ptr;
    else
        shared->engine->txn_abort(ptr);
    shared->live--;
}

void leave_slowly(Shared *shared)
{
    PyObject *result;
    int tries;

    Py_INCREF(shared);
    for (tries = 0; tries < 100; tries++) {
        if ((result = PyObject_CallMethod((PyObject *)shared, "leave", NULL))) {
            Py_DECREF(result);
            break;
        }
        PyErr_WriteUnraisable((PyObject *)shared);
    }
    Py_DECREF(shared);
}

void end_reader(Shared *shared, struct pylmdb_txn *native)
{
    end_native_reader(shared, native);
    leave_shared(shared);
}

/* -- views that outlive their transaction ------------------------------------------ */

static double unix_time(void)
{
    struct timespec now = {0, 0};

    (void)timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void pin_snapshot(Exporter *exporter, Shared *shared, struct pylmdb_txn *native)
{
    exporter->shared = (Shared *)Py_NewRef((PyObject *)shared);
    exporter->native = *native;
    native->ptr = NULL;
    native->pool = NULL;
    exporter->since = unix_time();
    exporter->older = shared->pinned;
    if (exporter->older)
        exporter->older->newer = exporter;
    shared->pinned = exporter;
}

void unpin_snapshot(Exporter *exporter)
{
    Shared *shared = exporter->shared;

    if (!shared)
        return;
    if (exporter->newer)
        exporter->newer->older = exporter->older;
    else
        shared->pinned = exporter->older;
    if (exporter->older)
        exporter->older->newer = exporter->newer;
    end_reader(shared, &exporter->native);
    Py_CLEAR(exporter->shared);
}

/* The read transaction has ended; its views pin the snapshot. */
void end_views(Transaction *txn)
{
    Py_buffer *buffer = PyMemoryView_GET_BUFFER(txn->whole);
    Exporter *exporter = (Exporter *)buffer->obj;

    pin_snapshot(exporter, txn->shared, &txn->native);
    Py_CLEAR(txn->whole);
}

/* -- for SharedEnv ---------------------------------------------------------------- */

/* Making objects can run Python code, which can end pinned snapshots, so the numbers are copied
 * first.  A forked child has none, because they belong to the parent. */
PyObject *shared_pinned(Shared *self, PyObject *ignored)
{
    struct Exporter *first = self->generation == pylmdb_generation ? self->pinned : NULL, *each;
    Py_ssize_t count = 0, i = 0;
    struct note {
        size_t number;
        double since;
    } *notes;
    PyObject *list, *item;

    for (each = first; each; each = each->older)
        count++;
    if (!(notes = PyMem_New(struct note, count + 1)))
        return PyErr_NoMemory();
    for (each = first; each; each = each->older, i++)
        notes[i] = (struct note){self->engine->txn_id(each->native.ptr), each->since};
    list = PyList_New(count);
    for (i = 0; list && i < count; i++) {
        if ((item = Py_BuildValue("(nd)", (Py_ssize_t)notes[i].number, notes[i].since)))
            PyList_SET_ITEM(list, i, item);
        else
            Py_CLEAR(list);
    }
    PyMem_Free(notes);
    return list;
}

PyObject *shared_free_idle(Shared *self, PyObject *ignored)
{
    while (self->idle_count)
        self->engine->txn_abort(self->idle[--self->idle_count]);
    Py_RETURN_NONE;
}
