/* SPDX-License-Identifier: MIT */
/* The readers of this process in an environment without a lock file. Included by shim.c, after
 * mdb.c.
 *
 * liblmdb lists readers in the lock file only. Without one, a writer overwrites the pages that an
 * older snapshot of the same process uses. So these readers have a list of their own in memory.
 * Nobody knows the readers of other processes, nor do these know ours; the user must see to it that
 * no other process writes.
 *
 * An entry is never removed before the environment is closed, and is free while it shows no process
 * number, as a slot of the lock file. So mdb_txn_end() frees it as it frees a slot. In an environment
 * that is opened for reading nothing is written, and so nothing is listed. */
struct own_reader {
    MDB_reader slot; /* first: a transaction knows its slot */
    struct own_reader *next;
};

static int take_entry(const MDB_env *env, struct own_reader *entry)
{
    MDB_PID_T none = 0;

    return !entry->slot.mr_pid && atomic_compare_exchange_strong(
                                      (_Atomic MDB_PID_T *)&entry->slot.mr_pid, &none, env->me_pid);
}

static struct own_reader *add_entry(MDB_env *env)
{
    struct own_reader **first = &extension_of(env)->own_readers;
    struct own_reader *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->slot.mr_txnid = (txnid_t)-1;
    entry->slot.mr_pid = env->me_pid;
    entry->next = __atomic_load_n(first, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(first, &entry->next, entry, 0, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
    return entry;
}

/* The search begins at the entry that was given up last, or follows the one that was taken last, so
 * that a transaction begins as fast beside thousands of readers as beside none. */
static MDB_reader *take_own_slot(MDB_env *env)
{
    struct own_reader **likely = &extension_of(env)->likely_own_reader;
    struct own_reader *entry = __atomic_load_n(likely, __ATOMIC_ACQUIRE);

    if (!entry || !take_entry(env, entry)) {
        entry = __atomic_load_n(&extension_of(env)->own_readers, __ATOMIC_ACQUIRE);
        while (entry && !take_entry(env, entry))
            entry = entry->next;
    }
    if (!entry && !(entry = add_entry(env)))
        return NULL;
    __atomic_store_n(likely, entry->next, __ATOMIC_RELEASE);
    return &entry->slot;
}

static void note_free_entry(MDB_env *env, MDB_reader *slot)
{
    __atomic_store_n(&extension_of(env)->likely_own_reader, (struct own_reader *)(void *)slot,
                     __ATOMIC_RELEASE);
}

/* Called by mdb_env_write_meta() before it writes the meta page of a transaction, and with 0 when it
 * has flushed it. In between the map shows the page, but after a power failure the file may not have
 * it. After a flush that has failed, the transaction stays hidden. */
static void note_flush(MDB_env *env, size_t txnid)
{
    __atomic_store_n(&extension_of(env)->flushing, txnid, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Readers see a transaction when it has been flushed. With a lock file, a writer stores its number
 * there last. */
size_t pylmdb_env_newest(MDB_env *env)
{
    size_t newest;

    if (env->me_txns)
        return env->me_txns->mti_txnid;
    newest = mdb_env_pick_meta(env)->mm_txnid;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (newest && newest == __atomic_load_n(&extension_of(env)->flushing, __ATOMIC_SEQ_CST))
        newest--;
    return newest;
}

/* Called by mdb_txn_renew0() for a reader without a lock file, when it has found the newest meta
 * page: list it, and return a copy of the meta page of its snapshot; NULL: there is no memory. */
static MDB_meta *begin_own_reader(MDB_txn *txn, MDB_meta *meta, MDB_meta *copy)
{
    MDB_env *env = txn->mt_env;
    MDB_reader *slot = txn->mt_u.reader;

    if ((env->me_flags & MDB_RDONLY) || !(env->me_flags & MDB_NOTLS)) {
        txn->mt_u.reader = NULL;
        return meta;
    }
    if (!slot) {
        if (!(slot = take_own_slot(env)))
            return NULL;
        slot->mr_tid = pthread_self();
    }
    slot->mr_txnid = pylmdb_env_newest(env);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    meta = copy_meta(env, slot, env->me_metas[slot->mr_txnid & 1], copy);
    txn->mt_txnid = slot->mr_txnid;
    txn->mt_u.reader = slot;
    return meta;
}

/* Called by mdb_find_oldest(). A reader lists its snapshot, and then looks whether it is still the
 * newest; a writer has written its meta page, and then looks at the list. */
static size_t oldest_own_reader(const MDB_env *env, size_t oldest)
{
    const struct own_reader *entry;

    if (env->me_txns)
        return oldest;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    entry = __atomic_load_n(&extension_of(env)->own_readers, __ATOMIC_ACQUIRE);
    for (; entry; entry = entry->next)
        if (entry->slot.mr_pid && entry->slot.mr_txnid < oldest)
            oldest = entry->slot.mr_txnid;
    return oldest;
}

/* mdb_reader_list(), which has no lines for these readers. */
int pylmdb_reader_list(MDB_env *env, MDB_msg_func *func, void *context)
{
    const struct own_reader *entry;
    int count = 0, rc = 0;
    char line[64];

    if (env->me_txns || (env->me_flags & MDB_RDONLY))
        return mdb_reader_list(env, func, context);
    entry = __atomic_load_n(&extension_of(env)->own_readers, __ATOMIC_ACQUIRE);
    for (; entry && rc >= 0; entry = entry->next) {
        const int process = entry->slot.mr_pid;
        const size_t thread = (size_t)entry->slot.mr_tid, txnid = entry->slot.mr_txnid;

        if (!process)
            continue;
        snprintf(line, sizeof(line), txnid + 1 ? "%10d %zx %zu\n" : "%10d %zx -\n", process, thread,
                 txnid);
        if (!count++ && (rc = func("    pid     thread     txnid\n", context)) < 0)
            break;
        rc = func(line, context);
    }
    return count ? rc : func("(no active readers)\n", context);
}

static void free_own_readers(MDB_env *env)
{
    struct own_reader *entry = extension_of(env)->own_readers, *next;

    for (; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
    extension_of(env)->own_readers = NULL;
}
