/* SPDX-License-Identifier: MIT */
/* Choose the addresses of maps. Included by shim.c, after mdb.c and before growth.c.
 *
 * A map is extended at its end, because its content must keep its addresses. So each map is
 * placed where the addresses after it are free: in a range of addresses that the system gives
 * out only on request, as far from other maps as possible. The addresses after a map are not
 * reserved, so they cost nothing: limits of the process, core dumps and monitors see only
 * what is mapped. The nth map is placed in the middle between two others, so all maps have
 * about the same room to grow. With 2,000 maps this is 16 GiB for each map where there are
 * 128 TiB of addresses, and 64 MiB where there are 512 GiB.
 *
 * If another mapping follows a map nevertheless, growth.c moves the map when no transaction
 * and no view uses it. */

#include <sys/resource.h>

enum { ADDRESS_SLOT_BITS = 16, ADDRESS_SLOTS = 1 << ADDRESS_SLOT_BITS, SLOT_TRIES = 16 };

/* Maps begin at multiples of this. At a fault Linux maps all cached pages of the aligned 64 kB
 * around the address, and maps 2 MB at once where the file is cached in such pieces. */
enum { MAP_ALIGNMENT = 2 << 20 };

/* Which slots are taken, the first one that may be free, and how many bytes are mapped. */
static unsigned char slot_is_taken[ADDRESS_SLOTS];
static unsigned int first_free_slot;
static size_t total_mapped;
static pthread_mutex_t addresses_guard = PTHREAD_MUTEX_INITIALIZER;
/* held by a thread that extends a map */
static pthread_mutex_t growth_guard = PTHREAD_MUTEX_INITIALIZER;

/* Return how many bits an address has. All addresses are below a power of two, and on most systems
 * the stack is near the highest. */
static unsigned int address_bits(void)
{
    const char here = 0;
    const uintptr_t address = (uintptr_t)&here;
    unsigned int bits = PYLMDB_ADDRESS_BITS;

    while (bits < sizeof(address) * CHAR_BIT && address >> bits)
        bits++;
    return bits;
}

/* Return half of the addresses. What is mapped before it is needed must leave the other half. */
static size_t half_of_addresses(void)
{
    const size_t half = (size_t)1 << (address_bits() - 1);
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur / 2 > half)
        return half;
    return (size_t)(limit.rlim_cur / 2);
}

/* Return how many bytes one environment may map before it needs them. */
static size_t may_map_ahead(void)
{
    const size_t half = half_of_addresses();
    const size_t used = __atomic_load_n(&total_mapped, __ATOMIC_RELAXED);

    return used < half ? (half - used) / 16 : 0;
}

static void count_mapped(size_t more, size_t less)
{
    __atomic_add_fetch(&total_mapped, more - less, __ATOMIC_RELAXED);
}

/* Return the address of a slot. The slots of this engine share a quarter of all addresses,
 * after the first eighth; those of the other engine share the next quarter. The bits of the
 * slot's number in reverse order halve the distances between slots again and again. */
static char *address_of_slot(unsigned int slot)
{
    const unsigned int bits = address_bits();
    const size_t quarter = (size_t)1 << (bits - 2), distance = quarter >> ADDRESS_SLOT_BITS;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t alignment = distance < MAP_ALIGNMENT ? page : MAP_ALIGNMENT;
    /* another one in each process, where the system loads this code at random addresses */
    const size_t shift = (uintptr_t)&slot_is_taken % distance;
    size_t at = quarter / 2 + (MDB_VERSION_MAJOR > 0 ? quarter : 0) + shift;
    unsigned int i;

    for (i = 0; i < ADDRESS_SLOT_BITS; i++)
        if (slot >> i & 1)
            at += quarter >> (i + 1);
    return (char *)(at & ~(alignment - 1));
}

static void release_address(unsigned int slot)
{
    if (!slot)
        return;
    pthread_mutex_lock(&addresses_guard);
    slot_is_taken[slot - 1] = 0;
    if (first_free_slot > slot - 1)
        first_free_slot = slot - 1;
    pthread_mutex_unlock(&addresses_guard);
}

/* Map a file at the address of a free slot, or, if there is none, where the system chooses.
 * *slot is the number of the slot, counted from 1; 0: none. */
static void *map_at_free_slot(size_t size, int prot, int flags, int fd, unsigned int *slot)
{
    void *map = MAP_FAILED;
    unsigned int i, tries = 0;

    *slot = 0;
    pthread_mutex_lock(&addresses_guard);
    while (first_free_slot < ADDRESS_SLOTS && slot_is_taken[first_free_slot])
        first_free_slot++;
    for (i = first_free_slot; i < ADDRESS_SLOTS && tries < SLOT_TRIES && !*slot; i++) {
        char *wanted = address_of_slot(i);

        if (slot_is_taken[i])
            continue;
        tries++;
        map = mmap(wanted, size, prot, flags, fd, 0);
        if (map == MAP_FAILED)
            break; /* the address was not the reason */
        if (map == wanted) {
            slot_is_taken[i] = 1;
            *slot = i + 1;
        } else if (tries < SLOT_TRIES) {
            (void)munmap(map, size);
            map = MAP_FAILED;
        }
    }
    pthread_mutex_unlock(&addresses_guard);
    return *slot || map != MAP_FAILED ? map : mmap(NULL, size, prot, flags, fd, 0);
}
