/* SPDX-License-Identifier: MIT */
/* What we keep about an environment, behind its MDB_env: see calloc in shim.c. */

struct identity {
    dev_t device;
    ino_t inode; /* 0: not known */
};

/* The folder of the files, and its times when it was seen to have them, a while after its
 * last change. */
struct settled_folder {
    struct identity folder; /* which fd is open */
    int fd, is_settled;
    struct timespec changed, written;
    long long looked; /* in milliseconds */
};

struct extra {
    /* growth.c: how far the limit may rise, how much to map, how much is mapped, and
     * whether the user has fixed the size, which is then what he is told; where the map
     * lies (addresses.c), and the limit at which it was said to be cramped */
    size_t most, wanted, reserved, told;
    unsigned int address;
    int fixed;
    /* lock_file.c: the size of the lock file's mapping, and the next environment that has
     * one */
    size_t locks_size;
    MDB_env *next_with_locks;
    /* in a forked child: where the lock file was mapped */
    const MDB_txninfo *locks_of_parent;
    /* identity.c: the files that are open */
    struct identity data, locks;
    struct settled_folder known;
    /* readers.c: the process that opened the environment, and the number of pages and the
     * time in milliseconds at which dead readers are looked for again */
    MDB_PID_T process;
    size_t check_at;
    long long checked;
    /* pages.c: when a reader and when a writer last asked for the size of the data file */
    long long asked, asked_to_write;
    /* lock_file.c: the names that the files were opened by again, and the last of all; NULL:
     * that of the MDB_env */
    struct name *names;
    const char *path;
    /* handles.c: bits of the names that databases were asked for by, how many, and whether
     * slots may be retired, or free between others */
    unsigned char *asked_names;
    size_t name_bits;
    int has_retired, has_free_slots;
    /* truncation.c: whether reads are guarded, and the map's place among those that
     * are, counted from 1; 0 is none */
    int guard, place;
    /* files.c: which kind of locks the lock file has */
    int lock_kind;
};

static struct extra *extra_of(MDB_env *env)
{
    _Static_assert(sizeof(struct extra) <= EXTRA_SIZE, "there is no room for it");
    return (struct extra *)(env + 1);
}
