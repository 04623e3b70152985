/* SPDX-License-Identifier: MIT */
/* liblmdb, and our code that needs its insides, as one translation unit: this
 * file and those that it includes (files.c, writer_lock.c, whole_writes.c, pages.c, search.c,
 * find_many.c, assertions.c, handles.c, exchange.c, append.c, extra.c, opening.c, creation.c,
 * growth.c, lock_file.c, readers.c, identity.c, compaction.c, inherited.c, truncation.c, large.c,
 * addresses.c).
 *
 * Everything that reads or writes a liblmdb struct is in this file, each piece
 * under a comment that states the invariant it relies on.  A build against a
 * system liblmdb (PYLMDB_SYSTEM) compiles only without_shim.c.
 *
 * The macros below take over calls in mdb.c, some by the text of an argument; pin.json says how
 * often each of them occurs, and place.py refuses sources in which that has changed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#ifndef PYLMDB_SYSTEM

/* Smaller is faster here, by measurement; the core is compiled with -O3. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize ("O2")
#endif

#include <pthread.h>

#if defined(__linux__)
#define PYLMDB_ROBUST_LOCKS 1
int pylmdb_mutex_lock(pthread_mutex_t *mutex);
int pylmdb_mutex_unlock(pthread_mutex_t *mutex);
#include "writer_lock.c"
/* mdb.c takes and gives back its locks by these names only.  Those in the lock file it has by
 * pointers (me_rmutex, me_wmutex); mutexes of the process are fields, named with an '&', and are
 * not robust. */
#define pthread_mutex_lock(mutex) \
    (#mutex[0] == '&' ? (pthread_mutex_lock)(mutex) : pylmdb_mutex_lock(mutex))
#define pthread_mutex_unlock(mutex) pylmdb_mutex_unlock(mutex)
#endif

/* How files are opened and locked.  A data file may be a symbolic link where the user
 * named it, or where nothing is written to it. */
#include "files.c"
#define MAY_FOLLOW \
    (which != MDB_O_LOCKS && (env->me_flags & (MDB_NOSUBDIR | MDB_RDONLY)))
static int open_file(const char *path, int flags, mode_t mode, int is_lock_file, int follow);
#define open(path, flags, mode) open_file(path, flags, mode, which == MDB_O_LOCKS, MAY_FOLLOW)
static void note_failure(int step);
/* The environment is in scope wherever mdb.c calls fcntl(), but for a call on macOS; only where
 * there are two kinds of locks it is asked for. */
#if defined(F_OFD_SETLK)
#define LOCKED_ENV ((MDB_env *)(size_t)env)
#else
#define LOCKED_ENV NULL
#endif
static int lock_of_file(MDB_env *env, int fd, int command, struct flock *lock);
#define fcntl(fd, command, ...)                                                    \
    (!__builtin_strcmp(#__VA_ARGS__, "&lock_info")                                 \
         ? lock_of_file(LOCKED_ENV, fd, command, (struct flock *)(size_t)(__VA_ARGS__ + 0)) \
         : (fcntl)(fd, command, ##__VA_ARGS__))

/* One call in place of lseek() and writev(), which mdb_page_flush() makes one after
 * the other with the position in wpos.  (It has a switch for that, which does not
 * compile.) */
#include "whole_writes.c"
#define pwrite(fd, data, size, at)                                                   \
    (__builtin_strcmp(#at, "0") ? write_whole(fd, data, size, at)                    \
                                : write_new_file(fd, data, size, at))

/* A file that is being created; see creation.c. */
static ssize_t write_new_file(int fd, const void *data, size_t size, off_t at);
static ssize_t read_header(MDB_env *env, void *data, size_t size, off_t at);
#define pread(fd, data, size, at) read_header(env, data, size, at)
#if defined(__linux__)
#define lseek(fd, offset, whence) \
    (__builtin_strcmp(#offset, "wpos") ? (lseek)(fd, offset, whence) : 0)
#define writev(fd, iov, n) write_whole_list(fd, iov, n, wpos)
#endif

/* mdb_env_open() has the two megabytes of its list of dirty pages cleared.  The list's
 * length stands in its first element, and nothing is read behind that many. */
static void *uncleared_list(size_t count, size_t size)
{
    void *list = malloc(count * size);

    return list ? memset(list, 0, size) : NULL;
}

/* An environment has our struct extra behind it. */
enum { EXTRA_SIZE = 320 };
#define calloc(count, size)                                                            \
    (!__builtin_strcmp(#size, "sizeof(MDB_ID2)") ? uncleared_list(count, size)         \
     : !__builtin_strcmp(#size, "sizeof(MDB_env)") ? (calloc)(count, (size) + EXTRA_SIZE) \
                                                   : (calloc)(count, size))

/* Called from mdb.c; see readers.c. */
#define PYLMDB_READERS /* edits/readers.edit */
struct MDB_reader;
static pid_t own_number(MDB_env *env);
static void free_own_slot(struct MDB_reader *slot);
static void note_process(MDB_env *env, struct MDB_reader *slot);
static unsigned int slot_of_the_dead(MDB_env *env, unsigned int count);
static int clear_dead_readers(MDB_txn *txn, size_t pages);

/* The mappings of the data file and the lock file, and their ends; see growth.c and
 * lock_file.c. */
#define PYLMDB_GROWTH /* edits/growth.edit */
#include <sys/mman.h>
static void *map_data(MDB_env *env, void *addr, int prot, int flags);
static void *map_locks(MDB_env *env, size_t size);
static int unmap_locks(MDB_env *env);
static int unmap_data(MDB_env *env);
static size_t mapped_size(MDB_env *env);
static int extend_whole_file(int fd, size_t size);
static int make_room(MDB_txn *txn, size_t pages);
static void take_in_growth(MDB_env *env, size_t pages);
#define IS_MAP_SIZE(size) (!__builtin_strcmp(#size, "env->me_mapsize"))
#define mmap(addr, size, prot, flags, fd, offset)                              \
    (IS_MAP_SIZE(size)                           ? map_data(env, addr, prot, flags) \
     : !__builtin_strcmp(#fd, "env->me_lfd") ? map_locks(env, size)            \
                                             : (mmap)(addr, size, prot, flags, fd, offset))
#define munmap(addr, size)                                                     \
    (IS_MAP_SIZE(size)                                       ? unmap_data(env) \
     : !__builtin_strcmp(#addr, "(void *)env->me_txns") ? unmap_locks(env)     \
                                                        : (munmap)(addr, size))
#define madvise(addr, size, advice) \
    (madvise)(addr, IS_MAP_SIZE(size) ? mapped_size(env) : (size), advice)
#define ftruncate(fd, size) \
    (IS_MAP_SIZE(size) ? extend_whole_file(fd, size) : (ftruncate)(fd, size))

/* Called from mdb.c; see search.c. */
#define PYLMDB_SEARCH
struct MDB_node;
static struct MDB_node *search_node(MDB_cursor *mc, MDB_val *key, int *exactp);
static int is_on_last_page(const MDB_cursor *mc);

/* Called from mdb.c; see handles.c. */
#define PYLMDB_NAMES
static unsigned int first_of_that_name(MDB_txn *txn, const char *name);
static void forget_names(MDB_env *env);

/* Called from mdb.c; see pages.c. */
#define PYLMDB_PAGES
struct MDB_page;
struct pylmdb_seen;
static inline int page_is_sound(MDB_txn *txn, size_t pgno, struct MDB_page *mp);
static inline int page_suits(const MDB_cursor *mc, struct MDB_page *mp);
static int duplicates_suit(const MDB_cursor *mc, struct MDB_node *node);
static int same_level(struct MDB_page *a, struct MDB_page *b);
static int large_value_fits(const MDB_txn *txn, const struct MDB_page *mp, size_t size);
static int merge_free_list(const MDB_txn *txn, size_t *list, const size_t *more);
#if MDB_VERSION_MAJOR > 0
static int is_name(const MDB_val *key);
#endif
static int snapshot_is_sound(MDB_txn *txn);
static int pages_are_held(const MDB_cursor *mc, size_t pgno, size_t count);
static int page_is_shared(const MDB_cursor *mc, const struct MDB_page *mp);
static void forget_pages(MDB_env *env, size_t pgno, size_t count);
static void note_written(MDB_txn *txn, int keep);
static void note_commit(MDB_txn *txn);
static void forget_seen(MDB_env *env);
static int file_size(MDB_env *env, size_t *size);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wparentheses"
#include "mdb.c"
#include "midl.c"
#pragma GCC diagnostic pop

#include "extra.c"

/* LMDB 1.0 keeps the size of checksums at the end of page 0.  Who writes a page and no
 * checksum to it damages it for those who look at them. */
static int has_checksums(const MDB_env *env)
{
    unsigned short size = 0;

#if MDB_VERSION_MAJOR > 0
    if (env->me_map && !env->me_sumfunc)
        memcpy(&size, (const char *)env->me_map + env->me_psize - sizeof(size), sizeof(size));
#else
    (void)env;
#endif
    return size != 0;
}

/* Whether something that was read may be zeros that the file did not have. */
static inline int is_cut(MDB_env *env)
{
    return __builtin_expect(__atomic_load_n(&pylmdb_any_cut, __ATOMIC_ACQUIRE), 0) &&
           pylmdb_env_is_cut(env);
}

#include "pages.c"
#include "search.c"
#include "find_many.c"
#include "assertions.c"
#include "handles.c"
#include "exchange.c"
#include "append.c"

#undef open
#undef pwrite
#undef pread
#undef lseek
#undef writev
#undef calloc
#undef mmap
#undef munmap
#undef madvise
#undef ftruncate
#undef fcntl
static pthread_mutex_t guarded_guard = PTHREAD_MUTEX_INITIALIZER;
static void guard_map(MDB_env *env, char *map);
static void extend_guard(MDB_env *env);
static void unguard_place(int place);
#include "opening.c"
#include "creation.c"
#include "addresses.c"
#include "growth.c"
#include "lock_file.c"
#include "readers.c"
#include "identity.c"
#include "compaction.c"
#include "inherited.c"
#ifdef PYLMDB_ROBUST_LOCKS
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#endif
#include "truncation.c"
#include "large.c"

int pylmdb_has_shim(void)
{
    return 1;
}

/* A transaction that has begun, on pages that the file does not have any more, or on the
 * word of a lock file that tells of another data file. */
static int what_is_wrong(const MDB_txn *txn)
{
    if (is_cut(txn->mt_env))
        return MDB_CORRUPTED;
    if (!txn->mt_parent && numbers_differ(txn))
        return PYLMDB_OTHER_FILE;
    return MDB_SUCCESS;
}

static int end_if_wrong(int rc, MDB_txn **txn)
{
    if (rc || !(rc = what_is_wrong(*txn)))
        return rc;
    mdb_txn_abort(*txn);
    return rc;
}

int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags,
                     int wait_ms, MDB_txn **txn)
{
    int rc = 0;

    /* mdb_txn_begin() takes one mutex that can be held for long: the writer
     * lock, in a top-level write transaction.  It returns the code of a failed
     * lock unchanged and has touched nothing by then. */
#ifdef PYLMDB_ROBUST_LOCKS
    if (flags & MDB_RDONLY) {
        only_try = !wait_ms;
        rc = mdb_txn_begin(env, parent, flags, txn);
        only_try = 0;
        return end_if_wrong(rc, txn);
    }
    if (has_checksums(env))
        return PYLMDB_CHECKSUMS;
    if (!parent && is_cramped(env))
        return MDB_MAP_RESIZED;
    if (!parent)
        rc = writer_lock_wait_begin(wait_ms);
    if (!rc)
        rc = mdb_txn_begin(env, parent, flags, txn);
    if (!parent)
        writer_lock_wait_end();
#else
    (void)wait_ms;
    if (!(flags & MDB_RDONLY) && has_checksums(env))
        return PYLMDB_CHECKSUMS;
    rc = mdb_txn_begin(env, parent, flags, txn);
#endif
    rc = end_if_wrong(rc, txn);
    /* With the lock: what is replaced while it was waited for counts, too. */
    if (!(flags & MDB_RDONLY) && !parent &&
        (rc ? names_lead_elsewhere(env) : files_are_replaced(env))) {
        if (!rc)
            mdb_txn_abort(*txn);
        return ESTALE;
    }
    return rc;
}

int pylmdb_txn_renew(MDB_txn *txn, int wait_ms)
{
    int rc;

#ifdef PYLMDB_ROBUST_LOCKS
    only_try = !wait_ms;
    rc = mdb_txn_renew(txn);
    only_try = 0;
#else
    (void)wait_ms;
    rc = mdb_txn_renew(txn);
#endif
    return rc ? rc : what_is_wrong(txn);
}

/* A reset transaction owns its reader slot until it is aborted; one without a
 * slot is given a new one by mdb_txn_renew().  A slot is free when it has no
 * process number, which is written without the lock by mdb_txn_end() too. */
int pylmdb_txn_park(MDB_txn *txn)
{
    mdb_txn_reset(txn);
    if (txn->mt_u.reader) {
        txn->mt_u.reader->mr_pid = 0;
        txn->mt_u.reader = NULL;
    }
    return 1;
}

/* mdb_env_copyfd2() begins its read transaction and then locks the writer
 * mutex, before it writes the first byte. */
int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags,
                      int wait_ms)
{
    int rc = 0;

#ifdef PYLMDB_ROBUST_LOCKS
    rc = writer_lock_wait_begin(wait_ms);
    if (!rc)
        rc = mdb_env_copyfd2(env, fd, flags);
    writer_lock_wait_end();
#else
    (void)wait_ms;
    rc = mdb_env_copyfd2(env, fd, flags);
#endif
    return rc;
}

/* The mutex lies in the lock file's map.  A thread that has not given it back
 * yet would unlock it there, and its list of robust mutexes leads through it,
 * so then the map is left in place: a few pages, once.  What mdb_env_close()
 * does with me_txns besides unmapping it is to free our reader slots. */
void pylmdb_env_close(MDB_env *env)
{
#ifdef PYLMDB_ROBUST_LOCKS
    if (env->me_txns && !writer_lock_settled(env->me_wmutex)) {
        int i;

        for (i = env->me_close_readers; --i >= 0;)
            if (env->me_txns->mti_readers[i].mr_pid == env->me_pid)
                env->me_txns->mti_readers[i].mr_pid = 0;
        release_locks(env);
        env->me_txns = NULL;
    }
#endif
    free_forgotten(env);
    free_names(env);
    close_folder(env);
    mdb_env_close(env);
}

/* What mdb_txn_commit() asks. */
int pylmdb_txn_is_changed(MDB_txn *txn)
{
    return !(txn->mt_flags & MDB_TXN_RDONLY) &&
           (txn->mt_u.dirty_list[0].mid || (txn->mt_flags & (MDB_TXN_DIRTY | MDB_TXN_SPILLS)));
}

/* A record of the main database describes a named database exactly when its
 * node has F_SUBDATA without F_DUPDATA. */
int pylmdb_cursor_is_db(MDB_cursor *mc)
{
    MDB_page *mp;
    MDB_node *leaf;

    if (!mc || !(mc->mc_flags & C_INITIALIZED) || !mc->mc_snum)
        return 0;
    mp = mc->mc_pg[mc->mc_top];
    if (!IS_LEAF(mp) || IS_LEAF2(mp) || mc->mc_ki[mc->mc_top] >= NUMKEYS(mp))
        return 0;
    leaf = NODEPTR(mp, mc->mc_ki[mc->mc_top]);
    return (leaf->mn_flags & (F_DUPDATA | F_SUBDATA)) == F_SUBDATA;
}

/* The neighbour on the same leaf page, in a database without duplicates, from a
 * position that is one: mdb_cursor_next() and mdb_cursor_prev() would do the same
 * after looking for everything else that may be the case. */
static int cursor_step(MDB_cursor *mc, MDB_val *key, MDB_val *data, int op)
{
    MDB_val unwanted;

    if ((op == MDB_NEXT || op == MDB_PREV) && !mc->mc_xcursor &&
        (mc->mc_flags & (C_INITIALIZED | C_EOF | C_DEL)) == C_INITIALIZED &&
        !(mc->mc_txn->mt_flags & MDB_TXN_BLOCKED)) {
        MDB_page *mp = mc->mc_pg[mc->mc_top];
        const unsigned int i = mc->mc_ki[mc->mc_top] + (op == MDB_NEXT ? 1u : -1u);

        if (i < NUMKEYS(mp) && IS_LEAF(mp) && !IS_LEAF2(mp)) {
            MDB_node *leaf = NODEPTR(mp, i);
            int rc;

            if (!(leaf->mn_flags & F_DUPDATA)) {
                if (data && (rc = mdb_node_read(mc, leaf, data)))
                    return rc;
                mc->mc_ki[mc->mc_top] = (indx_t)i;
                MDB_GET_KEY(leaf, key);
                return MDB_SUCCESS;
            }
        }
    }
    return pylmdb_safe_cursor_get(mc, key, data ? data : &unwanted, op);
}

/* A seek that finds nothing leaves a cursor between two records, and in a
 * database with duplicates with a sub-cursor that was never initialised, which
 * the next relative movement would follow. */
void pylmdb_cursor_unset(MDB_cursor *mc)
{
    mc->mc_flags &= ~(C_INITIALIZED | C_EOF);
    mc->mc_pg[0] = NULL;
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_cursor.mc_flags &= ~(C_INITIALIZED | C_EOF);
}

/* A child of fork() shares no descriptor table with its parent, so closing
 * ours takes nothing from the parent; the data's map stays, views may lie in it.
 * Where locks belong to the process, closing a lock file drops those of the *calling
 * process* on it, which is why this must happen before the child opens the file anew. */
void pylmdb_env_abandon(MDB_env *env)
{
    if (env->me_fd != INVALID_HANDLE_VALUE)
        (void)close(env->me_fd);
    if (env->me_mfd != INVALID_HANDLE_VALUE && env->me_mfd != env->me_fd)
        (void)close(env->me_mfd);
    if (env->me_lfd != INVALID_HANDLE_VALUE)
        (void)close(env->me_lfd);
    env->me_fd = env->me_mfd = env->me_lfd = INVALID_HANDLE_VALUE;
    close_folder(env);
}

void *pylmdb_env_map(MDB_env *env, size_t *size)
{
    *size = env->me_mapsize;
    return env->me_map;
}

/* -- reads ---------------------------------------------------------------------------- */

/* A read of an environment, before and after which it is looked at. */
#define READING(env, read)                                  \
    int rc_;                                                \
    if (is_cut(env))                                        \
        return MDB_CORRUPTED;                               \
    rc_ = (read);                                           \
    return is_cut(env) ? MDB_CORRUPTED : rc_

int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    READING(txn->mt_env, quick_get(txn, dbi, key, data));
}

int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *near)
{
    READING(cursor->mc_txn->mt_env, quick_seek(cursor, key, data, op, near));
}

int pylmdb_find_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count)
{
    READING(cursor->mc_txn->mt_env, find_many(cursor, lookups, count));
}

const void *pylmdb_fetch_later(MDB_cursor *cursor, const void *later)
{
    return fetch_far(cursor->mc_txn, later);
}

int pylmdb_read_later(MDB_cursor *cursor, void *later, MDB_val *data)
{
    READING(cursor->mc_txn->mt_env, mdb_node_read(cursor, later, data));
}

int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    READING(cursor->mc_txn->mt_env, cursor_step(cursor, key, data, op));
}

#else /* PYLMDB_SYSTEM: liblmdb's insides are out of reach */

#include "without_shim.c"

#endif
