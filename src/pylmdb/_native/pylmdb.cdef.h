/* SPDX-License-Identifier: MIT */
/* What shim.h and helpers.h add to liblmdb, as cffi reads it. */

int pylmdb_has_shim(void);
const void *pylmdb_engine_table(void);
int pylmdb_txn_is_changed(MDB_txn *txn);
int pylmdb_txn_is_old(MDB_txn *txn);
int pylmdb_txn_adopt(MDB_txn *txn, MDB_dbi dbi);
int pylmdb_cursor_next_db(MDB_cursor *cursor, char *name, size_t *size, int *sure);
void pylmdb_env_abandon(MDB_env *env);
int pylmdb_txn_go_back(MDB_txn *txn, const MDB_txn *inherited);
int pylmdb_cursor_go_on(MDB_cursor *cursor, const MDB_cursor *inherited);

int pylmdb_env_check(MDB_env *env);
void pylmdb_env_guard(MDB_env *env);
struct pylmdb_opening {
    int step;
    ...;
};
int pylmdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode,
                    struct pylmdb_opening *noted);
void pylmdb_remove_made(const struct pylmdb_opening *noted, const char *data_file,
                        const char *lock_file);
void pylmdb_env_opened(MDB_env *env);
int pylmdb_env_number(MDB_env *env);
int pylmdb_env_process(MDB_env *env, int number);
void pylmdb_env_forget_slots(MDB_env *env, unsigned int count);
int pylmdb_env_join(MDB_env *env);
int pylmdb_env_discard_locks(MDB_env *env);
static const int PYLMDB_OTHER_FILE;
static const int PYLMDB_CHECKSUMS;
static const int PYLMDB_GONE;
void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed);
int pylmdb_env_limit(MDB_env *env, size_t size);
int pylmdb_env_replace_map(MDB_env *env, size_t size);
int pylmdb_env_make_room(MDB_env *env, int alone);
void pylmdb_env_named(MDB_env *env, const char *path);
void pylmdb_env_widen(MDB_env *env, size_t most, int fixed);
void pylmdb_env_guard_reads(MDB_env *env, int guard);
int pylmdb_env_is_cut(MDB_env *env);
const void *pylmdb_own_code(size_t *size);
void pylmdb_guard_code(const void *code, size_t size);
void pylmdb_touch(const void *data, size_t size);
int pylmdb_env_alone(MDB_env *env, int alone);
void pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd);
void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved);
size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part);
int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                           int op);

int pylmdb_get(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const char *key, size_t key_size, MDB_val *value);
int pylmdb_put(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const char *key, size_t key_size,
               const char *value, size_t value_size, unsigned int flags);
int pylmdb_del(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
               const char *key, size_t key_size,
               const char *value, size_t value_size);
int pylmdb_cursor_seek(MDB_cursor *cursor, unsigned int dbflags,
                       const char *key, size_t key_size,
                       const char *value, size_t value_size, int op,
                       MDB_val *found_key, MDB_val *found_value);
int pylmdb_cursor_put(MDB_cursor *cursor, unsigned int dbflags,
                      const char *key, size_t key_size,
                      const char *value, size_t value_size,
                      unsigned int flags);
int pylmdb_cursor_continue(MDB_cursor *cursor, unsigned int dbflags,
                           const char *key, size_t key_size,
                           const char *value, size_t value_size, int op,
                           MDB_val *found_key, MDB_val *found_value);
struct pylmdb_stand;
struct pylmdb_stand *pylmdb_stand_new(MDB_txn *txn);
void pylmdb_stand_free(struct pylmdb_stand *stand);
void pylmdb_stand_forget(struct pylmdb_stand *stand);
int pylmdb_stand_note(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor);
int pylmdb_stand_move(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor,
                      unsigned int dbflags, int op, MDB_val *found_key, MDB_val *found_value);
int pylmdb_stand_count(struct pylmdb_stand *stand, size_t writes, MDB_cursor *cursor,
                       unsigned int dbflags, int positioned, size_t *count);
int pylmdb_cursor_del(MDB_cursor *cursor, unsigned int dbflags,
                      unsigned int flags, MDB_val *found_key,
                      MDB_val *found_value, int *deleted);
int pylmdb_may_be_open(int lock_fd, int data_fd);
int pylmdb_has_descriptor(unsigned long long device, unsigned long long inode);
int pylmdb_pages_freed(MDB_txn *txn, size_t since, size_t *pages);
struct pylmdb_pool {
    int keep;
    ...;
};
struct pylmdb_pool *pylmdb_pool_new(MDB_env *env, int keep);
void pylmdb_pool_release(struct pylmdb_pool *pool);
int pylmdb_pool_live(const struct pylmdb_pool *pool);
struct pylmdb_opened {
    MDB_dbi dbi;
    unsigned int flags;
    int pending;
};
int pylmdb_open_db(struct pylmdb_pool *pool, MDB_txn *txn, const char *name,
                   unsigned int flags, int live, struct pylmdb_opened *opened);
void pylmdb_pool_drain(struct pylmdb_pool *pool);
struct pylmdb_txn {
    MDB_txn *ptr;
    int code;
    ...;
};
int pylmdb_begin(struct pylmdb_txn *txn, struct pylmdb_pool *pool,
                 MDB_txn *parent, unsigned int flags, int wait_ms);
int pylmdb_begin_reader(struct pylmdb_txn *txn, struct pylmdb_pool *pool,
                        int wait_ms);
void pylmdb_end_reader(struct pylmdb_txn *txn);
void pylmdb_abort(struct pylmdb_txn *txn);
void pylmdb_commit(struct pylmdb_txn *txn, MDB_env *env,
                   unsigned int sync_flags);
void pylmdb_env_end(MDB_env **env);
int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags,
                      int wait_ms);
int pylmdb_drop(MDB_txn *txn, MDB_dbi dbi, int del);
void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi);
void *pylmdb_env_map(MDB_env *env, size_t *size);

int pylmdb_check_widths(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *key,
                        const MDB_val *value);
struct pylmdb_keys {
    const char *bytes;
    const size_t *ends;
    size_t count, width;
};
size_t pylmdb_format_keys(const long long *numbers, size_t count, const char *prefix,
                          size_t prefix_size, const char *suffix, size_t suffix_size,
                          size_t width, int zeros, char *out, size_t *ends);
int pylmdb_take(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                const struct pylmdb_keys *keys, size_t size, char *out, ptrdiff_t stride,
                int threads, char *absent, size_t *bad, size_t *bad_size);
struct pylmdb_record {
    MDB_val key, value;
};
struct pylmdb_records {
    struct pylmdb_record *records;
    size_t count, room;
};
int pylmdb_scan(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                const MDB_val *stop, struct pylmdb_records *out);
void pylmdb_scan_free(struct pylmdb_records *records);
int pylmdb_count_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                        size_t key_size, size_t *count, size_t *size);
int pylmdb_copy_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                       size_t key_size, char *out, size_t count, size_t *size);
int pylmdb_copy_rows(MDB_env *env, const MDB_val *rows, size_t count, size_t size, char *out,
                     ptrdiff_t stride, int threads);
int pylmdb_read_ahead(const MDB_val *rows, size_t count);
int pylmdb_locate(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                  const struct pylmdb_keys *keys, MDB_val *out, size_t *bad);
int pylmdb_copy_numbered(MDB_env *env, const char *base, const size_t *addresses, size_t count,
                         const long long *numbers, size_t wanted, size_t size, char *out,
                         ptrdiff_t stride, int threads, size_t *bad);
int pylmdb_reserve(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, size_t size, unsigned int flags, void **out);
int pylmdb_put_rows(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                    const struct pylmdb_keys *keys, const char *values, ptrdiff_t stride,
                    size_t size, unsigned int flags, size_t *written, size_t *bad);
int pylmdb_append(MDB_txn *txn, MDB_dbi dbi, const MDB_val *records, size_t count, size_t *done);

struct pylmdb_source {
    MDB_cursor *cursor;
    int (*move)(struct pylmdb_source *source);
    int plain_only;
    MDB_val key, value;
};
struct pylmdb_merge {
    struct pylmdb_source *sources;
    size_t count;
    size_t *heap;
    size_t size;
    int on_conflict;
    int append;
    size_t key_size;
    size_t read, written, bytes;
    size_t at, other;
    MDB_val key, value;
    size_t last;
};
int pylmdb_source_move(struct pylmdb_source *source);
int pylmdb_merge_begin(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                       struct pylmdb_merge *merge);
int pylmdb_merge_some(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                      struct pylmdb_merge *merge, size_t limit);

struct pylmdb_finding {
    int severity;
    int tree;
    uint64_t page;
    char text[...];
};
struct pylmdb_tree_check {
    unsigned char *name;
    size_t name_size;
    unsigned int flags, depth;
    uint64_t entries, readable;
    uint64_t branch_pages, leaf_pages, large_pages;
    uint64_t damaged;
    ...;
};
struct pylmdb_check {
    unsigned int format, page_size;
    uint64_t txnid;
    uint64_t file_size;
    uint64_t pages;
    uint64_t used, free, leaked;
    size_t damages, notes;
    size_t kept, most_findings;
    struct pylmdb_finding *findings;
    struct pylmdb_tree_check *trees;
    size_t tree_count;
    ...;
};
typedef int (*pylmdb_on_pages)(void *context, uint64_t done, uint64_t total);
int pylmdb_verify(int fd, struct pylmdb_check *check, pylmdb_on_pages on_pages, void *context);
void pylmdb_verify_free(struct pylmdb_check *check);
uint64_t pylmdb_newest_txnid(int fd);

static const int PYLMDB_MISFIT;
static const int PYLMDB_ETIMEDOUT;
static const int PYLMDB_MAX_IDLE;
#define PYLMDB_OPEN_DATA_FILE ...
#define PYLMDB_OPEN_LOCK_FILE ...
#define PYLMDB_LOCK_LOCK_FILE ...
#define PYLMDB_MAP_DATA_FILE ...
#define PYLMDB_MAP_LOCK_FILE ...
static char *const PYLMDB_VERSION_STRING;

extern "Python" int pylmdb_on_reader_line(const char *line, void *ctx);
extern "Python" int pylmdb_on_verified(void *context, uint64_t done, uint64_t total);
