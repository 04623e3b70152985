/* SPDX-License-Identifier: MIT */
/* Copy memory, and pause. Compiled into the core and into each engine. */
#include "memory.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

/* -- records ---------------------------------------------------------------------- */

static void copy_words(char *out, const char *key, size_t key_size, const char *value, size_t width,
                       size_t count)
{
    const size_t key_words = key_size / 8, words = width / 8;
    uint64_t word;
    size_t i, j;

    for (i = 0; i < count; i++) {
        for (j = 0; j < key_words; j++, out += 8) {
            memcpy(&word, key + 8 * j, 8);
            memcpy(out, &word, 8);
        }
        for (j = 0; j < words; j++, out += 8, value += 8) {
            memcpy(&word, value, 8);
            memcpy(out, &word, 8);
        }
    }
}

void pylmdb_copy_records(char *out, const MDB_val *key, const MDB_val *values, size_t width)
{
    const char *value = values->mv_data;
    size_t left = values->mv_size, size;

    if (!(key->mv_size % 8) && !(width % 8) && !(left % width)) {
        copy_words(out, key->mv_data, key->mv_size, value, width, left / width);
        return;
    }
    while (left) {
        size = left < width ? left : width;
        memcpy(out, key->mv_data, key->mv_size);
        memcpy(out + key->mv_size, value, size);
        out += key->mv_size + size;
        value += size;
        left -= size;
    }
}

/* -- items with steps between them -------------------------------------------------- */

#define COPY_ITEMS(type) \
    do { \
        for (i = 0; i < count; i++, from += step, out += item) \
            memcpy(out, from, sizeof(type)); \
    } while (0)

static void copy_items(char *out, const char *from, ptrdiff_t count, ptrdiff_t step, size_t item)
{
    ptrdiff_t i;

    if (step == (ptrdiff_t)item)
        memcpy(out, from, (size_t)count * item);
    else if (item == sizeof(char))
        COPY_ITEMS(char);
    else if (item == sizeof(uint16_t))
        COPY_ITEMS(uint16_t);
    else if (item == sizeof(uint32_t))
        COPY_ITEMS(uint32_t);
    else if (item == sizeof(uint64_t))
        COPY_ITEMS(uint64_t);
    else
        for (i = 0; i < count; i++, from += step, out += item)
            memcpy(out, from, item);
}

void pylmdb_copy_strided(char *out, const char *from, int ndim, const ptrdiff_t *shape,
                         const ptrdiff_t *strides, size_t item)
{
    size_t row = item;
    ptrdiff_t i;
    int axis;

    if (ndim == 0)
        memcpy(out, from, item);
    if (ndim == 1)
        copy_items(out, from, shape[0], strides[0], item);
    if (ndim <= 1)
        return;
    for (axis = 1; axis < ndim; axis++)
        row *= (size_t)shape[axis];
    for (i = 0; row && i < shape[0]; i++, from += strides[0], out += row)
        pylmdb_copy_strided(out, from, ndim - 1, shape + 1, strides + 1, item);
}

/* -- waiting ------------------------------------------------------------------------ */

void pylmdb_pause(void)
{
    const struct timespec moment = {0, 50000};

    (void)nanosleep(&moment, NULL);
}
