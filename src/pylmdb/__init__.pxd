# SPDX-License-Identifier: MIT
"""The C API of pylmdb for Cython: ``from pylmdb cimport PyLMDB_Acquire`` and so on.

pylmdb.h, in the directory ``pylmdb.get_include()``, documents the functions.  Each module calls
``import_pylmdb()`` before it uses one.
"""

cdef extern from "pylmdb.h":
    int PYLMDB_KEYEXIST, PYLMDB_NOTFOUND, PYLMDB_CORRUPTED, PYLMDB_MAP_FULL, PYLMDB_BAD_TXN
    int PYLMDB_BAD_VALSIZE, PYLMDB_FORKED

    unsigned int PYLMDB_REVERSEKEY, PYLMDB_DUPSORT, PYLMDB_INTEGERKEY, PYLMDB_DUPFIXED
    unsigned int PYLMDB_INTEGERDUP, PYLMDB_REVERSEDUP

    unsigned int PYLMDB_NOOVERWRITE, PYLMDB_NODUPDATA, PYLMDB_APPEND

    unsigned int PYLMDB_RANGE_REVERSE, PYLMDB_RANGE_EXCLUDE_START, PYLMDB_RANGE_INCLUDE_STOP
    unsigned int PYLMDB_RANGE_NO_VALUES

    cdef enum PyLMDB_Movement:
        PYLMDB_FIRST
        PYLMDB_FIRST_DUP
        PYLMDB_GET_BOTH
        PYLMDB_GET_BOTH_RANGE
        PYLMDB_GET_CURRENT
        PYLMDB_LAST
        PYLMDB_LAST_DUP
        PYLMDB_NEXT
        PYLMDB_NEXT_DUP
        PYLMDB_NEXT_NODUP
        PYLMDB_PREV
        PYLMDB_PREV_DUP
        PYLMDB_PREV_NODUP
        PYLMDB_SET_KEY
        PYLMDB_SET_RANGE

    ctypedef struct PyLMDB_Value:
        size_t size
        void *data

    cdef struct MDB_txn

    ctypedef struct PyLMDB_Hold:
        MDB_txn *txn
        unsigned int dbi
        unsigned int flags

    ctypedef struct PyLMDB_Cursor

    ctypedef int PyLMDB_OnRecord(
        void *context, const PyLMDB_Value *key, const PyLMDB_Value *value
    ) noexcept nogil

    int import_pylmdb() except -1

    bint PyLMDB_Environment_Check(object)
    bint PyLMDB_Transaction_Check(object)
    bint PyLMDB_Cursor_Check(object)
    bint PyLMDB_Database_Check(object)

    # options is a dict, or NULL: <PyObject *>options
    object PyLMDB_Open(object path, void *options)
    object PyLMDB_Begin(object env, bint write, double timeout)
    int PyLMDB_Commit(object txn) except -1
    int PyLMDB_Abort(object txn) except -1

    # db may be None
    PyLMDB_Hold *PyLMDB_Acquire(object txn, object db) except NULL
    void PyLMDB_Release(PyLMDB_Hold *hold)
    object PyLMDB_View(PyLMDB_Hold *hold, const PyLMDB_Value *value)
    # always raises
    object PyLMDB_SetError(PyLMDB_Hold *hold, int code)

    int PyLMDB_Get(
        PyLMDB_Hold *hold, const void *key, size_t key_size, PyLMDB_Value *value
    ) noexcept nogil
    int PyLMDB_Put(
        PyLMDB_Hold *hold, const void *key, size_t key_size, const void *value, size_t value_size,
        unsigned int flags
    ) noexcept nogil
    int PyLMDB_Delete(
        PyLMDB_Hold *hold, const void *key, size_t key_size, const void *value, size_t value_size
    ) noexcept nogil
    int PyLMDB_Range(
        PyLMDB_Hold *hold, const PyLMDB_Value *start, const PyLMDB_Value *stop,
        unsigned int flags, PyLMDB_OnRecord *on_record, void *context
    ) noexcept nogil

    int PyLMDB_OpenCursor(PyLMDB_Hold *hold, PyLMDB_Cursor **cursor) noexcept nogil
    void PyLMDB_CloseCursor(PyLMDB_Cursor *cursor) noexcept nogil
    int PyLMDB_MoveCursor(
        PyLMDB_Cursor *cursor, PyLMDB_Movement movement, PyLMDB_Value *key, PyLMDB_Value *value
    ) noexcept nogil
    int PyLMDB_DeleteAtCursor(PyLMDB_Cursor *cursor, bint all_values) noexcept nogil
