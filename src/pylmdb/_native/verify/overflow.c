/* SPDX-License-Identifier: MIT */
/* Check the overflow pages of a large value. */
#include "format.h"

#include <errno.h>
#include <stdlib.h>

enum { PART = 1 << 20 }; /* how many bytes are read at once */

/* Read bytes of a run of overflow pages into memory, and add them to the checksum. */
static int read_run(struct pylmdb_file *file, uint64_t at, uint64_t left, unsigned char *part)
{
    size_t size;

    for (; left; left -= size, at += size) {
        size = left < PART ? (size_t)left : PART;
        if (!read_file(file, at, part, size))
            return 0;
        if (file->sum)
            pylmdb_sum_add(file->sum, part, size);
    }
    return 1;
}

/* Return what is wrong with a run of overflow pages; NULL: nothing. */
static const char *fault_of_run(struct pylmdb_file *file, uint64_t first, uint64_t count)
{
    const uint64_t size = count * file->page_size - file->sum_size;
    unsigned char *part = malloc(PART);
    uint64_t stored = 0;
    const char *fault = NULL;

    if (file->sum_size && !file->sum)
        file->sum = pylmdb_sum_new();
    if (!part || (file->sum_size && !file->sum)) {
        file->failure = ENOMEM;
    } else {
        if (file->sum)
            pylmdb_sum_begin(file->sum);
        if (!read_run(file, first * file->page_size, size, part) ||
            (file->sum_size &&
             !read_file(file, first * file->page_size + size, &stored, sizeof(stored))))
            fault = "cannot be read";
        else if (file->sum_size && pylmdb_sum_end(file->sum) != stored)
            fault = "have a wrong checksum";
    }
    free(part);
    return fault;
}

/* Whether a run of overflow pages can be read and has the right checksum; reports if not. */
static int run_is_right(struct tree *tree, uint64_t first, uint64_t count, uint64_t page,
                        unsigned int i)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;
    const char *fault;

    if (!check->deep && !(file->sum_size && file->on_records))
        return 1;
    check->bytes += count * file->page_size;
    fault = fault_of_run(file, first, count);
    if (!fault)
        return !file->failure;
    report(check, PYLMDB_DAMAGE, tree->number, first,
           "it begins the overflow pages of value %u on page %llu, which %s", i,
           (unsigned long long)page, fault);
    return 0;
}

uint64_t overflow_value(struct tree *tree, const unsigned char *node, uint64_t page, unsigned int i)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;
    const struct format *format = file->format;
    const unsigned char *reference = node_value(format, node);
    const uint64_t first = get64(reference), size = node_size(node);
    unsigned char header[MAX_HEADER];
    uint64_t count;

    if (first < META_PAGES || first >= file->pages ||
        !read_file(file, first * file->page_size, header, format->header)) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "value %u begins on overflow page %llu, which is outside the file", i,
               (unsigned long long)first);
        return 0;
    }
    count = page_run(format, header);
    if (page_number(header) != first || page_flags(format, header) != OVERFLOW || !count) {
        report(check, PYLMDB_DAMAGE, tree->number, first,
               "it should be the first overflow page of value %u on page %llu, but is not", i,
               (unsigned long long)page);
        return 0;
    }
    if (format->version == 3 &&
        (get64(reference + 16) != count || page_txnid(header) > check->txnid)) {
        report(check, PYLMDB_DAMAGE, tree->number, first,
               "it and page %llu do not agree about the overflow pages of value %u",
               (unsigned long long)page, i);
        return 0;
    }
    if (size > count * file->page_size - format->header - file->sum_size) {
        report(check, PYLMDB_DAMAGE, tree->number, first,
               count == 1
                   ? "value %u on page %llu has %llu bytes, too many for %llu overflow page"
                   : "value %u on page %llu has %llu bytes, too many for %llu overflow pages",
               i, (unsigned long long)page, (unsigned long long)size, (unsigned long long)count);
        return 0;
    }
    if (!use_pages(tree, first, count, page))
        return 0;
    tree->large_pages += count;
    return run_is_right(tree, first, count, page, i) ? first : 0;
}
