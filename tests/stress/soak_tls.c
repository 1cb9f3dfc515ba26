/* soak_tls.c - the soak's TLS: what OpenSSL allocates is counted as it comes and goes. */
#include "stress/soak_tls.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/certificates.h"
#include "harness/harness.h"

static atomic_size_t heap;

/* ---- what certificates.c has of the harness ---- */

void test_at(const char *file, int line)
{
    (void)file;
    (void)line;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    _exit(1);
}

void test_fail_int(const char *file, int line, const char *text, long long left, long long right)
{
    test_fail(file, line, "%s: %lld and %lld", text, left, right);
}

/* ---- memory ---- */

static void *count_malloc(size_t size, const char *file, int line)
{
    void *memory = malloc(size);

    (void)file;
    (void)line;
    heap += memory ? malloc_usable_size(memory) : 0;
    return memory;
}

static void *count_realloc(void *old, size_t size, const char *file, int line)
{
    size_t before = malloc_usable_size(old);
    void *memory = realloc(old, size);

    (void)file;
    (void)line;
    heap += memory ? malloc_usable_size(memory) - before : 0;
    return memory;
}

static void count_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    heap -= malloc_usable_size(memory);
    free(memory);
}

size_t soak_tls_memory(void)
{
    return heap;
}

/* ---- contexts ---- */

soak_tls soak_tls_new(void)
{
    test_identity *root, *identity;
    soak_tls tls;

    CHECK(CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free));
    root = test_root_new();
    identity = test_server_identity_new(root);
    tls.server = test_tls_server(identity);
    for (int i = 0; i < 2; i++) {
        tls.clients[i] = test_tls_client(root);
        CHECK_INT(rp_tls_context_set_maximum_version(tls.clients[i], i == 0 ? RP_TLS_1_2 : RP_TLS_1_3), ==, 0);
    }
    test_identity_free(identity);
    test_identity_free(root);
    return tls;
}

void soak_tls_free(const soak_tls *tls)
{
    rp_tls_context_unref(tls->server);
    rp_tls_context_unref(tls->clients[0]);
    rp_tls_context_unref(tls->clients[1]);
}
