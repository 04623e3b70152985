/* SPDX-License-Identifier: MIT */
/* What bulk.c takes of the file, and writes to it before the commit. Included by shim.c, after
 * growth.c and readers.c. */

enum {
    /* Larger writes are no faster, smaller ones are slower (Linux 6.18, ext4). */
    BULK_BUFFER_SIZE = 256 * 1024,
    /* How many pages are taken from the free list at once, if it has such a run. */
    BULK_RUN_PAGES = 32
};

struct pylmdb_bulk {
    MDB_cursor *mc;
    MDB_txn *txn;
    /* of records that are put, and what is called before; NULL: nothing */
    unsigned int flags;
    pylmdb_bulk_check *check;
    /* whether this has put a record, and the size of its value */
    int has_put;
    size_t put_size;
    /* whether pages, or memory for them, could not be taken */
    int has_no_room;
    /* the cursor's own description of the database, if records keep the order given */
    MDB_dbx unordered;

    /* Whether records are laid out, or pages are not written yet, so that the tree is not whole. */
    int is_open;
    /* The open leaf page; NULL: records are put, or values gathered. It is laid out in the buffer
     * behind the unwritten bytes, so that it is not copied there, or in own_leaf, if other pages
     * come before it: those of values. */
    MDB_page *leaf, *own_leaf;
    int has_large_values;
    /* the key of the last record */
    MDB_val last;
    /* In a database with duplicates the values of the last key, as a sub-page that is in no
     * node yet, and behind it a copy of the key. NULL in other databases. */
    MDB_page *values;
    /* The tree of these values; md_depth is 0 if they fit into a node. On the page are its last
     * values. The open branch pages, the lowest first, and their first keys. */
    MDB_db tree;
    MDB_page *branches[CURSOR_STACK];
    MDB_val branch_keys[CURSOR_STACK];
    /* whether the tree is about to end, and may use the room that was left for that */
    int ends_tree;

    /* Unwritten bytes, and where they belong in the file. Behind size is room for a page. */
    char *buffer;
    size_t used, size;
    off_t at;

    /* for the checksum of a large value; NULL: the file has none */
    struct pylmdb_sum *sum;

    /* A run of pages that were taken from the free list, which has no run of as many pages as
     * too_long; 0: not known. */
    pgno_t run;
    size_t run_left;
    size_t too_long;

    /* The pages for the list of spilled pages; of large values the first one. */
    MDB_IDL written;
};

/* -- unwritten pages -------------------------------------------------------------- */

/* Whether pages are copied into a writable map. On Linux they are written there, too: a write
 * takes half of the time, because it has no page faults, the map shows it at once, and msync()
 * flushes the file's pages however they were changed. */
static int stores_into_map(const MDB_env *env)
{
    return !PYLMDB_MSYNC_FLUSHES_WRITES && (env->me_flags & MDB_WRITEMAP);
}

static int write_pages(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;
    const size_t used = bulk->used;

    bulk->used = 0;
    /* Checks of these pages that this transaction has noted are void now. */
    forget_pages(env, (pgno_t)bulk->at / env->me_psize, used / env->me_psize);
    if (stores_into_map(env))
        memcpy(env->me_map + bulk->at, bulk->buffer, used);
    else if (used && write_whole(env->me_fd, bulk->buffer, used, bulk->at) < 0)
        return errno;
    bulk->at += (off_t)used;
    return MDB_SUCCESS;
}

/* Add bytes after the last ones; zeros if data is NULL. */
static int add_bytes(struct pylmdb_bulk *bulk, const void *data, size_t size)
{
    const char *from = data;

    while (size) {
        const size_t room = bulk->size - bulk->used, now = size < room ? size : room;

        if (from) {
            if (from != bulk->buffer + bulk->used)
                memcpy(bulk->buffer + bulk->used, from, now);
            from += now;
        } else {
            memset(bulk->buffer + bulk->used, 0, now);
        }
        size -= now;
        if ((bulk->used += now) == bulk->size) {
            const int rc = write_pages(bulk);

            if (rc)
                return rc;
        }
    }
    return MDB_SUCCESS;
}

/* What is added next belongs to this page. */
static int begin_page(struct pylmdb_bulk *bulk, pgno_t pgno)
{
    const off_t at = (off_t)(pgno * bulk->txn->mt_env->me_psize);
    int rc = MDB_SUCCESS;

    if (bulk->at + (off_t)bulk->used != at) {
        rc = write_pages(bulk);
        bulk->at = at;
    }
    return rc;
}

/* The header that a page of this transaction has in the file. */
static void sign_page(const struct pylmdb_bulk *bulk, MDB_page *mp, pgno_t pgno)
{
    mp->mp_pgno = pgno;
#if MDB_VERSION_MAJOR > 0
    mp->mp_txnid = bulk->txn->mt_txnid;
#else
    (void)bulk;
#endif
}

/* -- taking pages ------------------------------------------------------------------ */

/* Give back what is left of the run. */
static int return_run(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;
    MDB_ID list[BULK_RUN_PAGES + 1];
    size_t i;
    int rc;

    if (!bulk->run_left)
        return MDB_SUCCESS;
    if ((rc = mdb_midl_need(&env->me_pghead, (unsigned int)bulk->run_left)))
        return rc;
    list[0] = bulk->run_left;
    for (i = 1; i <= bulk->run_left; i++)
        list[i] = bulk->run + bulk->run_left - i;
    bulk->run_left = 0;
    return merge_free_list(bulk->txn, env->me_pghead, list) ? MDB_SUCCESS : MDB_CORRUPTED;
}

/* Whether this many pages fit at the end of the map, together with those that splits of branch
 * pages and the end of a tree of values may need. If not, free pages may do, which liblmdb
 * looks for one by one. */
static int has_room_at_end(MDB_txn *txn, size_t count)
{
    const size_t pages = txn->mt_next_pgno + count + 4 * CURSOR_STACK;

    return !raise_limit_for(txn, pages) && pages < txn->mt_env->me_maxpg;
}

/* Whether the pages of a writable map are dirty without being on a list. */
static int has_no_lists(const MDB_env *env)
{
    return MDB_VERSION_MAJOR > 0 && (env->me_flags & MDB_WRITEMAP);
}

/* Where a page is in the list of dirty pages. liblmdb sorts the list only without a writable map. */
static unsigned int find_dirty(const MDB_txn *txn, const MDB_page *mp)
{
    MDB_ID2L list = txn->mt_u.dirty_list;
    unsigned int x = (unsigned int)list[0].mid;

    if (!(txn->mt_env->me_flags & MDB_WRITEMAP))
        return search_dirty(list, mp->mp_pgno);
    while (x > 1 && list[x].mptr != mp)
        x--;
    return x;
}

/* liblmdb has put a run of pages that it allocated into its list of dirty pages. */
static void remove_dirty(MDB_txn *txn, MDB_page *mp, unsigned int count)
{
    MDB_ID2L list = txn->mt_u.dirty_list;
    unsigned int x;

    if (has_no_lists(txn->mt_env))
        return;
    x = find_dirty(txn, mp);
    for (list[0].mid--; x <= list[0].mid; x++)
        list[x] = list[x + 1];
    txn->mt_dirty_room++;
    if (txn->mt_env->me_flags & MDB_WRITEMAP)
        return;
    mp->mp_flags = P_OVERFLOW;
    mp->mp_pages = count;
    mdb_dpage_free(txn->mt_env, mp);
}

/* Make room in the list of dirty pages for the next leaf page and what join_tree() needs, as a
 * put would. This may write any dirty page that no cursor is on. */
static int make_room_for_dirty(struct pylmdb_bulk *bulk)
{
    MDB_val nothing = {0, NULL}, key = nothing;

    return mdb_page_spill(bulk->mc, &key, &nothing);
}

static int has_run(const struct pylmdb_bulk *bulk, size_t count)
{
    return !bulk->too_long || count < bulk->too_long;
}

/* Take a run of this length from the free list, or find that it has none. */
static int try_run(struct pylmdb_bulk *bulk, size_t count)
{
    MDB_txn *txn = bulk->txn;
    const pgno_t end = txn->mt_next_pgno;
    MDB_page *mp;
    int rc;

    if ((rc = make_room_for_dirty(bulk)) || (rc = mdb_page_alloc(bulk->mc, (int)count, &mp)))
        return rc;
    if (mp->mp_pgno == end) {
        bulk->too_long = count;
        txn->mt_next_pgno = end;
    } else {
        bulk->run = mp->mp_pgno;
        bulk->run_left = count;
    }
    remove_dirty(txn, mp, (unsigned int)count);
    return MDB_SUCCESS;
}

/* Take a run of at least this length from the free list, or find that it has none. A list that
 * has only short runs is used too, so that the file does not grow. */
static int take_run(struct pylmdb_bulk *bulk, size_t count)
{
    size_t length = BULK_RUN_PAGES;
    int rc = return_run(bulk);

    if (!bulk->txn->mt_env->me_pghead && !bulk->txn->mt_dbs[FREE_DBI].md_entries)
        bulk->too_long = 1;
    for (; !rc && !bulk->run_left && has_run(bulk, count); length /= 4)
        if (length <= count || has_run(bulk, length))
            rc = try_run(bulk, length > count ? length : count);
    return rc;
}

/* Take pages in a row. PYLMDB_NOT_QUICK: the file has no room, and nothing has changed. */
static int take_pages(struct pylmdb_bulk *bulk, size_t count, pgno_t *pgno)
{
    MDB_txn *txn = bulk->txn;
    int rc;

    if (bulk->run_left < count && !bulk->ends_tree) {
        /* A failed mdb_page_alloc() would fail the transaction. */
        if (!has_room_at_end(txn, count > BULK_RUN_PAGES ? count : BULK_RUN_PAGES)) {
            bulk->has_no_room = 1;
            return PYLMDB_NOT_QUICK;
        }
        if (clear_dead_readers(txn, txn->mt_next_pgno + count))
            bulk->too_long = 0;
        if (has_run(bulk, count) && (rc = take_run(bulk, count)))
            return rc;
    }
    if (bulk->run_left >= count) {
        *pgno = bulk->run;
        bulk->run += count;
        bulk->run_left -= count;
    } else {
        *pgno = txn->mt_next_pgno;
        txn->mt_next_pgno += count;
    }
    return MDB_SUCCESS;
}
