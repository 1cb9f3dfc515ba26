/*
 * leaks.c - what a test leaves behind: heap blocks, counted by an allocator of our own, and descriptors, by
 * comparing those open before and after.
 */
#include "leaks.h"

#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/origin.h"
#include "harness.h"

enum { MAX_FDS = 4096, TRACE_DEPTH = 16 };

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

static void lock_memory(void)
{
    pthread_mutex_lock(&memory.mutex);
}

static void unlock_memory(void)
{
    pthread_mutex_unlock(&memory.mutex);
}

/* A test may fork while another thread of its allocates. */
__attribute__((constructor)) static void guard_forks(void)
{
    pthread_atfork(lock_memory, unlock_memory, unlock_memory);
}

static void *counting_malloc(size_t size, void *data)
{
    test_block *block = NULL;

    (void)data;
    lock_memory();
    if (++memory.allocated != memory.failing && size <= SIZE_MAX - sizeof *block)
        block = malloc(sizeof *block + size);
    if (block) {
        block->size = size;
        block->number = memory.allocated;
        block->trace_depth = memory.traced ? backtrace(block->trace, TRACE_DEPTH) : 0;
        rp_list_push(&memory.blocks, &block->link);
        memory.live++;
    }
    unlock_memory();
    return block ? block + 1 : NULL;
}

/* Overwritten before it is freed, so that who still uses it finds out. */
static void counting_free(void *freed, void *data)
{
    test_block *block = (test_block *)freed - 1;

    (void)data;
    lock_memory();
    rp_list_remove(&block->link);
    memory.live--;
    unlock_memory();
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
    lock_memory();
    memory.failing = nth ? memory.allocated + nth : 0;
    unlock_memory();
}

bool test_allocation_failed(void)
{
    bool failed;

    lock_memory();
    failed = memory.failing && memory.allocated >= memory.failing;
    unlock_memory();
    return failed;
}

static uint64_t counter(const uint64_t *value)
{
    uint64_t read;

    lock_memory();
    read = *value;
    unlock_memory();
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

    lock_memory();
    first = rp_container_of(memory.blocks.next, test_block, link);
    snprintf(text, size, "memory leaked: %llu blocks, the first of %zu bytes (allocation %llu%s)",
             (unsigned long long)memory.live, first->size, (unsigned long long)first->number,
             memory.traced ? ", from where the output shows" : "; RP_TEST_TRACE=1 shows from where");
    if (memory.traced)
        rp_origin_print(stderr, first->trace, first->trace_depth);
    unlock_memory();
}

/* ---- descriptors ---- */

typedef struct fd_table {
    bool open[MAX_FDS];
} fd_table;

static void scan_fds(fd_table *table)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;

    memset(table, 0, sizeof *table);
    if (!directory) {
        for (int fd = 0; fd < MAX_FDS; fd++)
            table->open[fd] = fcntl(fd, F_GETFD) >= 0;
        return;
    }
    while ((entry = readdir(directory))) {
        int fd = atoi(entry->d_name);
        if (fd < MAX_FDS && fd != dirfd(directory) && entry->d_name[0] != '.')
            table->open[fd] = true;
    }
    closedir(directory);
}

/* The lowest descriptor that is open now and was not before; -1 if there is none. */
static int find_leaked_fd(const fd_table *before, int *count)
{
    static fd_table now;
    int first = -1;

    scan_fds(&now);
    *count = 0;
    for (int fd = MAX_FDS - 1; fd >= 0; fd--)
        if (now.open[fd] && !before->open[fd]) {
            first = fd;
            ++*count;
        }
    return first;
}

static void describe_fds(int first, int count, char *text, size_t size)
{
    char link[64], target[256] = "?";
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", first);
    length = readlink(link, target, sizeof target - 1);
    if (length > 0)
        target[length] = '\0';
    snprintf(text, size, "descriptors leaked: %d, the first is %d (%s)", count, first, target);
}

/* ---- both ---- */

static fd_table fds_before;

void leaks_begin(void)
{
    scan_fds(&fds_before);
    count_memory();
}

/* Threads that are on their way out may still hold something: they get a second, or six. */
bool leaks_find(char *text, size_t size)
{
    int64_t deadline = rp_monotonic() + RP_SEC(test_slow() ? 6 : 1);
    int first, count;

    for (;;) {
        first = find_leaked_fd(&fds_before, &count);
        if (first < 0 && test_live_allocations() == 0)
            return false;
        if (rp_monotonic() >= deadline)
            break;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    if (first >= 0)
        describe_fds(first, count, text, size);
    else
        describe_memory(text, size);
    return true;
}
