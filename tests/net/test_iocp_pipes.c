/*
 * test_iocp_pipes.c - transports of pipes of Windows: each end for itself, for overlapped operations and not; what one
 * way cannot do; what is refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "harness/platform.h"
#include "harness/record.h"

/* Overlapped or not; and whether the end that writes may be read, too. */
typedef enum way { BLOCKING, OVERLAPPED_BOTH, WATCHED, WAYS } way;

static rp_loop *loop;

static void make_pipe(way w, HANDLE *reader, HANDLE *writer)
{
    static int number;
    wchar_t name[64];

    if (w == BLOCKING) {
        CHECK(CreatePipe(reader, writer, NULL, 4096));
        return;
    }
    swprintf(name, 64, L"\\\\.\\pipe\\rp-transports-%lu-%d", GetCurrentProcessId(), number++);
    *writer =
        CreateNamedPipeW(name, (w == WATCHED ? PIPE_ACCESS_DUPLEX : PIPE_ACCESS_OUTBOUND) | FILE_FLAG_OVERLAPPED,
                         PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(*writer != INVALID_HANDLE_VALUE);
    *reader = CreateFileW(name, GENERIC_READ, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(*reader != INVALID_HANDLE_VALUE);
}

static void connect_reader(record *r, HANDLE pipe)
{
    rp_transport *transport;

    CHECK_INT(rp_connect_read_pipe(loop, (rp_fd)pipe, &record_plain, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
}

static void connect_writer(record *r, HANDLE pipe)
{
    rp_transport *transport;

    CHECK_INT(rp_connect_write_pipe(loop, (rp_fd)pipe, &record_plain, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
}

/* By an operation, so that the loop goes on; whatever kind of handle it is. */
typedef struct move {
    rp_op op;
    bool done;
} move;

static void on_moved(rp_op *op)
{
    rp_container_of(op, move, op)->done = true;
}

static void say(HANDLE pipe, const char *text)
{
    move m = {.done = false};

    rp_op_write(&m.op, (rp_fd)pipe, text, strlen(text), -1, on_moved, NULL);
    CHECK_INT(rp_submit(loop, &m.op), ==, 0);
    RUN_UNTIL(loop, m.done);
    CHECK_INT(m.op.result, ==, strlen(text));
}

static int64_t hear(HANDLE pipe, char *buffer, size_t size)
{
    move m = {.done = false};

    rp_op_read(&m.op, (rp_fd)pipe, buffer, size, -1, on_moved, NULL);
    CHECK_INT(rp_submit(loop, &m.op), ==, 0);
    RUN_UNTIL(loop, m.done);
    return m.op.result;
}

static bool is_open(HANDLE handle)
{
    DWORD flags;

    return GetHandleInformation(handle, &flags);
}

/* ---- reading ---- */

TEST(reads_to_the_end_of_the_stream)
{
    for (int w = 0; w < WAYS; w++) {
        record r = {.keep_open = true}; /* which means nothing: there is no writing that could go on */
        HANDLE reader, writer;

        loop = wire_loop();
        make_pipe(w, &reader, &writer);
        connect_reader(&r, reader);
        CHECK(rp_transport_is_reading(r.transport));
        CHECK_INT(rp_transport_fd(r.transport), ==, (rp_fd)reader);
        say(writer, "one");
        RUN_UNTIL(loop, r.length == 3);
        say(writer, "two");
        RUN_UNTIL(loop, r.length == 6);
        CHECK(memcmp(r.data, "onetwo", 6) == 0);
        CloseHandle(writer);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.eofs, ==, 1);
        CHECK_INT(r.error, ==, 0);
        free(r.data);
        rp_loop_free(loop);
        CHECK(!is_open(reader));
    }
}

/* While it is paused no more is taken than what is read ahead: the writer is held back. */
TEST(pauses_reading)
{
    enum { MUCH = 1000000 };
    char *bytes = malloc(MUCH);

    wire_fill(bytes, MUCH, 0);
    for (int w = 0; w < WAYS; w++) {
        record r = {0};
        HANDLE reader, writer;
        move m = {.done = false};

        loop = wire_loop();
        make_pipe(w, &reader, &writer);
        connect_reader(&r, reader);
        rp_transport_pause_reading(r.transport);
        CHECK(!rp_transport_is_reading(r.transport));
        rp_op_write(&m.op, (rp_fd)writer, bytes, MUCH, -1, on_moved, NULL);
        CHECK_INT(rp_submit(loop, &m.op), ==, 0);
        wire_settle(loop);
        CHECK_INT(r.length, ==, 0);
        CHECK(!m.done);
        rp_transport_resume_reading(r.transport);
        RUN_UNTIL(loop, m.done && r.length == MUCH);
        CHECK(memcmp(r.data, bytes, MUCH) == 0);
        CloseHandle(writer);
        RUN_UNTIL(loop, r.lost);
        free(r.data);
        rp_loop_free(loop);
    }
    free(bytes);
}

/* Nothing comes any more, and the read that waits for it is ended. */
TEST(closes_and_aborts_while_it_reads)
{
    for (int w = 0; w < WAYS; w++)
        for (int aborts = 0; aborts < 2; aborts++) {
            record r = {0};
            HANDLE reader, writer;

            loop = wire_loop();
            make_pipe(w, &reader, &writer);
            connect_reader(&r, reader);
            wire_settle(loop);
            if (aborts)
                rp_transport_abort(r.transport);
            else
                rp_transport_close(r.transport);
            RUN_UNTIL(loop, r.lost);
            CHECK_INT(r.error, ==, 0);
            CHECK_INT(r.eofs, ==, 0);
            RUN_UNTIL(loop, !is_open(reader));
            CloseHandle(writer);
            rp_loop_free(loop);
        }
}

/* ---- writing ---- */

TEST(writes_all_and_closes)
{
    enum { MUCH = 1000000 };
    static char chunk[50000];

    for (int w = 0; w < WAYS; w++)
        for (int by_eof = 0; by_eof < 2; by_eof++) {
            record r = {0};
            HANDLE reader, writer;
            uint64_t got = 0;
            int64_t n;

            loop = wire_loop();
            make_pipe(w, &reader, &writer);
            connect_writer(&r, writer);
            CHECK(!rp_transport_is_reading(r.transport));
            record_write(&r, MUCH, 0);
            CHECK_INT(r.pauses, ==, 1);
            if (by_eof)
                CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
            else
                rp_transport_close(r.transport);
            CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -EPIPE);
            while ((n = hear(reader, chunk, sizeof chunk)) > 0) {
                CHECK(wire_same(chunk, (size_t)n, got));
                got += (uint64_t)n;
            }
            CHECK_INT(n, ==, 0);
            CHECK_INT(got, ==, MUCH);
            RUN_UNTIL(loop, r.lost);
            CHECK_INT(r.error, ==, 0);
            CloseHandle(reader);
            rp_loop_free(loop);
            CHECK(!is_open(writer));
        }
}

/* Even if nothing is written, where the handle lets us look. */
TEST(notices_that_its_reader_has_gone)
{
    record r = {0};
    HANDLE reader, writer;

    loop = wire_loop();
    make_pipe(WATCHED, &reader, &writer);
    connect_writer(&r, writer);
    wire_settle(loop);
    CHECK_INT(r.lost, ==, 0);
    CloseHandle(reader);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -EPIPE);
    rp_loop_free(loop);
}

TEST(write_to_nobody_is_an_error)
{
    for (int w = 0; w < WAYS; w++) {
        record r = {0};
        HANDLE reader, writer;

        loop = wire_loop();
        make_pipe(w, &reader, &writer);
        connect_writer(&r, writer);
        CloseHandle(reader);
        rp_transport_write(r.transport, "x", 1);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.error, ==, -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(aborts_what_is_buffered)
{
    for (int w = 0; w < WAYS; w++) {
        record r = {0};
        HANDLE reader, writer;

        loop = wire_loop();
        make_pipe(w, &reader, &writer);
        connect_writer(&r, writer);
        record_write(&r, 1000000, 0);
        wire_settle(loop);
        rp_transport_abort(r.transport);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.error, ==, 0);
        RUN_UNTIL(loop, !is_open(writer));
        CloseHandle(reader);
        rp_loop_free(loop);
    }
}

/* ---- the end ---- */

TEST(a_loop_closes_with_pipes_open)
{
    for (int w = 0; w < WAYS; w++) {
        record in = {0}, out = {0};
        HANDLE readers[2], writers[2];

        loop = wire_loop();
        for (int i = 0; i < 2; i++)
            make_pipe(w, &readers[i], &writers[i]);
        connect_reader(&in, readers[0]);
        connect_writer(&out, writers[1]);
        record_write(&out, 1000000, 0);
        wire_settle(loop);
        rp_loop_free(loop);
        CHECK_INT(in.lost + out.lost, ==, 0);
        CHECK(!is_open(readers[0]) && !is_open(writers[1]));
        CloseHandle(writers[0]);
        CloseHandle(readers[1]);
    }
}

/* ---- what is not ---- */

TEST(one_way_does_not_do_the_other)
{
    record in = {0}, out = {0};
    HANDLE reader, writer;
    char byte;

    loop = wire_loop();
    make_pipe(OVERLAPPED_BOTH, &reader, &writer);
    connect_reader(&in, reader);
    connect_writer(&out, writer);
    CHECK_INT(rp_transport_write(in.transport, "x", 1), ==, -ENOTSUP);
    CHECK_INT(rp_transport_write_eof(in.transport), ==, -ENOTSUP);
    CHECK_INT(rp_transport_try_read(out.transport, &byte, 1), ==, -ENOTSUP);
    rp_loop_free(loop);
}

TEST(refuses_what_is_no_pipe)
{
    char path[] = "./ringport-XXXXXX";
    int file = mkstemp(path);
    HANDLE reader, writer;
    rp_transport *transport;
    record r = {0};

    loop = wire_loop();
    CHECK_INT(rp_connect_read_pipe(loop, file, &record_plain, &r, &transport), ==, -EINVAL);
    CHECK_INT(rp_connect_write_pipe(loop, file, &record_plain, &r, &transport), ==, -EINVAL);
    CHECK_INT(rp_connect_read_pipe(loop, -1, &record_plain, &r, &transport), ==, -EBADF);
    CHECK_INT(rp_connect_read_pipe(loop, 0x7ffffff0, &record_plain, &r, &transport), ==, -EBADF);
    make_pipe(OVERLAPPED_BOTH, &reader, &writer);
    CHECK_INT(rp_connect_write_pipe(loop, (rp_fd)reader, &record_plain, &r, &transport), ==, -EBADF);
    CHECK_INT(rp_connect_read_pipe(loop, (rp_fd)writer, &record_plain, &r, &transport), ==, -EBADF);
    CHECK(is_open(reader) && is_open(writer));
    CHECK_INT(r.made, ==, 0);
    CloseHandle(reader);
    CloseHandle(writer);
    close(file);
    unlink(path);
    rp_loop_free(loop);
}

TEST(one_direction_of_a_socket)
{
    record in = {0}, out = {0};
    int here, there;

    loop = wire_loop();
    wire_pair(&here, &there);
    connect_reader(&in, (HANDLE)(intptr_t)here);
    connect_writer(&out, (HANDLE)(intptr_t)there);
    record_write(&out, 100000, 0);
    rp_transport_close(out.transport);
    RUN_UNTIL(loop, in.lost);
    CHECK_INT(in.error, ==, 0);
    CHECK_INT(in.length, ==, 100000);
    CHECK(wire_same(in.data, in.length, 0));
    free(in.data);
    rp_loop_free(loop);
}

TEST(lack_of_memory_leaves_the_handle)
{
    HANDLE reader, writer;
    rp_transport *transport;
    record r = {0};

    loop = wire_loop();
    make_pipe(OVERLAPPED_BOTH, &reader, &writer);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_read_pipe(loop, (rp_fd)reader, &record_plain, &r, &transport), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_write_pipe(loop, (rp_fd)writer, &record_plain, &r, &transport), ==, -ENOMEM);
    test_fail_allocation(0);
    CHECK(is_open(reader) && is_open(writer));
    CloseHandle(reader);
    CloseHandle(writer);
    rp_loop_free(loop);
}
