/* SPDX-License-Identifier: MIT */
/* Read transactions and cursors that a forked child has inherited. Included by shim.c, after
 * identity.c.
 *
 * A snapshot is protected by a slot of the reader table that shows its number. The slot of an
 * inherited transaction belongs to the parent. So the child begins a transaction of its own,
 * makes its own slot show the same number, and then looks whether the parent's slot still
 * shows it. If so, one of the two slots has protected the snapshot at every moment.
 *
 * But a writer reads the slots one after the other. A writer that is doing so could pass the
 * child's slot before it shows the number, and reach the parent's slot after that was
 * released. A writer that begins later sees the child's slot. So between the two steps the
 * child waits until it has had the writer lock once. */

static int await_writer(MDB_env *env)
{
    int rc;

    if (holds_writer_lock(env))
        return MDB_SUCCESS;
    if ((rc = writer_lock_wait_begin(env, WRITER_MS)) != 0)
        return rc;
    if (!LOCK_MUTEX(rc, env, env->me_wmutex))
        UNLOCK_MUTEX(env->me_wmutex);
    writer_lock_wait_end();
    return rc;
}

static int slot_shows(const MDB_reader *slot, MDB_PID_T pid, txnid_t number)
{
    return slot->mr_pid == pid && slot->mr_txnid == number;
}

/* Protect the inherited snapshot by the slot of a transaction of this process. */
static int keep_snapshot(MDB_txn *txn, const MDB_txn *inherited)
{
    const MDB_txninfo *locks = extension_of(inherited->mt_env)->locks_of_parent;
    const MDB_txninfo *own = txn->mt_env->me_txns;
    MDB_reader *mine = txn->mt_u.reader;
    size_t i;
    int rc;

    if (!mine || !locks || !inherited->mt_u.reader)
        return MDB_BAD_TXN;
    i = (size_t)(inherited->mt_u.reader - locks->mti_readers);
    if (i >= own->mti_numreaders)
        return MDB_BAD_TXN;
    mine->mr_txnid = inherited->mt_txnid;
    if ((rc = await_writer(txn->mt_env)) != 0)
        return rc;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return slot_shows(&own->mti_readers[i], inherited->mt_env->me_pid, inherited->mt_txnid)
               ? MDB_SUCCESS
               : MDB_BAD_TXN;
}

int pylmdb_txn_go_back(MDB_txn *txn, const MDB_txn *inherited)
{
    int i, rc;

    if (txn->mt_txnid == inherited->mt_txnid)
        return MDB_SUCCESS;
    if ((rc = keep_snapshot(txn, inherited)) != 0)
        return rc;
    txn->mt_txnid = inherited->mt_txnid;
    txn->mt_next_pgno = inherited->mt_next_pgno;
    /* The transaction has just begun: it looks up all other databases in these two. */
    for (i = 0; i < CORE_DBS; i++)
        txn->mt_dbs[i] = inherited->mt_dbs[i];
    return MDB_SUCCESS;
}

/* Copy the position of a cursor to one of another map, which has the same pages. */
static void copy_position(MDB_cursor *cursor, const MDB_cursor *from, const char *from_map,
                          char *map)
{
    const unsigned int position = C_INITIALIZED | C_EOF | C_DEL;
    unsigned int level;

    cursor->mc_snum = from->mc_snum;
    cursor->mc_top = from->mc_top;
    cursor->mc_flags = (cursor->mc_flags & ~position) | (from->mc_flags & position);
    memcpy(cursor->mc_ki, from->mc_ki, sizeof(cursor->mc_ki));
    for (level = 0; level < CURSOR_STACK; level++)
        cursor->mc_pg[level] =
            level < from->mc_snum && from->mc_pg[level]
                ? (MDB_page *)(map + ((const char *)from->mc_pg[level] - from_map))
                : NULL;
}

int pylmdb_cursor_go_on(MDB_cursor *cursor, const MDB_cursor *inherited)
{
    const char *from_map = inherited->mc_txn->mt_env->me_map;
    char *map = cursor->mc_txn->mt_env->me_map;
    MDB_xcursor *own = cursor->mc_xcursor;
    const MDB_xcursor *other = inherited->mc_xcursor;

    if (!own != !other || cursor->mc_txn->mt_txnid != inherited->mc_txn->mt_txnid)
        return MDB_BAD_TXN;
    copy_position(cursor, inherited, from_map, map);
    if (own) {
        own->mx_db = other->mx_db;
        own->mx_dbx = other->mx_dbx;
        own->mx_dbflag = other->mx_dbflag;
        copy_position(&own->mx_cursor, &other->mx_cursor, from_map, map);
    }
    return MDB_SUCCESS;
}
