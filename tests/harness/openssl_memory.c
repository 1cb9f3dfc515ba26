/* openssl_memory.c - functions of memory for OpenSSL, which takes them before it has allocated anything. */
#include "harness/openssl_memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static int64_t live;
static uint64_t asked, failing;

static bool fails(void)
{
    return ++asked == failing;
}

static void *counting_malloc(size_t size, const char *file, int line)
{
    void *memory = fails() ? NULL : malloc(size);

    live += memory != NULL;
    return memory ? memset(memory, 't', size) : NULL;
}

static void *counting_realloc(void *old, size_t size, const char *file, int line)
{
    void *memory;

    if (!old)
        return counting_malloc(size, file, line);
    memory = fails() ? NULL : realloc(old, size);
    return memory;
}

static void counting_free(void *memory, const char *file, int line)
{
    live -= memory != NULL;
    free(memory);
}

__attribute__((constructor)) static void begin(void)
{
    if (!CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free))
        abort();
}

void test_openssl_fail(uint64_t nth)
{
    failing = nth ? asked + nth : 0;
}

bool test_openssl_failed(void)
{
    return failing && asked >= failing;
}

int64_t test_openssl_live(void)
{
    return live;
}
