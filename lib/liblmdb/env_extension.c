/* SPDX-License-Identifier: MIT */
/* The data that the shim keeps for each environment, after the MDB_env in the same
 * allocation: shim.c makes mdb.c allocate EXTENSION_SIZE bytes more. */

struct identity {
    dev_t device;
    ino_t inode; /* 0: not known */
};

/* A folder that contained the environment's files when it was last checked, some time after
 * its last change; and the folder's times at that check. */
struct settled_folder {
    struct identity folder;
    int is_settled;
    struct timespec changed, written;
    long long looked; /* in milliseconds */
};

/* Whether the pages that are read are in memory, as a test of some of them has found; for how
 * many pages more that counts, and for how many it counted at first. */
struct disk_watch {
    int is_on_disk;
    long trusted, span;
};

struct own_reader;

struct env_extension {
    /* growth.c: how far the limit of the map may rise, how much is mapped, the limit at which a
     * move of the map was last asked for, and how much to map at first */
    _Atomic size_t max_limit, mapped, move_asked_at;
    size_t planned_size;
    /* creation.c: the size of pages if the file is new; 0: the system's */
    unsigned int new_page_size;
    /* stored_sums.c: whether a new file gets checksums of its pages, and whether the file has them */
    int new_has_sums, has_sums;
    /* growth.c: whether the user has fixed the size of the map; info() reports that size */
    int fixed;
    /* addresses.c: the address slot of the map, counted from 1; 0: none */
    unsigned int address_slot;
    /* lock_file.c: the size of the lock file's mapping, and the next environment in the list
     * of those that have a lock file */
    size_t locks_size;
    MDB_env *next_with_locks;
    /* lock_file.c: in a forked child, where the parent has the lock file mapped */
    const MDB_txninfo *locks_of_parent;
    /* identity.c: the files that are open */
    struct identity data, locks;
    struct settled_folder known;
    /* readers.c: the process that opened the environment, and when to look for dead readers
     * again: at this number of pages, or some milliseconds after this time; and the index of
     * a reader slot that may be free */
    MDB_PID_T process;
    unsigned int free_slot;
    size_t check_readers_at;
    long long readers_checked;
    /* own_readers.c: the list, and where a free entry may be; and the transaction whose meta page
     * is being flushed, 0: none */
    struct own_reader *own_readers, *likely_own_reader;
    size_t flushing;
    /* checked_pages.c: when a reader and when a writer last asked for the size of the data
     * file, in milliseconds */
    long long reader_checked_size, writer_checked_size;
    /* lock_file.c: all other names by which the files were opened, and the name to use; NULL:
     * the one in the MDB_env */
    struct name *names;
    const char *path;
    /* handles.c: a bit for the hash of each name that a database was asked for by, the number
     * of bits, and whether slots may be retired, or free between others */
    unsigned char *asked_names;
    size_t name_bits;
    int has_retired, has_free_slots;
    /* truncation.c: whether reads are guarded, and the number of the map among the guarded
     * ones, counted from 1; 0: none */
    int guard, guard_slot;
    /* read_ahead.c: the pages that batches of keys, large values and scans read; and whether
     * mincore() tells the truth (1) or not (-1); 0: it is not known yet */
    struct disk_watch watched_leaves, watched_values, watched_scans;
    int mincore_is_true;
    /* how many calls warm records at the moment */
    int warming;
    /* where to note what is to be logged, or NULL */
    struct pylmdb_notes *notes;
    /* files.c: which kind of locks the lock file has */
    int lock_kind;
#if !PYLMDB_ROBUST_LOCKS
    /* semaphores.c: the thread that has the writer lock, and the next environment in the list of
     * those that are written to */
    pthread_t writer;
    MDB_env *next_writing;
#endif
};

static struct env_extension *extension_of(const MDB_env *env)
{
    _Static_assert(sizeof(struct env_extension) <= EXTENSION_SIZE, "raise EXTENSION_SIZE");
    return (struct env_extension *)(uintptr_t)(env + 1);
}

/* -- notes for the log ------------------------------------------------------------------ */

void pylmdb_env_note_in(MDB_env *env, struct pylmdb_notes *notes)
{
    extension_of(env)->notes = notes;
}

static void note_dead_readers(MDB_env *env, int count)
{
    struct pylmdb_notes *notes = extension_of(env)->notes;

    if (!notes || !count)
        return;
    __atomic_add_fetch(&notes->dead_readers, count, __ATOMIC_RELAXED);
    __atomic_store_n(&notes->is_noted, 1, __ATOMIC_RELEASE);
}

static void note_growth(MDB_env *env, size_t size)
{
    struct pylmdb_notes *notes = extension_of(env)->notes;

    if (!notes)
        return;
    __atomic_store_n(&notes->map_size, size, __ATOMIC_RELAXED);
    __atomic_store_n(&notes->is_noted, 1, __ATOMIC_RELEASE);
}
