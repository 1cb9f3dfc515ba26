/*
 * numbers.h - numbers as what is put into queues: for the tests of these.
 */
#ifndef RP_TESTS_NUMBERS_H
#define RP_TESTS_NUMBERS_H

#include "harness/harness.h"
#include "ringport/sync.h"

static inline void *item(size_t number)
{
    return (void *)(uintptr_t)number;
}

static inline size_t number(const void *pointer)
{
    return (size_t)(uintptr_t)pointer;
}

static inline void put(rp_queue *queue, size_t i)
{
    CHECK_INT(rp_queue_put_nowait(queue, item(i)), ==, 0);
}

static inline size_t get(rp_queue *queue)
{
    void *pointer = NULL;

    CHECK_INT(rp_queue_get_nowait(queue, &pointer), ==, 0);
    return number(pointer);
}

#endif
