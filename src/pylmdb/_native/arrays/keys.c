/* SPDX-License-Identifier: MIT */
/* Format numbers as keys. */
#include "arrays.h"

#include <string.h>

/* Write the digits of a number, from the last to the first; return how many. */
static size_t write_digits(unsigned long long number, char *end)
{
    size_t count = 0;

    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
        count++;
    } while (number);
    return count;
}

static char *write_number(long long number, size_t width, int zeros, char *out)
{
    const int negative = number < 0;
    const unsigned long long size =
        negative ? 0 - (unsigned long long)number : (unsigned long long)number;
    char digits[24], *const end = digits + sizeof(digits);
    const size_t count = write_digits(size, end), used = count + (size_t)negative;
    const size_t fill = used < width ? width - used : 0;

    if (!zeros) {
        memset(out, ' ', fill);
        out += fill;
    }
    if (negative)
        *out++ = '-';
    if (zeros) {
        memset(out, '0', fill);
        out += fill;
    }
    memcpy(out, end - count, count);
    return out + count;
}

size_t pylmdb_format_keys(const long long *numbers, size_t count, const char *prefix,
                          size_t prefix_size, const char *suffix, size_t suffix_size, size_t width,
                          int zeros, char *out, size_t *ends)
{
    char *at = out;
    size_t i;

    for (i = 0; i < count; i++) {
        memcpy(at, prefix, prefix_size);
        at = write_number(numbers[i], width, zeros, at + prefix_size);
        memcpy(at, suffix, suffix_size);
        at += suffix_size;
        ends[i] = (size_t)(at - out);
    }
    return (size_t)(at - out);
}
