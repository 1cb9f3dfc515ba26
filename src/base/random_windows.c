/*
 * random_windows.c - a number that nobody can guess, of the C library's, which asks the system.
 */
#define _CRT_RAND_S
#include <stdlib.h>

#include "base/random.h"

#include "base/clock.h"

uint64_t rp_random(void)
{
    unsigned low, high;

    if (rand_s(&low) != 0 || rand_s(&high) != 0)
        return (uint64_t)rp_clock_now() * 0x9e3779b97f4a7c15 ^ (uintptr_t)&low;
    return (uint64_t)high << 32 | low;
}
