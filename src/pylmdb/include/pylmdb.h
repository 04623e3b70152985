/* SPDX-License-Identifier: MIT */
/* The C API of pylmdb, for extension modules in C, C++ and Cython.
 *
 *     #include <Python.h>
 *     #include <pylmdb.h>                   // in the directory pylmdb.get_include()
 *
 *     PyMODINIT_FUNC PyInit_example(void)
 *     {
 *         if (import_pylmdb() < 0)
 *             return NULL;
 *         ...
 *
 * The header needs nothing else, neither lmdb.h nor a library to link with, and only functions of
 * Python's limited API.  Each C file that includes it calls import_pylmdb() once.
 *
 * A program in C works on a *hold*: a transaction of pylmdb together with one of its databases.
 * PyLMDB_Acquire() makes it and PyLMDB_Release() ends it; both need the GIL.  In between, the
 * native transaction does not end and its memory map stays where it is, whatever other threads
 * do, so the program can release the GIL.  The functions of the sections "records" and "cursors"
 * need no GIL and call no Python code.
 *
 * A hold and its cursors are used by one thread at a time.  Several holds of one read transaction
 * can be used by several threads at once, also while Python code uses the transaction.
 * If a read transaction is ended meanwhile, it is ended for Python code at once, and natively
 * with its last hold.
 * While a write transaction is held, pylmdb refuses all other operations on it with BusyError, in
 * the thread that holds it; abort() takes effect with the last release, as closing the
 * environment does.  Holds can be nested.  A write transaction is held in its own thread only.
 *
 * Functions that return int return 0 or an error code of LMDB or of the system; PyLMDB_SetError()
 * raises pylmdb's exception for it.  Functions that return a pointer, and those whose comment
 * says "raises", set an exception.
 *
 * The numbers of the ABI: an extension works with every pylmdb that has the same major number and
 * at least the minor number of the header that it was compiled with.  import_pylmdb() checks
 * that.
 */
#ifndef PYLMDB_H
#define PYLMDB_H

#include <Python.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PYLMDB_ABI_MAJOR 1
#define PYLMDB_ABI_MINOR 0

/* -- numbers; lmdb.h has the same, as MDB_... ---------------------------------------- */

/* codes */
#define PYLMDB_KEYEXIST (-30799)
#define PYLMDB_NOTFOUND (-30798)
#define PYLMDB_CORRUPTED (-30796)
#define PYLMDB_MAP_FULL (-30792)
#define PYLMDB_BAD_TXN (-30782)
#define PYLMDB_BAD_VALSIZE (-30781)
/* The hold belongs to the process that has forked this one: release it, and acquire another. */
#define PYLMDB_FORKED (-30706)

/* flags of a database, in PyLMDB_Hold.flags */
#define PYLMDB_REVERSEKEY 0x02
#define PYLMDB_DUPSORT 0x04
#define PYLMDB_INTEGERKEY 0x08
#define PYLMDB_DUPFIXED 0x10
#define PYLMDB_INTEGERDUP 0x20
#define PYLMDB_REVERSEDUP 0x40

/* flags of PyLMDB_Put() */
#define PYLMDB_NOOVERWRITE 0x10
#define PYLMDB_NODUPDATA 0x20
#define PYLMDB_APPEND 0x20000

/* movements of PyLMDB_MoveCursor() */
enum PyLMDB_Movement {
    PYLMDB_FIRST = 0,
    PYLMDB_FIRST_DUP = 1,
    PYLMDB_GET_BOTH = 2,       /* to the record with *key and *value */
    PYLMDB_GET_BOTH_RANGE = 3, /* to *key, and its first value that is not less than *value */
    PYLMDB_GET_CURRENT = 4,    /* stay, and read again */
    PYLMDB_LAST = 6,
    PYLMDB_LAST_DUP = 7,
    PYLMDB_NEXT = 8,
    PYLMDB_NEXT_DUP = 9,
    PYLMDB_NEXT_NODUP = 11,
    PYLMDB_PREV = 12,
    PYLMDB_PREV_DUP = 13,
    PYLMDB_PREV_NODUP = 14,
    PYLMDB_SET_KEY = 16,  /* to *key */
    PYLMDB_SET_RANGE = 17 /* to the first key that is not less than *key */
};

/* flags of PyLMDB_Range() */
#define PYLMDB_RANGE_REVERSE 0x01
#define PYLMDB_RANGE_EXCLUDE_START 0x02
#define PYLMDB_RANGE_INCLUDE_STOP 0x04
#define PYLMDB_RANGE_NO_VALUES 0x08

/* kinds of objects, for PyLMDB_IsA() */
enum PyLMDB_Kind { PYLMDB_ENVIRONMENT, PYLMDB_TRANSACTION, PYLMDB_CURSOR, PYLMDB_DATABASE };

/* -- types ----------------------------------------------------------------------------- */

/* A key or a value; it has the layout of MDB_val.  What the functions return points into the
 * memory map or, in a write transaction, into a page that is not written yet.  It is valid until
 * the release; in a write transaction until the next write. */
typedef struct PyLMDB_Value {
    size_t size;
    void *data;
} PyLMDB_Value;

/* The first members of a hold, which are read-only.  With txn and dbi one can call functions of
 * the liblmdb that pylmdb uses, by their addresses from pylmdb.lowlevel.engine(env).lib. */
typedef struct PyLMDB_Hold {
    struct MDB_txn *txn;
    unsigned int dbi;
    unsigned int flags; /* of the database */
} PyLMDB_Hold;

typedef struct PyLMDB_Cursor PyLMDB_Cursor;

/* Called with each record of a range; a result other than 0 ends the range. */
typedef int PyLMDB_OnRecord(void *context, const PyLMDB_Value *key, const PyLMDB_Value *value);

/* The table behind the capsule pylmdb._core._C_API.  New members come at its end, with a higher
 * minor number. */
typedef struct PyLMDB_API {
    unsigned int abi_major, abi_minor;
    size_t size;         /* of the table */
    const char *version; /* of pylmdb */
    int (*is_a)(PyObject *object, int kind);
    PyObject *(*open)(PyObject *path, PyObject *options);
    PyObject *(*begin)(PyObject *env, int write, double timeout);
    int (*commit)(PyObject *txn);
    int (*abort)(PyObject *txn);
    PyLMDB_Hold *(*acquire)(PyObject *txn, PyObject *db);
    void (*release)(PyLMDB_Hold *hold);
    PyObject *(*view)(PyLMDB_Hold *hold, const PyLMDB_Value *value);
    PyObject *(*set_error)(PyLMDB_Hold *hold, int code);
    int (*get)(PyLMDB_Hold *hold, const void *key, size_t key_size, PyLMDB_Value *value);
    int (*put)(PyLMDB_Hold *hold, const void *key, size_t key_size, const void *value,
               size_t value_size, unsigned int flags);
    int (*del)(PyLMDB_Hold *hold, const void *key, size_t key_size, const void *value,
               size_t value_size);
    int (*range)(PyLMDB_Hold *hold, const PyLMDB_Value *start, const PyLMDB_Value *stop,
                 unsigned int flags, PyLMDB_OnRecord *on_record, void *context);
    int (*cursor_open)(PyLMDB_Hold *hold, PyLMDB_Cursor **cursor);
    void (*cursor_close)(PyLMDB_Cursor *cursor);
    int (*cursor_move)(PyLMDB_Cursor *cursor, int movement, PyLMDB_Value *key, PyLMDB_Value *value);
    int (*cursor_delete)(PyLMDB_Cursor *cursor, int all_values);
} PyLMDB_API;

/* Set by import_pylmdb(). */
static const PyLMDB_API *PyLMDB_api = NULL;

/* -- import ---------------------------------------------------------------------------- */

static inline int PyLMDB_refuse_import(const PyLMDB_API *api)
{
    int major, minor;

    if (!api) {
        PyErr_SetString(
            PyExc_ImportError,
            "pylmdb has no C API in this process: it needs pylmdb 3.1 or later, CPython "
            "and the C core; unset the environment variable PYLMDB_CORE");
        return -1;
    }
    major = (int)api->abi_major;
    minor = (int)api->abi_minor;
    if (major == PYLMDB_ABI_MAJOR && minor >= PYLMDB_ABI_MINOR)
        return 0;
    PyErr_Format(PyExc_ImportError,
                 "this extension was compiled for the C API %d.%d of pylmdb, and pylmdb %s has "
                 "%d.%d; %s",
                 PYLMDB_ABI_MAJOR, PYLMDB_ABI_MINOR, api->version, major, minor,
                 major > PYLMDB_ABI_MAJOR ? "compile it again, with the header of this pylmdb"
                                          : "install a newer pylmdb");
    return -1;
}

/* Import pylmdb, and get its C API; 0, or -1: raises ImportError. */
static inline int import_pylmdb(void)
{
    PyObject *package = PyImport_ImportModule("pylmdb"), *core, *capsule;
    const PyLMDB_API *api = NULL;

    if (!package)
        return -1;
    core = PyObject_GetAttrString(package, "_core");
    capsule = core ? PyObject_GetAttrString(core, "_C_API") : NULL;
    if (capsule)
        api = (const PyLMDB_API *)PyCapsule_GetPointer(capsule, "pylmdb._core._C_API");
    PyErr_Clear();
    Py_XDECREF(capsule);
    Py_XDECREF(core);
    Py_DECREF(package);
    if (PyLMDB_refuse_import(api))
        return -1;
    PyLMDB_api = api;
    return 0;
}

/* -- objects; these need the GIL ------------------------------------------------------- */

/* 1 if the object is of that class of pylmdb or of a class derived from it, else 0. */
static inline int PyLMDB_IsA(PyObject *object, enum PyLMDB_Kind kind)
{
    return PyLMDB_api->is_a(object, (int)kind);
}

#define PyLMDB_Environment_Check(object) PyLMDB_IsA(object, PYLMDB_ENVIRONMENT)
#define PyLMDB_Transaction_Check(object) PyLMDB_IsA(object, PYLMDB_TRANSACTION)
#define PyLMDB_Cursor_Check(object) PyLMDB_IsA(object, PYLMDB_CURSOR)
#define PyLMDB_Database_Check(object) PyLMDB_IsA(object, PYLMDB_DATABASE)

/* pylmdb.open(path, **options); options is a dict, or NULL.  If the process has the file open, the
 * native environment is shared. */
static inline PyObject *PyLMDB_Open(PyObject *path, PyObject *options)
{
    return PyLMDB_api->open(path, options);
}

/* env.begin(write=, timeout=): a new Transaction.  It waits for the writer lock without the GIL, for
 * timeout seconds, or without a limit if timeout is negative; a signal handler that raises ends
 * the wait. */
static inline PyObject *PyLMDB_Begin(PyObject *env, int write, double timeout)
{
    return PyLMDB_api->begin(env, write, timeout);
}

/* txn.commit() and txn.abort(); 0, or -1: raises.  Release the holds before. */
static inline int PyLMDB_Commit(PyObject *txn)
{
    return PyLMDB_api->commit(txn);
}

static inline int PyLMDB_Abort(PyObject *txn)
{
    return PyLMDB_api->abort(txn);
}

/* Hold a transaction and a database, which is None or NULL for the transaction's own database.
 * The hold has a reference to the transaction.  Raises what any operation would raise: ClosedError,
 * WrongThreadError, BusyError, TypeError. */
static inline PyLMDB_Hold *PyLMDB_Acquire(PyObject *txn, PyObject *db)
{
    return PyLMDB_api->acquire(txn, db);
}

/* End a hold, and close the cursors of it that are open; NULL does nothing.  It keeps the exception
 * that is set.  What was ended meanwhile ends now, so Python code can run. */
static inline void PyLMDB_Release(PyLMDB_Hold *hold)
{
    PyLMDB_api->release(hold);
}

/* A read-only memoryview of a key or value that was found.  In a read transaction it shows the
 * map, and keeps the snapshot after the release, too; in a write transaction it has a copy. */
static inline PyObject *PyLMDB_View(PyLMDB_Hold *hold, const PyLMDB_Value *value)
{
    return PyLMDB_api->view(hold, value);
}

/* Raise the exception for a code that the last failed function of this hold has returned.  Its
 * message has the operation, and the database, the key or the sizes that it is about.  Returns
 * NULL. */
static inline PyObject *PyLMDB_SetError(PyLMDB_Hold *hold, int code)
{
    return PyLMDB_api->set_error(hold, code);
}

/* -- records; these need no GIL --------------------------------------------------------- */

/* Get the value of a key; the first one, if it has several. */
static inline int PyLMDB_Get(PyLMDB_Hold *hold, const void *key, size_t key_size,
                             PyLMDB_Value *value)
{
    return PyLMDB_api->get(hold, key, key_size, value);
}

/* Store a record.  PYLMDB_KEYEXIST: the record exists, and PYLMDB_NOOVERWRITE, PYLMDB_NODUPDATA or
 * PYLMDB_APPEND forbids to replace it. */
static inline int PyLMDB_Put(PyLMDB_Hold *hold, const void *key, size_t key_size, const void *value,
                             size_t value_size, unsigned int flags)
{
    return PyLMDB_api->put(hold, key, key_size, value, value_size, flags);
}

/* Delete a key with all of its values; with a value (not NULL), in a database with duplicates, only
 * that one. */
static inline int PyLMDB_Delete(PyLMDB_Hold *hold, const void *key, size_t key_size,
                                const void *value, size_t value_size)
{
    return PyLMDB_api->del(hold, key, key_size, value, value_size);
}

/* Call a function with each record from start up to, but without, stop; NULL: no bound.  Returns 0,
 * an error code, or what the function has returned other than 0.  In a write transaction the
 * function may put and delete.  With PYLMDB_RANGE_NO_VALUES its value is NULL.  If the function
 * forks and returns 0, the range ends with PYLMDB_FORKED in the child. */
static inline int PyLMDB_Range(PyLMDB_Hold *hold, const PyLMDB_Value *start,
                               const PyLMDB_Value *stop, unsigned int flags,
                               PyLMDB_OnRecord *on_record, void *context)
{
    return PyLMDB_api->range(hold, start, stop, flags, on_record, context);
}

/* -- cursors; these need no GIL ---------------------------------------------------------- */

static inline int PyLMDB_OpenCursor(PyLMDB_Hold *hold, PyLMDB_Cursor **cursor)
{
    return PyLMDB_api->cursor_open(hold, cursor);
}

/* NULL does nothing. */
static inline void PyLMDB_CloseCursor(PyLMDB_Cursor *cursor)
{
    PyLMDB_api->cursor_close(cursor);
}

/* Move a cursor, and get its record; NULL for a part that is not wanted.  key and value are also
 * the arguments of the movements that search.
 *
 * A new cursor has no position, and neither has one whose search has returned PYLMDB_NOTFOUND:
 * PYLMDB_NEXT moves it to the first record, and PYLMDB_PREV to the last one.  But
 * PYLMDB_SET_RANGE that finds nothing leaves it after the last record.  Any other movement that
 * returns PYLMDB_NOTFOUND leaves it in its place, without a record to read.  So PYLMDB_NEXT after
 * the end finds nothing as often as it is called, and PYLMDB_PREV then moves to the last record
 * but one, as in liblmdb. */
static inline int PyLMDB_MoveCursor(PyLMDB_Cursor *cursor, enum PyLMDB_Movement movement,
                                    PyLMDB_Value *key, PyLMDB_Value *value)
{
    return PyLMDB_api->cursor_move(cursor, (int)movement, key, value);
}

/* Delete the record under the cursor, or all values of its key.  The cursor moves to the next
 * record: PYLMDB_GET_CURRENT reads it, and PYLMDB_NEXT moves on from it.  PYLMDB_NOTFOUND: the cursor
 * has no position. */
static inline int PyLMDB_DeleteAtCursor(PyLMDB_Cursor *cursor, int all_values)
{
    return PyLMDB_api->cursor_delete(cursor, all_values);
}

#ifdef __cplusplus
}
#endif

#endif
