/*
 * pipes_uv.c - the same as pipes.c by libuv's streams, with the buffer of 64 KiB that it suggests.
 */
#include <uv.h>

#include "pipes.h"

static pipes p;
static uv_pipe_t input, output;
static char buffer[64 * 1024], piece[PIPES_PIECE];
static uv_write_t request;

static void allocate(uv_handle_t *handle, size_t size, uv_buf_t *room)
{
    (void)handle;
    (void)size;
    *room = uv_buf_init(buffer, sizeof buffer);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
    uv_buf_t answer = uv_buf_init(data->base, (unsigned)(n > 0 ? n : 0));

    if (n == UV_EOF) {
        uv_close((uv_handle_t *)stream, NULL);
        uv_close((uv_handle_t *)&output, NULL);
    } else if (n > 0 && p.echo &&
               bench_check(uv_try_write((uv_stream_t *)&output, &answer, 1), "uv_try_write") != n) {
        bench_die("the pipe was full");
    }
}

static void write_on(uv_write_t *written, int status)
{
    uv_buf_t all = uv_buf_init(piece, sizeof piece);

    (void)status;
    if (bench_now() >= p.until)
        uv_close((uv_handle_t *)&output, NULL);
    else
        bench_check(uv_write(written, (uv_stream_t *)&output, &all, 1, write_on), "uv_write");
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();

    pipes_begin(&p, argc, argv);
    bench_check(uv_pipe_init(loop, &output, 0), "uv_pipe_init");
    bench_check(uv_pipe_open(&output, p.from_loop[1]), "uv_pipe_open");
    if (p.writes) {
        write_on(&request, 0);
    } else {
        bench_check(uv_pipe_init(loop, &input, 0), "uv_pipe_init");
        bench_check(uv_pipe_open(&input, p.to_loop[0]), "uv_pipe_open");
        bench_check(uv_read_start((uv_stream_t *)&input, allocate, received), "uv_read_start");
    }
    uv_run(loop, UV_RUN_DEFAULT);
    pipes_end(&p);
    return 0;
}
