/*
 * random.h - a number that nobody can guess.
 */
#ifndef RP_BASE_RANDOM_H
#define RP_BASE_RANDOM_H

#include <stdint.h>

/* Never fails, and never blocks: where the system has no such number, it is made of the time. Any thread. */
uint64_t rp_random(void);

#endif
