/* SPDX-License-Identifier: MIT */
/* Check the free list: a tree whose keys are transaction numbers. A value is a count, and
 * that many numbers of pages that the transaction has freed, the greatest first. */
#include "format.h"

enum { PART = 1024 }; /* how many numbers are read at once */

/* A value of the free list: inside a node, or on overflow pages. */
struct list {
    struct pylmdb_file *file;
    const unsigned char *inline_at; /* NULL: the value is in the file, */
    uint64_t at;                    /* at this offset */
};

static int read_list(const struct list *list, uint64_t first, uint64_t count, uint64_t *numbers)
{
    if (!list->inline_at)
        return read_file(list->file, list->at + first * sizeof(*numbers), numbers,
                         count * sizeof(*numbers));
    memcpy(numbers, list->inline_at + first * sizeof(*numbers), count * sizeof(*numbers));
    return 1;
}

static void check_numbers(struct tree *tree, const struct list *list, uint64_t count, uint64_t page,
                          unsigned int node)
{
    struct pylmdb_check *check = tree->check;
    uint64_t numbers[PART], done, part, i, last = check->pages;

    for (done = 0; done < count && !list->file->failure; done += part) {
        part = count - done < PART ? count - done : PART;
        if (!read_list(list, 1 + done, part, numbers)) {
            report(check, PYLMDB_DAMAGE, tree->number, page, "value %u cannot be read", node);
            tree->is_partial = 1;
            return;
        }
        for (i = 0; i < part; i++) {
            if (numbers[i] < META_PAGES || numbers[i] >= last) {
                report(check, PYLMDB_DAMAGE, tree->number, page,
                       numbers[i] >= check->pages || numbers[i] < META_PAGES
                           ? "value %u lists the free page %llu, which the file does not have"
                           : "value %u is a list of pages that is out of order at page %llu",
                       node, (unsigned long long)numbers[i]);
                tree->is_partial = 1;
                return;
            }
            last = numbers[i];
            free_page(tree, last, page);
        }
    }
}

void check_free_record(struct tree *tree, const unsigned char *node, uint64_t page, unsigned int i)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;
    const struct bytes key = node_key(node);
    const unsigned int flags = node_flags(node);
    struct list list = {file, NULL, 0};
    uint64_t count = 0, room;

    if (key.size != sizeof(uint64_t) || !get64(key.data) || get64(key.data) > check->txnid) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "key %u is not the number of a committed transaction", i);
        tree->is_partial = 1;
        return;
    }
    if (!flags) {
        list.inline_at = node_value(file->format, node);
    } else if (flags == NODE_OVERFLOW) {
        const uint64_t first = overflow_value(tree, node, page, i);

        tree->is_partial |= !first;
        if (!first)
            return;
        list.at = first * file->page_size + file->format->header;
    }
    room = node_size(node) / sizeof(count);
    if ((flags && flags != NODE_OVERFLOW) || !room || node_size(node) % sizeof(count) ||
        !read_list(&list, 0, 1, &count) || (count && count != room - 1)) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "value %u, of size %llu, is not a list of pages of length %llu", i,
               (unsigned long long)node_size(node), (unsigned long long)count);
        tree->is_partial = 1;
        return;
    }
    /* liblmdb has reserved more room than it needed. Its hardened versions take that for
     * damage when they read the record. */
    if (!count && room > 1)
        report(check, PYLMDB_NOTE, tree->number, page,
               "value %u is an empty list with unused room (pages: %llu)", i,
               (unsigned long long)room - 1);
    check_numbers(tree, &list, count, page, i);
}

void check_unused_pages(struct pylmdb_check *check)
{
    struct pylmdb_file *file = check->file;
    uint64_t page, beyond = 0, first = 0;

    for (page = META_PAGES; page < file->tracked; page++) {
        if (bit_is_set(file->used, page) || bit_is_set(file->free, page))
            continue;
        check->leaked++;
        if (file->on_records)
            check->stray_leaves += (uint64_t)looks_like_leaf(check, page);
        if (page >= file->size && !beyond++)
            first = page;
    }
    if (file->tracked < check->pages) {
        beyond += check->pages - file->tracked;
        if (!first)
            first = file->tracked;
    }
    /* A file may end before its last pages if these are free. */
    if (beyond)
        report(check, PYLMDB_DAMAGE, PYLMDB_NO_TREE, PYLMDB_NO_PAGE,
               beyond == 1 ? "it is too short: %llu page from page %llu on is missing, and not free"
                           : "it is too short: %llu pages from page %llu on are missing, and not"
                             " free",
               (unsigned long long)beyond, (unsigned long long)first);
    else if (check->leaked && !check->damages)
        report(check, PYLMDB_NOTE, PYLMDB_NO_TREE, PYLMDB_NO_PAGE,
               check->leaked == 1 ? "%llu page is neither in use nor free, which does no harm"
                                  : "%llu pages are neither in use nor free, which does no harm",
               (unsigned long long)check->leaked);
}
