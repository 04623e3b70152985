/* SPDX-License-Identifier: MIT */
/* Another data file in the place of an environment's own.  Included by shim.c, after
 * mdb.c.
 *
 * Whoever has an environment open holds a shared lock on the first byte of its lock
 * file, and takes that lock before the data file is opened (a writer always, a reader
 * at the latest before it looks at a page).  So the one who has that lock for himself
 * alone has the file for himself alone, and those who open it wait.
 *
 * As long as he has it the lock file has no magic number.  If he dies it may tell of a
 * snapshot that the file in place does not have; so those who wait must not use it, but
 * make it anew (see take_lock_file() in creation.c). */

/* Takes the lock exclusively, or gives it back to be shared. */
int pylmdb_env_alone(MDB_env *env, int alone)
{
    const int type = alone ? F_WRLCK : F_RDLCK;
    int *kind = &extension_of(env)->lock_kind, rc;

    if (!env->me_txns)
        return ENOLCK;
    if (alone && has_checksums(env))
        return PYLMDB_CHECKSUMS;
    if (!alone)
        env->me_txns->mti_magic = MDB_MAGIC;
    while ((rc = lock_first_bytes(env->me_lfd, kind, type, 1, 0) ? errno : 0) == EINTR)
        ;
    if (alone && !rc && names_lead_elsewhere(env)) {
        (void)lock_first_bytes(env->me_lfd, kind, F_RDLCK, 1, 0);
        return ESTALE; /* it is the other file's name that would lead to ours */
    }
    if (alone && !rc)
        env->me_txns->mti_magic = 0;
    return rc == EACCES || rc == EAGAIN ? EBUSY : rc;
}

/* The file that a descriptor leads to has taken the place of the data file: whoever
 * waits will look for its snapshot by the transaction number in the lock file.  Where that
 * cannot be had, he makes the lock file anew. */
void pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd)
{
    MDB_meta meta;
    txnid_t newest = 0;
    int i;

    for (i = 0; i < NUM_METAS; i++) {
        if (pread(fd, &meta, sizeof(meta), (off_t)(i * env->me_psize + PAGEHDRSZ)) !=
            (ssize_t)sizeof(meta))
            return;
        if (meta.mm_txnid > newest)
            newest = meta.mm_txnid;
    }
    env->me_txns->mti_txnid = newest;
    env->me_txns->mti_magic = MDB_MAGIC;
}
