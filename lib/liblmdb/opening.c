/* SPDX-License-Identifier: MIT */
/* Note where the opening of an environment fails and which files it has created, and remove
 * these files again. Included by shim.c, after mdb.c.
 *
 * mdb_env_open() returns an error number, and has closed its files by then. So each step
 * notes where an error comes from, and which files did not exist before.
 *
 * Another process may be opening the same files. A process that has an environment open holds
 * a lock on the first byte of its lock file. So a process removes files only while it has that
 * lock exclusively. They must still be the files that it created, and no transaction may have
 * been committed to them. A process that waited for the lock meanwhile finds that its lock
 * file has no name any more, and opens the files again (lock_to_open() in creation.c).
 * liblmdb in other programs does not check that, and would use the lock file without a name.
 * This happens only if such a program opens a new environment at the moment in which an open
 * of ours fails there. */
#include "verify/verify.h"

static void note_failure(int step)
{
    if (opening && errno != EINTR) {
        opening->step = step;
        opening->code = errno;
    }
}

/* Open a file, create it if it does not exist, and note that. A symbolic link whose target
 * does not exist can neither be opened nor created this way; then the system decides. */
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
    if (is_lock_file && (fd = take_kept_lock_file(path)) >= 0)
        return fd;
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
    const struct pylmdb_made looked = noted->looked;
    int rc;

    memset(noted, 0, sizeof(*noted));
    noted->looked = looked;
    opening = noted;
    rc = mdb_env_open(env, path, flags, mode);
    if (noted->other_binding == PYLMDB_HAS_IT || (!rc && is_mapped_elsewhere(env)))
        rc = PYLMDB_OTHER_BINDING;
    opening = NULL;
    if (noted->code != rc)
        noted->step = PYLMDB_OTHER_STEP; /* a step has failed, and a later one has made up for it */
    return rc;
}

static int has_transactions(const char *path)
{
    const int fd = open_regular(path, O_RDONLY, 0, 0);
    const uint64_t newest = fd < 0 ? 0 : pylmdb_newest_txnid(fd);

    if (fd >= 0)
        (void)close(fd);
    return newest > 0;
}

/* Open the lock file and lock it exclusively; -1 if that fails. If the system refuses all
 * locks, no other process has one either. */
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
