/*
 * fuzz_read_until.c - libFuzzer's bytes through a stream, in pieces, to a reader that looks for separators; each
 * result is compared with what a search in all the bytes at once says. The first four bytes choose the separator, the
 * room, the limit and the pieces; the rest is what is sent. One loop serves all inputs.
 */
#include <ringport.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const char *separator;
    size_t room;
    size_t limit;
    unsigned pieces; /* seed of the lengths in which the bytes are sent */
    const char *data;
    size_t size;
    int sender;
} input;

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* Each piece in a turn of its own; then the end. */
static int send_pieces(rp_co *co, void *arg)
{
    const input *in = arg;
    unsigned random = in->pieces;

    for (size_t sent = 0, length; sent < in->size; sent += length) {
        random = random * 1103515245 + 12345;
        length = in->pieces == 0 ? in->size : 1 + (random >> 16) % (in->pieces + 1);
        if (length > in->size - sent)
            length = in->size - sent;
        expect(send(in->sender, in->data + sent, length, MSG_NOSIGNAL) == (ssize_t)length);
        RP_TRY(rp_sleep(co, 0));
    }
    return shutdown(in->sender, SHUT_WR);
}

/* What a reader must get that is `at` bytes into the input. */
static ssize_t expected(const input *in, size_t at)
{
    size_t left = in->size - at, length = strlen(in->separator);

    for (size_t i = 0; i + length <= left; i++)
        if (memcmp(in->data + at + i, in->separator, length) == 0)
            return i > in->limit || i + length > in->room ? RP_ELIMIT : (ssize_t)(i + length);
    return (left >= length && left - length + 1 > in->limit) || left > in->room ? RP_ELIMIT : RP_EOF;
}

/* Over what is not found within the limits, a few bytes are read in another way. */
static int read_all(rp_co *co, rp_stream *stream, const input *in)
{
    char *buffer = malloc(in->room + 1);
    size_t at = 0;
    ssize_t n;

    do {
        n = rp_stream_read_until(co, stream, buffer, in->room, in->separator, strlen(in->separator));
        expect(n == expected(in, at));
        expect(rp_stream_partial(stream) == (n > 0 ? (size_t)n : n == RP_EOF ? in->size - at : 0));
        if (n == RP_ELIMIT && at % 2 == 0)
            n = rp_stream_read_exactly(co, stream, buffer, 1);
        else if (n == RP_ELIMIT)
            n = rp_stream_read(co, stream, buffer, in->room + 1);
        size_t got = n == RP_EOF ? rp_stream_partial(stream) : (size_t)n;
        expect(n == RP_EOF || n > 0);
        expect(memcmp(buffer, in->data + at, got) == 0);
        at += got;
    } while (n != RP_EOF);
    expect(at == in->size && rp_stream_at_eof(stream));
    free(buffer);
    return 0;
}

static int send_and_read(rp_co *co, void *arg)
{
    input *in = arg;
    rp_stream *stream;
    rp_task *sender;
    int pair[2];

    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    in->sender = pair[1];
    expect(rp_stream_from_fd(co, &stream, pair[0]) == 0);
    expect(rp_stream_set_limit(stream, in->limit) == 0);
    expect(rp_create_task(&sender, send_pieces, in) == 0);
    read_all(co, stream, in);
    expect(rp_join(co, sender) == 0);
    rp_stream_close(stream);
    rp_stream_wait_closed(co, stream);
    rp_stream_free(stream);
    return close(pair[1]);
}

static rp_runner *runner;

static void free_runner(void)
{
    rp_runner_free(runner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const separators[] = {"\n", "\r\n", "\r\n\r\n", "\n\r\n\n\r"};

    if (size < 4)
        return 0;
    if (runner == NULL) {
        expect(rp_runner_new(NULL, &runner) == 0);
        atexit(free_runner);
    }
    input in = {
        .separator = separators[data[0] % 4],
        .room = data[1] * 4u,
        .limit = 1 + data[2] * 4u,
        .pieces = data[3],
        .data = (const char *)data + 4,
        .size = size - 4,
    };
    expect(rp_runner_run(runner, send_and_read, &in) == 0);
    return 0;
}
