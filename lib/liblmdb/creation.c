/* SPDX-License-Identifier: MIT */
/* The creation of files by a process that dies before the end: a file is complete, or is created
 * again. Included by shim.c, after mdb.c.
 *
 * mdb.c writes the two meta pages of a new file without a flush. If the power fails before
 * the first commit has flushed them, the file may have only one of them, or neither in a
 * longer file. No open accepts such a file, and only the user can remove it. So the meta
 * pages are flushed before anything is written after them. A file that is not longer than
 * its meta pages and lacks part of them is created again when it is opened, because it never
 * had a transaction. (All bytes of a new meta page that are not zero are in its first sector,
 * so a meta page is either complete or missing. A file whose length is not a multiple of a
 * sector was truncated by another program, and is refused.) */

enum { SECTOR = 512 };

/* Called by mdb_env_init_meta() in place of pwrite(). */
static ssize_t write_new_file(int fd, const void *data, size_t size, off_t at)
{
    const ssize_t written = write_whole(fd, data, size, at);

    return written < 0 || MDB_FDATASYNC(fd) ? -1 : written;
}

static int is_zero(const char *data, size_t size)
{
    return !size || (!*data && !memcmp(data, data + 1, size - 1));
}

int pylmdb_env_new_file(MDB_env *env, unsigned int page_size, int has_sums)
{
    extension_of(env)->new_page_size = page_size;
    extension_of(env)->new_has_sums = has_sums;
    return MDB_SUCCESS;
}

int pylmdb_env_has_sums(const MDB_env *env)
{
    return has_sums(env);
}

/* The page size of a file that is about to be created. */
static unsigned int new_page_size(const MDB_env *env)
{
    const unsigned int chosen = extension_of(env)->new_page_size;

    if (chosen)
        return chosen;
    return env->me_os_psize < MAX_PAGESIZE ? env->me_os_psize : MAX_PAGESIZE;
}

/* The page size that a meta page says; 0: it is not one of a file without transactions. */
static size_t new_meta_says(const char *page)
{
    const MDB_meta *meta = METADATA(page);

    return F_ISSET(((const MDB_page *)page)->mp_flags, P_META) && meta->mm_magic == MDB_MAGIC &&
                   !meta->mm_txnid
               ? meta->mm_psize
               : 0;
}

/* Whether meta pages of this size are new, and at least one of them is missing. */
static int lacks_meta_page(const char *pages, size_t page_size, size_t size)
{
    int i, lacking = size < NUM_METAS * page_size;

    if (size > NUM_METAS * page_size)
        return 0;
    for (i = 0; i < NUM_METAS; i++) {
        const char *page = pages + i * page_size;

        if (is_zero(page, page_size))
            lacking = 1;
        else if (new_meta_says(page) != page_size)
            return 0;
    }
    return lacking;
}

/* Whether a file is what an interrupted creation leaves, with pages of any size. */
static int is_begun(int fd)
{
    const size_t most = NUM_METAS * MAX_PAGESIZE;
    size_t size, page_size = SECTOR / NUM_METAS;
    struct stat found;
    char *pages;
    int begun = 0;

    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR || fstat(fd, &found) || !found.st_size ||
        found.st_size % SECTOR || (size_t)found.st_size > most || !(pages = (calloc)(1, most)))
        return 0;
    size = (size_t)found.st_size;
    /* A file with a first page is read no further if it is longer than its meta pages. */
    if (pread(fd, pages, SECTOR, 0) == SECTOR &&
        (is_zero(pages, SECTOR) || size <= NUM_METAS * new_meta_says(pages)) &&
        pread(fd, pages, size, 0) == (ssize_t)size)
        for (; page_size <= MAX_PAGESIZE && !begun; page_size *= 2)
            begun = lacks_meta_page(pages, page_size, size);
    free(pages);
    return begun;
}

/* Called by mdb_env_read_header() in place of pread(). A file is new if nothing can be
 * read at its start. LMDB 1.0 needs a file that is as long as the meta pages. */
static ssize_t read_header(MDB_env *env, void *data, size_t size, off_t at)
{
    const off_t last = (off_t)NUM_METAS * new_page_size(env) - 1;

    if (!at && is_begun(env->me_fd))
        return pwrite(env->me_fd, "", 1, last) == 1 ? 0 : -1;
    return pread(env->me_fd, data, size, at);
}

/* Why this thread must not ask for another lock on a lock file: it could not write to it when it
 * had locked it exclusively, as on a full disk, or another binding has it open; 0: it may. */
static __thread int lock_refused;

/* A new semaphore has no writer; see semaphores.c. */
static ssize_t clear_writer_mark(int fd)
{
#if PYLMDB_ROBUST_LOCKS
    (void)fd;
    return 0;
#else
    const uint32_t mark = 0;

    return write_whole(fd, &mark, sizeof(mark), WRITER_MARK_AT);
#endif
}

/* The process that locks the lock file exclusively initialises it; all others wait, and then
 * use it. The file has no magic number from the moment at which it is locked until mdb.c
 * writes one, when the mutexes exist. So if the process dies before that, the others notice
 * it, and try again to lock the file exclusively. */
static int take_lock_file(int fd, int *kind)
{
    const off_t at = offsetof(MDB_txninfo, mti_magic);
    struct timespec pause = {0, 100000};
    uint32_t magic = 0;
    int tries;

    lock_refused = 0;
    for (tries = 0; tries < 1000; tries++) {
        if (!lock_first_bytes(fd, kind, F_WRLCK, 1, 0)) {
            if (write_whole(fd, &magic, sizeof(magic), at) < 0 || clear_writer_mark(fd) < 0)
                lock_refused = errno;
            return lock_refused ? -1 : 0;
        }
        if (errno != EAGAIN && errno != EACCES)
            return -1;
        if (is_opened_elsewhere()) {
            lock_refused = errno = EBUSY;
            return -1;
        }
        if (lock_first_bytes(fd, kind, F_RDLCK, 1, 1))
            return -1;
        if (pread(fd, &magic, sizeof(magic), at) == sizeof(magic) && magic == MDB_MAGIC)
            break;
        magic = 0;
        if (lock_first_bytes(fd, kind, F_UNLCK, 1, 0))
            return -1;
        /* differs between processes, so that two do not retry in step */
        pause.tv_nsec = 100000 + getpid() % 16 * 100000;
        nanosleep(&pause, NULL);
    }
    errno = EAGAIN;
    return -1;
}

/* A lock file that was removed while this process waited for it is not the one that other
 * processes will lock; see opening.c. */
static int has_name(int fd)
{
    struct stat found;

    if (!fstat(fd, &found) && found.st_nlink)
        return 1;
    errno = ESTALE;
    return 0;
}

/* Set the lock on the first byte, which says that the environment is open. */
static int lock_to_open(int fd, int *kind, int command, struct flock *lock)
{
    int rc = -1;

    if (command == F_SETLK && lock->l_type == F_WRLCK)
        rc = take_lock_file(fd, kind);
    else if (command == F_SETLKW && lock_refused)
        errno = lock_refused;
    else
        rc = set_lock(fd, kind, command, lock);
    if (!rc && !has_name(fd))
        rc = -1;
    if (rc)
        note_failure(PYLMDB_LOCK_LOCK_FILE);
    return rc;
}

/* Called by mdb.c in place of fcntl() for every lock; see set_lock() in files.c. When mdb.c
 * does not get the exclusive lock, it asks for the shared one next. */
static int lock_of_file(const int *me_lfd, int command, struct flock *lock)
{
    MDB_env *env = (MDB_env *)((uintptr_t)me_lfd - offsetof(MDB_env, me_lfd));
    const int fd = *me_lfd;
    int *kind = &extension_of(env)->lock_kind, rc;

    if (lock->l_start)
        return set_lock(fd, kind, command, lock);
    rc = lock_to_open(fd, kind, command, lock);
    if (rc && fd >= 0 && opening && opening->other_binding == PYLMDB_HAS_IT) {
        const int code = errno;

        keep_lock_file(fd);
        env->me_lfd = INVALID_HANDLE_VALUE; /* so that it is not closed */
        errno = code;
    }
    return rc;
}

/* While mdb.c opens an environment exclusively, the lock file says transaction number 0, and
 * at the end the number in the data file. If that process dies or fails before the end, a
 * process that waits for the lock continues with 0. Its first commits would have small
 * numbers, treat the newest meta page as the oldest, and overwrite pages in use. In our
 * processes no transaction begins before this function has run. So a 0 here is either right,
 * as in a new file, or is left from a process that died. */
void pylmdb_env_opened(MDB_env *env)
{
    txnid_t none = 0;

    if (env->me_txns && !env->me_txns->mti_txnid)
        (void)atomic_compare_exchange_strong(&env->me_txns->mti_txnid, &none,
                                             mdb_env_pick_meta(env)->mm_txnid);
}
