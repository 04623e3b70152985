/* SPDX-License-Identifier: MIT */
/* Opening an environment's files, and locks on them.  Included by shim.c, before
 * mdb.c. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* Opens a regular file and nothing else, so a FIFO does not make anybody wait; its
 * descriptor does not outlive exec(), from its first moment on.  A symbolic link is
 * followed only where that is said. */
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

/* What takes longer than a small transaction, and need not be known at once, is looked at
 * again after so many milliseconds at the earliest. */
enum { PAUSE_MS = 10 };

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

static long long clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
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

/* Locks that belong to the open file and not to the process, where the system and the
 * file system have them: then nothing is lost when other code of the process opens and closes
 * the same file.  Against locks of processes they hold as these do.
 *
 * A file system may refuse them, with any error number, and have locks of processes all the
 * same, as is reported of NFS.  Which kind a file has is decided by the first lock that is not
 * refused, and kept: neither kind can convert or release the other. */
enum { UNDECIDED, OF_OPEN_FILE, OF_PROCESS };

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

/* A lock of the given type on the first bytes of a file, 0 for all of them, or its
 * end (F_UNLCK). */
static int lock_first_bytes(int fd, int *kind, int type, off_t size, int waits)
{
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = (short)type;
    lock.l_whence = SEEK_SET;
    lock.l_len = size;
    return set_lock(fd, kind, waits ? F_SETLKW : F_SETLK, &lock);
}
