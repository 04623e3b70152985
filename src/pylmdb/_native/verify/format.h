/* SPDX-License-Identifier: MIT */
/* The two data formats of LMDB, and what the files of the check share.
 *
 * LMDB 0.9 writes format 1 and LMDB 1.0 format 3, here both with words of 64 bits. The file is
 * a sequence of pages. The first two are meta pages; the one with the higher transaction number
 * is valid. A page begins with a header:
 *
 *     number       8 bytes
 *     transaction  8 bytes, in format 3 only: the transaction that has written the page
 *     width        2 bytes: the size of values, on pages of values of one size
 *     flags        2 bytes
 *     lower, upper 2 bytes each: where free space begins and ends; together, in the first of a
 *                  run of overflow pages, the number of pages of the run
 *
 * Then follow 2 bytes for each node: its offset on the page. Format 3 counts these offsets, and
 * lower and upper, from the end of the header. A node has
 *
 *     size         4 bytes: of the value; on a branch page, with flags, 6 bytes: the child page
 *     flags        2 bytes
 *     key size     2 bytes
 *     key, value   format 3 pads keys to an even size
 *
 * and begins at an even offset. On pages that are marked so, values of one size follow each
 * other without nodes. */
#ifndef PYLMDB_VERIFY_FORMAT_H
#define PYLMDB_VERIFY_FORMAT_H

#include <string.h>

#include "page_sums.h"
#include "verify.h"

enum { MAX_DEPTH = 32, MIN_PAGE = 256, MAX_PAGE = 65536, NODE_HEAD = 8, RECORD_SIZE = 48 };
enum { META_PAGES = 2, META_SIZE = 136, MAX_HEADER = 24 };

/* Flags of pages, of nodes, of databases. */
enum { BRANCH = 0x01, LEAF = 0x02, OVERFLOW = 0x04, META = 0x08 };
enum { DIRTY = 0x10, FIXED = 0x20, SUB = 0x40 };
enum { NODE_OVERFLOW = 0x01, NODE_TREE = 0x02, NODE_DUPLICATES = 0x04 };
enum {
    REVERSE_KEY = 0x02,
    DUPSORT = 0x04,
    INTEGER_KEY = 0x08,
    DUPFIXED = 0x10,
    INTEGER_DUP = 0x20,
    REVERSE_DUP = 0x40
};

#define NO_ROOT UINT64_MAX

struct format {
    unsigned int version;
    unsigned int header;      /* the size of a page's header */
    unsigned int base;        /* where offsets on a page count from */
    unsigned int overflow_ref;   /* the size of a reference to overflow pages */
    unsigned int key_padding; /* a key takes a multiple of 1 + this many bytes */
    unsigned int max_page;
};

/* The record of a tree. */
struct record {
    uint32_t width;
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, large_pages, entries, root;
};

struct bytes {
    const unsigned char *data;
    size_t size;
};

typedef int (*order)(struct bytes a, struct bytes b);

/* Records of one tree that were found, and are not given to on_records yet. */
struct batch {
    int tree;
    struct pylmdb_bytes *records;
    size_t count;
    unsigned char *bytes;
    size_t used, size;
};

struct pylmdb_file {
    int fd;
    const struct format *format;
    unsigned int page_size, max_node_size;
    unsigned int page_room; /* the size of a page without its checksum */
    unsigned int sum_size;  /* of checksums that are checked; 0: there are none */
    struct pylmdb_sum *sum; /* for those of large values */
    uint64_t size;       /* the number of whole pages in the file */
    uint64_t pages;      /* the number of pages that may be in use */
    uint64_t tracked;      /* the number of bits in used and in free */
    uint64_t *used, *free;
    /* the memory of one page for each level of a tree, and of a tree of duplicates */
    unsigned char *levels[2 * MAX_DEPTH];
    uint64_t done, next_report;
    pylmdb_on_pages on_pages;
    pylmdb_on_records on_records;
    void *context;
    struct batch batch;
    int failure; /* an error number: the check stops */
};

/* A tree during its walk. */
struct tree {
    struct pylmdb_check *check;
    int number;             /* its index among the trees of the check */
    struct tree *outer;     /* the tree whose duplicates this tree holds, or NULL */
    struct bytes key;       /* the key whose duplicates it holds */
    struct record record;
    order compare;          /* NULL: unknown */
    unsigned int width;     /* the size of values of one size; 0: the values have nodes */
    unsigned int leaf_level; /* the level of its first leaf, plus one; 0: none was found yet */
    int is_partial;         /* a part of it could not be read */
    uint64_t branch_pages, leaf_pages, large_pages, entries;
};

static inline uint16_t get16(const unsigned char *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t get32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t get64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline struct record get_record(const unsigned char *at)
{
    struct record record;

    record.width = get32(at);
    record.flags = get16(at + 4);
    record.depth = get16(at + 6);
    record.branch_pages = get64(at + 8);
    record.leaf_pages = get64(at + 16);
    record.large_pages = get64(at + 24);
    record.entries = get64(at + 32);
    record.root = get64(at + 40);
    return record;
}

static inline uint64_t page_number(const unsigned char *page)
{
    return get64(page);
}

/* Of format 3 only. */
static inline uint64_t page_txnid(const unsigned char *page)
{
    return get64(page + 8);
}

static inline unsigned int page_width(const struct format *format, const unsigned char *page)
{
    return get16(page + format->header - 8);
}

static inline unsigned int page_flags(const struct format *format, const unsigned char *page)
{
    return get16(page + format->header - 6);
}

/* Here lower and upper count from the beginning of the page. */
static inline unsigned int page_lower(const struct format *format, const unsigned char *page)
{
    return get16(page + format->header - 4) + format->base;
}

static inline unsigned int page_upper(const struct format *format, const unsigned char *page)
{
    return get16(page + format->header - 2) + format->base;
}

static inline uint32_t page_run(const struct format *format, const unsigned char *page)
{
    return get32(page + format->header - 4);
}

static inline unsigned int page_count(const struct format *format, const unsigned char *page)
{
    return (page_lower(format, page) - format->header) / 2;
}

static inline unsigned int node_at(const struct format *format, const unsigned char *page,
                                   unsigned int i)
{
    return get16(page + format->header + 2 * i) + format->base;
}

static inline uint32_t node_size(const unsigned char *node)
{
    return get32(node);
}

static inline unsigned int node_flags(const unsigned char *node)
{
    return get16(node + 4);
}

static inline unsigned int node_key_size(const unsigned char *node)
{
    return get16(node + 6);
}

/* The child page of a node of a branch page. */
static inline uint64_t node_page(const unsigned char *node)
{
    return get32(node) | (uint64_t)get16(node + 4) << 32;
}

static inline unsigned int padded_key(const struct format *format, unsigned int size)
{
    return (size + format->key_padding) & ~format->key_padding;
}

static inline const unsigned char *node_value(const struct format *format,
                                              const unsigned char *node)
{
    return node + NODE_HEAD + padded_key(format, node_key_size(node));
}

static inline struct bytes node_key(const unsigned char *node)
{
    struct bytes key = {node + NODE_HEAD, node_key_size(node)};

    return key;
}

static inline int bit_is_set(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static inline void set_bit(uint64_t *bits, uint64_t i)
{
    bits[i / 64] |= (uint64_t)1 << i % 64;
}

/* ---- report.c ---- */

/* Report damage of a page, or of the file (PYLMDB_NO_PAGE). */
void report(struct pylmdb_check *check, int severity, int tree, uint64_t page, const char *text,
            ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;
/* Add a tree to those that are checked; return its index, or -1 without memory. */
int add_tree(struct pylmdb_check *check, struct bytes name, const unsigned char *record,
             uint64_t where);
/* Read from the file; 0 if the file is too short or cannot be read. */
int read_file(struct pylmdb_file *file, uint64_t at, void *data, size_t size);
/* Note that a page, or a run of pages, is in use. 0: it is outside the file, or in use
 * already, which is reported. */
int use_pages(struct tree *tree, uint64_t page, uint64_t count, uint64_t from);
void free_page(struct tree *tree, uint64_t page, uint64_t from);

/* ---- page.c ---- */

/* Whether the header and the nodes of a page can be followed; reports what is wrong. */
int page_is_sound(struct tree *tree, const unsigned char *page, uint64_t number);
/* Whether a sub-page of duplicates inside a node can be followed; reports what is wrong. */
int sub_page_is_sound(struct tree *tree, const unsigned char *sub, size_t size, uint64_t page,
                      unsigned int node);
/* Return the key at an index of a page, or the value on a page of values of one size. */
struct bytes key_of(const struct tree *tree, const unsigned char *page, unsigned int i);

/* Whether a page has the right checksum, or needs none; reports if not. */
int sum_is_right(struct tree *tree, const unsigned char *page, uint64_t number);

/* ---- order.c ---- */

/* Return the function that compares the keys of a database, or the values of one key. width
 * is the size of values of one size, else 0. */
order key_order(unsigned int flags);
order duplicate_order(unsigned int flags, unsigned int width);
int compare_words(struct bytes a, struct bytes b);

/* ---- overflow.c ---- */

/* Check the overflow pages of a large value, and return the first one; 0: it is damaged. All of
 * them are read if the check is deep, or if records are given away. */
uint64_t overflow_value(struct tree *tree, const unsigned char *node, uint64_t page,
                        unsigned int i);

/* ---- records.c: for on_records ---- */

void found_record(const struct tree *tree, struct bytes key, struct bytes value);
/* The same for a value on overflow pages; 0: it cannot be read. */
int found_large(const struct tree *tree, struct bytes key, uint64_t page, size_t size);
/* Give the records of the batch to on_records. */
void give_records(struct pylmdb_file *file);
void free_batch(struct pylmdb_file *file);
/* Whether a page that is in no tree has the header of a leaf page. */
int looks_like_leaf(const struct pylmdb_check *check, uint64_t page);

/* ---- tree.c ---- */

/* Walk a tree of the check, and compare it with its record. */
void check_tree(struct pylmdb_check *check, int number);

/* ---- free.c ---- */

/* Check a record of the free list: a node whose value is a list of pages. */
void check_free_record(struct tree *tree, const unsigned char *node, uint64_t page, unsigned int i);
/* Count the pages that are neither in use nor free, and report missing pages past the
 * file's end. */
void check_unused_pages(struct pylmdb_check *check);

#endif
