/* SPDX-License-Identifier: MIT */
/* Handles of named databases: opening, adopting, dropping and retiring them.
 * Included by shim.c, after mdb.c. */

/* Database handles.
 *
 * liblmdb gives a new handle the slot mt_numdbs of the transaction that opens
 * it and publishes it in the environment when that transaction commits; two
 * transactions that open handles at once are given the same slot.  Three steps
 * remove that rule from our callers:
 *  - before opening, the transaction learns of all slots that are taken (adopt);
 *  - a handle to a database that exists is published at once (as mdb_txn_commit
 *    would), so that there is never a second slot for one database, whose two
 *    roots would go apart in a write transaction;
 *  - a handle to a database that the transaction has just created (DB_DIRTY),
 *    and that an abort takes back, only has its slot reserved (me_numdbs), and
 *    liblmdb publishes or frees it at the end; until then the slot is invalid in
 *    others, because me_dbflags has no MDB_VALID.
 * A stale handle (DB_STALE) is looked up by name in the transaction's own
 * snapshot at its first use, so adopting one is right whatever the snapshot's
 * age: a database that it does not have is PYLMDB_NOT_IN_SNAPSHOT. */
#define RETIRED ((size_t)-1) /* the size of no name; see pylmdb_safe_drop() */
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
    if (txn->mt_dbflags[dbi])
        return; /* it knows this one */
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
        return; /* it knows all; this is quicker than to look at each */
    for (i = CORE_DBS; i < env->me_numdbs; i++)
        adopt_slot(txn, i);
}

int pylmdb_txn_is_old(MDB_txn *txn)
{
    return F_ISSET(txn->mt_flags, MDB_TXN_RDONLY) &&
           txn->mt_txnid < mdb_env_pick_meta(txn->mt_env)->mm_txnid;
}

/* Lets a transaction use a handle that was opened after it began.  Without a lock, while another
 * thread may be opening a database: of the environment it reads what it has of this one slot,
 * which was complete before the caller had the number. */
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
        /* Looks the record up by name and clears DB_STALE if it is there. */
        mdb_cursor_init(&mc, txn, dbi, &mx);
        if (txn->mt_dbflags[dbi] & DB_STALE)
            rc = mdb_page_search(&mc, NULL, MDB_PS_ROOTONLY);
    }
    if (!(txn->mt_dbflags[dbi] & DB_STALE))
        return MDB_SUCCESS;
    txn->mt_dbflags[dbi] = 0;
    if (rc != MDB_BAD_DBI && rc != MDB_NOTFOUND && rc != MDB_INCOMPATIBLE)
        return rc; /* it cannot be told */
    return pylmdb_txn_is_old(txn) ? PYLMDB_NOT_IN_SNAPSHOT : PYLMDB_GONE;
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

/* A cursor looks its database up.  One that did not find it would only say so later. */
int pylmdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    int rc = mdb_cursor_open(txn, dbi, cursor);

    if (!rc && (txn->mt_dbflags[dbi] & DB_STALE)) {
        mdb_cursor_close(*cursor);
        rc = MDB_BAD_DBI;
    }
    return rc && pylmdb_may_try_again(txn, dbi, &rc) ? mdb_cursor_open(txn, dbi, cursor) : rc;
}

/* 1 if an abort of this transaction takes the handle back. */
int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi)
{
    return dbi >= CORE_DBS && dbi < txn->mt_numdbs && (txn->mt_dbflags[dbi] & DB_DIRTY);
}

/* Which names mdb_dbi_open() was asked for, as bits at a hash of the name.  It compares a
 * name with those of all handles; a name whose bit is new needs none of that.  What it
 * would also find are slots that are free, so with these it has to look.  Like
 * mdb_dbi_open() this is for one thread at a time. */
enum { BITS_PER_NAME = 16 };

static int was_asked_for(MDB_env *env, const char *name, int note)
{
    struct extra *extra = extra_of(env);
    uint64_t hash = 14695981039346656037u;
    unsigned char *byte, bit;
    int was;

    if (!extra->asked_names) {
        extra->name_bits = ((size_t)env->me_maxdbs + 1) * BITS_PER_NAME;
        extra->asked_names = calloc(extra->name_bits / 8, 1);
        if (!extra->asked_names)
            return 1;
    }
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    hash = (hash ^ hash >> 32) % extra->name_bits;
    byte = &extra->asked_names[hash / 8];
    bit = (unsigned char)(1 << hash % 8);
    was = *byte & bit;
    if (note)
        *byte |= bit;
    return was;
}

/* Where mdb_dbi_open() begins to compare. */
static unsigned int first_of_that_name(MDB_txn *txn, const char *name)
{
    MDB_env *env = txn->mt_env;
    const int known = was_asked_for(env, name, 1);

    return known || extra_of(env)->has_free_slots || txn->mt_numdbs >= env->me_maxdbs
               ? CORE_DBS : txn->mt_numdbs;
}

static void forget_names(MDB_env *env)
{
    free(extra_of(env)->asked_names);
}

/* Names of retired handles whose slots are free again.  A transaction that is older
 * can be comparing one, so they are freed when there is none; and a database that
 * comes back takes its own, so that they do not become more while a reader stays. */
struct forgotten_name {
    struct forgotten_name *next;
    char *name;
};

/* The list hangs on an environment where nothing else does. */
static struct forgotten_name **forgotten_names(MDB_env *env)
{
    return (struct forgotten_name **)&env->me_dbxs[FREE_DBI].md_relctx;
}

static int forget_name(MDB_env *env, MDB_val *name)
{
    struct forgotten_name *forgotten = malloc(sizeof(*forgotten));

    if (!forgotten)
        return ENOMEM;
    forgotten->name = name->mv_data;
    forgotten->next = *forgotten_names(env);
    *forgotten_names(env) = forgotten;
    name->mv_data = NULL;
    return 0;
}

/* Takes the first one out of a list. */
static char *take_name(struct forgotten_name **list)
{
    struct forgotten_name *taken = *list;
    char *name = taken->name;

    *list = taken->next;
    free(taken);
    return name;
}

/* The name of a handle that nobody else knows yet. */
static void take_forgotten(MDB_env *env, MDB_val *name)
{
    struct forgotten_name **list = forgotten_names(env);

    while (*list && strcmp((*list)->name, name->mv_data))
        list = &(*list)->next;
    if (*list) {
        free(name->mv_data);
        name->mv_data = take_name(list);
    }
}

/* An environment that could not be opened has none: what it had is freed. */
static void free_forgotten(MDB_env *env)
{
    while (env->me_flags & MDB_ENV_ACTIVE && *forgotten_names(env))
        free(take_name(forgotten_names(env)));
}

/* What the caller of mdb_dbi_open() has to do for a new handle. */
static int reserve_slot(MDB_txn *txn, int rc, const char *name, MDB_dbi dbi)
{
    MDB_env *env = txn->mt_env;

    if (rc || !name || !(txn->mt_dbflags[dbi] & DB_NEW))
        return rc;
    take_forgotten(env, &env->me_dbxs[dbi].md_name);
    if (!(txn->mt_dbflags[dbi] & DB_DIRTY)) {
        env->me_dbflags[dbi] = txn->mt_dbs[dbi].md_flags | MDB_VALID;
        txn->mt_dbflags[dbi] &= ~DB_NEW;
    }
    if (env->me_numdbs <= dbi)
        env->me_numdbs = dbi + 1;
    return rc;
}

/* mdb_dbi_open() takes the first slot of the right name for the one meant, also
 * one that is invalid in this transaction, such as that of a database which it
 * has dropped.  For the time of the call these have no name that could be
 * meant. */
static int hide_invalid(MDB_txn *txn, const char *name, MDB_dbi hidden[],
                        int room)
{
    MDB_dbi i;
    int count = 0;

    for (i = CORE_DBS; i < txn->mt_numdbs && count < room; i++) {
        MDB_val *own = &txn->mt_dbxs[i].md_name;

        if (!(txn->mt_dbflags[i] & DB_VALID) && own->mv_size &&
            own->mv_size != RETIRED && !strcmp(own->mv_data, name)) {
            own->mv_size = RETIRED;
            hidden[count++] = i;
        }
    }
    return count;
}

/* A database that this transaction has dropped comes back with the same flags:
 * its slot, which mdb_drop() has emptied, serves again.  What mdb_dbi_open() does
 * for a new one is to put its record, and to have it written at commit. */
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
        txn->mt_dbflags[dbi] = DB_VALID | DB_USRVALID | DB_DIRTY |
                               (txn->mt_dbflags[dbi] & DB_NEW);
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
        if (was_asked_for(env, name, 0))
            count = hide_invalid(txn, name, hidden, MAX_HIDDEN);
    }
    rc = count ? guarded_dbi_open(txn, name, flags & ~MDB_CREATE, dbi) : MDB_NOTFOUND;
    for (i = 0; i < count; i++) {
        env->me_dbxs[hidden[i]].md_name.mv_size = strlen(name) + NAME_NUL;
        if ((rc == MDB_NOTFOUND || rc == MDB_DBS_FULL) && (flags & MDB_CREATE) &&
            (txn->mt_dbflags[hidden[i]] & DB_STALE) &&
            !(rc = recreate(txn, hidden[i], flags)))
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

/* mdb_dbi_open() takes a handle that it knows without a look at the database. */
int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi)
{
    int rc = open_by_name(txn, name, flags, dbi);

    if (!rc && name && (rc = adopt(txn, *dbi)) == PYLMDB_NOT_IN_SNAPSHOT)
        rc = MDB_NOTFOUND;
    return rc;
}

/* Dropping a database.
 *
 * mdb_drop() closes the handle at once, though the transaction may be aborted
 * and though others may be using the slot, and gives the slot to the next
 * database that is opened.  Here it is only invalid for the transaction
 * (DB_STALE without DB_VALID); DB_NEW stays, so that liblmdb takes a slot back
 * whose creation is aborted.  After the commit the slot is retired: its name
 * gets a size that none has, so that it is neither found nor free.  It is given
 * to another database when no transaction is alive that could have known it, or
 * when there is no other slot: then the caller keeps older transactions away
 * from the new handle.
 *
 * Emptying the main database frees the pages of the named ones too, so all of
 * them are treated like the one that is dropped. */
static void invalidate(MDB_txn *txn, MDB_dbi dbi)
{
    txn->mt_dbflags[dbi] = DB_STALE | (txn->mt_dbflags[dbi] & DB_NEW);
}

int pylmdb_safe_drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    int rc = guarded_drop(txn, dbi);
    MDB_dbi i;

    if (!rc && dbi == MAIN_DBI) {
        for (i = CORE_DBS; i < txn->mt_numdbs; i++)
            invalidate(txn, i);
    } else if (!rc && del) {
        rc = mdb_del0(txn, MAIN_DBI, &txn->mt_dbxs[dbi].md_name, NULL, F_SUBDATA);
        if (rc)
            txn->mt_flags |= MDB_TXN_ERROR;
        else
            invalidate(txn, dbi);
    }
    return rc;
}

void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi)
{
    const size_t size = env->me_dbxs[dbi].md_name.mv_size;

    if (dbi >= CORE_DBS && dbi < env->me_numdbs && size && size != RETIRED) {
        env->me_dbflags[dbi] = 0;
        env->me_dbiseqs[dbi]++;
        env->me_dbxs[dbi].md_name.mv_size = RETIRED;
        extra_of(env)->has_retired = 1;
    }
}

void pylmdb_dbi_reclaim(MDB_env *env, int alone)
{
    struct extra *extra = extra_of(env);
    const int any = extra->has_retired;
    MDB_dbi i;

    extra->has_retired = 0;
    for (i = CORE_DBS; any && i < env->me_numdbs; i++) {
        MDB_val *name = &env->me_dbxs[i].md_name;

        if (name->mv_size != RETIRED)
            continue;
        if (forget_name(env, name)) {
            extra->has_retired = 1; /* there is no memory; the next time */
        } else {
            name->mv_size = 0; /* now liblmdb takes the slot for a free one */
            extra->has_free_slots = 1;
        }
    }
    if (alone)
        free_forgotten(env);
}
