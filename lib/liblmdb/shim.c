/* SPDX-License-Identifier: MIT */
/* liblmdb, and our code that needs its internals, as one translation unit: this file includes
 * mdb.c, midl.c and our other files; README.md lists them.
 *
 * All code that reads or writes a struct of liblmdb is here. The comment above each piece
 * says which invariant of liblmdb it relies on. A build against the system's liblmdb
 * (PYLMDB_SYSTEM) compiles only without_shim.c.
 *
 * The macros below replace calls in mdb.c, some of them by the text of an argument. pin.json
 * says how often each of these calls occurs, and place.py refuses sources in which a number
 * has changed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "shim.h"

#ifndef PYLMDB_SYSTEM

/* Smaller code is faster here, as measured; the core is compiled with -O3. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O2")
#endif

/* All headers that declare what the macros below replace come before these macros. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if PYLMDB_ROBUST_LOCKS
int pylmdb_mutex_lock(pthread_mutex_t *mutex);
int pylmdb_mutex_unlock(pthread_mutex_t *mutex);
#include "writer_lock.c"
/* mdb.c locks and unlocks by these names only. It has the mutexes in the lock file as
 * pointers (me_rmutex, me_wmutex). Mutexes of the process are fields, written with an '&';
 * they are not robust. */
#define pthread_mutex_lock(mutex) \
    (#mutex[0] == '&' ? (pthread_mutex_lock)(mutex) : pylmdb_mutex_lock(mutex))
#define pthread_mutex_unlock(mutex) pylmdb_mutex_unlock(mutex)
#else
#include <semaphore.h>
static int wait_for_semaphore(sem_t *semaphore);
static int release_semaphore(sem_t *semaphore);
#define sem_wait(semaphore) wait_for_semaphore(semaphore)
#define sem_post(semaphore) release_semaphore(semaphore)
#endif

/* How files are opened and locked. A data file may be a symbolic link if the user named the
 * file itself, or if nothing is written to it. */
#include "files.c"
#define MAY_FOLLOW (which != MDB_O_LOCKS && (env->me_flags & (MDB_NOSUBDIR | MDB_RDONLY)))
static int open_file(const char *path, int flags, mode_t mode, int is_lock_file, int follow);
#define open(path, flags, mode) open_file(path, flags, mode, which == MDB_O_LOCKS, MAY_FOLLOW)
static void note_failure(int step);
/* mdb.c locks no other descriptor than me_lfd of an environment, so where that is leads to the
 * environment. */
static int lock_of_file(const int *me_lfd, int command, struct flock *lock);
#define fcntl(fd, command, ...) \
    (!__builtin_strcmp(#__VA_ARGS__, "&lock_info") \
         ? lock_of_file(&(fd), command, (struct flock *)(size_t)(__VA_ARGS__ + 0)) \
         : (fcntl)(fd, command, ##__VA_ARGS__))

/* One call in place of lseek() and writev(), which mdb_page_flush() calls one after the other
 * with the position in wpos. (mdb_page_flush() has a switch for that, which does not
 * compile.) */
#include "whole_writes.c"
#define pwrite(fd, data, size, at) \
    (__builtin_strcmp(#at, "0") ? write_whole(fd, data, size, at) \
                                : write_new_file(fd, data, size, at))

/* A file that is being created; see creation.c. */
static ssize_t write_new_file(int fd, const void *data, size_t size, off_t at);
#define PYLMDB_NEW_FILES /* edits/new-files.edit */
static ssize_t read_header(MDB_env *env, void *data, size_t size, off_t at);
static unsigned int new_page_size(const MDB_env *env);
#define pread(fd, data, size, at) read_header(env, data, size, at)
#define lseek(fd, offset, whence) \
    (__builtin_strcmp(#offset, "wpos") ? (lseek)(fd, offset, whence) : 0)
#define writev(fd, iov, n) write_whole_list(fd, iov, n, wpos)

/* mdb_env_open() allocates its list of dirty pages, two megabytes, with calloc(). Only the
 * first element, the list's length, needs to be zero: elements past that length are not
 * read. */
static void *uncleared_list(size_t count, size_t size)
{
    void *list = malloc(count * size);

    return list ? memset(list, 0, size) : NULL;
}

/* Each MDB_env is followed by a struct env_extension; see env_extension.c. */
enum { EXTENSION_SIZE = 400 };
#define calloc(count, size) \
    (!__builtin_strcmp(#size, "sizeof(MDB_ID2)")   ? uncleared_list(count, size) \
     : !__builtin_strcmp(#size, "sizeof(MDB_env)") ? (calloc)(count, (size) + EXTENSION_SIZE) \
                                                   : (calloc)(count, size))

/* Called from mdb.c; see readers.c. */
#define PYLMDB_READERS /* edits/readers.edit */
struct MDB_reader;
struct MDB_meta;
static pid_t own_number(MDB_env *env);
static void free_own_slot(struct MDB_reader *slot);
static void note_process(MDB_env *env, struct MDB_reader *slot);
static unsigned int likely_free_slot(MDB_env *env, unsigned int count);
static unsigned int reclaim_dead_slot(MDB_env *env, unsigned int count);
static struct MDB_meta *copy_meta(MDB_env *env, struct MDB_reader *slot,
                                  const struct MDB_meta *meta, struct MDB_meta *copy);
static int clear_dead_readers(MDB_txn *txn, size_t pages);

/* Called from mdb.c; see own_readers.c. */
static void note_flush(MDB_env *env, size_t txnid);
static struct MDB_meta *begin_own_reader(MDB_txn *txn, struct MDB_meta *meta,
                                         struct MDB_meta *copy);
static size_t oldest_own_reader(const MDB_env *env, size_t oldest);
static void free_own_readers(MDB_env *env);

/* Mapping and unmapping the data file and the lock file; see growth.c and lock_file.c. */
#define PYLMDB_GROWTH /* edits/growth.edit */
static void *map_data(MDB_env *env, void *addr, int prot, int flags);
static void *map_locks(MDB_env *env, size_t size);
static int unmap_locks(MDB_env *env);
static int unmap_data(MDB_env *env);
static size_t mapped_size(MDB_env *env);
static int extend_whole_file(int fd, size_t size);
static int raise_limit_for(MDB_txn *txn, size_t pages);
static void adopt_growth(MDB_env *env, size_t pages);
#define IS_MAP_SIZE(size) (!__builtin_strcmp(#size, "env->me_mapsize"))
#define mmap(addr, size, prot, flags, fd, offset) \
    (IS_MAP_SIZE(size)                       ? map_data(env, addr, prot, flags) \
     : !__builtin_strcmp(#fd, "env->me_lfd") ? map_locks(env, size) \
                                             : (mmap)(addr, size, prot, flags, fd, offset))
#define munmap(addr, size) \
    (IS_MAP_SIZE(size)                                  ? unmap_data(env) \
     : !__builtin_strcmp(#addr, "(void *)env->me_txns") ? unmap_locks(env) \
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
static unsigned int first_possible_slot(MDB_txn *txn, const char *name);
static void free_asked_names(MDB_env *env);

/* Called from mdb.c; see checked_pages.c. */
#define PYLMDB_PAGES
struct MDB_page;
struct pylmdb_checked_pages;
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
static int pages_are_in_use(const MDB_cursor *mc, size_t pgno, size_t count);
static int page_is_shared(const MDB_cursor *mc, const struct MDB_page *mp);
static void forget_pages(MDB_env *env, size_t pgno, size_t count);
static void note_written(MDB_txn *txn, int keep);
static void note_commit(MDB_txn *txn);
static void free_checked_pages(MDB_env *env);
static int file_size(MDB_env *env, size_t *size);

/* Called from mdb.c; see stored_sums.c. */
#if MDB_VERSION_MAJOR > 0
#define PYLMDB_SUMS
static int choose_sums(MDB_env *env, int is_new);
static void seal_meta_pages(const MDB_env *env, void *pages);
static ssize_t write_meta(const MDB_env *env, int fd, const void *data, size_t size, off_t at);
#endif

#include "ordering.h"

/* midl.h comes before the macro, because it declares the function. */
#define PYLMDB_PAGE_LISTS /* edits/page-lists.edit */
#include "midl.h"
#include "page_lists.c"
#define mdb_mid2l_search(pages, pgno) search_dirty(pages, pgno)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wparentheses"
#include "mdb.c"
#undef mdb_mid2l_search
#include "midl.c"
#pragma GCC diagnostic pop

#include "env_extension.c"

#if PYLMDB_ROBUST_LOCKS
static pthread_mutex_t *writer_mutex(const MDB_env *env)
{
    return env->me_wmutex;
}
#else
#include "semaphores.c"
#endif

/* LMDB 1.0 keeps the size of checksums at the end of page 0. A page that is written without
 * its checksum is damaged for programs that check it. */
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
static inline int is_truncated(MDB_env *env)
{
    return any_file_is_truncated() && pylmdb_env_is_truncated(env);
}

#include "damage.c"
#include "stored_sums.c"
#include "checked_pages.c"
#include "search.c"
#include "lookup_many.c"
#include "assertions.c"
#include "handles.c"
#include "exchange.c"

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
#include "read_ahead.c"
#include "ranges.c"
#include "steps.c"
static pthread_mutex_t guarded_guard = PTHREAD_MUTEX_INITIALIZER;
static void guard_map(MDB_env *env, char *map);
static void extend_guard(MDB_env *env);
static void unguard_map(int slot);
#include "other_bindings.c"
#include "opening.c"
#include "creation.c"
#include "addresses.c"
#include "growth.c"
#include "lock_file.c"
#include "own_readers.c"
#include "readers.c"
#include "identity.c"
#include "compaction.c"
#include "snapshot.c"
#include "inherited.c"
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#undef sem_wait
#undef sem_post
#include "truncation.c"
#include "bulk_pages.c"
#include "bulk_leaf.c"
#include "bulk_trees.c"
#include "bulk_values.c"
#include "bulk.c"

int pylmdb_has_shim(void)
{
    return 1;
}

/* Check a transaction that has begun: the file may lack pages, or the lock file may belong to
 * another data file. */
static int check_begun(const MDB_txn *txn)
{
    if (is_truncated(txn->mt_env))
        return MDB_CORRUPTED;
    if (!txn->mt_parent && numbers_differ(txn))
        return PYLMDB_OTHER_FILE;
    return MDB_SUCCESS;
}

static int end_if_refused(int rc, MDB_txn **txn)
{
    if (rc || !(rc = check_begun(*txn)))
        return rc;
    mdb_txn_abort(*txn);
    return rc;
}

int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, int wait_ms, MDB_txn **txn)
{
    int rc = 0;

    /* mdb_txn_begin() waits for one lock that may be held for long: the writer lock, in a
     * top-level write transaction. It returns the error of a failed lock unchanged, and has
     * changed nothing by then. */
    if (flags & MDB_RDONLY) {
        lock_thread.only_try = !wait_ms;
        rc = mdb_txn_begin(env, parent, flags, txn);
        lock_thread.only_try = 0;
        return end_if_refused(rc, txn);
    }
    if (has_checksums(env))
        return PYLMDB_CHECKSUMS;
    if (!parent && should_move(env))
        return MDB_MAP_RESIZED;
    if (!parent)
        rc = writer_lock_wait_begin(env, wait_ms);
    if (!rc)
        rc = mdb_txn_begin(env, parent, flags, txn);
    if (!parent)
        writer_lock_wait_end();
    rc = end_if_refused(rc, txn);
    /* Checked with the writer lock: files may have been replaced while it was waited for. */
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
    struct lock_thread *const self = find_lock_thread();

    self->only_try = !wait_ms;
    rc = mdb_txn_renew(txn);
    self->only_try = 0;
    return rc ? rc : check_begun(txn);
}

/* A transaction that was reset keeps its reader slot until it is aborted. One without a slot
 * gets a new slot from mdb_txn_renew(). A slot without a process number is free;
 * mdb_txn_end() clears the number without the lock of the table, too. */
int pylmdb_txn_release_slot(MDB_txn *txn)
{
    mdb_txn_reset(txn);
    if (txn->mt_u.reader) {
        txn->mt_u.reader->mr_pid = 0;
        note_free_slot(txn->mt_env, txn->mt_u.reader);
        txn->mt_u.reader = NULL;
    }
    return 1;
}

/* mdb_env_copyfd2() begins its read transaction and then locks the writer mutex, before it
 * writes the first byte. */
int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags, int wait_ms)
{
    int rc = writer_lock_wait_begin(env, wait_ms);

    if (!rc)
        rc = mdb_env_copyfd2(env, fd, flags);
    writer_lock_wait_end();
    return rc;
}

/* The writer mutex is in the map of the lock file. A thread that has not unlocked it yet will
 * unlock it there, and its list of robust mutexes leads through the mutex. In that case the
 * map is never unmapped, which costs a few pages. The only other use that mdb_env_close() makes of
 * me_txns is to free our reader slots. */
void pylmdb_env_close(MDB_env *env)
{
    if (env->me_txns && !writer_lock_settled(env)) {
        int i;

        for (i = env->me_close_readers; --i >= 0;)
            if (env->me_txns->mti_readers[i].mr_pid == env->me_pid)
                env->me_txns->mti_readers[i].mr_pid = 0;
        release_locks(env);
        env->me_txns = NULL;
    }
    free_retired_names(env);
    free_names(env);
    mdb_env_close(env);
}

/* mdb_txn_commit() asks the same. */
int pylmdb_txn_is_changed(MDB_txn *txn)
{
    return !(txn->mt_flags & MDB_TXN_RDONLY) &&
           (txn->mt_u.dirty_list[0].mid || (txn->mt_flags & (MDB_TXN_DIRTY | MDB_TXN_SPILLS)));
}

/* A record of the main database describes a named database exactly when its node has
 * F_SUBDATA without F_DUPDATA. */
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

void pylmdb_cursor_skip_records(MDB_cursor *mc)
{
    MDB_page *mp;
    unsigned int i;

    if (!(mc->mc_flags & C_INITIALIZED) || mc->mc_xcursor || !mc->mc_snum)
        return;
    mp = mc->mc_pg[mc->mc_top];
    for (i = mc->mc_ki[mc->mc_top]; i + 1 < keys_on(mp); i++)
        if (NODEPTR(mp, i + 1)->mn_flags & F_SUBDATA)
            break;
    mc->mc_ki[mc->mc_top] = (indx_t)i;
}

/* A seek that finds nothing leaves a cursor between two records. In a database with
 * duplicates its sub-cursor may never have been initialised, and the next relative movement
 * would follow it. */
void pylmdb_cursor_unset(MDB_cursor *mc)
{
    mc->mc_flags &= ~(C_INITIALIZED | C_EOF);
    mc->mc_pg[0] = NULL;
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_cursor.mc_flags &= ~(C_INITIALIZED | C_EOF);
}

/* A forked child has its own descriptor table, so closing descriptors there does not affect
 * the parent. The map of the data stays, because views may refer to it. Where locks belong to
 * the process, closing a lock file drops the locks that the calling process has on it. So
 * this must happen before the child opens the file again. */
void pylmdb_env_abandon(MDB_env *env)
{
    if (env->me_fd != INVALID_HANDLE_VALUE)
        (void)close(env->me_fd);
    if (env->me_mfd != INVALID_HANDLE_VALUE && env->me_mfd != env->me_fd)
        (void)close(env->me_mfd);
    if (env->me_lfd != INVALID_HANDLE_VALUE)
        (void)close(env->me_lfd);
    env->me_fd = env->me_mfd = env->me_lfd = INVALID_HANDLE_VALUE;
}

void *pylmdb_env_map(MDB_env *env, size_t *size)
{
    *size = env->me_mapsize;
    return env->me_map;
}

/* -- reads ---------------------------------------------------------------------------- */

/* The body of a function that reads: returns MDB_CORRUPTED if the file is found truncated
 * before or after the read. */
#define READING(env, read) \
    int rc_; \
    if (is_truncated(env)) \
        return MDB_CORRUPTED; \
    rc_ = (read); \
    return is_truncated(env) ? MDB_CORRUPTED : rc_

int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    READING(txn->mt_env, quick_get(txn, dbi, key, data));
}

int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *same_page)
{
    READING(cursor->mc_txn->mt_env, quick_seek(cursor, key, data, op, same_page));
}

int pylmdb_lookup_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count)
{
    READING(cursor->mc_txn->mt_env, lookup_many(cursor, lookups, count));
}

int pylmdb_read_ahead_keys(MDB_cursor *cursor, const MDB_val *keys,
                           const struct pylmdb_sort_entry *entries, size_t count)
{
    READING(cursor->mc_txn->mt_env, read_ahead_keys(cursor, keys, entries, count));
}

void pylmdb_read_ahead_values(MDB_env *env, const MDB_val *values, size_t count)
{
    size_t from, left;

    for (from = 0; (left = count - from) >= MIN_KEYS; from += left) {
        left = left < PYLMDB_READ_AHEAD_MAX ? left : PYLMDB_READ_AHEAD_MAX;
        read_ahead_values(env, values + from, left);
    }
}

void pylmdb_env_warms(MDB_env *env, int calls)
{
    __atomic_fetch_add(&extension_of(env)->warming, calls, __ATOMIC_RELAXED);
}

void pylmdb_read_ahead_scan(MDB_cursor *cursor)
{
    read_ahead_scan(cursor);
}

size_t pylmdb_warm_pages(MDB_txn *txn, size_t from, size_t count)
{
    return is_truncated(txn->mt_env) ? 0 : warm_pages(txn, from, count);
}

const void *pylmdb_prefetch_overflow(MDB_cursor *cursor, const void *node)
{
    return prefetch_overflow(cursor->mc_txn, node);
}

int pylmdb_read_overflow(MDB_cursor *cursor, void *node, MDB_val *data)
{
    READING(cursor->mc_txn->mt_env, mdb_node_read(cursor, node, data));
}

static __attribute__((noinline)) int step_further(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                                                  int op)
{
    READING(cursor->mc_txn->mt_env, step_elsewhere(cursor, key, data, op));
}

int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    if (!step_on_page(cursor, key, data, op))
        return step_further(cursor, key, data, op);
    return is_truncated(cursor->mc_txn->mt_env) ? MDB_CORRUPTED : MDB_SUCCESS;
}

int pylmdb_cursor_skip(MDB_cursor *cursor, size_t count, int op)
{
    READING(cursor->mc_txn->mt_env, cursor_skip(cursor, count, op));
}

#else /* PYLMDB_SYSTEM: the internals of liblmdb cannot be used */

#include "without_shim.c"

#endif
