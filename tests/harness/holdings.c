/*
 * holdings.c - what a process holds: asked of the kernel, except for the heap, whose blocks are counted as they come
 * and go.
 */
#include "harness/holdings.h"

#include <dirent.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_size_t heap;

static void *count_malloc(size_t size, void *data)
{
    void *memory = malloc(size);

    (void)data;
    heap += memory ? malloc_usable_size(memory) : 0;
    return memory;
}

static void *count_realloc(void *old, size_t size, void *data)
{
    size_t before = malloc_usable_size(old);
    void *memory = realloc(old, size);

    (void)data;
    heap += memory ? malloc_usable_size(memory) - before : 0;
    return memory;
}

static void count_free(void *memory, void *data)
{
    (void)data;
    heap -= malloc_usable_size(memory);
    free(memory);
}

const rp_allocator holdings_allocator = {count_malloc, count_realloc, count_free, NULL};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static size_t count_resident(void)
{
    static const char path[] = "/proc/self/statm";
    size_t total, resident;
    FILE *file = fopen(path, "r");

    if (!file || fscanf(file, "%zu %zu", &total, &resident) != 2)
        die(path);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t count_descriptors(void)
{
    static const char path[] = "/proc/self/fd";
    size_t count = 0;
    DIR *directory = opendir(path);

    if (!directory)
        die(path);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* "." and "..", and the directory itself */
}

holdings holdings_look(void)
{
    return (holdings){count_resident(), heap, count_descriptors()};
}

void holdings_without_caches(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";

    if (!getenv(name) && setenv(name, "glibc.malloc.tcache_count=0", 0) == 0)
        execv("/proc/self/exe", argv); /* where it cannot be, one does with them */
}
