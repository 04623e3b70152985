/* SPDX-License-Identifier: MIT */
/* Trees of the values of one key, which bulk.c builds. Included by shim.c, after bulk_leaf.c.
 *
 * More values than a node takes are in a tree of their own, whose record is the data of the
 * node. Nothing refers to this tree before it is whole, so all of its pages are ours: leaf
 * pages are written when they are full, and each level above has an open branch page, which
 * gets the pages below it as children. */

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

/* Values of one size are in the order of the page, and its bounds are only counters. */
static void end_fixed_page(const struct pylmdb_bulk *bulk, MDB_page *mp)
{
    const size_t count = NUMKEYS(mp), size = count * MP_PAD(mp);
    const size_t end = end_of_nodes(bulk->txn->mt_env);

    memset((char *)METADATA(mp) + size, 0, end - (PAGEHDRSZ - PAGEBASE) - size);
    MP_UPPER(mp) = (indx_t)(end + count * sizeof(indx_t) - size);
}

/* -- branch pages ------------------------------------------------------------------- */

/* Return the open branch page of a level; NULL: no memory. Behind it are its first key, which
 * its parent gets, and room for another. */
static MDB_page *branch_at(struct pylmdb_bulk *bulk, unsigned int level)
{
    MDB_env *env = bulk->txn->mt_env;
    MDB_page **branch = &bulk->branches[level];

    if (!*branch && (*branch = malloc(env->me_psize + 2 * (size_t)ENV_MAXKEY(env)))) {
        clear_page(env, *branch, P_BRANCH);
        bulk->branch_keys[level].mv_data = (char *)*branch + env->me_psize;
    }
    return *branch;
}

static size_t branch_node_size(const MDB_val *key)
{
    return EVEN(NODESIZE + key->mv_size);
}

static void add_branch_node(MDB_page *mp, const MDB_val *key, pgno_t pgno)
{
    const indx_t at = (indx_t)(MP_UPPER(mp) - branch_node_size(key));
    MDB_node *node = (MDB_node *)((char *)mp + at + PAGEBASE);

    MP_PTRS(mp)[NUMKEYS(mp)] = MP_UPPER(mp) = at;
    MP_LOWER(mp) += sizeof(indx_t);
    node->mn_ksize = (unsigned short)key->mv_size;
    SETPGNO(node, pgno);
    if (key->mv_size) {
        ((char *)NODEKEY(node))[branch_node_size(key) - NODESIZE - 1] = 0;
        memcpy(NODEKEY(node), key->mv_data, key->mv_size);
    }
}

/* Begin a branch page. Its first node has no key. */
static void begin_branch(struct pylmdb_bulk *bulk, unsigned int level, const MDB_val *key,
                         pgno_t pgno)
{
    const MDB_val nothing = {0, NULL};
    MDB_val *first = &bulk->branch_keys[level];

    clear_page(bulk->txn->mt_env, bulk->branches[level], P_BRANCH);
    add_branch_node(bulk->branches[level], &nothing, pgno);
    first->mv_size = key->mv_size;
    memmove(first->mv_data, key->mv_data, key->mv_size);
}

static int add_child(struct pylmdb_bulk *bulk, unsigned int level, const MDB_val *key, pgno_t pgno);

/* Write a branch page that is full, and begin another one with its last child, so that none
 * has only one child. */
static int close_branch(struct pylmdb_bulk *bulk, unsigned int level)
{
    MDB_env *env = bulk->txn->mt_env;
    MDB_page *mp = bulk->branches[level];
    MDB_node *last = NODEPTR(mp, NUMKEYS(mp) - 1);
    MDB_val moved = {NODEKSZ(last), (char *)mp + env->me_psize + ENV_MAXKEY(env)};
    const pgno_t child = NODEPGNO(last);
    pgno_t pgno;
    int rc;

    memcpy(moved.mv_data, NODEKEY(last), moved.mv_size);
    MP_UPPER(mp) = (indx_t)(MP_UPPER(mp) + branch_node_size(&moved));
    MP_LOWER(mp) -= sizeof(indx_t);
    clear_room(mp);
    if ((rc = write_page(bulk, mp, &pgno)) ||
        (rc = add_child(bulk, level + 1, &bulk->branch_keys[level], pgno)))
        return rc;
    bulk->tree.md_branch_pages++;
    begin_branch(bulk, level, &moved, child);
    return MDB_SUCCESS;
}

/* Make a page the last child on a level. */
static int add_child(struct pylmdb_bulk *bulk, unsigned int level, const MDB_val *key, pgno_t pgno)
{
    MDB_page *mp;
    int rc;

    if (level + 1 >= CURSOR_STACK)
        return MDB_CURSOR_FULL;
    if (!(mp = branch_at(bulk, level)))
        return ENOMEM;
    if (!NUMKEYS(mp)) {
        begin_branch(bulk, level, key, pgno);
        return MDB_SUCCESS;
    }
    if (branch_node_size(key) + sizeof(indx_t) > SIZELEFT(mp) && (rc = close_branch(bulk, level)))
        return rc;
    add_branch_node(mp, key, pgno);
    return MDB_SUCCESS;
}

/* -- the tree ----------------------------------------------------------------------- */

/* Write a page of values. */
static int write_values(struct pylmdb_bulk *bulk, pgno_t *pgno)
{
    MDB_page *values = bulk->values;
    int rc;

    MP_FLAGS(values) = P_LEAF | (MP_FLAGS(values) & P_LEAF2);
    if (IS_LEAF2(values))
        end_fixed_page(bulk, values);
    else
        clear_room(values);
    if ((rc = write_page(bulk, values, pgno)))
        return rc;
    bulk->tree.md_leaf_pages++;
    bulk->tree.md_entries += NUMKEYS(values);
    return MDB_SUCCESS;
}

/* The values of the last key need a tree. PYLMDB_NOT_QUICK: there is no room for it. */
static int begin_tree(struct pylmdb_bulk *bulk)
{
    const unsigned int flags = bulk->mc->mc_db->md_flags;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    if (!has_room_at_end(bulk->txn, BULK_RUN_PAGES)) {
        bulk->has_no_room = 1;
        return PYLMDB_NOT_QUICK;
    }
    memset(&bulk->tree, 0, sizeof(bulk->tree));
    bulk->tree.md_depth = 1;
    if (flags & MDB_DUPFIXED) {
        bulk->tree.md_pad = MP_PAD(bulk->values);
        bulk->tree.md_flags = MDB_DUPFIXED;
        if (flags & MDB_INTEGERDUP)
            bulk->tree.md_flags |= MDB_INTEGERKEY;
    }
    return MDB_SUCCESS;
}

/* Write a page of values that is full. PYLMDB_NOT_QUICK as from take_pages(). */
static int close_values(struct pylmdb_bulk *bulk)
{
    const MDB_val key = value_at(bulk, 0);
    pgno_t pgno;
    int rc;

    if (!has_memory(bulk))
        return PYLMDB_NOT_QUICK;
    if ((rc = write_values(bulk, &pgno)) || (rc = add_child(bulk, 0, &key, pgno)))
        return rc;
    MP_LOWER(bulk->values) = PAGEHDRSZ - PAGEBASE;
    MP_UPPER(bulk->values) = end_of_nodes(bulk->txn->mt_env);
    return MDB_SUCCESS;
}

/* Write what is left of the tree. There is room: begin_tree() and take_pages() leave some. */
static int end_tree(struct pylmdb_bulk *bulk)
{
    MDB_val key = value_at(bulk, 0);
    unsigned int level = 0;
    pgno_t pgno;
    int rc;

    if ((rc = write_values(bulk, &pgno)))
        return rc;
    for (; bulk->branches[level] && NUMKEYS(bulk->branches[level]); level++) {
        if ((rc = add_child(bulk, level, &key, pgno)))
            return rc;
        clear_room(bulk->branches[level]);
        if ((rc = write_page(bulk, bulk->branches[level], &pgno)))
            return rc;
        bulk->tree.md_branch_pages++;
        key = bulk->branch_keys[level];
        clear_page(bulk->txn->mt_env, bulk->branches[level], P_BRANCH);
    }
    bulk->tree.md_root = pgno;
    bulk->tree.md_depth = (uint16_t)(level + 1);
    return MDB_SUCCESS;
}
