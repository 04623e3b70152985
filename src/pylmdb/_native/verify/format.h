/* SPDX-License-Identifier: MIT */
/* The two data formats of LMDB, as they lie in a file, and what the parts of the check
 * share.
 *
 * Format 1 is that of LMDB 0.9, format 3 that of LMDB 1.0, both with words of 64 bits.  The
 * file is a sequence of pages.  The first two are meta pages; the one with the higher
 * transaction number counts.  A page begins with a header:
 *
 *     number       8 bytes
 *     transaction  8 bytes, in format 3 alone: which one has written the page
 *     width        2 bytes: in pages of values of one size, that size
 *     flags        2 bytes
 *     lower, upper 2 bytes each: where free space begins and ends; in the first of a run
 *                  of pages with a large value, both are the number of pages
 *
 * Behind it there are 2 bytes for each node: where on the page it is.  Format 3 counts
 * these, and lower and upper, from the end of the header.  A node is
 *
 *     size         4 bytes: of the value; with flags, 6 bytes: the page that a branch leads to
 *     flags        2 bytes
 *     key size     2 bytes
 *     key, value   as many as that; format 3 pads keys to an even size
 *
 * and begins at an even place.  Values of one size, on pages that are marked so, follow
 * each other without nodes. */
#ifndef PYLMDB_VERIFY_FORMAT_H
#define PYLMDB_VERIFY_FORMAT_H

#include <string.h>

#include "verify.h"

enum { MAX_DEPTH = 32, MIN_PAGE = 256, MAX_PAGE = 65536, NODE_HEAD = 8, RECORD_SIZE = 48 };
enum { META_PAGES = 2, META_SIZE = 136, MAX_HEADER = 24 };

/* Flags of pages, of nodes, of databases. */
enum { BRANCH = 0x01, LEAF = 0x02, LARGE = 0x04, META = 0x08, DIRTY = 0x10, FIXED = 0x20, SUB = 0x40 };
enum { NODE_LARGE = 0x01, NODE_TREE = 0x02, NODE_DUPLICATES = 0x04 };
enum {
    REVERSE_KEY = 0x02, DUPSORT = 0x04, INTEGER_KEY = 0x08, DUPFIXED = 0x10, INTEGER_DUP = 0x20,
    REVERSE_DUP = 0x40
};

#define NO_ROOT UINT64_MAX

struct format {
    unsigned int version;
    unsigned int header;      /* the size of a page's header */
    unsigned int base;        /* from where offsets on a page count */
    unsigned int large_ref;   /* the size of a reference to a large value */
    unsigned int key_padding; /* keys take a multiple of 1 + this */
    unsigned int max_page;
};

/* A record of a tree. */
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

struct pylmdb_file {
    int fd;
    const struct format *format;
    unsigned int page_size, most_node;
    unsigned int page_room; /* the size of a page without a checksum */
    uint64_t size;       /* in pages, as far as it is there */
    uint64_t pages;      /* as far as it may be used */
    uint64_t noted;      /* as far as the next two go */
    uint64_t *used, *free;
    unsigned char *levels[2 * MAX_DEPTH]; /* a page for each level of a tree, and of duplicates */
    uint64_t done, next_report;
    pylmdb_on_pages on_pages;
    void *context;
    int failure; /* not 0: everything is to end */
};

/* A tree, while it is walked. */
struct tree {
    struct pylmdb_check *check;
    int number;             /* among those of the check */
    struct tree *outer;     /* the one that this has duplicates of */
    struct record record;
    order compare;          /* NULL: not known */
    unsigned int width;     /* of values of one size; 0: they have nodes */
    unsigned int leaf_level; /* of its first leaf, plus one; 0: none was seen yet */
    int is_partial;         /* something could not be read */
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

/* Lower and upper count from the beginning of the page here. */
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

/* The page that a node of a branch leads to. */
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

/* Notes what is wrong with a page, or with the file (PYLMDB_NO_PAGE). */
void find(struct pylmdb_check *check, int severity, int tree, uint64_t page, const char *text, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;
/* A tree more to be looked at; its number, or -1 without memory. */
int add_tree(struct pylmdb_check *check, struct bytes name, const unsigned char *record,
             uint64_t where);
/* Reads from the file; 0 if there is not so much, or if it cannot be read. */
int read_file(struct pylmdb_file *file, uint64_t at, void *data, size_t size);
/* Notes that a page, or a run of them, is in use; 0 if it cannot be: it is outside the
 * file, or in use twice. */
int use_pages(struct tree *tree, uint64_t page, uint64_t count, uint64_t from);
void free_page(struct tree *tree, uint64_t page, uint64_t from);

/* ---- page.c ---- */

struct record get_record(const unsigned char *at);
/* Whether the page's header and nodes can be followed; finds what cannot. */
int page_is_sound(struct tree *tree, const unsigned char *page, uint64_t number);
/* Whether a page of duplicates within a node is sound, and they are in order. */
int sub_page_is_sound(struct tree *tree, const unsigned char *sub, size_t size, uint64_t page,
                      unsigned int node);
/* The number of values of one size or nodes on a page, and the key of one. */
struct bytes key_of(const struct tree *tree, const unsigned char *page, unsigned int i);

/* ---- order.c ---- */

/* How the keys of a database are compared, or the values of one key, of this width if
 * they have one size (else 0). */
order key_order(unsigned int flags);
order duplicate_order(unsigned int flags, unsigned int width);
int compare_words(struct bytes a, struct bytes b);

/* ---- tree.c ---- */

/* Walks a tree of the check and compares it with its record. */
void check_tree(struct pylmdb_check *check, int number);
/* Whether a record can be one of a tree; finds why not. */
int record_is_sound(struct tree *tree, uint64_t page);
/* The run of pages of a large value: where it begins, 0 if it is damaged. */
uint64_t large_value(struct tree *tree, const unsigned char *node, uint64_t page, unsigned int i);

/* ---- free.c ---- */

/* The record of the free list that a node of page is: a list of pages. */
void check_free_record(struct tree *tree, const unsigned char *node, uint64_t page,
                       unsigned int i);
/* Pages that are neither in use nor free, and those behind the file's end. */
void check_remainder(struct pylmdb_check *check);

#endif
