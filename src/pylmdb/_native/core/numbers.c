/* SPDX-License-Identifier: MIT */
/* Statistics of environments and transactions. */
#include "arguments.h"
#include "guard.h"

/* This can run Python code, so the caller gets the numbers first. */
static PyObject *new_record(const RecordKind *kind, const size_t *numbers, Py_ssize_t count)
{
    PyObject *record = PyObject_CallNoArgs(kind->class), *number;
    Py_ssize_t i;

    /* copy all keys at once, because a dict that gets them one by one grows several times */
    if (record && PyDict_Update(record, kind->empty))
        Py_CLEAR(record);
    for (i = 0; record && i < count; i++) {
        number = PyLong_FromSize_t(numbers[i]);
        if (!number || PyDict_SetItem(record, PyTuple_GET_ITEM(kind->fields, i), number))
            Py_CLEAR(record);
        Py_XDECREF(number);
    }
    return record;
}

static PyObject *new_stat(CoreState *state, const size_t *numbers)
{
    return new_record(&state->stat, numbers, PYLMDB_STAT_SIZE);
}

/* -- environments ------------------------------------------------------------------ */

/* The native environment, if it may be used at once.  Before it is closed or its map is replaced,
 * "admitting" is set to 0 under the GIL.  NULL: Python waits, or refuses. */
static Shared *at_once(const EnvironmentCore *env)
{
    Shared *shared = usable_shared(env);

    return LIKELY(shared && shared->admitting) ? shared : NULL;
}

static PyObject *in_python(PyObject *env, const char *what)
{
    return PyObject_CallMethod(env, "_ask", "s", what);
}

PyObject *environment_stat(PyObject *self, PyObject *ignored)
{
    Shared *shared = at_once((EnvironmentCore *)self);
    size_t numbers[PYLMDB_STAT_SIZE];
    int code;

    if (!shared)
        return in_python(self, "stat");
    if ((code = shared->engine->env_stat(shared->pool->env, numbers)))
        return fail(shared->state, "mdb_env_stat", code);
    return new_stat(shared->state, numbers);
}

/* How many pages are free in the snapshot.  Its free list is read once for each snapshot. */
static PyObject *count_free_pages(PyObject *env, Shared *shared, size_t snapshot)
{
    PyObject *pair, *count = NULL;
    size_t counted;

    if (shared->free_pages && shared->free_pages_at == snapshot)
        return Py_NewRef(shared->free_pages);
    Py_INCREF(shared);
    pair = in_python(env, "free_pages");
    if (pair && PyArg_ParseTuple(pair, "nO", (Py_ssize_t *)&counted, &count)) {
        Py_INCREF(count);
        if (count != Py_None) {
            Py_XSETREF(shared->free_pages, Py_NewRef(count));
            shared->free_pages_at = counted;
        }
    }
    Py_XDECREF(pair);
    Py_DECREF(shared);
    return count;
}

PyObject *environment_info(PyObject *self, PyObject *ignored)
{
    Shared *shared = at_once((EnvironmentCore *)self);
    PyObject *record, *last, *count;
    size_t numbers[PYLMDB_INFO_SIZE];
    const Exporter *each;
    CoreState *state;
    int code;

    if (!shared)
        return in_python(self, "info");
    state = shared->state;
    if ((code = shared->engine->env_info(shared->pool->env, numbers)))
        return fail(state, "mdb_env_info", code);
    for (each = shared->pinned; each; each = each->older)
        numbers[PYLMDB_INFO_PINNED]++;
    if (!(count = count_free_pages(self, shared, numbers[PYLMDB_INFO_TXNID])))
        return NULL;
    record = new_record(&state->info, numbers, PYLMDB_INFO_SIZE);
    last = PyTuple_GET_ITEM(state->info.fields, PYLMDB_INFO_SIZE);
    if (record && PyDict_SetItem(record, last, count))
        Py_CLEAR(record);
    Py_DECREF(count);
    return record;
}

PyObject *environment_max_key_size(PyObject *self, PyObject *ignored)
{
    Shared *shared = at_once((EnvironmentCore *)self);

    if (!shared)
        return in_python(self, "max_key_size");
    return PyLong_FromLong(shared->engine->env_get_maxkeysize(shared->pool->env));
}

PyObject *environment_max_readers(PyObject *self, PyObject *ignored)
{
    Shared *shared = at_once((EnvironmentCore *)self);
    unsigned int readers;
    int code;

    if (!shared)
        return in_python(self, "max_readers");
    if ((code = shared->engine->env_get_maxreaders(shared->pool->env, &readers)))
        return fail(shared->state, "mdb_env_get_maxreaders", code);
    return PyLong_FromUnsignedLong(readers);
}

/* -- transactions ------------------------------------------------------------------ */

PyObject *transaction_id(PyObject *self, PyObject *ignored)
{
    Transaction *txn = (Transaction *)self;

    return guard(txn) ? NULL : PyLong_FromSize_t(txn->engine->txn_id(txn->native.ptr));
}

static const Signature stat_signature = {"stat", 0, 1, 1, {ARG_DB}};

PyObject *transaction_stat(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    Transaction *txn = (Transaction *)self;
    size_t numbers[PYLMDB_STAT_SIZE];
    PyObject *db;
    Slot *slot;
    int code;

    if (parse_arguments(txn->state, &stat_signature, args, nargs, kwnames, &db) || guard(txn) ||
        !(slot = slot_for(txn, db)))
        return NULL;
    code = txn->engine->stat(txn->native.ptr, slot->native.dbi, numbers);
    if (code)
        return fail_database(txn->state, "stat", "mdb_stat", code, slot);
    return new_stat(txn->state, numbers);
}
