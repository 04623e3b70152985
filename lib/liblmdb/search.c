/* SPDX-License-Identifier: MIT */
/* Search within a page, for keys in the order of their bytes.
 *
 * mdb_node_search() calls the database's comparison function for each key that it compares.
 * Nearly all databases have the same function, so here keys are compared in place, a word at
 * a time. edits/quick-search.edit calls search_node(), and edits/append-at-end.edit
 * is_on_last_page().
 *
 * Included by shim.c, after mdb.c. */

#include "compare.h"

static inline int compare_node(const MDB_val *key, MDB_node *node)
{
    return pylmdb_compare_bytes(key->mv_data, key->mv_size, NODEKEY(node), NODEKSZ(node));
}

/* Search the nodes from low to high. The key is greater than those before low. */
static inline MDB_node *search_between(MDB_cursor *mc, MDB_val *key, int *exactp, int low, int high)
{
    MDB_page *mp = mc->mc_pg[mc->mc_top];
    const int count = (int)NUMKEYS(mp);
    int i = 0, diff = 0;
    MDB_node *node = NULL;

    while (low <= high) {
        i = (low + high) >> 1;
        node = NODEPTR(mp, i);
        diff = compare_node(key, node);
        if (!diff)
            break;
        if (diff > 0)
            low = i + 1;
        else
            high = i - 1;
    }
    if (diff > 0)
        node = NODEPTR(mp, ++i);
    if (exactp)
        *exactp = !diff && count > 0;
    mc->mc_ki[mc->mc_top] = (indx_t)i;
    return i < count ? node : NULL;
}

static MDB_node *search_node(MDB_cursor *mc, MDB_val *key, int *exactp)
{
    MDB_page *mp = mc->mc_pg[mc->mc_top];

    return search_between(mc, key, exactp, IS_LEAF(mp) ? 0 : 1, (int)NUMKEYS(mp) - 1);
}

/* The same for a key that is greater than the cursor's and not greater than the last of its
 * page. It is near the cursor if keys are searched in their order. */
static MDB_node *search_forward(MDB_cursor *mc, MDB_val *key, int *exactp)
{
    MDB_page *mp = mc->mc_pg[mc->mc_top];
    const int last = (int)NUMKEYS(mp) - 1;
    int low = mc->mc_ki[mc->mc_top] + 1, reach = 1;

    while (low + reach < last && compare_node(key, NODEPTR(mp, low + reach)) > 0) {
        low += reach + 1;
        reach *= 2;
    }
    return search_between(mc, key, exactp, low, low + reach < last ? low + reach : last);
}

/* Whether a cursor's leaf page is the last one of the tree. */
static int is_on_last_page(const MDB_cursor *mc)
{
    int level;

    if (!(mc->mc_flags & C_INITIALIZED))
        return 0;
    for (level = 0; level < mc->mc_top; level++)
        if (mc->mc_ki[level] + 1u != NUMKEYS(mc->mc_pg[level]))
            return 0;
    return 1;
}

#if MDB_VERSION_MAJOR > 0
#define FETCH_PAGE(mc, pgno, out) MDB_PAGE_GET(mc, pgno, 1, out)
#else
#define FETCH_PAGE(mc, pgno, out) mdb_page_get(mc, pgno, out, NULL)
#endif

/* A reader takes a page that was checked from the map, without the other questions of
 * mdb_page_get(). */
static inline int get_page(MDB_cursor *mc, pgno_t pgno, MDB_page **out)
{
    const MDB_txn *txn = mc->mc_txn;

    if ((txn->mt_flags & MDB_TXN_RDONLY) && !txn->mt_parent && pgno < txn->mt_next_pgno &&
        page_is_checked(txn->mt_env, pgno)) {
        *out = (MDB_page *)(txn->mt_env->me_map + (size_t)txn->mt_env->me_psize * pgno);
        return MDB_SUCCESS;
    }
    return FETCH_PAGE(mc, pgno, out);
}

/* mdb_get() for the usual case: the database has no duplicates, orders keys by their bytes,
 * is known to this transaction, and has a tree of branch pages over leaf pages. All else is
 * left to mdb_get(), errors in the file too. */
static int quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    MDB_cursor mc;
    MDB_page *mp = NULL;
    MDB_node *node;
    pgno_t pgno;
    int level, exact, rc;

    if (!TXN_DBI_EXIST(txn, dbi, DB_USRVALID) || (txn->mt_flags & MDB_TXN_BLOCKED) ||
        (txn->mt_dbflags[dbi] & DB_STALE) || (txn->mt_dbs[dbi].md_flags & MDB_DUPSORT) ||
        txn->mt_dbxs[dbi].md_cmp != mdb_cmp_memn || !key->mv_size)
        return PYLMDB_NOT_QUICK;
    mdb_cursor_init(&mc, txn, dbi, NULL);
    pgno = mc.mc_db->md_root;
    if (pgno < NUM_METAS || pgno == P_INVALID)
        return PYLMDB_NOT_QUICK;
    for (level = 0; level < CURSOR_STACK; level++) {
        if ((rc = get_page(&mc, pgno, &mp)))
            return rc;
        mc.mc_pg[0] = mp;
        if (!IS_BRANCH(mp))
            break;
        if (NUMKEYS(mp) < 2)
            return PYLMDB_NOT_QUICK;
        node = search_node(&mc, key, &exact);
        node = NODEPTR(mp, (node ? mc.mc_ki[0] - (unsigned int)!exact : NUMKEYS(mp) - 1));
        pgno = NODEPGNO(node);
    }
    if (!IS_LEAF(mp) || IS_LEAF2(mp))
        return PYLMDB_NOT_QUICK;
    node = search_node(&mc, key, &exact);
    if (!exact)
        return MDB_NOTFOUND;
    if (node->mn_flags & F_DUPDATA)
        return PYLMDB_NOT_QUICK;
    return mdb_node_read(&mc, node, data);
}

/* Whether a key belongs on the cursor's leaf page, after the cursor. */
static int is_forward(const MDB_cursor *mc, const MDB_val *key)
{
    MDB_page *mp;
    unsigned int at;

    if (!(mc->mc_flags & C_INITIALIZED))
        return 0;
    mp = mc->mc_pg[mc->mc_top];
    at = mc->mc_ki[mc->mc_top];
    return IS_LEAF(mp) && !IS_LEAF2(mp) && at + 1 < NUMKEYS(mp) &&
           compare_node(key, NODEPTR(mp, at)) > 0 &&
           compare_node(key, NODEPTR(mp, NUMKEYS(mp) - 1)) <= 0;
}

/* Take the cursor's position away. Then it has no page that liblmdb could read: liblmdb does
 * not move a cursor without a position when it gives pages up. */
static int lose_position(MDB_cursor *mc, int rc)
{
    pylmdb_cursor_unset(mc);
    return rc;
}

/* Walk from the root to the leaf page of a key, and note the path in the cursor. */
static int walk_to_leaf(MDB_cursor *mc, MDB_val *key)
{
    pgno_t pgno = mc->mc_db->md_root;
    MDB_page *mp;
    MDB_node *node;
    int level, exact, rc;

    if (pgno < NUM_METAS || pgno == P_INVALID)
        return PYLMDB_NOT_QUICK;
    for (level = 0; level < CURSOR_STACK; level++) {
        if ((rc = get_page(mc, pgno, &mp)))
            return rc;
        mc->mc_pg[level] = mp;
        mc->mc_top = (unsigned short)level;
        mc->mc_snum = (unsigned short)(level + 1);
        if (!IS_BRANCH(mp))
            return IS_LEAF(mp) && !IS_LEAF2(mp) ? MDB_SUCCESS : PYLMDB_NOT_QUICK;
        if (NUMKEYS(mp) < 2)
            return PYLMDB_NOT_QUICK;
        node = search_node(mc, key, &exact);
        mc->mc_ki[level] =
            (indx_t)(node ? mc->mc_ki[level] - (unsigned int)!exact : NUMKEYS(mp) - 1);
        pgno = NODEPGNO(NODEPTR(mp, mc->mc_ki[level]));
    }
    return PYLMDB_NOT_QUICK;
}

/* Read the value of a node; with duplicates, the first of them. */
static int read_first(MDB_cursor *mc, MDB_node *node, MDB_val *data)
{
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_cursor.mc_flags &= ~(C_INITIALIZED | C_EOF);
    if (!(node->mn_flags & F_DUPDATA))
        return mdb_node_read(mc, node, data);
    if (!mc->mc_xcursor)
        return MDB_CORRUPTED;
    mdb_xcursor_init1(mc, node);
    return mdb_cursor_first(&mc->mc_xcursor->mx_cursor, data, NULL);
}

/* mdb_cursor_get() with MDB_SET_KEY or MDB_SET_RANGE for the usual case. A key that is not
 * found leaves the cursor without a position. */
static inline int quick_seek(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op, int *same_page)
{
    const MDB_page *before = mc->mc_flags & C_INITIALIZED ? mc->mc_pg[mc->mc_top] : NULL;
    MDB_node *node;
    int exact, rc;

    if (mc->mc_dbx->md_cmp != mdb_cmp_memn || !key->mv_size ||
        (mc->mc_txn->mt_flags & MDB_TXN_BLOCKED) || (*mc->mc_dbflag & DB_STALE))
        return PYLMDB_NOT_QUICK;
    if (*same_page && is_forward(mc, key)) {
        node = search_forward(mc, key, &exact);
    } else {
        if ((rc = walk_to_leaf(mc, key)))
            return lose_position(mc, rc);
        *same_page = mc->mc_pg[mc->mc_top] == before;
        node = search_node(mc, key, &exact);
    }
    if (!exact && op != MDB_SET_RANGE)
        return lose_position(mc, MDB_NOTFOUND);
    if (!node) /* the record is the first of the next page */
        return lose_position(mc, PYLMDB_NOT_QUICK);
    mc->mc_flags = (mc->mc_flags & ~(C_EOF | C_DEL)) | C_INITIALIZED;
    if ((rc = read_first(mc, node, data)))
        return lose_position(mc, rc);
    MDB_GET_KEY(node, key);
    return MDB_SUCCESS;
}
