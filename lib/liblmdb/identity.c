/* SPDX-License-Identifier: MIT */
/* Notice that the paths of an environment name other files than the open ones. Included by
 * shim.c, after lock_file.c.
 *
 * A data file can be replaced while another process has it open, for example by a backup that
 * is restored. Then both data files have the same lock file, which tells the state of one of
 * them only. A process with the other data file would begin with the wrong meta page, and
 * overwrite pages of the newest snapshot.
 *
 * So each process that has an environment open holds a shared lock on a byte of the lock
 * file, far past its end. The offset is made of the inode number of the data file. The system
 * releases the lock when the process ends in any way. A process that opens the file takes that
 * lock, and then looks whether another process holds one at another offset. Other builds of LMDB
 * take no such lock. So the transaction numbers in the lock file and in the data file must
 * agree too, at open and whenever a transaction begins. */

/* Offsets from here on are identities. The byte before is locked by a process that removes
 * the lock file. */
#define IDENTITIES ((off_t)((uint64_t)1 << (8 * sizeof(off_t) - 3)))
#define MOST_IDENTITIES IDENTITIES

/* How many milliseconds to wait for a writer in another process, if an answer needs the
 * writer lock. */
enum { WRITER_MS = 1000 };

static int lock_byte(MDB_env *env, int type, off_t at)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return set_lock(env->me_lfd, &extension_of(env)->lock_kind, F_SETLK, &lock) ? errno : 0;
}

static int others_hold_lock(MDB_env *env, off_t first, off_t end)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = end - first};

    return !set_lock(env->me_lfd, &extension_of(env)->lock_kind, F_GETLK, &lock) &&
           lock.l_type != F_UNLCK;
}

static int other_data_file_is_open(MDB_env *env, ino_t inode)
{
    const off_t own = IDENTITIES + 1 + (off_t)(inode % (uint64_t)(MOST_IDENTITIES - 2));

    if (lock_byte(env, F_RDLCK, own))
        return 0; /* this file system has no such locks */
    if (!others_hold_lock(env, IDENTITIES, IDENTITIES + MOST_IDENTITIES))
        return 0; /* no other process has the environment open */
    return others_hold_lock(env, IDENTITIES, own) ||
           others_hold_lock(env, own + 1, IDENTITIES + MOST_IDENTITIES);
}

/* Whether the lock file has the number of the newest transaction in the data file. A commit
 * writes the data file first, so the number in the lock file may be less by one, except while
 * this thread has the writer lock. */
static int numbers_agree(MDB_env *env)
{
    _Atomic txnid_t *said = &env->me_txns->mti_txnid;
    txnid_t before, newest;
    int rc, tries;

    for (tries = 0; tries < 100; tries++)
        if (*said == mdb_env_pick_meta(env)->mm_txnid)
            return 1;
    if (writer_lock_wait_begin(env, WRITER_MS))
        return 1;
    (void)LOCK_MUTEX(rc, env, env->me_wmutex);
    before = *said;
    newest = mdb_env_pick_meta(env)->mm_txnid;
    if (!rc)
        UNLOCK_MUTEX(env->me_wmutex);
    writer_lock_wait_end();
    /* Without the writer lock this is undecided; each transaction looks again. */
    return newest == before || (rc && newest == before + 1);
}

static void remember_file(struct identity *identity, int fd)
{
    struct stat found;

    if (fd != INVALID_HANDLE_VALUE && !fstat(fd, &found)) {
        identity->device = found.st_dev;
        identity->inode = found.st_ino;
    }
}

int pylmdb_env_join(MDB_env *env)
{
    struct env_extension *ext = extension_of(env);

    remember_file(&ext->data, env->me_fd);
    if (!env->me_txns)
        return MDB_SUCCESS;
    remember_file(&ext->locks, env->me_lfd);
    return other_data_file_is_open(env, ext->data.inode) || !numbers_agree(env) ? PYLMDB_OTHER_FILE
                                                                                : MDB_SUCCESS;
}

/* ---- the files that the names refer to ---- */

enum place { SAME, OTHER, GONE };

static const char *path_of(MDB_env *env)
{
    const char *again = __atomic_load_n(&extension_of(env)->path, __ATOMIC_ACQUIRE);

    return again ? again : env->me_path;
}

static int full_name(MDB_env *env, char *full, size_t room, int locks)
{
    const int inside = !(env->me_flags & MDB_NOSUBDIR);
    const char *name = locks ? (inside ? "/lock.mdb" : "-lock") : (inside ? "/data.mdb" : "");
    const char *path = path_of(env);
    const size_t size = strlen(path), more = strlen(name) + 1;

    if (size + more > room)
        return ENAMETOOLONG;
    memcpy(full, path, size);
    memcpy(full + size, name, more);
    return 0;
}

static enum place look_up(MDB_env *env, const struct identity *has, int locks)
{
    char full[PATH_MAX];
    struct stat named;

    if (!has->inode || full_name(env, full, sizeof(full), locks))
        return SAME;
    if (stat(full, &named))
        return errno == ENOENT || errno == ENOTDIR ? GONE : SAME;
    return named.st_dev == has->device && named.st_ino == has->inode ? SAME : OTHER;
}

static int is_unlinked(int fd)
{
    struct stat has;

    return fd != INVALID_HANDLE_VALUE && !fstat(fd, &has) && !has.st_nlink;
}

static int folder_name(MDB_env *env, char *full, size_t room)
{
    char *end;

    if (full_name(env, full, room, 0) || !(end = strrchr(full, '/')))
        return ENOENT;
    *(end == full ? end + 1 : end) = 0;
    return 0;
}

/* The folder that the path leads to. */
static int find_folder(MDB_env *env, struct stat *found)
{
    char full[PATH_MAX];

    return !folder_name(env, full, sizeof(full)) && !stat(full, found);
}

/* Files whose folder was moved are still the same: they are found where the folder is now. */
static int names_lead_elsewhere(MDB_env *env)
{
    struct env_extension *ext = extension_of(env);
    const enum place data = look_up(env, &ext->data, 0);
    const enum place locks = env->me_txns ? look_up(env, &ext->locks, 1) : data;
    struct stat folder;

    if (data == SAME && locks == SAME)
        return 0;
    return data != GONE || locks != GONE || is_unlinked(env->me_fd) || is_unlinked(env->me_lfd) ||
           find_folder(env, &folder);
}

/* Checking both names takes twice as long as checking their folder.  If the times of a folder have
 * not changed, its names still belong to the same files.  That is certain only if the last change
 * is so long ago that another change would have another time.  So the present is read from the
 * clock that gives files their times, and before the folder's times are: it may stop for a while if
 * a virtual machine does.  Some file systems count in steps of two seconds, and have no parts of a
 * second.  A name that is a symbolic link leads out of the folder.
 *
 * A file that is mounted over another does not change the folder.  So both names are checked
 * every PAUSE_MS, too. */
enum { SETTLED_MS = 100, SETTLED_COARSE_MS = 3000 };

static int is_long_ago(const struct timespec *now, const struct timespec *then)
{
    const long long ms =
        (now->tv_sec - then->tv_sec) * 1000LL + (now->tv_nsec - then->tv_nsec) / 1000000;

    return ms > (then->tv_nsec ? SETTLED_MS : SETTLED_COARSE_MS);
}

static int same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int is_settled(MDB_env *env, const struct stat *folder, const struct timespec *now)
{
    char full[PATH_MAX];
    struct stat data;

    return is_long_ago(now, &PYLMDB_CHANGED(folder)) && is_long_ago(now, &PYLMDB_WRITTEN(folder)) &&
           !full_name(env, full, sizeof(full), 0) && !lstat(full, &data) && S_ISREG(data.st_mode);
}

static int is_unchanged(const struct settled_folder *known, const struct stat *found)
{
    return known->folder.inode == found->st_ino && known->folder.device == found->st_dev &&
           same_time(&known->changed, &PYLMDB_CHANGED(found)) &&
           same_time(&known->written, &PYLMDB_WRITTEN(found));
}

/* Check both names, and note whether checking the folder is enough from now on. */
static int names_are_replaced(MDB_env *env, struct settled_folder *known)
{
    struct timespec now;
    struct stat folder;
    int found;

    clock_gettime(PYLMDB_FILE_CLOCK, &now);
    found = find_folder(env, &folder); /* before the names: a change of one comes after it */
    known->is_settled = 0;
    note_look(&known->looked);
    if (names_lead_elsewhere(env))
        return 1;
    if (found && is_settled(env, &folder, &now)) {
        known->folder.device = folder.st_dev;
        known->folder.inode = folder.st_ino;
        known->changed = PYLMDB_CHANGED(&folder);
        known->written = PYLMDB_WRITTEN(&folder);
        known->is_settled = 1;
    }
    return 0;
}

/* Called by the one thread that begins to write. */
static int files_are_replaced(MDB_env *env)
{
    struct settled_folder *known = &extension_of(env)->known;
    struct stat folder;

    if (is_due(&known->looked))
        return names_are_replaced(env, known);
    if (known->is_settled && find_folder(env, &folder) && is_unchanged(known, &folder))
        return 0;
    known->is_settled = 0;
    return names_lead_elsewhere(env);
}

/* A writer reads the numbers with the writer lock; a reader may find a later commit. */
static int numbers_differ(const MDB_txn *txn)
{
    const MDB_env *env = txn->mt_env;
    const int reads = txn->mt_flags & MDB_TXN_RDONLY;
    const txnid_t number = txn->mt_txnid - !reads;
    const txnid_t found = env->me_metas[number & 1]->mm_txnid;

    return env->me_txns && (reads ? found < number : found != number);
}

int pylmdb_env_discard_locks(MDB_env *env)
{
    char full[PATH_MAX];
    int rc;

    if (look_up(env, &extension_of(env)->data, 0) != SAME)
        return ESTALE;
    if ((rc = full_name(env, full, sizeof(full), 1)) ||
        (rc = lock_byte(env, F_WRLCK, IDENTITIES - 1)))
        return rc == EACCES || rc == EAGAIN ? EBUSY : rc;
    if (look_up(env, &extension_of(env)->locks, 1) != SAME)
        rc = ESTALE;
    else if (unlink(full))
        rc = errno;
    (void)lock_byte(env, F_UNLCK, IDENTITIES - 1);
    return rc;
}
