/* SPDX-License-Identifier: MIT */
/* Ask the system to read pages before they are used. Included by shim.c.
 *
 * A page of the map that is not in memory is read from the disk when it is touched, and the
 * thread waits. A batch of keys that are far apart waits once per key. A disk can do many
 * reads at the same time, so the pages that a call is about to use are asked for together
 * (MADV_WILLNEED), and then used.
 *
 * - A batch of keys: the branch pages, level by level, then the leaf pages, then the overflow
 *   pages of large values.
 * - A scan: the next leaf pages, and the overflow pages of the next large values.
 * - Values whose addresses are known.
 *
 * Asking for pages that are in memory costs time and gains nothing, so a few of the pages are
 * tested first, and that not for each batch: see struct disk_watch in env_extension.c. A wrong
 * guess costs time only.
 *
 * With MDB_NORDAHEAD a scan asks for nothing: its program wants no page read that it may not
 * use. Batches ask as always, because they use every page that they ask for.
 *
 * pylmdb_warm_*() ask for all pages that they are told of, and read them.
 *
 * Only Linux is asked (PYLMDB_READS_AHEAD). Elsewhere all pages count as being in memory. */

#if PYLMDB_READS_AHEAD
/* Some kernels read no more than a read-ahead window, of 128 KiB by default, for one request. */
#define REQUEST_SIZE ((size_t)128 * 1024)

/* Whether mincore() tells the truth: for a file that the process neither owns nor may write, all
 * pages seem to be in memory. */
static int mincore_is_true(MDB_env *env)
{
    struct env_extension *ext = extension_of(env);
    struct stat status;

    if (!LOAD(ext->mincore_is_true))
        STORE(ext->mincore_is_true, !(env->me_flags & MDB_RDONLY) || !geteuid() ||
                                            fstat(env->me_fd, &status) || status.st_uid == geteuid()
                                        ? 1
                                        : -1);
    return LOAD(ext->mincore_is_true) > 0;
}

/* Whether reading a byte of the file would wait for the disk. Kernels before 4.14 do not tell, and
 * then it does not seem to. The C library's own preadv2() is too new: musl has it since 1.2.5. */
static int read_would_wait(MDB_env *env, size_t at)
{
#if defined(SYS_preadv2)
    const int no_wait = 8; /* RWF_NOWAIT, which only newer headers have */
    unsigned char byte;
    const struct iovec one = {&byte, 1};
    const uint64_t offset = at;

    /* The offset is two arguments: its lower and its upper half where a long has 32 bits. */
    return syscall(SYS_preadv2, env->me_fd, &one, 1L, (long)offset, (long)(offset >> 32), no_wait) <
               0 &&
           errno == EAGAIN;
#else
    (void)env, (void)at;
    return 0;
#endif
}

/* A page behind the last committed one is new, and in memory. */
static int is_on_disk(MDB_env *env, const char *address)
{
    const size_t at = (size_t)(address - env->me_map);
    unsigned char byte = 1;

    if (at / env->me_psize > mdb_env_pick_meta(env)->mm_last_pg)
        return 0;
    if (!mincore_is_true(env))
        return read_would_wait(env, at);
    return !mincore((void *)(address - at % env->me_os_psize), 1, &byte) && !(byte & 1);
}

static void request(const char *begin, const char *end)
{
    for (; begin < end; begin += REQUEST_SIZE)
        (void)madvise((void *)(uintptr_t)begin,
                      (size_t)(end - begin) < REQUEST_SIZE ? (size_t)(end - begin) : REQUEST_SIZE,
                      MADV_WILLNEED);
}

#else
static int is_on_disk(MDB_env *env, const char *address)
{
    (void)env;
    (void)address;
    return 0;
}

static void request(const char *begin, const char *end)
{
    (void)begin;
    (void)end;
}
#endif

/* -- pieces of the map -------------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b)
{
    const char *one = ((const MDB_val *)a)->mv_data, *other = ((const MDB_val *)b)->mv_data;

    return (one > other) - (one < other);
}

/* Ask for pieces of the map, in the order of the file; neighbours are one request. */
static void request_pieces(MDB_env *env, MDB_val *pieces, size_t count)
{
    const uintptr_t in_page = env->me_os_psize - 1;
    char *begin = NULL, *end = NULL;
    size_t i;

    qsort(pieces, count, sizeof(*pieces), compare_addresses);
    for (i = 0; i < count; i++) {
        char *from = (char *)((uintptr_t)pieces[i].mv_data & ~in_page);
        char *to = (char *)pieces[i].mv_data + pieces[i].mv_size;

        if (from > end) {
            request(begin, end);
            begin = from;
        }
        if (to > end)
            end = (char *)(((uintptr_t)to + in_page) & ~in_page);
    }
    request(begin, end);
}

/* The middle is tested: the first page may have been read for the size of the value. */
static int piece_is_on_disk(MDB_env *env, const MDB_val *piece)
{
    return is_on_disk(env, (char *)piece->mv_data + piece->mv_size / 2);
}

static MDB_val page_piece(MDB_env *env, pgno_t pgno)
{
    return (MDB_val){env->me_psize, env->me_map + (size_t)env->me_psize * pgno};
}

/* The overflow pages of a node's value; 0: it has none. */
static int overflow_piece(const MDB_txn *txn, const MDB_node *node, MDB_val *piece)
{
    const size_t size = PAGEHDRSZ + NODEDSZ(node);
    pgno_t pgno;

    if (!(node->mn_flags & F_BIGDATA))
        return 0;
    memcpy(&pgno, NODEDATA(node), sizeof(pgno));
    if (pgno >= txn->mt_next_pgno || size / txn->mt_env->me_psize >= txn->mt_next_pgno - pgno)
        return 0;
    *piece = page_piece(txn->mt_env, pgno);
    piece->mv_size = size;
    return 1;
}

/* -- whether to ask ----------------------------------------------------------------- */

enum page_state { IN_MEMORY, ON_DISK, UNKNOWN };

/* For how many pages a test counts that has found all of them in memory, and one that has not. */
#define MIN_TRUSTED 256
#define MAX_TRUSTED 16384
#define TRUSTED_ON_DISK 8192

/* While a call warms records, all pages count as being on the disk. */
static int is_warming(MDB_env *env)
{
    return LOAD(extension_of(env)->warming) > 0;
}

/* What the last test has found, if it still counts for so many pages more. */
static enum page_state known_state(MDB_env *env, struct disk_watch *watch, size_t pages)
{
    const long trusted = LOAD(watch->trusted);

    if (is_warming(env))
        return ON_DISK;
    if (trusted <= 0)
        return UNKNOWN;
    STORE(watch->trusted, trusted - (pages < MAX_TRUSTED ? (long)pages : MAX_TRUSTED));
    return LOAD(watch->is_on_disk) ? ON_DISK : IN_MEMORY;
}

/* Pages that are in memory are likely to stay there: each time, the next test is after twice as
 * many pages. */
static enum page_state note_state(struct disk_watch *watch, int found)
{
    long span = found ? 0 : 2 * LOAD(watch->span);

    span = span < MIN_TRUSTED ? MIN_TRUSTED : span > MAX_TRUSTED ? MAX_TRUSTED : span;
    STORE(watch->span, span);
    STORE(watch->is_on_disk, found);
    STORE(watch->trusted, found ? TRUSTED_ON_DISK : span);
    return found ? ON_DISK : IN_MEMORY;
}

/* How many pages a test looks at, at most. */
#define SAMPLES 8

static size_t sample_count(size_t count)
{
    return count < SAMPLES ? count : SAMPLES;
}

static size_t sample_at(size_t i, size_t count)
{
    return i * count / sample_count(count);
}

/* Test some pieces, unless it is known whether they are on the disk. */
static enum page_state test_pieces(MDB_env *env, struct disk_watch *watch, enum page_state state,
                                   const MDB_val *pieces, size_t count)
{
    int found = 0;
    size_t i;

    if (state != UNKNOWN)
        return state;
    for (i = 0; i < sample_count(count) && !found; i++)
        found = piece_is_on_disk(env, &pieces[sample_at(i, count)]);
    return note_state(watch, found);
}

/* -- the pages of many keys ----------------------------------------------------------- */

/* Fewer keys than this have little to gain. */
#define MIN_KEYS 4

struct key_batch {
    MDB_cursor cursor; /* without a position */
    const MDB_val *keys;
    const struct pylmdb_sort_entry *entries;
    size_t count;
};

/* Search a page for the key of a number. PYLMDB_NOT_QUICK: it cannot be compared with those of
 * the page. *node is NULL if all keys of the page are smaller. */
static int search_for(struct key_batch *batch, MDB_page *mp, size_t i, MDB_node **node, int *exact)
{
    MDB_cursor *mc = &batch->cursor;
    MDB_val key = batch->keys[batch->entries[i].index];
    const unsigned int count = NUMKEYS(mp);

    if (!key.mv_size || IS_LEAF2(mp) || !count ||
        ((mc->mc_db->md_flags & MDB_INTEGERKEY) && NODEKSZ(NODEPTR(mp, count - 1)) != key.mv_size))
        return PYLMDB_NOT_QUICK;
    mc->mc_pg[0] = mp;
    *node = mdb_node_search(mc, &key, exact);
    return MDB_SUCCESS;
}

/* Go from a branch page to its child that has the key. */
static int step_down(struct key_batch *batch, size_t i, pgno_t *pgno)
{
    MDB_cursor *mc = &batch->cursor;
    MDB_node *node;
    MDB_page *mp;
    int exact, rc = get_page(mc, *pgno, &mp);

    if (!rc && (!IS_BRANCH(mp) || NUMKEYS(mp) < 2))
        rc = PYLMDB_NOT_QUICK;
    if (rc || (rc = search_for(batch, mp, i, &node, &exact)))
        return rc;
    node = NODEPTR(mp, node ? mc->mc_ki[0] - (unsigned int)!exact : NUMKEYS(mp) - 1);
    *pgno = NODEPGNO(node);
    return *pgno < mc->mc_txn->mt_next_pgno ? MDB_SUCCESS : PYLMDB_NOT_QUICK;
}

/* Find the first page on the way to a key that is on the disk, or else its leaf page, which is not
 * read. */
static int first_piece(struct key_batch *batch, size_t i, MDB_val *piece)
{
    MDB_env *env = batch->cursor.mc_txn->mt_env;
    int level = batch->cursor.mc_db->md_depth, rc = MDB_SUCCESS;
    pgno_t pgno = batch->cursor.mc_db->md_root;

    *piece = page_piece(env, pgno);
    for (; level > 1 && !rc && !piece_is_on_disk(env, piece); level--) {
        if (!(rc = step_down(batch, i, &pgno)))
            *piece = page_piece(env, pgno);
    }
    return rc;
}

/* Find the overflow pages of a key's value; the leaf page is read for that. The piece has no
 * bytes if there are none. */
static int value_piece(struct key_batch *batch, size_t i, MDB_val *piece)
{
    int level = batch->cursor.mc_db->md_depth, exact, rc = MDB_SUCCESS;
    pgno_t pgno = batch->cursor.mc_db->md_root;
    MDB_node *node;
    MDB_page *mp;

    piece->mv_size = 0;
    for (; level > 1 && !rc; level--)
        rc = step_down(batch, i, &pgno);
    if (rc || (rc = get_page(&batch->cursor, pgno, &mp)))
        return rc;
    if (!IS_LEAF(mp))
        return PYLMDB_NOT_QUICK;
    rc = search_for(batch, mp, i, &node, &exact);
    if (!rc && node && exact)
        (void)overflow_piece(batch->cursor.mc_txn, node, piece);
    return rc;
}

/* Find out whether pages of the keys are on the disk, unless it is known. */
static int test_keys(struct key_batch *batch, struct disk_watch *watch,
                     int (*find)(struct key_batch *, size_t, MDB_val *), enum page_state *state)
{
    MDB_val pieces[SAMPLES];
    const size_t samples = sample_count(batch->count);
    size_t i, found;
    int rc = MDB_SUCCESS;

    if (*state != UNKNOWN)
        return rc;
    for (i = found = 0; i < samples && !rc; i++) {
        rc = find(batch, sample_at(i, batch->count), &pieces[found]);
        found += pieces[found].mv_size > 0;
    }
    if (!rc)
        *state = test_pieces(batch->cursor.mc_txn->mt_env, watch, UNKNOWN, pieces, found);
    return rc;
}

/* Ask for all pages of a level, then read them to find those of the next level. */
static int read_ahead_leaves(struct key_batch *batch, enum page_state state)
{
    MDB_env *env = batch->cursor.mc_txn->mt_env;
    MDB_val pieces[PYLMDB_READ_AHEAD_MAX];
    pgno_t pages[PYLMDB_READ_AHEAD_MAX];
    int level = batch->cursor.mc_db->md_depth;
    int rc = test_keys(batch, &extension_of(env)->watched_leaves, first_piece, &state);
    size_t i;

    if (rc || state != ON_DISK)
        return rc;
    for (i = 0; i < batch->count; i++)
        pages[i] = batch->cursor.mc_db->md_root;
    for (;; level--) {
        for (i = 0; i < batch->count; i++)
            pieces[i] = page_piece(env, pages[i]);
        request_pieces(env, pieces, batch->count);
        if (level <= 1)
            return MDB_SUCCESS;
        for (i = 0; i < batch->count; i++)
            if ((rc = step_down(batch, i, &pages[i])))
                return rc;
    }
}

static int read_ahead_large_values(struct key_batch *batch, enum page_state state)
{
    MDB_env *env = batch->cursor.mc_txn->mt_env;
    MDB_val pieces[PYLMDB_READ_AHEAD_MAX];
    int rc = test_keys(batch, &extension_of(env)->watched_values, value_piece, &state);
    size_t i, found = 0;

    if (rc || state != ON_DISK)
        return rc;
    for (i = 0; i < batch->count && !rc; i++) {
        rc = value_piece(batch, i, &pieces[found]);
        found += pieces[found].mv_size > 0;
    }
    request_pieces(env, pieces, found);
    return rc;
}

/* What is known about the overflow pages of so many keys of a database. */
static enum page_state state_of_values(MDB_env *env, const MDB_db *db, size_t count)
{
    if (!db->md_overflow_pages)
        return IN_MEMORY;
    return known_state(env, &extension_of(env)->watched_values,
                       count * (1 + db->md_overflow_pages / (db->md_entries + !db->md_entries)));
}

static int read_ahead_keys(MDB_cursor *mc, const MDB_val *keys,
                           const struct pylmdb_sort_entry *entries, size_t count)
{
    MDB_env *env = mc->mc_txn->mt_env;
    enum page_state leaves, values;
    struct key_batch batch;
    int rc;

    if (count < MIN_KEYS || count > PYLMDB_READ_AHEAD_MAX)
        return MDB_SUCCESS;
    leaves = known_state(env, &extension_of(env)->watched_leaves, count);
    values = state_of_values(env, mc->mc_db, count);
    if ((leaves == IN_MEMORY && values == IN_MEMORY) || (mc->mc_txn->mt_flags & MDB_TXN_BLOCKED) ||
        (*mc->mc_dbflag & DB_STALE) || mc->mc_db->md_root >= mc->mc_txn->mt_next_pgno ||
        mc->mc_db->md_depth > CURSOR_STACK)
        return MDB_SUCCESS;
    batch.cursor = *mc;
    batch.cursor.mc_xcursor = NULL;
    batch.cursor.mc_top = 0;
    batch.cursor.mc_snum = 1;
    batch.keys = keys;
    batch.entries = entries;
    batch.count = count;
    if (!(rc = read_ahead_leaves(&batch, leaves)))
        rc = read_ahead_large_values(&batch, values);
    return rc == PYLMDB_NOT_QUICK ? MDB_SUCCESS : rc;
}

/* -- values with known addresses ------------------------------------------------------- */

static size_t pieces_in_map(MDB_env *env, const MDB_val *values, size_t count, MDB_val *pieces)
{
    const size_t mapped = extension_of(env)->mapped;
    size_t i, found = 0;

    for (i = 0; i < count; i++)
        if (values[i].mv_size && (size_t)((char *)values[i].mv_data - env->me_map) < mapped)
            pieces[found++] = values[i];
    return found;
}

static void read_ahead_values(MDB_env *env, const MDB_val *values, size_t count)
{
    struct disk_watch *watch = &extension_of(env)->watched_values;
    const size_t each = 1 + values[0].mv_size / env->me_psize;
    const enum page_state state = known_state(env, watch, count * each);
    MDB_val pieces[PYLMDB_READ_AHEAD_MAX];

    if (state == IN_MEMORY)
        return;
    count = pieces_in_map(env, values, count, pieces);
    if (count && test_pieces(env, watch, state, pieces, count) == ON_DISK)
        request_pieces(env, pieces, count);
}

/* -- the next pages of a scan ------------------------------------------------------------ */

/* Each SCAN_STEP nodes of a page, from the second one on, the next leaf pages or large values are
 * asked for. A scan may end before it uses them. Nothing notes how far the last step has asked:
 * pages that were asked for before are in memory, or on the way. */
#define SCAN_STEP 8u
#define SCAN_PAGES 32u
#define SCAN_VALUES 16u
#define SCAN_BYTES ((size_t)16 << 20)

/* A scan that warms uses all that it asks for: it asks for more at a time. */
#define WARM_STEP 64u
#define WARM_PAGES 128u

static int node_piece(const MDB_txn *txn, MDB_page *mp, unsigned int i, MDB_val *piece)
{
    MDB_node *node = NODEPTR(mp, i);

    if (!IS_BRANCH(mp))
        return overflow_piece(txn, node, piece);
    *piece = page_piece(txn->mt_env, NODEPGNO(node));
    return NODEPGNO(node) < txn->mt_next_pgno;
}

/* Collect the pages of a node and of the next ones in the direction of a scan. */
static size_t next_pieces(const MDB_txn *txn, MDB_page *mp, unsigned int i, int forward,
                          MDB_val *pieces)
{
    const unsigned int count = NUMKEYS(mp), most = is_warming(txn->mt_env) ? WARM_PAGES
                                                   : IS_BRANCH(mp)         ? SCAN_PAGES
                                                                           : SCAN_VALUES;
    unsigned int ahead;
    size_t found = 0, bytes = 0;

    /* before 0, the unsigned index is above count */
    for (ahead = 0; ahead < most && i < count && bytes < SCAN_BYTES; ahead++) {
        if (node_piece(txn, mp, i, &pieces[found]))
            bytes += pieces[found++].mv_size;
        i += forward ? 1u : -1u;
    }
    return found;
}

static __attribute__((noinline)) void read_ahead_from(MDB_cursor *mc, MDB_page *mp, unsigned int i,
                                                      int forward)
{
    MDB_env *env = mc->mc_txn->mt_env;
    struct env_extension *ext = extension_of(env);
    struct disk_watch *watch = IS_BRANCH(mp) ? &ext->watched_scans : &ext->watched_values;
    const enum page_state state = known_state(env, watch, SCAN_STEP);
    MDB_val pieces[WARM_PAGES];
    size_t found;

    if (state == IN_MEMORY)
        return;
    found = next_pieces(mc->mc_txn, mp, i, forward, pieces);
    if (found && test_pieces(env, watch, state, pieces, found) == ON_DISK)
        request_pieces(env, pieces, found);
}

static int may_scan_ahead(const MDB_cursor *mc)
{
    MDB_env *env = mc->mc_txn->mt_env;

    return (mc->mc_txn->mt_flags & MDB_TXN_RDONLY) &&
           (!(env->me_flags & MDB_NORDAHEAD) || is_warming(env));
}

/* A scan has come to a node of a leaf page or of the branch page above. */
static inline void read_ahead_after(MDB_cursor *mc, MDB_page *mp, unsigned int at, int forward)
{
    if (at % SCAN_STEP == 1 && may_scan_ahead(mc) &&
        (at % WARM_STEP == 1 || !is_warming(mc->mc_txn->mt_env)))
        read_ahead_from(mc, mp, forward ? at + 1 : at - 1, forward);
}

/* A scan is about to leave its leaf page, and will read the first large values of the next one. */
static int read_ahead_next_leaf(MDB_cursor *mc, int forward)
{
    unsigned int next;
    MDB_page *mp;
    int rc;

    if (!mc->mc_top || !may_scan_ahead(mc))
        return MDB_SUCCESS;
    mp = mc->mc_pg[mc->mc_top - 1];
    next = mc->mc_ki[mc->mc_top - 1] + (forward ? 1u : -1u);
    if (next >= NUMKEYS(mp))
        return MDB_SUCCESS;
    if (!(rc = get_page(mc, NODEPGNO(NODEPTR(mp, next)), &mp)) && IS_LEAF(mp) && !IS_LEAF2(mp))
        read_ahead_from(mc, mp, forward ? 0 : NUMKEYS(mp) - 1u, forward);
    return rc;
}

/* A scan that warms begins at the cursor's record. */
static void read_ahead_scan(MDB_cursor *mc)
{
    const int top = mc->mc_top;

    if (!(mc->mc_flags & C_INITIALIZED) || !may_scan_ahead(mc))
        return;
    if (top)
        read_ahead_from(mc, mc->mc_pg[top - 1], mc->mc_ki[top - 1] + 1u, 1);
    if (mc->mc_db->md_overflow_pages)
        read_ahead_from(mc, mc->mc_pg[top], mc->mc_ki[top], 1);
}

/* -- all pages -------------------------------------------------------------------------- */

/* The last pages of the file may be missing if they are free. */
static size_t pages_of_file(MDB_txn *txn)
{
    size_t size, pages = (size_t)txn->mt_next_pgno;

    if (file_size(txn->mt_env, &size))
        return 0;
    size /= txn->mt_env->me_psize;
    return pages < size ? pages : size;
}

/* Read some pages while the system reads the ones after. */
static size_t warm_pages(MDB_txn *txn, size_t from, size_t count)
{
    MDB_env *env = txn->mt_env;
    const size_t psize = env->me_psize, all = pages_of_file(txn);
    const char *begin = env->me_map + from * psize;

    if (from >= all)
        return 0;
    if (count > all - from)
        count = all - from;
    request(begin, begin + psize * (2 * count < all - from ? 2 * count : all - from));
    touch_pages(begin, count * psize);
    return count;
}
