/* SPDX-License-Identifier: MIT */
/* The reader table: by which number this process is known in it, and readers that have
 * died.  Included by shim.c, after lock_file.c.
 *
 * liblmdb knows a reader by its process number, and takes it for alive as long as the
 * byte of the lock file at that offset is locked.  But processes in two PID namespaces,
 * such as two containers, may have one number.  Then the second cannot lock the byte, and
 * what a dead one has left is never cleared, because its number is alive.  So an
 * environment has a number of its own in the table: the process number if its byte can be
 * locked, and else the first number above all process numbers whose byte can be.
 *
 * - Whoever has locked the byte of a number owns the number: the kernel decides between
 *   two that open the file at once.  Slots that have it already are of a dead process, and
 *   are cleared.
 * - Other builds of LMDB look for a lock at the number's offset, whatever the number is.
 *   So they find ours alive or dead, as we do theirs.
 * - Numbers are positive in pid_t and off_t of 32 bits.  No system's process numbers are
 *   so large (Linux: 4,194,304 at most).
 * - A slot fills a line of the cache, most of which nothing uses.  Behind what liblmdb keeps
 *   there stands the process number that goes with the number, for people.  Slots that other
 *   builds take keep what was there; so both numbers are noted, and compared. */

/* More are not tried than one machine has processes with the file open: EACCES may also
 * mean that a file system refuses all locks. */
enum { FIRST_NUMBER = 1 << 30, LAST_NUMBER = FIRST_NUMBER + (1 << 16) };

struct slot_note {
    int number, process;
};

static struct slot_note *note_of(MDB_reader *slot)
{
    _Static_assert(sizeof(MDB_rxbody) + sizeof(struct slot_note) <= sizeof(MDB_reader),
                   "there is no room for it");
    return (struct slot_note *)(slot->mru.pad + sizeof(MDB_rxbody));
}

/* 1 if it is locked, 0 if another has locked it; else errno says why not, and it is -1. */
static int lock_number(int fd, int *kind, MDB_PID_T number)
{
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = number;
    lock.l_len = 1;
    while (set_lock(fd, kind, F_SETLK, &lock)) {
        if (errno == EAGAIN || errno == EACCES)
            return 0;
        if (errno != EINTR)
            return -1;
    }
    return 1;
}

/* A slot that still has the number, and none that somebody has taken since. */
static void clear_slot(MDB_reader *slot, MDB_PID_T number)
{
    if (slot->mr_pid == number)
        __atomic_compare_exchange_n(&slot->mr_pid, &number, 0, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
}

/* Called when a lock file of so many bytes has been mapped, before anybody else has the
 * environment.  Where the table is about to be made anew it has no magic number. */
static int take_number(MDB_env *env, MDB_txninfo *table, size_t size)
{
    const size_t most =
        size < sizeof(*table) ? 0 : (size - sizeof(*table)) / sizeof(MDB_reader) + 1;
    const int saved = errno; /* mdb_env_setup_locks() looks at it later on */
    MDB_PID_T number = getpid();
    size_t i;
    int rc;

    extension_of(env)->process = number;
    while (!(rc = lock_number(env->me_lfd, &extension_of(env)->lock_kind, number)) &&
           number < LAST_NUMBER)
        number = number < FIRST_NUMBER ? FIRST_NUMBER : number + 1;
    if (rc <= 0)
        return -1;
    errno = saved;
    env->me_pid = number;
    env->me_live_reader = 1; /* the byte is locked */
    if (most && table->mti_magic == MDB_MAGIC && table->mti_format == MDB_LOCK_FORMAT)
        for (i = 0; i < table->mti_numreaders && i < most; i++)
            clear_slot(table->mti_readers + i, number);
    return 0;
}

/* Called by mdb_env_close0(): whose slots to clear; none in a process that has inherited
 * the environment. */
static MDB_PID_T own_number(MDB_env *env)
{
    return extension_of(env)->process == getpid() ? env->me_pid : 0;
}

/* Called by mdb_env_reader_dest(), at the end of a thread that had a slot of its own.  A
 * forked child has no table any more. */
static void free_own_slot(MDB_reader *slot)
{
    MDB_env *env;

    pthread_mutex_lock(&with_locks_guard);
    for (env = with_locks; env; env = extension_of(env)->next_with_locks)
        if (env->me_txns && slot >= env->me_txns->mti_readers &&
            slot < env->me_txns->mti_readers + env->me_maxreaders)
            clear_slot(slot, own_number(env));
    pthread_mutex_unlock(&with_locks_guard);
}

/* Called by mdb_txn_renew0(), which has the table's lock, just before the slot is taken. */
static void note_process(MDB_env *env, MDB_reader *slot)
{
    struct slot_note *note = note_of(slot);

    note->number = env->me_pid;
    note->process = extension_of(env)->process;
}

int pylmdb_env_number(MDB_env *env)
{
    return env->me_pid;
}

int pylmdb_env_process(MDB_env *env, int number)
{
    const unsigned int count = env->me_txns ? env->me_txns->mti_numreaders : 0;
    unsigned int i;

    for (i = 0; i < count && i < env->me_maxreaders; i++) {
        MDB_reader *slot = env->me_txns->mti_readers + i;

        if (slot->mr_pid == number && note_of(slot)->number == number)
            return note_of(slot)->process;
    }
    return number;
}

void pylmdb_env_forget_slots(MDB_env *env, unsigned int count)
{
    MDB_txninfo *table = env->me_txns;
    unsigned int i;
    int rc;

    if (!table || LOCK_MUTEX(rc, env, env->me_rmutex))
        return;
    for (i = table->mti_numreaders; i > count && !table->mti_readers[i - 1].mr_pid; i--)
        ;
    if (i < table->mti_numreaders)
        table->mti_numreaders = i;
    UNLOCK_MUTEX(env->me_rmutex);
}

/* -- dead readers ---------------------------------------------------------------------- */

/* Called by mdb_txn_renew0(), which has the table's lock, when all slots are taken: the
 * first that is free once those of the dead are. */
static unsigned int reclaim_dead_slot(MDB_env *env, unsigned int count)
{
    unsigned int i;

    (void)mdb_reader_check0(env, 1, NULL);
    for (i = 0; i < count && env->me_txns->mti_readers[i].mr_pid;)
        i++;
    return i;
}

/* How many new pages a file may get before it is asked again whether a dead reader is the
 * reason. */
enum { NEW_PAGES = 64 };

/* Called by mdb_page_alloc() before it takes a page behind all others: pages is the number
 * that there will be then.  1 if readers were cleared, so that the free list may have
 * pages now.
 *
 * A system call for each process that reads an old snapshot is too much for every page;
 * so it is done after so many, or some milliseconds after the last time, or when the map
 * is full.  Only then is the table's lock waited for: a reader that was stopped while it
 * had it would stop the writer, too. */
static int clear_dead_readers(MDB_txn *txn, size_t pages)
{
    MDB_env *env = txn->mt_env;
    struct env_extension *ext = extension_of(env);
    const int full = pages >= env->me_maxpg;
    int dead = 0;

    if (__builtin_expect(
            !full && pages < ext->check_readers_at && !is_due(&ext->readers_checked), 1))
        return 0;
    ext->check_readers_at = pages + NEW_PAGES;
    note_look(&ext->readers_checked);
    if (!env->me_txns || mdb_find_oldest(txn) + 1 >= txn->mt_txnid)
        return 0; /* nobody reads what is older than the last commit */
#ifdef PYLMDB_ROBUST_LOCKS
    only_try = !full;
    (void)mdb_reader_check(env, &dead);
    only_try = 0;
#else
    (void)mdb_reader_check(env, &dead);
#endif
    return dead > 0;
}
