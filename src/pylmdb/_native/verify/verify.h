/* SPDX-License-Identifier: MIT */
/* Checks a data file without trusting it, and without liblmdb: nothing of that is used here.
 *
 * The file is read with pread() into memory of our own, a page at a time.  So a file that is
 * cut short meanwhile is a finding and no SIGBUS, and what was checked on a page cannot
 * change before it is used. */
#ifndef PYLMDB_VERIFY_H
#define PYLMDB_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#define PYLMDB_NOTE 0
#define PYLMDB_DAMAGE 1

/* The page of a finding that is about none. */
#define PYLMDB_NO_PAGE UINT64_MAX

/* Numbers of trees among those of a check; named databases have the ones behind. */
#define PYLMDB_FREE_TREE 0
#define PYLMDB_MAIN_TREE 1
/* A finding about no tree. */
#define PYLMDB_NO_TREE (-1)

/* cdef: begin */
struct pylmdb_finding {
    int severity;
    int tree;
    uint64_t page;
    char text[160];
};

/* A tree: what its record says, and what was found.  With it is counted what belongs to
 * the trees of duplicates within it. */
struct pylmdb_tree_check {
    unsigned char *name;
    size_t name_size;
    unsigned int flags, depth;
    uint64_t entries;  /* as the record says */
    uint64_t readable; /* on pages that are sound */
    uint64_t branch_pages, leaf_pages, large_pages;
    uint64_t damaged; /* pages, and single values, with all that only they lead to */
    uint64_t where;   /* the page that has the record */
    unsigned char record[48];
};

struct pylmdb_check {
    unsigned int format, page_size;
    uint64_t txnid;
    uint64_t file_size;
    uint64_t pages; /* as the newest meta page says */
    uint64_t used, free, leaked;
    size_t damages, notes;      /* as many as there are */
    size_t kept, most_findings; /* findings that are told */
    struct pylmdb_finding *findings;
    struct pylmdb_tree_check *trees;
    size_t tree_count;
    struct pylmdb_file *file; /* while it runs */
};

/* Is told how many pages of how many are done; not 0 to stop. */
typedef int (*pylmdb_on_pages)(void *context, uint64_t done, uint64_t total);

/* Checks the file behind a descriptor, in any order of pages, and fills check, whose
 * most_findings is given.  0, ENOMEM, or ECANCELED if it was stopped.  on_pages can be NULL. */
int pylmdb_verify(int fd, struct pylmdb_check *check, pylmdb_on_pages on_pages, void *context);
void pylmdb_verify_free(struct pylmdb_check *check);
/* The number of the newest transaction in the file, 0 if it cannot be told. */
uint64_t pylmdb_newest_txnid(int fd);
/* cdef: end */

#endif
