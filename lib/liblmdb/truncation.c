/* SPDX-License-Identifier: MIT */
/* Reads of a data file that was truncated while it is mapped. Included by shim.c, after
 * mdb.c.
 *
 * Reading a page of the map that the file no longer has is a SIGBUS. The handler here maps a
 * page of zeros in its place, notes that the environment's file is truncated, and lets the
 * read continue. All code that reads through this module looks at that note before and after
 * a read, and reports damage instead of what it read. So a read costs a look at one variable,
 * and the handler need not jump out of code that is running.
 *
 * The handler acts only for addresses in our maps, and only while this module reads: its own
 * code, or a function of the C library that it has called, according to the return address on
 * the stack. Other code that copies values calls pylmdb_touch() first, which reads a byte of
 * each page here. A view that other code reads is not protected. */

/* Whether the file of any map of this process was found truncated. */
int pylmdb_any_truncated;
int *pylmdb_host_truncated;

#if PYLMDB_GUARDS_READS
#include <signal.h>
#include <ucontext.h>

enum { MAX_GUARDED = 16384 };

/* The maps that are guarded; a free slot has the size 0. The handler reads them without a lock:
 * guard_map() stores the size after the address, and the handler loads it before. */
static struct guarded {
    char *_Atomic map;
    _Atomic size_t size;
    _Atomic int truncated;
} guarded[MAX_GUARDED];
/* the first slot that may be free */
static int next_guarded;
/* The actions for the signal before this module's handler was installed, for the first time
 * and for the last time. The latter may be another engine's handler, which calls this one in
 * turn. */
static struct sigaction action_first, action_before;
static int is_installed;
static __thread int is_passing_on;

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* The code of the core and of other engines, which reads our maps too. */
enum { MAX_OTHER_CODE = 4 };
static struct {
    uintptr_t code;
    size_t size;
} other_code[MAX_OTHER_CODE];

static int is_our_code(uintptr_t address)
{
    int i;

    if (address >= (uintptr_t)__ehdr_start && address < (uintptr_t)etext)
        return 1;
    for (i = 0; i < MAX_OTHER_CODE; i++)
        if (address - other_code[i].code < __atomic_load_n(&other_code[i].size, __ATOMIC_ACQUIRE))
            return 1;
    return 0;
}

const void *pylmdb_own_code(size_t *size)
{
    *size = (size_t)(etext - __ehdr_start);
    return __ehdr_start;
}

void pylmdb_guard_code(const void *code, size_t size)
{
    int i;

    for (i = 0; i < MAX_OTHER_CODE; i++) {
        if (other_code[i].code && other_code[i].code != (uintptr_t)code)
            continue;
        other_code[i].code = (uintptr_t)code;
        __atomic_store_n(&other_code[i].size, size, __ATOMIC_RELEASE);
        return;
    }
}

static int we_are_reading(const ucontext_t *context)
{
#if defined(__x86_64__)
    const uintptr_t at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    const uintptr_t *stack = (const uintptr_t *)context->uc_mcontext.gregs[REG_RSP];

    return is_our_code(at) || is_our_code(*stack);
#else
    return is_our_code(context->uc_mcontext.pc) || is_our_code(context->uc_mcontext.regs[30]);
#endif
}

/* Map zeros in the place of a missing page of a guarded map; return 0 if the address is not
 * in one. */
static int fill_page(char *address, const ucontext_t *context)
{
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *page = (char *)((uintptr_t)address & ~(uintptr_t)(size - 1));
    int i;

    for (i = 0; i < MAX_GUARDED; i++) {
        const size_t mapped = guarded[i].size;
        const char *map = guarded[i].map;

        if (!mapped || address < map || address >= map + mapped)
            continue;
        if (!we_are_reading(context))
            return 0;
        /* The note comes first: other threads may read the zeros at once. It pairs with
         * any_file_is_truncated() and pylmdb_env_is_truncated(), which are asked after reads. */
        guarded[i].truncated = 1;
        __atomic_store_n(&pylmdb_any_truncated, 1, __ATOMIC_RELEASE);
        if (pylmdb_host_truncated)
            __atomic_store_n(pylmdb_host_truncated, 1, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return mmap(page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                    0) != MAP_FAILED;
    }
    return 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const int saved = errno;
    const struct sigaction *next;

    if (info->si_code == BUS_ADRERR && fill_page(info->si_addr, context)) {
        errno = saved;
        return;
    }
    next = is_passing_on ? &action_first : &action_before;
    is_passing_on++;
    if (next->sa_flags & SA_SIGINFO)
        next->sa_sigaction(number, info, context);
    else if (next->sa_handler != SIG_DFL && next->sa_handler != SIG_IGN)
        next->sa_handler(number);
    else
        (void)sigaction(number, next, NULL); /* the read is repeated, and the signal too */
    is_passing_on--;
    errno = saved;
}

static void install_guard(void)
{
    struct sigaction action, now;

    if (!sigaction(SIGBUS, NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_bus_error)
        return;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &action_before);
    if (!is_installed)
        action_first = action_before;
    is_installed = 1;
}

static void guard_map(MDB_env *env, char *map)
{
    struct env_extension *ext = extension_of(env);
    int i;

    if (!ext->guard)
        return;
    pthread_mutex_lock(&guarded_guard);
    install_guard();
    for (i = next_guarded; i < MAX_GUARDED && guarded[i].size; i++)
        ;
    next_guarded = i;
    if (i < MAX_GUARDED) {
        ext->guard_slot = i + 1;
        guarded[i].map = map;
        guarded[i].truncated = 0;
        guarded[i].size = ext->mapped;
    }
    pthread_mutex_unlock(&guarded_guard);
}

static struct guarded *guard_of(MDB_env *env)
{
    const int slot = extension_of(env)->guard_slot;

    return slot ? &guarded[slot - 1] : NULL;
}

static void extend_guard(MDB_env *env)
{
    if (guard_of(env))
        guard_of(env)->size = extension_of(env)->mapped;
}

static void unguard_map(int slot)
{
    if (!slot)
        return;
    pthread_mutex_lock(&guarded_guard);
    guarded[slot - 1].size = 0;
    if (next_guarded > slot - 1)
        next_guarded = slot - 1;
    pthread_mutex_unlock(&guarded_guard);
}

int pylmdb_env_is_truncated(MDB_env *env)
{
    const struct guarded *guard = guard_of(env);

    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* as in any_file_is_truncated() */
    return guard && guard->truncated;
}

/* Whether the file has the pages of the snapshot; this may read some of them. */
static int file_has_snapshot(MDB_txn *txn, size_t size)
{
    MDB_env *env = txn->mt_env;

    if ((txn->mt_flags & MDB_TXN_RDONLY) && !txn->mt_parent)
        return file_is_whole(txn, size);
    /* A writer has found or made the file whole; the pages that are new since then may not be
     * written yet. */
    return mdb_env_pick_meta(env)->mm_last_pg < size / env->me_psize;
}

int pylmdb_unless_truncated(MDB_cursor *cursor, int code)
{
    MDB_txn *txn = cursor->mc_txn;
    size_t size;

    if (!guard_of(txn->mt_env) || file_size(txn->mt_env, &size))
        return code;
    return pylmdb_env_is_truncated(txn->mt_env) || !file_has_snapshot(txn, size) ? MDB_CORRUPTED
                                                                                 : code;
}
#else
static void guard_map(MDB_env *env, char *map)
{
    (void)env;
    (void)map;
}

static void extend_guard(MDB_env *env)
{
    (void)env;
}

static void unguard_map(int slot)
{
    (void)slot;
}

int pylmdb_env_is_truncated(MDB_env *env)
{
    (void)env;
    return 0;
}

int pylmdb_unless_truncated(MDB_cursor *cursor, int code)
{
    (void)cursor;
    return code;
}

const void *pylmdb_own_code(size_t *size)
{
    *size = 0;
    return NULL;
}

void pylmdb_guard_code(const void *code, size_t size)
{
    (void)code;
    (void)size;
}
#endif

void pylmdb_env_guard_reads(MDB_env *env, int guard)
{
    extension_of(env)->guard = guard;
}

void pylmdb_touch(const void *data, size_t size)
{
    touch_pages(data, size);
}
