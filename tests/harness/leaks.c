/*
 * leaks.c - what a test leaves behind: heap blocks, counted by an allocator of our own, and what process.h finds open.
 */
#include "harness/leaks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/names.h"
#include "harness/process.h"

enum {
    TRACE_DEPTH = 16,
    LOOKS = 3000, /* 10 ms apart, with threads that do not end */
};

/* ---- memory: every block carries a header, by which it is listed while it lives ---- */

typedef struct test_block {
    _Alignas(max_align_t) rp_node link;
    size_t size;
    uint64_t number;
    int trace_depth;
    void *trace[TRACE_DEPTH];
} test_block;

static struct {
    pthread_mutex_t mutex;
    rp_node blocks;
    uint64_t live;
    uint64_t allocated;
    uint64_t failing; /* the number of the allocation that is to fail; 0: none */
    bool traced;
} memory = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void leaks_lock(void)
{
    pthread_mutex_lock(&memory.mutex);
}

void leaks_unlock(void)
{
    pthread_mutex_unlock(&memory.mutex);
}

static void *counting_malloc(size_t size, void *data)
{
    test_block *block = NULL;

    (void)data;
    leaks_lock();
    if (++memory.allocated != memory.failing && size <= SIZE_MAX - sizeof *block)
        block = malloc(sizeof *block + size);
    if (block) {
        block->size = size;
        block->number = memory.allocated;
        block->trace_depth = memory.traced ? rp_origin_backtrace(block->trace, TRACE_DEPTH) : 0;
        rp_list_push(&memory.blocks, &block->link);
        memory.live++;
    }
    leaks_unlock();
    return block ? block + 1 : NULL;
}

/* Overwritten before it is freed, so that who still uses it finds out. */
static void counting_free(void *freed, void *data)
{
    test_block *block = (test_block *)freed - 1;

    (void)data;
    leaks_lock();
    rp_list_remove(&block->link);
    memory.live--;
    leaks_unlock();
    memset(block, 0xdd, sizeof *block + block->size);
    free(block);
}

/* Always moves: a pointer into the old block that was kept is then surely wrong. */
static void *counting_realloc(void *old, size_t size, void *data)
{
    size_t old_size = ((test_block *)old - 1)->size;
    void *new = counting_malloc(size, data);

    if (!new)
        return NULL;
    memcpy(new, old, size < old_size ? size : old_size);
    counting_free(old, data);
    return new;
}

static void count_memory(void)
{
    static const rp_allocator counting = {counting_malloc, counting_realloc, counting_free, NULL};

    rp_list_init(&memory.blocks);
    memory.live = memory.allocated = memory.failing = 0;
    memory.traced = getenv("RP_TEST_TRACE") != NULL;
    rp_set_allocator(&counting);
}

void test_fail_allocation(uint64_t nth)
{
    leaks_lock();
    memory.failing = nth ? memory.allocated + nth : 0;
    leaks_unlock();
}

bool test_allocation_failed(void)
{
    bool failed;

    leaks_lock();
    failed = memory.failing && memory.allocated >= memory.failing;
    leaks_unlock();
    return failed;
}

static uint64_t counter(const uint64_t *value)
{
    uint64_t read;

    leaks_lock();
    read = *value;
    leaks_unlock();
    return read;
}

uint64_t test_live_allocations(void)
{
    return counter(&memory.live);
}

uint64_t test_allocations(void)
{
    return counter(&memory.allocated);
}

/* Describes the blocks that live, by the oldest one. */
static void describe_memory(char *text, size_t size)
{
    test_block *first;

    leaks_lock();
    first = rp_container_of(memory.blocks.next, test_block, link);
    snprintf(text, size, "memory leaked: %llu blocks, the first of %zu bytes (allocation %llu%s)",
             (unsigned long long)memory.live, first->size, (unsigned long long)first->number,
             memory.traced ? ", from where the output shows" : "; RP_TEST_TRACE=1 shows from where");
    if (memory.traced)
        rp_origin_print(stderr, first->trace, first->trace_depth);
    leaks_unlock();
}

/* ---- both ---- */

void leaks_begin(void)
{
    process_note_open();
    count_memory();
}

/* Threads that are on their way out may still hold something. */
bool leaks_find(char *text, size_t size)
{
    bool open;

    for (int looks = 0;; looks++) {
        bool last_look = looks == LOOKS || process_threads_ended();

        open = process_left_open(text, size);
        if (!open && test_live_allocations() == 0)
            return false;
        if (last_look)
            break;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    if (!open)
        describe_memory(text, size);
    return true;
}
