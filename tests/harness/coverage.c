/*
 * coverage.c - for `make coverage`: what a process has run counts also if it ends by _exit(), abort() or a fault.
 *
 * gcov writes its counts at exit(). The linker leads these calls here first; signal() is among them because resetting
 * a signal is the last that the library does before it lets a fault end the process.
 */
#include <signal.h>

#include "harness/wrap.h"

void __gcov_dump(void);
void __gcov_reset(void);

WRAP(void, _exit, int status)
{
    __gcov_dump();
    __real__exit(status);
}

WRAP(void, abort, void)
{
    __gcov_dump();
    __real_abort();
}

WRAP(__sighandler_t, signal, int number, __sighandler_t handler)
{
    if (handler == SIG_DFL) {
        __gcov_dump();
        __gcov_reset(); /* without it nothing is written a second time */
    }
    return __real_signal(number, handler);
}
