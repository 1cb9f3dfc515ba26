/*
 * test_transport.c - making a transport of a socket, its options and names, its protocol, and what it costs.
 */
#include <stdlib.h>

#include "loop/loop.h"
#include "harness/record.h"

static void abort_at_once(void *self, rp_transport *transport)
{
    record_made(self, transport);
    rp_transport_abort(transport);
}

TEST(connection_made_may_abort)
{
    static const rp_protocol shy = {.connection_made = abort_at_once, .connection_lost = record_lost};
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &shy, &r);

    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void switch_protocol(record *r)
{
    static record second;

    CHECK(rp_transport_get_protocol(r->transport, NULL) == &record_plain);
    second.transport = r->transport;
    second.made = 1;
    rp_transport_set_protocol(r->transport, &record_plain, &second);
    r->on_lost = NULL;
    r->on_data = NULL;
    r->capacity = 0;
}

TEST(the_protocol_can_be_replaced)
{
    rp_loop *loop = wire_loop();
    record r = {.on_data = switch_protocol};
    int there = record_start(loop, &record_plain, &r);
    rp_transport *transport = r.transport;
    void *self;

    CHECK_INT(send(there, "a", 1, 0), ==, 1);
    RUN_UNTIL(loop, r.length == 1);
    CHECK_INT(send(there, "b", 1, 0), ==, 1);
    rp_transport_get_protocol(transport, &self);
    CHECK(self != &r);
    RUN_UNTIL(loop, ((record *)self)->length == 1);
    CHECK_INT(r.length, ==, 1);
    close(there);
    RUN_UNTIL(loop, ((record *)self)->lost);
    CHECK_INT(r.lost, ==, 0);
    free(r.data);
    free(((record *)self)->data);
    rp_loop_free(loop);
}

TEST(a_protocol_of_nothing_is_a_protocol)
{
    static const rp_protocol nothing = {0};
    rp_loop *loop = wire_loop();
    rp_transport *transport;
    int here, there;

    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &nothing, NULL, &transport), ==, 0);
    CHECK_INT(send(there, "abc", 3, 0), ==, 3);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    while (wire_read(there, &(char){0}, 1) == -EAGAIN)
        wire_settle(loop);
    close(there);
    rp_loop_free(loop);
}

TEST(what_is_no_stream_socket_is_refused_and_stays_the_callers)
{
    rp_loop *loop = wire_loop();
    rp_transport *transport;
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int file = open(TEST_NULL, O_RDONLY | O_CLOEXEC), here, there, port, listener = wire_listen(&port);

    CHECK_INT(rp_connect_accepted_socket(loop, file, &record_plain, NULL, &transport), ==, -ENOTSOCK);
    CHECK_INT(rp_connect_accepted_socket(loop, datagram, &record_plain, NULL, &transport), ==, -EINVAL);
    CHECK_INT(rp_connect_accepted_socket(loop, -1, &record_plain, NULL, &transport), ==, -EBADF);
    CHECK_INT(rp_connect_accepted_socket(loop, listener, &record_plain, NULL, &transport), ==, -EINVAL);
    close(listener);
    wire_pair(&here, &there);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &record_plain, NULL, &transport), ==, -ENOMEM);
    rp_loop_close(loop);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &record_plain, NULL, &transport), ==, RP_ECLOSED);
    close(here);
    close(there);
    close(datagram);
    close(file);
    rp_loop_free(loop);
}

TEST(options_and_names)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r), on = 0;
    struct sockaddr_in address, other;
    uint32_t length = sizeof on;

    CHECK_INT(rp_transport_getsockopt(r.transport, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
    CHECK_INT(on, !=, 0);
    on = 0;
    CHECK_INT(rp_transport_setsockopt(r.transport, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), ==, 0);
    CHECK_INT(rp_transport_setsockopt(r.transport, IPPROTO_TCP, -1, &on, sizeof on), ==, -ENOPROTOOPT);
    length = sizeof address;
    CHECK_INT(rp_transport_peername(r.transport, (struct sockaddr *)&address, &length), ==, 0);
    length = sizeof other;
    CHECK_INT(getsockname(there, (struct sockaddr *)&other, &length), ==, 0);
    CHECK_INT(address.sin_port, ==, other.sin_port);
    CHECK_INT(rp_transport_sockname(r.transport, (struct sockaddr *)&address, &length), ==, 0);
    CHECK(rp_transport_get_loop(r.transport) == loop);
    CHECK_INT(rp_transport_fd(r.transport), >=, 0);
    CHECK(fcntl(rp_transport_fd(r.transport), F_GETFL) & O_NONBLOCK);
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(reading_and_writing_allocate_nothing)
{
    rp_loop *loop = wire_loop();
    record r = {.buffer_size = sizeof r.buffer};
    int there = record_start(loop, &record_buffered, &r);
    uint64_t before = 0;
    char byte;

    r.data = malloc(1000);
    r.capacity = 1000;
    for (size_t i = 1; i <= 500; i++) {
        if (i == 3)
            before = test_allocations();
        CHECK_INT(send(there, "x", 1, 0), ==, 1);
        RUN_UNTIL(loop, r.length == i);
        CHECK_INT(rp_transport_write(r.transport, "y", 1), ==, 0);
        CHECK_INT(recv(there, &byte, 1, 0), ==, 1);
    }
    CHECK_INT(test_allocations(), ==, before);
    close(there);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}
