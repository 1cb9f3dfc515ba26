/* test_transport_read_fork.c - a callback forks in the middle of what arrives: the child takes nothing of it. */
#include "harness/reader.h"
#include "harness/reports.h"

static pid_t child;
static uint64_t arrived_before;

static void fork_it(reader *r)
{
    int status;

    arrived_before = arrived;
    child = fork();
    if (child == 0)
        return;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    rp_loop_stop(rp_transport_get_loop(r->transport));
}

TEST(in_the_child_a_callback_that_forks_is_the_last_and_takes_nothing)
{
    for (shape one = 0; one < SHAPES; one++)
        for (event what = ON_BUFFER; what <= ON_DATA; what++) {
            reader r = {.event = what, .action = fork_it};
            line l;

            if (!sees(one, what))
                continue;
            begin(&l, one, &r);
            int rc = rp_run_forever(l.loop);
            if (child == 0)
                _exit(rc == RP_EFORK && arrived == arrived_before ? 0 : 1);
            CHECK_INT(rc, ==, 0);
            run_until_end(&l, &r);
            finish(&l, &r);
        }
}

/* What was still to be sent is the parent's to send: the child does not even try. */
TEST(in_the_child_a_callback_that_forks_sends_nothing_on)
{
    static char zeros[20000000];
    reader r = {.event = ON_RESUME, .action = fork_it};
    int reports = 0, rc = 0;
    line l;

    begin(&l, PLAIN, &r);
    rp_set_exception_handler(l.loop, count_report, &reports);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, sizeof zeros / 2, sizeof zeros / 2), ==, 0);
    CHECK_INT(rp_transport_write(r.transport, zeros, sizeof zeros), ==, 0);
    while (r.action != NULL) {
        swallow(&l);
        CHECK_INT(rp_call_later(l.loop, NULL, RP_MSEC(1), wire_stop, l.loop), ==, 0);
        rc = rp_run_forever(l.loop);
    }
    if (child == 0)
        _exit(rc == RP_EFORK && reports == 0 ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    CHECK_INT(reports, ==, 0);
    finish(&l, &r);
}

static pid_t forked;

static void fork_when_made(void *self, rp_transport *transport)
{
    int status;

    (void)transport;
    forked = fork();
    if (forked == 0)
        return;
    CHECK_INT(waitpid(forked, &status, 0), ==, forked);
    CHECK_INT(status, ==, 0);
    rp_loop_stop(self);
}

/* Where connection_made comes first and receiving after it: the child does not even try. */
TEST(in_the_child_a_connection_made_that_forks_is_the_last)
{
    static const rp_protocol forks = {.begins_soon = true, .connection_made = fork_when_made};
    rp_loop *loop = wire_loop();
    int reports = 0, here, there;
    rp_transport *transport;

    rp_set_exception_handler(loop, count_report, &reports);
    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &forks, loop, &transport), ==, 0);
    int rc = rp_run_forever(loop);
    if (forked == 0)
        _exit(rc == RP_EFORK && reports == 0 && !rp_transport_is_closing(transport) ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    close(there);
    rp_loop_free(loop);
}
