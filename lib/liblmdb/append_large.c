/* SPDX-License-Identifier: MIT */
/* Write large values that are appended to the file immediately, before the commit. Included
 * by shim.c, after growth.c.
 *
 * liblmdb keeps the overflow pages of a value in memory until the commit writes them. Here a
 * value that is appended gets new pages at the end of the file. These are written
 * immediately, many pages in one write, as liblmdb writes pages that it spills. No snapshot
 * has these pages before the commit, which syncs them with all others. The leaf page gets
 * what liblmdb would have put there: a reference to the first overflow page, and the size.
 *
 * liblmdb treats these pages as spilled ones, and would look for them in its list of spilled
 * pages if the value were changed before the commit. So the value must not be changed before. */

/* Larger writes are slower: the kernel looks for larger runs of free memory. */
enum { UNWRITTEN_SIZE = 128 * 1024 };

struct pylmdb_unwritten {
    MDB_txn *txn;
    /* where the bytes belong in the file, how many there are, and the room for them */
    off_t at;
    size_t used, size;
    char bytes[UNWRITTEN_SIZE];
};

struct pylmdb_unwritten *pylmdb_unwritten_new(MDB_txn *txn)
{
    struct pylmdb_unwritten *pages = malloc(sizeof(*pages));

    if (pages) {
        pages->txn = txn;
        pages->at = 0;
        pages->used = 0;
        pages->size = UNWRITTEN_SIZE / txn->mt_env->me_psize * txn->mt_env->me_psize;
    }
    return pages;
}

int pylmdb_unwritten_write(struct pylmdb_unwritten *pages)
{
    MDB_env *env = pages->txn->mt_env;
    const size_t used = pages->used;

    pages->used = 0;
    /* Checks of these pages that this transaction has noted are void now. */
    forget_pages(env, (pgno_t)pages->at / env->me_psize, used / env->me_psize);
    if (used && write_whole(env->me_fd, pages->bytes, used, pages->at) < 0) {
        pages->txn->mt_flags |= MDB_TXN_ERROR;
        return errno;
    }
    pages->at += (off_t)used;
    return MDB_SUCCESS;
}

void pylmdb_unwritten_free(struct pylmdb_unwritten *pages)
{
    if (pages && pages->used) /* the tree refers to pages that the file does not have */
        pages->txn->mt_flags |= MDB_TXN_ERROR;
    free(pages);
}

/* Add bytes after the last ones; zeros if data is NULL. */
static int add_bytes(struct pylmdb_unwritten *pages, const char *data, size_t size)
{
    while (size) {
        const size_t room = pages->size - pages->used, now = size < room ? size : room;

        if (data) {
            memcpy(pages->bytes + pages->used, data, now);
            data += now;
        } else {
            memset(pages->bytes + pages->used, 0, now);
        }
        size -= now;
        if ((pages->used += now) == pages->size) {
            const int rc = pylmdb_unwritten_write(pages);

            if (rc)
                return rc;
        }
    }
    return MDB_SUCCESS;
}

static int add_value(struct pylmdb_unwritten *pages, pgno_t pgno, size_t count,
                     const MDB_val *value)
{
    const size_t psize = pages->txn->mt_env->me_psize;
    const off_t at = (off_t)(pgno * psize);
    MDB_page header;
    int rc = MDB_SUCCESS;

    if (pages->at + (off_t)pages->used != at) {
        rc = pylmdb_unwritten_write(pages);
        pages->at = at;
    }
    memset(&header, 0, sizeof(header));
    header.mp_pgno = pgno;
    header.mp_flags = P_OVERFLOW;
    header.mp_pages = (uint32_t)count;
#if MDB_VERSION_MAJOR > 0
    header.mp_txnid = pages->txn->mt_txnid;
#endif
    if (!rc)
        rc = add_bytes(pages, (const char *)&header, PAGEHDRSZ);
    if (!rc)
        rc = add_bytes(pages, value->mv_data, value->mv_size);
    if (!rc)
        rc = add_bytes(pages, NULL, count * psize - PAGEHDRSZ - value->mv_size);
    return rc;
}

/* Return how many overflow pages a value takes. */
static size_t pages_of(const MDB_env *env, const MDB_val *value)
{
    return (PAGEHDRSZ - 1 + value->mv_size) / env->me_psize + 1;
}

/* Whether this many pages fit at the end of the map, together with those that a split of the
 * leaf page may need. If not, free pages may do, which liblmdb looks for. */
static int has_room_at_end(MDB_txn *txn, size_t count)
{
    const size_t pages = txn->mt_next_pgno + count + 2 * CURSOR_STACK;

    return !raise_limit_for(txn, pages) && pages < txn->mt_env->me_maxpg;
}

/* Take pages at the end of the file for the value, and make the leaf page refer to them. */
static int allocate_pages(MDB_cursor *mc, const MDB_val *value, struct pylmdb_unwritten *pages)
{
    MDB_txn *txn = mc->mc_txn;
    MDB_env *env = txn->mt_env;
    MDB_node *leaf = NODEPTR(mc->mc_pg[mc->mc_top], mc->mc_ki[mc->mc_top]);
    const pgno_t pgno = txn->mt_next_pgno;
    const size_t count = pages_of(env, value);
    int rc = raise_limit_for(txn, pgno + count);
#if MDB_VERSION_MAJOR > 0
    const MDB_ovpage reference = {pgno, txn->mt_txnid, count};
#else
    const pgno_t reference = pgno;
#endif

    if (!rc && pgno + count >= env->me_maxpg)
        rc = MDB_MAP_FULL;
    if (rc)
        return rc;
    txn->mt_next_pgno = pgno + count;
    mc->mc_db->md_overflow_pages += count;
    leaf->mn_flags = F_BIGDATA;
    SETDSZ(leaf, value->mv_size);
    memcpy(NODEDATA(leaf), &reference, sizeof(reference));
    return add_value(pages, pgno, count, value);
}

int pylmdb_append_large(MDB_cursor *mc, const MDB_val *key, const MDB_val *value,
                        struct pylmdb_unwritten *pages)
{
    const char blank[OVERFLOW_REFERENCE_SIZE] = {0};
    MDB_val place = {sizeof(blank), (void *)blank}, own = *key;
    MDB_txn *txn = mc->mc_txn;
    int rc;

    if (NODESIZE + key->mv_size + value->mv_size <= txn->mt_env->me_nodemax ||
        value->mv_size > MAXDATASIZE || (mc->mc_db->md_flags & MDB_DUPSORT) ||
        (txn->mt_env->me_flags & MDB_WRITEMAP) || txn->mt_parent ||
        !has_room_at_end(txn, pages_of(txn->mt_env, value)))
        return PYLMDB_NOT_QUICK;
    rc = pylmdb_safe_cursor_put(mc, &own, &place, MDB_APPEND);
    if (!rc && (rc = allocate_pages(mc, value, pages)))
        txn->mt_flags |= MDB_TXN_ERROR;
    return rc;
}
