/*
 * test_stream_open.c - opening connections and looking up names.
 */
#include <stdio.h>

#include "harness/reports.h"
#include "harness/streams.h"

CO_TEST(connections_are_opened_refused_and_given_up)
{
    int port, listener = wire_listen(&port), there;
    rp_stream *stream;
    char text[64], expected[64];
    rp_timeout timeout;
    int rc;

    CHECK_INT(rp_open_connection(co, &stream, "localhost", port, &(rp_connect_options){.family = AF_INET}), ==, 0);
    there = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", port);
    CHECK_INT(rp_stream_peername(stream, text, sizeof text), ==, 0);
    CHECK_STR(text, expected);
    CHECK_INT(rp_stream_sockname(stream, text, sizeof text), ==, 0);
    CHECK_INT(rp_stream_sockname(stream, text, 5), ==, -ENOSPC);
    CHECK_INT(rp_stream_write(co, stream, "hello", 5), ==, 0);
    CHECK_INT(recv(there, text, 5, MSG_WAITALL), ==, 5);
    rp_stream_free(stream);
    close(there);
    close(listener);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", port, NULL), ==, -ECONNREFUSED);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", 65536, NULL), ==, -EINVAL);
    rc = rp_open_unix_connection(co, &stream, "/nowhere/at/all");
    CHECK(rc == -ENOENT || rc == -EAFNOSUPPORT);
    CHECK_INT(rp_open_unix_connection(co, &stream, ""), ==, -EINVAL);

    listener = wire_listen(&port);
    CHECK_INT(listen(listener, 0), ==, 0);
    there = wire_connect(port);
    rp_timeout_begin(co, &timeout, RP_MSEC(20));
    rc = rp_open_connection(co, &stream, "127.0.0.1", port, NULL);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    close(there);
    close(listener);
}

CO_TEST(names_are_looked_up)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list = NULL;
    rp_timeout timeout;
    int rc;

    CHECK_INT(rp_getaddrinfo(co, &list, "localhost", "80", &hints), ==, 0);
    CHECK_INT(list->ai_family, ==, AF_INET);
    freeaddrinfo(list);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK_INT(rp_getaddrinfo(co, &list, "localhost", "80", &hints), ==, RP_EAI_NONAME);
    rp_timeout_begin(co, &timeout, 0);
    rc = rp_getaddrinfo(co, &list, "localhost", "81", NULL);
    if (rc == 0)
        freeaddrinfo(list);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, rc == 0 ? 0 : -ETIMEDOUT);
}

static int open_in_task(rp_co *co, void *arg)
{
    rp_stream *stream;

    return rp_open_connection(co, &stream, "127.0.0.1", *(int *)arg, NULL);
}

TEST(a_loop_that_is_closed_leaves_no_opening_behind)
{
    rp_loop *loop = wire_loop();
    int port, listener = wire_listen(&port), filler;
    rp_task *task;

    CHECK_INT(listen(listener, 0), ==, 0);
    filler = wire_connect(port);
    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_loop_create_task(loop, &task, open_in_task, &port), ==, 0);
    wire_settle(loop);
    CHECK(!rp_future_done(task));
    rp_loop_free(loop);
    rp_future_unref(task);
    close(filler);
    close(listener);
}
