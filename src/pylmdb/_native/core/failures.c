/* SPDX-License-Identifier: MIT */
/* Raise exceptions, and call Python.  pylmdb.errors has the table from code to class, and
 * pylmdb._core_rules.refusals the one from name to class and message. */
#include "core.h"

#include <stdarg.h>

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

PyObject *fail_write(CoreState *state, const char *what, int code, const Slot *slot,
                     const void *key, size_t key_size, size_t value_size)
{
    return raise_made(PyObject_CallFunction(state->database_error, "siOy#n", what, code, slot, key,
                                            (Py_ssize_t)key_size, (Py_ssize_t)value_size));
}

PyObject *fail_database(CoreState *state, const char *what, int code, const Slot *slot)
{
    return raise_made(PyObject_CallFunction(state->database_error, "siO", what, code, slot));
}

PyObject *fail_open_db(CoreState *state, int code, PyObject *name)
{
    if (code == RAISED)
        return NULL;
    return raise_made(PyObject_CallFunction(state->open_db_error, "iO", code, name));
}

PyObject *make_refusal(CoreState *state, const char *format, ...)
{
    PyObject *args, *made;
    va_list values;

    va_start(values, format);
    args = Py_VaBuildValue(format, values);
    va_end(values);
    made = args ? PyObject_CallFunction(state->refusal, "O", args) : NULL;
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
