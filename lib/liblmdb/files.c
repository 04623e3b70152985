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

/* Locks that belong to the open file and not to the process, where the system has
 * them: then nothing is lost when somebody else in the process opens and closes the
 * same file.  Against locks of processes they hold as these do. */
#if defined(F_OFD_SETLK)
static int set_lock(int fd, int command, struct flock *lock)
{
    static int unknown;
    const int open_file = command == F_SETLK    ? F_OFD_SETLK
                          : command == F_SETLKW ? F_OFD_SETLKW
                                                : F_OFD_GETLK;

    if (!__atomic_load_n(&unknown, __ATOMIC_RELAXED)) {
        const int rc = fcntl(fd, open_file, lock);

        if (!rc || errno != EINVAL)
            return rc;
        __atomic_store_n(&unknown, 1, __ATOMIC_RELAXED);
    }
    return fcntl(fd, command, lock);
}
#else
static int set_lock(int fd, int command, struct flock *lock)
{
    return fcntl(fd, command, lock);
}
#endif

/* A lock of the given type on the first bytes of a file, 0 for all of them, or its
 * end (F_UNLCK). */
static int lock_first_bytes(int fd, int type, off_t size, int waits)
{
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = (short)type;
    lock.l_whence = SEEK_SET;
    lock.l_len = size;
    return set_lock(fd, waits ? F_SETLKW : F_SETLK, &lock);
}
