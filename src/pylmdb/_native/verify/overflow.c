/* SPDX-License-Identifier: MIT */
/* Check the overflow pages of a large value. */
#include "format.h"

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
    if (size > count * file->page_size - format->header) {
        report(check, PYLMDB_DAMAGE, tree->number, first,
               "its %llu overflow pages are too few for the %llu bytes of value %u on page %llu",
               (unsigned long long)count, (unsigned long long)size, i, (unsigned long long)page);
        return 0;
    }
    if (!use_pages(tree, first, count, page))
        return 0;
    tree->large_pages += count;
    return first;
}
