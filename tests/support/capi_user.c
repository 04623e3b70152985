/* SPDX-License-Identifier: MIT */
/* A library that uses the C API: each function of pylmdb.h, for tests.  Holds and cursors are
 * numbers, their addresses. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pylmdb.h>

#include <stdatomic.h>

static void *pointer(unsigned long long number)
{
    return (void *)(size_t)number;
}

static PyObject *number(const void *address)
{
    return PyLong_FromVoidPtr((void *)address);
}

static PyObject *bytes(const PyLMDB_Value *value)
{
    return PyBytes_FromStringAndSize((const char *)value->data, (Py_ssize_t)value->size);
}

/* True, False for an answer that is no failure, or an exception. */
static PyObject *answer(PyLMDB_Hold *hold, int code)
{
    if (code && code != PYLMDB_NOTFOUND && code != PYLMDB_KEYEXIST)
        return PyLMDB_SetError(hold, code);
    return PyBool_FromLong(!code);
}

static PyObject *kinds(PyObject *module, PyObject *object)
{
    return Py_BuildValue("(iiii)", PyLMDB_Environment_Check(object),
                         PyLMDB_Transaction_Check(object), PyLMDB_Cursor_Check(object),
                         PyLMDB_Database_Check(object));
}

static PyObject *open_env(PyObject *module, PyObject *args)
{
    PyObject *path, *options = NULL;

    return PyArg_ParseTuple(args, "O|O", &path, &options) ? PyLMDB_Open(path, options) : NULL;
}

static PyObject *begin(PyObject *module, PyObject *args)
{
    PyObject *env;
    double timeout;
    int write;

    if (!PyArg_ParseTuple(args, "Opd", &env, &write, &timeout))
        return NULL;
    return PyLMDB_Begin(env, write, timeout);
}

static PyObject *commit(PyObject *module, PyObject *txn)
{
    return PyLMDB_Commit(txn) ? NULL : Py_NewRef(Py_None);
}

static PyObject *abort_txn(PyObject *module, PyObject *txn)
{
    return PyLMDB_Abort(txn) ? NULL : Py_NewRef(Py_None);
}

static PyObject *acquire(PyObject *module, PyObject *args)
{
    PyObject *txn, *db = NULL;
    PyLMDB_Hold *hold;

    if (!PyArg_ParseTuple(args, "O|O", &txn, &db) || !(hold = PyLMDB_Acquire(txn, db)))
        return NULL;
    return number(hold);
}

static PyObject *release(PyObject *module, PyObject *hold)
{
    PyLMDB_Release((PyLMDB_Hold *)PyLong_AsVoidPtr(hold));
    return Py_NewRef(Py_None);
}

static PyObject *shown(PyObject *module, PyObject *number)
{
    const PyLMDB_Hold *hold = (PyLMDB_Hold *)PyLong_AsVoidPtr(number);

    return Py_BuildValue("(KII)", (unsigned long long)(size_t)hold->txn, hold->dbi, hold->flags);
}

static PyObject *get(PyObject *module, PyObject *args)
{
    unsigned long long hold;
    PyLMDB_Value key, value;
    Py_ssize_t size;
    int code;

    if (!PyArg_ParseTuple(args, "Ky#", &hold, &key.data, &size))
        return NULL;
    Py_BEGIN_ALLOW_THREADS code =
        PyLMDB_Get((PyLMDB_Hold *)pointer(hold), key.data, (size_t)size, &value);
    Py_END_ALLOW_THREADS if (code == PYLMDB_NOTFOUND) return Py_NewRef(Py_None);
    return code ? PyLMDB_SetError((PyLMDB_Hold *)pointer(hold), code) : bytes(&value);
}

static PyObject *set_error(PyObject *module, PyObject *args)
{
    unsigned long long hold;
    int code;

    if (!PyArg_ParseTuple(args, "Ki", &hold, &code))
        return NULL;
    return PyLMDB_SetError((PyLMDB_Hold *)pointer(hold), code);
}

static PyObject *view(PyObject *module, PyObject *args)
{
    unsigned long long hold;
    PyLMDB_Value value;
    const char *key;
    Py_ssize_t size, shift = 0;
    int code;

    if (!PyArg_ParseTuple(args, "Ky#|n", &hold, &key, &size, &shift))
        return NULL;
    code = PyLMDB_Get((PyLMDB_Hold *)pointer(hold), key, (size_t)size, &value);
    if (code)
        return PyLMDB_SetError((PyLMDB_Hold *)pointer(hold), code);
    value.data = (char *)value.data + shift;
    return PyLMDB_View((PyLMDB_Hold *)pointer(hold), &value);
}

static PyObject *put(PyObject *module, PyObject *args)
{
    const char *key, *value;
    Py_ssize_t key_size, value_size;
    unsigned long long hold;
    unsigned int flags = 0;
    int code;

    if (!PyArg_ParseTuple(args, "Kz#z#|I", &hold, &key, &key_size, &value, &value_size, &flags))
        return NULL;
    code = PyLMDB_Put((PyLMDB_Hold *)pointer(hold), key, (size_t)key_size, value,
                      (size_t)value_size, flags);
    return answer((PyLMDB_Hold *)pointer(hold), code);
}

static PyObject *delete_record(PyObject *module, PyObject *args)
{
    const char *key, *value = NULL;
    Py_ssize_t key_size, value_size = 0;
    unsigned long long hold;
    int code;

    if (!PyArg_ParseTuple(args, "Kz#|z#", &hold, &key, &key_size, &value, &value_size))
        return NULL;
    code = PyLMDB_Delete((PyLMDB_Hold *)pointer(hold), key, (size_t)key_size, value,
                         (size_t)value_size);
    return answer((PyLMDB_Hold *)pointer(hold), code);
}

/* Call a Python function with each record; a result other than None ends the range with 7. */
static int call(void *context, const PyLMDB_Value *key, const PyLMDB_Value *value)
{
    PyObject *result = PyObject_CallFunction(
        (PyObject *)context, "y#y#", (const char *)key->data, (Py_ssize_t)key->size,
        value ? (const char *)value->data : NULL, (Py_ssize_t)(value ? value->size : 0));
    const int done = result != Py_None;

    Py_XDECREF(result);
    return done ? 7 : 0;
}

static PyObject *range(PyObject *module, PyObject *args)
{
    unsigned long long hold;
    PyLMDB_Value start, stop;
    const char *first, *last;
    Py_ssize_t first_size, last_size;
    unsigned int flags;
    PyObject *function;
    int code;

    if (!PyArg_ParseTuple(args, "Kz#z#IO", &hold, &first, &first_size, &last, &last_size, &flags,
                          &function))
        return NULL;
    start.data = (void *)first;
    start.size = (size_t)first_size;
    stop.data = (void *)last;
    stop.size = (size_t)last_size;
    code = PyLMDB_Range((PyLMDB_Hold *)pointer(hold), first ? &start : NULL, last ? &stop : NULL,
                        flags, call, function);
    if (PyErr_Occurred())
        return NULL;
    return code && code != 7 ? PyLMDB_SetError((PyLMDB_Hold *)pointer(hold), code)
                             : PyLong_FromLong(code);
}

static PyObject *open_cursor(PyObject *module, PyObject *hold)
{
    PyLMDB_Cursor *cursor;
    const int code = PyLMDB_OpenCursor((PyLMDB_Hold *)PyLong_AsVoidPtr(hold), &cursor);

    return code ? PyLMDB_SetError((PyLMDB_Hold *)PyLong_AsVoidPtr(hold), code) : number(cursor);
}

static PyObject *close_cursor(PyObject *module, PyObject *cursor)
{
    PyLMDB_CloseCursor((PyLMDB_Cursor *)PyLong_AsVoidPtr(cursor));
    return Py_NewRef(Py_None);
}

/* move(hold, cursor, movement, key=None, value=None): the record, or None */
static PyObject *move(PyObject *module, PyObject *args)
{
    unsigned long long hold, cursor;
    PyLMDB_Value key, value;
    const char *given_key = NULL, *given_value = NULL;
    Py_ssize_t key_size = 0, value_size = 0;
    int movement, code;

    if (!PyArg_ParseTuple(args, "KKi|z#z#", &hold, &cursor, &movement, &given_key, &key_size,
                          &given_value, &value_size))
        return NULL;
    key.data = (void *)given_key;
    key.size = (size_t)key_size;
    value.data = (void *)given_value;
    value.size = (size_t)value_size;
    code = PyLMDB_MoveCursor((PyLMDB_Cursor *)pointer(cursor), (enum PyLMDB_Movement)movement, &key,
                             &value);
    if (code == PYLMDB_NOTFOUND)
        return Py_NewRef(Py_None);
    if (code)
        return PyLMDB_SetError((PyLMDB_Hold *)pointer(hold), code);
    if (key.data == given_key && given_key) {
        PyErr_SetString(PyExc_AssertionError, "the key is the caller's, not the database's");
        return NULL;
    }
    return Py_BuildValue("NN", bytes(&key), bytes(&value));
}

static PyObject *delete_at(PyObject *module, PyObject *args)
{
    unsigned long long hold, cursor;
    int all = 0, code;

    if (!PyArg_ParseTuple(args, "KK|p", &hold, &cursor, &all))
        return NULL;
    code = PyLMDB_DeleteAtCursor((PyLMDB_Cursor *)pointer(cursor), all);
    return answer((PyLMDB_Hold *)pointer(hold), code);
}

/* -- without the GIL ----------------------------------------------------------------- */

static atomic_int rounds, told;

/* How many rounds read_all() has made, in all threads. */
static PyObject *rounds_made(PyObject *module, PyObject *ignored)
{
    return PyLong_FromLong(atomic_load(&rounds));
}

static PyObject *tell(PyObject *module, PyObject *stop)
{
    atomic_store(&told, PyObject_IsTrue(stop));
    return Py_NewRef(Py_None);
}

static int add_bytes(void *context, const PyLMDB_Value *key, const PyLMDB_Value *value)
{
    const unsigned char *each = (const unsigned char *)value->data;
    size_t i;

    for (i = 0; i < value->size; i++)
        *(unsigned long long *)context += each[i];
    return 0;
}

/* Add all bytes of all values without the GIL, until told to stop, but at least once; raise if the
 * sum changes. */
static PyObject *read_all(PyObject *module, PyObject *number)
{
    PyLMDB_Hold *hold = (PyLMDB_Hold *)PyLong_AsVoidPtr(number);
    unsigned long long first = 0, sum = 0;
    int code, started = 0;

    Py_BEGIN_ALLOW_THREADS do
    {
        sum = 0;
        code = PyLMDB_Range(hold, NULL, NULL, 0, add_bytes, &sum);
        first = started ? first : sum;
        started = 1;
        atomic_fetch_add(&rounds, 1);
    }
    while (!code && sum == first && !atomic_load(&told))
        ;
    Py_END_ALLOW_THREADS if (code) return PyLMDB_SetError(hold, code);
    if (sum != first) {
        PyErr_SetString(PyExc_AssertionError, "the snapshot has changed");
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"kinds", kinds, METH_O, NULL},
    {"open", open_env, METH_VARARGS, NULL},
    {"begin", begin, METH_VARARGS, NULL},
    {"commit", commit, METH_O, NULL},
    {"abort", abort_txn, METH_O, NULL},
    {"acquire", acquire, METH_VARARGS, NULL},
    {"release", release, METH_O, NULL},
    {"shown", shown, METH_O, NULL},
    {"get", get, METH_VARARGS, NULL},
    {"set_error", set_error, METH_VARARGS, NULL},
    {"view", view, METH_VARARGS, NULL},
    {"put", put, METH_VARARGS, NULL},
    {"delete", delete_record, METH_VARARGS, NULL},
    {"range", range, METH_VARARGS, NULL},
    {"open_cursor", open_cursor, METH_O, NULL},
    {"close_cursor", close_cursor, METH_O, NULL},
    {"move", move, METH_VARARGS, NULL},
    {"delete_at", delete_at, METH_VARARGS, NULL},
    {"rounds_made", rounds_made, METH_NOARGS, NULL},
    {"tell", tell, METH_O, NULL},
    {"read_all", read_all, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "capi_user", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_capi_user(void)
{
    return import_pylmdb() < 0 ? NULL : PyModule_Create(&definition);
}
