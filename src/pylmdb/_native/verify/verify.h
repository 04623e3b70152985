/* SPDX-License-Identifier: MIT */
/* Check a data file without trusting it. Nothing of liblmdb is used here.
 *
 * The file is read with pread() into our own memory, a page at a time. So a file that is
 * truncated meanwhile is a finding and not a SIGBUS, and what was checked on a page cannot
 * change before it is used. */
#ifndef PYLMDB_VERIFY_H
#define PYLMDB_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#define PYLMDB_NOTE 0
#define PYLMDB_DAMAGE 1

/* The page number of a finding that concerns no page. */
#define PYLMDB_NO_PAGE UINT64_MAX

/* The indexes of the first two trees of a check; the named databases follow. */
#define PYLMDB_FREE_TREE 0
#define PYLMDB_MAIN_TREE 1
/* The tree of a finding that concerns no tree. */
#define PYLMDB_NO_TREE (-1)

/* cdef: begin */
struct pylmdb_finding {
    int severity;
    int tree;
    uint64_t page;
    char text[160];
};

/* A tree: what its record says, and what was found. The trees of duplicates inside it are
 * counted with it. */
struct pylmdb_tree_check {
    unsigned char *name;
    size_t name_size;
    unsigned int flags, depth;
    uint64_t entries;  /* as its record says */
    uint64_t readable; /* on sound pages */
    uint64_t branch_pages, leaf_pages, large_pages;
    uint64_t damaged; /* pages and single values; what only they lead to is lost too */
    uint64_t where;   /* the page of its record */
    unsigned char record[48];
};

struct pylmdb_check {
    unsigned int format, page_size;
    uint64_t txnid;
    uint64_t file_size;
    uint64_t pages; /* as the newest meta page says */
    uint64_t used, free, leaked;
    uint64_t stray_leaves; /* of those leaked, how many look like leaf pages; with on_records */
    size_t damages, notes;      /* all of them, also those that are not stored */
    size_t kept, most_findings; /* how many findings are stored, and how many may be */
    int previous;               /* check the snapshot before the newest one */
    int deep;                   /* read the large values, too */
    int has_sums;               /* whether pages have checksums that were checked */
    uint64_t bytes;             /* how many were read of the trees */
    struct pylmdb_finding *findings;
    struct pylmdb_tree_check *trees;
    size_t tree_count;
    struct pylmdb_file *file; /* during the check */
};

/* Called with the progress of a check; a result other than 0 stops it. */
typedef int (*pylmdb_on_pages)(void *context, uint64_t done, uint64_t total);

/* Called with records of one tree, count pairs of key and value, which are valid during the call;
 * a result other than 0 stops the check. */
struct pylmdb_bytes { /* as MDB_val */
    size_t size;
    void *data;
};
typedef int (*pylmdb_on_records)(void *context, int tree, const struct pylmdb_bytes *records,
                                 size_t count);

/* Check the file of a descriptor, and fill check, whose most_findings, previous and deep are given.
 * Pages are read in any order. on_records gets all records that are readable, in the order of the
 * walk; large values are read for it. Both functions may be NULL. Returns 0, ENOMEM, or ECANCELED
 * if a function stopped it. */
int pylmdb_verify(int fd, struct pylmdb_check *check, pylmdb_on_pages on_pages,
                  pylmdb_on_records on_records, void *context);
void pylmdb_verify_free(struct pylmdb_check *check);
/* Return the number of the newest transaction in the file; 0 if it is unknown. */
uint64_t pylmdb_newest_txnid(int fd);
/* Return how many bytes the file must have for that transaction; 0 if it is unknown. */
uint64_t pylmdb_claimed_size(int fd);
/* In a file whose pages have checksums, return which meta page has a wrong one; -1: none, or the
 * file has no checksums. */
int pylmdb_damaged_meta(int fd);
/* cdef: end */

#endif
