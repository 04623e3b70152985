/* SPDX-License-Identifier: MIT */
/* The checksums of pages in a file (page_sums.h): which file has them, and how they get into it.
 * Included by shim.c, after mdb.c; checked_pages.c checks them. LMDB 0.9 has none.
 *
 * liblmdb computes a checksum when it writes a page: at a commit, when pages are spilled, and in a
 * compacting copy; bulk_pages.c does so for its own pages. In a writable map a page changes
 * without being written, so such a map cannot be used with checksums.
 *
 * A program that does not know the checksums can read the file. If it writes to it, its meta page
 * no longer has the right checksum, and the file counts as damaged. */

#include "page_sums.h"

#if MDB_VERSION_MAJOR > 0

/* Called by liblmdb for each page that it writes. */
static void sum_page(const MDB_val *from, MDB_val *sum, const MDB_val *key)
{
    const uint64_t found = pylmdb_sum_of(from->mv_data, from->mv_size);

    (void)key;
    memcpy(sum->mv_data, &found, sizeof(found));
}

static int has_sums(const MDB_env *env)
{
    return extension_of(env)->has_sums;
}

/* How many bytes of a page, or of a run of overflow pages, its checksum takes. */
static size_t sum_size(const MDB_env *env)
{
    return env->me_sumsize;
}

/* Write the checksums of two meta pages, and how many bytes a checksum has. */
static void seal_meta_pages(const MDB_env *env, void *pages)
{
    char *const second = (char *)pages + env->me_psize;

    if (!has_sums(env))
        return;
    pylmdb_set_meta_sum(pages);
    pylmdb_set_meta_sum(second);
    pylmdb_set_sum_size(pages, env->me_psize);
}

/* Called by mdb_env_write_meta() in place of pwrite(), for what comes behind a meta page's first
 * fields: write the mark and the checksum with it. */
static ssize_t write_meta(const MDB_env *env, int fd, const void *data, size_t size, off_t at)
{
    const size_t skipped = PAGEHDRSZ + offsetof(MDB_meta, mm_mapsize);
    char page[META_SUM_END];

    _Static_assert(PAGEHDRSZ + sizeof(MDB_meta) == META_SUM_MARK_AT, "page_sums.h: meta pages");
    if (!has_sums(env))
        return write_whole(fd, data, size, at);
    memcpy(page, env->me_map + at - skipped, skipped);
    memcpy(page + skipped, data, size);
    pylmdb_set_meta_sum(page);
    if (write_whole(fd, page + skipped, sizeof(page) - skipped, at) < 0)
        return -1;
    return (ssize_t)size;
}

/* A meta page may be wrong because a commit is writing it: wait a moment, and look so often. */
enum { META_TRIES = 5 };

static void await_meta(void)
{
    const struct timespec pause = {0, 1000000};

    nanosleep(&pause, NULL);
}

/* Whether both meta pages have the right checksum. */
static int meta_pages_are_right(const MDB_env *env, char *pages)
{
    const size_t size = NUM_METAS * (size_t)env->me_psize;
    int tries, i = 0;

    for (tries = 0; tries < META_TRIES; tries++) {
        if ((pread)(env->me_fd, pages, size, 0) != (ssize_t)size)
            return 0;
        for (i = 0; i < NUM_METAS; i++)
            if (!pylmdb_meta_sum_is_right(pages + i * env->me_psize, env->me_psize, i))
                break;
        if (i == NUM_METAS)
            return 1;
        await_meta();
    }
    note_damage((pgno_t)i, PYLMDB_WRONG_SUM);
    return 0;
}

/* Find out whether a file has the checksums: 0, or an error. */
static int file_has_sums(MDB_env *env, int *found)
{
    const size_t size = NUM_METAS * (size_t)env->me_psize;
    char *pages = malloc(size);
    int rc = MDB_SUCCESS;

    if (!pages)
        return ENOMEM;
    if ((pread)(env->me_fd, pages, size, 0) == (ssize_t)size)
        *found = pylmdb_meta_has_sum(pages) || pylmdb_meta_has_sum(pages + env->me_psize);
    if (*found && !meta_pages_are_right(env, pages))
        rc = MDB_CORRUPTED;
    free(pages);
    return rc;
}

/* Called by mdb_env_open2() when the page size is known. */
static int choose_sums(MDB_env *env, int is_new)
{
    struct env_extension *ext = extension_of(env);
    int found = is_new && ext->new_has_sums, rc;

    if (!is_new && (rc = file_has_sums(env, &found)))
        return rc;
    if (!found)
        return MDB_SUCCESS;
    if (env->me_flags & MDB_WRITEMAP)
        return PYLMDB_SUMS_IN_MAP;
    env->me_sumfunc = sum_page;
    env->me_sumsize = PAGE_SUM_SIZE;
    ext->has_sums = 1;
    return MDB_SUCCESS;
}

/* Whether the meta page of a snapshot, in the map, has the right checksum. Without a lock file, a
 * reader finds a snapshot by the number in the meta page, which is before the checksum. */
static int meta_in_map_is_right(const MDB_env *env, txnid_t snapshot)
{
    const unsigned int number = snapshot % NUM_METAS;
    const char *page = env->me_map + number * env->me_psize;
    int tries = env->me_txns ? 1 : META_TRIES;

    if (!has_sums(env))
        return 1;
    while (!pylmdb_meta_sum_is_right(page, env->me_psize, number)) {
        if (!--tries)
            return 0;
        await_meta();
    }
    return 1;
}

#else

static int has_sums(const MDB_env *env)
{
    (void)env;
    return 0;
}

static size_t sum_size(const MDB_env *env)
{
    (void)env;
    return 0;
}

static int meta_in_map_is_right(const MDB_env *env, txnid_t snapshot)
{
    (void)env, (void)snapshot;
    return 1;
}

#endif
