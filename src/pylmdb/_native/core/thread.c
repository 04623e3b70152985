/* SPDX-License-Identifier: MIT */
/* The threads that use transactions. */
#include "core.h"

_Thread_local int thread_is_known;

/* Numbers of threads, never given twice: the system gives those of ended threads
 * to new ones. */
unsigned long long current_thread(void)
{
    static unsigned long long last;
    static _Thread_local unsigned long long number;

    if (!number)
        number = ++last; /* under the GIL */
    return number;
}
