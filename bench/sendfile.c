/*
 * sendfile.c - files sent over loopback by a transport: what sendfile.h says. The peers are sendfile_posix.c, a loop
 * around sendfile(2), and sendfile_uv.c.
 */
#include <ringport.h>

#include "sendfile.h"

static sendfile_bench b;
static rp_transport *transport;
static rp_done_callback sent;
static int64_t longest = -1, last;

/* Once a turn: how much processor time the turn has taken. On a busy machine others' time would count by any clock. */
static void tick(void *loop)
{
    static rp_handle handle;
    int64_t now = bench_clock(CLOCK_THREAD_CPUTIME_ID);

    if (last > 0 && now - last > longest)
        longest = now - last;
    last = now;
    bench_check(rp_call_soon(loop, &handle, tick, loop), "rp_call_soon");
}

static void lost(void *self, int error)
{
    (void)self;
    bench_check(error, "the connection");
    rp_loop_stop(rp_transport_get_loop(transport));
}

static void go_on(void);

static void on_sent(rp_future *future, void *arg)
{
    (void)arg;
    bench_check(rp_future_result(future), "rp_transport_sendfile");
    b.sent += rp_sendfile_sent(future);
    rp_future_unref(future);
    go_on();
}

static void go_on(void)
{
    rp_future *future;

    if (!sendfile_goes_on(&b)) {
        rp_transport_close(transport);
        return;
    }
    bench_check(rp_transport_sendfile(transport, b.file, 0, -1, 0, &future), "rp_transport_sendfile");
    bench_check(rp_future_add_done_callback(future, &sent, on_sent, NULL), "rp_future_add_done_callback");
}

int main(int argc, char **argv)
{
    static const rp_protocol protocol = {.connection_lost = lost};
    rp_loop *loop;

    sendfile_begin(&b, argc, argv);
    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    bench_check(rp_connect_accepted_socket(loop, b.socket, &protocol, NULL, &transport),
                "rp_connect_accepted_socket");
    go_on();
    if (b.cold)
        tick(loop);
    bench_check(rp_run_forever(loop), "rp_run_forever");
    rp_loop_free(loop);
    sendfile_end(&b, longest);
    return 0;
}
