/* SPDX-License-Identifier: MIT */
/* Pack the records that an iterator gives into blocks of memory, so that one call of C can take
 * many of them. */
#include "arguments.h"

#include <string.h>

/* The strings of a block, and where each ends. */
typedef struct {
    char *bytes;
    size_t used, room;
    size_t *ends;
    size_t count, places;
} Block;

static void drop_block(Block *block)
{
    PyMem_Free(block->bytes);
    PyMem_Free(block->ends);
}

static int grow(void **memory, size_t *room, size_t needed, size_t width)
{
    const size_t more = needed < 2 * *room ? 2 * *room : needed + 1024;
    void *grown = more <= PY_SSIZE_T_MAX / width ? PyMem_Realloc(*memory, more * width) : NULL;

    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    *memory = grown;
    *room = more;
    return 0;
}

static int pack_string(Block *block, const Bytes *string)
{
    const size_t used = block->used + string->size;

    if (used > block->room && grow((void **)&block->bytes, &block->room, used, 1))
        return -1;
    if (block->count == block->places &&
        grow((void **)&block->ends, &block->places, block->count + 1, sizeof(*block->ends)))
        return -1;
    if (string->size)
        memcpy(block->bytes + block->used, string->data, string->size);
    block->ends[block->count++] = block->used = used;
    return 0;
}

/* Return 1: packed, 0: the item is not a pair of buffers, -1: raised. */
static int pack_pair(Block *keys, Block *values, PyObject *item)
{
    Bytes key, value;
    int packed = -1;

    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2 ||
        get_bytes("key", PyTuple_GET_ITEM(item, 0), &key))
        return 0;
    if (get_bytes("value", PyTuple_GET_ITEM(item, 1), &value)) {
        packed = 0;
    } else {
        if (!pack_string(keys, &key) && !pack_string(values, &value))
            packed = 1;
        drop_bytes(&value);
    }
    drop_bytes(&key);
    return packed;
}

/* Pack pairs until they have size bytes. Return 0: they have, or there are no more; 1: *other
 * is an item that is not a pair of buffers; -1: raised. */
static int pack_pairs(Block *keys, Block *values, PyObject *iterator, size_t size, PyObject **other)
{
    PyObject *item;
    int packed = 1;

    while (packed > 0 && keys->used + values->used + 16 * keys->count < size &&
           (item = PyIter_Next(iterator))) {
        packed = pack_pair(keys, values, item);
        if (!packed) {
            /* The caller finds out what is wrong with it. */
            if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError))
                packed = -1;
            else
                PyErr_Clear();
        }
        if (packed)
            Py_DECREF(item);
        else
            *other = item;
    }
    return PyErr_Occurred() ? -1 : !packed;
}

PyObject *pack_records(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Block keys = {0}, values = {0};
    PyObject *result = NULL, *other = NULL;
    Py_ssize_t size;
    int rc;

    (void)module;
    if (nargs != 2 || !PyIter_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "pack_records(iterator, size)");
    size = PyLong_AsSsize_t(args[1]);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    rc = pack_pairs(&keys, &values, args[0], size < 0 ? 0 : (size_t)size, &other);
    if (rc >= 0)
        result = Py_BuildValue("(y#y#y#y#N)", keys.bytes ? keys.bytes : "", (Py_ssize_t)keys.used,
                               keys.ends ? (char *)keys.ends : "",
                               (Py_ssize_t)(keys.count * sizeof(*keys.ends)),
                               values.bytes ? values.bytes : "", (Py_ssize_t)values.used,
                               values.ends ? (char *)values.ends : "",
                               (Py_ssize_t)(values.count * sizeof(*values.ends)),
                               rc ? PyTuple_Pack(1, other) : Py_NewRef(Py_None));
    Py_XDECREF(other);
    drop_block(&keys);
    drop_block(&values);
    return result;
}
