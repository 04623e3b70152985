/* SPDX-License-Identifier: MIT */
/* Walk trees: from a record down to every value, each page once. */
#include "format.h"

#include <errno.h>
#include <stdlib.h>

/* The position of a page in a tree. */
struct position {
    uint64_t page, from; /* from: the page that refers to it */
    unsigned int level;
    struct bytes low, high; /* its keys are at least low and less than high; data NULL: no bound */
};

static void walk_page(struct tree *tree, const struct position *position);

static void mark_damaged(struct tree *tree)
{
    tree->check->trees[tree->number].damaged++;
    tree->is_partial = 1;
    if (tree->outer)
        tree->outer->is_partial = 1;
}

static int has_unknown_flags(const struct tree *tree)
{
    const unsigned int flags = tree->record.flags;
    const unsigned int of_duplicates = DUPFIXED | INTEGER_DUP | REVERSE_DUP;

    if (tree->number == PYLMDB_FREE_TREE)
        return flags & DUPSORT; /* the other flags belong to the file */
    if (tree->outer)
        return (flags & ~(unsigned int)INTEGER_KEY) != (tree->outer->record.flags & DUPFIXED);
    return (flags & ~(unsigned int)(REVERSE_KEY | DUPSORT | INTEGER_KEY | of_duplicates)) ||
           (flags & of_duplicates && !(flags & DUPSORT));
}

static int record_is_sound(struct tree *tree, uint64_t page)
{
    const struct record *record = &tree->record;
    const struct pylmdb_file *file = tree->check->file;
    struct pylmdb_check *check = tree->check;

    if (has_unknown_flags(tree)) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "the record of the tree has the flags 0x%04x, which are not valid", record->flags);
        return 0;
    }
    if (record->depth > MAX_DEPTH) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "the record of the tree says that its depth is %u, but the greatest is %d",
               record->depth, (int)MAX_DEPTH);
        return 0;
    }
    if (tree->number != PYLMDB_FREE_TREE &&
        (record->width > file->page_size - file->format->header ||
         (tree->outer && !record->width != !(record->flags & DUPFIXED)))) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               "the record of the tree says that values have the size %u, which is not possible",
               record->width);
        return 0;
    }
    if ((record->root == NO_ROOT) != !record->depth || (tree->outer && !record->depth)) {
        report(check, PYLMDB_DAMAGE, tree->number, page,
               record->depth ? "the record of the tree says that its depth is %u, but has no root"
                             : "the record of the tree says that its depth is %u, but has a root",
               record->depth);
        return 0;
    }
    return 1;
}

static void compare_count(struct tree *tree, uint64_t page, const char *what, uint64_t said,
                          uint64_t found)
{
    if (said != found)
        report(tree->check, PYLMDB_DAMAGE, tree->number, page,
               "the record of the tree says %llu %s, but the tree has %llu",
               (unsigned long long)said, what, (unsigned long long)found);
}

/* Walk a tree whose record is on page. */
static void walk_tree(struct tree *tree, uint64_t page)
{
    const struct record *record = &tree->record;
    struct position root = {.page = record->root, .from = page};

    if (!record_is_sound(tree, page)) {
        mark_damaged(tree);
        return;
    }
    if (record->depth)
        walk_page(tree, &root);
    if (tree->is_partial || tree->check->file->failure)
        return;
    if (record->depth && tree->leaf_level != record->depth)
        report(tree->check, PYLMDB_DAMAGE, tree->number, page,
               "the record of the tree says that its depth is %u, but it is %u", record->depth,
               tree->leaf_level);
    /* Some releases of liblmdb do not count all pages of duplicates, and all releases still
     * count those of deleted keys. */
    if (!(record->flags & DUPSORT)) {
        compare_count(tree, page, "branch pages", record->branch_pages, tree->branch_pages);
        compare_count(tree, page, "leaf pages", record->leaf_pages, tree->leaf_pages);
    }
    compare_count(tree, page, "overflow pages", record->large_pages, tree->large_pages);
    compare_count(tree, page, "entries", record->entries, tree->entries);
}

void check_tree(struct pylmdb_check *check, int number)
{
    struct pylmdb_tree_check *result = &check->trees[number];
    struct tree tree = {.check = check, .number = number};

    tree.record = get_record(result->record);
    tree.compare = number == PYLMDB_FREE_TREE ? compare_words : key_order(tree.record.flags);
    walk_tree(&tree, result->where);
    result = &check->trees[number]; /* the list may have moved */
    result->readable = tree.entries;
    result->branch_pages = tree.branch_pages;
    result->leaf_pages = tree.leaf_pages;
    result->large_pages = tree.large_pages;
}

/* ---- values ---- */

/* Walk the tree of the values of one key. */
static void walk_duplicates(struct tree *tree, const unsigned char *node, uint64_t page)
{
    struct tree inner = {.check = tree->check, .number = tree->number, .outer = tree};

    inner.key = node_key(node);
    inner.record = get_record(node_value(tree->check->file->format, node));
    inner.width = inner.record.flags & DUPFIXED ? inner.record.width : 0;
    inner.compare = duplicate_order(tree->record.flags, inner.width);
    walk_tree(&inner, page);
    tree->branch_pages += inner.branch_pages;
    tree->leaf_pages += inner.leaf_pages;
    tree->entries += inner.entries;
}

static int name_is_sound(const struct tree *tree, struct bytes name)
{
    const unsigned char *end = memchr(name.data, 0, name.size);

    /* LMDB 1.0 stores the NUL that ends a name. */
    return tree->check->format == 3 ? end == name.data + name.size - 1 : !end;
}

static int add_database(struct tree *tree, const unsigned char *node, uint64_t page, unsigned int i)
{
    const struct format *format = tree->check->file->format;
    struct bytes name = node_key(node);

    if (tree->number != PYLMDB_MAIN_TREE || tree->record.flags & (DUPSORT | INTEGER_KEY)) {
        report(tree->check, PYLMDB_DAMAGE, tree->number, page,
               "value %u is the record of a database, which only the main database may have", i);
        return 0;
    }
    if (!name_is_sound(tree, name)) {
        report(tree->check, PYLMDB_DAMAGE, tree->number, page,
               "key %u cannot be the name of a database, but its value is the record of one", i);
        return 0;
    }
    name.size -= format->version == 3;
    return add_tree(tree->check, name, node_value(format, node), page) >= 0;
}

/* Find a record for each value on a page of duplicates; return their number. */
static uint64_t find_duplicates(const struct tree *tree, struct bytes key,
                                const unsigned char *page)
{
    const unsigned int count = page_count(tree->check->file->format, page);
    unsigned int i;

    for (i = 0; i < count && tree->check->file->on_records; i++)
        found_record(tree, key, key_of(tree, page, i));
    return count;
}

static uint64_t find_value(const struct tree *tree, const unsigned char *node)
{
    const struct bytes value = {node_value(tree->check->file->format, node), node_size(node)};

    found_record(tree, node_key(node), value);
    return 1;
}

static uint64_t find_large_value(struct tree *tree, const unsigned char *node, uint64_t page,
                                 unsigned int i)
{
    const uint64_t first = overflow_value(tree, node, page, i);

    if (!first)
        return 0;
    if (found_large(tree, node_key(node), first, node_size(node)))
        return 1;
    report(tree->check, PYLMDB_DAMAGE, tree->number, first,
           "value %u on page %llu cannot be read from here on", i, (unsigned long long)page);
    return 0;
}

/* Check the value of a node; return how many entries it holds, 0 if it is damaged. */
static uint64_t check_value(struct tree *tree, const unsigned char *node, uint64_t page,
                            unsigned int i)
{
    const struct format *format = tree->check->file->format;
    const unsigned int flags = node_flags(node);
    const int has_duplicates = tree->record.flags & DUPSORT;

    if (flags == (NODE_DUPLICATES | NODE_TREE) && has_duplicates) {
        walk_duplicates(tree, node, page);
        return 0; /* the walk has counted its entries */
    }
    if (flags == NODE_DUPLICATES && has_duplicates)
        return find_duplicates(tree, node_key(node), node_value(format, node));
    if (flags == NODE_TREE)
        return add_database(tree, node, page, i);
    if (flags == NODE_OVERFLOW && !has_duplicates)
        return find_large_value(tree, node, page, i);
    if (!flags)
        return find_value(tree, node);
    report(tree->check, PYLMDB_DAMAGE, tree->number, page,
           "value %u has the flags 0x%02x, which its database does not allow", i, flags);
    return 0;
}

/* ---- pages ---- */

static int is_below(const struct tree *tree, struct bytes key, struct bytes bound)
{
    return bound.data && tree->compare && tree->compare(key, bound) < 0;
}

static void check_range(struct tree *tree, const unsigned char *page,
                        const struct position *position)
{
    const unsigned int count = page_count(tree->check->file->format, page);

    if (is_below(tree, key_of(tree, page, 0), position->low))
        report(tree->check, PYLMDB_DAMAGE, tree->number, position->page,
               "its first key is less than its lower bound on page %llu",
               (unsigned long long)position->from);
    if (position->high.data && tree->compare &&
        tree->compare(key_of(tree, page, count - 1), position->high) >= 0)
        report(tree->check, PYLMDB_DAMAGE, tree->number, position->page,
               "its last key is not less than its upper bound on page %llu",
               (unsigned long long)position->from);
}

static void walk_leaf(struct tree *tree, const unsigned char *page, const struct position *position)
{
    const struct format *format = tree->check->file->format;
    const unsigned int count = page_count(format, page);
    unsigned int i;

    tree->leaf_pages++;
    if (!tree->leaf_level)
        tree->leaf_level = position->level + 1;
    else if (tree->leaf_level != position->level + 1)
        report(tree->check, PYLMDB_DAMAGE, tree->number, position->page,
               "it is a leaf on level %u; the first one is on level %u", position->level + 1,
               tree->leaf_level);
    check_range(tree, page, position);
    if (tree->outer) {
        tree->entries += find_duplicates(tree, tree->key, page);
        return;
    }
    for (i = 0; i < count && !tree->check->file->failure; i++) {
        const unsigned char *node = page + node_at(format, page, i);
        uint64_t entries;

        if (tree->number == PYLMDB_FREE_TREE) {
            check_free_record(tree, node, position->page, i);
            tree->entries++;
            continue;
        }
        entries = check_value(tree, node, position->page, i);
        if (!entries &&
            !(node_flags(node) == (NODE_DUPLICATES | NODE_TREE) && tree->record.flags & DUPSORT))
            mark_damaged(tree);
        tree->entries += entries;
    }
}

static void walk_branch(struct tree *tree, const unsigned char *page,
                        const struct position *position)
{
    const struct format *format = tree->check->file->format;
    const unsigned int count = page_count(format, page);
    unsigned int i;

    tree->branch_pages++;
    if (count < 2 && tree->number != PYLMDB_FREE_TREE)
        report(tree->check, PYLMDB_DAMAGE, tree->number, position->page,
               "it is a branch page with a single child");
    for (i = 0; i < count && !tree->check->file->failure; i++) {
        struct position below = *position;

        below.page = node_page(page + node_at(format, page, i));
        below.from = position->page;
        below.level++;
        if (i)
            below.low = key_of(tree, page, i);
        if (i + 1 < count)
            below.high = key_of(tree, page, i + 1);
        walk_page(tree, &below);
    }
}

/* Return the memory for the page of a level. */
static unsigned char *page_memory(struct tree *tree, unsigned int level)
{
    struct pylmdb_file *file = tree->check->file;
    unsigned char **memory = &file->levels[level + (tree->outer ? MAX_DEPTH : 0)];

    if (!*memory && !(*memory = malloc(file->page_size)))
        file->failure = ENOMEM;
    return *memory;
}

static void walk_page(struct tree *tree, const struct position *position)
{
    struct pylmdb_check *check = tree->check;
    struct pylmdb_file *file = check->file;
    unsigned char *page;

    if (position->level == MAX_DEPTH) {
        report(check, PYLMDB_DAMAGE, tree->number, position->page,
               "the tree is deeper than %d levels", (int)MAX_DEPTH);
        mark_damaged(tree);
        return;
    }
    if (!(page = page_memory(tree, position->level)))
        return;
    if (!use_pages(tree, position->page, 1, position->from)) {
        mark_damaged(tree);
        return;
    }
    if (!read_file(file, position->page * file->page_size, page, file->page_size)) {
        report(check, PYLMDB_DAMAGE, tree->number, position->page, "it cannot be read");
        mark_damaged(tree);
    } else if (!sum_is_right(tree, page, position->page) ||
               !page_is_sound(tree, page, position->page)) {
        mark_damaged(tree);
    } else if (page_flags(file->format, page) & LEAF) {
        walk_leaf(tree, page, position);
    } else {
        walk_branch(tree, page, position);
    }
}
