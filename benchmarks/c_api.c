/* SPDX-License-Identifier: MIT */
/* The loops of c_api.py over the C API: the time of each operation without Python.
 *
 * Each function of the module takes a transaction, and returns the seconds that its steps alone
 * took.  The loops are functions of their own, because callgrind counts their instructions by
 * their names. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pylmdb.h>

#include "loops.h"

static void touch(const PyLMDB_Value *value)
{
    sink ^= *(const unsigned char *)value->data;
}

/* Keys of one width, one after another, each of them looked up once or several times. */
struct keys {
    const char *first;
    size_t width, size, operations;
};

typedef int loop(PyLMDB_Hold *hold, const struct keys *keys);

int c_api_get(PyLMDB_Hold *hold, const struct keys *keys)
{
    const char *key = keys->first, *const end = keys->first + keys->size;
    PyLMDB_Value value;
    size_t i;
    int code;

    for (i = 0; i < keys->operations; i++) {
        if ((code = PyLMDB_Get(hold, key, keys->width, &value)))
            return code;
        touch(&value);
        if ((key += keys->width) == end)
            key = keys->first;
    }
    return 0;
}

static int see(void *seen, const PyLMDB_Value *key, const PyLMDB_Value *value)
{
    touch(key);
    touch(value);
    ++*(size_t *)seen;
    return 0;
}

int c_api_range(PyLMDB_Hold *hold, const struct keys *keys)
{
    size_t seen = 0;
    const int code = PyLMDB_Range(hold, NULL, NULL, 0, see, &seen);

    return code || seen == keys->operations ? code : PYLMDB_CORRUPTED;
}

int c_api_bounded(PyLMDB_Hold *hold, const struct keys *keys)
{
    const PyLMDB_Value stop = {2, "zz"};
    size_t seen = 0;
    const int code = PyLMDB_Range(hold, NULL, &stop, 0, see, &seen);

    return code || seen == keys->operations ? code : PYLMDB_CORRUPTED;
}

int c_api_cursor(PyLMDB_Hold *hold, const struct keys *keys)
{
    PyLMDB_Value key, value;
    PyLMDB_Cursor *cursor;
    size_t seen = 0;
    int code = PyLMDB_OpenCursor(hold, &cursor);

    if (code)
        return code;
    while (!(code = PyLMDB_MoveCursor(cursor, PYLMDB_NEXT, &key, &value))) {
        touch(&key);
        touch(&value);
        seen++;
    }
    PyLMDB_CloseCursor(cursor);
    if (code != PYLMDB_NOTFOUND)
        return code;
    return seen == keys->operations ? 0 : PYLMDB_CORRUPTED;
}

/* -- the module ------------------------------------------------------------------------ */

static PyObject *run(PyObject *args, loop *body)
{
    Py_ssize_t size;
    struct keys keys;
    PyLMDB_Hold *hold;
    PyObject *txn;
    double seconds;
    int code;

    if (!PyArg_ParseTuple(args, "Oy#nn", &txn, &keys.first, &size, &keys.width, &keys.operations))
        return NULL;
    keys.size = (size_t)size;
    if (!(hold = PyLMDB_Acquire(txn, NULL)))
        return NULL;
    seconds = now();
    code = body(hold, &keys);
    seconds = now() - seconds;
    if (code)
        PyLMDB_SetError(hold, code);
    PyLMDB_Release(hold);
    return code ? NULL : PyFloat_FromDouble(seconds);
}

static PyObject *get(PyObject *module, PyObject *args)
{
    (void)module;
    return run(args, c_api_get);
}

static PyObject *range(PyObject *module, PyObject *args)
{
    (void)module;
    return run(args, c_api_range);
}

static PyObject *bounded(PyObject *module, PyObject *args)
{
    (void)module;
    return run(args, c_api_bounded);
}

static PyObject *cursor(PyObject *module, PyObject *args)
{
    (void)module;
    return run(args, c_api_cursor);
}

__attribute__((noinline)) int c_api_hold(PyObject *txn, Py_ssize_t operations)
{
    for (; operations; operations--) {
        PyLMDB_Hold *hold = PyLMDB_Acquire(txn, NULL);

        if (!hold)
            return -1;
        PyLMDB_Release(hold);
    }
    return 0;
}

static PyObject *hold(PyObject *module, PyObject *args)
{
    Py_ssize_t operations;
    double seconds;
    PyObject *txn;

    (void)module;
    if (!PyArg_ParseTuple(args, "On", &txn, &operations))
        return NULL;
    seconds = now();
    if (c_api_hold(txn, operations))
        return NULL;
    return PyFloat_FromDouble(now() - seconds);
}

static PyMethodDef methods[] = {
    {"get", get, METH_VARARGS, NULL},         {"range", range, METH_VARARGS, NULL},
    {"bounded", bounded, METH_VARARGS, NULL}, {"cursor", cursor, METH_VARARGS, NULL},
    {"hold", hold, METH_VARARGS, NULL},       {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "pylmdb_c_api_loops", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_pylmdb_c_api_loops(void)
{
    return import_pylmdb() < 0 ? NULL : PyModule_Create(&definition);
}
