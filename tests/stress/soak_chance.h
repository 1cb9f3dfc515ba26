/*
 * soak_chance.h - what the soak's tasks draw: each has a state of its own, which comes from the seed.
 */
#ifndef RP_TESTS_SOAK_CHANCE_H
#define RP_TESTS_SOAK_CHANCE_H

#include <ringport.h>

/* splitmix64: sequences from seeds that follow each other have nothing to do with each other. */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15);

    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

/* 0 to limit - 1. */
static inline uint32_t below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(draw(state) % limit);
}

/* Up to a limit, small numbers as often as large ones. */
static inline uint32_t any_size(uint64_t *state, uint32_t limit)
{
    return below(state, limit >> below(state, 8) | 1);
}

static inline int64_t moment(uint64_t *state)
{
    return RP_USEC(below(state, 3000));
}

#endif
