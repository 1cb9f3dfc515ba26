/*
 * test_face.c - what a second face of the library asks of connections: references that outlive them and their loop, and
 * a beginning that comes when asyncio has it.
 */
#include "harness/face.h"

/* ---- a transport that is referred to ---- */

static void check_closed(rp_transport *transport, int error)
{
    struct sockaddr_in address;
    uint32_t length = sizeof address;
    size_t high, low;
    char byte;

    CHECK(rp_transport_is_closing(transport));
    CHECK(!rp_transport_is_reading(transport));
    CHECK_INT(rp_transport_write(transport, "x", 1), ==, error);
    CHECK_INT(rp_transport_try_read(transport, &byte, 1), ==, error);
    CHECK_INT(rp_transport_write_eof(transport), ==, error == -EPIPE ? 0 : error);
    rp_transport_cork(transport);
    CHECK_INT(rp_transport_uncork(transport), ==, error);
    rp_transport_pause_reading(transport);
    rp_transport_resume_reading(transport);
    rp_transport_close(transport);
    rp_transport_abort(transport);
    CHECK_INT(rp_transport_set_write_buffer_limits(transport, 10, 5), ==, 0);
    rp_transport_get_write_buffer_limits(transport, &high, &low);
    CHECK(high == 10 && low == 5);
    CHECK_INT(rp_transport_get_write_buffer_size(transport), ==, 0);
    CHECK_INT(rp_transport_fd(transport), ==, -1);
    CHECK_INT(rp_transport_peername(transport, (struct sockaddr *)&address, &length), ==, -EBADF);
    CHECK_INT(rp_transport_sockname(transport, (struct sockaddr *)&address, &length), ==, -EBADF);
    CHECK_INT(rp_transport_setsockopt(transport, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)), <, 0);
    rp_transport_set_protocol(transport, &plain, NULL);
    CHECK(rp_transport_get_protocol(transport, NULL) == &plain);
}

TEST(a_transport_that_is_referred_to_outlives_its_connection)
{
    face f = {0};
    int there = attach(&f, &plain);

    CHECK(rp_transport_ref(f.transport) == f.transport);
    rp_transport_ref(f.transport);
    rp_transport_abort(f.transport);
    RUN_UNTIL(the_loop, has(&f, 'L'));
    rp_transport_unref(f.transport);
    check_closed(f.transport, -EPIPE);
    CHECK(rp_transport_get_loop(f.transport) == the_loop);
    rp_transport_unref(f.transport);
    rp_transport_unref(NULL);
    CHECK_STR(f.log, "ML");
    finish(there);
}

TEST(a_transport_that_is_referred_to_outlives_its_loop)
{
    static char zeros[8000000];

    for (int full = 0; full < 2; full++) {
        face f = {0};
        int there = attach(&f, &plain);
        rp_transport *transport = rp_transport_ref(f.transport);

        if (full)
            CHECK_INT(rp_transport_write(transport, zeros, sizeof zeros), ==, 0);
        run_turn();
        rp_loop_free(the_loop);
        check_closed(transport, RP_ECLOSED);
        CHECK(rp_loop_is_closed(rp_transport_get_loop(transport)));
        rp_transport_unref(transport);
        CHECK_STR(f.log, "M");
        close(there);
    }
}

static int make_face(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = ((face *)arg)->room ? &soon : &plain;
    *self = arg;
    return 0;
}

static rp_server *serve(face *f)
{
    rp_server *server;
    rp_future *future;

    CHECK_INT(rp_create_server(the_loop, make_face, f, "127.0.0.1", 0, NULL, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(the_loop, future), ==, 0);
    server = rp_future_value(future);
    rp_future_unref(future);
    return server;
}

TEST(a_served_connection_that_is_referred_to_outlives_server_and_loop)
{
    face f = {0};
    rp_transport *transport;

    the_loop = wire_loop();
    rp_server *server = serve(&f);
    int there = wire_connect(rp_server_port(server));
    RUN_UNTIL(the_loop, has(&f, 'M'));
    transport = rp_transport_ref(f.transport);
    rp_server_close(server);
    rp_loop_free(the_loop);
    check_closed(transport, RP_ECLOSED);
    rp_transport_unref(transport);
    close(there);
}

/* ---- a connection that begins soon ---- */

TEST(connection_made_comes_when_it_is_scheduled_and_before_whoever_waits)
{
    face f = {0};

    the_loop = wire_loop();
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, &f), ==, 0);
    rp_loop *loop = the_loop;
    int here, there;

    wire_pair(&here, &there);
    say(there, "x");
    CHECK_INT(rp_connect_accepted_socket(loop, here, &soon, &f, &f.transport), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note_call, &f), ==, 0);
    CHECK_STR(f.log, "");
    run_turn();
    CHECK_STR(f.log, ".M.");
    RUN_UNTIL(loop, has(&f, 'D'));
    CHECK_STR(f.log, ".M.D");
    CHECK_INT(f.turns[3], >, f.turns[2]);
    finish(there);
}

TEST(nothing_is_received_by_a_connection_that_is_closed_as_it_begins)
{
    face f = {.at_made = close_between_two};
    int there = attach(&f, &soon);

    say(there, "x");
    RUN_UNTIL(the_loop, has(&f, 'L'));
    CHECK_STR(f.log, "M.L.");
    finish(there);
}

TEST(a_connection_that_is_given_up_before_it_begins_is_made_and_lost)
{
    void (*const ways[])(rp_transport * transport) = {rp_transport_close, rp_transport_abort};

    for (int i = 0; i < 2; i++) {
        face f = {0};
        int there = attach(&f, &soon);

        ways[i](f.transport);
        CHECK_STR(f.log, "");
        run_turn();
        CHECK_STR(f.log, "ML");
        finish(there);
    }
}

TEST(a_connection_can_be_written_to_before_it_begins)
{
    face f = {0};
    int there = attach(&f, &soon);
    char byte;

    CHECK_INT(rp_transport_write(f.transport, "y", 1), ==, 0);
    CHECK_INT(wire_await(the_loop, there, &byte, 1), ==, 1);
    say(there, "x");
    RUN_UNTIL(the_loop, has(&f, 'D'));
    CHECK_STR(f.log, "MD");
    finish(there);
}

TEST(a_loop_that_is_closed_before_a_connection_begins_tells_nothing)
{
    face f = {0};
    int there = attach(&f, &soon);

    rp_transport_ref(f.transport);
    rp_loop_close(the_loop);
    check_closed(f.transport, RP_ECLOSED);
    rp_transport_unref(f.transport);
    CHECK_STR(f.log, "");
    finish(there);
}

static void connection_is_there(rp_future *future, void *arg)
{
    note(arg, '.');
    CHECK_INT(rp_future_result(future), ==, 0);
}

TEST(whoever_awaits_a_connection_goes_on_after_it_has_begun)
{
    face client = {.room = 1}, served = {.room = 1};
    rp_done_callback done = {0};
    rp_future *future;

    the_loop = wire_loop();
    rp_server *server = serve(&served);
    CHECK_INT(
        rp_create_connection(the_loop, make_face, &client, "127.0.0.1", rp_server_port(server), NULL, &future), ==,
        0);
    CHECK_INT(rp_future_add_done_callback(future, &done, connection_is_there, &client), ==, 0);
    RUN_UNTIL(the_loop, has(&client, '.') && has(&served, 'M'));
    CHECK_STR(client.log, "M.");
    rp_future_unref(future);
    rp_transport_close(client.transport);
    RUN_UNTIL(the_loop, has(&client, 'L') && has(&served, 'L'));
    CHECK_STR(served.log, "MEL");
    rp_server_free(server);
    rp_loop_free(the_loop);
}
