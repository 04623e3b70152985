/* SPDX-License-Identifier: MIT */
/* Build pages of records that come in order, and write them before the commit. Included by
 * shim.c, after growth.c.
 *
 * mdb_cursor_put() searches, touches and checks the path to the last page for each record.
 * Here records that belong behind the last one of a database are laid out on a leaf page of
 * our own. A page that is full gets a number, goes to a buffer that is written in large
 * pieces, and becomes a child of the last branch page. Large values get overflow pages in the
 * same buffer. Everything else is liblmdb's own work:
 *
 * - The first records are put, until one does not fit on the last leaf page. So small batches
 *   cost what they cost before, the path to the end of the tree belongs to the transaction,
 *   and no page stays half empty.
 * - mdb_node_add() lays out nodes, and mdb_page_split() splits branch pages, makes new roots
 *   and moves other cursors. A branch page that is split at its end stays full.
 * - The last leaf page, which may not be full, becomes a dirty page of liblmdb's at the end.
 *
 * A page that is written here is noted in the transaction's list of spilled pages: liblmdb
 * also writes dirty pages early when it has too many of them. So reads find it in the map, a
 * change takes it back into memory under the same number, and an abort forgets it. The list
 * is the only thing that makes this true in LMDB 1.0, where a page with the number of the
 * transaction must be dirty or on this list. Pages come from where liblmdb takes them: runs of
 * free pages as long as there are any, then the end of the file. No snapshot has them before
 * the commit, which syncs them with all others.
 *
 * While a leaf page is open, the tree is not whole: the cursor's path ends above the leaf
 * pages, and children may be unwritten. pylmdb_bulk_finish() must run before anything else
 * uses the transaction. */

enum {
    /* Larger writes are slower: the kernel looks for larger runs of free memory. */
    BULK_BUFFER_SIZE = 128 * 1024,
    /* How many pages are taken from the free list at once. */
    BULK_RUN_PAGES = 32
};

struct pylmdb_bulk {
    MDB_cursor *mc;
    MDB_txn *txn;
    /* of records that are put */
    unsigned int flags;
    /* integer keys must have the size of the first one */
    size_t key_size;
    /* whether this has put a record, and whether pages could not be taken */
    int has_put, has_no_room;

    /* The open leaf page, in memory of its own, and its last key; NULL: records are put. */
    MDB_page *leaf;
    MDB_val last;

    /* Unwritten bytes, and where they belong in the file. */
    char *buffer;
    size_t used, size;
    off_t at;

    /* A run of pages that were taken from the free list, and whether that has no more. */
    pgno_t run;
    size_t run_left;
    int at_end;

    /* The pages for the list of spilled pages; of large values the first one. */
    MDB_IDL written;
};

/* -- what is built ------------------------------------------------------------------ */

enum pylmdb_bulk_obstacle {
    NO_OBSTACLE,
    /* pages of a writable map are written by storing into it */
    WRITABLE_MAP,
    /* values of one key are in an order of their own */
    DUPLICATES,
    /* mdb_cursor_put() refuses the record, or the transaction */
    REFUSED_RECORD,
    /* no pages could be taken, or no memory */
    NO_ROOM,
    /* the last leaf page has room for the record, or is the only page of the tree */
    UNFINISHED_PAGE
};

/* Why a record is put, and not built into a page. Nothing else decides that. */
static enum pylmdb_bulk_obstacle obstacle_for(struct pylmdb_bulk *bulk, const MDB_val *key,
                                              const MDB_val *value)
{
    const MDB_cursor *mc = bulk->mc;
    MDB_env *env = bulk->txn->mt_env;
    MDB_val k = *key, v = *value;

    if (key->mv_size - 1 >= ENV_MAXKEY(env) || value->mv_size > MAXDATASIZE)
        return REFUSED_RECORD;
    if (bulk->leaf)
        return NO_OBSTACLE;
    if (env->me_flags & MDB_WRITEMAP)
        return WRITABLE_MAP;
    if (mc->mc_db->md_flags & MDB_DUPSORT)
        return DUPLICATES;
    if (bulk->txn->mt_flags & (MDB_TXN_RDONLY | MDB_TXN_BLOCKED))
        return REFUSED_RECORD;
    if (bulk->has_no_room)
        return NO_ROOM;
    if (!bulk->has_put || mc->mc_snum < 2 || !is_on_last_page(mc) ||
        mdb_leaf_size(env, &k, &v) <= SIZELEFT(mc->mc_pg[mc->mc_top]))
        return UNFINISHED_PAGE;
    return NO_OBSTACLE;
}

static MDB_val key_at(MDB_page *mp, unsigned int i)
{
    MDB_node *node = NODEPTR(mp, i);
    const MDB_val key = {NODEKSZ(node), NODEKEY(node)};

    return key;
}

/* Whether a key is greater than all keys before it. */
static inline int is_greater(const struct pylmdb_bulk *bulk, const MDB_val *key)
{
    MDB_cmp_func *const compare = bulk->mc->mc_dbx->md_cmp;

    if (compare == mdb_cmp_memn)
        return compare_bytes(key->mv_data, key->mv_size, bulk->last.mv_data, bulk->last.mv_size) >
               0;
    return compare(key, &bulk->last) > 0;
}

/* -- unwritten pages -------------------------------------------------------------- */

static int write_pages(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;
    const size_t used = bulk->used;

    bulk->used = 0;
    /* Checks of these pages that this transaction has noted are void now. */
    forget_pages(env, (pgno_t)bulk->at / env->me_psize, used / env->me_psize);
    if (used && write_whole(env->me_fd, bulk->buffer, used, bulk->at) < 0)
        return errno;
    bulk->at += (off_t)used;
    return MDB_SUCCESS;
}

/* Add bytes after the last ones; zeros if data is NULL. */
static int bulk_bytes(struct pylmdb_bulk *bulk, const void *data, size_t size)
{
    const char *from = data;

    while (size) {
        const size_t room = bulk->size - bulk->used, now = size < room ? size : room;

        if (from) {
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
 * pages may need. If not, free pages may do, which liblmdb looks for one by one. */
static int bulk_has_room(MDB_txn *txn, size_t count)
{
    const size_t pages = txn->mt_next_pgno + count + 2 * CURSOR_STACK;

    return !raise_limit_for(txn, pages) && pages < txn->mt_env->me_maxpg;
}

/* liblmdb has put a run of pages that it allocated into its list of dirty pages. */
static void remove_dirty(MDB_txn *txn, MDB_page *mp, unsigned int count)
{
    MDB_ID2L list = txn->mt_u.dirty_list;
    unsigned int x = mdb_mid2l_search(list, mp->mp_pgno);

    for (list[0].mid--; x <= list[0].mid; x++)
        list[x] = list[x + 1];
    txn->mt_dirty_room++;
    mp->mp_flags = P_OVERFLOW;
    mp->mp_pages = count;
    mdb_dpage_free(txn->mt_env, mp);
}

/* Take a run of pages from the free list, or find that it has none as long. */
static int take_run(struct pylmdb_bulk *bulk, size_t count)
{
    MDB_txn *txn = bulk->txn;
    const pgno_t end = txn->mt_next_pgno;
    const MDB_val nothing = {0, NULL};
    MDB_val key = nothing, data = nothing;
    MDB_page *mp;
    int rc = return_run(bulk);

    if (count < BULK_RUN_PAGES)
        count = BULK_RUN_PAGES;
    if (!rc && !txn->mt_env->me_pghead && !txn->mt_dbs[FREE_DBI].md_entries)
        bulk->at_end = 1;
    if (rc || bulk->at_end)
        return rc;
    if ((rc = mdb_page_spill(bulk->mc, &key, &data)) ||
        (rc = mdb_page_alloc(bulk->mc, (int)count, &mp)))
        return rc;
    if (mp->mp_pgno == end) {
        bulk->at_end = 1;
        txn->mt_next_pgno = end;
    } else {
        bulk->run = mp->mp_pgno;
        bulk->run_left = count;
    }
    remove_dirty(txn, mp, (unsigned int)count);
    return MDB_SUCCESS;
}

/* Take pages in a row. PYLMDB_NOT_QUICK: the file has no room, and nothing has changed. */
static int take_pages(struct pylmdb_bulk *bulk, size_t count, pgno_t *pgno)
{
    MDB_txn *txn = bulk->txn;
    int rc;

    if (bulk->run_left < count) {
        /* A failed mdb_page_alloc() would fail the transaction. */
        if (!bulk_has_room(txn, count > BULK_RUN_PAGES ? count : BULK_RUN_PAGES))
            return PYLMDB_NOT_QUICK;
        if (clear_dead_readers(txn, txn->mt_next_pgno + count))
            bulk->at_end = 0;
        if (!bulk->at_end && (rc = take_run(bulk, count)))
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

/* -- leaf pages and values --------------------------------------------------------- */

static void clear_leaf(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;
    MDB_page *leaf = bulk->leaf;

    memset(leaf, 0, env->me_psize);
    MP_FLAGS(leaf) = P_LEAF;
    MP_LOWER(leaf) = PAGEHDRSZ - PAGEBASE;
#if MDB_VERSION_MAJOR > 0
    MP_UPPER(leaf) = (indx_t)env->me_pagespace;
#else
    MP_UPPER(leaf) = (indx_t)(env->me_psize - PAGEBASE);
#endif
}

/* Add a node behind those of the open page, which has room for it. size is that of the value,
 * which the node has, or refers to. */
static inline void add_node(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *data,
                            size_t size, unsigned int flags)
{
    MDB_page *leaf = bulk->leaf;
    const indx_t at = (indx_t)(MP_UPPER(leaf) - EVEN(LEAFSIZE(key, data)));
    MDB_node *node = (MDB_node *)((char *)leaf + at + PAGEBASE);

    MP_PTRS(leaf)[NUMKEYS(leaf)] = MP_UPPER(leaf) = at;
    MP_LOWER(leaf) += sizeof(indx_t);
    node->mn_ksize = (unsigned short)key->mv_size;
    node->mn_flags = (unsigned short)flags;
    SETDSZ(node, size);
    bulk->last.mv_data = memcpy(NODEKEY(node), key->mv_data, key->mv_size);
    bulk->last.mv_size = key->mv_size;
    if (data->mv_size)
        memcpy(NODEDATA(node), data->mv_data, data->mv_size);
    bulk->mc->mc_db->md_entries++;
}

/* Make a leaf page a child of the last branch page, where the cursor's path ends. */
static int join_tree(struct pylmdb_bulk *bulk, pgno_t pgno)
{
    MDB_cursor *mc = bulk->mc;
    MDB_env *env = bulk->txn->mt_env;
    MDB_val key = key_at(bulk->leaf, 0), nothing = {0, NULL};
    MDB_page *mp;
    int rc;

    if ((rc = mdb_page_spill(mc, &key, &nothing)) || (rc = mdb_cursor_touch(mc)))
        return rc;
    mp = mc->mc_pg[mc->mc_top];
    mc->mc_ki[mc->mc_top] = (indx_t)NUMKEYS(mp);
    if (SIZELEFT(mp) < mdb_branch_size(env, &key))
        return mdb_page_split(mc, &key, NULL, pgno, 0);
    return mdb_node_add(mc, mc->mc_ki[mc->mc_top], &key, NULL, pgno, 0);
}

/* Room for pages that will be written, and for notes of them. */
static int has_memory(struct pylmdb_bulk *bulk)
{
    const size_t psize = bulk->txn->mt_env->me_psize;

    if (!bulk->buffer) {
        bulk->size = BULK_BUFFER_SIZE / psize * psize;
        bulk->buffer = malloc(bulk->size);
    }
    if (!bulk->written)
        bulk->written = mdb_midl_alloc(BULK_BUFFER_SIZE / 4096);
    return bulk->buffer && bulk->written && !mdb_midl_need(&bulk->written, 1);
}

/* Write the open leaf page, and begin another one. PYLMDB_NOT_QUICK as from take_pages(). */
static int close_leaf(struct pylmdb_bulk *bulk)
{
    pgno_t pgno;
    int rc;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    if ((rc = take_pages(bulk, 1, &pgno)))
        return rc;
    sign_page(bulk, bulk->leaf, pgno);
    if ((rc = begin_page(bulk, pgno)) ||
        (rc = bulk_bytes(bulk, bulk->leaf, bulk->txn->mt_env->me_psize)) ||
        (rc = join_tree(bulk, pgno)))
        return rc;
    mdb_midl_xappend(bulk->written, pgno << 1);
    bulk->mc->mc_db->md_leaf_pages++;
    clear_leaf(bulk);
    return MDB_SUCCESS;
}

#if MDB_VERSION_MAJOR > 0
typedef MDB_ovpage overflow_reference;
#else
typedef pgno_t overflow_reference;
#endif

/* Return how many overflow pages a value takes. */
static size_t bulk_pages_of(const MDB_env *env, const MDB_val *value)
{
    return (PAGEHDRSZ - 1 + value->mv_size) / env->me_psize + 1;
}

/* Write a large value; its leaf node gets the reference. */
static int add_overflow(struct pylmdb_bulk *bulk, const MDB_val *value,
                        overflow_reference *reference)
{
    const MDB_env *env = bulk->txn->mt_env;
    const size_t count = bulk_pages_of(env, value);
    MDB_page header;
    pgno_t pgno;
    int rc;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    if ((rc = take_pages(bulk, count, &pgno)))
        return rc;
    memset(&header, 0, sizeof(header));
    header.mp_flags = P_OVERFLOW;
    header.mp_pages = (uint32_t)count;
    sign_page(bulk, &header, pgno);
#if MDB_VERSION_MAJOR > 0
    *reference = (MDB_ovpage){pgno, bulk->txn->mt_txnid, count};
#else
    *reference = pgno;
#endif
    if ((rc = begin_page(bulk, pgno)) || (rc = bulk_bytes(bulk, &header, PAGEHDRSZ)) ||
        (rc = bulk_bytes(bulk, value->mv_data, value->mv_size)) ||
        (rc = bulk_bytes(bulk, NULL, count * env->me_psize - PAGEHDRSZ - value->mv_size)))
        return rc;
    mdb_midl_xappend(bulk->written, pgno << 1);
    bulk->mc->mc_db->md_overflow_pages += count;
    return MDB_SUCCESS;
}

/* -- records ------------------------------------------------------------------------ */

/* PYLMDB_NOT_QUICK: the record must be put. */
static int build_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_env *env = bulk->txn->mt_env;
    MDB_val k = *key, v = *value;
    const size_t size = mdb_leaf_size(env, &k, &v);
    const int is_large = LEAFSIZE(key, value) > env->me_nodemax;
    overflow_reference reference;
    int rc;

    if (size > SIZELEFT(bulk->leaf) && (rc = close_leaf(bulk)))
        return rc;
    if (is_large) {
        if ((rc = add_overflow(bulk, value, &reference)))
            return rc;
        v = (MDB_val){sizeof(reference), &reference};
    }
    add_node(bulk, key, &v, value->mv_size, is_large ? F_BIGDATA : 0);
    return MDB_SUCCESS;
}

/* Open a leaf page. The cursor is on the last leaf page, which is full. */
static int begin_building(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;

    if (!(bulk->leaf = malloc(bulk->txn->mt_env->me_psize)))
        return 0;
    clear_leaf(bulk);
    mdb_cursor_pop(mc);
    return 1;
}

/* The open leaf page becomes a dirty page of liblmdb's, and the last one of the tree. */
static int adopt_leaf(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;
    MDB_val key = key_at(bulk->leaf, 0), nothing = {0, NULL};
    MDB_page *mp;
    int rc;

    if ((rc = mdb_page_spill(mc, &key, &nothing)) || (rc = mdb_page_new(mc, P_LEAF, 1, &mp)))
        return rc;
    MP_LOWER(mp) = MP_LOWER(bulk->leaf);
    MP_UPPER(mp) = MP_UPPER(bulk->leaf);
    memcpy((char *)mp + PAGEHDRSZ, (char *)bulk->leaf + PAGEHDRSZ,
           bulk->txn->mt_env->me_psize - PAGEHDRSZ);
    if ((rc = join_tree(bulk, mp->mp_pgno)) || (rc = mdb_cursor_push(mc, mp)))
        return rc;
    mc->mc_ki[mc->mc_top] = (indx_t)(NUMKEYS(mp) - 1);
    mc->mc_flags &= ~(C_EOF | C_DEL);
    return MDB_SUCCESS;
}

/* Note the pages that were written as spilled ones. Both lists are sorted, the largest number
 * first. */
static int note_spilled(struct pylmdb_bulk *bulk)
{
    MDB_txn *txn = bulk->txn;
    MDB_IDL own = bulk->written, list;
    int rc;

    if (!own || !own[0])
        return MDB_SUCCESS;
    mdb_midl_sort(own);
    txn->mt_flags |= MDB_TXN_SPILLS;
    if (!txn->mt_spill_pgs) {
        txn->mt_spill_pgs = own;
        bulk->written = NULL;
        return MDB_SUCCESS;
    }
    if ((rc = mdb_midl_need(&txn->mt_spill_pgs, (unsigned int)own[0])))
        return rc;
    list = txn->mt_spill_pgs;
    if (list[0] && own[own[0]] > list[1]) {
        memmove(list + 1 + own[0], list + 1, list[0] * sizeof(*list));
        memcpy(list + 1, own + 1, own[0] * sizeof(*list));
        list[0] += own[0];
    } else {
        mdb_midl_xmerge(list, own);
    }
    own[0] = 0;
    return MDB_SUCCESS;
}

static void close_building(struct pylmdb_bulk *bulk)
{
    free(bulk->leaf);
    bulk->leaf = NULL;
}

/* The tree refers to pages that the file does not have. */
static int fail_bulk(struct pylmdb_bulk *bulk, int rc)
{
    bulk->txn->mt_flags |= MDB_TXN_ERROR;
    bulk->used = bulk->run_left = 0;
    bulk->mc->mc_flags &= ~(C_INITIALIZED | C_EOF);
    close_building(bulk);
    return rc;
}

/* Move the cursor, whose path ends above the leaf pages, to the last record. */
static int find_last(MDB_cursor *mc)
{
    MDB_val key;

    mc->mc_flags &= ~(C_INITIALIZED | C_EOF | C_DEL);
    return mdb_cursor_last(mc, &key, NULL);
}

/* Make the tree whole. */
static int finish_building(struct pylmdb_bulk *bulk)
{
    int rc = MDB_SUCCESS, has_records;

    if (!bulk->leaf)
        return MDB_SUCCESS;
    /* An open page is empty if the first record for it could not be built. */
    has_records = NUMKEYS(bulk->leaf) > 0;
    if (has_records)
        rc = adopt_leaf(bulk);
    if (!rc)
        rc = write_pages(bulk);
    if (!rc)
        rc = return_run(bulk);
    if (!rc)
        rc = note_spilled(bulk);
    if (!rc && !has_records)
        rc = find_last(bulk->mc);
    if (rc)
        return fail_bulk(bulk, rc);
    close_building(bulk);
    return MDB_SUCCESS;
}

static int put_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_val k = *key, v = *value;
    const int rc = mdb_cursor_put(bulk->mc, &k, &v, bulk->flags);

    bulk->has_put |= !rc;
    return rc;
}

static int add_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const enum pylmdb_bulk_obstacle obstacle = obstacle_for(bulk, key, value);
    MDB_page *mp = bulk->mc->mc_pg[bulk->mc->mc_top];
    int rc;

    if (obstacle == NO_OBSTACLE) {
        if (!bulk->leaf)
            bulk->last = key_at(mp, NUMKEYS(mp) - 1);
        if (!is_greater(bulk, key))
            return MDB_KEYEXIST;
        if (bulk->leaf || begin_building(bulk)) {
            rc = build_record(bulk, key, value);
            if (rc != PYLMDB_NOT_QUICK)
                return rc ? fail_bulk(bulk, rc) : rc;
        }
        bulk->has_no_room = 1;
    }
    if ((rc = finish_building(bulk)))
        return rc;
    return put_record(bulk, key, value);
}

static int guarded_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    GUARDED(bulk->txn->mt_env, add_record(bulk, key, value));
}

/* -- functions of shim.h ------------------------------------------------------------- */

struct pylmdb_bulk *pylmdb_bulk_new(MDB_cursor *cursor, unsigned int flags)
{
    struct pylmdb_bulk *bulk = calloc(1, sizeof(*bulk));

    if (bulk) {
        bulk->mc = cursor;
        bulk->txn = cursor->mc_txn;
        bulk->flags = flags;
    }
    return bulk;
}

int pylmdb_bulk_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    if (bulk->mc->mc_db->md_flags & MDB_INTEGERKEY) {
        if (!bulk->key_size)
            bulk->key_size = key->mv_size;
        if (key->mv_size != bulk->key_size)
            return MDB_BAD_VALSIZE;
    }
    /* The usual case, which needs no other page. */
    if (bulk->leaf) {
        const size_t size = LEAFSIZE(key, value);

        if (size <= bulk->txn->mt_env->me_nodemax &&
            EVEN(size) + sizeof(indx_t) <= SIZELEFT(bulk->leaf) &&
            key->mv_size - 1 < ENV_MAXKEY(bulk->txn->mt_env)) {
            if (!is_greater(bulk, key))
                return MDB_KEYEXIST;
            add_node(bulk, key, value, value->mv_size, 0);
            return MDB_SUCCESS;
        }
    }
    return guarded_add(bulk, key, value);
}

static int guarded_finish(struct pylmdb_bulk *bulk)
{
    GUARDED(bulk->txn->mt_env, finish_building(bulk));
}

int pylmdb_bulk_finish(struct pylmdb_bulk *bulk)
{
    return bulk->leaf ? guarded_finish(bulk) : MDB_SUCCESS;
}

void pylmdb_bulk_free(struct pylmdb_bulk *bulk)
{
    if (!bulk)
        return;
    if (bulk->leaf)
        (void)fail_bulk(bulk, 0);
    mdb_midl_free(bulk->written);
    free(bulk->buffer);
    free(bulk);
}
