/*
 * pipes.c - messages and bytes through pipes, by transports: what pipes.h says. The peer is pipes_uv.c.
 */
#include <ringport.h>

#include "pipes.h"

static pipes p;
static rp_loop *loop;
static rp_transport *output;
static char piece[PIPES_PIECE];

static void received(void *self, const void *data, size_t length)
{
    (void)self;
    if (p.echo)
        bench_check(rp_transport_write(output, data, length), "rp_transport_write");
}

/* Of the reading end, and the writing one follows. */
static void lost(void *self, int error)
{
    (void)self;
    (void)error;
    rp_transport_close(output);
}

static void output_lost(void *self, int error)
{
    (void)self;
    (void)error;
    rp_loop_stop(loop);
}

static void write_on(void *self)
{
    (void)self;
    if (bench_now() >= p.until)
        rp_transport_close(output);
    else if (p.writes)
        bench_check(rp_transport_write(output, piece, sizeof piece), "rp_transport_write");
}

int main(int argc, char **argv)
{
    static const rp_protocol reading = {.data_received = received, .connection_lost = lost};
    static const rp_protocol writing = {.drained = write_on, .connection_lost = output_lost};
    rp_transport *input;

    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    pipes_begin(&p, argc, argv);
    bench_check(rp_connect_write_pipe(loop, p.from_loop[1], &writing, NULL, &output), "rp_connect_write_pipe");
    if (p.writes)
        write_on(NULL);
    else
        bench_check(rp_connect_read_pipe(loop, p.to_loop[0], &reading, NULL, &input), "rp_connect_read_pipe");
    bench_check(rp_run_forever(loop), "rp_run_forever");
    rp_loop_free(loop);
    pipes_end(&p);
    return 0;
}
