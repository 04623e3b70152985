/* SPDX-License-Identifier: MIT */
/* Arguments of calls: keys and values as bytes, flags, and others. */
#ifndef PYLMDB_ARGUMENTS_H
#define PYLMDB_ARGUMENTS_H

#include "core.h"

/* -- arguments.c -- */

/* A key or value: bytes, or the buffer of another object. */
typedef struct {
    const void *data;
    size_t size;
    PyObject *owner;
    Py_buffer view;
} Bytes;

typedef struct {
    const char *function;
    int required, positional, count;
    enum argument names[11];
} Signature;

int parse_arguments_slow(CoreState *state, const Signature *signature, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames, PyObject **out);
/* Write borrowed references to out; NULL for an argument that is not given. */
static inline int parse_arguments(CoreState *state, const Signature *signature,
                                  PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                                  PyObject **out)
{
    int i;

    if (!LIKELY(!kwnames && nargs >= signature->required && nargs <= signature->positional))
        return parse_arguments_slow(state, signature, args, nargs, kwnames, out);
    for (i = 0; i < signature->count; i++)
        out[i] = i < nargs ? args[i] : NULL;
    return 0;
}
int parse_call(CoreState *state, const Signature *signature, PyObject *args, PyObject *kwargs,
               PyObject **out);
int get_bytes_slow(const char *name, PyObject *object, Bytes *out);
int refuse_bytes(const char *name, PyObject *object);
void drop_bytes_slow(Bytes *bytes);
static inline int is_given(PyObject *argument)
{
    return argument && argument != Py_None;
}

/* The value of a flag; NULL means the default. */
static inline int get_flag(PyObject *object, int otherwise)
{
    if (LIKELY(!object))
        return otherwise;
    if (object == Py_True || object == Py_False)
        return object == Py_True;
    return PyObject_IsTrue(object);
}

static inline int get_bytes(const char *name, PyObject *object, Bytes *out)
{
    if (LIKELY(PyBytes_CheckExact(object))) {
        out->owner = NULL;
        out->data = PyBytes_AS_STRING(object);
        out->size = (size_t)PyBytes_GET_SIZE(object);
        return 0;
    }
    return get_bytes_slow(name, object, out);
}

static inline void drop_bytes(Bytes *bytes)
{
    if (bytes->owner)
        drop_bytes_slow(bytes);
}

/* The arguments of a method of one record: a key, perhaps a value after it, and others.  The bytes
 * are taken before the guard is passed, because that can run Python code. */
typedef struct {
    PyObject *objects[7];
    Bytes key, value; /* data is NULL without a value */
} Given;

/* A value that is not required may be None. */
static inline int take_given(CoreState *state, const Signature *signature, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames, Given *given)
{
    PyObject **const objects = given->objects;

    given->value.data = NULL;
    given->value.size = 0;
    given->value.owner = NULL;
    if (parse_arguments(state, signature, args, nargs, kwnames, objects) ||
        get_bytes("key", objects[0], &given->key))
        return -1;
    if (signature->names[1] != ARG_VALUE ||
        (signature->required < 2 && (!objects[1] || objects[1] == Py_None)) ||
        !get_bytes("value", objects[1], &given->value))
        return 0;
    drop_bytes(&given->key);
    return -1;
}

static inline void drop_given(Given *given)
{
    drop_bytes(&given->value);
    drop_bytes(&given->key);
}

/* Methods of TransactionCore with keywords; the table of methods is in transaction.c. */
#define TRANSACTION_METHOD(name) \
    PyObject *transaction_##name(Transaction *self, PyObject *const *args, Py_ssize_t nargs, \
                                 PyObject *kwnames)

/* Like get_bytes_slow(), but data is NULL for a buffer that is not contiguous.  Such a buffer
 * can be joined, or copied if it has no suboffsets.  join_strided() releases the buffer, which
 * can run Python code; joined_strided() and copy_strided() do not. */
int get_strided(const char *name, PyObject *object, Bytes *out);
int join_strided(Bytes *bytes);
PyObject *joined_strided(const Bytes *bytes);
void copy_strided(char *out, const Bytes *bytes);

#endif
