/* SPDX-License-Identifier: MIT */
/* Records in memory, to be sorted: a source of a merge.
 *
 * A record is copied to the end of a block; blocks are not moved. What is sorted are entries,
 * whose indexes are the addresses of records. */
#include "merge.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)1 << 20)
/* Integers begin at multiples of this. */
#define ALIGNMENT 8
#define LONGEST_VALUE 0xffffffffu
/* How many records ahead of the one that is read are fetched. */
#define AHEAD 16

struct block {
    struct block *next;
    size_t used, size;
    uint64_t bytes[];
};

/* Before its key, which its value follows. */
struct header {
    uint32_t key_size, value_size;
};

struct pylmdb_sorter {
    unsigned int dbflags;
    int last_first;
    size_t max_key, limit;
    /* the records, in the order in which they were added */
    struct block *first, *last;
    size_t count, size;
    /* the size of all keys, if the database requires one size */
    size_t key_size;
    /* when they are sorted; next: the index of the record that a source gives next */
    struct pylmdb_sort_entry *entries;
    size_t next;
};

struct pylmdb_sorter *pylmdb_sorter_new(unsigned int dbflags, size_t max_key, int last_first,
                                        size_t memory)
{
    struct pylmdb_sorter *sorter = calloc(1, sizeof(*sorter));

    if (sorter) {
        sorter->dbflags = dbflags;
        sorter->max_key = max_key;
        sorter->last_first = last_first;
        sorter->limit = memory;
    }
    return sorter;
}

void pylmdb_sorter_clear(struct pylmdb_sorter *sorter)
{
    struct block *block;

    while ((block = sorter->first)) {
        sorter->first = block->next;
        free(block);
    }
    free(sorter->entries);
    sorter->entries = NULL;
    sorter->last = NULL;
    sorter->count = sorter->size = sorter->next = 0;
}

void pylmdb_sorter_free(struct pylmdb_sorter *sorter)
{
    if (sorter)
        pylmdb_sorter_clear(sorter);
    free(sorter);
}

size_t pylmdb_sorter_count(const struct pylmdb_sorter *sorter)
{
    return sorter->count;
}

/* -- adding -------------------------------------------------------------------------- */

/* Whether a database takes records of this size, as far as that can be told without it. */
static int fits(struct pylmdb_sorter *sorter, const MDB_val *key, const MDB_val *value)
{
    if (key->mv_size - 1 >= sorter->max_key || value->mv_size > LONGEST_VALUE)
        return 0;
    if (sorter->dbflags & MDB_DUPSORT && value->mv_size - 1 >= sorter->max_key)
        return 0;
    if (sorter->dbflags & MDB_INTEGERDUP && !pylmdb_is_integer(value->mv_size))
        return 0;
    if (!(sorter->dbflags & MDB_INTEGERKEY))
        return 1;
    if (!sorter->key_size && pylmdb_is_integer(key->mv_size))
        sorter->key_size = key->mv_size;
    return key->mv_size == sorter->key_size;
}

/* Return memory for a record of size bytes; NULL: none, or the limit is reached. Two entries
 * for each record are needed to sort. */
static void *take(struct pylmdb_sorter *sorter, size_t size, int *is_full)
{
    const size_t entries = 2 * (sorter->count + 1) * sizeof(struct pylmdb_sort_entry);
    struct block *block = sorter->last;
    size_t needed;

    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    needed = block && block->size - block->used >= size ? 0 : size;
    if (needed && needed < BLOCK_SIZE)
        needed = BLOCK_SIZE;
    *is_full = sorter->count && sorter->size + needed + entries > sorter->limit;
    if (*is_full)
        return NULL;
    if (needed) {
        /* A comparison reads an integer at the end, which may have 4 bytes, as one of 8. */
        block = malloc(sizeof(*block) + needed + ALIGNMENT);
        if (!block)
            return NULL;
        *block = (struct block){NULL, 0, needed};
        if (sorter->last)
            sorter->last->next = block;
        else
            sorter->first = block;
        sorter->last = block;
        sorter->size += sizeof(*block) + needed + ALIGNMENT;
    }
    block->used += size;
    return (char *)block->bytes + block->used - size;
}

/* Add a record: 0, or a code; PYLMDB_FULL: the limit is reached. */
#define PYLMDB_FULL (-1)

static int add(struct pylmdb_sorter *sorter, const MDB_val *key, const MDB_val *value)
{
    struct header *header;
    int is_full;

    if (!fits(sorter, key, value))
        return MDB_BAD_VALSIZE;
    header = take(sorter, sizeof(*header) + key->mv_size + value->mv_size, &is_full);
    if (!header)
        return is_full ? PYLMDB_FULL : ENOMEM;
    header->key_size = (uint32_t)key->mv_size;
    header->value_size = (uint32_t)value->mv_size;
    memcpy(header + 1, key->mv_data, key->mv_size);
    if (value->mv_size)
        memcpy((char *)(header + 1) + key->mv_size, value->mv_data, value->mv_size);
    sorter->count++;
    return 0;
}

int pylmdb_sorter_add(struct pylmdb_sorter *sorter, const MDB_val *records, size_t count,
                      size_t first, size_t *done)
{
    size_t i;
    int rc = 0;

    for (i = first; i < count; i++)
        if ((rc = add(sorter, &records[2 * i], &records[2 * i + 1])))
            break;
    *done = i - first;
    return rc == PYLMDB_FULL ? 0 : rc;
}

int pylmdb_sorter_add_rows(struct pylmdb_sorter *sorter, const struct pylmdb_keys *keys,
                           const struct pylmdb_keys *values, size_t first, size_t *done)
{
    size_t i;
    int rc = 0;

    for (i = first; i < keys->count; i++) {
        const MDB_val key = pylmdb_key_at(keys, i), value = pylmdb_key_at(values, i);

        if ((rc = add(sorter, &key, &value)))
            break;
    }
    *done = i - first;
    return rc == PYLMDB_FULL ? 0 : rc;
}

/* -- sorting ------------------------------------------------------------------------ */

static MDB_val key_of(size_t index)
{
    const struct header *header = (const struct header *)(uintptr_t)index;

    return (MDB_val){header->key_size, (void *)(header + 1)};
}

static MDB_val value_of(size_t index)
{
    const struct header *header = (const struct header *)(uintptr_t)index;

    return (MDB_val){header->value_size, (char *)(header + 1) + header->key_size};
}

static MDB_val key_at(const struct pylmdb_strings *strings, size_t index)
{
    (void)strings;
    return key_of(index);
}

static MDB_val value_at(const struct pylmdb_strings *strings, size_t index)
{
    (void)strings;
    return value_of(index);
}

/* Fill the entries with the records in the order in which they were added, or from the last to
 * the first. Return 1 if it was stopped. */
static int fill_entries(struct pylmdb_sorter *sorter, struct pylmdb_stop *stop)
{
    const struct block *block;
    size_t at, i = 0, before = 0;

    for (block = sorter->first; block; block = block->next) {
        if (pylmdb_sort_stops(stop, i - before))
            return 1;
        before = i;
        for (at = 0; at < block->used; i++) {
            const struct header *header = (const void *)((const char *)block->bytes + at);
            const size_t size = sizeof(*header) + header->key_size + header->value_size;

            sorter->entries[sorter->last_first ? sorter->count - 1 - i : i].index =
                (size_t)(uintptr_t)header;
            at += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
    }
    return 0;
}

static int has_key_of(const struct pylmdb_sort_entry *a, const struct pylmdb_sort_entry *b)
{
    const MDB_val one = key_of(a->index), two = key_of(b->index);

    return one.mv_size == two.mv_size && !memcmp(one.mv_data, two.mv_data, one.mv_size);
}

/* Sort the values of each key. Return 1 if it was stopped. */
static int sort_values(struct pylmdb_sorter *sorter, struct pylmdb_stop *stop)
{
    const unsigned int flags = sorter->dbflags;
    const struct pylmdb_strings values = {value_at, NULL,
                                          (flags & MDB_REVERSEDUP ? MDB_REVERSEKEY : 0) |
                                              (flags & MDB_INTEGERDUP ? MDB_INTEGERKEY : 0),
                                          stop};
    struct pylmdb_sort_entry *entries = sorter->entries;
    size_t i, n;

    for (i = 0; i < sorter->count; i += n) {
        for (n = 1; i + n < sorter->count && has_key_of(&entries[i], &entries[i + n]);)
            n++;
        if (n > 1 && pylmdb_sort_strings(&values, entries + i, entries + sorter->count, n))
            return 1;
        if (pylmdb_sort_stops(stop, n))
            return 1;
    }
    return 0;
}

int pylmdb_sorter_sort(struct pylmdb_sorter *sorter, int (*ask)(void *context), void *context)
{
    struct pylmdb_stop stop = {ask, context, 0, 0};
    const struct pylmdb_strings keys = {key_at, NULL,
                                        sorter->dbflags & (MDB_REVERSEKEY | MDB_INTEGERKEY), &stop};

    sorter->next = 0;
    if (!sorter->count || sorter->entries)
        return 0;
    sorter->entries = malloc(2 * sorter->count * sizeof(*sorter->entries));
    if (!sorter->entries)
        return ENOMEM;
    if (fill_entries(sorter, &stop) ||
        pylmdb_sort_strings(&keys, sorter->entries, sorter->entries + sorter->count,
                            sorter->count) ||
        (sorter->dbflags & MDB_DUPSORT && sort_values(sorter, &stop))) {
        free(sorter->entries);
        sorter->entries = NULL;
        return ECANCELED;
    }
    return 0;
}

int pylmdb_sorter_move(struct pylmdb_source *source)
{
    struct pylmdb_sorter *sorter = source->sorter;
    size_t index;

    if (sorter->next == sorter->count)
        return MDB_NOTFOUND;
    if (sorter->next + AHEAD < sorter->count)
        PYLMDB_FETCH((const void *)(uintptr_t)sorter->entries[sorter->next + AHEAD].index);
    index = sorter->entries[sorter->next++].index;
    source->key = key_of(index);
    source->value = value_of(index);
    return 0;
}
