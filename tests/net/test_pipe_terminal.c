/*
 * Transports of terminals: lines and keys, the end that is a hang-up, what is shown faster than it is looked at, and a
 * process that must not get a terminal by it.
 */
#include <errno.h>
#include <sys/wait.h>

#include "harness/pipes.h"
#include "harness/reports.h"

static rp_loop *loop;

static void set_lines(int fd)
{
    struct termios settings;

    CHECK_INT(tcgetattr(fd, &settings), ==, 0);
    settings.c_lflag |= ICANON;
    CHECK_INT(tcsetattr(fd, TCSANOW, &settings), ==, 0);
}

TEST(reads_keys)
{
    record r = {0};
    int master, slave;

    loop = wire_loop();
    make_terminal(&master, &slave);
    connect_reader(loop, &r, slave);
    put(master, "a");
    RUN_UNTIL(loop, r.length == 1);
    put(master, "bc");
    RUN_UNTIL(loop, r.length == 3);
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    close(master);
    free(r.data);
    rp_loop_free(loop);
}

/* One read has one line, and the others are behind it. */
TEST(reads_lines_to_the_end_of_file)
{
    record r = {0};
    int master, slave;

    loop = wire_loop();
    make_terminal(&master, &slave);
    set_lines(slave);
    connect_reader(loop, &r, slave);
    put(master, "one\ntwo\nthr");
    RUN_UNTIL(loop, r.length == 8);
    wire_settle(loop);
    CHECK_INT(r.length, ==, 8);
    put(master, "ee\n");
    RUN_UNTIL(loop, r.length == 14);
    put(master, "\4"); /* Ctrl-D */
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.eofs, ==, 1);
    CHECK_INT(r.error, ==, 0);
    close(master);
    free(r.data);
    rp_loop_free(loop);
}

/* The kernel says EIO, and it is the end of the stream: after what was written before. */
TEST(the_end_of_a_master)
{
    for (int i = 0; i < 2; i++) {
        last_report report = {0};
        record r = {0};
        int master, slave;

        loop = wire_loop();
        rp_set_exception_handler(loop, keep_report, &report);
        make_terminal(&master, &slave);
        connect_reader(loop, &r, master);
        if (i == 1)
            wire_settle(loop);
        put(slave, "last words");
        close(slave);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.length, ==, 10);
        CHECK_INT(r.eofs, ==, 1);
        CHECK_INT(r.error, ==, 0);
        CHECK_INT(report.count, ==, 0);
        free(r.data);
        rp_loop_free(loop);
    }
}

TEST(the_end_of_a_slave)
{
    record r = {0};
    int master, slave;

    loop = wire_loop();
    make_terminal(&master, &slave);
    connect_reader(loop, &r, slave);
    wire_settle(loop);
    close(master);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.eofs, ==, 1);
    CHECK_INT(r.error, ==, 0);
    rp_loop_free(loop);
}

/* Nobody looks at the terminal: what does not fit waits, and so does the close. */
TEST(writes_more_than_is_looked_at)
{
    enum { LENGTH = 200000 };

    for (int i = 0; i < 2; i++) {
        record w = {0}, r = {0};
        int master, slave;

        loop = wire_loop();
        make_terminal(&master, &slave);
        connect_writer(loop, &w, i == 0 ? slave : master);
        record_write(&w, LENGTH, 0);
        CHECK_INT(rp_transport_get_write_buffer_size(w.transport), >, 0);
        if (i == 0)
            rp_transport_close(w.transport);
        wire_settle(loop);
        CHECK_INT(w.lost, ==, 0);
        connect_reader(loop, &r, i == 0 ? master : slave);
        RUN_UNTIL(loop, r.length == LENGTH);
        CHECK(wire_same(r.data, LENGTH, 0));
        if (i == 1) /* by its end a master takes away what the slave has not read */
            rp_transport_close(w.transport);
        RUN_UNTIL(loop, w.lost && r.lost);
        CHECK_INT(w.error, ==, 0);
        CHECK_INT(r.error, ==, 0);
        free(r.data);
        rp_loop_free(loop);
    }
}

/* A terminal that turns '\n' into two bytes needs room for both. */
TEST(writes_lines_that_become_longer)
{
    enum { LINES = 100000 };
    struct termios settings;
    record w = {0}, r = {0};
    char *lines = malloc(LINES);
    int master, slave;

    loop = wire_loop();
    make_terminal(&master, &slave);
    CHECK_INT(tcgetattr(slave, &settings), ==, 0);
    settings.c_oflag |= OPOST | ONLCR;
    CHECK_INT(tcsetattr(slave, TCSANOW, &settings), ==, 0);
    connect_writer(loop, &w, slave);
    memset(lines, '\n', LINES);
    CHECK_INT(rp_transport_write(w.transport, lines, LINES), ==, 0);
    wire_settle(loop);
    connect_reader(loop, &r, master);
    RUN_UNTIL(loop, r.length == 2 * (size_t)LINES);
    rp_transport_close(w.transport);
    RUN_UNTIL(loop, w.lost && r.lost);
    free(lines);
    free(r.data);
    rp_loop_free(loop);
}

TEST(aborts_what_nobody_looks_at)
{
    record w = {0};
    int master, slave;

    loop = wire_loop();
    make_terminal(&master, &slave);
    connect_writer(loop, &w, slave);
    record_write(&w, 200000, 0);
    wire_settle(loop);
    rp_transport_abort(w.transport);
    RUN_UNTIL(loop, w.lost && !is_open(slave));
    CHECK_INT(w.error, ==, 0);
    close(master);
    rp_loop_free(loop);
}

/* A session's leader that opens a terminal would make it its own. */
static void connect_as_leader(void)
{
    record r = {0};
    int master, slave;

    CHECK(setsid() >= 0);
    loop = wire_loop();
    make_terminal(&master, &slave);
    connect_reader(loop, &r, slave);
    CHECK_INT(open("/dev/tty", O_RDWR | O_CLOEXEC), ==, -1);
    CHECK_INT(errno, ==, ENXIO);
    close(master);
    rp_loop_free(loop);
}

TEST(a_leader_gets_no_terminal)
{
    char output[1024];
    test_end end = test_in_child(connect_as_leader, output, sizeof output);

    CHECK(!end.name);
    CHECK_INT(end.status, ==, 0);
}
