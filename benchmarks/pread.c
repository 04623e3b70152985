/* SPDX-License-Identifier: MIT */
/* Threads that read pages of a file with pread(), for cold.py: what the disk gives to a program
 * that has no file format and knows where everything is. */
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

enum { MAX_THREADS = 64, PAGE = 4096 };

struct part {
    int fd, failed;
    const long long *offsets;
    size_t count, first, step;
};

static void *read_part(void *object)
{
    struct part *part = object;
    char page[PAGE];
    size_t i;

    for (i = part->first; i < part->count; i += part->step)
        part->failed |= pread(part->fd, page, PAGE, (off_t)part->offsets[i]) != PAGE;
    return NULL;
}

/* Read a page at each offset. Returns 0 if all of them could be read. */
int read_pages(int fd, const long long *offsets, size_t count, int threads)
{
    struct part parts[MAX_THREADS];
    pthread_t running[MAX_THREADS];
    int i, started = 0, failed = 0;

    for (i = 0; i < threads && i < MAX_THREADS; i++) {
        parts[i] = (struct part){fd, 0, offsets, count, (size_t)i, (size_t)threads};
        if (pthread_create(&running[i], NULL, read_part, &parts[i]))
            break;
        started++;
    }
    for (i = 0; i < started; i++) {
        pthread_join(running[i], NULL);
        failed |= parts[i].failed;
    }
    return failed || started < threads;
}
