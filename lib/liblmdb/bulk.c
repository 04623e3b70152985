/* SPDX-License-Identifier: MIT */
/* Build pages of records that come in order, and write them before the commit. Included by
 * shim.c, after growth.c.
 *
 * mdb_cursor_put() searches, touches and checks the path to the last page for each record.
 * Here records that belong behind the last one of a database are laid out on a leaf page of
 * our own. A page that is full gets a number, stays in a buffer that is written in large
 * pieces, and becomes a child of the last branch page. Large values get overflow pages in the
 * same buffer. Everything else is liblmdb's own work:
 *
 * - The first records are put, until one does not fit on the last leaf page. So small batches
 *   cost what they cost before, the path to the end of the tree belongs to the transaction,
 *   and no page stays half empty.
 * - The values of a key that is greater than all others are gathered first, whether a page is
 *   full or not, and become the data of a node when the next key comes (bulk_values.c).
 * - Branch pages are changed by mdb_node_add() and mdb_page_split(), which also makes new roots
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
 * uses the transaction. Until then the transaction has the mark of a failed one
 * (MDB_TXN_ERROR), so that it cannot be used or committed by mistake. */

/* -- what is built ------------------------------------------------------------------ */

enum pylmdb_bulk_obstacle {
    NO_OBSTACLE,
    /* mdb_cursor_put() refuses the record, or the transaction */
    REFUSED,
    /* no pages could be taken, or no memory */
    NO_ROOM,
    /* the last leaf page has room for the record, or is the only page of the tree; the values of
     * a key are gathered nevertheless */
    UNFINISHED_PAGE,
    /* its key is not greater than the last one */
    NOT_THE_LAST
};

/* Compare a key with the last one. */
static inline int compare_to_last(const struct pylmdb_bulk *bulk, const MDB_val *key)
{
    MDB_cmp_func *const compare = bulk->mc->mc_dbx->md_cmp;

    if (compare == mdb_cmp_memn)
        return pylmdb_compare_bytes(key->mv_data, key->mv_size, bulk->last.mv_data,
                                    bulk->last.mv_size);
    return compare(key, &bulk->last);
}

/* Integer keys of one database have one size. */
static int has_other_size(const struct pylmdb_bulk *bulk, const MDB_val *key)
{
    return (bulk->mc->mc_db->md_flags & MDB_INTEGERKEY) && key->mv_size != bulk->last.mv_size;
}

/* Move the cursor, whose path may end above the leaf pages, to the last record. */
static int find_last(MDB_cursor *mc)
{
    MDB_val key, value;

    mc->mc_flags &= ~(C_INITIALIZED | C_EOF | C_DEL);
    return mdb_cursor_last(mc, &key, mc->mc_xcursor ? &value : NULL);
}

/* Find the last key, if any, before values are gathered. Its page may change when they are put. */
static int find_last_key(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;
    MDB_val key;
    int rc = MDB_SUCCESS;

    if (!bulk->has_put || !is_on_last_page(mc)) {
        mc->mc_flags &= ~(C_INITIALIZED | C_EOF | C_DEL);
        rc = mdb_cursor_last(mc, &key, NULL);
    }
    bulk->last.mv_size = 0;
    if (!rc)
        bulk->last = key_at(mc->mc_pg[mc->mc_top], NUMKEYS(mc->mc_pg[mc->mc_top]) - 1);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Whether the last leaf page is not the only page, belongs to the transaction, and has no room
 * for a record. */
static int is_full(const struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const MDB_cursor *mc = bulk->mc;
    MDB_val k = *key, v = *value;

    return bulk->has_put && mc->mc_snum >= 2 && is_on_last_page(mc) &&
           mdb_leaf_size(bulk->txn->mt_env, &k, &v) > SIZELEFT(mc->mc_pg[mc->mc_top]);
}

/* Whether records are laid out. */
static int lays_out(const struct pylmdb_bulk *bulk)
{
    return bulk->leaf || has_values(bulk);
}

/* Whether the key was put just before, with a value of this size. */
static int is_put_again(const struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const MDB_cursor *mc = bulk->mc;
    MDB_val last;

    if (!bulk->has_put || value->mv_size != bulk->put_size || !(mc->mc_flags & C_INITIALIZED) ||
        mc->mc_ki[mc->mc_top] >= NUMKEYS(mc->mc_pg[mc->mc_top]))
        return 0;
    last = key_at(mc->mc_pg[mc->mc_top], mc->mc_ki[mc->mc_top]);
    return last.mv_size == key->mv_size && !memcmp(last.mv_data, key->mv_data, key->mv_size);
}

/* Ask the caller whether a record that is put is refused; the cursor stays where it is. */
static int check_record(const struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    if (!bulk->check || is_put_again(bulk, key, value))
        return MDB_SUCCESS;
    return bulk->check(bulk->mc, bulk->mc->mc_db->md_flags, key, value);
}

/* Why a record is put, and not laid out by this code. Nothing else decides that, but for what
 * is found when pages are taken (NO_ROOM), and when values are gathered (build()). */
static enum pylmdb_bulk_obstacle obstacle_for(struct pylmdb_bulk *bulk, const MDB_val *key,
                                              const MDB_val *value)
{
    const MDB_cursor *mc = bulk->mc;

    if (key->mv_size - 1 >= ENV_MAXKEY(bulk->txn->mt_env) || value_is_refused(mc, value))
        return REFUSED;
    if (lays_out(bulk))
        return has_other_size(bulk, key) ? REFUSED : NO_OBSTACLE;
    if (bulk->txn->mt_flags & (MDB_TXN_RDONLY | MDB_TXN_BLOCKED))
        return REFUSED;
    if (bulk->has_no_room)
        return NO_ROOM;
    if (!mc->mc_xcursor && !is_full(bulk, key, value))
        return UNFINISHED_PAGE;
    if ((mc->mc_xcursor && check_record(bulk, key, value)) || find_last_key(bulk))
        return REFUSED;
    if (bulk->last.mv_size && has_other_size(bulk, key))
        return REFUSED;
    if (bulk->last.mv_size && compare_to_last(bulk, key) <= 0)
        return NOT_THE_LAST;
    return NO_OBSTACLE;
}

/* -- records ------------------------------------------------------------------------ */

/* The key is greater than the last one. */
static int build_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const int is_large = LEAFSIZE(key, value) > bulk->txn->mt_env->me_nodemax;
    overflow_reference reference;
    MDB_val data = *value;
    int rc;

    if ((rc = make_room_on_leaf(bulk, key, value)))
        return rc;
    if (is_large) {
        if ((rc = add_overflow(bulk, value, &reference)))
            return rc;
        data = (MDB_val){sizeof(reference), &reference};
    }
    bulk->last = add_node(bulk->leaf, key, &data, value->mv_size, is_large ? F_BIGDATA : 0);
    bulk->mc->mc_db->md_entries++;
    return MDB_SUCCESS;
}

static void free_pages(struct pylmdb_bulk *bulk)
{
    unsigned int i;

    for (i = 0; i < CURSOR_STACK && bulk->branches[i]; i++) {
        free(bulk->branches[i]);
        bulk->branches[i] = NULL;
    }
    free(bulk->own_leaf);
    free(bulk->values);
    bulk->leaf = bulk->own_leaf = bulk->values = NULL;
}

/* Open a leaf page. The cursor is on the last leaf page, which is full. */
static int begin_building(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;

    if (!bulk->own_leaf)
        bulk->own_leaf = malloc(env->me_psize);
    if (!has_memory(bulk) || !bulk->own_leaf) {
        bulk->has_no_room = 1;
        return 0;
    }
    begin_leaf(bulk);
    mdb_cursor_pop(bulk->mc);
    return 1;
}

/* Get a page for the values of a key, and room for the key. */
static int begin_gathering(struct pylmdb_bulk *bulk)
{
    MDB_env *env = bulk->txn->mt_env;

    if (!bulk->values && (bulk->values = malloc(env->me_psize + ENV_MAXKEY(env))))
        clear_page(env, bulk->values, 0);
    bulk->has_no_room = !bulk->values;
    return !bulk->has_no_room;
}

/* Begin to lay out records for which there is no obstacle. */
static int begin(struct pylmdb_bulk *bulk)
{
    if (!lays_out(bulk))
        bulk->is_open = bulk->mc->mc_xcursor ? begin_gathering(bulk) : begin_building(bulk);
    return bulk->is_open;
}

/* The last key gets no more values. PYLMDB_NOT_QUICK: there is no room for another leaf page. */
static int end_values(struct pylmdb_bulk *bulk)
{
    const int is_tree = has_values(bulk) && bulk->tree.md_depth;
    MDB_val data;
    int rc = MDB_SUCCESS;

    if (!has_values(bulk))
        return MDB_SUCCESS;
    bulk->ends_tree = is_tree;
    if (is_tree)
        rc = end_tree(bulk);
    if (!rc && !bulk->leaf) {
        (void)node_of_values(bulk, &data);
        if (is_full(bulk, &bulk->last, &data))
            (void)begin_building(bulk);
    }
    if (!rc)
        rc = bulk->leaf ? build_node(bulk) : put_node(bulk);
    bulk->ends_tree = 0;
    if (rc)
        return is_tree && rc == PYLMDB_NOT_QUICK ? ENOMEM : rc;
    forget_values(bulk);
    bulk->has_put = 1;
    return MDB_SUCCESS;
}

/* Lay out a record for which there is no obstacle. MDB_KEYEXIST: it does not belong behind the
 * last one. PYLMDB_NOT_QUICK: it must be put. */
static int build(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const unsigned int flags = bulk->mc->mc_db->md_flags;
    const int order = bulk->last.mv_size ? compare_to_last(bulk, key) : 1;
    int rc;

    if (!(flags & MDB_DUPSORT))
        return order > 0 ? build_record(bulk, key, value) : MDB_KEYEXIST;
    if (order < 0)
        return PYLMDB_NOT_QUICK;
    if (!order)
        return has_values(bulk) ? add_value(bulk, value) : PYLMDB_NOT_QUICK;
    if ((rc = end_values(bulk)))
        return rc;
    return begin_values(bulk, key, value);
}

/* The open leaf page becomes a dirty page of liblmdb's, and the last one of the tree. */
static int adopt_leaf(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;
    MDB_page *mp;
    int rc;

    if ((rc = make_room_for_dirty(bulk)) || (rc = mdb_page_new(mc, P_LEAF, 1, &mp)))
        return rc;
    clear_room(bulk->leaf);
    MP_PAD(mp) = 0;
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

/* Note the pages that were written as spilled ones, or, where there are no lists, that there
 * are some. Both lists are sorted, the largest number first. */
static int note_spilled(struct pylmdb_bulk *bulk)
{
    MDB_txn *txn = bulk->txn;
    MDB_IDL own = bulk->written, list;
    int rc;

    if (!own || !own[0])
        return MDB_SUCCESS;
    if (has_no_lists(txn->mt_env)) {
        txn->mt_flags |= MDB_TXN_DIRTY;
        own[0] = 0;
        return MDB_SUCCESS;
    }
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

/* The tree refers to pages that the file does not have. */
static int fail_building(struct pylmdb_bulk *bulk, int rc)
{
    bulk->txn->mt_flags |= MDB_TXN_ERROR;
    bulk->used = bulk->run_left = 0;
    bulk->mc->mc_flags &= ~(C_INITIALIZED | C_EOF);
    bulk->is_open = 0;
    free_pages(bulk);
    return rc;
}

/* Make the tree whole. */
static int finish_building(struct pylmdb_bulk *bulk)
{
    int rc, is_whole;

    if (!bulk->is_open)
        return MDB_SUCCESS;
    rc = end_values(bulk);
    if (rc == PYLMDB_NOT_QUICK)
        rc = MDB_SUCCESS;
    /* The open page is empty if the first record for it could not be built. */
    is_whole = !bulk->leaf || !NUMKEYS(bulk->leaf);
    if (!rc && !is_whole)
        rc = adopt_leaf(bulk);
    if (!rc)
        rc = write_pages(bulk);
    if (!rc)
        rc = return_run(bulk);
    if (!rc)
        rc = note_spilled(bulk);
    if (!rc && (is_whole || bulk->values))
        rc = find_last(bulk->mc);
    if (!rc && has_values(bulk) && !(rc = put_node(bulk)))
        rc = find_last(bulk->mc);
    if (rc && rc != MDB_NOTFOUND) /* nothing was put */
        return fail_building(bulk, rc);
    bulk->is_open = 0;
    free_pages(bulk);
    return MDB_SUCCESS;
}

static int put_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_cursor *mc = bulk->mc;
    MDB_val k = *key, v = *value;
    int rc = check_record(bulk, key, value);

    if (!rc)
        rc = mdb_cursor_put(mc, &k, &v, bulk->flags);
    if (!rc) {
        bulk->has_put = 1;
        bulk->put_size = value->mv_size;
    }
    return rc;
}

static void allow_use(struct pylmdb_bulk *bulk)
{
    if (bulk->is_open)
        bulk->txn->mt_flags &= ~MDB_TXN_ERROR;
}

static int add_record(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    int rc;

    allow_use(bulk);
    if (obstacle_for(bulk, key, value) == NO_OBSTACLE && begin(bulk)) {
        rc = build(bulk, key, value);
        if (rc && rc != MDB_KEYEXIST && rc != PYLMDB_NOT_QUICK)
            return fail_building(bulk, rc);
        if (rc != PYLMDB_NOT_QUICK)
            return rc;
    }
    if ((rc = finish_building(bulk)))
        return rc;
    return put_record(bulk, key, value);
}

/* The mark of a failed transaction, while a page is open and this code does not run. */
static void forbid_use(struct pylmdb_bulk *bulk)
{
    if (bulk->is_open)
        bulk->txn->mt_flags |= MDB_TXN_ERROR;
}

static int guarded_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    GUARDED(bulk->txn->mt_env, add_record(bulk, key, value));
}

/* -- functions of shim.h ------------------------------------------------------------- */

struct pylmdb_bulk *pylmdb_bulk_new(MDB_cursor *cursor, unsigned int flags,
                                    pylmdb_bulk_check *check)
{
    struct pylmdb_bulk *bulk = calloc(1, sizeof(*bulk));

    if (bulk) {
        bulk->mc = cursor;
        bulk->txn = cursor->mc_txn;
        bulk->flags = flags;
        bulk->check = check;
    }
    return bulk;
}

static int comes_last(const MDB_val *a, const MDB_val *b)
{
    (void)a;
    (void)b;
    return 1;
}

/* The values of a key come one after the other. */
static int comes_last_if_other(const MDB_val *a, const MDB_val *b)
{
    return a->mv_size != b->mv_size || memcmp(a->mv_data, b->mv_data, a->mv_size);
}

/* The cursor gets its own description of the database. That of the environment, which other
 * threads read, is not changed. */
int pylmdb_bulk_keep_order(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;

    bulk->unordered = *mc->mc_dbx;
    bulk->unordered.md_cmp = mc->mc_xcursor ? comes_last_if_other : comes_last;
    bulk->unordered.md_dcmp = comes_last;
    mc->mc_dbx = &bulk->unordered;
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_dbx.md_cmp = comes_last;
    return MDB_SUCCESS;
}

int pylmdb_bulk_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    const MDB_env *env = bulk->txn->mt_env;
    int rc;

    /* The usual case, which needs no other page. */
    if (bulk->leaf && !(bulk->mc->mc_db->md_flags & (MDB_DUPSORT | MDB_INTEGERKEY))) {
        const size_t size = LEAFSIZE(key, value);

        if (size <= env->me_nodemax && EVEN(size) + sizeof(indx_t) <= SIZELEFT(bulk->leaf) &&
            key->mv_size - 1 < ENV_MAXKEY(env)) {
            if (compare_to_last(bulk, key) <= 0)
                return MDB_KEYEXIST;
            bulk->last = add_node(bulk->leaf, key, value, value->mv_size, 0);
            bulk->mc->mc_db->md_entries++;
            return MDB_SUCCESS;
        }
    }
    if (bulk->values && add_value_quickly(bulk, key, value, &rc))
        return rc;
    rc = guarded_add(bulk, key, value);
    forbid_use(bulk);
    return rc;
}

/* Whether the cursor is on the first node of a leaf page whose records have one value each. */
static int begins_page(const MDB_cursor *mc)
{
    return mc->mc_flags & C_INITIALIZED && !mc->mc_xcursor && mc->mc_snum &&
           !mc->mc_ki[mc->mc_top] && IS_LEAF(mc->mc_pg[mc->mc_top]);
}

int pylmdb_bulk_has_page(MDB_cursor *source, MDB_val *last)
{
    MDB_page *mp;

    if (!begins_page(source))
        return 0;
    mp = source->mc_pg[source->mc_top];
    *last = key_at(mp, NUMKEYS(mp) - 1);
    return NUMKEYS(mp) > 1;
}

int pylmdb_bulk_add_page(struct pylmdb_bulk *bulk, MDB_cursor *source, MDB_val *key, MDB_val *value,
                         size_t *count, size_t *bytes)
{
    MDB_page *mp = source->mc_pg[source->mc_top];
    unsigned int i;

    for (i = 1; i < NUMKEYS(mp); i++) {
        MDB_node *node = NODEPTR(mp, i);
        const MDB_val k = {NODEKSZ(node), NODEKEY(node)}, v = {NODEDSZ(node), NODEDATA(node)};
        int rc;

        /* large values and the records of databases are for the caller */
        if (node->mn_flags || has_other_size(bulk, &k))
            break;
        if ((rc = pylmdb_bulk_add(bulk, &k, &v)))
            return rc;
        source->mc_ki[source->mc_top] = (indx_t)i;
        *key = k;
        *value = v;
        *bytes += k.mv_size + v.mv_size;
        ++*count;
    }
    return MDB_SUCCESS;
}

static int guarded_finish(struct pylmdb_bulk *bulk)
{
    GUARDED(bulk->txn->mt_env, finish_building(bulk));
}

int pylmdb_bulk_finish(struct pylmdb_bulk *bulk)
{
    int rc;

    if (!bulk->is_open)
        return MDB_SUCCESS;
    allow_use(bulk);
    rc = guarded_finish(bulk);
    forbid_use(bulk); /* a failed assertion leaves the page open */
    return rc;
}

void pylmdb_bulk_free(struct pylmdb_bulk *bulk)
{
    if (!bulk)
        return;
    free_pages(bulk);
    mdb_midl_free(bulk->written);
    free(bulk->buffer);
    if (bulk->sum)
        pylmdb_sum_free(bulk->sum);
    free(bulk);
}
