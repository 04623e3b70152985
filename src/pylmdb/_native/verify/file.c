/* SPDX-License-Identifier: MIT */
/* Check a file as a whole: its format, its meta pages, then its trees. */
#include "format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct format formats[] = {
    {.version = 1, .header = 16, .base = 0, .overflow_ref = 8, .key_padding = 0, .max_page = 32768},
    {.version = 3,
     .header = 24,
     .base = 24,
     .overflow_ref = 24,
     .key_padding = 1,
     .max_page = 65536},
};

enum { HEAD = MAX_HEADER + META_SIZE };

static const uint32_t magic = 0xBEEFC0DE;
/* No machine commits more transactions than this. */
static const uint64_t max_txnid = (uint64_t)1 << 56;

/* Offsets in a meta page, from the end of its header. */
enum { AT_MAGIC = 0, AT_VERSION = 4, AT_RECORDS = 24, AT_LAST = 120, AT_TXNID = 128 };
enum { FIXED_ENCRYPTED = 0x2000 };

struct meta {
    int is_sound;
    unsigned int page_size, flags;
    uint64_t pages, txnid;
    unsigned char at[HEAD];
};

static void report_file(struct pylmdb_check *check, const char *text)
{
    report(check, PYLMDB_DAMAGE, PYLMDB_NO_TREE, PYLMDB_NO_PAGE, "%s", text);
}

/* ---- the format ---- */

static int has_magic(const unsigned char *head, size_t at, uint32_t value, uint32_t version)
{
    return get32(head + at) == value && (!version || get32(head + at + 4) == version);
}

static const struct format *format_in(const unsigned char *head)
{
    size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (has_magic(head, formats[i].header, magic, formats[i].version))
            return &formats[i];
    return NULL;
}

/* Find the format and the page size by either meta page; the second one is after a page of
 * unknown size. */
static const struct format *find_format(struct pylmdb_file *file, uint64_t size,
                                        unsigned int *page_size)
{
    unsigned char head[HEAD];
    const struct format *format;
    unsigned int at;

    if (read_file(file, 0, head, sizeof(head)) && (format = format_in(head)) != NULL) {
        *page_size = get32(head + format->header + AT_RECORDS);
        if (!(*page_size & (*page_size - 1)) && *page_size >= MIN_PAGE &&
            *page_size <= format->max_page)
            return format;
    }
    for (at = MIN_PAGE; at <= MAX_PAGE && at + sizeof(head) <= size; at *= 2)
        if (read_file(file, at, head, sizeof(head)) && (format = format_in(head)) != NULL &&
            get32(head + format->header + AT_RECORDS) == at && at <= format->max_page) {
            *page_size = at;
            return format;
        }
    return NULL;
}

/* Return why a file cannot be checked. */
static const char *why_unknown(struct pylmdb_file *file)
{
    const uint32_t other_order = 0xDEC0EFBE;
    unsigned char head[HEAD];

    if (!read_file(file, 0, head, sizeof(head)))
        return "it is too short to be an LMDB file";
    if (has_magic(head, 16, other_order, 0) || has_magic(head, 24, other_order, 0) ||
        has_magic(head, 12, other_order, 0))
        return "it was written by a machine with another byte order, and cannot be checked here";
    if (has_magic(head, 12, magic, 1) || has_magic(head, 16, magic, 3))
        return "it was written by a 32-bit program, and cannot be checked";
    if (has_magic(head, 16, magic, 0) || has_magic(head, 24, magic, 0))
        return "its format is unknown, or the first meta page is damaged";
    return "it is not an LMDB file: it has no meta page";
}

/* ---- meta pages ---- */

static void report_meta(struct pylmdb_check *check, unsigned int i, const char *text,
                        unsigned long long value)
{
    char filled[120];

    snprintf(filled, sizeof(filled), text, value);
    report(check, PYLMDB_DAMAGE, PYLMDB_NO_TREE, i, "it is a meta page, and %s", filled);
}

/* Whether a meta page has the right checksum, or needs none. */
static int meta_sum_is_right(struct pylmdb_check *check, unsigned int i)
{
    struct pylmdb_file *file = check->file;
    unsigned char *page;
    int is_right;

    if (!file->sum_size)
        return 1;
    if (!(page = malloc(file->page_size))) {
        file->failure = ENOMEM;
        return 0;
    }
    is_right = read_file(file, (uint64_t)i * file->page_size, page, file->page_size) &&
               pylmdb_meta_sum_is_right(page, file->page_size, i);
    free(page);
    return is_right;
}

static void read_meta(struct pylmdb_check *check, unsigned int i, struct meta *meta)
{
    struct pylmdb_file *file = check->file;
    const struct format *format = file->format;
    const unsigned char *at = meta->at + format->header;

    memset(meta, 0, sizeof(*meta));
    if (!read_file(file, (uint64_t)i * file->page_size, meta->at, format->header + META_SIZE)) {
        report_meta(check, i, "cannot be read", 0);
        return;
    }
    meta->page_size = get32(at + AT_RECORDS);
    meta->flags = get16(at + AT_RECORDS + 4);
    meta->pages = get64(at + AT_LAST) + 1;
    meta->txnid = get64(at + AT_TXNID);
    if (!meta_sum_is_right(check, i))
        report_meta(check, i, "has a wrong checksum", 0);
    else if (page_flags(format, meta->at) != META)
        report_meta(check, i, "has the flags 0x%04llx", page_flags(format, meta->at));
    else if (page_number(meta->at) != i)
        report_meta(check, i, "has the number %llu", page_number(meta->at));
    else if (!has_magic(at, AT_MAGIC, magic, format->version))
        report_meta(check, i, "has no magic number, or is of another format", 0);
    else if (meta->page_size != file->page_size)
        report_meta(check, i, "says that the page size is %llu", meta->page_size);
    else if (check->format == 3 && !meta->pages && meta->txnid == i)
        return; /* LMDB 1.0 has rolled its transaction back: the other meta page is the valid one */
    else if (meta->pages < META_PAGES || meta->pages > UINT64_MAX / MAX_PAGE)
        report_meta(check, i, "says that the last page is %llu", meta->pages - 1);
    else if (meta->txnid > max_txnid || (meta->txnid && meta->txnid % META_PAGES != i))
        report_meta(check, i, "has the transaction number %llu, which is not possible",
                    meta->txnid);
    else
        meta->is_sound = 1;
}

/* Return the sound meta page with the lower transaction number; NULL: only one is sound. */
static const struct meta *previous_meta(const struct meta *metas)
{
    if (metas[0].is_sound && metas[1].is_sound)
        return &metas[metas[0].txnid >= metas[1].txnid];
    return NULL;
}

/* Return the sound meta page with the highest transaction number, or NULL. */
static const struct meta *newest_meta(const struct meta *metas)
{
    if (metas[0].is_sound && metas[1].is_sound)
        return &metas[metas[0].txnid < metas[1].txnid];
    return metas[0].is_sound ? &metas[0] : metas[1].is_sound ? &metas[1] : NULL;
}

/* Whether a page of the file is a meta page that says that the file has our checksums. */
static int says_sums(struct pylmdb_file *file, uint64_t at)
{
    unsigned char page[META_SUM_END];

    return read_file(file, at, page, sizeof(page)) && pylmdb_meta_has_sum(page);
}

/* LMDB 1.0 can store a checksum after each page. The size of checksums is at the end of page
 * 0. Our checksums are checked, and those of other programs are not. */
static void note_checksums(struct pylmdb_check *check)
{
    struct pylmdb_file *file = check->file;
    uint16_t size = 0;

    if (check->format == 3 && pylmdb_has_xxh3() &&
        (says_sums(file, 0) || says_sums(file, file->page_size))) {
        check->has_sums = 1;
        file->sum_size = PAGE_SUM_SIZE;
        file->page_room -= file->sum_size;
        return;
    }
    if (check->format != 3 ||
        !read_file(file, (uint64_t)file->page_size - sizeof(size), &size, sizeof(size)) || !size ||
        size > file->page_size / 4)
        return;
    file->page_room -= size;
    report(check, PYLMDB_NOTE, PYLMDB_NO_TREE, PYLMDB_NO_PAGE,
           "its pages have checksums of size %u, which were not checked", size);
}

/* ---- the whole file ---- */

static int allocate_bitmaps(struct pylmdb_check *check)
{
    struct pylmdb_file *file = check->file;
    const uint64_t most_listed = check->file_size / sizeof(uint64_t);
    size_t words;

    file->size = check->file_size / file->page_size;
    file->pages = check->pages < file->size ? check->pages : file->size;
    /* Free pages may be past the file's end, but no more than its free list can name. */
    file->tracked = file->size + most_listed;
    if (file->tracked > check->pages)
        file->tracked = check->pages;
    words = (size_t)(file->tracked / 64 + 1);
    check->used = META_PAGES;
    file->used = calloc(words, sizeof(uint64_t));
    file->free = calloc(words, sizeof(uint64_t));
    if (file->used && file->free)
        return 1;
    file->failure = ENOMEM;
    return 0;
}

/* LMDB 1.0 refuses to open a file if the counts of pages in its first two records exceed the
 * number of pages. */
static void check_page_counts(struct pylmdb_check *check)
{
    const struct record free = get_record(check->trees[PYLMDB_FREE_TREE].record);
    const struct record main = get_record(check->trees[PYLMDB_MAIN_TREE].record);
    const uint64_t most = check->file->size;
    const uint64_t counts[] = {free.branch_pages, free.leaf_pages, free.large_pages,
                               main.branch_pages, main.leaf_pages, main.large_pages};
    uint64_t left = most - META_PAGES;
    size_t i;

    for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        if (counts[i] > left) {
            report_file(check, "the records of its trees say more pages than it has");
            return;
        }
        left -= counts[i];
    }
}

static void check_trees(struct pylmdb_check *check, const struct meta *meta)
{
    struct pylmdb_file *file = check->file;
    const struct bytes no_name = {(const unsigned char *)"", 0};
    const uint64_t where = meta->txnid % META_PAGES;
    int number;

    for (number = PYLMDB_FREE_TREE; number <= PYLMDB_MAIN_TREE; number++)
        if (add_tree(check, no_name,
                     meta->at + file->format->header + AT_RECORDS + number * RECORD_SIZE,
                     where) < 0)
            return;
    if (check->format == 3)
        check_page_counts(check);
    /* The walk of the main tree adds the named databases to the list. */
    for (number = 0; (size_t)number < check->tree_count && !file->failure; number++)
        check_tree(check, number);
    give_records(file);
}

static void check_file(struct pylmdb_check *check)
{
    struct pylmdb_file *file = check->file;
    struct meta metas[META_PAGES];
    const struct meta *meta;
    unsigned int i;

    file->format = find_format(file, check->file_size, &file->page_size);
    if (!file->format) {
        report_file(check, why_unknown(file));
        return;
    }
    check->format = file->format->version;
    check->page_size = file->page_size;
    file->page_room = file->page_size;
    file->max_node_size = ((file->page_size - file->format->header) / 2 & ~1u) - 2;
    note_checksums(check);
    for (i = 0; i < META_PAGES; i++)
        read_meta(check, i, &metas[i]);
    if (!(meta = check->previous ? previous_meta(metas) : newest_meta(metas))) {
        report_file(check, check->previous ? "one of its meta pages cannot be used"
                                           : "neither of its meta pages can be used");
        return;
    }
    if (check->format == 3 && (metas[0].flags | meta->flags) & FIXED_ENCRYPTED) {
        report_file(check, "it is encrypted, and cannot be checked");
        return;
    }
    check->pages = meta->pages;
    check->txnid = meta->txnid;
    if (!allocate_bitmaps(check))
        return;
    check_trees(check, meta);
    if (!file->failure)
        check_unused_pages(check);
}

static int file_length(int fd, uint64_t *size)
{
    const off_t end = lseek(fd, 0, SEEK_END);

    *size = (uint64_t)end;
    return end < 0 ? errno : 0;
}

int pylmdb_verify(int fd, struct pylmdb_check *check, pylmdb_on_pages on_pages,
                  pylmdb_on_records on_records, void *context)
{
    struct pylmdb_file file = {
        .fd = fd, .on_pages = on_pages, .on_records = on_records, .context = context};
    size_t i;

    check->findings = calloc(check->most_findings + 1, sizeof(*check->findings));
    if (!check->findings)
        return ENOMEM;
    file.failure = file_length(fd, &check->file_size);
    check->file = &file;
    if (!file.failure)
        check_file(check);
    if (!file.failure && on_pages && on_pages(context, file.tracked, file.tracked))
        file.failure = ECANCELED;
    check->file = NULL;
    for (i = 0; i < sizeof(file.levels) / sizeof(*file.levels); i++)
        free(file.levels[i]);
    free_batch(&file);
    if (file.sum)
        pylmdb_sum_free(file.sum);
    free(file.used);
    free(file.free);
    return file.failure;
}

void pylmdb_verify_free(struct pylmdb_check *check)
{
    size_t i;

    for (i = 0; i < check->tree_count; i++)
        free(check->trees[i].name);
    free(check->trees);
    free(check->findings);
}

/* Read the meta page of the newest transaction: its number, and how many bytes the file must have
 * for it; both are 0 if they are unknown. */
static void read_newest(int fd, uint64_t *newest, uint64_t *claimed)
{
    struct pylmdb_file file = {.fd = fd};
    unsigned char head[HEAD];
    uint64_t size, txnid;
    unsigned int i, page_size;
    const struct format *format;

    *newest = *claimed = 0;
    if (file_length(fd, &size) || !(format = find_format(&file, size, &page_size)))
        return;
    for (i = 0; i < META_PAGES; i++) {
        if (!read_file(&file, (uint64_t)i * page_size, head, sizeof(head)))
            continue;
        txnid = get64(head + format->header + AT_TXNID);
        if (txnid < *newest)
            continue;
        *newest = txnid;
        *claimed = (get64(head + format->header + AT_LAST) + 1) * page_size;
    }
}

uint64_t pylmdb_newest_txnid(int fd)
{
    uint64_t newest, claimed;

    read_newest(fd, &newest, &claimed);
    return newest;
}

uint64_t pylmdb_claimed_size(int fd)
{
    uint64_t newest, claimed;

    read_newest(fd, &newest, &claimed);
    return claimed;
}

/* Find the page size of a file with our checksums, by either meta page; 0: it has none. */
static unsigned int page_size_with_sums(struct pylmdb_file *file)
{
    unsigned char head[HEAD];
    unsigned int size;

    for (size = MIN_PAGE; size <= MAX_PAGE; size *= 2)
        if (says_sums(file, size))
            return size;
    if (!says_sums(file, 0) || !read_file(file, 0, head, sizeof(head)))
        return 0;
    size = get32(head + MAX_HEADER + AT_RECORDS);
    return size >= MIN_PAGE && size <= MAX_PAGE ? size : 0;
}

int pylmdb_damaged_meta(int fd)
{
    struct pylmdb_file file = {.fd = fd};
    struct pylmdb_check check = {.file = &file};
    int i;

    if (!pylmdb_has_xxh3() || !(file.page_size = page_size_with_sums(&file)))
        return -1;
    file.sum_size = PAGE_SUM_SIZE;
    for (i = 0; i < META_PAGES; i++)
        if (!meta_sum_is_right(&check, (unsigned int)i) && !file.failure)
            return i;
    return -1;
}
