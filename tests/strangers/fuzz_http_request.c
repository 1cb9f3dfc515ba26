/*
 * fuzz_http_request.c - libFuzzer's bytes as the head of a request. What the parser lets pass must be what it promises:
 * strings within the head, of text only. The head lies in memory of exactly its size, so that AddressSanitizer sees a
 * step beyond it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void expect_text(const char *text, const char *head, size_t size)
{
    expect(text >= head && text < head + size && *text != '\0');
    for (; *text != '\0'; text++)
        expect(*text > ' ' && *text <= '~');
    expect(text < head + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    http_request request;
    char *head = malloc(size);

    if (size > 0)
        memcpy(head, data, size);
    if (http_request_parse(&request, head, size)) {
        expect(size >= 16 && memcmp(data + size - 4, "\r\n\r\n", 4) == 0);
        expect_text(request.method, head, size);
        expect_text(request.path, head, size);
        expect(request.minor >= 0 && request.minor <= 9 && !(request.minor == 0 && request.keep_alive));
    }
    free(head);
    return 0;
}
