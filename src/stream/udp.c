/*
 * udp.c - sockets of datagrams for coroutines: those of src/net, awaited.
 */
#include "ringport/udp.h"

#include "co/await.h"
#include "loop/loop.h"
#include "net/datagram_open.h"
#include "stream/stream_open.h"

/* What an endpoint's transport would see to. */
static int set_segments(const rp_kernel *kernel, rp_fd fd, const rp_datagram_options *options)
{
    if (options->gro)
        RP_TRY(rp_kernel_join_received(kernel, fd));
    return options->gso ? rp_kernel_can_cut(kernel, fd) : 0;
}

int rp_udp_open(rp_co *co, rp_fd *fd, const rp_datagram_options *options)
{
    rp_future *opening;
    rp_fd opened;
    int rc;

    RP_TRY(rp_co_check(co));
    if (!options)
        return -EINVAL;
    RP_TRY(rp_datagram_open(rp_co_loop(co), NULL, NULL, options, &opening));
    rc = rp_stream_await_request(co, opening);
    if (rc == 0) {
        opened = rp_datagram_open_take(opening);
        rc = set_segments(rp_co_loop(co)->kernel, opened, options);
        if (rc < 0)
            rp_loop_close_socket(rp_co_loop(co), opened);
        else
            *fd = opened;
    }
    rp_future_unref(opening);
    return rc < 0 ? rc : 0;
}
