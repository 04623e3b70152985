/* SPDX-License-Identifier: MIT */
/* What an attempt to open an environment makes, where it fails, and how what it has made
 * is removed again.  Included by shim.c, after mdb.c.
 *
 * mdb_env_open() tells an error number, and has closed its files by then.  So what is done
 * on its way notes where a number comes from, and which files were not there before.
 *
 * Another process may be opening the same files.  Whoever has an environment open holds a
 * lock on the first byte of its lock file; so files are removed only by a process that has
 * that lock for itself alone, and only if they are still those that it made and no
 * transaction was committed to them.  A process that waited for the lock meanwhile has a
 * lock file without a name then, and begins anew (lock_to_open() in creation.c).  liblmdb in
 * other programs does not look, and would go on with that lock file: it may, if it opens a new
 * environment in the moment in which an open of ours fails there, and not otherwise. */
#include "verify/verify.h"

/* What this thread is opening, while it is in pylmdb_env_open(). */
static __thread struct pylmdb_opening *opening;

static void note_failure(int step)
{
    if (opening && errno != EINTR) {
        opening->step = step;
        opening->code = errno;
    }
}

static void note_made(struct pylmdb_made *made, int fd)
{
    struct stat found;

    if (!fstat(fd, &found)) {
        made->device = found.st_dev;
        made->inode = found.st_ino;
    }
}

/* Opens a file, and makes it where there is none; notes that it did.  A link that leads
 * nowhere is neither there nor can it be made; then the system decides. */
static int open_or_make(const char *path, int flags, mode_t mode, int follow,
                        struct pylmdb_made *made)
{
    int fd, tries;

    for (tries = 0; tries < 3; tries++) {
        fd = open_regular(path, flags & ~O_CREAT, mode, follow);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = open_regular(path, flags | O_EXCL, mode, follow);
        if (fd >= 0)
            note_made(made, fd);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return open_regular(path, flags, mode, follow);
}

/* Called by mdb_fopen() in place of open(). */
static int open_file(const char *path, int flags, mode_t mode, int is_lock_file, int follow)
{
    int fd;

    if (!opening)
        return open_regular(path, flags, mode, follow);
    if (flags & O_CREAT)
        fd = open_or_make(path, flags, mode, follow,
                          is_lock_file ? &opening->lock_file : &opening->data_file);
    else
        fd = open_regular(path, flags, mode, follow);
    if (fd < 0)
        note_failure(is_lock_file ? PYLMDB_OPEN_LOCK_FILE : PYLMDB_OPEN_DATA_FILE);
    return fd;
}

int pylmdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode,
                    struct pylmdb_opening *noted)
{
    int rc;

    memset(noted, 0, sizeof(*noted));
    opening = noted;
    rc = mdb_env_open(env, path, flags, mode);
    opening = NULL;
    if (noted->code != rc)
        noted->step = PYLMDB_OTHER_STEP; /* what failed on the way was put right */
    return rc;
}

static int is_made(const struct pylmdb_made *made, const char *path)
{
    struct stat found;

    return made->inode && !lstat(path, &found) && found.st_dev == made->device &&
           found.st_ino == made->inode;
}

static int has_transactions(const char *path)
{
    const int fd = open_regular(path, O_RDONLY, 0, 0);
    const uint64_t newest = fd < 0 ? 0 : pylmdb_newest_txnid(fd);

    if (fd >= 0)
        (void)close(fd);
    return newest > 0;
}

/* The lock file, locked for this process alone; -1 if that cannot be had.  Where the system
 * refuses all locks no other process has one, either. */
static int open_exclusively(const char *lock_file)
{
    const int fd = open_regular(lock_file, O_RDWR, 0, 0);
    struct pylmdb_made opened = {0, 0};
    int kind = 0;

    if (fd < 0)
        return -1;
    note_made(&opened, fd);
    if ((lock_first_bytes(fd, &kind, F_WRLCK, 1, 0) && errno == EAGAIN) ||
        !is_made(&opened, lock_file)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void pylmdb_remove_made(const struct pylmdb_opening *noted, const char *data_file,
                        const char *lock_file)
{
    int fd = -1;

    if (!noted->data_file.inode && !noted->lock_file.inode)
        return;
    if (lock_file && (fd = open_exclusively(lock_file)) < 0)
        return;
    if (!is_made(&noted->data_file, data_file) || !has_transactions(data_file)) {
        if (is_made(&noted->data_file, data_file))
            (void)unlink(data_file);
        if (lock_file && is_made(&noted->lock_file, lock_file))
            (void)unlink(lock_file);
    }
    if (fd >= 0)
        (void)close(fd);
}
