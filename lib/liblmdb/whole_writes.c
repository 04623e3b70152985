/* SPDX-License-Identifier: MIT */
/* Writes that continue after a part was written. Included by shim.c, before mdb.c.
 *
 * When a disk becomes full, the system writes the first part of the data, and reports the
 * error only at the next write. mdb.c reports such a short write as EIO. Here the rest is
 * written again, which reports the true error. An interrupted write is repeated too. */

static ssize_t write_whole(int fd, const void *data, size_t size, off_t at)
{
    size_t done = 0;
    ssize_t written = 0;

    while (done < size) {
        written = pwrite(fd, (const char *)data + done, size - done, at + (off_t)done);
        if (written > 0)
            done += (size_t)written;
        else if (!written || errno != EINTR)
            break;
    }
    if (done < size && !written)
        errno = EIO;
    return done < size ? -1 : (ssize_t)done;
}

/* Write some of a list of pieces, or nothing. */
static ssize_t write_list(int fd, const struct iovec *list, int count, off_t at)
{
#if PYLMDB_HAS_PWRITEV
    return pwritev(fd, list, count, at);
#else
    (void)fd, (void)list, (void)count, (void)at;
    return 0; /* each piece is written by itself */
#endif
}

static ssize_t write_whole_list(int fd, struct iovec *list, int count, off_t at)
{
    ssize_t written = write_list(fd, list, count, at), all = 0;
    size_t done = written > 0 ? (size_t)written : 0;
    int i;

    if (written < 0 && errno != EINTR)
        return -1;
    for (i = 0; i < count; all += (ssize_t)list[i++].iov_len) {
        const size_t had = done < list[i].iov_len ? done : list[i].iov_len;

        if (had < list[i].iov_len && write_whole(fd, (char *)list[i].iov_base + had,
                                                 list[i].iov_len - had, at + all + (off_t)had) < 0)
            return -1;
        done -= had;
    }
    return all;
}
