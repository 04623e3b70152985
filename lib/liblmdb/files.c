/* SPDX-License-Identifier: MIT */
/* Open an environment's files, and lock them. Included by shim.c, before mdb.c. */

/* Open a regular file and nothing else, so opening a FIFO does not wait. The descriptor is
 * closed by exec(). A symbolic link is followed only if follow is set. */
static int open_regular(const char *path, int flags, mode_t mode, int follow)
{
    const int fd =
        open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW), mode);
    struct stat found;

    if (fd >= 0 && (fstat(fd, &found) || !S_ISREG(found.st_mode))) {
        (void)close(fd);
        errno = ENXIO;
        return -1;
    }
    return fd;
}

/* Some questions take longer than a small transaction, and the answer may be late. They are
 * asked again after this many milliseconds at the earliest. */
enum { PAUSE_MS = 10 };

static long long clock_ms(void)
{
    struct timespec now;

    clock_gettime(PYLMDB_QUICK_CLOCK, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is_due(const long long *looked)
{
    return clock_ms() - __atomic_load_n(looked, __ATOMIC_RELAXED) >= PAUSE_MS;
}

static void note_look(long long *looked)
{
    __atomic_store_n(looked, clock_ms(), __ATOMIC_RELAXED);
}

/* Locks that belong to the open file and not to the process, where the system and the file
 * system have them. Such locks stay when other code of the process opens and closes the same
 * file. They conflict with locks of processes as those do with each other.
 *
 * A file system may refuse locks of open files, with any error number, and still have locks
 * of processes, as is reported of NFS. The first lock that is not refused decides which kind
 * a file has. That kind is kept: neither kind can convert or release the other. */
enum { UNDECIDED, OF_OPEN_FILE, OF_PROCESS };

static int is_opened_elsewhere(void); /* other_bindings.c */

#if defined(F_OFD_SETLK)
static int set_lock(int fd, int *kind, int command, struct flock *lock)
{
    const int open_file = command == F_SETLK    ? F_OFD_SETLK
                          : command == F_SETLKW ? F_OFD_SETLKW
                                                : F_OFD_GETLK;
    int rc;

    if (*kind == OF_PROCESS)
        return fcntl(fd, command, lock);
    rc = fcntl(fd, open_file, lock);
    if (*kind == OF_OPEN_FILE || (rc && errno == EINTR))
        return rc;
    if (!rc || errno == EAGAIN) {
        *kind = OF_OPEN_FILE;
        return rc;
    }
    if (is_opened_elsewhere()) {
        errno = EAGAIN;
        return -1;
    }
    rc = fcntl(fd, command, lock);
    if (!rc || errno == EAGAIN)
        *kind = OF_PROCESS;
    return rc;
}
#else
static int set_lock(int fd, int *kind, int command, struct flock *lock)
{
    (void)kind;
    return fcntl(fd, command, lock);
}
#endif

/* Set a lock of the given type on the first bytes of a file, or, if size is 0, on all;
 * F_UNLCK releases it. */
static int lock_first_bytes(int fd, int *kind, int type, off_t size, int waits)
{
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = (short)type;
    lock.l_whence = SEEK_SET;
    lock.l_len = size;
    return set_lock(fd, kind, waits ? F_SETLKW : F_SETLK, &lock);
}
