/*
 * fuzz_resp.c - libFuzzer's bytes as what a client of resp_server.c sends. They come at once, and then byte by byte,
 * each time in memory of exactly the size of what has come, so that AddressSanitizer sees a step beyond it: the
 * replies must be the same, and all memory of the store is given back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/resp_commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* What a connection keeps: the bytes that it has not dealt with. */
typedef struct pending {
    char *bytes;
    size_t length;
} pending;

static void replace(pending *kept, const char *more, size_t length, size_t dropped)
{
    size_t left = kept->length - dropped;
    char *bytes = malloc(left + length);

    if (left > 0)
        memcpy(bytes, kept->bytes + dropped, left);
    if (length > 0)
        memcpy(bytes + left, more, length);
    free(kept->bytes);
    kept->bytes = bytes;
    kept->length = left + length;
}

static void talk(const char *data, size_t size, size_t piece, resp_reply *reply)
{
    static resp_service service = {.backend = "none"};
    resp_session session = {0};
    resp_request request = {0};
    resp_result result = RESP_MORE;
    pending kept = {0};

    for (size_t i = 0; i < size && result != RESP_ERROR && !session.ended; i += piece) {
        replace(&kept, data + i, piece < size - i ? piece : size - i, 0);
        while (!session.ended &&
               (result = resp_request_parse(&request, kept.bytes, kept.length)) == RESP_COMPLETE) {
            expect(request.at <= kept.length);
            resp_execute(&service, &session, &request, kept.bytes, reply);
            replace(&kept, NULL, 0, request.at);
            resp_request_reset(&request);
        }
    }
    if (result == RESP_ERROR)
        resp_reply_error(reply, request.error);
    resp_request_free(&request);
    free(kept.bytes);
    for (size_t i = 0; i < RESP_DATABASES; i++)
        resp_store_flush(&service.store, &service.store.databases[i]);
    expect(service.store.used == 0);
    service.calls = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    resp_reply whole = {0}, pieces = {0};

    talk((const char *)data, size, size, &whole);
    talk((const char *)data, size, 1, &pieces);
    expect(whole.length == pieces.length);
    expect(whole.length == 0 || memcmp(whole.bytes, pieces.bytes, whole.length) == 0);
    free(whole.bytes);
    free(pieces.bytes);
    return 0;
}
