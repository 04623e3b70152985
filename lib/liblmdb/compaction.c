/* SPDX-License-Identifier: MIT */
/* Another data file in the place of an environment's own.  Included by shim.c, after
 * mdb.c.
 *
 * Whoever has an environment open holds a shared lock on the first byte of its lock
 * file, and takes that lock before the data file is opened (a writer always, a reader
 * at the latest before it looks at a page).  So the one who has that lock for himself
 * alone has the file for himself alone, and those who open it wait. */

/* Takes the lock exclusively, or gives it back to be shared. */
int pylmdb_env_alone(MDB_env *env, int alone)
{
    const int type = alone ? F_WRLCK : F_RDLCK;
    int rc;

    if (!env->me_txns)
        return ENOLCK;
    while ((rc = lock_first_bytes(env->me_lfd, type, 1, 0) ? errno : 0) == EINTR)
        ;
    return rc == EACCES || rc == EAGAIN ? EBUSY : rc;
}

/* The file that a descriptor leads to has taken the place of the data file: whoever
 * waits will look for its snapshot by the transaction number in the lock file. */
int pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd)
{
    MDB_meta meta;
    txnid_t newest = 0;
    int i;

    for (i = 0; i < NUM_METAS; i++) {
        if (pread(fd, &meta, sizeof(meta), (off_t)(i * env->me_psize + PAGEHDRSZ)) !=
            (ssize_t)sizeof(meta))
            return EIO;
        if (meta.mm_txnid > newest)
            newest = meta.mm_txnid;
    }
    env->me_txns->mti_txnid = newest;
    return MDB_SUCCESS;
}
