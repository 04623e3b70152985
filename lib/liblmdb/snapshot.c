/* SPDX-License-Identifier: MIT */
/* The pages of a snapshot, for backups. Included by shim.c, after mdb.c.
 *
 * All pages below the last one are part of a snapshot, except those in its free list. (Pages
 * that are neither in a tree nor free are taken for used ones.) No writer changes them while a
 * read transaction has the snapshot. They are read with pread(), so a data file that is
 * truncated meanwhile is an error and not a SIGBUS.
 *
 * The meta pages in the file belong to the newest transactions. A backup gets one that belongs
 * to the snapshot, and one of an empty environment, as mdb_env_copy2() writes it when it
 * compacts: an older snapshot may have other pages. */

int pylmdb_snapshot(MDB_txn *txn, struct pylmdb_snapshot *found)
{
    found->txnid = txn->mt_txnid;
    found->pages = txn->mt_next_pgno;
    found->page_size = txn->mt_env->me_psize;
    found->format = MDB_DATA_VERSION;
    return MDB_SUCCESS;
}

int pylmdb_snapshot_free(MDB_txn *txn, unsigned char *bits)
{
    MDB_cursor mc;
    MDB_val key, data;
    int rc;

    mdb_cursor_init(&mc, txn, FREE_DBI, NULL);
    while (!(rc = pylmdb_safe_cursor_get(&mc, &key, &data, MDB_NEXT))) {
        const MDB_ID *list = data.mv_data;
        const size_t room = data.mv_size / sizeof(MDB_ID);
        size_t i, count;

        if (!room || (count = list[0]) >= room)
            return MDB_CORRUPTED;
        for (i = 1; i <= count; i++) {
            const MDB_ID page = list[i];

            if (page < NUM_METAS || page >= txn->mt_next_pgno)
                return MDB_CORRUPTED;
            bits[page / 8] |= (unsigned char)(1 << page % 8);
        }
    }
    if (rc != MDB_NOTFOUND)
        return rc;
    return is_truncated(txn->mt_env) ? MDB_CORRUPTED : MDB_SUCCESS;
}

size_t pylmdb_snapshot_list(const unsigned char *bits, size_t pages, size_t from,
                            unsigned long long *numbers, size_t most)
{
    size_t count = 0;

    for (; from < pages && count < most; from++)
        if (!(bits[from / 8] >> from % 8 & 1))
            numbers[count++] = from;
    return count;
}

static void make_meta_page(MDB_txn *txn, pgno_t number, char *page)
{
    MDB_env *env = txn->mt_env;
    MDB_meta *meta = (MDB_meta *)(page + PAGEHDRSZ);
    const int is_of_snapshot = number == (txn->mt_txnid & 1);

    /* the end of page 0 has the size of checksums */
    memcpy(page, (const char *)env->me_metas[number] - PAGEHDRSZ, env->me_psize);
    memset(meta, 0, sizeof(*meta));
    mdb_env_init_meta0(env, meta);
    meta->mm_mapsize = env->me_metas[txn->mt_txnid & 1]->mm_mapsize;
    meta->mm_flags = txn->mt_dbs[FREE_DBI].md_flags;
    if (is_of_snapshot) {
        meta->mm_dbs[FREE_DBI] = txn->mt_dbs[FREE_DBI];
        meta->mm_dbs[MAIN_DBI] = txn->mt_dbs[MAIN_DBI];
        meta->mm_last_pg = txn->mt_next_pgno - 1;
        meta->mm_txnid = txn->mt_txnid;
    }
    if (has_sums(env))
        pylmdb_set_meta_sum(page);
}

/* Read size bytes of the file; MDB_CORRUPTED if it does not have them. */
static int read_whole(int fd, char *data, size_t size, off_t at)
{
    while (size) {
        const ssize_t got = pread(fd, data, size, at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? errno : MDB_CORRUPTED;
        data += got;
        size -= (size_t)got;
        at += got;
    }
    return MDB_SUCCESS;
}

int pylmdb_snapshot_read(MDB_txn *txn, const unsigned long long *numbers, size_t count, char *pages)
{
    MDB_env *env = txn->mt_env;
    const size_t size = env->me_psize;
    size_t i, run;
    int rc;

    for (i = 0; i < count; i += run) {
        run = 1;
        if (numbers[i] < NUM_METAS) {
            make_meta_page(txn, (pgno_t)numbers[i], pages + i * size);
            continue;
        }
        while (i + run < count && numbers[i + run] == numbers[i] + run)
            run++;
        if ((rc = read_whole(env->me_fd, pages + i * size, run * size,
                             (off_t)(numbers[i] * size))) != 0)
            return rc;
    }
    return is_truncated(env) ? MDB_CORRUPTED : MDB_SUCCESS;
}
