/* SPDX-License-Identifier: MIT */
/* Handles of named databases: open, adopt, drop and retire them. Included by shim.c, after
 * mdb.c. */

/* Opening handles.
 *
 * liblmdb gives a new handle the slot mt_numdbs of the transaction that opens it, and
 * publishes it in the environment when that transaction commits. Two transactions that open
 * handles at the same time get the same slot. Three steps prevent this for our callers:
 *
 * - Before a transaction opens a handle, it learns of all slots that are taken (adopt_slots).
 * - A handle to a database that exists is published immediately, as mdb_txn_commit() does it.
 *   So one database never has two slots, whose roots would diverge in a write transaction.
 * - A handle to a database that this transaction has created (DB_DIRTY), and that an abort
 *   removes, only has its slot reserved (me_numdbs). liblmdb publishes or frees it at the
 *   end. Until then the slot is invalid in other transactions, because me_dbflags has no
 *   MDB_VALID.
 *
 * A stale handle (DB_STALE) is looked up by name in the transaction's own snapshot at its
 * first use. So a handle can be adopted whatever the snapshot's age: if the snapshot does not
 * have the database, the answer is PYLMDB_NOT_IN_SNAPSHOT. */
#define RETIRED ((size_t)-1) /* a size that no name has; see pylmdb_safe_drop() */
/* LMDB 1.0 counts the NUL of a name in its size. */
#define NAME_NUL (MDB_VERSION_MAJOR > 0)

static void adopt_slot(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_env *env = txn->mt_env;
    const uint16_t flags = env->me_dbflags[dbi];

    for (; txn->mt_numdbs <= dbi; txn->mt_numdbs++) {
        txn->mt_dbflags[txn->mt_numdbs] = 0;
        if (txn->mt_cursors)
            txn->mt_cursors[txn->mt_numdbs] = NULL;
    }
    /* What it has not looked up yet may be another database by now. */
    if (txn->mt_dbflags[dbi] && !F_ISSET(txn->mt_dbflags[dbi], DB_VALID | DB_STALE))
        return;
    memset(&txn->mt_dbs[dbi], 0, sizeof(MDB_db));
    txn->mt_dbs[dbi].md_flags = flags & PERSISTENT_FLAGS;
    txn->mt_dbflags[dbi] = (flags & MDB_VALID) ? DB_VALID | DB_USRVALID | DB_STALE : 0;
    if (txn->mt_dbiseqs != env->me_dbiseqs)
        txn->mt_dbiseqs[dbi] = env->me_dbiseqs[dbi];
}

static void adopt_slots(MDB_txn *txn)
{
    MDB_env *env = txn->mt_env;
    MDB_dbi i;

    if (txn->mt_numdbs >= env->me_numdbs &&
        !memchr(txn->mt_dbflags + CORE_DBS, 0, env->me_numdbs - CORE_DBS))
        return; /* it knows all slots; one memchr() is quicker than the loop */
    for (i = CORE_DBS; i < env->me_numdbs; i++)
        adopt_slot(txn, i);
}

int pylmdb_txn_is_old(MDB_txn *txn)
{
    return F_ISSET(txn->mt_flags, MDB_TXN_RDONLY) &&
           txn->mt_txnid < mdb_env_pick_meta(txn->mt_env)->mm_txnid;
}

/* Let a transaction use a handle that was opened after it began. This needs no lock, although
 * another thread may be opening a database: it reads only this slot of the environment, which
 * was complete before the caller got its number. */
static int adopt(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_cursor mc;
    MDB_xcursor mx;
    int rc = MDB_BAD_DBI;

    if (!txn)
        return EINVAL;
    if (txn->mt_flags & MDB_TXN_BLOCKED)
        return MDB_BAD_TXN;
    if (dbi >= CORE_DBS && dbi < txn->mt_env->me_numdbs)
        adopt_slot(txn, dbi);
    if (dbi >= txn->mt_numdbs || !(txn->mt_dbflags[dbi] & DB_VALID))
        return PYLMDB_NOT_IN_SNAPSHOT;
    if (txn->mt_dbflags[dbi] & DB_STALE) {
        /* Looks the record up by name, and clears DB_STALE if it exists. */
        mdb_cursor_init(&mc, txn, dbi, &mx);
        if (txn->mt_dbflags[dbi] & DB_STALE)
            rc = mdb_page_search(&mc, NULL, MDB_PS_ROOTONLY);
    }
    if (!(txn->mt_dbflags[dbi] & DB_STALE))
        return MDB_SUCCESS;
    txn->mt_dbflags[dbi] = 0;
    if (rc != MDB_BAD_DBI && rc != MDB_NOTFOUND && rc != MDB_INCOMPATIBLE)
        return rc; /* it is unknown whether the database exists */
    /* A slot that is not published belongs to a database that the writer is creating. */
    return pylmdb_txn_is_old(txn) || !(txn->mt_env->me_dbflags[dbi] & MDB_VALID)
               ? PYLMDB_NOT_IN_SNAPSHOT
               : PYLMDB_GONE;
}

int pylmdb_may_try_again(MDB_txn *txn, MDB_dbi dbi, int *code)
{
    int rc;

    if (*code != EINVAL && *code != MDB_BAD_DBI)
        return 0;
    if ((rc = adopt(txn, dbi)))
        *code = rc;
    return !rc;
}

/* Opening a cursor looks its database up. If the database is missing, liblmdb would say so only
 * at the first use of the cursor. */
int pylmdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    int rc = mdb_cursor_open(txn, dbi, cursor);

    if (!rc && (txn->mt_dbflags[dbi] & DB_STALE)) {
        mdb_cursor_close(*cursor);
        rc = MDB_BAD_DBI;
    }
    return rc && pylmdb_may_try_again(txn, dbi, &rc) ? mdb_cursor_open(txn, dbi, cursor) : rc;
}

/* Return 1 if an abort of this transaction takes the handle back. */
int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi)
{
    return dbi >= CORE_DBS && dbi < txn->mt_numdbs && (txn->mt_dbflags[dbi] & DB_DIRTY);
}

/* The names for which mdb_dbi_open() was called, as one bit each, at a hash of the name.
 * mdb_dbi_open() compares a name with those of all handles. A name whose bit is not set has
 * no handle, so these comparisons are left out. But the comparisons also find free slots, so
 * they are made if there are any. Like mdb_dbi_open(), this is for one thread at a time. */
enum { BITS_PER_NAME = 16 };

static int was_asked_for(MDB_env *env, const char *name, int note)
{
    struct env_extension *ext = extension_of(env);
    uint64_t hash = 14695981039346656037u;
    unsigned char *byte, bit;
    int was;

    if (!ext->asked_names) {
        ext->name_bits = ((size_t)env->me_maxdbs + 1) * BITS_PER_NAME;
        ext->asked_names = calloc(ext->name_bits / 8, 1);
        if (!ext->asked_names)
            return 1;
    }
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    hash = (hash ^ hash >> 32) % ext->name_bits;
    byte = &ext->asked_names[hash / 8];
    bit = (unsigned char)(1 << hash % 8);
    was = *byte & bit;
    if (note)
        *byte |= bit;
    return was;
}

/* Return the slot at which mdb_dbi_open() begins to compare names. */
static unsigned int first_possible_slot(MDB_txn *txn, const char *name)
{
    MDB_env *env = txn->mt_env;
    const int known = was_asked_for(env, name, 1);

    return known || extension_of(env)->has_free_slots || txn->mt_numdbs >= env->me_maxdbs
               ? CORE_DBS
               : txn->mt_numdbs;
}

static void free_asked_names(MDB_env *env)
{
    free(extension_of(env)->asked_names);
}

/* The names of retired handles whose slots are free again. An older transaction may be
 * comparing such a name, so they are freed when no such transaction is left. A database of
 * the same name that is opened again takes the name from here, so the list does not grow
 * while a reader stays open. */
struct retired_name {
    struct retired_name *next;
    char *name;
};

/* The head of the list is in a field of the environment that nothing else uses. */
static struct retired_name **retired_names(MDB_env *env)
{
    return (struct retired_name **)&env->me_dbxs[FREE_DBI].md_relctx;
}

static int retire_name(MDB_env *env, MDB_val *name)
{
    struct retired_name *retired = malloc(sizeof(*retired));

    if (!retired)
        return ENOMEM;
    retired->name = name->mv_data;
    retired->next = *retired_names(env);
    *retired_names(env) = retired;
    name->mv_data = NULL;
    return 0;
}

/* Take the first name out of a list. */
static char *take_name(struct retired_name **list)
{
    struct retired_name *taken = *list;
    char *name = taken->name;

    *list = taken->next;
    free(taken);
    return name;
}

/* Give a new handle, which no other thread knows yet, the retired name instead of its own
 * copy. */
static void reuse_retired_name(MDB_env *env, MDB_val *name)
{
    struct retired_name **list = retired_names(env);

    while (*list && strcmp((*list)->name, name->mv_data))
        list = &(*list)->next;
    if (*list) {
        free(name->mv_data);
        name->mv_data = take_name(list);
    }
}

/* An environment that could not be opened has no list any more. */
static void free_retired_names(MDB_env *env)
{
    while (env->me_flags & MDB_ENV_ACTIVE && *retired_names(env))
        free(take_name(retired_names(env)));
}

/* Do what the caller of mdb_dbi_open() must do for a new handle. */
static int reserve_slot(MDB_txn *txn, int rc, const char *name, MDB_dbi dbi)
{
    MDB_env *env = txn->mt_env;

    if (rc || !name || !(txn->mt_dbflags[dbi] & DB_NEW))
        return rc;
    reuse_retired_name(env, &env->me_dbxs[dbi].md_name);
    if (!(txn->mt_dbflags[dbi] & DB_DIRTY)) {
        env->me_dbflags[dbi] = txn->mt_dbs[dbi].md_flags | MDB_VALID;
        txn->mt_dbflags[dbi] &= ~DB_NEW;
    }
    if (env->me_numdbs <= dbi)
        env->me_numdbs = dbi + 1;
    return rc;
}

/* mdb_dbi_open() returns the first slot of the right name, even one that is invalid in this
 * transaction, as that of a database which the transaction has dropped. For the time of the
 * call such slots get the size of no name. */
static int hide_invalid(MDB_txn *txn, const char *name, MDB_dbi hidden[], int room)
{
    MDB_dbi i;
    int count = 0;

    for (i = CORE_DBS; i < txn->mt_numdbs && count < room; i++) {
        MDB_val *own = &txn->mt_dbxs[i].md_name;

        if (!(txn->mt_dbflags[i] & DB_VALID) && own->mv_size && own->mv_size != RETIRED &&
            !strcmp(own->mv_data, name)) {
            own->mv_size = RETIRED;
            hidden[count++] = i;
        }
    }
    return count;
}

/* Return 1 if the writer is creating a database of that name, which this transaction finds only
 * in its snapshot: another process has dropped that one since. A second slot would be published
 * beside the writer's, and roots would diverge in a later write transaction. */
static int writer_creates(MDB_txn *txn, const char *name)
{
    MDB_env *env = txn->mt_env;
    int creates = 0;
    MDB_dbi i;

    for (i = CORE_DBS; i < txn->mt_numdbs; i++) {
        const MDB_val *own = &txn->mt_dbxs[i].md_name;

        if (!own->mv_size || own->mv_size == RETIRED || strcmp(own->mv_data, name))
            continue;
        if (txn->mt_dbflags[i] & DB_VALID)
            return 0;
        creates = creates || !(env->me_dbflags[i] & MDB_VALID);
    }
    return creates;
}

/* A database that this transaction has dropped is created again, with the same flags. Its
 * slot, which mdb_drop() has emptied, is used again. As mdb_dbi_open() does for a new
 * database, this puts its record, and marks it to be written at commit. */
static int recreate(MDB_txn *txn, MDB_dbi dbi, unsigned int flags)
{
    MDB_val key = txn->mt_dbxs[dbi].md_name, data;
    MDB_db empty = txn->mt_dbs[dbi];
    MDB_cursor mc;
    int rc;

    if ((empty.md_flags ^ flags) & PERSISTENT_FLAGS)
        return MDB_NOTFOUND;
    if ((rc = mdb_get(txn, MAIN_DBI, &key, &data)) != MDB_NOTFOUND)
        return rc ? rc : MDB_NOTFOUND;
    data.mv_size = sizeof(empty);
    data.mv_data = &empty;
    mdb_cursor_init(&mc, txn, MAIN_DBI, NULL);
    WITH_CURSOR_TRACKING(mc, rc = _mdb_cursor_put(&mc, &key, &data, F_SUBDATA));
    if (!rc)
        txn->mt_dbflags[dbi] = DB_VALID | DB_USRVALID | DB_DIRTY | (txn->mt_dbflags[dbi] & DB_NEW);
    return rc;
}

#define MAX_HIDDEN 64

static int open_by_name(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi)
{
    MDB_env *env = txn->mt_env;
    MDB_dbi hidden[MAX_HIDDEN];
    int i, count = 0, rc;

    if (name && !(txn->mt_flags & MDB_TXN_BLOCKED)) {
        adopt_slots(txn);
        if (was_asked_for(env, name, 0)) {
            if (F_ISSET(txn->mt_flags, MDB_TXN_RDONLY) && writer_creates(txn, name))
                return MDB_NOTFOUND;
            count = hide_invalid(txn, name, hidden, MAX_HIDDEN);
        }
    }
    rc = count ? guarded_dbi_open(txn, name, flags & ~MDB_CREATE, dbi) : MDB_NOTFOUND;
    for (i = 0; i < count; i++) {
        env->me_dbxs[hidden[i]].md_name.mv_size = strlen(name) + NAME_NUL;
        if ((rc == MDB_NOTFOUND || rc == MDB_DBS_FULL) && (flags & MDB_CREATE) &&
            (txn->mt_dbflags[hidden[i]] & DB_STALE) && !(rc = recreate(txn, hidden[i], flags)))
            *dbi = hidden[i];
    }
    if (rc != MDB_NOTFOUND && rc != MDB_DBS_FULL)
        return reserve_slot(txn, rc, name, *dbi);
    count = count ? hide_invalid(txn, name, hidden, MAX_HIDDEN) : 0;
    rc = guarded_dbi_open(txn, name, flags, dbi);
    for (i = 0; i < count; i++)
        env->me_dbxs[hidden[i]].md_name.mv_size = strlen(name) + NAME_NUL;
    return reserve_slot(txn, rc, name, *dbi);
}

/* mdb_dbi_open() returns a handle that it knows without looking whether the database exists. */
int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi)
{
    int rc = open_by_name(txn, name, flags, dbi);

    if (!rc && name && (rc = adopt(txn, *dbi)) == PYLMDB_NOT_IN_SNAPSHOT)
        rc = MDB_NOTFOUND;
    return rc;
}

int pylmdb_env_open_main(MDB_env *env, unsigned int *flags, size_t *records)
{
    MDB_db dbs[CORE_DBS];
    MDB_txn txn;

    memset(&txn, 0, sizeof(txn));
    memcpy(dbs, mdb_env_pick_meta(env)->mm_dbs, sizeof(dbs));
    txn.mt_dbs = dbs;
    txn.mt_dbxs = env->me_dbxs;
    mdb_default_cmp(&txn, MAIN_DBI); /* needs no more of a transaction */
    *flags = dbs[MAIN_DBI].md_flags & PERSISTENT_FLAGS;
    *records = dbs[MAIN_DBI].md_entries;
    return 0;
}

/* Dropping a database.
 *
 * mdb_drop() closes the handle immediately, and the next database that is opened gets its
 * slot. But the transaction may be aborted, and other transactions may use the slot. Here the
 * handle only becomes invalid in this transaction (DB_STALE without
 * DB_VALID). DB_NEW stays, so that liblmdb takes back the slot of a database whose creation
 * is aborted. After the commit the slot is retired: its name gets a size that no name has, so
 * the slot is neither found nor free. Another database gets it when no transaction is alive
 * that could have known it, or when no other slot is left. In the latter case the caller
 * prevents older transactions from using the new handle.
 *
 * Emptying the main database frees the pages of the named databases too, so all of them
 * become invalid. */
static void invalidate(MDB_txn *txn, MDB_dbi dbi)
{
    txn->mt_dbflags[dbi] = DB_STALE | (txn->mt_dbflags[dbi] & DB_NEW);
}

/* Delete the record of a named database from the main database, and invalidate its handle. */
static int delete_name(MDB_txn *txn, MDB_dbi dbi)
{
    int rc = mdb_del0(txn, MAIN_DBI, &txn->mt_dbxs[dbi].md_name, NULL, F_SUBDATA);

    if (rc)
        txn->mt_flags |= MDB_TXN_ERROR;
    else
        invalidate(txn, dbi);
    return rc;
}

int pylmdb_safe_drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    int rc = guarded_drop(txn, dbi);
    MDB_dbi i;

    if (!rc && dbi == MAIN_DBI) {
        for (i = CORE_DBS; i < txn->mt_numdbs; i++)
            invalidate(txn, i);
    } else if (!rc && del) {
        rc = delete_name(txn, dbi);
    }
    return rc;
}

/* Renaming a database: its record in the main database moves to another key. The handle has the
 * old name, so it becomes invalid as after a drop, and the caller retires it after the commit. */
static int move_record(MDB_txn *txn, MDB_dbi dbi, const char *name)
{
    MDB_val key = {strlen(name) + NAME_NUL, (void *)name}, data;
    MDB_db record = txn->mt_dbs[dbi];
    MDB_cursor mc;
    int rc;

    data.mv_size = sizeof(record);
    data.mv_data = &record;
    mdb_cursor_init(&mc, txn, MAIN_DBI, NULL);
    WITH_CURSOR_TRACKING(mc, rc = _mdb_cursor_put(&mc, &key, &data, F_SUBDATA | MDB_NOOVERWRITE));
    return rc ? rc : delete_name(txn, dbi);
}

int pylmdb_dbi_rename(MDB_txn *txn, MDB_dbi dbi, const char *name)
{
    GUARDED(txn->mt_env, move_record(txn, dbi, name));
}

void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi)
{
    const size_t size = env->me_dbxs[dbi].md_name.mv_size;

    if (dbi >= CORE_DBS && dbi < env->me_numdbs && size && size != RETIRED) {
        env->me_dbflags[dbi] = 0;
        env->me_dbiseqs[dbi]++;
        env->me_dbxs[dbi].md_name.mv_size = RETIRED;
        extension_of(env)->has_retired = 1;
    }
}

void pylmdb_dbi_reclaim(MDB_env *env, int alone)
{
    struct env_extension *ext = extension_of(env);
    const int any = ext->has_retired;
    MDB_dbi i;

    ext->has_retired = 0;
    for (i = CORE_DBS; any && i < env->me_numdbs; i++) {
        MDB_val *name = &env->me_dbxs[i].md_name;

        if (name->mv_size != RETIRED)
            continue;
        if (retire_name(env, name)) {
            ext->has_retired = 1; /* no memory; the next call tries again */
        } else {
            name->mv_size = 0; /* now the slot is free for liblmdb */
            ext->has_free_slots = 1;
        }
    }
    if (alone)
        free_retired_names(env);
}

/* The table of handles.
 *
 * mdb_env_open() allocates arrays of me_maxdbs elements: three of the environment, and those that
 * follow the write transaction, which it allocates once. Read transactions and nested ones
 * allocate theirs when they begin, and refer to one of the environment's arrays. So all of them
 * can be made larger while no transaction is alive. */
static int grow_array(void **array, size_t size, MDB_dbi old, MDB_dbi count)
{
    char *grown = realloc(*array, size * count);

    if (!grown)
        return ENOMEM;
    memset(grown + size * old, 0, size * (count - old));
    *array = grown;
    return 0;
}

static int grow_writer(MDB_env *env, MDB_dbi count)
{
    MDB_txn *old = env->me_txn0, *txn;

    if (!old)
        return 0; /* the environment is read-only */
    txn = calloc(1, sizeof(*txn) +
                        count * (sizeof(MDB_db) + sizeof(MDB_cursor *) + sizeof(unsigned int) + 1));
    if (!txn)
        return ENOMEM;
    memcpy(txn, old, sizeof(*txn));
    txn->mt_dbs = (MDB_db *)(txn + 1);
    txn->mt_cursors = (MDB_cursor **)(txn->mt_dbs + count);
    txn->mt_dbiseqs = (unsigned int *)(txn->mt_cursors + count);
    txn->mt_dbflags = (unsigned char *)(txn->mt_dbiseqs + count);
    txn->mt_dbxs = env->me_dbxs;
#if MDB_VERSION_MAJOR > 0
    pthread_mutex_init(&txn->mt_child_mutex, NULL);
    pthread_mutex_destroy(&old->mt_child_mutex);
#endif
    free(old);
    env->me_txn0 = txn;
    return 0;
}

int pylmdb_env_grow_dbs(MDB_env *env, unsigned int dbs)
{
    const MDB_dbi old = env->me_maxdbs, count = dbs + CORE_DBS;

    /* What has grown when memory is missing for the rest does no harm. */
    if (count <= old || env->me_txn)
        return EINVAL;
    if (grow_array((void **)&env->me_dbxs, sizeof(*env->me_dbxs), old, count))
        return ENOMEM;
    if (env->me_txn0)
        env->me_txn0->mt_dbxs = env->me_dbxs;
    if (grow_array((void **)&env->me_dbflags, sizeof(*env->me_dbflags), old, count) ||
        grow_array((void **)&env->me_dbiseqs, sizeof(*env->me_dbiseqs), old, count) ||
        grow_writer(env, count))
        return ENOMEM;
    env->me_maxdbs = count;
    return 0;
}
