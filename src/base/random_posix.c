/*
 * random_posix.c - a number that nobody can guess, of the kernel's.
 */
#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

uint64_t rp_random(void)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) /* the machine has just been started */
        number = (uint64_t)rp_clock_now() * 0x9e3779b97f4a7c15 ^ (uintptr_t)&number;
    return number;
}
