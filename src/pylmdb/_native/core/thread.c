/* SPDX-License-Identifier: MIT */
/* The threads that use transactions. */
#include "guard.h"

struct thread *this_thread(void)
{
    static unsigned long long last;
    static _Thread_local struct thread thread;

    if (!thread.number)
        thread.number = ++last; /* under the GIL */
    return &thread;
}

unsigned long long current_thread(void)
{
    return this_thread()->number;
}
