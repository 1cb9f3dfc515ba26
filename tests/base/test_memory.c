/*
 * test_memory.c - the allocator hook.
 */
#include "harness/harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int mallocs, reallocs, frees;
static size_t last_size;

static void *fake_malloc(size_t size, void *data)
{
    CHECK_STR(data, "data");
    mallocs++;
    last_size = size;
    return malloc(size);
}

static void *fake_realloc(void *memory, size_t size, void *data)
{
    CHECK_STR(data, "data");
    CHECK(memory != NULL);
    reallocs++;
    last_size = size;
    return realloc(memory, size);
}

static void fake_free(void *memory, void *data)
{
    CHECK_STR(data, "data");
    CHECK(memory != NULL);
    frees++;
    free(memory);
}

static void *no_malloc(size_t size, void *data)
{
    return NULL;
}

TEST(own_allocator_is_used)
{
    rp_allocator own = {fake_malloc, fake_realloc, fake_free, "data"}, found;
    char *memory;

    CHECK_INT(rp_set_allocator(&own), ==, 0);
    rp_get_allocator(&found);
    CHECK(found.malloc == fake_malloc && found.realloc == fake_realloc && found.free == fake_free);
    CHECK(found.data == own.data);
    own.malloc = NULL; /* it was copied */
    memory = rp_malloc(10);
    CHECK(memory != NULL);
    CHECK_INT(mallocs, ==, 1);
    CHECK_INT(last_size, ==, 10);
    memory = rp_realloc(memory, 20);
    CHECK_INT(reallocs, ==, 1);
    rp_free(memory);
    rp_free(NULL);
    CHECK_INT(frees, ==, 1);
    CHECK_INT(rp_set_allocator(NULL), ==, 0);
    rp_free(rp_malloc(1));
    CHECK_INT(mallocs, ==, 1);
}

TEST(size_zero_is_memory_too)
{
    void *memory = rp_malloc(0);

    CHECK(memory != NULL);
    memory = rp_realloc(memory, 0);
    CHECK(memory != NULL);
    rp_free(memory);
    memory = rp_realloc(NULL, 3);
    CHECK(memory != NULL);
    rp_free(memory);
}

TEST(calloc_zeroes)
{
    static const char zeroes[64];
    char *memory = rp_malloc(64);

    memset(memory, 1, 64);
    rp_free(memory);
    memory = rp_calloc(64);
    CHECK(memcmp(memory, zeroes, 64) == 0);
    rp_free(memory);
}

TEST(lines_begin_where_a_cache_line_does)
{
    static const char zeroes[100];
    rp_allocator own = {fake_malloc, fake_realloc, fake_free, "data"};
    char *memory[20];

    CHECK_INT(rp_set_allocator(&own), ==, 0);
    for (size_t i = 0; i < 20; i++) {
        memory[i] = rp_calloc_lines(5 * i);
        CHECK_INT((uintptr_t)memory[i] % RP_CACHE_LINE, ==, 0);
        CHECK(memcmp(memory[i], zeroes, 5 * i) == 0);
        memset(memory[i], 1, 5 * i);
    }
    for (size_t i = 0; i < 20; i++)
        rp_free_lines(memory[i]);
    rp_free_lines(NULL);
    CHECK_INT(mallocs, ==, 20);
    CHECK_INT(frees, ==, 20);
}

TEST(incomplete_allocator_is_refused)
{
    rp_allocator own = {fake_malloc, fake_realloc, NULL, NULL};

    CHECK_INT(rp_set_allocator(&own), ==, -EINVAL);
    rp_free(rp_malloc(1));
    CHECK_INT(mallocs, ==, 0);
}

TEST(no_memory_is_null)
{
    rp_allocator own = {no_malloc, fake_realloc, fake_free, NULL};

    CHECK_INT(rp_set_allocator(&own), ==, 0);
    CHECK(rp_malloc(1) == NULL);
    CHECK(rp_calloc(1) == NULL);
    CHECK(rp_calloc_lines(1) == NULL);
    CHECK(rp_realloc(NULL, 1) == NULL);
}
