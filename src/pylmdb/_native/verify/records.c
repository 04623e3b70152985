/* SPDX-License-Identifier: MIT */
/* Give the records that a check finds on sound pages to its caller, in batches.
 *
 * A batch has copies: a page's memory is used for the next page of its level. */
#include "format.h"

#include <errno.h>
#include <stdlib.h>

enum { BATCH_SIZE = 1 << 20, BATCH_RECORDS = 1 << 13 };

void free_batch(struct pylmdb_file *file)
{
    free(file->batch.bytes);
    free(file->batch.records);
}

void give_records(struct pylmdb_file *file)
{
    struct batch *batch = &file->batch;

    if (batch->count && !file->failure &&
        file->on_records(file->context, batch->tree, batch->records, batch->count))
        file->failure = ECANCELED;
    batch->count = batch->used = 0;
}

/* Keys and values may be integers, which are compared as such. */
static size_t aligned(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* Copy a key, and return the memory for its value behind it; NULL: there is none. */
static unsigned char *add_record(const struct tree *tree, struct bytes key, size_t value_size)
{
    struct pylmdb_file *file = tree->check->file;
    struct batch *batch = &file->batch;
    const size_t size = aligned(key.size) + aligned(value_size);
    struct pylmdb_bytes *record;

    if (batch->tree != tree->number || batch->count == BATCH_RECORDS ||
        size > batch->size - batch->used)
        give_records(file);
    batch->tree = tree->number;
    if (!batch->records)
        batch->records = malloc(2 * BATCH_RECORDS * sizeof(*batch->records));
    if (size > batch->size || !batch->bytes) { /* nothing is in the batch */
        free(batch->bytes);
        batch->size = size > BATCH_SIZE ? size : BATCH_SIZE;
        batch->bytes = malloc(batch->size);
    }
    if (!batch->records || !batch->bytes) {
        batch->size = 0;
        file->failure = ENOMEM;
    }
    if (file->failure)
        return NULL;
    record = &batch->records[2 * batch->count++];
    record[0] = (struct pylmdb_bytes){key.size, batch->bytes + batch->used};
    record[1] = (struct pylmdb_bytes){value_size, batch->bytes + batch->used + aligned(key.size)};
    batch->used += size;
    memcpy(record[0].data, key.data, key.size);
    return record[1].data;
}

void found_record(const struct tree *tree, struct bytes key, struct bytes value)
{
    unsigned char *at;

    if (tree->check->file->on_records && (at = add_record(tree, key, value.size)) != NULL)
        memcpy(at, value.data, value.size);
}

int found_large(const struct tree *tree, struct bytes key, uint64_t page, size_t size)
{
    struct pylmdb_file *file = tree->check->file;
    unsigned char *at;

    if (!file->on_records || !(at = add_record(tree, key, size)) ||
        read_file(file, page * file->page_size + file->format->header, at, size))
        return 1;
    file->batch.count--;
    file->batch.used -= aligned(key.size) + aligned(size);
    return 0;
}

int looks_like_leaf(const struct pylmdb_check *check, uint64_t page)
{
    struct pylmdb_file *file = check->file;
    const struct format *format = file->format;
    unsigned char header[MAX_HEADER];
    unsigned int lower, upper;

    if (page >= file->size || !read_file(file, page * file->page_size, header, format->header))
        return 0;
    lower = page_lower(format, header);
    upper = page_upper(format, header);
    return page_number(header) == page && (page_flags(format, header) & ~FIXED) == LEAF &&
           (format->version != 3 || page_txnid(header) <= check->txnid) && lower > format->header &&
           (lower <= upper || page_flags(format, header) & FIXED);
}
