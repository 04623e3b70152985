/* SPDX-License-Identifier: MIT */
/* The search within a page, for keys in the order of their bytes.
 *
 * mdb_node_search() calls the database's comparison function for each key that it
 * looks at.  Nearly all databases have the same one, and keys in neighbouring
 * records differ late or early, but in a whole word; so here keys are compared a
 * word at a time, in place.  edits/quick-search.json leads there.
 *
 * Included by shim.c, after mdb.c.
 */

/* 8 bytes as a number that sorts as they do; compilers make one load of it. */
static inline uint64_t word_of(const unsigned char *b)
{
    return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
           (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
           (uint64_t)b[6] << 8 | (uint64_t)b[7];
}

/* What mdb_cmp_memn() says. */
static inline int compare_bytes(const unsigned char *a, size_t a_size,
                                const unsigned char *b, size_t b_size)
{
    size_t both = a_size < b_size ? a_size : b_size;
    int diff;

    while (both >= 8) {
        const uint64_t left = word_of(a), right = word_of(b);

        if (left != right)
            return left < right ? -1 : 1;
        a += 8;
        b += 8;
        a_size -= 8;
        b_size -= 8;
        both -= 8;
    }
    while (both--)
        if ((diff = *a++ - *b++))
            return diff;
    return a_size < b_size ? -1 : a_size > b_size;
}

static MDB_node *search_node(MDB_cursor *mc, MDB_val *key, int *exactp)
{
    MDB_page *mp = mc->mc_pg[mc->mc_top];
    const unsigned char *wanted = key->mv_data;
    const size_t size = key->mv_size;
    const int count = (int)NUMKEYS(mp);
    int low = IS_LEAF(mp) ? 0 : 1, high = count - 1, i = 0, diff = 0;
    MDB_node *node = NULL;

    while (low <= high) {
        i = (low + high) >> 1;
        node = NODEPTR(mp, i);
        diff = compare_bytes(wanted, size, NODEKEY(node), NODEKSZ(node));
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

#if MDB_VERSION_MAJOR > 0
#define GET_PAGE(mc, pgno, out) MDB_PAGE_GET(mc, pgno, 1, out)
#else
#define GET_PAGE(mc, pgno, out) mdb_page_get(mc, pgno, out, NULL)
#endif

/* mdb_get() where nothing is out of the ordinary: a database without duplicates,
 * of ordinary keys, that this transaction knows, with a tree of branch pages over
 * leaf pages.  Anything else is left to mdb_get(), errors in the file too. */
int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
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
        if ((rc = GET_PAGE(&mc, pgno, &mp)))
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
