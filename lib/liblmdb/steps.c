/* SPDX-License-Identifier: MIT */
/* Steps of a cursor from record to record. Most of them stay on a leaf page, in a database without
 * duplicates, and need none of the checks of mdb_cursor_next() and mdb_cursor_prev() that are about
 * other cases: checked_pages.c has checked the page as a whole. Included by shim.c. */

/* Move the cursor, probably to another leaf page. */
static int step_to_page(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op)
{
    const int is_scan = (op == MDB_NEXT || op == MDB_PREV) && (mc->mc_flags & C_INITIALIZED);
    const MDB_page *before = is_scan ? mc->mc_pg[mc->mc_top] : NULL;
    MDB_val unwanted;
    int rc;

    if (is_scan && data && mc->mc_db->md_overflow_pages &&
        (rc = read_ahead_next_leaf(mc, op == MDB_NEXT)))
        return rc;
    rc = pylmdb_safe_cursor_get(mc, key, data ? data : &unwanted, op);
    if (!rc && is_scan && mc->mc_top && mc->mc_pg[mc->mc_top] != before)
        read_ahead_after(mc, mc->mc_pg[mc->mc_top - 1], mc->mc_ki[mc->mc_top - 1], op == MDB_NEXT);
    return rc;
}

/* The leaf page of the cursor, if the cursor has a valid position in a database without duplicates,
 * so that the number of a node on its page is all that a movement there changes; else NULL. */
static inline MDB_page *page_of_records(const MDB_cursor *mc)
{
    MDB_page *mp;

    if (mc->mc_xcursor || (mc->mc_flags & (C_INITIALIZED | C_EOF | C_DEL)) != C_INITIALIZED ||
        mc->mc_txn->mt_flags & MDB_TXN_BLOCKED)
        return NULL;
    mp = mc->mc_pg[mc->mc_top];
    return IS_LEAF(mp) && !IS_LEAF2(mp) ? mp : NULL;
}

/* The number of keys of a page; 0 if its header reads as zeros, because the file was cut short:
 * NUMKEYS() would be more than any page has. */
static inline unsigned int keys_on(const MDB_page *mp)
{
    const unsigned int lower = MP_LOWER(mp), empty = PAGEHDRSZ - PAGEBASE;

    return lower < empty ? 0 : (lower - empty) >> 1;
}

/* What a movement adds to the number of a node. */
static inline unsigned int stride(int op)
{
    return op == MDB_NEXT ? 1u : -1u;
}

/* The number of the node after or before the cursor's. Before the first one: a very large number. */
static inline unsigned int next_on_page(const MDB_cursor *mc, int op)
{
    return mc->mc_ki[mc->mc_top] + stride(op);
}

/* The node on the same page that a step leads to, and its number there; NULL: that is not so
 * simple. */
static inline MDB_node *next_node(const MDB_cursor *mc, int op, MDB_page **mp, unsigned int *at)
{
    if ((op != MDB_NEXT && op != MDB_PREV) || !(*mp = page_of_records(mc)))
        return NULL;
    *at = next_on_page(mc, op);
    return *at < NUMKEYS(*mp) ? NODEPTR(*mp, *at) : NULL;
}

/* The record of a node whose value is on the page. */
static inline void read_node(MDB_node *node, MDB_val *key, MDB_val *data)
{
    if (data) {
        data->mv_size = NODEDSZ(node);
        data->mv_data = NODEDATA(node);
    }
    MDB_GET_KEY(node, key);
}

/* The flags of the nodes that read_node() cannot read. */
static inline unsigned int not_on_page(int values)
{
    return values ? F_DUPDATA | F_BIGDATA : F_DUPDATA;
}

/* Whether read_node() can read it. */
static inline int is_on_page(const MDB_node *node, int values)
{
    return !(node->mn_flags & not_on_page(values));
}

/* Step to a record on the same page; 0: nothing was done, because that is not so simple. */
static inline int step_on_page(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op)
{
    MDB_page *mp;
    unsigned int at;
    MDB_node *const node = next_node(mc, op, &mp, &at);

    if (!node || !is_on_page(node, data != NULL))
        return 0;
    mc->mc_ki[mc->mc_top] = (indx_t)at;
    read_node(node, key, data);
    return 1;
}

/* The same for a record with a large value, which is read ahead. */
static int step_to_large(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op, int *rc)
{
    MDB_page *mp;
    unsigned int at;
    MDB_node *const node = data ? next_node(mc, op, &mp, &at) : NULL;

    if (!node || is_on_page(node, 1) || !is_on_page(node, 0))
        return 0;
    read_ahead_after(mc, mp, at, op == MDB_NEXT);
    if (!(*rc = mdb_node_read(mc, node, data))) {
        mc->mc_ki[mc->mc_top] = (indx_t)at;
        MDB_GET_KEY(node, key);
    }
    return 1;
}

/* A step for which step_on_page() has done nothing. */
static int step_elsewhere(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op)
{
    int rc;

    return step_to_large(mc, key, data, op, &rc) ? rc : step_to_page(mc, key, data, op);
}

/* -- many steps in one call ------------------------------------------------------------- */

/* Move to the end of the leaf page, but over count records at most; returns how many they are. */
static size_t skip_on_page(MDB_cursor *mc, size_t count, int op)
{
    const MDB_page *mp = page_of_records(mc);
    const size_t keys = mp ? keys_on(mp) : 0;
    size_t left;

    if (mc->mc_ki[mc->mc_top] >= keys)
        return 0;
    left = op == MDB_NEXT ? keys - 1 - mc->mc_ki[mc->mc_top] : mc->mc_ki[mc->mc_top];
    if (count > left)
        count = left;
    mc->mc_ki[mc->mc_top] = (indx_t)(mc->mc_ki[mc->mc_top] + (op == MDB_NEXT ? count : -count));
    return count;
}

static int cursor_skip(MDB_cursor *mc, size_t count, int op)
{
    MDB_val key;
    int rc = 0;

    /* The last movement is a step, which checks the page. */
    for (; count && !rc; count--) {
        count -= skip_on_page(mc, count - 1, op);
        if (!step_on_page(mc, &key, NULL, op))
            rc = step_elsewhere(mc, &key, NULL, op);
    }
    return rc;
}

/* Whether a range in the direction of a walk ends before a node. */
static int ends_before(const MDB_cursor *mc, MDB_page *mp, unsigned int at,
                       const struct pylmdb_walk *walk)
{
    MDB_val key;
    int order;

    MDB_GET_KEY(NODEPTR(mp, at), &key);
    order = mc->mc_dbx->md_cmp(&key, &walk->bound);
    if (!order)
        return !walk->includes_bound;
    return walk->op == MDB_NEXT ? order > 0 : order < 0;
}

/* How many nodes from at on are in the range. */
static unsigned int count_in_range(const MDB_cursor *mc, MDB_page *mp, unsigned int at,
                                   const struct pylmdb_walk *walk)
{
    const unsigned int keys = keys_on(mp), step = stride(walk->op);
    unsigned int low = 0, high, middle;

    if (at >= keys)
        return 0;
    high = walk->op == MDB_NEXT ? keys - at : at + 1;
    if (!walk->bound.mv_data || !ends_before(mc, mp, at + (high - 1) * step, walk))
        return high;
    while (low < high) {
        middle = (low + high) / 2;
        if (ends_before(mc, mp, at + middle * step, walk))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The width of integers that can be compared with the bound; 0: any key can. */
static size_t width_of_bound(const MDB_cursor *mc, const struct pylmdb_walk *walk)
{
    return walk->bound.mv_data && mc->mc_db->md_flags & MDB_INTEGERKEY ? walk->bound.mv_size : 0;
}

/* Whether what was read must not be told: it may be zeros that the file did not have, or the last
 * call has forked, and the transaction belongs to the parent. */
static inline int must_end(const MDB_cursor *mc, const struct pylmdb_walk *walk)
{
    return is_truncated(mc->mc_txn->mt_env) || *walk->forks != walk->forks_then;
}

int pylmdb_walk_page(MDB_cursor *mc, const struct pylmdb_walk *walk)
{
    MDB_page *mp = page_of_records(mc);
    const unsigned int step = stride(walk->op), elsewhere = not_on_page(walk->values);
    const size_t width = width_of_bound(mc, walk);
    MDB_val key, value, *const told = walk->values ? &value : NULL;
    unsigned int at, left;
    int answer = 0;

    /* A write could change the page while the records are told. */
    if (!mp || !(mc->mc_txn->mt_flags & MDB_TXN_RDONLY))
        return 0;
    at = next_on_page(mc, walk->op);
    for (left = count_in_range(mc, mp, at, walk); left && !answer; left--, at += step) {
        MDB_node *node = NODEPTR(mp, at);

        if (node->mn_flags & elsewhere || (width && NODEKSZ(node) != width))
            break; /* the next step reads it, or refuses its width */
        read_node(node, &key, &value);
        if (must_end(mc, walk))
            break;
        answer = walk->on_record(walk->context, (const struct PyLMDB_Value *)&key,
                                 (const struct PyLMDB_Value *)told);
    }
    mc->mc_ki[mc->mc_top] = (indx_t)(at - step);
    return answer;
}
