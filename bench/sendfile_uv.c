/*
 * sendfile_uv.c - the same as sendfile.c by uv_fs_sendfile(), which a thread of libuv's pool does.
 */
#include <uv.h>

#include "sendfile.h"

static sendfile_bench b;
static uv_fs_t request;
static int64_t at;

static void go_on(void);

static void on_sent(uv_fs_t *done)
{
    int64_t n = bench_check(done->result, "uv_fs_sendfile");

    uv_fs_req_cleanup(done);
    b.sent += n;
    at += n;
    go_on();
}

static void go_on(void)
{
    if (at >= b.size)
        at = 0;
    if (at > 0 || sendfile_goes_on(&b))
        bench_check(
            uv_fs_sendfile(uv_default_loop(), &request, b.socket, b.file, at, (size_t)(b.size - at), on_sent),
            "uv_fs_sendfile");
}

int main(int argc, char **argv)
{
    sendfile_begin(&b, argc, argv);
    go_on();
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    close(b.socket);
    sendfile_end(&b, -1);
    return 0;
}
