/* SPDX-License-Identifier: MIT */
/* Values of one key, which bulk.c gathers until another key comes. Included by shim.c, after
 * bulk_leaf.c.
 *
 * A leaf page has one node for each key. The node has the key's value, or a sub-page with all
 * its values, in order: as nodes without data, or one after the other if they have one size
 * (MDB_DUPFIXED). Here they are laid out on a page in that way, which is cut to its size when
 * it becomes the data of a node. More values than a node takes become a tree (bulk_trees.c). */

/* Return the size of the sub-page when it is cut. It is even, as liblmdb keeps it: when it
 * shrinks, the node is moved by what has become free. */
static size_t subpage_size(const struct pylmdb_bulk *bulk)
{
    MDB_page *values = bulk->values;
    const size_t count = NUMKEYS(values);

    if (has_fixed_size(bulk))
        return EVEN(PAGEHDRSZ + count * MP_PAD(values));
    return PAGEHDRSZ + count * sizeof(indx_t) + end_of_nodes(bulk->txn->mt_env) - MP_UPPER(values);
}

static int value_is_refused(const MDB_cursor *mc, const MDB_val *value)
{
    const size_t size = value->mv_size;

    if (!(mc->mc_db->md_flags & MDB_DUPSORT))
        return size > MAXDATASIZE;
    return size - 1 >= ENV_MAXKEY(mc->mc_txn->mt_env) ||
           ((mc->mc_db->md_flags & MDB_INTEGERDUP) && size != sizeof(int) &&
            size != sizeof(size_t));
}

static void add_to_subpage(struct pylmdb_bulk *bulk, const MDB_val *value)
{
    MDB_page *values = bulk->values;
    const MDB_val nothing = {0, NULL};

    if (has_fixed_size(bulk)) {
        memcpy(LEAF2KEY(values, NUMKEYS(values), (unsigned int)value->mv_size), value->mv_data,
               value->mv_size);
        MP_LOWER(values) += sizeof(indx_t);
    } else {
        (void)add_node(values, value, &nothing, 0, 0);
    }
}

static int has_values(const struct pylmdb_bulk *bulk)
{
    return bulk->values && NUMKEYS(bulk->values);
}

/* Whether the values and this number of bytes more fit in a node; if not, they need a tree. */
static int fits_node(const struct pylmdb_bulk *bulk, size_t more)
{
    const MDB_val data = {EVEN(subpage_size(bulk) + more), NULL};

    return LEAFSIZE(&bulk->last, &data) <= bulk->txn->mt_env->me_nodemax;
}

static int fits_page(const struct pylmdb_bulk *bulk, size_t more)
{
    MDB_page *values = bulk->values;

    if (!has_fixed_size(bulk))
        return more <= SIZELEFT(values);
    return NUMKEYS(values) * more + more <=
           (size_t)end_of_nodes(bulk->txn->mt_env) - (PAGEHDRSZ - PAGEBASE);
}

static inline int compare_values(const struct pylmdb_bulk *bulk, const MDB_val *a, const MDB_val *b)
{
    MDB_cmp_func *compare = bulk->mc->mc_dbx->md_dcmp;

    if (compare == mdb_cmp_memn)
        return pylmdb_compare_bytes(a->mv_data, a->mv_size, b->mv_data, b->mv_size);
    if (compare == mdb_cmp_int && a->mv_size == sizeof(size_t))
        compare = mdb_cmp_clong; /* as mdb_dcmp() does */
    return compare(a, b);
}

/* Return how many bytes of a page a value takes. */
static size_t size_on_page(const struct pylmdb_bulk *bulk, const MDB_val *value)
{
    return has_fixed_size(bulk) ? value->mv_size : sizeof(indx_t) + EVEN(NODESIZE + value->mv_size);
}

/* Begin with the first value of a key. PYLMDB_NOT_QUICK: it must be put. */
static int begin_values(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_env *env = bulk->txn->mt_env;
    int rc;

    clear_page(env, bulk->values, SUBPAGE | (has_fixed_size(bulk) ? P_LEAF2 : 0));
    if (has_fixed_size(bulk))
        MP_PAD(bulk->values) = (uint16_t)value->mv_size;
    bulk->tree.md_depth = 0;
    if (LEAFSIZE(key, value) > env->me_nodemax && (rc = begin_tree(bulk)))
        return rc;
    add_to_subpage(bulk, value);
    bulk->put_size = value->mv_size;
    bulk->last.mv_size = key->mv_size;
    bulk->last.mv_data = memcpy((char *)bulk->values + env->me_psize, key->mv_data, key->mv_size);
    return MDB_SUCCESS;
}

/* Add one more value. MDB_KEYEXIST: it is not greater than the last one, or the key must not
 * have another. PYLMDB_NOT_QUICK: it must be put. */
static int add_value(struct pylmdb_bulk *bulk, const MDB_val *value)
{
    const MDB_val last = value_at(bulk, NUMKEYS(bulk->values) - 1);
    const size_t more = size_on_page(bulk, value);
    int rc;

    if (has_fixed_size(bulk) && value->mv_size != last.mv_size)
        return PYLMDB_NOT_QUICK;
    if ((bulk->flags & MDB_NOOVERWRITE) || compare_values(bulk, value, &last) <= 0)
        return MDB_KEYEXIST;
    if (!bulk->tree.md_depth && !fits_node(bulk, more) && (rc = begin_tree(bulk)))
        return rc;
    if (!fits_page(bulk, more) && (rc = close_values(bulk)))
        return rc;
    add_to_subpage(bulk, value);
    return MDB_SUCCESS;
}

/* The usual case of the last key's next value, which needs no other page. *rc is that of
 * add_value(). */
static inline int add_value_quickly(struct pylmdb_bulk *bulk, const MDB_val *key,
                                    const MDB_val *value, int *rc)
{
    const size_t more = size_on_page(bulk, value);
    MDB_val last;

    if (!has_values(bulk) || key->mv_size != bulk->last.mv_size ||
        memcmp(key->mv_data, bulk->last.mv_data, key->mv_size) || !fits_page(bulk, more) ||
        !(bulk->tree.md_depth || fits_node(bulk, more)) || value_is_refused(bulk->mc, value))
        return 0;
    last = value_at(bulk, NUMKEYS(bulk->values) - 1);
    if ((has_fixed_size(bulk) && value->mv_size != last.mv_size) || bulk->flags & MDB_NOOVERWRITE)
        return 0;
    *rc = compare_values(bulk, value, &last) > 0 ? MDB_SUCCESS : MDB_KEYEXIST;
    if (!*rc)
        add_to_subpage(bulk, value);
    return 1;
}

/* Cut the sub-page to its size: move what is at the end of the page to where it belongs. */
static void cut_subpage(struct pylmdb_bulk *bulk)
{
    MDB_page *values = bulk->values;
    const indx_t upper = MP_UPPER(values), offset = (indx_t)(upper - MP_LOWER(values));
    const size_t size = (size_t)NUMKEYS(values) * MP_PAD(values);
    unsigned int i;

    /* liblmdb gives a sub-page the number of its leaf page, and accepts another number. The leaf
     * page may have none yet. */
    sign_page(bulk, values, bulk->mc->mc_pg[bulk->mc->mc_top]->mp_pgno);
    MP_UPPER(values) = MP_LOWER(values);
    if (has_fixed_size(bulk)) {
        if (size % 2) { /* a byte is left */
            ((char *)METADATA(values))[size] = 0;
            MP_UPPER(values)++;
        }
        return;
    }
    memmove((char *)values + MP_LOWER(values) + PAGEBASE, (char *)values + upper + PAGEBASE,
            (size_t)(end_of_nodes(bulk->txn->mt_env) - upper));
    for (i = 0; i < NUMKEYS(values); i++)
        MP_PTRS(values)[i] = (indx_t)(MP_PTRS(values)[i] - offset);
}

static void forget_values(struct pylmdb_bulk *bulk)
{
    MP_LOWER(bulk->values) = PAGEHDRSZ - PAGEBASE;
    bulk->tree.md_depth = 0;
}

static size_t count_values(const struct pylmdb_bulk *bulk)
{
    return bulk->tree.md_depth ? bulk->tree.md_entries : NUMKEYS(bulk->values);
}

/* Make the data of a node of the values; return its flags. */
static unsigned int node_of_values(struct pylmdb_bulk *bulk, MDB_val *data)
{
    MDB_page *values = bulk->values;

    if (bulk->tree.md_depth) {
        *data = (MDB_val){sizeof(bulk->tree), &bulk->tree};
        return F_DUPDATA | F_SUBDATA;
    }
    if (NUMKEYS(values) == 1) {
        *data = value_at(bulk, 0);
        return 0;
    }
    *data = (MDB_val){subpage_size(bulk), values};
    return F_DUPDATA;
}

/* Add a node of the values to the open leaf page. PYLMDB_NOT_QUICK: there is no room for
 * another leaf page. */
static int build_node(struct pylmdb_bulk *bulk)
{
    MDB_db *db = bulk->mc->mc_db;
    const size_t count = count_values(bulk);
    MDB_val data;
    const unsigned int flags = node_of_values(bulk, &data);
    int rc;

    if ((rc = make_room_on_leaf(bulk, &bulk->last, &data)))
        return rc;
    if (flags == F_DUPDATA)
        cut_subpage(bulk);
    bulk->last = add_node(bulk->leaf, &bulk->last, &data, data.mv_size, flags);
    db->md_entries += count;
    db->md_leaf_pages += flags & F_SUBDATA ? 1 : 0; /* as liblmdb counts the first page of it */
    return MDB_SUCCESS;
}

/* The same where records are put: put the key with some value, then put this node in place of
 * that one. */
static int put_node(struct pylmdb_bulk *bulk)
{
    MDB_cursor *mc = bulk->mc;
    MDB_db *db = mc->mc_db;
    const size_t count = count_values(bulk);
    MDB_val key = bulk->last, value = {sizeof(unsigned int), bulk->values}, data;
    const unsigned int flags = node_of_values(bulk, &data);
    int rc;

    if ((rc = mdb_cursor_put(mc, &key, flags ? &value : &data, MDB_APPENDDUP)) || !flags)
        return rc;
    if (flags == F_DUPDATA)
        cut_subpage(bulk);
    mdb_node_del(mc, 0);
    db->md_entries += count - 1;
    db->md_leaf_pages += flags & F_SUBDATA ? 1 : 0;
    key = bulk->last;
    if (mdb_leaf_size(mc->mc_txn->mt_env, &key, &data) <= SIZELEFT(mc->mc_pg[mc->mc_top]))
        return mdb_node_add(mc, mc->mc_ki[mc->mc_top], &key, &data, 0, flags);
    return mdb_page_split(mc, &key, &data, P_INVALID, flags | MDB_APPEND);
}
