/* SPDX-License-Identifier: MIT */
/* Values of one key, which bulk.c gathers until another key comes. Included by shim.c, after
 * bulk_leaf.c.
 *
 * A leaf page has one node for each key. The node has the key's value, or a sub-page with all
 * its values, in order: as nodes without data, or one after the other if they have one size
 * (MDB_DUPFIXED). Here they are laid out on a page in that way, which is cut to its size when
 * it becomes the data of a node. More values than a node takes are in a tree of their own;
 * that is left to liblmdb. */

/* What liblmdb says about a sub-page: 0.9 changes it without asking whether it may. */
#if MDB_VERSION_MAJOR > 0
enum { SUBPAGE = P_LEAF | P_SUBP };
#else
enum { SUBPAGE = P_LEAF | P_SUBP | P_DIRTY };
#endif

static int has_fixed_size(const struct pylmdb_bulk *bulk)
{
    return (bulk->mc->mc_db->md_flags & MDB_DUPFIXED) != 0;
}

static MDB_val value_at(const struct pylmdb_bulk *bulk, unsigned int i)
{
    MDB_val value = {MP_PAD(bulk->values), NULL};

    if (!has_fixed_size(bulk))
        return key_at(bulk->values, i);
    value.mv_data = LEAF2KEY(bulk->values, i, (unsigned int)value.mv_size);
    return value;
}

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

/* Begin with the first value of a key. */
static void begin_values(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_env *env = bulk->txn->mt_env;

    clear_page(env, bulk->values, SUBPAGE | (has_fixed_size(bulk) ? P_LEAF2 : 0));
    if (has_fixed_size(bulk))
        MP_PAD(bulk->values) = (uint16_t)value->mv_size;
    add_to_subpage(bulk, value);
    bulk->last.mv_size = key->mv_size;
    bulk->last.mv_data = memcpy((char *)bulk->values + env->me_psize, key->mv_data, key->mv_size);
}

/* Add one more value. MDB_KEYEXIST: it is not greater than the last one, or the key must not
 * have another. PYLMDB_NOT_QUICK: it must be put. */
static int add_value(struct pylmdb_bulk *bulk, const MDB_val *value)
{
    const MDB_val last = value_at(bulk, NUMKEYS(bulk->values) - 1);
    const size_t more =
        has_fixed_size(bulk) ? value->mv_size : sizeof(indx_t) + EVEN(NODESIZE + value->mv_size);
    const MDB_val data = {EVEN(subpage_size(bulk) + more), NULL};

    if (has_fixed_size(bulk) && value->mv_size != last.mv_size)
        return PYLMDB_NOT_QUICK;
    if ((bulk->flags & MDB_NOOVERWRITE) || bulk->mc->mc_dbx->md_dcmp(value, &last) <= 0)
        return MDB_KEYEXIST;
    if (LEAFSIZE(&bulk->last, &data) > bulk->txn->mt_env->me_nodemax)
        return PYLMDB_NOT_QUICK;
    add_to_subpage(bulk, value);
    return MDB_SUCCESS;
}

/* Cut the sub-page to its size: move what is at the end of the page to where it belongs. */
static void cut_subpage(struct pylmdb_bulk *bulk)
{
    MDB_page *values = bulk->values;
    const indx_t upper = MP_UPPER(values), offset = (indx_t)(upper - MP_LOWER(values));
    const size_t size = (size_t)NUMKEYS(values) * MP_PAD(values);
    unsigned int i;

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

/* Make a node of the values. PYLMDB_NOT_QUICK: there is no room for another leaf page. */
static int end_values(struct pylmdb_bulk *bulk)
{
    MDB_page *values = bulk->values;
    const unsigned int count = values ? NUMKEYS(values) : 0;
    MDB_val data = {0, NULL};
    int rc;

    if (!count)
        return MDB_SUCCESS;
    data = count > 1 ? (MDB_val){subpage_size(bulk), values} : value_at(bulk, 0);
    if ((rc = make_room_on_leaf(bulk, &bulk->last, &data)))
        return rc;
    if (count > 1) {
        cut_subpage(bulk);
        /* liblmdb gives it the number of the leaf page, which has none yet, and does not mind
         * when that changes. */
        sign_page(bulk, values, bulk->mc->mc_pg[bulk->mc->mc_top]->mp_pgno);
    }
    bulk->last = add_node(bulk->leaf, &bulk->last, &data, data.mv_size, count > 1 ? F_DUPDATA : 0);
    bulk->mc->mc_db->md_entries += count;
    MP_LOWER(values) = PAGEHDRSZ - PAGEBASE;
    return MDB_SUCCESS;
}

/* The same where there is no room for another leaf page, when the tree is whole. */
static int put_values(struct pylmdb_bulk *bulk)
{
    const unsigned int count = bulk->values ? NUMKEYS(bulk->values) : 0;
    unsigned int i;
    int rc = MDB_SUCCESS;

    for (i = 0; i < count && !rc; i++) {
        MDB_val key = bulk->last, value = value_at(bulk, i);

        rc = mdb_cursor_put(bulk->mc, &key, &value, MDB_APPENDDUP);
    }
    if (count)
        MP_LOWER(bulk->values) = PAGEHDRSZ - PAGEBASE;
    return rc;
}
