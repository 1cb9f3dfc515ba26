/*
 * Transports of pipes: each end for itself, in order and not, on pipes, FIFOs, sockets and devices; what one way cannot
 * do; and what is refused.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "harness/pipes.h"

static rp_loop *loop;

static pipe_maker *const makers[] = {make_pipe, make_fifo, make_sockets};
enum { MAKERS = sizeof makers / sizeof *makers };

/* ---- reading ---- */

TEST(reads_to_the_end_of_the_stream)
{
    for (int i = 0; i < MAKERS; i++) {
        record r = {.keep_open = true}; /* which means nothing: there is no writing that could go on */
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_reader(loop, &r, reader);
        CHECK(rp_transport_is_reading(r.transport));
        CHECK_INT(rp_transport_fd(r.transport), ==, reader);
        put(writer, "one");
        RUN_UNTIL(loop, r.length == 3);
        put(writer, "two");
        RUN_UNTIL(loop, r.length == 6);
        CHECK(memcmp(r.data, "onetwo", 6) == 0);
        CHECK(!is_nonblocking(reader));
        close(writer);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.eofs, ==, 1);
        CHECK_INT(r.error, ==, 0);
        free(r.data);
        rp_loop_free(loop);
        CHECK(!is_open(reader));
    }
}

/* What was written, and the end, may have come before anyone reads. */
TEST(reads_what_was_there_before)
{
    for (int i = 0; i < MAKERS; i++)
        for (int length = 0; length < 4; length += 3) {
            record r = {0};
            int reader, writer;

            loop = wire_loop();
            makers[i](&reader, &writer);
            if (length > 0)
                put(writer, "one");
            close(writer);
            connect_reader(loop, &r, reader);
            RUN_UNTIL(loop, r.lost);
            CHECK_INT(r.length, ==, length);
            CHECK_INT(r.eofs, ==, 1);
            free(r.data);
            rp_loop_free(loop);
        }
}

/* A read of one packet is short, and others wait behind it. */
TEST(reads_packets_behind_one_another)
{
    record r = {0};
    int fds[2];

    loop = wire_loop();
    CHECK_INT(pipe2(fds, O_CLOEXEC | O_DIRECT), ==, 0);
    for (int i = 0; i < 10; i++)
        put(fds[1], "packet");
    connect_reader(loop, &r, fds[0]);
    RUN_UNTIL(loop, r.length == 60);
    CHECK_INT(r.lost, ==, 0);
    close(fds[1]);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

TEST(reads_messages_of_a_socket)
{
    record r = {0};
    int fds[2];

    loop = wire_loop();
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    put(fds[1], "one");
    connect_reader(loop, &r, fds[0]);
    RUN_UNTIL(loop, r.length == 3);
    put(fds[1], "two");
    put(fds[1], "three");
    RUN_UNTIL(loop, r.length == 11);
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(fds[1]);
    free(r.data);
    rp_loop_free(loop);
}

TEST(pauses_reading)
{
    record r = {0};
    int reader, writer;

    loop = wire_loop();
    make_pipe(&reader, &writer);
    connect_reader(loop, &r, reader);
    rp_transport_pause_reading(r.transport);
    CHECK(!rp_transport_is_reading(r.transport));
    put(writer, "held back");
    wire_settle(loop);
    CHECK_INT(r.length, ==, 0);
    rp_transport_resume_reading(r.transport);
    RUN_UNTIL(loop, r.length == 9);
    close(writer);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

TEST(closes_and_aborts_while_it_reads)
{
    for (int i = 0; i < 2 * MAKERS; i++) {
        record r = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i / 2](&reader, &writer);
        connect_reader(loop, &r, reader);
        wire_settle(loop);
        (i % 2 ? rp_transport_abort : rp_transport_close)(r.transport);
        CHECK(rp_transport_is_closing(r.transport));
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.error, ==, 0);
        CHECK_INT(r.eofs, ==, 0);
        RUN_UNTIL(loop, !is_open(reader));
        close(writer);
        rp_loop_free(loop);
    }
}

/* ---- writing ---- */

TEST(writes_all_and_closes)
{
    enum { LENGTH = 1 << 20 };

    for (int i = 0; i < MAKERS; i++) {
        record w = {0}, r = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        CHECK(!rp_transport_is_reading(w.transport));
        record_write(&w, LENGTH, 0);
        CHECK_INT(rp_transport_get_write_buffer_size(w.transport), >, 0);
        CHECK_INT(w.pauses, ==, 1);
        CHECK(!is_nonblocking(writer));
        if (i % 2)
            rp_transport_close(w.transport);
        else
            CHECK_INT(rp_transport_write_eof(w.transport), ==, 0);
        CHECK(rp_transport_is_closing(w.transport));
        CHECK_INT(rp_transport_write(w.transport, "x", 1), ==, -EPIPE);
        wire_settle(loop);
        CHECK_INT(w.lost, ==, 0);
        connect_reader(loop, &r, reader);
        RUN_UNTIL(loop, r.lost && w.lost);
        CHECK_INT(r.length, ==, LENGTH);
        CHECK(wire_same(r.data, LENGTH, 0));
        CHECK_INT(w.error, ==, 0);
        CHECK_INT(w.resumes, ==, 1);
        free(r.data);
        rp_loop_free(loop);
        CHECK(!is_open(writer));
    }
}

/* Nothing is written, and still it is told that nobody reads any more. SIGPIPE would end the test. */
TEST(notices_that_its_reader_has_gone)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        wire_settle(loop);
        CHECK_INT(w.lost, ==, 0);
        close(reader);
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(notices_that_its_reader_had_gone_before)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        close(reader);
        connect_writer(loop, &w, writer);
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(write_to_nobody_is_an_error_and_no_signal)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        close(reader);
        CHECK_INT(rp_transport_write(w.transport, "x", 1), ==, -EPIPE);
        CHECK(rp_transport_is_closing(w.transport));
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(loses_what_is_buffered_when_the_reader_goes)
{
    for (int i = 0; i < 2 * MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i / 2](&reader, &writer);
        connect_writer(loop, &w, writer);
        record_write(&w, 1 << 20, 0);
        if (i % 2)
            rp_transport_close(w.transport);
        wire_settle(loop);
        CHECK_INT(w.lost, ==, 0);
        close(reader);
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(aborts_what_is_buffered)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        record_write(&w, 1 << 20, 0);
        wire_settle(loop);
        rp_transport_abort(w.transport);
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, 0);
        RUN_UNTIL(loop, !is_open(writer));
        close(reader);
        rp_loop_free(loop);
    }
}

TEST(loop_closes_with_pipes_open)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0}, r = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        record_write(&w, 1 << 20, 0);
        connect_reader(loop, &r, reader);
        rp_transport_pause_reading(r.transport);
        wire_settle(loop);
        rp_loop_free(loop);
        CHECK_INT(w.lost + r.lost, ==, 0);
        CHECK(!is_open(reader) && !is_open(writer));
    }
}

/* ---- between runs, and in a child ---- */

static void *run_till_all_has_come(void *arg)
{
    record *r = arg;

    RUN_UNTIL(loop, r->length == 300000);
    return NULL;
}

TEST(goes_on_in_another_thread)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0}, r = {0};
        int reader, writer;
        pthread_t thread;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        connect_reader(loop, &r, reader);
        rp_transport_pause_reading(r.transport);
        record_write(&w, 300000, 0);
        wire_settle(loop);
        rp_transport_resume_reading(r.transport);
        CHECK_INT(pthread_create(&thread, NULL, run_till_all_has_come, &r), ==, 0);
        CHECK_INT(pthread_join(thread, NULL), ==, 0);
        CHECK(wire_same(r.data, r.length, 0));
        rp_transport_close(w.transport);
        RUN_UNTIL(loop, w.lost && r.lost);
        CHECK_INT(w.error, ==, 0);
        free(r.data);
        rp_loop_free(loop);
    }
}

/* The child's copies are closed, and the parent's pipes are left alone. */
TEST(a_child_of_fork_leaves_pipes_alone)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0}, r = {0};
        int reader, writer, status;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_writer(loop, &w, writer);
        connect_reader(loop, &r, reader);
        wire_settle(loop);
        pid_t child = fork();
        if (child == 0) {
            CHECK_INT(rp_transport_write(w.transport, "x", 1), ==, RP_EFORK);
            CHECK_INT(rp_transport_write_eof(w.transport), ==, RP_EFORK);
            CHECK_INT(rp_transport_try_read(r.transport, &status, 1), ==, RP_EFORK);
            rp_loop_free(loop);
            _exit(0);
        }
        CHECK_INT(waitpid(child, &status, 0), ==, child);
        CHECK_INT(status, ==, 0);
        record_write(&w, 1000, 0);
        rp_transport_close(w.transport);
        RUN_UNTIL(loop, w.lost && r.lost);
        CHECK_INT(r.length, ==, 1000);
        free(r.data);
        rp_loop_free(loop);
    }
}

/* ---- protocols, and files ---- */

TEST(a_new_protocol_gets_what_comes)
{
    record first = {0}, second = {.buffer_size = 4096};
    int reader, writer;

    loop = wire_loop();
    make_pipe(&reader, &writer);
    connect_reader(loop, &first, reader);
    second.made = 1;
    rp_transport_set_protocol(first.transport, &record_buffered, &second);
    put(writer, "for the second");
    close(writer);
    RUN_UNTIL(loop, second.lost);
    CHECK_INT(second.length, ==, 14);
    CHECK_INT(second.eofs, ==, 1);
    CHECK_INT((int)first.length + first.lost, ==, 0);
    free(second.data);
    rp_loop_free(loop);
}

TEST(sends_a_file)
{
    enum { LENGTH = 2000000 };
    FILE *file = tmpfile();
    char *bytes = malloc(LENGTH);
    record w = {0}, r = {0};
    int reader, writer;
    rp_future *sent;

    loop = wire_loop();
    wire_fill(bytes, LENGTH, 0);
    CHECK_INT(pwrite(fileno(file), bytes, LENGTH, 0), ==, LENGTH);
    make_pipe(&reader, &writer);
    connect_writer(loop, &w, writer);
    connect_reader(loop, &r, reader);
    CHECK_INT(rp_transport_sendfile(r.transport, fileno(file), 0, LENGTH, 0, &sent), ==, -ENOTSUP);
    CHECK_INT(rp_transport_sendfile(w.transport, fileno(file), 0, LENGTH, 0, &sent), ==, 0);
    rp_transport_write(w.transport, "end", 3);
    CHECK_INT(rp_transport_write_eof(w.transport), ==, 0);
    RUN_UNTIL(loop, w.lost && r.lost);
    CHECK_INT(w.error, ==, 0);
    CHECK_INT(rp_sendfile_sent(sent), ==, LENGTH);
    CHECK_INT(r.length, ==, LENGTH + 3);
    CHECK(wire_same(r.data, LENGTH, 0));
    CHECK(memcmp(r.data + LENGTH, "end", 3) == 0);
    rp_future_unref(sent);
    free(bytes);
    free(r.data);
    fclose(file);
    rp_loop_free(loop);
}

/* ---- devices ---- */

TEST(reads_and_writes_devices)
{
    record r = {0}, w = {0};

    loop = wire_loop();
    connect_reader(loop, &r, open("/dev/null", O_RDONLY | O_CLOEXEC));
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.eofs, ==, 1);
    CHECK_INT(r.error, ==, 0);
    connect_writer(loop, &w, open("/dev/null", O_WRONLY | O_CLOEXEC));
    record_write(&w, 1 << 20, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(w.transport), ==, 0);
    rp_transport_close(w.transport);
    RUN_UNTIL(loop, w.lost);
    CHECK_INT(w.error, ==, 0);
    rp_loop_free(loop);
}

/* ---- what one way cannot do ---- */

TEST(a_reading_end_does_not_write)
{
    record r = {0};
    int reader, writer;

    loop = wire_loop();
    make_sockets(&reader, &writer); /* which could */
    connect_reader(loop, &r, reader);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -ENOTSUP);
    CHECK_INT(rp_transport_write(r.transport, "", 0), ==, -ENOTSUP);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, -ENOTSUP);
    rp_transport_cork(r.transport);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -ENOTSUP);
    CHECK_INT(rp_transport_uncork(r.transport), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 0);
    CHECK(!rp_transport_is_closing(r.transport));
    put(writer, "still read");
    RUN_UNTIL(loop, r.length == 10);
    close(writer);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

TEST(a_writing_end_does_not_read)
{
    record w = {0};
    int reader, writer;
    char buffer[8];

    loop = wire_loop();
    make_sockets(&reader, &writer);
    connect_writer(loop, &w, writer);
    put(reader, "not for us");
    wire_settle(loop);
    CHECK_INT(rp_transport_try_read(w.transport, buffer, sizeof buffer), ==, -ENOTSUP);
    rp_transport_resume_reading(w.transport);
    CHECK(!rp_transport_is_reading(w.transport));
    wire_settle(loop);
    CHECK_INT(w.length + (size_t)w.lost, ==, 0);
    record_write(&w, 5, 0);
    CHECK_INT(recv(reader, buffer, sizeof buffer, 0), ==, 5);
    close(reader);
    RUN_UNTIL(loop, w.lost);
    rp_loop_free(loop);
}

/* ---- what is refused, and stays the caller's ---- */

static void check_refused(int fd, int read_error, int write_error)
{
    rp_transport *transport;
    record r = {0};

    CHECK_INT(rp_connect_read_pipe(loop, fd, &record_plain, &r, &transport), ==, read_error);
    CHECK_INT(rp_connect_write_pipe(loop, fd, &record_plain, &r, &transport), ==, write_error);
    CHECK_INT(r.made + r.lost, ==, 0);
}

TEST(refuses_what_is_no_pipe)
{
    FILE *file = tmpfile();
    int directory = open("/", O_RDONLY | O_CLOEXEC), path = open("/dev/null", O_PATH | O_CLOEXEC);

    loop = wire_loop();
    check_refused(fileno(file), -EINVAL, -EINVAL);
    check_refused(directory, -EINVAL, -EINVAL);
    check_refused(path, -EBADF, -EBADF);
    check_refused(-1, -EBADF, -EBADF);
    check_refused(12345, -EBADF, -EBADF);
    CHECK(is_open(fileno(file)) && is_open(directory) && is_open(path));
    fclose(file);
    close(directory);
    close(path);
    rp_loop_free(loop);
}

TEST(refuses_the_other_direction)
{
    rp_transport *transport;
    record r = {0};

    loop = wire_loop();
    for (int i = 0; i < 2; i++) { /* pipe and FIFO */
        int reader, writer;

        makers[i](&reader, &writer);
        CHECK_INT(rp_connect_read_pipe(loop, writer, &record_plain, &r, &transport), ==, -EBADF);
        CHECK_INT(rp_connect_write_pipe(loop, reader, &record_plain, &r, &transport), ==, -EBADF);
        CHECK(is_open(reader) && is_open(writer));
        close(reader);
        close(writer);
    }
    CHECK_INT(r.made, ==, 0);
    rp_loop_free(loop);
}

TEST(lack_of_memory_leaves_the_descriptor)
{
    rp_transport *transport;
    record r = {0};
    int reader, writer;

    loop = wire_loop();
    make_pipe(&reader, &writer);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_read_pipe(loop, reader, &record_plain, &r, &transport), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_write_pipe(loop, writer, &record_plain, &r, &transport), ==, -ENOMEM);
    test_fail_allocation(0);
    CHECK(is_open(reader) && is_open(writer));
    CHECK_INT(r.made, ==, 0);
    close(reader);
    close(writer);
    rp_loop_free(loop);
}
