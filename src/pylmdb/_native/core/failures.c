/* SPDX-License-Identifier: MIT */
/* Raise exceptions, and call Python.  pylmdb.errors has the table from code to class,
 * pylmdb._core_rules.failures the messages for codes, and pylmdb._core_rules.refusals the table
 * from name to class and message. */
#include "core.h"

#include <stdarg.h>

/* -- what is imported ----------------------------------------------------------- */

static int take_attribute(const char *module, const char *name, PyObject **out)
{
    PyObject *imported = PyImport_ImportModule(module);
    PyObject *found = imported ? PyObject_GetAttrString(imported, name) : NULL;

    Py_XDECREF(imported);
    if (found)
        Py_XSETREF(*out, found);
    return found ? 0 : -1;
}

/* numbers.c needs a name for each number in its arrays. */
static int take_record(const char *class, const char *fields, Py_ssize_t count, RecordKind *out)
{
    const char *const module = "pylmdb.types";
    PyObject *empty = PyDict_New();
    Py_ssize_t i;

    if (!empty)
        return -1;
    Py_XSETREF(out->empty, empty);
    if (take_attribute(module, class, &out->class) || take_attribute(module, fields, &out->fields))
        return -1;
    if (!PyTuple_Check(out->fields) || PyTuple_GET_SIZE(out->fields) != count) {
        PyErr_Format(PyExc_ImportError, "pylmdb.types.%s must have %zd names; install pylmdb again",
                     fields, count);
        return -1;
    }
    for (i = 0; i < count; i++)
        if (PyDict_SetItem(out->empty, PyTuple_GET_ITEM(out->fields, i), Py_None))
            return -1;
    return 0;
}

/* Import what failures, records and waits need.  Before an engine joins, an object can do nothing
 * but refuse, so the import of pylmdb does without it. */
int take_python_side(CoreState *state)
{
    const struct {
        const char *module, *name;
        PyObject **out;
    } wanted[] = {
        {"pylmdb.errors", "error", &state->error},
        {"pylmdb.errors", "WrongThreadError", &state->wrong_thread_error},
        {"pylmdb._core_rules.refusals", "refusal", &state->refusal},
        {"pylmdb._core_rules.failures", "database_error", &state->database_error},
        {"pylmdb._core_rules.failures", "open_db_error", &state->open_db_error},
        {"pylmdb._base.integers", "integer", &state->integer},
        {"pylmdb._core_rules.ranges", "successor", &state->successor},
        {"pylmdb._core_rules.ranges", "record_count", &state->record_count},
        {"pylmdb._core_rules.numbers", "next_number", &state->next_number},
        {"pylmdb._core_rules.writer_gate", "deadline_of", &state->deadline_of},
    };
    size_t i;

    if (state->has_python_side)
        return 0;
    for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (take_attribute(wanted[i].module, wanted[i].name, wanted[i].out))
            return -1;
    if (take_record("Stat", "stat_fields", PYLMDB_STAT_SIZE, &state->stat) ||
        take_record("EnvInfo", "info_fields", PYLMDB_INFO_SIZE + 1, &state->info))
        return -1;
    state->has_python_side = 1;
    return 0;
}

/* -- exceptions ----------------------------------------------------------------- */

void *raise_made(PyObject *exception)
{
    if (exception) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

PyObject *fail(CoreState *state, const char *what, int code)
{
    return raise_made(PyObject_CallFunction(state->error, "si", what, code));
}

PyObject *fail_record(CoreState *state, const char *operation, const char *what, int code,
                      const Slot *slot, const void *key, size_t key_size, size_t value_size)
{
    return raise_made(PyObject_CallFunction(state->database_error, "siOy#ns", what, code, slot, key,
                                            (Py_ssize_t)key_size, (Py_ssize_t)value_size,
                                            operation));
}

PyObject *fail_database(CoreState *state, const char *operation, const char *what, int code,
                        const Slot *slot)
{
    return raise_made(PyObject_CallFunction(state->database_error, "siOOns", what, code, slot,
                                            Py_None, (Py_ssize_t)NO_VALUE, operation));
}

PyObject *fail_open_db(const Shared *shared, int code, PyObject *name)
{
    if (code == RAISED)
        return NULL;
    return raise_made(
        PyObject_CallFunction(shared->state->open_db_error, "iOO", code, name, shared));
}

PyObject *make_refusal(CoreState *state, const char *format, ...)
{
    PyObject *args, *made;
    va_list values;

    va_start(values, format);
    args = Py_VaBuildValue(format, values);
    va_end(values);
    made =
        args && !take_python_side(state) ? PyObject_CallFunction(state->refusal, "O", args) : NULL;
    Py_XDECREF(args);
    return made;
}

int raise_refusal(PyObject *exception)
{
    raise_made(exception);
    return -1;
}

PyObject *ask(PyObject *object, const char *method, const char *format, ...)
{
    PyObject *function = PyObject_GetAttrString(object, method), *args, *result = NULL;
    va_list values;

    if (!function)
        return NULL;
    va_start(values, format);
    args = Py_VaBuildValue(format, values);
    va_end(values);
    if (args)
        result = PyObject_Call(function, args, NULL);
    Py_XDECREF(args);
    Py_DECREF(function);
    return result;
}

PyObject *cffi_pointer(Shared *shared, const char *kind, const void *address)
{
    return ask(shared->slow, kind, "(K)", (unsigned long long)(uintptr_t)address);
}
