/*
 * transport_write.c - the writing side of a transport: what there is room for at once, the rest in the background.
 *
 * While the buffer is empty, writing is one send(). Otherwise the bytes queue behind those in the buffer, and one send
 * operation at a time carries its front away. While the transport is corked, the first of these is started only when
 * more is buffered than the high-water mark. The protocol is paused while more is buffered than it should be.
 *
 * An insert knows how many bytes of the buffer go before it. When these have gone, it is its turn, until it has ended:
 * then the bytes behind it go on.
 */
#include "net/transport_write.h"

#include <assert.h>
#include <limits.h>

#include "base/leave.h"
#include "base/rare.h"

enum {
    PIECE = 256 * 1024, /* sent by one operation at most: the marks are looked at after each */
    SHARE = 256 * 1024, /* of an insert, sent at once, and then by one operation, before others get their turn */
};

/* ---- flow control ---- */

static void pause_protocol_above_high(rp_transport *transport)
{
    if (transport->writing_paused || rp_buffer_size(&transport->buffer) <= transport->high)
        return;
    transport->writing_paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport->self);
}

void rp_transport_resume_at_low(rp_transport *transport)
{
    if (!transport->writing_paused || rp_buffer_size(&transport->buffer) > transport->low)
        return;
    transport->writing_paused = false;
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport->self);
}

/* resume_writing may have written anew, or set another protocol. */
static void tell_drained(rp_transport *transport)
{
    if (rp_buffer_size(&transport->buffer) == 0 && !transport->lost && transport->protocol->drained &&
        !rp_loop_is_forked(transport->loop))
        transport->protocol->drained(transport->self);
}

static void send_next(rp_transport *transport);

/* Starts sending, unless what is buffered is to wait for more. Inserts do not wait, nor does what is before them. */
static void send_unless_corked(rp_transport *transport)
{
    bool waits = transport->corked && rp_buffer_size(&transport->buffer) <= transport->high;

    if (!transport->sending && !(waits && !transport->inserts))
        send_next(transport);
}

int rp_transport_set_write_buffer_limits(rp_transport *transport, size_t high, size_t low)
{
    if (high == SIZE_MAX && low == SIZE_MAX)
        high = RP_TRANSPORT_HIGH;
    else if (high == SIZE_MAX && low <= SIZE_MAX / 4)
        high = 4 * low;
    if (low == SIZE_MAX)
        low = high / 4;
    if (low > high)
        return -EINVAL;
    transport->high = high;
    transport->low = low;
    if (transport->lost || rp_loop_check(transport->loop) < 0) /* what is left in the buffer goes nowhere */
        return 0;
    send_unless_corked(transport);
    pause_protocol_above_high(transport);
    return 0;
}

void rp_transport_get_write_buffer_limits(const rp_transport *transport, size_t *high, size_t *low)
{
    *high = transport->high;
    *low = transport->low;
}

size_t rp_transport_get_write_buffer_size(const rp_transport *transport)
{
    return transport->lost ? 0 : rp_buffer_size(&transport->buffer);
}

/* ---- sending ---- */

/* The buffer is empty, and the end of the stream was asked for: says so to the peer. */
static int send_eof(rp_transport *transport)
{
    assert(transport->eof_wanted && !transport->eof_sent && !transport->lost);
    transport->eof_sent = true;
    return transport->kind->write_eof(transport);
}

/* What the kind was asked for is under way; or else the connection is lost. */
static bool is_under_way(rp_transport *transport, int rc)
{
    transport->sending = rc == 0;
    if (rc < 0)
        rp_transport_fail(transport, rc, RP_WHERE_WRITE_START);
    return rc == 0;
}

static bool send_soon(rp_transport *transport, const void *data, size_t length)
{
    assert(!transport->sending && !transport->lost);
    return is_under_way(transport, transport->kind->send(transport, data, length));
}

static void end_insert(rp_transport *transport, rp_insert *insert, int error)
{
    rp_transport_remove_insert(transport, insert);
    insert->type->end(insert, error);
}

/* The same for one that sends by itself. Others get their turn after each part. */
static bool send_direct(rp_transport *transport, rp_insert *insert)
{
    int64_t sent = insert->type->send(insert, PIECE);

    if (sent > 0 || sent == -EAGAIN) {
        insert->sending = is_under_way(transport, transport->kind->await_room(transport));
        return false;
    }
    if (sent == -ENOTSUP) {
        insert->direct = false;
        return true;
    }
    if (sent < 0) {
        rp_transport_fail_writing(transport, (int)sent, true, RP_WHERE_WRITE);
        return false;
    }
    end_insert(transport, insert, 0);
    return true;
}

/*
 * It is the insert's turn. What the kind takes at once is not left to an operation, up to a limit. Whether it is the
 * turn of what is behind it.
 */
static bool send_insert(rp_transport *transport, rp_insert *insert)
{
    size_t at_once = SHARE;
    struct iovec vector;
    const void *data;
    int64_t length, sent;

    while ((length = insert->type->front(insert, &data)) > 0 && at_once > 0) {
        vector = (struct iovec){(void *)(uintptr_t)data, (size_t)length < at_once ? (size_t)length : at_once};
        sent = transport->kind->writev(transport, &vector, 1);
        if (sent == -EAGAIN)
            break;
        if (sent < 0) {
            rp_transport_fail_writing(transport, (int)sent, true, RP_WHERE_WRITE);
            return false;
        }
        insert->type->sent(insert, (size_t)sent);
        at_once -= (size_t)sent;
    }
    if (length > 0)
        insert->sending = send_soon(transport, data, (size_t)length < SHARE ? (size_t)length : SHARE);
    if (length > 0 || length == -EINPROGRESS)
        return false;
    end_insert(transport, insert, (int)length);
    return true;
}

/* Sends what comes next, if there is something. */
static void send_next(rp_transport *transport)
{
    rp_insert *insert;
    const void *data;
    size_t length;

    while ((insert = transport->inserts) && insert->before == 0)
        if (!(insert->direct ? send_direct : send_insert)(transport, insert))
            return;
    if (rp_buffer_size(&transport->buffer) == 0)
        return;
    length = rp_buffer_front(&transport->buffer, PIECE, &data);
    send_soon(transport, data, insert && insert->before < length ? insert->before : length);
}

/* So much of the buffer has gone. */
static void buffer_sent(rp_transport *transport, size_t length)
{
    rp_insert *insert = transport->inserts;

    rp_buffer_sent(&transport->buffer, length);
    if (insert)
        insert->before -= length;
}

/* resume_writing may have closed it, with nothing left to send. */
static void finish_once(rp_transport *transport)
{
    if (transport->finishing)
        return;
    transport->finishing = true;
    transport->kind->finish(transport);
}

/* There is something that is to be sent. */
static bool is_busy(const rp_transport *transport)
{
    return rp_buffer_size(&transport->buffer) > 0 || transport->inserts;
}

/* A part has been sent: the next one, or what was to come after all. */
static void send_on(rp_transport **place)
{
    rp_transport *transport = *place;

    if (transport->lost || transport->sending || rp_loop_is_forked(transport->loop))
        return;
    send_next(transport);
    if (transport->lost || is_busy(transport))
        return;
    if (transport->closing)
        finish_once(transport);
    else if (transport->eof_wanted && !transport->eof_sent) {
        int rc = send_eof(transport);

        if (rc < 0)
            rp_transport_fail_writing(transport, rc, false, RP_WHERE_WRITE_EOF);
    }
}

/* The same for a part of an insert. */
static void insert_sent(rp_transport *transport, rp_insert *insert, int64_t result)
{
    insert->sending = false;
    if (result > 0)
        insert->type->sent(insert, (size_t)result);
    if (transport->lost) {
        rp_transport_end_inserts(transport, rp_transport_insert_error(transport));
        rp_transport_settle(transport);
        return;
    }
    if (result < 0 && !(insert->cancelled && result == -ECANCELED)) {
        rp_transport_fail_writing(transport, (int)result, true, RP_WHERE_WRITE);
        return;
    }
    if (insert->cancelled)
        end_insert(transport, insert, -ECANCELED);
    send_on(&transport);
}

void rp_transport_sent(rp_transport *transport, int64_t result)
{
    rp_insert *insert = transport->inserts;

    assert(transport->sending);
    transport->sending = false;
    if (insert && insert->sending) {
        insert_sent(transport, insert, result);
        return;
    }
    if (transport->lost) {
        rp_transport_settle(transport);
        return;
    }
    if (result < 0) {
        rp_transport_fail_writing(transport, (int)result, true, RP_WHERE_WRITE);
        return;
    }
    buffer_sent(transport, (size_t)result);
    rp_transport *sending RP_ON_LEAVE(send_on) = transport;
    rp_transport_resume_at_low(sending); /* which may write, close, abort */
    tell_drained(sending);
}

/*
 * Copies what comes after the first `skip` bytes. If some of a write was sent and the rest finds no memory, the stream
 * is broken.
 */
static int buffer_rest(rp_transport *transport, const struct iovec *vector, int count, size_t skip, size_t length)
{
    int rc = rp_buffer_reserve(&transport->buffer, length);

    if (rc < 0) {
        if (skip > 0)
            rp_transport_fail(transport, rc, RP_WHERE_WRITE_MEMORY);
        return rc;
    }
    for (int i = 0; i < count; i++) {
        size_t part = vector[i].iov_len;

        if (skip < part)
            rp_buffer_append(&transport->buffer, (const char *)vector[i].iov_base + skip, part - skip);
        skip -= skip < part ? skip : part;
    }
    send_unless_corked(transport);
    if (transport->lost)
        return transport->error;
    pause_protocol_above_high(transport);
    return 0;
}

/* The bytes of all pieces; more than SSIZE_MAX if that is too much. */
static size_t total(const struct iovec *vector, int count)
{
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        if (vector[i].iov_len > SSIZE_MAX - length)
            return SIZE_MAX;
        length += vector[i].iov_len;
    }
    return count < 0 ? SIZE_MAX : length;
}

/* The socket has taken `sent` bytes, or said why it takes none. */
RP_RARE static int keep_rest(rp_transport *transport, const struct iovec *vector, int count, size_t length,
                             int64_t sent)
{
    if (sent == -EAGAIN)
        sent = 0;
    if (sent < 0) {
        rp_transport_fail_writing(transport, (int)sent, true, RP_WHERE_WRITE);
        return (int)sent;
    }
    return buffer_rest(transport, vector, count, (size_t)sent, length - (size_t)sent);
}

/* A child of fork() shares the parent's socket. */
int rp_transport_may_write(const rp_transport *transport)
{
    RP_TRY(rp_loop_check(transport->loop));
    if (!transport->kind->writev)
        return -ENOTSUP;
    if (transport->closing || transport->eof_wanted)
        return !transport->closing && transport->error ? transport->error : -EPIPE;
    return 0;
}

/* Something stands in the way of a write, or comes before it. */
RP_RARE static int write_behind(rp_transport *transport, const struct iovec *vector, int count, size_t length)
{
    RP_TRY(rp_transport_may_write(transport));
    return length > 0 ? buffer_rest(transport, vector, count, 0, length) : 0;
}

int rp_transport_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    size_t length = count == 1 ? vector->iov_len : total(vector, count);
    int64_t sent;

    if (length > SSIZE_MAX)
        return -EINVAL;
    if (rp_loop_check(transport->loop) < 0 || transport->closing || transport->eof_wanted || transport->behind ||
        rp_buffer_size(&transport->buffer) > 0)
        return write_behind(transport, vector, count, length);
    if (length == 0)
        return 0;
    sent = transport->kind->writev(transport, vector, count);
    return (size_t)sent == length ? 0 : keep_rest(transport, vector, count, length, sent);
}

int rp_transport_write(rp_transport *transport, const void *data, size_t length)
{
    struct iovec vector = {.iov_base = (void *)data, .iov_len = length};

    return rp_transport_writev(transport, &vector, 1);
}

void rp_transport_cork(rp_transport *transport)
{
    transport->corked = transport->behind = true;
}

int rp_transport_uncork(rp_transport *transport)
{
    const void *data;
    size_t length;
    int64_t sent;

    RP_TRY(rp_loop_check(transport->loop));
    transport->corked = false;
    transport->behind = transport->inserts;
    if (transport->closing || transport->error < 0)
        return !transport->closing ? transport->error : -EPIPE;
    if (transport->sending || transport->behind || rp_buffer_size(&transport->buffer) == 0)
        return 0;
    length = rp_buffer_front(&transport->buffer, SIZE_MAX, &data);
    sent = transport->kind->writev(transport, &(struct iovec){(void *)(uintptr_t)data, length}, 1);
    if (sent < 0 && sent != -EAGAIN) {
        rp_transport_fail_writing(transport, (int)sent, true, RP_WHERE_WRITE);
        return (int)sent;
    }
    rp_buffer_sent(&transport->buffer, sent < 0 ? 0 : (size_t)sent);
    send_unless_corked(transport);
    return transport->lost ? transport->error : 0;
}

int rp_transport_write_eof(rp_transport *transport)
{
    RP_TRY(rp_loop_check(transport->loop));
    if (!transport->kind->writev || (!transport->kind->write_eof && transport->kind->receive))
        return -ENOTSUP;
    if (transport->corked)
        RP_TRY(rp_transport_uncork(transport));
    if (transport->closing || transport->eof_wanted)
        return transport->closing ? 0 : transport->error;
    if (!transport->kind->write_eof) {
        rp_transport_close(transport);
        return 0;
    }
    transport->eof_wanted = true;
    return is_busy(transport) ? 0 : send_eof(transport);
}

/* ---- inserts ---- */

void rp_transport_insert(rp_transport *transport, rp_insert *insert, const rp_insert_type *type, bool direct)
{
    rp_insert **place = &transport->inserts;
    size_t before = rp_buffer_size(&transport->buffer);

    for (; *place; place = &(*place)->next)
        before -= (*place)->before;
    *insert = (rp_insert){.type = type, .before = before, .direct = direct && transport->kind->sendfile};
    *place = insert;
    transport->behind = true;
    send_unless_corked(transport);
}

void rp_transport_insert_ready(rp_transport *transport, rp_insert *insert)
{
    if (insert == transport->inserts && insert->before == 0)
        send_on(&transport);
}

void rp_transport_insert_cancel(rp_transport *transport, rp_insert *insert)
{
    if (insert->sending) {
        insert->cancelled = true;
        transport->kind->cancel(transport);
        return;
    }
    end_insert(transport, insert, -ECANCELED);
    send_on(&transport);
}

/* ---- the end ---- */

/* It stands here since it sends what is left. */
void rp_transport_close(rp_transport *transport)
{
    if (transport->corked)
        rp_transport_uncork(transport); /* which may fail, and so end it */
    if (transport->closing)
        return;
    transport->closing = true;
    if (!is_busy(transport))
        finish_once(transport);
    else if (transport->receiving)
        transport->kind->stop(transport);
}
