/* SPDX-License-Identifier: MIT */
/* Compiles only if pyconfig.h is right for the machine that is compiled for. */
#include "pyconfig.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define CHECK(macro, type) \
    _Static_assert((macro) == sizeof(type), #macro " is wrong for this machine")

CHECK(SIZEOF_DOUBLE, double);
CHECK(SIZEOF_FLOAT, float);
CHECK(SIZEOF_INT, int);
CHECK(SIZEOF_LONG, long);
CHECK(SIZEOF_LONG_DOUBLE, long double);
CHECK(SIZEOF_LONG_LONG, long long);
CHECK(SIZEOF_OFF_T, off_t);
CHECK(SIZEOF_PID_T, pid_t);
CHECK(SIZEOF_PTHREAD_T, pthread_t);
CHECK(SIZEOF_SHORT, short);
CHECK(SIZEOF_SIZE_T, size_t);
CHECK(SIZEOF_TIME_T, time_t);
CHECK(SIZEOF_UINTPTR_T, uintptr_t);
CHECK(SIZEOF_VOID_P, void *);
CHECK(SIZEOF_WCHAR_T, wchar_t);

_Static_assert(ALIGNOF_LONG == _Alignof(long), "ALIGNOF_LONG is wrong for this machine");
_Static_assert(ALIGNOF_SIZE_T == _Alignof(size_t), "ALIGNOF_SIZE_T is wrong for this machine");

#if defined(WORDS_BIGENDIAN) != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#error "WORDS_BIGENDIAN is wrong for this machine"
#endif
