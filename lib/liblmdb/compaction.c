/* SPDX-License-Identifier: MIT */
/* Exclusive access to an environment, to replace its data file. Included by shim.c, after
 * mdb.c.
 *
 * A process that has an environment open holds a shared lock on the first byte of its lock
 * file. A writer takes that lock before it opens the data file, a reader before it looks at a
 * page. So a process that has the lock exclusively is the only one that uses the data file,
 * and processes that open the environment wait.
 *
 * Meanwhile the lock file has no magic number. If the process dies, the lock file may have
 * the number of a snapshot that the data file in place does not have. So the processes that
 * wait must initialise the lock file again (see take_lock_file() in creation.c). */

/* Make the lock exclusive, or shared again. */
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
        return ESTALE; /* the new file would get the name of another environment */
    }
    if (alone && !rc)
        env->me_txns->mti_magic = 0;
    return rc == EACCES || rc == EAGAIN ? EBUSY : rc;
}

/* The file of a descriptor has replaced the data file. The processes that wait will look for
 * their snapshot by the transaction number in the lock file. If that cannot be read here,
 * they initialise the lock file again. */
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
