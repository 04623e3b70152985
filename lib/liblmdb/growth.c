/* SPDX-License-Identifier: MIT */
/* The map grows in place. Included by shim.c, after mdb.c.
 *
 * liblmdb maps as much of the file as the data may ever take. It uses one number for two
 * purposes: the length of the mapping, and the limit of the data. Here these are two numbers.
 * The mapping (the extension's field mapped) is longer than the limit (me_mapsize, and
 * me_maxpg in pages). Growing raises the limit. If the limit would pass the end of the
 * mapping, the mapping is extended first; addresses.c places maps so that the addresses after
 * them are free. Nothing moves, so readers, cursors, views and the write transaction in
 * progress do not notice.
 *
 * Why that is safe:
 *
 * - me_maxpg is read in two places. mdb_page_alloc() asks whether a page at the end of the
 *   file may be used. It runs in a write transaction, so under the writer lock, and
 *   edits/growth.edit makes it call raise_limit_for() just before. All pages come from there:
 *   those of a put, of the free list that a commit writes, of nested transactions. (A child
 *   that aborts leaves the limit raised, which does no harm.) mdb_txn_renew0() asks whether
 *   the snapshot fits. There the same edit calls adopt_growth(), which raises the limit to
 *   the snapshot's size.
 * - me_mapsize is read when the meta page is written, which stores it for other programs to
 *   open with, and under writemap by msync(), as the length to flush. So it never exceeds
 *   what is mapped, nor, under writemap, what has been allocated.
 * - While transactions are alive both numbers only rise, by compare-and-swap, because a
 *   thread that begins a read raises them without a lock. Only pylmdb_env_limit() may lower
 *   them, never below what the last snapshot uses.
 * - Dirty pages that are spilled are written to their place in the file and read back through
 *   the map. The map reaches that far, because the limit was raised before, and the file does
 *   since the write.
 * - Other processes see growth as a snapshot whose last page is past their limit. In our
 *   processes adopt_growth() then raises the limit; other programs answer MDB_MAP_RESIZED.
 *   The map size that is stored in the meta page only rises.
 *
 * Under writemap pages are written by storing into the map, and a store into a page for which
 * the disk has no room is a SIGBUS. So there the limit is also what is allocated: the file is
 * extended by allocation, not by a change of its length, before the limit rises. If that
 * fails, the put fails with the system's error number. So the limit that the user set is
 * reached in steps. The file is never made shorter, so a process with a smaller map takes
 * nothing from one with a larger map.
 *
 * LMDB 1.0 has the same two fields, read in the same places. */

/* -- the mapping ---------------------------------------------------------------------- */

/* How much to map at first, if nothing else is planned: enough for most files. */
static const size_t FIRST_MAPPED = (size_t)64 << 20;

static size_t whole_pages(const MDB_env *env, size_t size)
{
    const size_t rest = size & (env->me_os_psize - 1);

    return rest ? size + (env->me_os_psize - rest) : size;
}

static void *map_data(MDB_env *env, void *addr, int prot, int flags)
{
    struct env_extension *ext = extension_of(env);
    const size_t least = env->me_mapsize, allowed = may_map_ahead();
    size_t size = ext->planned_size ? ext->planned_size : FIRST_MAPPED;
    void *map;

    if (size < least)
        size = least;
    else if (size > allowed)
        size = allowed > least ? allowed : least;
    for (;; size = size / 2 > least ? size / 2 : least) {
        ext->mapped = whole_pages(env, size);
        map = addr ? mmap(addr, ext->mapped, prot, flags, env->me_fd, 0)
                   : map_at_free_slot(ext->mapped, prot, flags, env->me_fd, &ext->address_slot);
        if (map != MAP_FAILED || size == least)
            break;
    }
    if (map == MAP_FAILED) {
        note_failure(PYLMDB_MAP_DATA_FILE);
        ext->mapped = 0;
        return map;
    }
    guard_map(env, map);
    count_mapped(ext->mapped, 0);
    if (ext->max_limit < least)
        ext->max_limit = least; /* at least the size at open */
    return map;
}

static size_t mapped_size(MDB_env *env)
{
    const struct env_extension *ext = extension_of(env);

    return ext->mapped ? ext->mapped : env->me_mapsize;
}

static int unmap(char *map, const struct env_extension *old)
{
    unguard_map(old->guard_slot);
    release_address(old->address_slot);
    count_mapped(0, old->mapped);
    return munmap(map, old->mapped);
}

static int unmap_data(MDB_env *env)
{
    struct env_extension *ext = extension_of(env);
    const struct env_extension old = *ext;

    ext->mapped = ext->address_slot = ext->guard_slot = 0;
    return unmap(env->me_map, &old);
}

static int extend_mapping(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    const int writable = env->me_flags & MDB_WRITEMAP ? PROT_WRITE : 0;
    const size_t missing = size - ext->mapped;
    char *end = env->me_map + ext->mapped;
    /* Without MAP_FIXED the address is a hint, and no other mapping is replaced. */
    char *more =
        mmap(end, missing, PROT_READ | writable, MAP_SHARED, env->me_fd, (off_t)ext->mapped);

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
    ext->mapped = size;
    extend_guard(env);
    return 1;
}

/* Extend the mapping to at least size, if the addresses after it are free: to twice its
 * length while there are enough addresses, else to what is needed. A reader and the writer
 * may do that at the same time. */
static int ensure_mapped(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    size_t ahead;
    int done;

    if (size > (size_t)PTRDIFF_MAX)
        return 0;
    pthread_mutex_lock(&growth_guard);
    ahead = ext->mapped < may_map_ahead() ? 2 * ext->mapped : 0;
    if (ahead > ext->max_limit)
        ahead = ext->max_limit;
    ahead = whole_pages(env, ahead);
    size = whole_pages(env, size);
    done = size <= ext->mapped || (ahead > size && extend_mapping(env, ahead)) ||
           extend_mapping(env, size);
    pthread_mutex_unlock(&growth_guard);
    return done;
}

/* Map the file elsewhere, with a limit of size. Nothing may use the old map, which is
 * unmapped when the new one exists. */
static int move_map(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    const struct env_extension old = *ext;
    char *map = env->me_map;
    const size_t limit = env->me_mapsize;
    int rc;

    if (env->me_txn)
        return EINVAL;
    env->me_mapsize = size;
    if ((rc = mdb_env_map(env, NULL)) != 0) {
        env->me_map = map;
        env->me_mapsize = limit;
        *ext = old;
        return rc;
    }
    env->me_maxpg = size / env->me_psize;
    (void)unmap(map, &old);
    return MDB_SUCCESS;
}

/* -- the limit ---------------------------------------------------------------------- */

static void raise_to(_Atomic size_t *field, size_t value)
{
    size_t now = *field;

    while (now < value && !atomic_compare_exchange_weak(field, &now, value))
        ;
}

/* me_mapsize is raised first: a thread that sees the new me_maxpg may write the meta page. */
static void raise_limit(MDB_env *env, size_t size)
{
    raise_to(&env->me_mapsize, size);
    raise_to(&env->me_maxpg, size / env->me_psize);
}

/* How far the limit may rise in this mapping. */
static size_t max_limit_in_place(const struct env_extension *ext)
{
    return ext->max_limit < ext->mapped ? ext->max_limit : ext->mapped;
}

/* Allocate blocks for a part of a file, and make the file at least as long as its end. EOPNOTSUPP
 * or ENOSYS: the system or the file system cannot. */
static int allocate_blocks(int fd, off_t from, off_t to)
{
#if defined(F_PREALLOCATE)
    fstore_t room = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE};
    struct stat found;

    (void)from;
    if (fstat(fd, &found))
        return errno;
    if (found.st_size >= to)
        return 0;
    room.fst_length = to - found.st_size; /* counted from the end of what is allocated */
    while (fcntl(fd, F_PREALLOCATE, &room))
        if (errno != EINTR)
            return errno == EINVAL || errno == ENOTSUP ? EOPNOTSUPP : errno;
    return (ftruncate)(fd, to) ? errno : 0;
#elif PYLMDB_HAS_FALLOCATE
    while (fallocate(fd, 0, from, to - from))
        if (errno != EINTR)
            return errno;
    return 0;
#else
    (void)fd, (void)from, (void)to;
    return ENOSYS;
#endif
}

/* Make the file at least this long, with blocks for all of it where the system can allocate
 * them. Never makes it shorter. */
static int extend_file(int fd, size_t from, size_t to)
{
    const int rc = allocate_blocks(fd, (off_t)from, (off_t)to);
    struct stat found;

    if (rc != EOPNOTSUPP && rc != ENOSYS)
        return rc;
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

/* Return the new size of a map that needs at least `needed` bytes and may have `most`. It
 * grows by now / part (1 doubles it), at most by 1 GiB. */
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

/* Raise the limit so that size bytes fit, or return an error. */
static int grow(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    const size_t now = env->me_mapsize;
    /* Raising the limit costs nothing, but blocks take space on the disk. */
    const unsigned int part = env->me_flags & MDB_WRITEMAP ? 8 : 1;
    size_t wanted;
    int rc = 0;

    if (size > ext->max_limit)
        return MDB_MAP_FULL;
    if (size > ext->mapped && !ensure_mapped(env, size)) {
        ext->move_asked_at = 0; /* the next transaction may be able to move the map */
        return ENOMEM;
    }
    wanted = pylmdb_grown_size(now, size, max_limit_in_place(ext), part);
    if (env->me_flags & MDB_WRITEMAP) {
        rc = extend_file(env->me_fd, now, wanted);
        if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG) {
            wanted = size; /* there may be room for that much */
            rc = extend_file(env->me_fd, now, wanted);
        }
    }
    if (!rc) {
        raise_limit(env, wanted);
        note_growth(env, wanted);
    }
    return rc;
}

/* Called by mdb_page_alloc() before it adds pages at the end of the file. pages is the number
 * of pages that the file will have. liblmdb leaves the last page of the map unused. */
static int raise_limit_for(MDB_txn *txn, size_t pages)
{
    MDB_env *env = txn->mt_env;

    if (__builtin_expect(pages < env->me_maxpg, 1))
        return MDB_SUCCESS;
    return grow(env, (pages + 1) * env->me_psize);
}

/* Called by mdb_txn_renew0(): another process may have made the snapshot larger than the
 * limit. If the limit cannot be raised that far, liblmdb finds that afterwards. */
static void adopt_growth(MDB_env *env, size_t pages)
{
    struct env_extension *ext = extension_of(env);
    size_t size = pages * env->me_psize, said;

    if (__builtin_expect(pages <= env->me_maxpg, 1))
        return;
    if (size > ext->mapped && !ensure_mapped(env, size))
        return;
    raise_limit(env, size);
    if (ext->fixed) { /* the other process was given a larger limit */
        said = mdb_env_pick_meta(env)->mm_mapsize;
        raise_to(&ext->max_limit, said > size ? said : size);
        if (!(env->me_flags & MDB_WRITEMAP))
            raise_limit(env, said < ext->mapped ? said : size);
    }
}

/* -- functions of shim.h --------------------------------------------------------------------- */

void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed)
{
    struct env_extension *ext = extension_of(env);

    mdb_env_set_mapsize(env, start);
    ext->max_limit = most;
    ext->planned_size = reserve;
    ext->fixed = fixed;
}

/* Under writemap a fixed size is reached in steps, and the meta page has the last of them. */
static size_t recorded_size(const MDB_env *env, const MDB_meta *meta)
{
    const struct env_extension *ext = extension_of(env);

    return ext->fixed && (env->me_flags & MDB_WRITEMAP) && ext->max_limit > meta->mm_mapsize
               ? ext->max_limit
               : meta->mm_mapsize;
}

int pylmdb_env_limit(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    size_t used = (meta->mm_last_pg + 1) * env->me_psize;
    int rc;

    if (!size)
        size = recorded_size(env, meta);
    if (size < used)
        size = used;
    if (size > ext->mapped && !ensure_mapped(env, size))
        return MDB_MAP_RESIZED;
    if (ext->fixed)
        ext->max_limit = size;
    else
        raise_to(&ext->max_limit, size);
    if (env->me_flags & MDB_WRITEMAP) {
        if (ext->fixed || size <= env->me_mapsize)
            return MDB_SUCCESS; /* blocks are allocated as they are needed */
        if ((rc = extend_file(env->me_fd, env->me_mapsize, size)))
            return rc;
        raise_limit(env, size);
        return MDB_SUCCESS;
    }
    env->me_mapsize = size;
    env->me_maxpg = size / env->me_psize;
    return MDB_SUCCESS;
}

int pylmdb_env_replace_map(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    const size_t used = (meta->mm_last_pg + 1) * env->me_psize;
    int rc;

    if ((rc = move_map(env, size < used ? used : size)) != 0)
        return rc;
    if (ext->fixed)
        ext->max_limit = env->me_mapsize;
    else
        raise_to(&ext->max_limit, env->me_mapsize);
    return MDB_SUCCESS;
}

/* Whether the map should be moved: the data may become larger than the mapping, is near its
 * end, and another mapping follows it. After pylmdb_env_make_room() this asks again only when
 * the limit has risen, or when a transaction has failed for lack of room. */
static int should_move(MDB_env *env)
{
    struct env_extension *ext = extension_of(env);

    if (__builtin_expect(env->me_mapsize <= ext->mapped / 2, 1) || ext->max_limit <= ext->mapped ||
        ext->move_asked_at == env->me_mapsize)
        return 0;
    return !ensure_mapped(env, ext->mapped + ext->mapped / 2);
}

int pylmdb_env_make_room(MDB_env *env, int alone)
{
    struct env_extension *ext = extension_of(env);
    const MDB_meta *meta = mdb_env_pick_meta(env);
    const size_t used = (meta->mm_last_pg + 1) * env->me_psize, wanted = ext->planned_size;
    size_t size = used;
    int rc;

    ext->move_asked_at = env->me_mapsize;
    if (!alone || is_truncated(env))
        return MDB_MAP_RESIZED; /* a new map would lack the zeros in place of missing pages */
    if (!(env->me_flags & MDB_WRITEMAP) && size < meta->mm_mapsize && ext->fixed)
        size = meta->mm_mapsize;
    if (size < env->me_mapsize)
        size = env->me_mapsize;
    if (!ext->fixed)
        ext->planned_size = 2 * (size > ext->mapped ? size : ext->mapped);
    rc = move_map(env, size);
    ext->planned_size = wanted;
    return rc;
}

void pylmdb_env_widen(MDB_env *env, size_t most, int fixed)
{
    struct env_extension *ext = extension_of(env);

    raise_to(&ext->max_limit, most);
    ext->fixed = ext->fixed && fixed;
    if (ext->fixed && ext->max_limit <= ext->mapped && !(env->me_flags & MDB_WRITEMAP))
        raise_limit(env, ext->max_limit);
}

/* Half of the addresses, at most PAUSE_MS old. Asking the system takes a third of the time of
 * info(). */
static size_t half_of_addresses_lately(void)
{
    static long long looked;
    static size_t half;
    size_t found = __atomic_load_n(&half, __ATOMIC_RELAXED);

    if (found && !is_due(&looked))
        return found;
    found = half_of_addresses();
    __atomic_store_n(&half, found, __ATOMIC_RELAXED);
    note_look(&looked);
    return found;
}

void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved)
{
    const struct env_extension *ext = extension_of(env);
    const size_t half = half_of_addresses_lately();

    *limit = ext->fixed && ext->max_limit ? ext->max_limit : env->me_mapsize;
    *most = ext->max_limit < half || ext->max_limit == *limit ? ext->max_limit : half;
    *reserved = ext->mapped;
}
