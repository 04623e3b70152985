/* SPDX-License-Identifier: MIT */
/* Many lookups at once.  Included by shim.c, after search.c.
 *
 * A lookup in a large database waits for memory several times in turn: for the head of a
 * leaf page, for an entry of its table, for the record there, and again for each record
 * that a search by halves looks at.  So here the search begins where the record is likely
 * to be, which follows from the keys that the branch page has of this leaf page and of
 * the next one, and many lookups take each step together: each asks for the memory that
 * it needs in the next step.
 *
 * Only for readers: their pages lie in the map and stay as they are. */

#define BATCH_SIZE 64

/* One of the lookups that are made together. */
struct probe {
    MDB_page *leaf;
    float fraction; /* of the leaf's records, those that are likely to be smaller */
};

/* The path to the leaf page of the last key: others are often near it.  The page has the
 * keys from one to another, excluded, if these are known; behind what both begin with
 * they go on with these bytes. */
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

/* -- where a key is likely to be ------------------------------------------------- */

/* How many of the eight bytes, from the first, are decimal digits. */
static inline int leading_digits(uint64_t word)
{
    const uint64_t lows = 0x7f7f7f7f7f7f7f7f, from_zero = word ^ 0x3030303030303030;
    const uint64_t others = (((from_zero & lows) + 0x7676767676767676) | from_zero) & ~lows;

    return others ? __builtin_clzll(others) / 8 : 8;
}

/* The number that the first so many bytes are, digits each. */
static inline uint64_t decimal_of(uint64_t word, int digits)
{
    uint64_t number = digits ? (word ^ 0x3030303030303030) >> (64 - 8 * digits) : 0;

    number = __builtin_bswap64(number);
    number = (number * 10 + (number >> 8)) & 0x00ff00ff00ff00ff;
    number = (number * 100 + (number >> 16)) & 0x0000ffff0000ffff;
    return (number * 10000 + (number >> 32)) & 0xffffffff;
}

/* Up to eight bytes of a key, as a number that sorts as they do. */
static inline uint64_t word_at(const unsigned char *key, size_t size, size_t at)
{
    uint64_t word = 0;
    size_t i;

    if (at + 8 <= size)
        return word_of(key + at);
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

/* How far a key is on the path from one bound to the other. */
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

/* The child of a branch page that has the key, sought from one on that was the last. */
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

/* The place of a key on a page, sought from one on, first in steps that double; or -1. */
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

/* Keys that follow each other closely, as all of a range do, are found one by the other. */
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

    if (mc->mc_dbx->md_cmp != mdb_cmp_memn || mc->mc_xcursor ||
        !(txn->mt_flags & MDB_TXN_RDONLY) || txn->mt_parent ||
        (txn->mt_flags & MDB_TXN_BLOCKED) || (*mc->mc_dbflag & DB_STALE))
        return PYLMDB_NOT_QUICK;
    for (from = 0; from < count && !rc; from += BATCH_SIZE)
        rc = find_batch(mc, &path, lookups + from,
                           count - from < BATCH_SIZE ? count - from : BATCH_SIZE);
    return rc;
}

/* The first page of a large value, where the map has it. */
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
