/* SPDX-License-Identifier: MIT */
/* The mapping and the locks of the lock file, and the names of an environment's files.
 * Included by shim.c, after mdb.c.
 *
 * The locks of an open file last as long as any descriptor or mapping refers to it, in this
 * process or in a forked child. So they are released explicitly when an environment is
 * closed, and a forked child closes and unmaps the lock file at once. Otherwise a parent that
 * dies would seem to be alive to processes that look for dead readers. */

/* The environments that have a lock file, and the mutex of this list. */
static MDB_env *with_locks;
static pthread_mutex_t with_locks_guard = PTHREAD_MUTEX_INITIALIZER;

static int take_number(MDB_env *env, MDB_txninfo *table, size_t size); /* readers.c */

static void *map_locks(MDB_env *env, size_t size)
{
    struct env_extension *ext = extension_of(env);
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, env->me_lfd, 0);

    if (map == MAP_FAILED) {
        note_failure(PYLMDB_MAP_LOCK_FILE);
        return map;
    }
    if (take_number(env, map, size)) {
        const int code = errno;

        note_failure(PYLMDB_LOCK_LOCK_FILE);
        (void)munmap(map, size);
        errno = code;
        return MAP_FAILED;
    }
    ext->locks_size = size;
    pthread_mutex_lock(&with_locks_guard);
    ext->next_with_locks = with_locks;
    with_locks = env;
    pthread_mutex_unlock(&with_locks_guard);
    return map;
}

static void release_locks(MDB_env *env)
{
    MDB_env **link;

    pthread_mutex_lock(&with_locks_guard);
    for (link = &with_locks; *link && *link != env;)
        link = &extension_of(*link)->next_with_locks;
    if (*link)
        *link = extension_of(env)->next_with_locks;
    pthread_mutex_unlock(&with_locks_guard);
    (void)lock_first_bytes(env->me_lfd, &extension_of(env)->lock_kind, F_UNLCK, 0, 0);
}

static int unmap_locks(MDB_env *env)
{
    release_locks(env);
    return munmap((void *)env->me_txns, extension_of(env)->locks_size);
}

static void before_fork(void)
{
    pthread_mutex_lock(&with_locks_guard);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&with_locks_guard);
}

static void after_fork_in_child(void)
{
    MDB_env *env;

    for (env = with_locks; env; env = extension_of(env)->next_with_locks) {
        (void)close(env->me_lfd);
        env->me_lfd = INVALID_HANDLE_VALUE;
        (void)munmap((void *)env->me_txns, extension_of(env)->locks_size);
        extension_of(env)->locks_of_parent = env->me_txns;
        env->me_txns = NULL;
    }
    with_locks = NULL;
    /* other threads of the parent may have locked these */
    pthread_mutex_init(&with_locks_guard, NULL);
    pthread_mutex_init(&addresses_guard, NULL);
    pthread_mutex_init(&growth_guard, NULL);
    pthread_mutex_init(&guarded_guard, NULL);
    pthread_mutex_init(&kept_guard, NULL);
}

__attribute__((constructor)) static void handle_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* -- names ------------------------------------------------------------------------------- */

/* Another name by which an environment's files were opened. Names are kept as long as the
 * environment, because another thread may be reading one. */
struct name {
    struct name *older;
    char path[];
};

/* After a rename the files are found by the new name, and no longer by the old one. */
void pylmdb_env_named(MDB_env *env, const char *path)
{
    struct env_extension *ext = extension_of(env);
    const size_t size = strlen(path) + 1;
    struct name *name;

    if (!strcmp(path, env->me_path)) {
        __atomic_store_n(&ext->path, NULL, __ATOMIC_RELEASE);
        return;
    }
    for (name = ext->names; name && strcmp(path, name->path);)
        name = name->older;
    if (!name) {
        if (!(name = malloc(sizeof(*name) + size)))
            return; /* the old name stays in use */
        memcpy(name->path, path, size);
        name->older = ext->names;
        ext->names = name;
    }
    __atomic_store_n(&ext->path, name->path, __ATOMIC_RELEASE);
}

static void free_names(MDB_env *env)
{
    struct name *name, *older;

    for (name = extension_of(env)->names; name; name = older) {
        older = name->older;
        free(name);
    }
}
