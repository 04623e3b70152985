/* SPDX-License-Identifier: MIT */
/* Notice that another LMDB binding has a data file open in this process. Included by shim.c.
 *
 * The locks of such a binding belong to the process, so closing a descriptor of its lock file
 * would release them. A search through all maps of the process takes 10 ms with 10,000 of them.
 * So it is made only if some process has the file: if the lock file is locked, or another map in
 * the system has the first page of the data file, which an environment always reads. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#if PYLMDB_LISTS_MAPS
static int is_file(const char *path, const struct pylmdb_made *file)
{
    struct stat found;

    return !stat(path, &found) && found.st_dev == file->device && found.st_ino == file->inode;
}

/* A line is "begin-end access offset device inode    path". A hard link has another path, and on
 * some file systems the device is not that of stat(). */
static int is_map_of(char *line, const struct pylmdb_made *file, const void *own)
{
    unsigned long long begin, inode;
    char *path;
    int at = 0;

    if (sscanf(line, "%llx-%*x %*s %*x %*s %llu %n", &begin, &inode, &at) != 2 || !at)
        return 0;
    if (inode != file->inode || (own && begin == (uintptr_t)own))
        return 0;
    path = line + at;
    path[strcspn(path, "\n")] = 0;
    return is_file(path, file);
}

/* Whether this process has mapped a file, not counting the map at own. */
static int has_map_of(const struct pylmdb_made *file, const void *own)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0;
    int found = 0;

    while (maps && !found && getline(&line, &room, maps) > 0)
        found = is_map_of(line, file, own);
    free(line);
    if (maps)
        (void)fclose(maps);
    return found;
}
#else
static int has_map_of(const struct pylmdb_made *file, const void *own)
{
    (void)file;
    (void)own;
    return 0;
}
#endif

#if !defined(PYLMDB_SYSTEM)
/* What this thread notes while it is in pylmdb_env_open(). */
static __thread struct pylmdb_opening *opening;

static void note_made(struct pylmdb_made *made, int fd)
{
    struct stat found;

    if (!fstat(fd, &found)) {
        made->device = found.st_dev;
        made->inode = found.st_ino;
    }
}

static int is_made(const struct pylmdb_made *made, const char *path)
{
    struct stat found;

    return made->inode && !lstat(path, &found) &&
           (unsigned long long)found.st_dev == made->device && found.st_ino == made->inode;
}

/* -- the lock file --------------------------------------------------------------- */

/* Descriptors of lock files that another binding has open: they are used again, and never
 * closed before that. */
struct kept_lock_file {
    struct kept_lock_file *next;
    struct pylmdb_made file;
    int fd;
};
static struct kept_lock_file *kept_lock_files;
static pthread_mutex_t kept_guard = PTHREAD_MUTEX_INITIALIZER;

/* Without memory for it the descriptor just stays open. */
static void keep_lock_file(int fd)
{
    struct kept_lock_file *kept = malloc(sizeof(*kept));

    if (!kept)
        return;
    kept->fd = fd;
    note_made(&kept->file, fd);
    pthread_mutex_lock(&kept_guard);
    kept->next = kept_lock_files;
    kept_lock_files = kept;
    pthread_mutex_unlock(&kept_guard);
}

/* The kept descriptor of a lock file, or -1. */
static int take_kept_lock_file(const char *path)
{
    struct kept_lock_file **link, *kept;
    int fd = -1;

    pthread_mutex_lock(&kept_guard);
    for (link = &kept_lock_files; *link && !is_made(&(*link)->file, path);)
        link = &(*link)->next;
    if ((kept = *link)) {
        *link = kept->next;
        fd = kept->fd;
        free(kept);
    }
    pthread_mutex_unlock(&kept_guard);
    return fd;
}

/* Asked once in an open. */
static int other_binding_has_it(const void *own_map)
{
    if (opening->looked.inode && opening->other_binding == PYLMDB_NOT_ASKED)
        opening->other_binding =
            has_map_of(&opening->looked, own_map) ? PYLMDB_HAS_IT : PYLMDB_HAS_IT_NOT;
    return opening->other_binding == PYLMDB_HAS_IT;
}

/* Called when the lock file is found locked, and before a lock of the process is asked for, which
 * could replace that of the other binding. */
static int is_opened_elsewhere(void)
{
    return opening && other_binding_has_it(NULL);
}

/* -- the data file ----------------------------------------------------------------- */

/* /proc/self/pagemap says of each page whether it is in memory, and whether it is mapped once
 * only, over all processes. */
static int has_first_page_alone(MDB_env *env)
{
#if PYLMDB_LISTS_MAPS
    const uint64_t there = (uint64_t)1 << 63, exclusive = (uint64_t)1 << 56;
    const int pages = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const off_t at = (off_t)((uintptr_t)env->me_map / env->me_os_psize * sizeof(uint64_t));
    uint64_t entry = 0;
    int known;

    (void)*(volatile const char *)env->me_map;
    known = pages >= 0 && pread(pages, &entry, sizeof(entry), at) == sizeof(entry);
    if (pages >= 0)
        (void)close(pages);
    return known && (entry & there) && (entry & exclusive);
#else
    (void)env;
    return 1;
#endif
}

/* Called when the environment is open. */
static int is_mapped_elsewhere(MDB_env *env)
{
    return opening->looked.inode && opening->other_binding == PYLMDB_NOT_ASKED &&
           !has_first_page_alone(env) && other_binding_has_it(env->me_map);
}
#endif
