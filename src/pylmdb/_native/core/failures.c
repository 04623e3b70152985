/* SPDX-License-Identifier: MIT */
/* Raise exceptions, and call Python.  pylmdb.errors has the table from code to class,
 * pylmdb._core_rules.failures the messages for codes, and pylmdb._core_rules.refusals the table
 * from name to class and message. */
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
