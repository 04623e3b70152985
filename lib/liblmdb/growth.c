/* SPDX-License-Identifier: MIT */
/* The map grows in place.  Included by shim.c, after mdb.c.
 *
 * liblmdb maps as much of the file as the data may ever take, and puts one number to
 * two uses: the length of the mapping and the limit of the data.  Here these are two: the
 * mapping (reserved) is longer than the limit (me_mapsize, and me_maxpg in pages), and to
 * grow is to raise the limit and, where the mapping ends, to map more behind it, for which
 * addresses.c sees to it that nothing lies there.  Nothing moves, so neither readers,
 * cursors and views nor the write transaction in progress notice.
 *
 * Why that is safe:
 *
 * - me_maxpg is read in two places.  mdb_page_alloc() asks whether a page behind all
 *   others may be used; it runs in a write transaction, that is under the writer
 *   lock, and edits/growth.edit has it call make_room() just before.  All pages come
 *   from there: those of a put, of the free list that a commit writes, of nested
 *   transactions (an aborted child leaves the limit raised, which is no harm).
 *   mdb_txn_renew0() asks whether the snapshot fits; there the same edit calls
 *   take_in_growth(), which raises the limit to the snapshot.
 * - me_mapsize is read when the meta page is written, which stores it for other
 *   programs to open with, and by msync() under writemap, as the length to flush.
 *   So it never exceeds what is mapped, nor, under writemap, what has been allocated.
 * - Both only rise while transactions are alive (pylmdb_env_limit() may lower them,
 *   never below what the last snapshot uses), by compare-and-swap, because a thread
 *   that begins a read raises them without a lock.
 * - Dirty pages that are spilled to make room in memory are written to the file at
 *   their place and read back through the map: it reaches that far already, and the
 *   file does since the write.
 * - Other processes see growth as a snapshot whose last page lies behind their limit;
 *   take_in_growth() in theirs (MDB_MAP_RESIZED in other programs') is the answer.
 *   What they store as the map's size only ever rises.
 *
 * Under writemap pages are written by storing into the map, and a store into a page
 * that the disk has no room for is a SIGBUS.  So there the limit is also what is
 * allocated: the file is extended by allocation, not by truncation to a length, before
 * the limit rises; when that fails, the put fails with the system's error number.  The
 * limit that the user set is then reached in steps.  The file is never truncated, so
 * a process with a smaller map takes nothing from one with a larger.
 *
 * LMDB 1.0 has the same two fields and the same two places. */

/* -- the mapping ---------------------------------------------------------------------- */

/* What is mapped of a file whose map may grow: enough for most, at once. */
static const size_t AHEAD = (size_t)64 << 20;

static size_t whole_pages(const MDB_env *env, size_t size)
{
    const size_t rest = size & (env->me_os_psize - 1);

    return rest ? size + (env->me_os_psize - rest) : size;
}

static void *map_data(MDB_env *env, void *addr, int prot, int flags)
{
    struct extra *extra = extra_of(env);
    const size_t least = env->me_mapsize, spare = addresses_to_spare();
    size_t size = extra->wanted ? extra->wanted : AHEAD;
    void *map;

    if (size < least)
        size = least;
    else if (size > spare)
        size = spare > least ? spare : least;
    for (;; size = size / 2 > least ? size / 2 : least) {
        extra->reserved = whole_pages(env, size);
        map = addr ? mmap(addr, extra->reserved, prot, flags, env->me_fd, 0)
                   : map_at_place(extra->reserved, prot, flags, env->me_fd, &extra->address);
        if (map != MAP_FAILED || size == least)
            break;
    }
    if (map == MAP_FAILED) {
        note_failure(PYLMDB_MAP_DATA_FILE);
        extra->reserved = 0;
        return map;
    }
    guard_map(env, map);
    count_mapped(extra->reserved, 0);
    if (extra->most < least)
        extra->most = least; /* what is there stays */
    return map;
}

static size_t mapped_size(MDB_env *env)
{
    const struct extra *extra = extra_of(env);

    return extra->reserved ? extra->reserved : env->me_mapsize;
}

static int let_go(char *map, const struct extra *old)
{
    unguard_place(old->place);
    leave_place(old->address);
    count_mapped(0, old->reserved);
    return munmap(map, old->reserved);
}

static int unmap_data(MDB_env *env)
{
    struct extra *extra = extra_of(env);
    const struct extra old = *extra;

    extra->reserved = extra->address = extra->place = 0;
    return let_go(env->me_map, &old);
}

static int map_behind(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    const int writable = env->me_flags & MDB_WRITEMAP ? PROT_WRITE : 0;
    const size_t missing = size - extra->reserved;
    char *end = env->me_map + extra->reserved;
    /* Without MAP_FIXED the address is a wish, and nothing that lies there is harmed. */
    char *more = mmap(end, missing, PROT_READ | writable, MAP_SHARED, env->me_fd,
                      (off_t)extra->reserved);

    if (more == MAP_FAILED)
        return 0;
    if (more != end) {
        (void)munmap(more, missing);
        return 0;
    }
#ifdef MADV_RANDOM
    if (env->me_flags & MDB_NORDAHEAD)
        (void)madvise(more, missing, MADV_RANDOM);
#endif
    count_mapped(missing, 0);
    __atomic_store_n(&extra->reserved, size, __ATOMIC_RELEASE);
    extend_guard(env);
    return 1;
}

/* Extends the mapping if nothing lies behind it: twice as much while there is enough, or
 * just what is needed.  A reader may do that beside the writer. */
static int reserve_more(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    size_t ahead;
    int done;

    if (size > (size_t)PTRDIFF_MAX)
        return 0;
    pthread_mutex_lock(&extension_guard);
    ahead = extra->reserved < addresses_to_spare() ? 2 * extra->reserved : 0;
    if (ahead > extra->most)
        ahead = extra->most;
    ahead = whole_pages(env, ahead);
    size = whole_pages(env, size);
    done = size <= extra->reserved || (ahead > size && map_behind(env, ahead)) ||
           map_behind(env, size);
    pthread_mutex_unlock(&extension_guard);
    return done;
}

/* Another mapping, elsewhere, in which the data may have so many bytes.  Nothing must lie
 * in the old one, which is given up when the new one is there. */
static int move_map(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    const struct extra old = *extra;
    char *map = env->me_map;
    const size_t limit = env->me_mapsize;
    int rc;

    if (env->me_txn)
        return EINVAL;
    env->me_mapsize = size;
    if ((rc = mdb_env_map(env, NULL)) != 0) {
        env->me_map = map;
        env->me_mapsize = limit;
        *extra = old;
        return rc;
    }
    env->me_maxpg = size / env->me_psize;
    (void)let_go(map, &old);
    return MDB_SUCCESS;
}

/* -- the limit ---------------------------------------------------------------------- */

static void raise_to(size_t *field, size_t value)
{
    size_t now = __atomic_load_n(field, __ATOMIC_RELAXED);

    while (now < value && !__atomic_compare_exchange_n(field, &now, value, 0, __ATOMIC_RELEASE,
                                                       __ATOMIC_RELAXED))
        ;
}

/* me_mapsize first: whoever sees the new me_maxpg may write the meta page. */
static void raise_limit(MDB_env *env, size_t size)
{
    raise_to(&env->me_mapsize, size);
    raise_to(&env->me_maxpg, size / env->me_psize);
}

/* How far the limit may rise without another map. */
static size_t farthest(const struct extra *extra)
{
    return extra->most < extra->reserved ? extra->most : extra->reserved;
}

/* Makes the file so long, with blocks behind all of it where the system can do that.
 * Never shortens it. */
static int extend_file(int fd, size_t from, size_t to)
{
    struct stat found;

#ifdef __linux__
    int rc;

    while ((rc = fallocate(fd, 0, (off_t)from, (off_t)(to - from))) && errno == EINTR)
        ;
    if (!rc)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
#endif
    (void)from;
    if (fstat(fd, &found))
        return errno;
    return (size_t)found.st_size < to && (ftruncate)(fd, (off_t)to) ? errno : 0;
}

static int extend_whole_file(int fd, size_t size)
{
    const int rc = extend_file(fd, 0, size);

    errno = rc;
    return rc ? -1 : 0;
}

/* How large a map becomes that has to have at least `needed` bytes and may have
 * `most`: larger by such a part of what it is (1 doubles it), and by 1 GiB at most. */
size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part)
{
    const size_t grain = (size_t)1 << 16, gib = (size_t)1 << 30;
    size_t size = now + (now / part < gib ? now / part : gib);

    if (size < needed)
        size = needed;
    if (size < most)
        size = (size + grain - 1) / grain * grain;
    return size < most ? size : most;
}

/* Raises the limit so that size bytes fit, or says why not. */
static int grow(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    const size_t now = env->me_mapsize;
    /* A limit costs nothing, but blocks do. */
    const unsigned int part = env->me_flags & MDB_WRITEMAP ? 8 : 1;
    size_t wanted;
    int rc = 0;

    if (size > extra->most)
        return MDB_MAP_FULL;
    if (size > extra->reserved && !reserve_more(env, size)) {
        extra->told = 0; /* the next transaction may find nobody in the map */
        return ENOMEM;
    }
    wanted = pylmdb_grown_size(now, size, farthest(extra), part);
    if (env->me_flags & MDB_WRITEMAP) {
        rc = extend_file(env->me_fd, now, wanted);
        if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG) {
            wanted = size; /* there may be room for that much */
            rc = extend_file(env->me_fd, now, wanted);
        }
    }
    if (!rc)
        raise_limit(env, wanted);
    return rc;
}

/* Called by mdb_page_alloc() before it takes a page behind all others: pages is the
 * number that it will have then.  liblmdb leaves the last page of the map unused. */
static int make_room(MDB_txn *txn, size_t pages)
{
    MDB_env *env = txn->mt_env;

    if (__builtin_expect(pages < env->me_maxpg, 1))
        return MDB_SUCCESS;
    return grow(env, (pages + 1) * env->me_psize);
}

/* Called by mdb_txn_renew0(): another process may have made the snapshot larger than
 * the limit.  What is not raised here is found missing by liblmdb. */
static void take_in_growth(MDB_env *env, size_t pages)
{
    struct extra *extra = extra_of(env);
    size_t size = pages * env->me_psize, said;

    if (__builtin_expect(pages <= env->me_maxpg, 1))
        return;
    if (size > extra->reserved && !reserve_more(env, size))
        return;
    raise_limit(env, size);
    if (extra->fixed) { /* the other one was told a larger limit */
        said = mdb_env_pick_meta(env)->mm_mapsize;
        raise_to(&extra->most, said > size ? said : size);
        if (!(env->me_flags & MDB_WRITEMAP))
            raise_limit(env, said < extra->reserved ? said : size);
    }
}

/* -- for Python --------------------------------------------------------------------- */

void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed)
{
    struct extra *extra = extra_of(env);

    mdb_env_set_mapsize(env, start);
    extra->most = most;
    extra->wanted = reserve;
    extra->fixed = fixed;
}

int pylmdb_env_limit(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    size_t used = (meta->mm_last_pg + 1) * env->me_psize;
    int rc;

    if (!size)
        size = meta->mm_mapsize;
    if (size < used)
        size = used;
    if (size > extra->reserved && !reserve_more(env, size))
        return MDB_MAP_RESIZED;
    if (extra->fixed)
        extra->most = size;
    else
        raise_to(&extra->most, size);
    if (env->me_flags & MDB_WRITEMAP) {
        if (extra->fixed || size <= env->me_mapsize)
            return MDB_SUCCESS; /* allocated as it is used */
        if ((rc = extend_file(env->me_fd, env->me_mapsize, size)))
            return rc;
        raise_limit(env, size);
        return MDB_SUCCESS;
    }
    __atomic_store_n(&env->me_mapsize, size, __ATOMIC_RELEASE);
    __atomic_store_n(&env->me_maxpg, size / env->me_psize, __ATOMIC_RELEASE);
    return MDB_SUCCESS;
}

int pylmdb_env_replace_map(MDB_env *env, size_t size)
{
    struct extra *extra = extra_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    const size_t used = (meta->mm_last_pg + 1) * env->me_psize;
    int rc;

    if ((rc = move_map(env, size < used ? used : size)) != 0)
        return rc;
    if (extra->fixed)
        extra->most = env->me_mapsize;
    else
        raise_to(&extra->most, env->me_mapsize);
    return MDB_SUCCESS;
}

/* Whether the map should be moved: the data may become larger than what is mapped, is
 * near that, and something lies behind it.  After pylmdb_env_make_room() the limit has to
 * rise before that is said again, or a transaction to fail. */
static int is_cramped(MDB_env *env)
{
    struct extra *extra = extra_of(env);

    if (__builtin_expect(env->me_mapsize <= extra->reserved / 2, 1) ||
        extra->most <= extra->reserved || extra->told == env->me_mapsize)
        return 0;
    return !reserve_more(env, extra->reserved + extra->reserved / 2);
}

int pylmdb_env_make_room(MDB_env *env, int alone)
{
    struct extra *extra = extra_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    const size_t used = (meta->mm_last_pg + 1) * env->me_psize, wanted = extra->wanted;
    size_t size = used;
    int rc;

    extra->told = env->me_mapsize;
    if (!alone || is_cut(env))
        return MDB_MAP_RESIZED; /* the latter's zeros in place of missing pages would be gone */
    if (!(env->me_flags & MDB_WRITEMAP) && size < meta->mm_mapsize && extra->fixed)
        size = meta->mm_mapsize;
    if (size < env->me_mapsize)
        size = env->me_mapsize;
    if (!extra->fixed)
        extra->wanted = 2 * (size > extra->reserved ? size : extra->reserved);
    rc = move_map(env, size);
    extra->wanted = wanted;
    return rc;
}

void pylmdb_env_widen(MDB_env *env, size_t most, int fixed)
{
    struct extra *extra = extra_of(env);

    raise_to(&extra->most, most);
    extra->fixed = extra->fixed && fixed;
    if (extra->fixed && extra->most <= extra->reserved && !(env->me_flags & MDB_WRITEMAP))
        raise_limit(env, extra->most);
}

/* Half of the addresses, for those who are told: asking the system takes a third of the time
 * of info(). */
static size_t half_lately(void)
{
    static long long looked;
    static size_t half;
    size_t found = __atomic_load_n(&half, __ATOMIC_RELAXED);

    if (found && !is_due(&looked))
        return found;
    found = half_of_all();
    __atomic_store_n(&half, found, __ATOMIC_RELAXED);
    note_look(&looked);
    return found;
}

void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved)
{
    const struct extra *extra = extra_of(env);
    const size_t half = half_lately();

    *limit = extra->fixed && extra->most ? extra->most : env->me_mapsize;
    *most = extra->most < half || extra->most == *limit ? extra->most : half;
    *reserved = extra->reserved;
}
