/* SPDX-License-Identifier: MIT */
/* Look at the files of an environment before liblmdb opens them, and at their names after it.
 *
 * Another LMDB binding may have the files open in this process. If a descriptor of its lock file is
 * closed, it loses its locks. So the descriptor that was opened here stays open if it may be so. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* F_OFD_GETLK */
#endif
#include "plain.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <stdint.h>
#include <sys/mman.h>

static int has_locks(int fd)
{
#ifdef F_OFD_GETLK
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
#else
    (void)fd;
    return 1;
#endif
}

/* /proc/self/pagemap says of each page whether it is in memory, and whether it is mapped once
 * only, over all processes. */
static int first_page_is_shared(int fd)
{
    const uint64_t there = (uint64_t)1 << 63, exclusive = (uint64_t)1 << 56;
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    const int pages = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const off_t at = (off_t)((uintptr_t)page / size * sizeof(uint64_t));
    uint64_t entry = 0;
    int known;

    known = page != MAP_FAILED && pages >= 0 &&
            pread(pages, &entry, sizeof(entry), at) == sizeof(entry) && (entry & there);
    if (pages >= 0)
        (void)close(pages);
    if (page != MAP_FAILED)
        (void)munmap(page, size);
    return !known || !(entry & exclusive);
}
#endif

/* Return 0 if this process cannot have an environment of these files open: no process has a lock
 * on the lock file, or there is none, and no map in the system has the first page of the data file,
 * which an environment always reads. The cost does not grow with the number of files that the
 * process has open. Where the system cannot tell, the lock file is not opened. */
static int may_be_open(const char *lock_path, int *lock_fd, int data_fd)
{
#ifdef __linux__
    if (*lock_fd < 0)
        *lock_fd = open(lock_path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return (*lock_fd >= 0 && has_locks(*lock_fd)) || first_page_is_shared(data_fd);
#else
    (void)lock_path;
    (void)lock_fd;
    (void)data_fd;
    return 0;
#endif
}

static int note_head(int fd, struct pylmdb_look *found)
{
    struct stat data;
    ssize_t size;

    if (fstat(fd, &data) || (size = pread(fd, found->head, sizeof(found->head), 0)) < 0)
        return errno;
    found->size = (int)size;
    found->data.device = data.st_dev;
    found->data.inode = data.st_ino;
    found->mode = data.st_mode;
    return 0;
}

int pylmdb_look(const char *data_path, int writes, const char *lock_path, struct pylmdb_look *found)
{
    struct stat data;
    int fd, code;

    found->step = PYLMDB_LOOK_FOR_FILE;
    if (stat(data_path, &data))
        return errno;
    found->step = PYLMDB_LOOK_AT_KIND;
    found->mode = data.st_mode;
    if (!S_ISREG(data.st_mode))
        return S_ISDIR(data.st_mode) ? EISDIR : ENXIO;
    found->step = PYLMDB_LOOK_INSIDE;
    fd = open(data_path, (writes ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno;
    code = note_head(fd, found);
    if (!code && lock_path)
        found->may_be_open = may_be_open(lock_path, &found->lock_fd, fd);
    if (!found->may_be_open)
        pylmdb_look_end(found);
    (void)close(fd);
    return code;
}

void pylmdb_look_end(struct pylmdb_look *found)
{
    const int fd = found->lock_fd;

    found->lock_fd = -1;
    if (fd >= 0)
        (void)close(fd);
}

static int note_name(const char *path, struct pylmdb_file *file)
{
    struct stat found;

    if (!path || stat(path, &found))
        return 0;
    file->device = found.st_dev;
    file->inode = found.st_ino;
    return 1;
}

int pylmdb_look_at_names(MDB_env *env, const char *data_path, const char *lock_path,
                         struct pylmdb_file *data, struct pylmdb_file *lock)
{
    struct pylmdb_file named = {0, 0};
    mdb_filehandle_t fd;
    struct stat found;

    lock->device = lock->inode = 0;
    if (mdb_env_get_fd(env, &fd) || fstat(fd, &found))
        return 0;
    data->device = found.st_dev;
    data->inode = found.st_ino;
    (void)note_name(lock_path, lock);
    return note_name(data_path, &named) && named.device == data->device &&
           named.inode == data->inode;
}
