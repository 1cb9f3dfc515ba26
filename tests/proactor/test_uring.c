/*
 * test_uring.c - what is particular to rings: full and overflown queues, cancellations that get lost, older kernels.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "proactor/proactor.h"
#include "harness/hide.h"
#include "harness/ring.h"

#ifdef RP_HAVE_IO_URING
#include <liburing.h>

#include "proactor/ready.h"
#include "proactor/uring_submit.h"
#endif

/* Takes all there is, without the list of pending ones: how many completions came. */
static int collect_many(rp_proactor *port, int expected)
{
    rp_completion completions[100];
    int total = 0;

    while (total < expected) {
        int n = rp_proactor_wait(port, completions, 100, RP_NEVER);
        CHECK_INT(n, >=, 0);
        for (int i = 0; i < n; i++)
            CHECK_INT(completions[i].result, >=, 0);
        total += n;
    }
    CHECK_INT(port->in_flight, ==, 0);
    CHECK_INT(rp_proactor_wait(port, completions, 100, 0), ==, 0);
    return total;
}

TEST(submission_queue_full)
{
    enum { COUNT = 10000 };
    rp_proactor *port = open_ring(64, 0);
    rp_op *ops = malloc(COUNT * sizeof *ops);

    for (int round = 0; round < 3; round++) { /* the first one fills it before the ring is enabled */
        for (int i = 0; i < COUNT; i++) {
            rp_op_nop(&ops[i], NULL, NULL);
            submit(port, &ops[i]);
        }
        CHECK_INT(collect_many(port, COUNT), ==, COUNT);
    }
    rp_proactor_close(port);
    free(ops);
}

/* Many completions at a time for a queue that holds few, none lost. */
TEST(completion_queue_overflow)
{
    enum { COUNT = 5000 };
    rp_proactor *port = open_ring(8, 16);
    rp_op *ops = malloc(COUNT * sizeof *ops);
    int fds[2];

    unix_pair(fds);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            rp_op_poll(&ops[i], fds[0], RP_POLL_IN, NULL, NULL);
            submit(port, &ops[i]);
        }
        while (rp_proactor_wait(port, pending, 1, 0) > 0)
            CHECK(false);
        CHECK_INT(write(fds[1], "x", 1), ==, 1);
        CHECK_INT(collect_many(port, COUNT), ==, COUNT);
        char byte;
        CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    }
    rp_proactor_close(port);
    close_pair(fds);
    free(ops);
}

/* An overflow ends multishot operations in the kernel: they are issued again, nobody notices. */
TEST(multishot_survives_overflow)
{
    enum { COUNT = 40 };
    rp_proactor *port = open_ring(4, 8);
    rp_op ops[COUNT], accept_op;
    int fds[COUNT][2], counts[COUNT] = {0}, clients[COUNT], accepted = 0;
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_completion completions[3];
    char byte;

    rp_op_accept_multi(&accept_op, listener, NULL, NULL);
    submit(port, &accept_op);
    for (int i = 0; i < COUNT; i++) {
        unix_pair(fds[i]);
        rp_op_recv_stream(&ops[i], fds[i][0], NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_proactor_wait(port, completions, 3, 0), ==, 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(write(fds[i][1], "x", 1), ==, 1);
        if (round == 10)
            for (int i = 0; i < COUNT; i++)
                clients[i] = connect_tcp(&address);
        for (int due = COUNT; due > 0 || (round == 10 && accepted < COUNT);) {
            int n = rp_proactor_wait(port, completions, 3, RP_NEVER);
            CHECK_INT(n, >=, 0);
            for (int i = 0; i < n; i++) {
                CHECK_INT(completions[i].flags, ==, RP_OP_MORE);
                if (completions[i].op == &accept_op) {
                    CHECK_INT(close((int)completions[i].result), ==, 0);
                    accepted++;
                } else if (rp_op_receive(completions[i].op, &byte, 1) == 1) {
                    counts[completions[i].op - ops]++;
                    due--;
                }
            }
        }
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(counts[i], ==, 20);
    CHECK_INT(accepted, ==, COUNT);
    /* Cancellations by the dozen with a queue of four, while completions keep coming. */
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(write(fds[i][1], "x", 1), ==, 1);
    for (int i = 0; i < COUNT; i++)
        rp_proactor_cancel(port, &ops[i]);
    rp_proactor_cancel(port, &accept_op);
    for (int ended = 0; ended < COUNT + 1;) {
        int n = rp_proactor_wait(port, completions, 3, RP_NEVER);
        for (int i = 0; i < n; i++)
            if (!(completions[i].flags & RP_OP_MORE)) {
                CHECK_INT(completions[i].result, ==, -ECANCELED);
                ended++;
            }
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
    for (int i = 0; i < COUNT; i++) {
        close_pair(fds[i]);
        close(clients[i]);
    }
    close(listener);
}

TEST(cancel_with_queue_full)
{
    enum { COUNT = 1000 };
    rp_proactor *port = open_ring(4, 8);
    rp_op *ops = malloc(COUNT * sizeof *ops);
    rp_completion completions[16];
    int fds[2];

    unix_pair(fds);
    for (int i = 0; i < COUNT; i++) {
        rp_op_poll(&ops[i], fds[0], RP_POLL_IN, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i += 2) /* some are issued, most are not */
        rp_proactor_cancel(port, &ops[i]);
    CHECK_INT(rp_proactor_wait(port, completions, 16, 0), >=, 0);
    for (int i = 0; i < COUNT; i++)
        rp_proactor_cancel(port, &ops[i]);
    rp_proactor_close(port); /* takes the rest */
    close_pair(fds);
    free(ops);
}

static bool kernel_busy;
static int cancels_to_lose; /* of the next entries that cancel */

#ifdef RP_HAVE_IO_URING
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);

int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask);

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask);

/* A kernel that answers a cancellation, and does nothing. */
static void lose_cancels(struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;

    for (unsigned i = sq->sqe_head; i != sq->sqe_tail && cancels_to_lose > 0; i++) {
        struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];

        if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
            uint64_t data = sqe->user_data;
            io_uring_prep_nop(sqe);
            sqe->user_data = data;
            cancels_to_lose--;
        }
    }
}

/* The library's calls come here: a busy kernel takes entries only together with a wait. */
int __wrap_io_uring_submit(struct io_uring *ring)
{
    lose_cancels(ring);
    return kernel_busy ? -EBUSY : __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
    lose_cancels(ring);
    return __real_io_uring_submit_and_get_events(ring);
}

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask)
{
    lose_cancels(ring);
    return __real_io_uring_submit_and_wait_timeout(ring, cqe, count, limit, mask);
}
#endif

static rp_op delayed_op, filling[4];
static int delayed_fds[2];

/* The queue is full, so that a cancellation has to wait. */
static rp_proactor *delay_a_cancellation(void)
{
    rp_proactor *port = open_ring(4, 8);

    unix_pair(delayed_fds);
    rp_op_poll(&delayed_op, delayed_fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &delayed_op);
    CHECK_INT(collect_once(port, rp_monotonic() + RP_MSEC(1)), ==, 0);
    kernel_busy = true;
    for (int i = 0; i < 4; i++) {
        rp_op_poll(&filling[i], delayed_fds[1], RP_POLL_IN, NULL, NULL);
        submit(port, &filling[i]);
    }
    rp_proactor_cancel(port, &delayed_op);
    return port;
}

TEST(no_sleep_before_a_delayed_cancellation_is_issued)
{
    rp_proactor *port = delay_a_cancellation();

    CHECK_INT(finish(port, &delayed_op), ==, -ECANCELED);
    rp_proactor_close(port);
    close_pair(delayed_fds);
}

/* The memory of one that completes before its cancellation is issued is its owner's. */
TEST(what_completes_is_cancelled_no_more)
{
    rp_proactor *port = delay_a_cancellation();
    char byte;

    CHECK_INT(write(delayed_fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &delayed_op), ==, RP_POLL_IN);
    CHECK_INT(read(delayed_fds[0], &byte, 1), ==, 1);
    rp_op_poll(&delayed_op, delayed_fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &delayed_op);
    stays_quiet(port);
    rp_proactor_close(port);
    close_pair(delayed_fds);
}

/* ---- cancellations that get lost ---- */

enum { LOST = 3 };

/* Whatever the operation waits for: one that came while the kernel was about to try it again was for nothing. */
static void ends_though_cancels_get_lost(rp_proactor *port, rp_op *op)
{
    submit(port, op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    cancels_to_lose = LOST;
    cancel_and_finish(port, op);
    CHECK_INT(cancels_to_lose, ==, 0);
}

TEST(what_was_cancelled_in_vain_is_cancelled_again)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    int listener = listen_tcp(&address), fds[2], pipe_fds[2];
    char bytes[8];
    rp_op op;

    unix_pair(fds);
    CHECK_INT(pipe(pipe_fds), ==, 0);
    rp_op_recv(&op, fds[0], bytes, sizeof bytes, MSG_WAITALL, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_op_read(&op, pipe_fds[0], bytes, sizeof bytes, -1, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_op_accept_multi(&op, listener, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    fill(fds[0]);
    rp_op_send(&op, fds[0], bytes, sizeof bytes, 0, NULL, NULL);
    ends_though_cancels_get_lost(port, &op);
    rp_proactor_close(port);
    close_pair(fds);
    close_pair(pipe_fds);
    close(listener);
}

/* An operation that ended by itself is another when it is submitted again. */
TEST(what_has_ended_is_not_cancelled_again)
{
    rp_proactor *port = open_ring(0, 0);
    rp_op op, other;
    int fds[2];
    char byte;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    rp_op_poll(&other, fds[0], RP_POLL_PRI, NULL, NULL);
    submit(port, &other);
    CHECK_INT(collect_once(port, 0), ==, 0);
    cancels_to_lose = 1;
    rp_proactor_cancel(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(cancels_to_lose, ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    submit(port, &op);
    cancels_to_lose = LOST; /* so that there are more to come, for the other one */
    cancel_and_finish(port, &other);
    CHECK_INT(cancels_to_lose, ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    rp_proactor_close(port);
    close_pair(fds);
}

/* ---- what moves with it ---- */

static void collect_delayed(rp_proactor *port)
{
    CHECK_INT(finish(port, &delayed_op), ==, -ECANCELED);
    for (int i = 0; i < 4; i++)
        cancel_and_finish(port, &filling[i]);
}

/* Not even the old ring's queue has the cancellation. */
TEST(what_was_to_be_cancelled_ends_in_the_other_thread)
{
    rp_proactor *port = delay_a_cancellation();

    in_thread(collect_delayed, port);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
    close_pair(delayed_fds);
}

/* ---- older kernels ---- */

static void *wake_it(void *arg)
{
    rp_proactor *port = arg;

    while (atomic_load(&port->wake_state) != RP_ASLEEP)
        usleep(100);
    rp_proactor_wake(port);
    return NULL;
}

/* Sleeps until another thread wakes it. */
static void sleep_and_be_woken(rp_proactor *port)
{
    pthread_t thread;
    unsigned long long before = atomic_load(&port->wakeups);

    CHECK_INT(pthread_create(&thread, NULL, wake_it, port), ==, 0);
    while (atomic_load(&port->wakeups) == before)
        CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(atomic_load(&port->wakeups), ==, before + 1);
}

/* Before 6.13 a thread without a ring cannot send it a message: an eventfd does it. */
TEST(wake_without_messages)
{
    rp_proactor *probe = open_ring(0, 0), *port;
    rp_op ops[100];

    rp_proactor_close(probe);
    refuse_call(SYS_io_uring_register, 1, 31, EINVAL);
    port = open_ring(8, 16);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++) {
            rp_op_nop(&ops[i], NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < 100; i++)
            CHECK_INT(finish(port, &ops[i]), ==, 0);
        sleep_and_be_woken(port);
        rp_proactor_wake(port);
        CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    }
    in_thread(do_nop, port);
    sleep_and_be_woken(port);
    rp_proactor_close(port);
}

TEST(message_wakes)
{
    rp_proactor *port = open_ring(0, 0);

    for (int round = 0; round < 20; round++)
        sleep_and_be_woken(port);
    rp_proactor_close(port);
}

/* A message takes memory of the kernel's; the eventfd does not. */
TEST(wake_without_memory_for_messages)
{
    rp_proactor *port = open_ring(0, 0);

    refuse_call(SYS_io_uring_register, 1, 31, ENOMEM);
    for (int round = 0; round < 20; round++)
        sleep_and_be_woken(port);
    in_thread(do_nop, port);
    sleep_and_be_woken(port);
    rp_proactor_close(port);
}

/* ---- cost ---- */

TEST(one_entry_a_turn)
{
    rp_proactor *port = open_ring(0, 0);
    rp_op ops[100];

    for (int i = 0; i < 5; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(port->kernel_entries, ==, 0); /* nothing to submit, nothing to wait for */
    for (int i = 0; i < 100; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
    }
    CHECK_INT(port->kernel_entries, ==, 0);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 100);
    CHECK_INT(port->kernel_entries, ==, 1); /* submits them all, waits, collects */
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(port->kernel_entries, ==, 1);
    rp_proactor_close(port);
}

#ifdef RP_HAVE_IO_URING
typedef struct attempts {
    atomic_bool over;
    atomic_int count;
    rp_op op;
} attempts;

static void *attempt(void *arg)
{
    attempts *a = arg;

    for (; !atomic_load(&a->over); atomic_fetch_add(&a->count, 1))
        CHECK_INT(rp_ready_attempt(&a->op), ==, -EAGAIN);
    return NULL;
}

/* It is, also while an attempt of another thread's has it otherwise: the ring must not wait in accept() itself. */
TEST(a_blocking_listener_is_taken_for_one)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    attempts others = {.count = 0};
    pthread_t thread;
    rp_op op;

    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    rp_op_accept(&others.op, listener, NULL, NULL, NULL, NULL);
    CHECK_INT(rp_ready_begin(&others.op), ==, 0);
    CHECK_INT(pthread_create(&thread, NULL, attempt, &others), ==, 0);
    while (atomic_load(&others.count) < 10000) {
        rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        op.u.accept.shared = true;
        submit(port, &op);
        CHECK_INT(op.phase & URING_PHASE_SHARED, ==, 0);
        cancel_and_finish(port, &op);
    }
    atomic_store(&others.over, true);
    pthread_join(thread, NULL);
    close(listener);
    rp_proactor_close(port);
}
#endif
