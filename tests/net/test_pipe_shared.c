/*
 * Pipes that another process shares: it makes the descriptor blocking, and takes the bytes, or the room, between
 * readiness and the call. None of that blocks the loop, which would end the test by its deadline. And what the system
 * lacks: descriptors, permission, and what older kernels do not know.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "harness/hide.h"
#include "harness/pipes.h"
#include "harness/reports.h"
#include "harness/wrap.h"
#include "proactor/pipe_posix.h"

static rp_loop *loop;

static void make_master(int *reader, int *writer)
{
    make_terminal(reader, writer);
}

static pipe_maker *const makers[] = {make_pipe, make_fifo, make_sockets, make_slave, make_master};
enum { MAKERS = sizeof makers / sizeof *makers };

/* ---- the other process ---- */

typedef struct sharer {
    pid_t pid;
    int line; /* one byte asks it, and one answers */
    int fd;   /* what is shared */
} sharer;

/* F: fill it, T: take what is there. After either it is left blocking. */
static void obey(int line, int fd)
{
    static char bytes[1 << 16];
    char order;

    while (read(line, &order, 1) == 1) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        if (order == 'F')
            while (write(fd, bytes, sizeof bytes) > 0 || write(fd, bytes, 1) > 0)
                ;
        else
            while (read(fd, bytes, sizeof bytes) > 0)
                ;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        if (write(line, "k", 1) != 1)
            break;
    }
    _exit(0);
}

static sharer share(int fd, int other)
{
    sharer s = {.fd = fd};
    int lines[2];

    make_sockets(&lines[0], &lines[1]);
    s.pid = fork();
    CHECK(s.pid >= 0);
    if (s.pid == 0) {
        close(lines[0]);
        close(other);
        obey(lines[1], fd);
    }
    close(lines[1]);
    s.line = lines[0];
    return s;
}

static void ask(const sharer *s, char order)
{
    char answer;

    CHECK_INT(write(s->line, &order, 1), ==, 1);
    CHECK_INT(read(s->line, &answer, 1), ==, 1);
    CHECK(!is_nonblocking(s->fd));
}

static void end(const sharer *s)
{
    close(s->line);
    CHECK_INT(waitpid(s->pid, NULL, 0), ==, s->pid);
}

/* ---- between readiness and the call ---- */

static const sharer *thief; /* strikes once */
static int64_t struck;      /* what the call has returned then */

WRAP(int64_t, rp_pipe_posix_read, rp_pipe *pipe, void *buffer, size_t length, bool *more)
{
    const sharer *s = thief;
    int64_t result;

    thief = NULL;
    if (s)
        ask(s, 'T');
    result = __real_rp_pipe_posix_read(pipe, buffer, length, more);
    if (s)
        struck = result;
    return result;
}

WRAP(int64_t, rp_pipe_posix_write, rp_pipe *pipe, const struct iovec *vector, int count)
{
    const sharer *s = thief;
    int64_t result;

    thief = NULL;
    if (s)
        ask(s, 'F');
    result = __real_rp_pipe_posix_write(pipe, vector, count);
    if (s)
        struck = result;
    return result;
}

TEST(another_reader_takes_the_bytes)
{
    for (int i = 0; i < MAKERS; i++) {
        if (makers[i] == make_sockets) /* the proactor receives */
            continue;
        record r = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        sharer s = share(reader, writer);
        connect_reader(loop, &r, reader);
        wire_settle(loop);
        thief = &s;
        struck = 0;
        put(writer, "stolen");
        RUN_UNTIL(loop, !thief);
        CHECK_INT(struck, ==, -EAGAIN);
        CHECK_INT(r.length, ==, 0);
        put(writer, "ours");
        RUN_UNTIL(loop, r.length == 4);
        CHECK(memcmp(r.data, "ours", 4) == 0);
        rp_transport_close(r.transport);
        RUN_UNTIL(loop, r.lost);
        end(&s);
        close(writer);
        free(r.data);
        rp_loop_free(loop);
    }
}

/* ---- the same of operations, on epoll ---- */

static const sharer *poll_thief; /* strikes once, when what is to be read is ready */

WRAP(int, poll, struct pollfd *entries, nfds_t count, int timeout)
{
    int ready = __real_poll(entries, count, timeout);
    const sharer *s = poll_thief;

    if (s && ready > 0 && entries->fd == s->fd) {
        poll_thief = NULL;
        ask(s, 'T');
    }
    return ready;
}

/* io_uring reads in the kernel, by a thread where it might block, and never asks poll(). */
TEST(another_reader_takes_the_bytes_of_an_operation)
{
    static pipe_maker *const those[] = {make_fifo, make_slave};

    for (int i = 0; i < 2; i++) {
        int reader, writer;
        char bytes[16];
        rp_op op;

        loop = wire_loop();
        those[i](&reader, &writer);
        sharer s = share(reader, writer);
        rp_op_read(&op, reader, bytes, sizeof bytes, -1, NULL, NULL);
        CHECK_INT(rp_submit(loop, &op), ==, 0);
        wire_settle(loop);
        if (strcmp(rp_loop_backend_name(loop), "epoll") == 0) {
            poll_thief = &s;
            put(writer, "stolen");
            RUN_UNTIL(loop, !poll_thief);
            wire_settle(loop);
        }
        put(writer, "ours");
        RUN_UNTIL(loop, op.result != 0);
        CHECK_INT(op.result, ==, 4);
        CHECK(memcmp(bytes, "ours", 4) == 0);
        end(&s);
        close(reader);
        close(writer);
        rp_loop_free(loop);
    }
}

/* What has come is announced, then taken by the other one before the protocol lets it be received. */
TEST(another_reader_of_a_socket)
{
    record r = {0};
    int reader, writer;

    loop = wire_loop();
    make_sockets(&reader, &writer);
    sharer s = share(reader, writer);
    connect_reader(loop, &r, reader);
    rp_transport_pause_reading(r.transport);
    put(writer, "stolen");
    wire_settle(loop);
    ask(&s, 'T');
    rp_transport_resume_reading(r.transport);
    wire_settle(loop);
    CHECK_INT(r.length, ==, 0);
    put(writer, "ours");
    RUN_UNTIL(loop, r.length == 4);
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost);
    end(&s);
    close(writer);
    free(r.data);
    rp_loop_free(loop);
}

/* The kernel passes on what a terminal was filled with, and by and by there is more room. */
static bool is_terminal(pipe_maker *make)
{
    return make == make_slave || make == make_master;
}

/* Takes what there is, without waiting; counts bytes that are not zero, which are the transport's. */
static size_t take_marked(int fd)
{
    static char bytes[1 << 16];
    size_t marked = 0;
    ssize_t n;
    int flags = fcntl(fd, F_GETFL);

    CHECK_INT(fcntl(fd, F_SETFL, flags | O_NONBLOCK), ==, 0);
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++)
            marked += bytes[i] != 0;
    CHECK_INT(fcntl(fd, F_SETFL, flags), ==, 0);
    return marked;
}

TEST(another_writer_takes_the_room)
{
    enum { LENGTH = 300000 };
    char *bytes = malloc(LENGTH);

    memset(bytes, 'x', LENGTH);
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;
        size_t got = 0;

        loop = wire_loop();
        makers[i](&reader, &writer);
        sharer s = share(writer, reader);
        connect_writer(loop, &w, writer);
        CHECK_INT(rp_transport_write(w.transport, bytes, LENGTH), ==, 0);
        wire_settle(loop);
        thief = &s;
        struck = 0;
        while (thief) {
            got += take_marked(reader);
            wire_run(loop, RP_MSEC(2));
        }
        if (!is_terminal(makers[i]))
            CHECK_INT(struck, ==, -EAGAIN);
        while (got < LENGTH) {
            got += take_marked(reader);
            wire_run(loop, RP_MSEC(2));
        }
        CHECK_INT(got, ==, LENGTH);
        CHECK_INT(rp_transport_get_write_buffer_size(w.transport), ==, 0);
        rp_transport_close(w.transport);
        RUN_UNTIL(loop, w.lost);
        CHECK_INT(w.error, ==, 0);
        end(&s);
        close(reader);
        rp_loop_free(loop);
    }
    free(bytes);
}

/* A write that finds no room at once, on a descriptor that blocks. */
TEST(a_full_pipe_does_not_block_a_write)
{
    for (int i = 0; i < MAKERS; i++) {
        record w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        sharer s = share(writer, reader);
        ask(&s, 'F');
        connect_writer(loop, &w, writer);
        CHECK_INT(rp_transport_write(w.transport, "x", 1), ==, 0);
        if (!is_terminal(makers[i]))
            CHECK_INT(rp_transport_get_write_buffer_size(w.transport), ==, 1);
        RUN_UNTIL(loop, take_marked(reader) == 1);
        rp_transport_close(w.transport);
        RUN_UNTIL(loop, w.lost);
        end(&s);
        close(reader);
        rp_loop_free(loop);
    }
}

TEST(descriptors_stay_blocking_for_others)
{
    for (int i = 0; i < MAKERS; i++) {
        record r = {0}, w = {0};
        int reader, writer;

        loop = wire_loop();
        makers[i](&reader, &writer);
        connect_reader(loop, &r, reader);
        connect_writer(loop, &w, writer);
        CHECK_INT(rp_transport_write(w.transport, "text", 4), ==, 0);
        RUN_UNTIL(loop, r.length == 4);
        CHECK_INT(is_nonblocking(reader), ==, makers[i] == make_master);
        CHECK_INT(is_nonblocking(writer), ==, makers[i] == make_slave); /* which is the other one's master */
        rp_transport_abort(r.transport);
        rp_transport_abort(w.transport);
        RUN_UNTIL(loop, r.lost && w.lost);
        free(r.data);
        rp_loop_free(loop);
    }
}

/* ---- what the system lacks ---- */

/* Reads and writes, in both directions: a message, and more than there is room for. */
static void check_moves(pipe_maker *make)
{
    enum { LENGTH = 300000 };
    record r = {0}, w = {0};
    int reader, writer;

    loop = wire_loop();
    make(&reader, &writer);
    connect_reader(loop, &r, reader);
    connect_writer(loop, &w, writer);
    wire_settle(loop);
    record_write(&w, LENGTH, 0);
    rp_transport_close(w.transport);
    RUN_UNTIL(loop, w.lost && r.lost);
    CHECK_INT(r.length, ==, LENGTH);
    CHECK(wire_same(r.data, LENGTH, 0));
    free(r.data);
    rp_loop_free(loop);
}

/* Nobody reads: that is an error, and no signal, which would end the test. */
static void check_breaks(pipe_maker *make)
{
    record w = {0};
    int reader, writer;

    loop = wire_loop();
    make(&reader, &writer);
    connect_writer(loop, &w, writer);
    close(reader);
    CHECK_INT(rp_transport_write(w.transport, "x", 1), ==, -EPIPE);
    RUN_UNTIL(loop, w.lost);
    rp_loop_free(loop);
}

TEST(kernels_that_know_no_write_without_a_signal)
{
    refuse_call(SYS_pwritev2, 5, 0x100, EOPNOTSUPP);
    refuse_call(SYS_pwritev2, 5, 0x100 | RWF_NOWAIT, EOPNOTSUPP);
    for (int i = 0; i < 3; i++) {
        check_moves(makers[i]);
        check_breaks(makers[i]);
    }
}

/* The signal that was sent before, and waits, is not taken for the pipe's. */
TEST(a_pending_signal_stays)
{
    sigset_t broken, pending;

    refuse_call(SYS_pwritev2, 5, 0x100 | RWF_NOWAIT, EOPNOTSUPP);
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    CHECK_INT(sigprocmask(SIG_BLOCK, &broken, NULL), ==, 0);
    raise(SIGPIPE);
    check_breaks(make_pipe);
    CHECK_INT(sigpending(&pending), ==, 0);
    CHECK(sigismember(&pending, SIGPIPE));
}

TEST(kernels_that_cannot_be_asked_not_to_block)
{
    refuse_call(SYS_preadv2, 5, RWF_NOWAIT, EOPNOTSUPP);
    refuse_call(SYS_pwritev2, 5, RWF_NOWAIT, EOPNOTSUPP);
    refuse_call(SYS_pwritev2, 5, 0x100 | RWF_NOWAIT, EOPNOTSUPP);
    check_moves(make_pipe);
    check_breaks(make_pipe);
    record w = {0};
    int reader, writer;

    loop = wire_loop();
    make_pipe(&reader, &writer);
    connect_writer(loop, &w, writer);
    record_write(&w, 300000, 0);
    CHECK(!is_nonblocking(writer));
    close(reader);
    RUN_UNTIL(loop, w.lost);
    rp_loop_free(loop);
}

/* What may not be opened is made non-blocking, for all. */
TEST(what_may_not_be_opened)
{
    record r = {0}, w = {0};
    int reader, writer;

    loop = wire_loop();
    make_fifo(&reader, &writer);
    refuse_call(SYS_openat, -1, 0, EACCES);
    connect_reader(loop, &r, reader);
    connect_writer(loop, &w, writer);
    CHECK(is_nonblocking(reader) && is_nonblocking(writer));
    record_write(&w, 300000, 0);
    rp_transport_close(w.transport);
    RUN_UNTIL(loop, r.lost && w.lost);
    CHECK_INT(r.length, ==, 300000);
    free(r.data);
    rp_loop_free(loop);
}

TEST(lack_of_descriptors_leaves_the_descriptor)
{
    static pipe_maker *const those[] = {make_fifo, make_slave};
    struct rlimit limit, none;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    for (int i = 0; i < 2; i++) {
        rp_transport *transport;
        record r = {0};
        int reader, writer, spare;

        loop = wire_loop();
        those[i](&reader, &writer);
        spare = dup(reader);
        close(spare);
        none = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = limit.rlim_max};
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
        CHECK_INT(rp_connect_read_pipe(loop, reader, &record_plain, &r, &transport), ==, -EMFILE);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
        CHECK(is_open(reader) && !is_nonblocking(reader));
        CHECK_INT(r.made, ==, 0);
        close(reader);
        close(writer);
        rp_loop_free(loop);
    }
}

/* Of a pipe nothing more is needed, however few descriptors are left. */
TEST(a_pipe_needs_no_other_descriptor)
{
    struct rlimit limit, none;
    record r = {0};
    int reader, writer, spare;
    char byte;

    loop = wire_loop();
    make_pipe(&reader, &writer);
    if (preadv2(reader, &(struct iovec){&byte, 1}, 1, -1, RWF_NOWAIT) < 0 && errno != EAGAIN)
        SKIP("no reads that are not to wait: %s", strerror(errno));
    spare = dup(reader);
    close(spare);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    connect_reader(loop, &r, reader);
    put(writer, "text");
    RUN_UNTIL(loop, r.length == 4);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    close(writer);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}
