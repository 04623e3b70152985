/* SPDX-License-Identifier: MIT */
/* Leaf pages that bulk.c lays out, and how they join the tree. Included by shim.c, after
 * bulk_pages.c. */

/* Return where the nodes of a page end, which are laid out from its end. */
static indx_t end_of_nodes(const MDB_env *env)
{
#if MDB_VERSION_MAJOR > 0
    return (indx_t)env->me_pagespace;
#else
    return (indx_t)(env->me_psize - PAGEBASE);
#endif
}

static void clear_page(const MDB_env *env, MDB_page *mp, unsigned int flags)
{
    memset(mp, 0, PAGEHDRSZ);
    MP_FLAGS(mp) = (uint16_t)flags;
    MP_LOWER(mp) = PAGEHDRSZ - PAGEBASE;
    MP_UPPER(mp) = end_of_nodes(env);
}

/* Add a node behind those of a page, which has room for it. size is that of the value, which
 * the node has, or refers to. Returns the key on the page. */
static inline MDB_val add_node(MDB_page *mp, const MDB_val *key, const MDB_val *data, size_t size,
                               unsigned int flags)
{
    const indx_t at = (indx_t)(MP_UPPER(mp) - EVEN(LEAFSIZE(key, data)));
    MDB_node *node = (MDB_node *)((char *)mp + at + PAGEBASE);
    MDB_val copy = {key->mv_size, NODEKEY(node)};

    /* Keys and values of odd sizes have a byte behind them. */
    ((char *)NODEKEY(node))[EVEN(LEAFSIZE(key, data)) - NODESIZE - 1] = 0;
    ((char *)NODEKEY(node))[EVEN(key->mv_size) - 1] = 0;
    MP_PTRS(mp)[NUMKEYS(mp)] = MP_UPPER(mp) = at;
    MP_LOWER(mp) += sizeof(indx_t);
    node->mn_ksize = (unsigned short)key->mv_size;
    node->mn_flags = (unsigned short)flags;
    SETDSZ(node, size);
    memcpy(copy.mv_data, key->mv_data, key->mv_size);
    if (data->mv_size)
        memcpy(NODEDATA(node), data->mv_data, data->mv_size);
    return copy;
}

static MDB_val key_at(MDB_page *mp, unsigned int i)
{
    MDB_node *node = NODEPTR(mp, i);
    const MDB_val key = {NODEKSZ(node), NODEKEY(node)};

    return key;
}

/* Make zeros of the room that is left: it has bytes of other pages. */
static void clear_room(MDB_page *mp)
{
    memset((char *)mp + MP_LOWER(mp) + PAGEBASE, 0, SIZELEFT(mp));
}

/* Make a leaf page a child of the last branch page, where the cursor's path ends. */
static int join_tree(struct pylmdb_bulk *bulk, pgno_t pgno)
{
    MDB_cursor *mc = bulk->mc;
    MDB_env *env = bulk->txn->mt_env;
    MDB_val key = key_at(bulk->leaf, 0);
    MDB_page *mp;
    int rc;

    if ((rc = mdb_cursor_touch(mc)))
        return rc;
    mp = mc->mc_pg[mc->mc_top];
    mc->mc_ki[mc->mc_top] = (indx_t)NUMKEYS(mp);
    if (SIZELEFT(mp) < mdb_branch_size(env, &key))
        return mdb_page_split(mc, &key, NULL, pgno, 0);
    return mdb_node_add(mc, mc->mc_ki[mc->mc_top], &key, NULL, pgno, 0);
}

/* Whether there is memory for pages that will be written, and for notes of some of them. */
static int has_memory(struct pylmdb_bulk *bulk)
{
    const size_t psize = bulk->txn->mt_env->me_psize;

    if (!bulk->buffer) {
        bulk->size = BULK_BUFFER_SIZE / psize * psize;
        bulk->buffer = malloc(bulk->size + psize);
    }
    if (!bulk->written)
        bulk->written = mdb_midl_alloc(BULK_BUFFER_SIZE / 4096);
    if (!bulk->sum && has_sums(bulk->txn->mt_env))
        bulk->sum = pylmdb_sum_new();
    bulk->has_no_room = !bulk->buffer || !bulk->written ||
                        (!bulk->sum && has_sums(bulk->txn->mt_env)) ||
                        mdb_midl_need(&bulk->written, 2 * CURSOR_STACK);
    return !bulk->has_no_room;
}

/* Write a page; it gets a number. PYLMDB_NOT_QUICK as from take_pages(). */
static int write_page(struct pylmdb_bulk *bulk, MDB_page *mp, pgno_t *pgno)
{
    int rc = take_pages(bulk, 1, pgno);

    if (rc)
        return rc;
    sign_page(bulk, mp, *pgno);
    if (has_sums(bulk->txn->mt_env))
        pylmdb_set_page_sum(mp, bulk->txn->mt_env->me_psize);
    if ((rc = begin_page(bulk, *pgno)) || (rc = add_bytes(bulk, mp, bulk->txn->mt_env->me_psize)))
        return rc;
    mdb_midl_xappend(bulk->written, *pgno << 1);
    return MDB_SUCCESS;
}

/* Begin a leaf page. */
static void begin_leaf(struct pylmdb_bulk *bulk)
{
    const int is_own = bulk->values || bulk->has_large_values;

    bulk->leaf = is_own ? bulk->own_leaf : (MDB_page *)(bulk->buffer + bulk->used);
    bulk->has_large_values = 0;
    clear_page(bulk->txn->mt_env, bulk->leaf, P_LEAF);
}

/* Make room in the buffer for another page before the open leaf page. */
static void leave_buffer(struct pylmdb_bulk *bulk)
{
    const char *last = bulk->last.mv_data;

    bulk->has_large_values = 1;
    if (bulk->leaf == bulk->own_leaf)
        return;
    memcpy(bulk->own_leaf, bulk->leaf, bulk->txn->mt_env->me_psize);
    if (NUMKEYS(bulk->leaf))
        bulk->last.mv_data = (char *)bulk->own_leaf + (last - (char *)bulk->leaf);
    bulk->leaf = bulk->own_leaf;
}

/* Write the open leaf page, and begin another one. PYLMDB_NOT_QUICK as from take_pages(). */
static int close_leaf(struct pylmdb_bulk *bulk)
{
    pgno_t pgno;
    int rc;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    clear_room(bulk->leaf);
    if ((rc = write_page(bulk, bulk->leaf, &pgno)) || (rc = make_room_for_dirty(bulk)) ||
        (rc = join_tree(bulk, pgno)))
        return rc;
    bulk->mc->mc_db->md_leaf_pages++;
    begin_leaf(bulk);
    return MDB_SUCCESS;
}

#if MDB_VERSION_MAJOR > 0
typedef MDB_ovpage overflow_reference;
#else
typedef pgno_t overflow_reference;
#endif

/* Return how many overflow pages a value takes. */
static size_t pages_of(const MDB_env *env, const MDB_val *value)
{
    return (PAGEHDRSZ - 1 + value->mv_size + sum_size(env)) / env->me_psize + 1;
}

/* Write the zeros behind a large value, and the checksum of its pages. */
static int end_overflow(struct pylmdb_bulk *bulk, const MDB_page *header, const MDB_val *value)
{
    const MDB_env *env = bulk->txn->mt_env;
    const size_t size = (size_t)header->mp_pages * env->me_psize;
    size_t left = size - PAGEHDRSZ - value->mv_size - sum_size(env);
    static const char zeros[256];
    uint64_t found;
    int rc = add_bytes(bulk, NULL, left);

    if (rc || !has_sums(env))
        return rc;
    pylmdb_sum_begin(bulk->sum);
    pylmdb_sum_add(bulk->sum, header, PAGEHDRSZ);
    pylmdb_sum_add(bulk->sum, value->mv_data, value->mv_size);
    for (; left; left -= left < sizeof(zeros) ? left : sizeof(zeros))
        pylmdb_sum_add(bulk->sum, zeros, left < sizeof(zeros) ? left : sizeof(zeros));
    found = pylmdb_sum_end(bulk->sum);
    return add_bytes(bulk, &found, sizeof(found));
}

/* Write a large value; its leaf node gets the reference. */
static int add_overflow(struct pylmdb_bulk *bulk, const MDB_val *value,
                        overflow_reference *reference)
{
    const MDB_env *env = bulk->txn->mt_env;
    const size_t count = pages_of(env, value);
    MDB_page header;
    pgno_t pgno;
    int rc;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    if ((rc = take_pages(bulk, count, &pgno)))
        return rc;
    leave_buffer(bulk);
    memset(&header, 0, sizeof(header));
    header.mp_flags = P_OVERFLOW;
    header.mp_pages = (uint32_t)count;
    sign_page(bulk, &header, pgno);
#if MDB_VERSION_MAJOR > 0
    *reference = (MDB_ovpage){pgno, bulk->txn->mt_txnid, count};
#else
    *reference = pgno;
#endif
    if ((rc = begin_page(bulk, pgno)) || (rc = add_bytes(bulk, &header, PAGEHDRSZ)) ||
        (rc = add_bytes(bulk, value->mv_data, value->mv_size)) ||
        (rc = end_overflow(bulk, &header, value)))
        return rc;
    mdb_midl_xappend(bulk->written, pgno << 1);
    bulk->mc->mc_db->md_overflow_pages += count;
    return MDB_SUCCESS;
}

/* Begin another leaf page if a node does not fit on this one. */
static int make_room_on_leaf(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *data)
{
    MDB_val k = *key, v = *data;

    if (mdb_leaf_size(bulk->txn->mt_env, &k, &v) <= SIZELEFT(bulk->leaf))
        return MDB_SUCCESS;
    return close_leaf(bulk);
}
