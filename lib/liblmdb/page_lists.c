/* SPDX-License-Identifier: MIT */
/* Search the lists of page numbers of a write transaction. Included by shim.c, before mdb.c. No
 * number occurs twice in them. */

/* The pages that the transaction has changed, the least number first; in place of
 * mdb_mid2l_search(). Each look-up of a page searches this list. The first and the last number
 * bound where a number can be: many pages follow each other, because they were taken from the end
 * of the file, or were freed together. Then nothing is left to search.
 *
 * Return the index of a page, counted from 1; if it is not in the list, that of the next one. */
static inline unsigned int search_dirty(const MDB_ID2 *pages, MDB_ID pgno)
{
    const size_t count = (size_t)pages[0].mid;
    size_t low, high;

    if (!count || pgno <= pages[1].mid)
        return 1;
    if (pgno > pages[count].mid)
        return (unsigned int)count + 1;
    /* at most as many pages are before it, and behind it, as there are numbers */
    high = pgno - pages[1].mid < count ? (size_t)(pgno - pages[1].mid) + 1 : count;
    low = pages[count].mid - pgno < count ? count - (size_t)(pages[count].mid - pgno) : 1;
    if (pages[low].mid >= pgno)
        return (unsigned int)low;
    if (pages[high - 1].mid < pgno)
        return (unsigned int)high;
    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (pages[middle].mid < pgno)
            low = middle + 1;
        else
            high = middle;
    }
    return (unsigned int)low;
}

/* The free pages, the greatest number first. Return the last index at which a run of pages ends
 * whose numbers follow each other, more of them before it; 0 if there is none.
 *
 * Where there is no run, the gap that is farthest from the end tells where the next one can end. So
 * a long run is sought in few steps, and not in one for each page. */
static unsigned int find_free_run(const MDB_ID *pages, unsigned int count, unsigned int more)
{
    unsigned int end = count;

    while (end > more) {
        unsigned int gap = end - more;

        if (pages[gap] == pages[end] + more)
            return end;
        while (pages[gap] == pages[gap + 1] + 1)
            gap++;
        end = gap;
    }
    return 0;
}
