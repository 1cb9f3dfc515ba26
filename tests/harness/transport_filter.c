/* transport_filter.c - a filter stands on another transport, and turns each byte over on its way. */
#include "base/list.h"
#include "harness/kinds.h"
#include "harness/wire.h"
#include "net/transport_read.h"
#include "net/transport_write.h"

typedef struct filter {
    rp_transport base;
    rp_transport *below; /* referred to */
    bool full;           /* below has paused the writer */
    rp_handle again;
    const void *data; /* that is being sent, or NULL */
    size_t length;
    bool cancelled; /* and so to be given back */
} filter;

static filter *filter_of(rp_transport *transport)
{
    return rp_container_of(transport, filter, base);
}

static void turn_over(char *to, const char *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)~from[i];
}

/* Until there is nothing more below, it says by itself when there is. */
static int64_t filter_receive(rp_transport *transport, void *buffer, size_t length)
{
    filter *self = filter_of(transport);
    int64_t received = rp_transport_try_read(self->below, buffer, length);

    if (received > 0)
        turn_over(buffer, buffer, (size_t)received);
    transport->readable = received != -EAGAIN;
    if (received == -EAGAIN)
        rp_transport_resume_reading(self->below);
    return received;
}

static int64_t filter_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    filter *self = filter_of(transport);
    char piece[4096] = {0};
    int64_t total = 0;

    for (int i = 0; i < count && !self->full; i++) {
        size_t length = vector[i].iov_len < sizeof piece ? vector[i].iov_len : sizeof piece;

        turn_over(piece, vector[i].iov_base, length);
        int rc = rp_transport_write(self->below, piece, length);
        if (rc < 0)
            return rc;
        total += (int64_t)length;
        if (length < vector[i].iov_len)
            break;
    }
    return total > 0 ? total : -EAGAIN;
}

static void send_again(void *arg)
{
    filter *self = arg;
    struct iovec vector = {(void *)(uintptr_t)self->data, self->length};

    if (!self->data || (self->full && !self->cancelled))
        return;
    self->data = NULL;
    rp_transport_sent(&self->base, self->cancelled ? -ECANCELED : filter_writev(&self->base, &vector, 1));
}

static void send_again_soon(filter *self)
{
    if (rp_handle_scheduled(&self->again))
        return;
    rp_handle_prepare(&self->again, self->base.loop, send_again, self);
    rp_loop_ready(self->base.loop, &self->again);
}

static int filter_send(rp_transport *transport, const void *data, size_t length)
{
    filter *self = filter_of(transport);

    self->data = data;
    self->length = length;
    self->cancelled = false;
    send_again_soon(self);
    return 0;
}

static void filter_cancel(rp_transport *transport)
{
    filter_of(transport)->cancelled = true;
    send_again_soon(filter_of(transport));
}

static int filter_start(rp_transport *transport)
{
    rp_transport_resume_reading(filter_of(transport)->below);
    return 0;
}

/* What is below ends first, which tells of it. */
static void filter_stop(rp_transport *transport)
{
    if (transport->lost)
        rp_transport_abort(filter_of(transport)->below);
}

static int filter_write_eof(rp_transport *transport)
{
    return rp_transport_write_eof(filter_of(transport)->below);
}

static void filter_finish(rp_transport *transport)
{
    rp_transport_close(filter_of(transport)->below);
}

/* What is below is there yet if the filter was lost before it began to receive. Its end finds no filter any more. */
static void filter_release(rp_transport *transport)
{
    static const rp_protocol nobody;
    filter *self = filter_of(transport);

    rp_handle_cancel(&self->again);
    rp_transport_set_protocol(self->below, &nobody, NULL);
    rp_transport_abort(self->below);
    rp_transport_unref(self->below);
}

static rp_fd filter_descriptor(const rp_transport *transport)
{
    return rp_transport_fd(rp_container_of(transport, const filter, base)->below);
}

static const rp_transport_kind filter_kind = {
    .size = sizeof(filter),
    .start = filter_start,
    .stop = filter_stop,
    .receive = filter_receive,
    .writev = filter_writev,
    .send = filter_send,
    .cancel = filter_cancel,
    .write_eof = filter_write_eof,
    .finish = filter_finish,
    .release = filter_release,
    .fd = filter_descriptor,
};

static void below_made(void *self, rp_transport *transport)
{
    filter *f = self;

    f->below = rp_transport_ref(transport);
    rp_transport_pause_reading(transport);
}

static void below_receivable(void *self)
{
    rp_transport_arrived(&((filter *)self)->base);
}

static void below_full(void *self)
{
    ((filter *)self)->full = true;
}

static void below_has_room(void *self)
{
    ((filter *)self)->full = false;
    send_again_soon(self);
}

static void below_lost(void *self, int error)
{
    filter *f = self;

    rp_transport_lose(&f->base, error);
    if (f->base.receiving)
        rp_transport_stopped(&f->base, error);
}

static const rp_protocol filter_protocol = {
    .connection_made = below_made,
    .receivable = below_receivable,
    .pause_writing = below_full,
    .resume_writing = below_has_room,
    .connection_lost = below_lost,
};

void start_filters(rp_loop *loop, starter *below, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *ends[2] = {rp_transport_new(loop, &filter_kind), rp_transport_new(loop, &filter_kind)};

    CHECK(ends[0] && ends[1]);
    below(loop, &filter_protocol, (void *const *)ends);
    rp_transport_start(ends[0], protocol, selves[0]);
    rp_transport_start(ends[1], protocol, selves[1]);
}
