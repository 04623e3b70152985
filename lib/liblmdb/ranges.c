/* SPDX-License-Identifier: MIT */
/* Count the records of a range of keys, and delete them. Included by shim.c, after read_ahead.c.
 *
 * A range is what lies between two positions in the tree: its first record, and the first one
 * behind it. Counting goes from leaf page to leaf page, and reads how many nodes each has.
 *
 * Deleting looks for the largest parts of the tree whose records are all in the range. These are
 * children of one branch page, next to each other. Their pages are freed, none of them is
 * copied, and their nodes are removed from the branch page. What is left are records on at most
 * two leaf pages. mdb_cursor_del() deletes them one by one.
 *
 * The tree stays one that liblmdb accepts: a branch page keeps at least one child, and
 * mdb_rebalance() does the rest. It is called for the branch page as mdb_page_merge() calls it,
 * which also removes a child. It merges pages, and takes away a root with a single child. */

struct key_range {
    const MDB_val *start, *stop; /* NULL: no bound */
    MDB_cursor *first;           /* on its first record */
    MDB_cursor end;              /* on the first record behind it */
    MDB_xcursor end_values;
    int at_end; /* there is no record behind it */
};

/* Move a cursor to the first record, or to the first one whose key is not smaller than from. Its
 * value is not read if it is large. */
static int seek_from(MDB_cursor *mc, const MDB_val *from)
{
    MDB_val key, value, *wanted = mc->mc_xcursor ? &value : NULL;

    pylmdb_cursor_unset(mc);
    mc->mc_flags &= ~(unsigned int)C_DEL;
    if (!from)
        return mdb_cursor_first(mc, &key, wanted);
    key = *from;
    return mdb_cursor_set(mc, &key, wanted, MDB_SET_RANGE, NULL);
}

static inline MDB_page *leaf_of(const MDB_cursor *mc)
{
    return mc->mc_pg[mc->mc_top];
}

/* Whether the range ends on the leaf page of a cursor. */
static inline int ends_on_leaf(const struct key_range *range, const MDB_cursor *mc)
{
    return !range->at_end && leaf_of(&range->end) == leaf_of(mc);
}

/* Find both ends of the range. MDB_NOTFOUND: it has no records. */
static int find_range(struct key_range *range)
{
    MDB_cursor *first = range->first, *end = &range->end;
    int rc;

    if (range->stop && !range->stop->mv_size) /* no key is less */
        return MDB_NOTFOUND;
    if (range->start && range->stop && first->mc_dbx->md_cmp(range->start, range->stop) >= 0)
        return MDB_NOTFOUND;
    if ((rc = seek_from(first, range->start)))
        return rc;
    rc = range->stop ? seek_from(end, range->stop) : MDB_NOTFOUND;
    range->at_end = rc == MDB_NOTFOUND;
    if (range->at_end)
        return MDB_SUCCESS;
    if (!rc && end->mc_top != first->mc_top)
        rc = MDB_CORRUPTED;
    if (!rc && ends_on_leaf(range, first) && first->mc_ki[first->mc_top] >= end->mc_ki[end->mc_top])
        rc = MDB_NOTFOUND;
    return rc;
}

static void init_range(struct key_range *range, MDB_cursor *mc, const MDB_val *start,
                       const MDB_val *stop)
{
    range->first = mc;
    range->start = start;
    range->stop = stop;
    mdb_cursor_init(&range->end, mc->mc_txn, mc->mc_dbi, &range->end_values);
}

/* -- counting ---------------------------------------------------------------------- */

/* The number of values of a node's key. */
static size_t value_count(MDB_node *node)
{
    MDB_db values;

    if (!(node->mn_flags & F_DUPDATA))
        return 1;
    if (!(node->mn_flags & F_SUBDATA))
        return NUMKEYS((MDB_page *)NODEDATA(node));
    memcpy(&values, NODEDATA(node), sizeof(values));
    return values.md_entries;
}

static size_t record_count(const MDB_cursor *mc, MDB_page *mp, unsigned int from, unsigned int to)
{
    size_t count = 0;

    if (!(mc->mc_db->md_flags & MDB_DUPSORT))
        return to - from;
    for (; from < to; from++)
        count += value_count(NODEPTR(mp, from));
    return count;
}

/* Whether one of the nodes describes a named database, and its name. */
static int find_name(MDB_page *mp, unsigned int from, unsigned int to, MDB_val *name)
{
    for (; from < to; from++) {
        MDB_node *node = NODEPTR(mp, from);

        if ((node->mn_flags & (F_DUPDATA | F_SUBDATA)) == F_SUBDATA) {
            MDB_GET_KEY2(node, (*name));
            return 1;
        }
    }
    return 0;
}

/* Count the records of a range that was found. MDB_INCOMPATIBLE: name is not NULL, and one of
 * them describes the database of that name. */
static int count_found(struct key_range *range, size_t *count, MDB_val *name)
{
    MDB_cursor *mc = range->first;
    const pgno_t most = mc->mc_txn->mt_next_pgno;
    pgno_t pages;
    int rc;

    *count = 0;
    for (pages = 0; pages < most; pages++) {
        MDB_page *mp = leaf_of(mc);
        const int is_last = ends_on_leaf(range, mc);
        const unsigned int from = mc->mc_ki[mc->mc_top],
                           to = is_last ? range->end.mc_ki[range->end.mc_top] : NUMKEYS(mp);

        if (name && find_name(mp, from, to, name))
            return MDB_INCOMPATIBLE;
        *count += record_count(mc, mp, from, to);
        if (is_last)
            return MDB_SUCCESS;
        if ((rc = mdb_cursor_sibling(mc, 1)))
            return rc == MDB_NOTFOUND && range->at_end ? MDB_SUCCESS
                   : rc == MDB_NOTFOUND                ? MDB_CORRUPTED
                                                       : rc;
        read_ahead_after(mc, mc->mc_pg[mc->mc_top - 1], mc->mc_ki[mc->mc_top - 1], 1);
    }
    return MDB_CORRUPTED; /* a page of the tree is below itself */
}

static int count_range(MDB_cursor *mc, const MDB_val *start, const MDB_val *stop, size_t *count,
                       MDB_val *name)
{
    struct key_range range;
    int rc;

    *count = 0;
    init_range(&range, mc, start, stop);
    if (!(rc = find_range(&range)))
        rc = count_found(&range, count, name);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int pylmdb_count_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop, size_t *count)
{
    GUARDED(cursor->mc_txn->mt_env, count_range(cursor, start, stop, count, NULL));
}

/* -- freeing whole pages ------------------------------------------------------------- */

static int free_values(MDB_cursor *mc, MDB_node *node)
{
    MDB_page *large;
    pgno_t pgno;
    int rc;

    if (node->mn_flags & F_BIGDATA) {
        memcpy(&pgno, NODEDATA(node), sizeof(pgno));
        rc = FETCH_PAGE(mc, pgno, &large);
        return rc ? rc : mdb_ovpage_free(mc, large);
    }
    if (!(node->mn_flags & F_SUBDATA))
        return MDB_SUCCESS;
    if (!(node->mn_flags & F_DUPDATA) || !mc->mc_xcursor)
        return MDB_CORRUPTED;
    mdb_xcursor_init1(mc, node);
    return mdb_drop0(&mc->mc_xcursor->mx_cursor, 0);
}

/* Free what the records of a leaf page have outside of it. */
static int free_records(MDB_cursor *mc, MDB_page *mp)
{
    const unsigned int count = NUMKEYS(mp);
    unsigned int i;
    int rc = MDB_SUCCESS;

    mc->mc_db->md_entries -= record_count(mc, mp, 0, count);
    if (!(mc->mc_db->md_flags & MDB_DUPSORT) && !mc->mc_db->md_overflow_pages)
        return MDB_SUCCESS;
    for (i = 0; i < count && !rc; i++)
        rc = free_values(mc, NODEPTR(mp, i));
    return rc;
}

/* Whether a cursor of the tree is on a page. In a sound tree none is on a page that is freed:
 * those that were have no position any more. */
static int is_in_use(const MDB_cursor *mc, const MDB_page *mp)
{
    const MDB_cursor *other;

    for (other = mc->mc_txn->mt_cursors[mc->mc_dbi]; other; other = other->mc_next)
        if (cursor_is_on(other, (const char *)mp, 1))
            return 1;
    return 0;
}

/* Free a page and all below it; levels is the number of levels below it. */
static int free_tree(MDB_cursor *mc, pgno_t pgno, int levels)
{
    const MDB_txn *txn = mc->mc_txn;
    MDB_page *mp;
    unsigned int i;
    int rc = FETCH_PAGE(mc, pgno, &mp);

    if (rc)
        return rc;
    if (!(levels ? IS_BRANCH(mp) : IS_LEAF(mp)) || is_in_use(mc, mp) ||
        txn->mt_free_pgs[0] > txn->mt_next_pgno)
        return MDB_CORRUPTED;
    for (i = 0; levels && i < NUMKEYS(mp) && !rc; i++) {
        if (i % SCAN_STEP == 0)
            read_ahead_from(mc, mp, i, 1);
        rc = free_tree(mc, NODEPGNO(NODEPTR(mp, i)), levels - 1);
    }
    if (!rc && !levels)
        rc = free_records(mc, mp);
    if (rc)
        return rc;
    if (levels)
        mc->mc_db->md_branch_pages--;
    else
        mc->mc_db->md_leaf_pages--;
    return mdb_page_loose(mc, mp);
}

/* -- whole children of a branch page --------------------------------------------------- */

/* Children of the branch page at one level of a cursor, whose records are all in the range. */
struct child_run {
    const MDB_cursor *mc;
    int level;
    unsigned int from, to;
};

static int note_run(struct child_run *run, const MDB_cursor *mc, int level, unsigned int from,
                    unsigned int to)
{
    if (!from && to == NUMKEYS(mc->mc_pg[level]))
        from = 1;
    *run = (struct child_run){mc, level, from, to};
    return from < to;
}

/* Whether a cursor is on the first record below its node at a level. */
static int is_on_first(const MDB_cursor *mc, int level)
{
    while (++level <= mc->mc_top)
        if (mc->mc_ki[level])
            return 0;
    return 1;
}

/* Find children that are in the range, at the highest level that has some. */
static int find_run(const struct key_range *range, struct child_run *run)
{
    const MDB_cursor *first = range->first, *end = &range->end;
    const int leaf = first->mc_top;
    int fork = 0, level;

    while (!range->at_end && fork < leaf && first->mc_ki[fork] == end->mc_ki[fork])
        fork++;
    for (level = fork; level < leaf; level++) {
        const unsigned int from = first->mc_ki[level] + !is_on_first(first, level);
        const int to_end = range->at_end || level > fork;

        if (note_run(run, first, level, from,
                     to_end ? NUMKEYS(first->mc_pg[level]) : end->mc_ki[level]))
            return 1;
    }
    for (level = fork + 1; level < leaf && !range->at_end; level++)
        if (note_run(run, end, level, 0, end->mc_ki[level]))
            return 1;
    return 0;
}

/* A flag in mc_flags: the cursor's record was deleted, and its page is freed. It gets another
 * position at the end. */
#define C_IN_RANGE 0x1000u

/* Adjust the other cursors to the children that are about to go. */
static void adjust_cursors(const MDB_cursor *mc, unsigned int from, unsigned int to)
{
    const int level = mc->mc_top;
    MDB_cursor *other;

    for (other = mc->mc_txn->mt_cursors[mc->mc_dbi]; other; other = other->mc_next) {
        if (other == mc || !(other->mc_flags & C_INITIALIZED) || other->mc_top < level ||
            other->mc_pg[level] != mc->mc_pg[level] || other->mc_ki[level] < from)
            continue;
        if (other->mc_ki[level] >= to) {
            other->mc_ki[level] -= to - from;
        } else {
            pylmdb_cursor_unset(other);
            other->mc_flags |= C_IN_RANGE;
        }
    }
}

/* Give a tracked cursor the path of another one, down to a level. */
static void take_path(MDB_cursor *mc, const MDB_cursor *from, int level)
{
    const unsigned int flags = mc->mc_flags;

    if (mc != from)
        mdb_cursor_copy(from, mc);
    mc->mc_flags = flags | C_INITIALIZED;
    mc->mc_top = (unsigned short)level;
    mc->mc_snum = (unsigned short)(level + 1);
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_cursor.mc_flags &= ~(unsigned int)(C_INITIALIZED | C_EOF);
}

static int remove_run(MDB_cursor *mc, const struct child_run *run)
{
    const int level = run->level, below = run->mc->mc_top - level - 1;
    MDB_val no_key = {0, NULL};
    MDB_page *mp;
    unsigned int i;
    int rc;

    take_path(mc, run->mc, level);
    if ((rc = mdb_page_spill(mc, NULL, NULL)) || (rc = mdb_cursor_touch(mc)))
        return rc;
    adjust_cursors(mc, run->from, run->to);
    mp = mc->mc_pg[level];
    for (i = run->from; i < run->to; i++) {
        if ((i - run->from) % SCAN_STEP == 0)
            read_ahead_from(mc, mp, i, 1);
        if ((rc = free_tree(mc, NODEPGNO(NODEPTR(mp, i)), below)))
            return rc;
    }
    mc->mc_ki[level] = (indx_t)run->from;
    for (i = run->from; i < run->to; i++)
        mdb_node_del(mc, 0);
    mc->mc_ki[level] = 0;
    /* liblmdb keeps no key in the first node of a branch page. */
    if (!run->from && (rc = mdb_update_key(mc, &no_key)))
        return rc;
    return mdb_rebalance(mc);
}

/* -- deleting -------------------------------------------------------------------------- */

/* Delete the first records of the range, those on its first leaf page, one by one. The deletion
 * leaves the cursor on the next record; in a database with duplicates it may not have noted how
 * many values that has. MDB_NOTFOUND: the range has no more records. */
static int delete_on_leaf(const struct key_range *range)
{
    MDB_cursor *mc = range->first;
    const unsigned int at = mc->mc_ki[mc->mc_top];
    const int is_last = ends_on_leaf(range, mc);
    unsigned int count = (is_last ? range->end.mc_ki[mc->mc_top] : NUMKEYS(leaf_of(mc))) - at;
    int rc;

    while (!(rc = mdb_cursor_del(mc, MDB_NODUPDATA)) && --count)
        if (mc->mc_xcursor && (rc = seek_from(mc, range->start)))
            break;
    if (rc)
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    return is_last ? MDB_NOTFOUND : MDB_SUCCESS;
}

/* Put a cursor on the record behind the range, as a deletion does that leaves it there. */
static int set_behind(MDB_cursor *mc, const MDB_cursor *end)
{
    const unsigned int flags = mc->mc_flags & ~C_IN_RANGE;
    MDB_cursor *values = mc->mc_xcursor ? &mc->mc_xcursor->mx_cursor : NULL;
    MDB_node *node;
    int rc = MDB_SUCCESS;

    if (end)
        mdb_cursor_copy(end, mc);
    mc->mc_flags = flags | C_DEL | (end ? end->mc_flags & (C_INITIALIZED | C_EOF) : 0);
    if (!values || !end || end->mc_flags & C_EOF)
        return MDB_SUCCESS;
    node = NODEPTR(leaf_of(mc), mc->mc_ki[mc->mc_top]);
    if (node->mn_flags & F_DUPDATA) {
        mdb_xcursor_init1(mc, node);
        rc = mdb_cursor_first(values, NULL, NULL);
    }
    values->mc_flags |= C_DEL;
    return rc;
}

/* Move a cursor to the first record behind the range, which has no records any more; else behind
 * the last record. MDB_NOTFOUND: the database is empty. */
static int go_behind(const struct key_range *range)
{
    MDB_cursor *mc = range->first;
    MDB_val key, value;
    int rc = seek_from(mc, range->start);

    if (rc != MDB_NOTFOUND)
        return rc;
    pylmdb_cursor_unset(mc);
    if ((rc = mdb_cursor_last(mc, &key, mc->mc_xcursor ? &value : NULL)))
        return rc;
    mc->mc_ki[mc->mc_top]++;
    mc->mc_flags |= C_EOF;
    return MDB_SUCCESS;
}

/* Give a position to the cursors whose pages were freed, unless the deletion has failed. */
static int place_cursors(const struct key_range *range, int code)
{
    MDB_cursor *mc = range->first, *other, *end = NULL;

    for (other = mc->mc_txn->mt_cursors[mc->mc_dbi]; other; other = other->mc_next) {
        if (!(other->mc_flags & C_IN_RANGE))
            continue;
        if (!code && !end) {
            code = go_behind(range);
            end = code ? NULL : mc;
        }
        if (code && code != MDB_NOTFOUND)
            other->mc_flags &= ~C_IN_RANGE;
        else
            code = set_behind(other, end);
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

#if MDB_VERSION_MAJOR > 0
#define READ_TRANSACTION MDB_IS_READONLY
#else
#define READ_TRANSACTION EACCES
#endif

static int delete_range(MDB_cursor *mc, const MDB_val *start, const MDB_val *stop, size_t *deleted,
                        MDB_val *name)
{
    MDB_txn *txn = mc->mc_txn;
    struct key_range range;
    struct child_run run;
    size_t before;
    int rc, changes = 0;

    if (txn->mt_flags & (MDB_TXN_RDONLY | MDB_TXN_BLOCKED))
        return txn->mt_flags & MDB_TXN_RDONLY ? READ_TRANSACTION : MDB_BAD_TXN;
    if (mc->mc_dbi == MAIN_DBI && !(mc->mc_db->md_flags & MDB_DUPSORT) &&
        (rc = count_range(mc, start, stop, deleted, name)))
        return rc;
    init_range(&range, mc, start, stop);
    before = mc->mc_db->md_entries;
    do {
        if ((rc = find_range(&range)))
            break;
        changes = 1;
        rc = find_run(&range, &run) ? remove_run(mc, &run) : delete_on_leaf(&range);
    } while (!rc);
    rc = place_cursors(&range, rc == MDB_NOTFOUND ? MDB_SUCCESS : rc);
    if (rc && changes)
        txn->mt_flags |= MDB_TXN_ERROR;
    *deleted = before - mc->mc_db->md_entries;
    return rc;
}

int pylmdb_delete_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop,
                        size_t *deleted, MDB_val *name)
{
    GUARDED(cursor->mc_txn->mt_env, delete_range(cursor, start, stop, deleted, name));
}
