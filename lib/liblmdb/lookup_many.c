/* SPDX-License-Identifier: MIT */
/* Look up many keys in one call. Included by shim.c, after search.c.
 *
 * A lookup in a large database waits for main memory several times, one wait after the other:
 * for the header of the leaf page, for an entry of the page's offset table, for the node, and
 * for each further node that a binary search compares.
 *
 * Two things shorten this. The search on a leaf page begins at the likely index of the key.
 * It is interpolated between two keys of the branch page above: the one of this leaf page and
 * the one of the next. And the lookups of a batch take each step together: each prefetches
 * the memory of its next step, so the waits overlap.
 *
 * Used by read transactions only: their pages are in the map and do not change. */

#define BATCH_SIZE 64

/* One lookup of a batch. */
struct probe {
    MDB_page *leaf;
    float fraction; /* the fraction of the leaf's keys that are likely to be smaller, 0 to 1 */
};

/* The path from the root to the leaf page of the last key; the next key is often on the same
 * page. The keys of the leaf page are at least the key of low and less than the key of high.
 * Both are NULL if the branch page does not have these bounds. prefix is the length of the
 * common prefix of these two keys, and low_word and high_word are the 8 bytes after it. digits
 * says how many of these bytes are decimal digits in both. */
struct search_path {
    MDB_page *pages[CURSOR_STACK];
    int indexes[CURSOR_STACK];
    int levels;
    MDB_page *leaf;
    MDB_node *low, *high;
    size_t prefix;
    uint64_t low_word, high_word;
    int digits;
};

/* -- the likely index of a key ------------------------------------------------- */

/* Count the decimal digits at the beginning of 8 bytes. */
static inline int leading_digits(uint64_t word)
{
    const uint64_t lows = 0x7f7f7f7f7f7f7f7f, from_zero = word ^ 0x3030303030303030;
    const uint64_t others = (((from_zero & lows) + 0x7676767676767676) | from_zero) & ~lows;

    return others ? __builtin_clzll(others) / 8 : 8;
}

/* Return the number that the first bytes are, each of them a decimal digit. */
static inline uint64_t decimal_of(uint64_t word, int digits)
{
    uint64_t number = digits ? (word ^ 0x3030303030303030) >> (64 - 8 * digits) : 0;

    number = __builtin_bswap64(number);
    number = (number * 10 + (number >> 8)) & 0x00ff00ff00ff00ff;
    number = (number * 100 + (number >> 16)) & 0x0000ffff0000ffff;
    return (number * 10000 + (number >> 32)) & 0xffffffff;
}

/* Return up to 8 bytes of a key as a number that sorts as the bytes do. */
static inline uint64_t word_at(const unsigned char *key, size_t size, size_t at)
{
    uint64_t word = 0;
    size_t i;

    if (at + 8 <= size)
        return pylmdb_word_of(key + at);
    for (i = at; i < at + 8; i++)
        word = word << 8 | (i < size ? key[i] : 0);
    return word;
}

static void note_bounds(struct search_path *path)
{
    const unsigned char *low = NODEKEY(path->low), *high = NODEKEY(path->high);
    const size_t low_size = NODEKSZ(path->low), high_size = NODEKSZ(path->high);
    size_t at = 0;
    int digits;

    while (at < low_size && at < high_size && low[at] == high[at])
        at++;
    path->prefix = at;
    path->low_word = word_at(low, low_size, at);
    path->high_word = word_at(high, high_size, at);
    digits = leading_digits(path->low_word);
    path->digits = leading_digits(path->high_word);
    path->digits = digits < path->digits ? digits : path->digits;
}

/* Return the position of a key between the two bounds: 0 at the lower, 1 at the upper. */
static float fraction_between(const struct search_path *path, const MDB_val *key)
{
    uint64_t low = path->low_word, high = path->high_word;
    uint64_t word = word_at(key->mv_data, key->mv_size, path->prefix);
    int digits = leading_digits(word);

    digits = digits < path->digits ? digits : path->digits;
    if (digits) {
        low = decimal_of(low, digits);
        high = decimal_of(high, digits);
        word = decimal_of(word, digits);
    }
    if (word <= low)
        return 0;
    return word < high ? (float)(word - low) / (float)(high - low) : 1;
}

/* -- from the root to the leaf page ---------------------------------------------- */

/* Return the index of the child of a branch page that has the key. The search begins at from,
 * the index for the last key, in steps that double. */
static int child_of(MDB_page *mp, const MDB_val *key, int from)
{
    const int count = (int)NUMKEYS(mp);
    int low = from, reach = 1, high = count;

    if (low && compare_node(key, NODEPTR(mp, low)) < 0) {
        high = low;
        low = 0;
    } else {
        for (; low + reach < count; reach *= 2) {
            if (compare_node(key, NODEPTR(mp, low + reach)) < 0) {
                high = low + reach;
                break;
            }
            low += reach;
        }
    }
    while (high - low > 1) {
        const int middle = (low + high) / 2;

        if (compare_node(key, NODEPTR(mp, middle)) < 0)
            high = middle;
        else
            low = middle;
    }
    return low;
}

static int walk_path(MDB_cursor *mc, struct search_path *path, const MDB_val *key)
{
    pgno_t pgno = mc->mc_db->md_root;
    MDB_page *mp;
    int level, at = 0, rc;

    path->low = path->high = NULL;
    if (pgno < NUM_METAS || pgno == P_INVALID)
        return PYLMDB_NOT_QUICK;
    for (level = 0; level < CURSOR_STACK; level++) {
        if ((rc = get_page(mc, pgno, &mp)))
            return rc;
        if (!IS_BRANCH(mp))
            break;
        if (NUMKEYS(mp) < 2)
            return PYLMDB_NOT_QUICK;
        if (level >= path->levels || path->pages[level] != mp) {
            path->pages[level] = mp;
            path->indexes[level] = 0;
            path->levels = level + 1;
        }
        at = path->indexes[level] = child_of(mp, key, path->indexes[level]);
        pgno = NODEPGNO(NODEPTR(mp, at));
    }
    if (level == CURSOR_STACK || !IS_LEAF(mp) || IS_LEAF2(mp))
        return PYLMDB_NOT_QUICK;
    path->leaf = mp;
    if (level && at && at + 1 < (int)NUMKEYS(path->pages[level - 1])) {
        path->low = NODEPTR(path->pages[level - 1], at);
        path->high = NODEPTR(path->pages[level - 1], at + 1);
        note_bounds(path);
    }
    return MDB_SUCCESS;
}

static int set_probe(MDB_cursor *mc, struct search_path *path, const MDB_val *key,
                     struct probe *probe)
{
    int rc;

    if (!key->mv_size)
        return PYLMDB_NOT_QUICK;
    if ((!path->low || compare_node(key, path->high) >= 0 || compare_node(key, path->low) < 0) &&
        (rc = walk_path(mc, path, key)))
        return rc;
    probe->leaf = path->leaf;
    probe->fraction = path->low ? fraction_between(path, key) : 0.5f;
    return MDB_SUCCESS;
}

/* -- on the leaf page ------------------------------------------------------------- */

static inline int likely_index(const struct probe *probe)
{
    const int count = (int)NUMKEYS(probe->leaf), at = (int)(probe->fraction * (float)count);

    return at < count ? at : count - 1;
}

/* Return the index of a key on a leaf page, or -1. The search begins at an index, in steps
 * that double. */
static int search_around(MDB_page *mp, const MDB_val *key, int at)
{
    const int last = (int)NUMKEYS(mp) - 1;
    int low = 0, high = last, reach = 1;

    for (; low <= high; reach *= 2) {
        const int diff = compare_node(key, NODEPTR(mp, at));

        if (!diff)
            return at;
        if (diff > 0)
            low = at + 1;
        else
            high = at - 1;
        if (diff > 0 && high == last && low + reach < high)
            at = low + reach - 1;
        else if (diff < 0 && !low && high > reach)
            at = high - reach + 1;
        else
            at = (low + high) / 2;
    }
    return -1;
}

static int fill_lookup(MDB_node *node, struct pylmdb_lookup *lookup)
{
    lookup->overflow_node = NULL;
    lookup->value.mv_data = NULL;
    lookup->value.mv_size = 0;
    if (!node)
        return MDB_SUCCESS;
    if (node->mn_flags & F_DUPDATA)
        return PYLMDB_NOT_QUICK;
    lookup->key.mv_data = NODEKEY(node);
    lookup->value.mv_size = NODEDSZ(node);
    if (node->mn_flags & F_BIGDATA)
        lookup->overflow_node = node;
    else
        lookup->value.mv_data = NODEDATA(node);
    return MDB_SUCCESS;
}

/* Search each leaf page at the likely index of its key. Keys that are close to each other, as
 * all keys of a range are, are searched from the last one on. */
static int find_probed(const struct probe *probes, struct pylmdb_lookup *lookups, size_t count)
{
    int at = -1, is_close = 0, rc = MDB_SUCCESS;
    size_t i;

    for (i = 0; i < count && !rc; i++) {
        MDB_page *leaf = probes[i].leaf;
        const int known = i && leaf == probes[i - 1].leaf ? at : -1;

        if (!NUMKEYS(leaf))
            at = -1;
        else if (is_close && known >= 0 && known + 1 < (int)NUMKEYS(leaf))
            at = search_around(leaf, &lookups[i].key, known + 1);
        else
            at = search_around(leaf, &lookups[i].key, likely_index(&probes[i]));
        is_close = known >= 0 && at > known && at <= known + 2;
        rc = fill_lookup(at < 0 ? NULL : NODEPTR(leaf, at), &lookups[i]);
    }
    return rc;
}

static int find_batch(MDB_cursor *mc, struct search_path *path, struct pylmdb_lookup *lookups,
                      size_t count)
{
    struct probe probes[BATCH_SIZE];
    size_t i;
    int rc;

    for (i = 0; i < count; i++) {
        if ((rc = set_probe(mc, path, &lookups[i].key, &probes[i])))
            return rc;
        __builtin_prefetch(probes[i].leaf);
    }
    for (i = 0; i < count; i++)
        if (NUMKEYS(probes[i].leaf))
            __builtin_prefetch(&MP_PTRS(probes[i].leaf)[likely_index(&probes[i])]);
    for (i = 0; i < count; i++)
        if (NUMKEYS(probes[i].leaf))
            __builtin_prefetch(NODEPTR(probes[i].leaf, likely_index(&probes[i])));
    return find_probed(probes, lookups, count);
}

static int lookup_many(MDB_cursor *mc, struct pylmdb_lookup *lookups, size_t count)
{
    const MDB_txn *txn = mc->mc_txn;
    struct search_path path = {.levels = 0};
    size_t from;
    int rc = MDB_SUCCESS;

    if (mc->mc_dbx->md_cmp != mdb_cmp_memn || mc->mc_xcursor || !(txn->mt_flags & MDB_TXN_RDONLY) ||
        txn->mt_parent || (txn->mt_flags & MDB_TXN_BLOCKED) || (*mc->mc_dbflag & DB_STALE))
        return PYLMDB_NOT_QUICK;
    for (from = 0; from < count && !rc; from += BATCH_SIZE)
        rc = find_batch(mc, &path, lookups + from,
                        count - from < BATCH_SIZE ? count - from : BATCH_SIZE);
    return rc;
}

/* Prefetch the first overflow page of a value and return its address; NULL if the map does
 * not have it. */
static const char *prefetch_overflow(const MDB_txn *txn, const MDB_node *node)
{
    const char *page;
    pgno_t pgno;

    memcpy(&pgno, NODEDATA(node), sizeof(pgno));
    if (pgno >= txn->mt_next_pgno)
        return NULL;
    page = txn->mt_env->me_map + (size_t)txn->mt_env->me_psize * pgno;
    __builtin_prefetch(page);
    return page;
}
