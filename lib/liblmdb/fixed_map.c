/* SPDX-License-Identifier: MIT */
/* growth.c for builds where the map cannot grow in place: it has one size.  Included
 * by shim.c. */

void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed)
{
    (void)most;
    (void)reserve;
    (void)fixed;
    mdb_env_set_mapsize(env, start);
}

int pylmdb_env_limit(MDB_env *env, size_t size)
{
    (void)env;
    (void)size;
    return ENOSYS;
}

int pylmdb_env_replace_map(MDB_env *env, size_t size)
{
    return mdb_env_set_mapsize(env, size);
}

void pylmdb_env_widen(MDB_env *env, size_t most, int fixed)
{
    (void)env;
    (void)most;
    (void)fixed;
}

void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved)
{
    MDB_envinfo info;

    mdb_env_info(env, &info);
    *limit = *most = *reserved = info.me_mapsize;
}

size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part)
{
    (void)now;
    (void)most;
    (void)part;
    return needed;
}
