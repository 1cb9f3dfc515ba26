/*
 * transport.c - a transport's life, from connection_made to connection_lost and the memory's end.
 *
 * The reading side is in transport_read.c, the writing side in transport_write.c. Kinds of transport have files of
 * their own.
 */
#include "net/transport.h"

#include <assert.h>

#include "base/leave.h"
#include "base/memory.h"
#include "base/origin.h"
#include "loop/exception.h"
#include "loop/turn.h"

/* ---- who refers to it ---- */

static void drop(rp_transport *transport)
{
    assert(transport->refs > 0);
    if (--transport->refs > 0)
        return;
    assert(!rp_node_linked(&transport->resource.link) && !rp_node_linked(&transport->maker_link));
    assert(!rp_handle_scheduled(&transport->reading) && !rp_handle_scheduled(&transport->end));
    rp_free(transport->origin);
    rp_free_lines(transport);
}

/* The loop's memory stays too, so that each call finds out that it is closed. */
rp_transport *rp_transport_ref(rp_transport *transport)
{
    rp_loop_ref(transport->loop);
    transport->refs++;
    return transport;
}

void rp_transport_unref(rp_transport *transport)
{
    if (!transport)
        return;
    rp_loop *loop = transport->loop;

    drop(transport);
    rp_loop_unref(loop);
}

/* ---- the end ---- */

/* Nothing of it is the kernel's any more. */
static void release(rp_transport *transport)
{
    assert(!transport->receiving && !transport->sending && !transport->released);
    transport->released = true;
    rp_resource_remove(&transport->resource);
    rp_buffer_fini(&transport->buffer);
    transport->kind->release(transport);
    drop(transport);
}

void rp_transport_settle(rp_transport *transport)
{
    if (transport->told && !transport->receiving && !transport->sending && !transport->released)
        release(transport);
}

/*
 * Most often the kernel has let go by now, and the peer sees the end: before anything else is called, which may wait
 * for the peer. It may come again at once, and find a server that has one connection less.
 */
static void detach_and_release(rp_transport **told)
{
    rp_transport *transport = *told;

    if (transport->detached)
        transport->detached(transport);
    if ((transport->receiving || transport->sending) && !rp_loop_is_forked(transport->loop))
        rp_turn_deliver_of(transport->loop, transport, transport->kind->size);
    rp_transport_settle(transport);
    drop(transport);
}

static void tell_lost(void *arg)
{
    rp_transport *transport = arg;

    assert(transport->lost && !transport->told);
    if (transport->lost_early) {
        transport->lost_early = false;
        rp_loop_ready(transport->loop, &transport->end);
        return;
    }
    transport->told = true;
    rp_handle_cancel(&transport->reading);
    transport->refs++;
    rp_transport *ended RP_ON_LEAVE(detach_and_release) = transport;
    if (ended->protocol->connection_lost)
        ended->protocol->connection_lost(ended->self, ended->error);
}

static void report(rp_resource *resource)
{
    rp_transport *transport = rp_container_of(resource, rp_transport, resource);

    if (transport->loop->debug && !transport->closing && !transport->covered)
        rp_loop_report(
            transport->loop,
            &(rp_report){.where = RP_WHERE_OPEN_TRANSPORT, .transport = transport, .origin = transport->origin});
}

/*
 * The loop is closed: its operations have ended, and no callback may run any more. Whoever still refers to the
 * transport finds it closed.
 */
static void reap(rp_resource *resource)
{
    rp_transport *transport = rp_container_of(resource, rp_transport, resource);

    transport->closing = transport->lost = transport->told = true;
    transport->receiving = transport->sending = false;
    transport->inserts = NULL; /* they are resources of their own */
    rp_handle_cancel(&transport->reading);
    rp_handle_cancel(&transport->end);
    if (rp_node_linked(&transport->maker_link))
        rp_list_remove(&transport->maker_link);
    release(transport);
}

static const rp_resource_type resource_type = {.at = {[RP_REPORT] = report, [RP_REAP] = reap}};

void rp_transport_remove_insert(rp_transport *transport, rp_insert *insert)
{
    rp_insert **place = &transport->inserts;

    while (*place != insert)
        place = &(*place)->next;
    *place = insert->next;
    if (insert->next)
        insert->next->before += insert->before;
    transport->behind = transport->corked || transport->inserts;
}

/* The first one may be sending. */
void rp_transport_end_inserts(rp_transport *transport, int error)
{
    rp_insert *first = transport->inserts, **place = first && first->sending ? &first->next : &transport->inserts;
    rp_insert *insert = *place;

    *place = NULL;
    while (insert) {
        rp_insert *next = insert->next;

        insert->type->end(insert, error);
        insert = next;
    }
}

void rp_transport_lose(rp_transport *transport, int error)
{
    rp_loop *loop = transport->loop;

    if (transport->lost)
        return;
    transport->lost = transport->closing = true;
    if (transport->error == 0)
        transport->error = error;
    if (transport->receiving)
        transport->kind->stop(transport);
    rp_transport_end_inserts(transport, rp_transport_insert_error(transport));
    if (transport->sending)
        transport->kind->cancel(transport);
    else
        rp_buffer_fini(&transport->buffer);
    transport->lost_early = loop->turn == RP_TURN_WAITED;
    rp_loop_ready(loop, &transport->end);
}

/* Errors that a peer or the network causes every day are told to the protocol, and not reported. */
static bool is_everyday(int error)
{
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
    case -ECONNABORTED:
    case -ECONNREFUSED:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
#ifdef EHOSTDOWN /* on Windows EHOSTUNREACH says it */
    case -EHOSTDOWN:
#endif
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ENETRESET:
    case -ENOTCONN:
        return true;
    default:
        return rp_transport_is_tls_error(error);
    }
}

void rp_transport_fail(rp_transport *transport, int error, rp_where where)
{
    if (!transport->lost && !is_everyday(error))
        rp_loop_report(
            transport->loop,
            &(rp_report){.where = where, .error = error, .transport = transport, .origin = transport->origin});
    rp_transport_lose(transport, error);
}

/* -EPIPE comes after the peer's end of the stream was seen: that is a true one. */
void rp_transport_fail_writing(rp_transport *transport, int error, bool told, rp_where where)
{
    const rp_protocol *protocol = transport->protocol;

    assert(!transport->sending);
    if (!protocol->write_failed || !is_everyday(error) || transport->closing || transport->eof_received ||
        !transport->receiving || !transport->kind->receive) {
        rp_transport_fail(transport, error, where);
        return;
    }
    transport->error = error;
    transport->eof_wanted = true;
    transport->end_hidden = told && error != -EPIPE;
    rp_transport_end_inserts(transport, error);
    rp_buffer_fini(&transport->buffer);
    protocol->write_failed(transport->self, error);
}

void rp_transport_abort(rp_transport *transport)
{
    if (transport->kind->reset && !transport->told && rp_loop_check(transport->loop) == 0)
        transport->kind->reset(transport);
    rp_transport_lose(transport, 0);
}

bool rp_transport_is_closing(const rp_transport *transport)
{
    return transport->closing;
}

/* ---- the beginning ---- */

rp_transport *rp_transport_new(rp_loop *loop, const rp_transport_kind *kind)
{
    rp_transport *transport = rp_calloc_lines(kind->size);

    if (!transport)
        return NULL;
    transport->refs = 1;
    transport->loop = loop;
    transport->kind = kind;
    rp_handle_prepare(&transport->end, loop, tell_lost, transport);
    transport->high = RP_TRANSPORT_HIGH;
    transport->low = RP_TRANSPORT_HIGH / 4;
    if (loop->debug)
        transport->origin = rp_origin_capture();
    return transport;
}

void rp_transport_discard(rp_transport *transport)
{
    drop(transport);
}

void rp_transport_start_receiving(rp_transport *transport)
{
    int rc;

    assert(!transport->receiving && !transport->lost);
    rc = transport->kind->start(transport);
    transport->receiving = rc == 0;
    if (rc < 0)
        rp_transport_fail(transport, rc, RP_WHERE_READ_START);
}

static void make_connection(rp_transport *transport)
{
    if (transport->protocol->connection_made)
        transport->protocol->connection_made(transport->self, transport);
}

static void receive_after_connection(rp_transport **made)
{
    rp_transport *transport = *made;

    if (!transport->closing && !rp_loop_is_forked(transport->loop))
        rp_transport_start_receiving(transport);
}

/* In asyncio the two are callbacks of their own. Nothing can come between them, as both are scheduled at once. */
static void begin(void *arg)
{
    rp_transport *transport RP_ON_LEAVE(receive_after_connection) = arg;

    make_connection(transport);
}

void rp_transport_enlist(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    transport->protocol = protocol;
    transport->self = self;
    rp_resource_add(transport->loop, &transport->resource, &resource_type);
}

void rp_transport_start(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    assert(!transport->receiving && !transport->lost);
    if (rp_node_linked(&transport->resource.link))
        rp_transport_set_protocol(transport, protocol, self);
    else
        rp_transport_enlist(transport, protocol, self);
    if (protocol->begins_soon) {
        rp_handle_prepare(&transport->reading, transport->loop, begin, transport);
        rp_loop_ready(transport->loop, &transport->reading);
        return;
    }
    rp_transport_start_receiving(transport);
    make_connection(transport);
}

static void begin_receiving(void *arg)
{
    rp_transport *transport = arg;

    receive_after_connection(&transport);
}

void rp_transport_go_on(rp_transport *transport, const rp_protocol *protocol, void *self)
{
    assert(!transport->receiving && !transport->lost);
    rp_transport_set_protocol(transport, protocol, self);
    rp_handle_prepare(&transport->reading, transport->loop, begin_receiving, transport);
    rp_loop_ready(transport->loop, &transport->reading);
}

/* ---- what it stands on ---- */

rp_fd rp_transport_fd(const rp_transport *transport)
{
    return transport->told ? -1 : transport->kind->fd(transport);
}

rp_loop *rp_transport_get_loop(const rp_transport *transport)
{
    return transport->loop;
}

int rp_transport_peername(const rp_transport *transport, struct sockaddr *address, uint32_t *length)
{
    return rp_kernel_peer(transport->loop->kernel, rp_transport_fd(transport), address, length);
}

int rp_transport_sockname(const rp_transport *transport, struct sockaddr *address, uint32_t *length)
{
    return rp_kernel_name(transport->loop->kernel, rp_transport_fd(transport), address, length);
}

int rp_transport_setsockopt(rp_transport *transport, int level, int option, const void *value, uint32_t length)
{
    return rp_kernel_set(transport->loop->kernel, rp_transport_fd(transport), level, option, value, length);
}

int rp_transport_getsockopt(const rp_transport *transport, int level, int option, void *value, uint32_t *length)
{
    return rp_kernel_get(transport->loop->kernel, rp_transport_fd(transport), level, option, value, length);
}

const rp_protocol *rp_transport_get_protocol(const rp_transport *transport, void **self)
{
    if (self)
        *self = transport->self;
    return transport->protocol;
}
