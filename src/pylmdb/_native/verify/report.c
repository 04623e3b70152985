/* SPDX-License-Identifier: MIT */
/* Record findings, trees and pages that were visited, and read the file. */
#include "format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REPORT_EVERY = 2048 }; /* pages */

void report(struct pylmdb_check *check, int severity, int tree, uint64_t page, const char *text,
            ...)
{
    struct pylmdb_finding *finding;
    va_list values;

    if (severity == PYLMDB_NOTE)
        check->notes++;
    else
        check->damages++;
    if (check->kept == check->most_findings)
        return;
    finding = &check->findings[check->kept++];
    finding->severity = severity;
    finding->tree = tree;
    finding->page = page;
    va_start(values, text);
    vsnprintf(finding->text, sizeof(finding->text), text, values);
    va_end(values);
}

int add_tree(struct pylmdb_check *check, struct bytes name, const unsigned char *record,
             uint64_t where)
{
    const size_t count = check->tree_count;
    struct pylmdb_tree_check *tree, *trees = check->trees;
    const struct record values = get_record(record);
    unsigned char *copy = malloc(name.size + 1);

    /* The list doubles when it is full. */
    if (copy && !(count & (count - 1)))
        trees = realloc(check->trees, (count ? 2 * count : 1) * sizeof(*trees));
    if (!copy || !trees) {
        free(copy);
        check->file->failure = ENOMEM;
        return -1;
    }
    check->trees = trees;
    tree = &trees[check->tree_count++];
    memset(tree, 0, sizeof(*tree));
    if (name.size)
        memcpy(copy, name.data, name.size);
    tree->name = copy;
    tree->name_size = name.size;
    tree->flags = values.flags;
    tree->depth = values.depth;
    tree->entries = values.entries;
    tree->where = where;
    memcpy(tree->record, record, RECORD_SIZE);
    return (int)count;
}

int read_file(struct pylmdb_file *file, uint64_t at, void *data, size_t size)
{
    unsigned char *to = data;

    while (size) {
        const ssize_t part = pread(file->fd, to, size, (off_t)at);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return 0;
        to += part;
        at += (uint64_t)part;
        size -= (size_t)part;
    }
    return 1;
}

/* Count pages as done, and report the progress now and then. */
static void count_done(struct pylmdb_file *file, uint64_t count)
{
    file->done += count;
    if (file->done < file->next_report || !file->on_pages || file->failure)
        return;
    file->next_report = file->done + REPORT_EVERY;
    if (file->on_pages(file->context, file->done < file->tracked ? file->done : file->tracked,
                       file->tracked))
        file->failure = ECANCELED;
}

int use_pages(struct tree *tree, uint64_t page, uint64_t count, uint64_t from)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;
    uint64_t i;

    if (page < META_PAGES || page >= file->pages || count > file->pages - page) {
        report(check, PYLMDB_DAMAGE, tree->number, from,
               count == 1 ? "it refers to page %llu, which is outside the file"
                          : "it refers to page %llu and %llu more, which are not all in the file",
               (unsigned long long)page, (unsigned long long)count - 1);
        return 0;
    }
    /* Pages before one that is in use already stay marked, so that no page is visited again
     * and again. */
    for (i = page; i < page + count; i++, check->used++) {
        if (bit_is_set(file->used, i)) {
            report(check, PYLMDB_DAMAGE, tree->number, i,
                   "it is in use twice; the second reference is on page %llu",
                   (unsigned long long)from);
            return 0;
        }
        set_bit(file->used, i);
        if (bit_is_set(file->free, i))
            report(check, PYLMDB_DAMAGE, tree->number, i,
                   "it is in use, and also in the free list");
    }
    count_done(file, count);
    return !file->failure;
}

void free_page(struct tree *tree, uint64_t page, uint64_t from)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;

    if (page >= file->tracked)
        return; /* later the file is reported as too short */
    if (bit_is_set(file->free, page)) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "it is in the free list twice, the second time on page %llu",
               (unsigned long long)from);
        return;
    }
    set_bit(file->free, page);
    check->free++;
    if (bit_is_set(file->used, page))
        report(check, PYLMDB_DAMAGE, tree->number, page, "it is in use, and also in the free list");
    count_done(file, 1);
}
