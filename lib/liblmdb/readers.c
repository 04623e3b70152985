/* SPDX-License-Identifier: MIT */
/* The reader table: the number by which a process is known in it, the snapshot of a reader, and
 * dead readers. Included by shim.c, after lock_file.c.
 *
 * liblmdb knows a reader by its process number. A reader is alive as long as the byte at that
 * offset of the lock file is locked. But processes in two PID namespaces, such as two
 * containers, may have the same number. Then the second process cannot lock the byte, and
 * slots of a dead process are never cleared while another one has its number. So an
 * environment has a number of its own in the table. It is the process number if the byte of
 * that number can be locked. Otherwise it is the first number above all process numbers whose
 * byte can be locked.
 *
 * - The process that has locked the byte of a number owns the number. The kernel decides
 *   between two that open the file at once. Slots that already show the number belong to a
 *   dead process, and are cleared.
 * - Other builds of LMDB ask for a lock at the offset of a number, whatever the number is. So
 *   they find our readers alive or dead, and we theirs.
 * - Numbers are positive in a pid_t and an off_t of 32 bits. No system has process numbers as
 *   large as ours (Linux: 4,194,304 at most).
 * - A slot fills a cache line, and liblmdb uses only a part of it. After that part we store
 *   the process number that belongs to the number, for reader_list(). Slots that other builds
 *   take keep what was there, so both numbers are stored, and compared when they are read. */

/* The number of tries is more than the processes that have a file open on one machine. There
 * is a limit because EACCES can also mean that the file system refuses all locks. */
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

/* Return 1 if the byte was locked, 0 if another process has locked it, -1 for an error
 * (errno). */
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

/* Free a slot if it still shows the number; another process may have taken it since. */
static void clear_slot(MDB_reader *slot, MDB_PID_T number)
{
    if (slot->mr_pid == number)
        (void)atomic_compare_exchange_strong((_Atomic MDB_PID_T *)&slot->mr_pid, &number, 0);
}

/* Called when a lock file of size bytes was mapped, before other threads have the
 * environment. A table that is about to be initialised has no magic number. */
static int take_number(MDB_env *env, MDB_txninfo *table, size_t size)
{
    const size_t most =
        size < sizeof(*table) ? 0 : (size - sizeof(*table)) / sizeof(MDB_reader) + 1;
    const int saved = errno; /* mdb_env_setup_locks() reads errno later */
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

/* Called by mdb_env_close0(), which clears the slots of this number; 0 in a process that has
 * inherited the environment. */
static MDB_PID_T own_number(MDB_env *env)
{
    return extension_of(env)->process == getpid() ? env->me_pid : 0;
}

/* Called by mdb_env_reader_dest() when a thread that has a slot ends. A forked child has no
 * reader table. */
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

/* Called when a transaction has given up its slot, without the lock of the table. */
static void note_free_slot(MDB_env *env, MDB_reader *slot)
{
    if (!env->me_txns) {
        note_free_entry(env, slot);
        return;
    }
    __atomic_store_n(&extension_of(env)->free_slot,
                     (unsigned int)(slot - env->me_txns->mti_readers), __ATOMIC_RELAXED);
}

/* Called by mdb_txn_renew0(), with the lock of the reader table: where it begins to look for a
 * free slot among the first count ones. It is the slot that was given up last, or the one
 * after the slot that was taken last, if that is free. So a transaction begins as fast beside
 * thousands of readers as beside none. The slots after count are not tried before all others:
 * each writer looks at all slots below the greatest that was ever used. */
static unsigned int likely_free_slot(MDB_env *env, unsigned int count)
{
    const unsigned int i = __atomic_load_n(&extension_of(env)->free_slot, __ATOMIC_RELAXED);

    return i < count && !env->me_txns->mti_readers[i].mr_pid ? i : 0;
}

/* Called by mdb_txn_renew0(), with the lock of the reader table, just before it takes the
 * slot. */
static void note_process(MDB_env *env, MDB_reader *slot)
{
    struct slot_note *note = note_of(slot);

    note->number = env->me_pid;
    note->process = extension_of(env)->process;
    note_free_slot(env, slot + 1);
}

/* Called by mdb_txn_renew0() when the slot of a reader shows the number of the newest
 * transaction, as read, and meta is the page of that transaction: return a copy of the page that
 * belongs to the number in the slot.
 *
 * The transaction after the next one writes to the same page. So without this function a reader
 * that was stopped for two commits had the snapshot of a later transaction under the number of an
 * earlier one, and LMDB 1.0 took each page that is newer than the number for damaged; or it had
 * parts of two meta pages. A transaction writes its number to the lock file, or without one to its
 * meta page, before the next one begins. So while that is the number in the slot, the page is not
 * being overwritten. */
static MDB_meta *copy_meta(MDB_env *env, MDB_reader *slot, const MDB_meta *meta, MDB_meta *copy)
{
    txnid_t newest;

    for (;; meta = env->me_metas[newest & 1]) {
        *copy = *meta;
        copied_meta_is_wrong =
            !meta_is_checked(env, slot->mr_txnid) && !meta_in_map_is_right(env, slot->mr_txnid);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        newest = pylmdb_env_newest(env);
        if (newest == slot->mr_txnid || !newest) /* 0: nothing was committed */
            return copy;
        slot->mr_txnid = newest;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
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

/* Called by mdb_txn_renew0(), with the lock of the reader table, when all slots are taken:
 * clear the slots of dead processes, and return the index of the first free slot. */
static unsigned int reclaim_dead_slot(MDB_env *env, unsigned int count)
{
    unsigned int i;
    int dead = 0;

    (void)mdb_reader_check0(env, 1, &dead);
    note_dead_readers(env, dead);
    for (i = 0; i < count && env->me_txns->mti_readers[i].mr_pid;)
        i++;
    return i;
}

/* After this many new pages, look for dead readers again. */
enum { NEW_PAGES = 64 };

/* Called by mdb_page_alloc() before it takes a page at the end of the file. pages is the
 * number of pages after that. Return 1 if slots of dead readers were cleared, so that the
 * free list may have pages now.
 *
 * The search costs a system call for each process that reads an old snapshot, which is too
 * much for every page. So it is made after some new pages, or some milliseconds after the
 * last one, or when the map is full. It waits for the lock of the reader table only when the
 * map is full: a reader that was stopped while it had that lock would stop the writer too. */
static int clear_dead_readers(MDB_txn *txn, size_t pages)
{
    MDB_env *env = txn->mt_env;
    struct env_extension *ext = extension_of(env);
    const int full = pages >= env->me_maxpg;
    int dead = 0;

    if (__builtin_expect(!full && pages < ext->check_readers_at && !is_due(&ext->readers_checked),
                         1))
        return 0;
    ext->check_readers_at = pages + NEW_PAGES;
    note_look(&ext->readers_checked);
    if (!env->me_txns || mdb_find_oldest(txn) + 1 >= txn->mt_txnid)
        return 0; /* no reader has a snapshot older than the last commit */
    lock_thread.only_try = !full;
    (void)mdb_reader_check(env, &dead);
    lock_thread.only_try = 0;
    note_dead_readers(env, dead);
    return dead > 0;
}
