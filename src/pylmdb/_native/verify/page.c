/* SPDX-License-Identifier: MIT */
/* Check one page: its header, the offsets, sizes and order of its nodes.
 *
 * lib/liblmdb/checked_pages.c repeats these rules on purpose: there they protect liblmdb, and
 * nothing here may rely on that. test_hostile_files.py compares the two: it damages files at
 * random, and a file that this check accepts must be usable without an error. */
#include "format.h"

#include <stdio.h>

enum { CELL = 2, CELL_WORDS = MAX_PAGE / CELL / 64 + 1 }; /* nodes begin at multiples of CELL */

/* The page that is checked, or the sub-page of duplicates inside a node. */
struct view {
    struct tree *tree;
    const unsigned char *page;
    size_t size;
    uint64_t number; /* the page number */
    int outer_node;  /* the index of the node on that page, for a sub-page; else -1 */
};

static int fault(const struct view *view, const char *what, unsigned int i, unsigned int value)
{
    struct pylmdb_check *check = view->tree->check;
    char text[120];

    snprintf(text, sizeof(text), what, i, value);
    if (view->outer_node < 0)
        report(check, PYLMDB_DAMAGE, view->tree->number, view->number, "%s", text);
    else
        report(check, PYLMDB_DAMAGE, view->tree->number, view->number,
               "in the duplicates of node %d: %s", view->outer_node, text);
    return 0;
}

static inline const struct format *format_of(const struct tree *tree)
{
    return tree->check->file->format;
}

struct bytes key_of(const struct tree *tree, const unsigned char *page, unsigned int i)
{
    const struct format *format = format_of(tree);
    struct bytes key;

    if (!(page_flags(format, page) & FIXED))
        return node_key(page + node_at(format, page, i));
    key.size = page_width(format, page);
    key.data = page + format->header + i * key.size;
    return key;
}

/* ---- order ---- */

static int keys_are_in_order(const struct view *view, unsigned int first)
{
    const struct tree *tree = view->tree;
    const unsigned int count = page_count(format_of(tree), view->page);
    struct bytes key, before;
    unsigned int i;

    if (!tree->compare || first >= count)
        return 1;
    before = key_of(tree, view->page, first);
    for (i = first + 1; i < count; i++, before = key) {
        key = key_of(tree, view->page, i);
        if (tree->compare(before, key) >= 0)
            return fault(view, "key %u is not greater than the one before it", i, 0);
    }
    return 1;
}

/* ---- nodes ---- */

/* Mark the cells from start to end; return 0 if one is marked already. */
static int mark_cells(uint64_t *cells, size_t start, size_t end)
{
    const size_t last = (end - 1) / 64;
    size_t word = start / 64;
    uint64_t mask = ~(uint64_t)0 << start % 64;

    for (; word <= last; word++, mask = ~(uint64_t)0) {
        if (word == last)
            mask &= ~(uint64_t)0 >> (63 - (end - 1) % 64);
        if (cells[word] & mask)
            return 0;
        cells[word] |= mask;
    }
    return 1;
}

/* Return how many bytes of a leaf's node follow its key. */
static size_t value_size(const struct format *format, const unsigned char *node)
{
    return node_flags(node) & NODE_OVERFLOW ? format->overflow_ref : node_size(node);
}

static int flags_can_be(const struct view *view, const unsigned char *node)
{
    const unsigned int flags = node_flags(node);

    if (view->tree->outer)
        return !flags && !node_size(node);
    return !(flags & ~(unsigned int)(NODE_OVERFLOW | NODE_TREE | NODE_DUPLICATES)) &&
           (!(flags & NODE_OVERFLOW) || flags == NODE_OVERFLOW) &&
           (!(flags & NODE_TREE) || node_size(node) == RECORD_SIZE);
}

static int node_is_sound(const struct view *view, const unsigned char *node, unsigned int i,
                         size_t room, size_t *end)
{
    const struct tree *tree = view->tree;
    const struct format *format = format_of(tree);
    const size_t key_size = node_key_size(node);
    const size_t width = tree->number == PYLMDB_FREE_TREE ? sizeof(uint64_t) : tree->width;
    size_t size = NODE_HEAD + padded_key(format, key_size);

    if (page_flags(format, view->page) & LEAF) {
        if (!flags_can_be(view, node))
            return fault(view, "node %u has the flags 0x%02x, which are not valid here", i,
                         node_flags(node));
        size += value_size(format, node);
        if (!key_size && !tree->outer)
            return fault(view, "key %u is empty", i, 0);
    } else if (i && width && key_size != width) {
        return fault(view, "key %u has the size %u, but its database has keys of another size", i,
                     (unsigned int)key_size);
    }
    if (size > room)
        return fault(view, "node %u reaches beyond the page's end", i, 0);
    if (view->outer_node < 0 && size > tree->check->file->max_node_size + 2)
        return fault(view, "node %u has %u bytes, which is too many for a page", i,
                     (unsigned int)size);
    *end = (size + 1) & ~(size_t)1;
    if (*end > room)
        return fault(view, "node %u reaches beyond the page's end", i, 0);
    return 1;
}

static int nodes_are_sound(const struct view *view)
{
    const struct format *format = format_of(view->tree);
    const unsigned char *page = view->page;
    const unsigned int count = page_count(format, page), upper = page_upper(format, page);
    uint64_t cells[CELL_WORDS];
    size_t taken = 0;
    unsigned int i;

    memset(cells, 0, (view->size / CELL / 64 + 1) * sizeof(*cells));
    for (i = 0; i < count; i++) {
        const size_t at = node_at(format, page, i);
        const unsigned char *node = page + at;
        size_t size = 0;

        if (at < upper || at % CELL || at + NODE_HEAD > view->size)
            return fault(view, "node %u is outside the space for nodes, at %u", i,
                         (unsigned int)at);
        if (!node_is_sound(view, node, i, view->size - at, &size))
            return 0;
        if (!mark_cells(cells, at / CELL, (at + size) / CELL))
            return fault(view, "node %u overlaps another node", i, 0);
        taken += size;
        if (view->outer_node < 0 && !view->tree->outer && page_flags(format, page) & LEAF &&
            (node_flags(node) & (NODE_DUPLICATES | NODE_TREE)) == NODE_DUPLICATES &&
            !sub_page_is_sound(view->tree, node_value(format, node), node_size(node), view->number,
                               i))
            return 0;
    }
    /* liblmdb relies on this when it moves nodes together. */
    if (taken != view->size - upper)
        return fault(view, "its nodes have %u bytes, but the space for them is %u",
                     (unsigned int)taken, (unsigned int)(view->size - upper));
    return 1;
}

/* ---- headers ---- */

/* Check the free space of a page of values of one size. Its bounds are only counters: for each
 * value the lower bound rises by 2, and the upper bound falls by the value's size minus 2. So with
 * values of one byte it rises, and with pages of 64 KiB it can wrap. */
static int fixed_values_are_sound(const struct view *view)
{
    const struct format *format = format_of(view->tree);
    const size_t width = page_width(format, view->page);
    const size_t room = (uint16_t)(page_upper(format, view->page) - page_lower(format, view->page));

    if (!width || (view->tree->width && width != view->tree->width))
        return fault(view, "its values have the size %u, but its tree has values of another size",
                     (unsigned int)width, 0);
    if (page_count(format, view->page) * width + room != view->size - format->header)
        return fault(view, "its values, %u of size %u, do not fit on it with its free space",
                     page_count(format, view->page), (unsigned int)width);
    return 1;
}

static int bounds_are_sound(const struct view *view)
{
    const struct format *format = format_of(view->tree);
    const unsigned int lower = page_lower(format, view->page);
    const unsigned int upper = page_upper(format, view->page);
    const unsigned int flags = page_flags(format, view->page);
    const int is_exact = !(flags & FIXED) || page_width(format, view->page) != 1;

    if (lower < format->header || (lower - format->header) % 2 || (!(flags & FIXED) && upper % 2) ||
        (is_exact && (lower > upper || upper > view->size)))
        return fault(view, "its header says that its free space is from %u to %u", lower, upper);
    if (lower == format->header)
        return fault(view, "it is empty", 0, 0);
    return 1;
}

int sub_page_is_sound(struct tree *tree, const unsigned char *sub, size_t size, uint64_t page,
                      unsigned int node)
{
    const struct format *format = format_of(tree);
    const unsigned int fixed = tree->record.flags & DUPFIXED ? FIXED : 0;
    struct tree inner = {.check = tree->check, .number = tree->number, .outer = tree};
    const struct view view = {&inner, sub, size, page, (int)node};
    unsigned int flags;

    if (!(tree->record.flags & DUPSORT))
        return fault(&view, "the database has no duplicates", 0, 0);
    if (size < format->header || size % 2)
        return fault(&view, "a page cannot have the size %u", (unsigned int)size, 0);
    flags = page_flags(format, sub);
    if ((flags & ~(unsigned int)DIRTY) != (LEAF | SUB | fixed))
        return fault(&view, "the page's flags are 0x%04x", flags, 0);
    /* Its values can be read. But LMDB 0.9 takes it for a page of its own when it changes it. */
    if (format->version == 1 && !(flags & DIRTY))
        (void)fault(&view, "the page's flags are 0x%04x, so a change frees a page", flags, 0);
    if (!bounds_are_sound(&view))
        return 0;
    inner.compare = duplicate_order(tree->record.flags, fixed ? page_width(format, sub) : 0);
    if (!(fixed ? fixed_values_are_sound(&view) : nodes_are_sound(&view)))
        return 0;
    (void)keys_are_in_order(&view, 0);
    return 1;
}

static int header_is_sound(const struct view *view)
{
    struct tree *tree = view->tree;
    const struct format *format = format_of(tree);
    const unsigned int flags = page_flags(format, view->page);
    struct pylmdb_check *check = tree->check;

    if (page_number(view->page) != view->number) {
        report(check, PYLMDB_DAMAGE, tree->number, view->number, "its header has the number %llu",
               (unsigned long long)page_number(view->page));
        return 0;
    }
    if (format->version == 3 && page_txnid(view->page) > check->txnid) {
        report(check, PYLMDB_DAMAGE, tree->number, view->number,
               "it was written by transaction %llu, which is not committed",
               (unsigned long long)page_txnid(view->page));
        return 0;
    }
    if (flags == OVERFLOW)
        return fault(view, "it is an overflow page, but a tree refers to it as its own", 0, 0);
    if (flags != BRANCH && flags != LEAF && flags != (LEAF | FIXED))
        return fault(view, "its flags are 0x%04x, which are not valid in a tree", flags, 0);
    if (flags & LEAF && !(flags & FIXED) != !tree->width)
        return fault(view,
                     tree->width ? "it has nodes, but its tree has values of one size"
                                 : "it has values of one size, but its tree has nodes",
                     0, 0);
    return 1;
}

int sum_is_right(struct tree *tree, const unsigned char *page, uint64_t number)
{
    struct pylmdb_file *file = tree->check->file;

    tree->check->bytes += file->page_size;
    if (!file->sum_size || pylmdb_page_sum_is_right(page, file->page_size))
        return 1;
    report(tree->check, PYLMDB_DAMAGE, tree->number, number, "its checksum is wrong");
    return 0;
}

int page_is_sound(struct tree *tree, const unsigned char *page, uint64_t number)
{
    const struct format *format = format_of(tree);
    const struct view view = {tree, page, tree->check->file->page_room, number, -1};

    if (!header_is_sound(&view) || !bounds_are_sound(&view))
        return 0;
    if (page_flags(format, page) & FIXED) {
        if (!fixed_values_are_sound(&view))
            return 0;
    } else if (!nodes_are_sound(&view)) {
        return 0;
    }
    /* Nothing reads the first key of a branch page. */
    (void)keys_are_in_order(&view, page_flags(format, page) == BRANCH);
    return 1;
}
