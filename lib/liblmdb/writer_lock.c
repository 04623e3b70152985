/* SPDX-License-Identifier: MIT */
/* The writer lock: waits with a timeout, and release from any thread.
 *
 * liblmdb keeps its two locks in the lock file, as robust mutexes that processes share. Only
 * the thread that locked such a mutex can unlock it. But Python drops a write transaction in
 * any thread in which its garbage collector runs. So:
 *
 * - A lock that is taken between writer_lock_wait_begin() and writer_lock_wait_end() is
 *   waited for with a timeout, and is noted in a table together with the thread that has it.
 *   Any other lock is waited for without a timeout, or, with only_try set, only tried.
 * - Unlocking a noted mutex on another thread marks the note as orphaned and sends a
 *   real-time signal to the owner. The signal's handler unlocks the mutex in that thread. The
 *   signal is chosen at the first write transaction; if there is one that nothing else in the
 *   process uses, it is that. Its handler restarts system calls. If the owner has ended
 *   meanwhile, the kernel has released the mutex already, because the mutex is robust.
 * - The handler acts only between lock operations. While a thread is in one, `inside` is set;
 *   then the handler only sets a flag, and the thread does the work at the end of the
 *   operation.
 *
 * The table has a mutex, which is held for a moment and only while `inside` is set.
 * So the handler never waits for its own thread.
 *
 * Included by shim.c, once per engine, where PYLMDB_ROBUST_LOCKS is 1; otherwise semaphores.c is. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct held_lock {
    pthread_mutex_t *mutex;
    pid_t thread;
    int orphaned;
    struct held_lock *next;
};

static pthread_mutex_t held_guard = PTHREAD_MUTEX_INITIALIZER;
static struct held_lock *held_locks;
static struct held_lock *unused_notes; /* kept for reuse: a signal handler must not call free() */
static int release_signal;
static int unsendable_signals; /* how many of the highest ones cannot be sent */

/* The variables of a thread. */
static __thread struct lock_thread {
    pid_t number;
    volatile sig_atomic_t inside, release_wanted;
    int waiting_for_writer, writer_wait_ms, only_try, unblocked_signal;
    struct held_lock *reserved_note;
} lock_thread;

static pthread_mutex_t *writer_mutex(const MDB_env *env);

/* In a shared library, finding a thread's variables is a call, which the compiler repeats for each
 * use of them unless the address comes from where it cannot look. */
static inline struct lock_thread *find_lock_thread(void)
{
    struct lock_thread *self = &lock_thread;

    __asm__("" : "+r"(self));
    return self;
}

static pid_t thread_id(struct lock_thread *self)
{
    if (!self->number)
        self->number = (pid_t)syscall(SYS_gettid);
    return self->number;
}

/* Called with held_guard held, as all that uses the two lists. */
static void drop_note(struct held_lock **link)
{
    struct held_lock *held = *link;

    __atomic_store_n(link, held->next, __ATOMIC_RELAXED);
    held->next = unused_notes;
    unused_notes = held;
}

/* Called with `inside` set. Unlock the mutexes of which the calling thread has orphaned notes, and
 * only then remove these from the table: when there is no note, the thread that closes the
 * environment unmaps the mutex. */
static void release_orphans(struct lock_thread *self)
{
    struct held_lock **link;

    do {
        self->release_wanted = 0;
        pthread_mutex_lock(&held_guard);
        for (link = &held_locks; *link;) {
            if ((*link)->orphaned && (*link)->thread == thread_id(self)) {
                pthread_mutex_unlock((*link)->mutex);
                drop_note(link);
            } else {
                link = &(*link)->next;
            }
        }
        pthread_mutex_unlock(&held_guard);
    } while (self->release_wanted);
}

static void enter(struct lock_thread *self)
{
    self->inside = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void leave(struct lock_thread *self)
{
    for (;;) {
        if (self->release_wanted)
            release_orphans(self);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        self->inside = 0;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (!self->release_wanted)
            return;
        enter(self);
    }
}

/* The handlers of the signals before ours was installed. */
static struct sigaction previous_actions[_NSIG];

static void on_release_signal(int number, siginfo_t *info, void *context)
{
    struct lock_thread *const self = find_lock_thread();
    const struct sigaction *previous = &previous_actions[number];
    const int saved = errno;

    self->release_wanted = 1;
    if (!self->inside) {
        enter(self);
        leave(self);
    }
    if (!info || info->si_code != SI_TKILL || info->si_pid != getpid()) {
        if (previous->sa_flags & SA_SIGINFO)
            previous->sa_sigaction(number, info, context);
        else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN)
            previous->sa_handler(number);
    }
    errno = saved;
}

static int install(int number)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_release_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, &previous_actions[number]))
        return 0;
    return number;
}

/* Make sure that a real-time signal calls our handler, and return its number. The signal that
 * was chosen before is kept if its handler is still ours. Otherwise it is the highest one
 * without a handler. If all have handlers it is the highest one, and our handler calls the
 * previous handler. Called with held_guard held. */
static int have_release_signal(void)
{
    const int highest = SIGRTMAX - unsendable_signals;
    struct sigaction now;
    int number;

    if (release_signal && !sigaction(release_signal, NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_release_signal)
        return release_signal;
    for (number = highest; number >= SIGRTMIN; number--)
        if (!sigaction(number, NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
            now.sa_handler == SIG_DFL)
            break;
    return release_signal = install(number < SIGRTMIN ? highest : number);
}

/* A thread that blocks the signal would not react to it. Called by each thread before it
 * takes the writer lock, which it may do many times. */
static void unblock_release_signal(struct lock_thread *self, int number)
{
    sigset_t set;

    if (self->unblocked_signal == number)
        return;
    self->unblocked_signal = number;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Ask the owner of an orphaned mutex to unlock it. If the signal cannot be sent, the owner
 * unlocks the mutex at its next lock operation, or the kernel releases it when the owner
 * ends. Called with held_guard held; drops the note of a thread that has ended.
 *
 * An emulator such as qemu-user uses some signals itself: the program can set a handler for the
 * highest ones, but they cannot be sent. Then a lower one is chosen. */
static void ask_owner(struct held_lock **link)
{
    int number, code;

    do {
        number = have_release_signal();
        code = syscall(SYS_tgkill, getpid(), (*link)->thread, number) ? errno : 0;
        if (code == EINVAL)
            release_signal = 0;
    } while (code == EINVAL && SIGRTMAX - ++unsendable_signals > SIGRTMIN);
    if (code == ESRCH)
        drop_note(link);
}

/* -- waiting --------------------------------------------------------------------------
 *
 * If a thread dies inside pthread_mutex_lock() for a robust mutex, the kernel releases the mutex
 * if the number in it is the thread's. Both are numbers of a PID namespace. So threads of two
 * containers may have the same number. Then the death of the one that waits would release the
 * lock of the one that writes, and a third thread would write too.
 *
 * So the code only tries the mutex, which takes a few instructions, and waits for its lock word.
 * The kernel's interface for robust mutexes defines that word, and that an unlock wakes a waiter
 * if FUTEX_WAITERS is set in it. Where the word is in the mutex depends on the C library;
 * find_word() finds it. */
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

static int lock_word = -1; /* its index in the mutex; -1: unknown */

__attribute__((constructor)) static void find_word(void)
{
    const int count = (int)(sizeof(pthread_mutex_t) / sizeof(uint32_t));
    const uint32_t thread = (uint32_t)syscall(SYS_gettid);
    uint32_t held[sizeof(pthread_mutex_t) / sizeof(uint32_t)], *words;
    pthread_mutexattr_t kind;
    pthread_mutex_t mutex;
    int i;

    words = (uint32_t *)(void *)&mutex;
    if (pthread_mutexattr_init(&kind))
        return;
    if (!pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) &&
        !pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) &&
        !pthread_mutex_init(&mutex, &kind)) {
        if (!pthread_mutex_lock(&mutex)) {
            memcpy(held, words, sizeof(held));
            pthread_mutex_unlock(&mutex);
            for (i = count; i--;)
                if (held[i] == thread && !words[i])
                    lock_word = i;
        }
        pthread_mutex_destroy(&mutex);
    }
    pthread_mutexattr_destroy(&kind);
}

static void wait_for_word(uint32_t *word, uint32_t value, const struct timespec *left)
{
#ifdef SYS_futex_time64
    if (sizeof(left->tv_sec) > sizeof(long)) {
        (void)syscall(SYS_futex_time64, word, FUTEX_WAIT, value, left, NULL, 0);
        return;
    }
#endif
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, left, NULL, 0);
}

static void deadline(clockid_t clock, int wait_ms, struct timespec *until)
{
    clock_gettime(clock, until);
    until->tv_sec += wait_ms / 1000;
    until->tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until->tv_nsec >= 1000000000L) {
        until->tv_nsec -= 1000000000L;
        until->tv_sec++;
    }
}

/* Store in left how much time there is until the deadline; return 0 if it has passed. */
static int time_left(const struct timespec *until, struct timespec *left)
{
    clock_gettime(CLOCK_MONOTONIC, left);
    left->tv_sec = until->tv_sec - left->tv_sec;
    left->tv_nsec = until->tv_nsec - left->tv_nsec;
    if (left->tv_nsec < 0) {
        left->tv_nsec += 1000000000L;
        left->tv_sec--;
    }
    return left->tv_sec >= 0 && (left->tv_sec || left->tv_nsec);
}

/* Wait at most wait_ms milliseconds for the mutex; without a limit if negative. An unlock
 * wakes one waiter, and others may still sleep when this thread gets the lock. So
 * FUTEX_WAITERS is set whenever this thread has waited. */
static int lock_within(pthread_mutex_t *mutex, int wait_ms)
{
    uint32_t *word = (uint32_t *)(void *)mutex + lock_word, value;
    struct timespec until, left;
    int waited = 0, rc;

    deadline(CLOCK_MONOTONIC, wait_ms, &until);
    while ((rc = pthread_mutex_trylock(mutex)) == EBUSY) {
        value = __atomic_load_n(word, __ATOMIC_RELAXED);
        if (!(value & FUTEX_TID_MASK) ||
            (!(value & FUTEX_WAITERS) &&
             !__atomic_compare_exchange_n(word, &value, value | FUTEX_WAITERS, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED)))
            continue; /* the word has changed */
        waited = 1;
        if (wait_ms >= 0 && !time_left(&until, &left))
            return ETIMEDOUT;
        wait_for_word(word, value | FUTEX_WAITERS, wait_ms < 0 ? NULL : &left);
    }
    if (waited && (!rc || rc == EOWNERDEAD))
        __atomic_or_fetch(word, FUTEX_WAITERS, __ATOMIC_RELAXED);
    return rc;
}

/* The same; with 0 milliseconds only try, and return EBUSY. */
static int lock_robust(pthread_mutex_t *mutex, int wait_ms)
{
    struct timespec until;
    int rc = pthread_mutex_trylock(mutex);

    if (rc != EBUSY || !wait_ms)
        return rc;
    if (lock_word >= 0)
        return lock_within(mutex, wait_ms);
    if (wait_ms < 0)
        return pthread_mutex_lock(mutex);
    deadline(CLOCK_REALTIME, wait_ms, &until);
    return pthread_mutex_timedlock(mutex, &until);
}

int pylmdb_mutex_lock(pthread_mutex_t *mutex)
{
    struct lock_thread *const self = find_lock_thread();
    struct held_lock *held;
    int rc;

    enter(self);
    if (!self->waiting_for_writer || !self->reserved_note) {
        rc = lock_robust(mutex, self->only_try ? 0 : -1);
        leave(self);
        return rc;
    }
    /* What this thread has to unlock was noted by it, so it sees that there is a note. */
    if (__atomic_load_n(&held_locks, __ATOMIC_RELAXED))
        release_orphans(self);
    rc = lock_robust(mutex, self->writer_wait_ms);
    if (rc == EBUSY)
        rc = ETIMEDOUT;
    if (!rc || rc == EOWNERDEAD) {
        held = self->reserved_note;
        self->reserved_note = NULL;
        pthread_mutex_lock(&held_guard);
        held->mutex = mutex;
        held->thread = thread_id(self);
        held->orphaned = 0;
        held->next = held_locks;
        __atomic_store_n(&held_locks, held, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&held_guard);
    }
    leave(self);
    return rc;
}

/* Find the note of a mutex. There can be a second, orphaned one whose thread has not unlocked
 * the mutex yet; it is not meant. */
static struct held_lock **find_held(pthread_mutex_t *mutex)
{
    struct held_lock **link;

    for (link = &held_locks; *link; link = &(*link)->next)
        if ((*link)->mutex == mutex && !(*link)->orphaned)
            break;
    return link;
}

int pylmdb_mutex_unlock(pthread_mutex_t *mutex)
{
    struct lock_thread *const self = find_lock_thread();
    struct held_lock **link, *held;
    int mine = 1, rc = 0;

    enter(self);
    /* The thread that noted this mutex did so before this call could begin. */
    if (__atomic_load_n(&held_locks, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&held_guard);
        link = find_held(mutex);
        held = *link;
        if (held && held->thread != thread_id(self)) {
            mine = 0;
            held->orphaned = 1;
            ask_owner(link);
        } else if (held) {
            drop_note(link);
            if (self->waiting_for_writer && !self->reserved_note) {
                /* This was the lock of the reader table, taken and released on the way. */
                self->reserved_note = unused_notes;
                unused_notes = unused_notes->next;
            }
        }
        pthread_mutex_unlock(&held_guard);
    }
    if (mine)
        rc = pthread_mutex_unlock(mutex);
    leave(self);
    return rc;
}

/* Whether the calling thread has the writer lock, in a transaction that is open. */
static int holds_writer_lock(const MDB_env *env)
{
    struct lock_thread *const self = find_lock_thread();
    pthread_mutex_t *mutex = writer_mutex(env);
    struct held_lock *held;
    int mine;

    enter(self);
    pthread_mutex_lock(&held_guard);
    held = *find_held(mutex);
    mine = held && held->thread == thread_id(self);
    pthread_mutex_unlock(&held_guard);
    leave(self);
    return mine;
}

/* Return 1 if no thread of this process has to unlock this mutex any more. Asks the thread,
 * and waits for it for a second. */
static int writer_lock_settled(const MDB_env *env)
{
    struct lock_thread *const self = find_lock_thread();
    pthread_mutex_t *mutex = writer_mutex(env);
    const struct timespec pause = {0, 1000000};
    struct held_lock **link;
    int tries, found = 1;

    for (tries = 0; found && tries < 1000; tries++) {
        enter(self);
        found = 0;
        pthread_mutex_lock(&held_guard);
        for (link = &held_locks; *link; link = &(*link)->next) {
            if ((*link)->mutex == mutex) {
                found = 1;
                if (tries % 100 == 0)
                    ask_owner(link);
                break;
            }
        }
        pthread_mutex_unlock(&held_guard);
        self->release_wanted = 1;
        leave(self);
        if (found)
            nanosleep(&pause, NULL);
    }
    return !found;
}

/* The note is allocated before the lock is taken, so a lock can always be noted. */
static int writer_lock_wait_begin(MDB_env *env, int wait_ms)
{
    struct lock_thread *const self = find_lock_thread();
    struct held_lock *note;
    int number;

    (void)env;
    enter(self);
    pthread_mutex_lock(&held_guard);
    if ((note = unused_notes))
        unused_notes = note->next;
    if (!(number = release_signal))
        number = have_release_signal();
    pthread_mutex_unlock(&held_guard);
    unblock_release_signal(self, number);
    leave(self);
    if (!note && !(note = malloc(sizeof(*note))))
        return ENOMEM;
    self->reserved_note = note;
    self->writer_wait_ms = wait_ms;
    self->waiting_for_writer = 1;
    return 0;
}

static void writer_lock_wait_end(void)
{
    struct lock_thread *const self = find_lock_thread();
    struct held_lock *note = self->reserved_note;

    self->waiting_for_writer = 0;
    if (!note)
        return;
    self->reserved_note = NULL;
    enter(self);
    pthread_mutex_lock(&held_guard);
    note->next = unused_notes;
    unused_notes = note;
    pthread_mutex_unlock(&held_guard);
    leave(self);
}

/* The child of a fork has one thread and none of its parent's locks. It may have inherited
 * held_guard while another thread of the parent had it. */
static void forget_locks_in_child(void)
{
    held_locks = NULL;
    lock_thread.number = 0;
    lock_thread.inside = 0;
    lock_thread.release_wanted = 0;
    lock_thread.waiting_for_writer = 0;
    lock_thread.reserved_note = NULL;
    pthread_mutex_init(&held_guard, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_locks_in_child);
}
