/* SPDX-License-Identifier: MIT */
/* Check each page of the file before anything on it is used.
 *
 * liblmdb follows offsets, sizes and page numbers that it finds in the file. Here a page is
 * checked as a whole when mdb_page_get() takes it from the map, so that all later code, ours
 * and liblmdb's, may follow what is on it. me_checked_pages notes which pages were checked:
 * each is checked once, until its content changes.
 *
 * A page that passes has a valid type. Its nodes are within the page and do not overlap; the
 * same is true of the nodes of sub-pages of duplicates inside its nodes. What depends on the
 * database for which the page is read is checked at every fetch.
 *
 * verify/page.c repeats these rules on purpose, because the check of a whole file trusts no
 * code of an engine. test_hostile_files.py compares the two: it damages files at random, and
 * a file that verify() accepts must be usable without an error.
 *
 * The functions are called by edits/checked-pages.edit, checked-values.edit and walks.edit.
 * Included by shim.c, after mdb.c. */

/* The table of checked pages. A page has the slot of its number modulo the number of slots.
 * The slot holds the other bits of the page number, and the epoch in which the page was
 * checked. When two pages share a slot, each is checked again after the other.
 *
 * The first pages have slots of their own. So a small file needs no table, whose mapping takes
 * more time than checking a few pages. */
#define CHECKED_SLOT_BITS 18u
#define CHECKED_SLOTS ((size_t)1 << CHECKED_SLOT_BITS)
#define EPOCH_BITS 44u
#define FIRST_PAGES 256u

struct pylmdb_checked_pages {
    uint64_t epoch;
    uint64_t settled; /* the newest snapshot for which the epoch is valid, plus one; 0: none */
    uint64_t file_pages;
    uint64_t *slots; /* NULL until a page that is none of the first is checked */
    uint64_t first[FIRST_PAGES];
};

/* A page that a transaction reads has not changed since before the transaction began, so its note
 * and its content may be loaded in any order. But a transaction that sees its own snapshot as the
 * settled one must also see the epoch that began before that: each store of settled comes after
 * that of epoch, and each load before. */
#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define STORE(place, value) __atomic_store_n(&(place), value, __ATOMIC_RELAXED)

static inline struct pylmdb_checked_pages *checked_pages_of(MDB_env *env)
{
    return __atomic_load_n(&env->me_checked_pages, __ATOMIC_ACQUIRE);
}

/* ---- the nodes of one page ---- */

#define CELL 2u /* nodes begin at multiples of this many bytes */
#define MAX_CELLS (MAX_PAGESIZE / CELL)

#if MDB_VERSION_MAJOR > 0
#define OVERFLOW_REFERENCE_SIZE sizeof(MDB_ovpage)
#else
#define OVERFLOW_REFERENCE_SIZE sizeof(pgno_t)
#endif

/* The flags of a sub-page of duplicates. LMDB 0.9 changes it as a page that is dirty; without that
 * flag it takes the sub-page for a page of its own. */
#if MDB_VERSION_MAJOR > 0
enum { SUBPAGE = P_LEAF | P_SUBP };
#else
enum { SUBPAGE = P_LEAF | P_SUBP | P_DIRTY };
#endif

static int subpage_is_sound(MDB_page *sp, size_t size);

/* Return how many bytes a node of a leaf page takes; 0: it is not valid. */
static size_t leaf_node_size(MDB_node *node, size_t room)
{
    const unsigned int flags = node->mn_flags;
    const size_t head = NODESIZE + NODEKSZ(node), data = NODEDSZ(node);

    if (flags & ~(unsigned int)(F_BIGDATA | F_SUBDATA | F_DUPDATA))
        return 0;
    if (flags & F_BIGDATA)
        return flags == F_BIGDATA ? head + OVERFLOW_REFERENCE_SIZE : 0;
    if (head + data > room)
        return 0;
    if (flags & F_SUBDATA)
        return data == sizeof(MDB_db) ? head + data : 0;
    if (flags & F_DUPDATA)
        return subpage_is_sound(NODEDATA(node), data) ? head + data : 0;
    return head + data;
}

/* Whether each node of a page is directly or further before the one of the key before it, and after
 * the upper bound of the page, as where all keys were appended. Then they do not overlap. */
static int nodes_descend(MDB_page *mp, size_t size, int is_leaf, int is_sub)
{
    const size_t first = (size_t)MP_UPPER(mp) + PAGEBASE;
    const unsigned int count = NUMKEYS(mp);
    size_t end = size;
    unsigned int i;

    for (i = 0; i < count; i++) {
        const size_t at = (size_t)MP_PTRS(mp)[i] + PAGEBASE;
        MDB_node *node = (MDB_node *)((char *)mp + at);
        size_t length;

        if (at < first || at + NODESIZE > end || at % CELL != 0 || (is_sub && node->mn_flags))
            return 0;
        length = is_leaf ? leaf_node_size(node, end - at) : NODESIZE + NODEKSZ(node);
        if (!length || at + EVEN(length) > end)
            return 0;
        end = at;
    }
    return 1;
}

/* Whether the nodes of a page are between its upper bound and its end, and do not overlap.
 * Then moving them within the page, as liblmdb does, stays within the page. */
static int nodes_are_sound(MDB_page *mp, size_t size, int is_leaf, int is_sub)
{
    uint64_t starts[MAX_CELLS / 64 + 1];
    const unsigned int count = NUMKEYS(mp);
    const size_t first = (size_t)MP_UPPER(mp) + PAGEBASE;
    const size_t words = size / CELL / 64 + 1;
    size_t word, end = first;
    unsigned int i;

    if (nodes_descend(mp, size, is_leaf, is_sub))
        return 1;
    memset(starts, 0, words * sizeof(*starts));
    for (i = 0; i < count; i++) {
        const size_t at = (size_t)MP_PTRS(mp)[i] + PAGEBASE, cell = at / CELL;

        if (at < first || at + NODESIZE > size || at % CELL != 0 ||
            (starts[cell / 64] >> cell % 64 & 1))
            return 0;
        starts[cell / 64] |= (uint64_t)1 << cell % 64;
    }
    for (word = first / CELL / 64; word < words; word++) {
        uint64_t rest = starts[word];

        for (; rest; rest &= rest - 1) {
            const size_t at = (word * 64 + (size_t)__builtin_ctzll(rest)) * CELL;
            MDB_node *node = (MDB_node *)((char *)mp + at);
            size_t length;

            if (at < end)
                return 0;
            if (is_sub && node->mn_flags)
                return 0;
            length = is_leaf ? leaf_node_size(node, size - at) : NODESIZE + NODEKSZ(node);
            end = at + EVEN(length);
            if (!length || end > size)
                return 0;
        }
    }
    return 1;
}

static int bounds_are_sound(MDB_page *mp, size_t size)
{
    return MP_LOWER(mp) >= PAGEHDRSZ - PAGEBASE && MP_LOWER(mp) % sizeof(indx_t) == 0 &&
           MP_LOWER(mp) <= MP_UPPER(mp) && (size_t)MP_UPPER(mp) + PAGEBASE <= size;
}

/* A page of values of one size has no nodes; its bounds are only counters. For each value the
 * lower bound rises by 2, and the upper bound falls by the value's size minus 2. So with values of a
 * byte it rises: past the end of the page, and with pages of 64 KiB past the largest number, where it
 * wraps, and SIZELEFT() still is right. */
static int fixed_values_fit(MDB_page *mp, size_t value_size, size_t size)
{
    return value_size && MP_LOWER(mp) >= PAGEHDRSZ - PAGEBASE &&
           MP_LOWER(mp) % sizeof(indx_t) == 0 &&
           NUMKEYS(mp) * value_size + SIZELEFT(mp) <= size - PAGEHDRSZ;
}

static int subpage_is_sound(MDB_page *sp, size_t size)
{
    unsigned int flags;

    if (size < PAGEHDRSZ)
        return 0;
    flags = MP_FLAGS(sp);
    if ((flags & (SUBPAGE | P_BRANCH | P_OVERFLOW | P_META)) != SUBPAGE ||
        MP_LOWER(sp) <= PAGEHDRSZ - PAGEBASE)
        return 0;
    if (flags & P_LEAF2)
        return fixed_values_fit(sp, MP_PAD(sp), size);
    return bounds_are_sound(sp, size) && nodes_are_sound(sp, size, 1, 1);
}

/* ---- a page of the file ---- */

static int file_size(MDB_env *env, size_t *size)
{
    /* Takes a third of the time of fstat(). No code relies on the descriptor's position. */
    const off_t end = (lseek)(env->me_fd, 0, SEEK_END);

    *size = (size_t)end;
    return end < 0 ? errno : 0;
}

/* Whether the file has this many pages. A file only grows while it is open, so its size is
 * asked for again only when the noted size is too small. */
static int file_has_pages(MDB_env *env, uint64_t count)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(env);
    size_t size;

    if (checked && count <= LOAD(checked->file_pages))
        return 1;
    if (file_size(env, &size))
        return 0;
    if (checked)
        STORE(checked->file_pages, size / env->me_psize);
    return count <= size / env->me_psize;
}

/* Whether a page was written by this transaction, in a writable map. Such a page may have no
 * keys yet; no page that a commit has stored is without keys. */
static int is_new_in_map(const MDB_txn *txn, const MDB_page *mp)
{
    if ((txn->mt_flags & MDB_TXN_RDONLY) || !(txn->mt_env->me_flags & MDB_WRITEMAP))
        return 0;
#if MDB_VERSION_MAJOR > 0
    return mp->mp_txnid == txn->mt_txnid;
#else
    return mp->mp_flags & P_DIRTY;
#endif
}

/* The size of a page without its checksum. */
static size_t size_without_sum(const MDB_env *env)
{
    return env->me_psize - sum_size(env);
}

static int structure_is_sound(MDB_txn *txn, pgno_t pgno, MDB_page *mp)
{
    const size_t size = size_without_sum(txn->mt_env);
    /* P_KEEP marks a page that must not be spilled; in a writable map the mark is in the file
     * meanwhile. */
    const unsigned int kept = is_new_in_map(txn, mp) ? 0 : P_KEEP;
    const unsigned int unstored = P_META | P_SUBP | P_LOOSE | kept;
    unsigned int flags;

    flags = mp->mp_flags;
    if (mp->mp_pgno != pgno || (flags & unstored))
        return 0;
    if (!(flags & P_OVERFLOW) && MP_LOWER(mp) <= PAGEHDRSZ - PAGEBASE && !is_new_in_map(txn, mp))
        return 0;
    switch (flags & (P_BRANCH | P_LEAF | P_LEAF2 | P_OVERFLOW)) {
    case P_OVERFLOW:
        return mp->mp_pages > 0 && mp->mp_pages <= txn->mt_next_pgno - pgno &&
               file_has_pages(txn->mt_env, (uint64_t)pgno + mp->mp_pages);
    case P_BRANCH:
        return bounds_are_sound(mp, size) && nodes_are_sound(mp, size, 0, 0);
    case P_LEAF:
        return bounds_are_sound(mp, size) && nodes_are_sound(mp, size, 1, 0);
    case P_LEAF | P_LEAF2:
        return fixed_values_fit(mp, MP_PAD(mp), size);
    default:
        return 0;
    }
}

/* Whether a page, or a run of overflow pages, has the right checksum. If the structure is not
 * sound, the number of pages is not known. */
static int sum_is_right(const MDB_env *env, MDB_page *mp, int is_sound)
{
    const size_t pages = is_sound && IS_OVERFLOW(mp) ? mp->mp_pages : 1;

    return !has_sums(env) || pylmdb_page_sum_is_right(mp, pages * env->me_psize);
}

static int stored_page_is_sound(MDB_txn *txn, pgno_t pgno, MDB_page *mp)
{
    const int is_in_file = pgno >= NUM_METAS && file_has_pages(txn->mt_env, (uint64_t)pgno + 1);
    const int is_sound = is_in_file && structure_is_sound(txn, pgno, mp);

    if (is_in_file && !sum_is_right(txn->mt_env, mp, is_sound))
        note_damage(pgno, PYLMDB_WRONG_SUM);
    else if (!is_sound)
        note_damage(pgno, PYLMDB_WRONG_STRUCTURE);
    else
        return 1;
    return 0;
}

/* ---- notes of checked pages ---- */

/* A note is valid for as long as the content of the page in the map. That content changes in
 * two ways.
 *
 * - This process writes a page. It writes sound pages only, overflow pages excepted, and
 *   notes what it writes.
 * - Another process commits. Then the next transaction that begins has another snapshot than
 *   the settled one; a new epoch begins, and all notes are void.
 *
 * While this process writes pages, no snapshot is settled, so a commit that fails has the
 * same effect. */

#define SLOTS_SIZE (CHECKED_SLOTS * sizeof(uint64_t))

static void free_checked_pages(MDB_env *env)
{
    struct pylmdb_checked_pages *checked = env->me_checked_pages;

    if (checked && checked->slots)
        (void)(munmap)(checked->slots, SLOTS_SIZE);
    free(checked);
    env->me_checked_pages = NULL;
}

/* The number of the snapshot that a transaction began with, plus one. */
static inline uint64_t snapshot_of(const MDB_txn *txn)
{
    return (uint64_t)txn->mt_txnid + ((txn->mt_flags & MDB_TXN_RDONLY) != 0);
}

static struct pylmdb_checked_pages *new_checked_pages(MDB_txn *txn)
{
    struct pylmdb_checked_pages *checked = (calloc)(1, sizeof(*checked)), *other = NULL;

    if (!checked)
        return NULL;
    checked->settled = snapshot_of(txn);
    if (__atomic_compare_exchange_n(&txn->mt_env->me_checked_pages, &other, checked, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return checked;
    free(checked);
    return other;
}

/* The slot of a page; NULL: it has none yet. */
static inline uint64_t *slot_of_page(struct pylmdb_checked_pages *checked, pgno_t pgno)
{
    uint64_t *slots;

    if (pgno < FIRST_PAGES)
        return &checked->first[pgno];
    slots = __atomic_load_n(&checked->slots, __ATOMIC_ACQUIRE);
    return slots ? &slots[pgno % CHECKED_SLOTS] : NULL;
}

/* The same; NULL: there is no memory. */
static uint64_t *make_slot_of_page(struct pylmdb_checked_pages *checked, pgno_t pgno)
{
    uint64_t *slot = slot_of_page(checked, pgno), *slots, *other = NULL;

    if (slot)
        return slot;
    /* The kernel fills the memory with zeros page by page, when it is touched; most of it
     * never is. */
    slots = (mmap)(NULL, SLOTS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        return NULL;
    if (!__atomic_compare_exchange_n(&checked->slots, &other, slots, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        (void)(munmap)(slots, SLOTS_SIZE);
    return slot_of_page(checked, pgno);
}

/* The value of the slot of a checked page; never 0. can_be_noted(): whether the page number
 * has few enough bits. */
static inline uint64_t note_about(uint64_t epoch, pgno_t pgno)
{
    return 1 + ((uint64_t)pgno >> CHECKED_SLOT_BITS << EPOCH_BITS | epoch);
}

static inline int can_be_noted(pgno_t pgno)
{
    return (uint64_t)pgno >> CHECKED_SLOT_BITS < ((uint64_t)1 << (64 - EPOCH_BITS)) - 1;
}

static inline int page_is_checked(MDB_env *env, pgno_t pgno)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(env);
    const uint64_t *slot = checked ? slot_of_page(checked, pgno) : NULL;

    return slot && LOAD(*slot) == note_about(LOAD(checked->epoch), pgno) && can_be_noted(pgno);
}

static __attribute__((noinline)) int check_page(MDB_txn *txn, pgno_t pgno, MDB_page *mp)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(txn->mt_env);
    uint64_t epoch, *slot;

    if (!checked)
        checked = new_checked_pages(txn);
    epoch = checked ? LOAD(checked->epoch) : 0;
    if (!stored_page_is_sound(txn, pgno, mp)) {
        txn->mt_flags |= MDB_TXN_ERROR;
        return 0;
    }
    if (checked && can_be_noted(pgno) && (slot = make_slot_of_page(checked, pgno)))
        STORE(*slot, note_about(epoch, pgno));
    return 1;
}

/* Called for each page that is taken from the map. */
static inline int page_is_sound(MDB_txn *txn, pgno_t pgno, MDB_page *mp)
{
    return page_is_checked(txn->mt_env, pgno) || check_page(txn, pgno, mp);
}

/* Called before pages are overwritten with something that is not a page of a tree. */
static void forget_pages(MDB_env *env, pgno_t pgno, pgno_t count)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(env);
    uint64_t *slot;

    for (; checked && count; count--, pgno++)
        if ((slot = slot_of_page(checked, pgno)))
            STORE(*slot, 0);
}

static int cursor_is_on(const MDB_cursor *mc, const char *first, size_t size)
{
    unsigned int level;

    if (!(mc->mc_flags & C_INITIALIZED))
        return 0;
    for (level = 0; level < mc->mc_snum; level++)
        if ((size_t)((const char *)mc->mc_pg[level] - first) < size)
            return 1;
    return 0;
}

/* Whether a cursor is on one of the pages that are about to be allocated and, in a writable
 * map, overwritten in place. Then the file is damaged: it says that the pages are free, and
 * also that they are in use. */
static int pages_are_in_use(const MDB_cursor *mc, pgno_t pgno, pgno_t count)
{
    const MDB_txn *txn = mc->mc_txn;
    const MDB_env *env = txn->mt_env;
    const char *first = env->me_map + (size_t)env->me_psize * pgno;
    const size_t size = (size_t)env->me_psize * count;
    const MDB_cursor *other;
    MDB_dbi dbi;

    if (!(env->me_flags & MDB_WRITEMAP))
        return 0;
    if (cursor_is_on(mc, first, size))
        return 1;
    for (dbi = 0; dbi < txn->mt_numdbs; dbi++)
        for (other = txn->mt_cursors[dbi]; other; other = other->mc_next)
            if (cursor_is_on(other, first, size) ||
                (other->mc_xcursor && cursor_is_on(&other->mc_xcursor->mx_cursor, first, size)))
                return 1;
    return 0;
}

/* Whether a cursor on another tree is on a page that this tree gives up. Then the page is in
 * both trees, and must not be used again. Cursors on the same tree do not count: the caller
 * moves them. Nor does the sub-cursor of a cursor without a position: liblmdb does not move
 * it. */
static int page_is_shared(const MDB_cursor *mc, const MDB_page *mp)
{
    const MDB_txn *txn = mc->mc_txn;
    const char *first = (const char *)mp;
    const int is_sub = (mc->mc_flags & C_SUB) != 0;
    const MDB_cursor *other;
    MDB_dbi dbi;

    for (dbi = 0; dbi < txn->mt_numdbs; dbi++)
        for (other = txn->mt_cursors[dbi]; other; other = other->mc_next) {
            if (!(other->mc_flags & C_INITIALIZED))
                continue;
            if ((dbi != mc->mc_dbi || is_sub) && cursor_is_on(other, first, 1))
                return 1;
            if ((dbi != mc->mc_dbi || !is_sub) && other->mc_xcursor &&
                cursor_is_on(&other->mc_xcursor->mx_cursor, first, 1))
                return 1;
        }
    return 0;
}

/* Called before the pages in the list of dirty pages, from index keep + 1 on, are written. */
static void note_written(MDB_txn *txn, int keep)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(txn->mt_env);
    MDB_ID2L list = txn->mt_u.dirty_list;
    const uint64_t epoch = checked ? LOAD(checked->epoch) : 0;
    uint64_t *slot;
    unsigned int i;

    if (!checked)
        return;
    __atomic_store_n(&checked->settled, 0, __ATOMIC_SEQ_CST);
    for (i = (unsigned int)keep + 1; i <= list[0].mid; i++) {
        MDB_page *mp = list[i].mptr;
        const pgno_t pgno = list[i].mid;

        if (IS_OVERFLOW(mp))
            forget_pages(txn->mt_env, pgno, mp->mp_pages);
        else if (can_be_noted(pgno) && !(mp->mp_flags & (P_LOOSE | P_KEEP)) &&
                 (slot = make_slot_of_page(checked, pgno)))
            STORE(*slot, note_about(epoch, pgno));
    }
}

/* Called after a commit of this process has succeeded, while it still has the writer lock. */
static void note_commit(MDB_txn *txn)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(txn->mt_env);

    if (checked)
        __atomic_store_n(&checked->settled, (uint64_t)txn->mt_txnid + 1, __ATOMIC_SEQ_CST);
}

/* Called when a transaction begins. */
static void note_begin(MDB_txn *txn)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(txn->mt_env);
    const uint64_t snapshot = snapshot_of(txn);
    uint64_t settled;

    if (!checked)
        return;
    settled = __atomic_load_n(&checked->settled, __ATOMIC_ACQUIRE);
    if (settled == snapshot)
        return;
    __atomic_fetch_add(&checked->epoch, 1, __ATOMIC_SEQ_CST);
    (void)__atomic_compare_exchange_n(&checked->settled, &settled, snapshot, 0, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED);
}

/* ---- checks against the database ---- */

/* Whether a page of a tree suits the cursor's database. A cursor without a database walks all
 * trees, to copy them. A loose page, which this transaction has given up, is in no tree:
 * liblmdb links loose pages through their contents. */
static inline int page_suits(const MDB_cursor *mc, MDB_page *mp)
{
    if (MP_FLAGS(mp) & P_LOOSE)
        return 0;
    if (!mc->mc_db || !IS_LEAF(mp))
        return 1;
    if (IS_LEAF2(mp))
        return (mc->mc_flags & C_SUB) && (mc->mc_db->md_flags & MDB_DUPFIXED) &&
               NUMKEYS(mp) * (size_t)mc->mc_db->md_pad + SIZELEFT(mp) <=
                   size_without_sum(mc->mc_txn->mt_env) - PAGEHDRSZ;
    return !((mc->mc_flags & C_SUB) && (mc->mc_db->md_flags & MDB_DUPFIXED));
}

/* Whether the record of a key with duplicates suits its database. */
static int duplicates_suit(const MDB_cursor *mc, MDB_node *node)
{
    const unsigned int fixed = mc->mc_db->md_flags & MDB_DUPFIXED;
    MDB_db db;

    if (!(node->mn_flags & F_SUBDATA))
        return !IS_LEAF2((MDB_page *)NODEDATA(node)) == !fixed;
    if (NODEDSZ(node) != sizeof(db))
        return 0;
    memcpy(&db, NODEDATA(node), sizeof(db));
    return (db.md_flags & (MDB_DUPSORT | MDB_DUPFIXED)) == fixed && db.md_depth <= CURSOR_STACK &&
           (fixed || !db.md_pad);
}

/* Whether two pages can be siblings in a tree. */
static int same_level(MDB_page *a, MDB_page *b)
{
    return a != b && NUMKEYS(a) > 0 &&
           !((MP_FLAGS(a) ^ MP_FLAGS(b)) & (P_BRANCH | P_LEAF | P_OVERFLOW));
}

/* Whether a run of overflow pages can hold a value of this size. */
static int large_value_fits(const MDB_txn *txn, const MDB_page *mp, size_t size)
{
    const MDB_env *env = txn->mt_env;
    const size_t room = (size_t)mp->mp_pages * env->me_psize - PAGEHDRSZ - sum_size(env);

    return IS_OVERFLOW(mp) && size <= room;
}

/* Merge a list of free pages into the list that was gathered before; both are sorted, the
 * largest number first. Return 0 if more has a page that is not in the file, or a page that
 * one of the lists has already. more is checked first, so the gathered list stays sorted.
 * Only the numbers that move are compared, and each record is merged once, so the check takes
 * no longer than the merge. */
static int merge_free_list(const MDB_txn *txn, MDB_ID *list, const MDB_ID *more)
{
    const MDB_ID count = more[0], total = list[0] + count;
    MDB_ID from = list[0], to = total, next, i;
    int sound = 1;

    if (count && (more[1] >= txn->mt_next_pgno || more[count] < NUM_METAS))
        return 0;
    for (i = 2; i <= count; i++)
        if (more[i] >= more[i - 1])
            return 0;
    list[0] = (MDB_ID)-1; /* ends the loop below */
    next = list[from];
    for (i = count; i; i--) {
        const MDB_ID page = more[i];

        for (; next < page; next = list[--from])
            list[to--] = next;
        sound &= next != page;
        list[to--] = page;
    }
    list[0] = total;
    return sound;
}

#if MDB_VERSION_MAJOR > 0
/* Whether the key of a named database is a name, with the NUL character that ends it. */
static int is_name(const MDB_val *key)
{
    return key->mv_size &&
           memchr(key->mv_data, 0, key->mv_size) == (const char *)key->mv_data + key->mv_size - 1;
}
#endif

/* ---- the file as a whole ---- */

/* A file may end before its last page if the missing pages are free: a transaction took them
 * and gave them up again. */
static int missing_pages_are_free(MDB_txn *txn, pgno_t pages)
{
    pgno_t missing = txn->mt_next_pgno - pages;
    MDB_cursor mc;
    MDB_val key, data;
    int rc;

    mdb_cursor_init(&mc, txn, FREE_DBI, NULL);
    rc = mdb_cursor_get(&mc, &key, &data, MDB_FIRST);
    for (; !rc; rc = mdb_cursor_get(&mc, &key, &data, MDB_NEXT)) {
        const MDB_ID *list = data.mv_data;
        const size_t room = data.mv_size / sizeof(MDB_ID);
        size_t i;

        if (!room || list[0] >= room)
            return 0;
        for (i = 1; i <= list[0] && list[i] >= pages; i++)
            missing--;
    }
    return rc == MDB_NOTFOUND && !missing;
}

/* Whether a file of this size has all pages that the transaction's snapshot can use. */
static int file_is_whole(MDB_txn *txn, size_t size)
{
    MDB_env *env = txn->mt_env;
    const size_t needed = (size_t)txn->mt_next_pgno * env->me_psize;

    if (size >= needed)
        return 1;
    if (!missing_pages_are_free(txn, size / env->me_psize))
        return 0;
    if (!(txn->mt_flags & MDB_TXN_RDONLY) && extend_whole_file(env->me_fd, needed))
        return 0;
    return 1;
}

/* A reader asks for the file's size now and then. Reads through views are not guarded: if the
 * file is truncated, they end the process. */
static int file_suits_reader(MDB_txn *txn)
{
    long long *asked = &extension_of(txn->mt_env)->reader_checked_size;
    size_t size;

    if (!is_due(asked))
        return 1;
    if (file_size(txn->mt_env, &size) || !file_is_whole(txn, size))
        return 0; /* the next reader asks again */
    note_look(asked);
    return 1;
}

/* What copy_meta() has found for the reader that this thread begins. */
static __thread int copied_meta_is_wrong;

/* Whether the meta page of a snapshot was checked before. */
static int meta_is_checked(MDB_env *env, txnid_t snapshot)
{
    struct pylmdb_checked_pages *checked = checked_pages_of(env);

    return !has_sums(env) || (checked && __atomic_load_n(&checked->settled, __ATOMIC_ACQUIRE) ==
                                             (uint64_t)snapshot + 1);
}

/* Whether the meta page that a transaction begins with has the right checksum. */
static int meta_is_right(MDB_txn *txn)
{
    MDB_env *env = txn->mt_env;
    const txnid_t snapshot = (txnid_t)snapshot_of(txn) - 1;
    int right = 1;

    if ((txn->mt_flags & MDB_TXN_RDONLY) && txn->mt_u.reader)
        right = !copied_meta_is_wrong;
    else if (!meta_is_checked(env, snapshot))
        right = meta_in_map_is_right(env, snapshot);
    if (!right)
        note_damage(snapshot % NUM_METAS, PYLMDB_WRONG_SUM);
    return right;
}

/* Whether the trees that a transaction begins with can be followed, and the file has their
 * pages. */
static int snapshot_is_sound(MDB_txn *txn)
{
    const MDB_db *free_db = &txn->mt_dbs[FREE_DBI], *main_db = &txn->mt_dbs[MAIN_DBI];
    const int whole = txn->mt_next_pgno >= NUM_METAS && !(free_db->md_flags & MDB_DUPSORT) &&
                      free_db->md_depth <= CURSOR_STACK && main_db->md_depth <= CURSOR_STACK;
    long long *asked = &extension_of(txn->mt_env)->writer_checked_size;
    size_t size;

    note_damage(0, PYLMDB_NO_DAMAGE); /* what is noted from here on belongs to this transaction */
    if (!whole || !meta_is_right(txn))
        return 0;
    note_begin(txn);
    if (txn->mt_flags & MDB_TXN_RDONLY)
        return file_suits_reader(txn);
    /* Asking the system takes a tenth of the time of a small transaction. */
    if (!is_due(asked) && file_has_pages(txn->mt_env, txn->mt_next_pgno))
        return 1;
    if (file_size(txn->mt_env, &size) || !file_is_whole(txn, size))
        return 0;
    note_look(asked);
    return 1;
}

int pylmdb_env_check(MDB_env *env)
{
    const MDB_meta *meta = mdb_env_pick_meta(env);
    MDB_txn *txn;
    int rc;

    if (meta->mm_last_pg < env->me_found_size / env->me_psize)
        return MDB_SUCCESS;
    rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_READERS_FULL)
        return MDB_SUCCESS; /* the first transaction that can begin looks again */
    if (rc)
        return rc;
    if (!file_is_whole(txn, env->me_found_size))
        rc = MDB_CORRUPTED;
    mdb_txn_abort(txn);
    return rc;
}
