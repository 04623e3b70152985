/* SPDX-License-Identifier: MIT */
/* The writer lock where liblmdb's two locks are named semaphores: waits with a timeout, and
 * recovery after a writer was killed.
 *
 * A lock that is taken between writer_lock_wait_begin() and writer_lock_wait_end() is waited for
 * with a timeout. Any other lock is waited for without a timeout, or, with only_try set, only
 * tried. macOS has no sem_timedwait(), so a wait with a timeout tries, and sleeps in between.
 *
 * Any thread can release a semaphore, but the system does not release it when a process dies. So a
 * thread that has the writer lock also locks a byte of the lock file, which the system does
 * release, and then sets a mark in the lock file. At its end it clears the mark first. A thread that
 * finds the mark while it has the byte locked knows that the writer is dead, and takes its place:
 * the semaphore stays as it is.
 *
 * Other builds of LMDB neither set nor clear the mark, and cannot get the semaphore while it is set.
 * If one of them is killed while it writes, or a process of pylmdb in the few instructions without
 * the mark, the others cannot write until no process has the environment open. The next process to
 * open it makes new semaphores.
 *
 * The locks of a file do not tell threads of a process apart, so writing_guard is held from the
 * lock of the byte to the mark. Included by shim.c, after env_extension.c, where
 * PYLMDB_ROBUST_LOCKS is 0. */

/* The byte that a writer locks: above all process numbers, and below the identities of identity.c */
#define WRITER_BYTE ((off_t)((uint64_t)1 << (8 * sizeof(off_t) - 4)))

/* The longest sleep between two tries, and how long to wait between two looks for a dead writer. */
enum { LONGEST_SLEEP_NS = 1000000, LOOK_MS = 10 };

/* The variables of a thread: the environment whose writer lock it waits for, and for how long; and
 * whether it only tries other locks. */
static __thread struct lock_thread {
    MDB_env *waiting_for;
    int writer_wait_ms, only_try;
} lock_thread;

static struct lock_thread *find_lock_thread(void)
{
    return &lock_thread;
}

/* The environments that a thread of this process writes to, and the mutex of this list. */
static MDB_env *writing;
static pthread_mutex_t writing_guard = PTHREAD_MUTEX_INITIALIZER;

/* Where the mark is in the lock file: in the last bytes of a cache line that liblmdb fills in
 * part. */
enum { WRITER_MARK_AT = sizeof(((MDB_txninfo *)0)->mt1) - sizeof(uint32_t) };

static uint32_t *writer_mark(MDB_env *env)
{
    _Static_assert(!offsetof(MDB_txninfo, mt1) && sizeof(MDB_txbody) <= WRITER_MARK_AT,
                   "there is no room for it");
    return (uint32_t *)(void *)((char *)env->me_txns + WRITER_MARK_AT);
}

static int lock_writer_byte(MDB_env *env, int type, int command)
{
    struct flock lock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = WRITER_BYTE, .l_len = 1};
    int rc;

    while ((rc = set_lock(env->me_lfd, &extension_of(env)->lock_kind, command, &lock)) &&
           errno == EINTR)
        ;
    return rc;
}

static MDB_env **find_writing(const sem_t *semaphore)
{
    MDB_env **link = &writing;

    while (*link && (*link)->me_wmutex != semaphore)
        link = &extension_of(*link)->next_writing;
    return link;
}

/* Called with writing_guard held, by the thread that has the writer lock, with the byte locked. */
static void note_writer(MDB_env *env)
{
    __atomic_store_n(writer_mark(env), 1, __ATOMIC_SEQ_CST);
    extension_of(env)->writer = pthread_self();
    extension_of(env)->next_writing = writing;
    __atomic_store_n(&writing, env, __ATOMIC_RELAXED);
}

/* Take the place of a writer that has died. The number of the newest transaction in the lock file
 * may lack its last commit, as in mdb_mutex_failed(). */
static int replace_dead_writer(MDB_env *env)
{
    int is_dead = 0;

    if (!__atomic_load_n(writer_mark(env), __ATOMIC_SEQ_CST))
        return 0;
    pthread_mutex_lock(&writing_guard);
    if (!*find_writing(env->me_wmutex) && !lock_writer_byte(env, F_WRLCK, F_SETLK)) {
        is_dead = __atomic_load_n(writer_mark(env), __ATOMIC_SEQ_CST) != 0;
        if (is_dead) {
            note_writer(env);
            env->me_txns->mti_txnid = mdb_env_pick_meta(env)->mm_txnid;
        } else {
            (void)lock_writer_byte(env, F_UNLCK, F_SETLK);
        }
    }
    pthread_mutex_unlock(&writing_guard);
    return is_dead;
}

/* Return 0, or -1 and errno. */
static int wait_for_writer_lock(MDB_env *env, int wait_ms)
{
    const long long begin = clock_ms();
    struct timespec pause = {0, 10000};
    long long look = begin + LOOK_MS, now;
    int is_last;

    while (sem_trywait(env->me_wmutex)) {
        if (errno != EAGAIN && errno != EINTR)
            return -1;
        now = clock_ms();
        is_last = wait_ms >= 0 && now - begin >= wait_ms;
        if (now >= look || is_last) {
            if (replace_dead_writer(env))
                return 0;
            look = now + LOOK_MS;
        }
        if (is_last) {
            errno = ETIMEDOUT;
            return -1;
        }
        (void)nanosleep(&pause, NULL);
        if ((pause.tv_nsec *= 2) > LONGEST_SLEEP_NS)
            pause.tv_nsec = LONGEST_SLEEP_NS;
    }
    pthread_mutex_lock(&writing_guard);
    (void)lock_writer_byte(env, F_WRLCK, F_SETLKW); /* another process may look at it */
    note_writer(env);
    pthread_mutex_unlock(&writing_guard);
    return 0;
}

/* Called by mdb_sem_wait() in place of sem_wait(). */
static int wait_for_semaphore(sem_t *semaphore)
{
    const struct lock_thread *self = find_lock_thread();

    if (self->waiting_for && semaphore == self->waiting_for->me_wmutex)
        return wait_for_writer_lock(self->waiting_for, self->writer_wait_ms);
    if (!self->only_try)
        return (sem_wait)(semaphore);
    while (sem_trywait(semaphore)) {
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            errno = EBUSY;
        return -1;
    }
    return 0;
}

/* Called by mdb.c and by our code in place of sem_post(), in any thread. */
static int release_semaphore(sem_t *semaphore)
{
    MDB_env **link, *env;

    if (__atomic_load_n(&writing, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&writing_guard);
        link = find_writing(semaphore);
        if ((env = *link)) {
            __atomic_store_n(link, extension_of(env)->next_writing, __ATOMIC_RELAXED);
            __atomic_store_n(writer_mark(env), 0, __ATOMIC_SEQ_CST);
            (void)lock_writer_byte(env, F_UNLCK, F_SETLK);
        }
        pthread_mutex_unlock(&writing_guard);
    }
    return (sem_post)(semaphore);
}

static int writer_lock_wait_begin(MDB_env *env, int wait_ms)
{
    lock_thread.waiting_for = env;
    lock_thread.writer_wait_ms = wait_ms;
    return 0;
}

static void writer_lock_wait_end(void)
{
    lock_thread.waiting_for = NULL;
}

/* Whether the calling thread has the writer lock, in a transaction that is open. */
static int holds_writer_lock(const MDB_env *env)
{
    MDB_env *found;
    int mine;

    pthread_mutex_lock(&writing_guard);
    found = *find_writing(env->me_wmutex);
    mine = found && pthread_equal(extension_of(found)->writer, pthread_self());
    pthread_mutex_unlock(&writing_guard);
    return mine;
}

/* Whether all locks of ended transactions were released. */
static int writer_lock_settled(const MDB_env *env)
{
    (void)env;
    return 1;
}

/* A forked child has none of its parent's locks. */
static void forget_writers_in_child(void)
{
    writing = NULL;
    lock_thread.waiting_for = NULL;
    pthread_mutex_init(&writing_guard, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_writers_in_child);
}
