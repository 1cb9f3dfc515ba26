/*
 * test_uring.c - the traps of io_uring: queues that overflow, threads that change, forks, wake-ups on older kernels.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#ifdef RP_HAVE_IO_URING
#include <liburing.h>
#endif

#include "proactor/proactor.h"
#include "harness/hide.h"
#include "harness/support.h"

static rp_proactor *open_ring(unsigned submissions, unsigned completions)
{
    rp_proactor_options options = {.submission_entries = submissions, .completion_entries = completions};
    rp_proactor *port;
    int rc = rp_proactor_open("io_uring", &options, &port);

    if (rc == -ENOTSUP || rc == -EPERM || rc == -ENOSYS)
        SKIP("io_uring: %s", rp_strerror(rc));
    CHECK_INT(rc, ==, 0);
    return port;
}

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
    int fds[2], ended = 0;

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
    (void)ended;
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

/* ---- operations that a worker of the kernel's performs ---- */

enum { GREAT = 64 << 20 };

/* How many threads of this process, sleeping ones or all, are workers of the kernel's. */
static int count_workers(bool sleeping)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], name[32], state;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");

        if (file == NULL)
            continue;
        if (fscanf(file, "%*d (%31[^)]) %c", name, &state) == 2 && strncmp(name, "iou-wrk", 7) == 0)
            count += !sleeping || state == 'S';
        fclose(file);
    }
    closedir(tasks);
    return count;
}

static size_t readable(int fd)
{
    int count;

    CHECK_INT(ioctl(fd, FIONREAD, &count), ==, 0);
    return (size_t)count;
}

static size_t read_some(int fd, int flags)
{
    static char bytes[64 * 1024];
    ssize_t n = recv(fd, bytes, sizeof bytes, flags);

    return n > 0 ? (size_t)n : 0;
}

/*
 * A send of which the peer takes little by little: the kernel waits for room so many times (128), then lets a worker
 * send the rest, which sleeps within a system call that has sent some. How many bytes the peer has read when it does.
 */
static size_t make_worker_send(rp_proactor *port, rp_op *op, const int fds[2])
{
    static char zeros[GREAT];
    size_t total = 0;

    rp_op_send(op, fds[0], zeros, GREAT, RP_SEND_ALL, NULL, NULL);
    submit(port, op);
    while (count_workers(false) == 0) {
        total += read_some(fds[1], MSG_DONTWAIT);
        CHECK_INT(total, <, GREAT / 2);
        CHECK_INT(collect_once(port, 0), ==, 0);
    }
    for (int i = 0; i < 8; i++) {
        while (readable(fds[1]) == 0 || count_workers(true) == 0)
            usleep(100);
        total += read_some(fds[1], MSG_DONTWAIT);
    }
    while (readable(fds[1]) == 0 || count_workers(true) == 0)
        usleep(100);
    return total;
}

/* The cancellation interrupts the worker, which has sent a part. */
static void cancels_in_worker(void (*open_pair)(int fds[2]))
{
    static const int size = 64 * 1024;
    rp_proactor *port = open_ring(0, 0);
    int fds[2];
    rp_op op;

    open_pair(fds);
    CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
    size_t taken = make_worker_send(port, &op, fds), n;
    rp_proactor_cancel(port, &op);
    int64_t sent = finish(port, &op);
    rp_proactor_close(port);
    CHECK_INT(shutdown(fds[0], SHUT_WR), ==, 0);
    while ((n = read_some(fds[1], 0)) > 0)
        taken += n;
    CHECK_INT(sent, ==, taken);
    close_pair(fds);
}

TEST(send_in_worker_is_cancelled)
{
    cancels_in_worker(unix_pair);
}

TEST(tcp_send_in_worker_is_cancelled)
{
    cancels_in_worker(tcp_pair);
}

/* ---- threads ---- */

typedef struct errand {
    rp_proactor *port;
    void (*run)(rp_proactor *port);
} errand;

static void *run_errand(void *arg)
{
    errand *e = arg;

    e->run(e->port);
    return NULL;
}

static void in_thread(void (*run)(rp_proactor *port), rp_proactor *port)
{
    errand e = {port, run};
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run_errand, &e), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

static rp_op shared_op;

static void do_nop(rp_proactor *port)
{
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
}

static void finish_shared(rp_proactor *port)
{
    CHECK_INT(finish(port, &shared_op), ==, 0);
}

/* Made in one thread, used in another, then in a third, and by its maker again; what one submits, another collects. */
TEST(thread_after_thread)
{
    rp_proactor *port = open_ring(0, 0);

    rp_op_nop(&shared_op, NULL, NULL);
    submit(port, &shared_op);
    in_thread(finish_shared, port);
    in_thread(do_nop, port);
    do_nop(port);
    submit(port, &shared_op);
    in_thread(finish_shared, port);
    submit(port, &shared_op); /* not this thread's ring at the moment */
    finish_shared(port);
    rp_proactor_close(port);
}

static void close_it(rp_proactor *port)
{
    rp_proactor_close(port);
}

static int received[2];

static void start_receiving(rp_proactor *port)
{
    static char byte;

    rp_op_recv(&shared_op, received[0], &byte, 1, 0, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, 0), ==, 0);
}

static void is_refused(rp_proactor *port)
{
    rp_completion completion;

    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, RP_ETHREAD);
}

/* With operations in the kernel that do more than wait it belongs to the thread that gave them to it. */
TEST(busy_ring_stays_with_its_thread)
{
    rp_proactor *port = open_ring(0, 0);

    unix_pair(received);
    in_thread(start_receiving, port);
    is_refused(port);
    rp_proactor_close(port); /* but closed it can be */

    port = open_ring(0, 0);
    start_receiving(port);
    in_thread(is_refused, port);
    CHECK_INT(write(received[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &shared_op), ==, 1);
    in_thread(do_nop, port);
    rp_proactor_close(port);
    close_pair(received);
}

/* Nothing is done in the other thread then, not even what could be: it would not know to which it belongs. */
TEST(busy_ring_hands_out_nothing_elsewhere)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    rp_op accept;

    unix_pair(received);
    start_receiving(port);
    int fd = listen_tcp(&address);
    rp_op_accept_multi(&accept, fd, NULL, NULL);
    submit(port, &accept);
    CHECK_INT(collect_once(port, 0), ==, 0);
    int client = connect_tcp(&address);
    in_thread(is_refused, port);
    int accepted = (int)next_completion(port, &accept).result;
    CHECK_INT(accepted, >=, 0);
    close(accepted);
    close(client);
    close(fd);
    rp_proactor_close(port);
    close_pair(received);
}

/* ---- terminals ---- */

/* Nobody reads from it, as after Ctrl-S: a write waits, and nothing else does. */
TEST(a_terminal_that_takes_no_more_holds_up_nothing)
{
    static char text[1024 * 1024];
    rp_proactor *port = open_ring(0, 0);
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
    rp_op op;

    CHECK(master >= 0);
    CHECK_INT(ioctl(master, TIOCSPTLCK, &unlocked), ==, 0);
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(slave >= 0);
    memset(text, 'x', sizeof text);
    for (int64_t n = 0; n >= 0;) { /* until it is full */
        rp_op_write(&op, slave, text, sizeof text, -1, NULL, NULL);
        submit(port, &op);
        do_nop(port);
        rp_proactor_cancel(port, &op);
        n = finish(port, &op);
        CHECK(n > 0 || n == -ECANCELED);
    }
    close(slave);
    close(master);
    rp_proactor_close(port);
}

/* ---- what moves with it ---- */

enum { STANDING = 6 };
static rp_op standing[STANDING];
static int standing_fds[STANDING][2];

static void start_standing(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++) {
        unix_pair(standing_fds[i]);
        set_nonblocking(standing_fds[i][0]);
    }
    rp_op_poll(&standing[0], standing_fds[0][0], RP_POLL_IN, NULL, NULL);
    rp_op_poll(&standing[1], standing_fds[1][0], RP_POLL_IN, NULL, NULL);
    rp_op_poll_multi(&standing[2], standing_fds[2][0], RP_POLL_IN, NULL, NULL);
    rp_op_recv_stream(&standing[3], standing_fds[3][0], NULL, NULL);
    rp_op_recv_stream(&standing[4], standing_fds[4][0], NULL, NULL);
    /* It finds nothing but that the peer has ended, which it was not asked for. */
    CHECK_INT(shutdown(standing_fds[5][1], SHUT_WR), ==, 0);
    rp_op_poll(&standing[5], standing_fds[5][0], RP_POLL_PRI, NULL, NULL);
    for (int i = 0; i < STANDING; i++)
        submit(port, &standing[i]);
    for (int i = 0; i < 3; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
}

static void stop_standing(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++)
        close_pair(standing_fds[i]);
    rp_proactor_close(port);
}

static void collect_standing(rp_proactor *port)
{
    char byte;

    CHECK_INT(finish(port, &standing[0]), ==, RP_POLL_IN);
    CHECK_INT(next_completion(port, &standing[2]).result, ==, RP_POLL_IN);
    CHECK_INT(next_completion(port, &standing[3]).flags, ==, RP_OP_MORE);
    CHECK_INT(rp_op_receive(&standing[3], &byte, 1), ==, 1);
    CHECK_INT(byte, ==, 'x');
    stays_quiet(port); /* the others, too */
    cancel_and_finish(port, &standing[1]);
    cancel_and_finish(port, &standing[4]);
    cancel_and_finish(port, &standing[5]);
}

/* Readiness that came between is found in the other thread, and so is what comes later. */
TEST(what_waits_for_readiness_moves)
{
    rp_proactor *port = open_ring(0, 0);

    start_standing(port);
    for (int i = 0; i < STANDING; i++)
        if (i == 0 || i == 2 || i == 3)
            CHECK_INT(write(standing_fds[i][1], "x", 1), ==, 1);
    in_thread(collect_standing, port);
    CHECK_INT(write(standing_fds[2][1], "x", 1), ==, 1);
    CHECK_INT(next_completion(port, &standing[2]).result, ==, RP_POLL_IN);
    CHECK_INT(write(standing_fds[3][1], "y", 1), ==, 1);
    CHECK_INT(next_completion(port, &standing[3]).flags, ==, RP_OP_MORE);
    cancel_and_finish(port, &standing[2]);
    cancel_and_finish(port, &standing[3]);
    CHECK_INT(port->in_flight, ==, 0);
    stop_standing(port);
}

static void collect_cancelled(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++)
        CHECK_INT(finish(port, &standing[i]), ==, -ECANCELED);
}

/* The old ring may not have been told of it, and the new one must not begin it again. */
TEST(what_was_cancelled_ends_in_the_other_thread)
{
    rp_proactor *port = open_ring(0, 0);

    start_standing(port);
    for (int i = 0; i < STANDING; i++)
        rp_proactor_cancel(port, &standing[i]);
    in_thread(collect_cancelled, port);
    CHECK_INT(port->in_flight, ==, 0);
    stop_standing(port);
}

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

static int listener;

static void accept_what_is_left(rp_proactor *port)
{
    rp_completion completions[8];
    int n = rp_proactor_wait(port, completions, 8, 0);

    CHECK_INT(n, ==, 4);
    for (int i = 0; i < n; i++) {
        CHECK_INT(completions[i].flags, ==, RP_OP_MORE);
        CHECK_INT(close((int)completions[i].result), ==, 0);
    }
    stays_quiet(port);
    cancel_and_finish(port, &shared_op);
}

/* Of five connections one is taken where they were accepted, and each of the others once in the other thread. */
TEST(connections_that_were_accepted_move)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    rp_completion completion;
    int clients[5];
    char byte;

    listener = listen_tcp(&address);
    for (int i = 0; i < 5; i++)
        clients[i] = connect_tcp(&address);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 1);
    CHECK_INT(close((int)completion.result), ==, 0);
    in_thread(accept_what_is_left, port);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(recv(clients[i], &byte, 1, 0), ==, 0);
        close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

/* It is asked for what waits in its backlog as it is, a blocking one too, and goes on in the other thread. */
TEST(a_blocking_listener_moves)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    int clients[4];
    char byte;

    listener = listen_tcp(&address);
    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    stays_quiet(port);
    for (int i = 0; i < 4; i++)
        clients[i] = connect_tcp(&address);
    in_thread(accept_what_is_left, port);
    CHECK_INT(fcntl(listener, F_GETFL) & O_NONBLOCK, ==, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(recv(clients[i], &byte, 1, 0), ==, 0);
        close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

static int close_accepted(rp_proactor *port)
{
    rp_completion completions[8];
    int n = rp_proactor_wait(port, completions, 8, 0);

    for (int i = 0; i < n; i++)
        CHECK_INT(close((int)completions[i].result), ==, 0);
    return n;
}

/* What does not fit into the queue is kept by the kernel for the ring's own thread: nothing is left behind there. */
TEST(connections_in_an_overflown_queue_do_not_move)
{
    enum { COUNT = 40 };
    rp_proactor *port = open_ring(4, 8);
    struct sockaddr_in address;
    rp_completion completion;
    int clients[COUNT], accepted = 1;

    listener = listen_tcp(&address);
    for (int i = 0; i < COUNT; i++)
        clients[i] = connect_tcp(&address);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 1);
    CHECK_INT(close((int)completion.result), ==, 0);
    in_thread(is_refused, port);
    while (accepted < COUNT)
        accepted += close_accepted(port);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

static void start_accepting(rp_proactor *port)
{
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 1);
}

static void start_waiting_for_child(rp_proactor *port)
{
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, 0), ==, 0);
}

/* The kernel has let go of everything when the close is over: the peers see their ends. */
TEST(busy_ring_closed_by_another_thread)
{
    for (int i = 0; i < 10; i++) {
        rp_proactor *port = open_ring(0, 0);
        struct sockaddr_in address;
        int client, other, fds[2];
        char byte;

        listener = listen_tcp(&address);
        tcp_pair(received);
        memcpy(fds, received, sizeof fds);
        in_thread(start_receiving, port);
        rp_proactor_close(port);
        close(fds[0]);
        CHECK_INT(recv(fds[1], &byte, 1, MSG_DONTWAIT), ==, 0);
        close(fds[1]);

        port = open_ring(0, 0);
        client = connect_tcp(&address);
        in_thread(start_accepting, port);
        for (int j = 0; j < pending_count; j++)
            CHECK_INT(close((int)pending[j].result), ==, 0);
        pending_count = 0;
        other = connect_tcp(&address);
        rp_proactor_close(port);
        close(listener);
        CHECK_INT(recv(client, &byte, 1, 0), ==, 0);
        CHECK_INT(recv(other, &byte, 1, 0), <=, 0); /* reset: nobody had accepted it, and nobody can any more */
        close(client);
        close(other);

        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        port = open_ring(0, 0);
        rp_op_wait_child(&shared_op, pid, NULL, NULL);
        in_thread(start_waiting_for_child, port);
        rp_proactor_close(port);
        kill(pid, SIGKILL);
        CHECK_INT(waitpid(pid, NULL, 0), ==, pid);
    }
}

TEST(close_in_another_thread)
{
    rp_proactor *port = open_ring(0, 0);

    do_nop(port);
    in_thread(close_it, port);
}

/* ---- fork, kill ---- */

/* A child that ends when it is told to. */
static pid_t linger(int gate[2])
{
    char byte;

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    CHECK_INT(pid, >, 0);
    return pid;
}

static void end_lingering(pid_t pid, const int gate[2])
{
    int status;

    close_pair(gate);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
}

/* The end of a ring with operations does not wait for that of a child which was forked while it was open. */
TEST(busy_ring_is_closed_while_a_child_lives)
{
    rp_proactor *port = open_ring(0, 0);
    char byte;
    int gate[2];

    unix_pair(received);
    in_thread(start_receiving, port);
    pid_t pid = linger(gate);
    rp_proactor_close(port);
    CHECK_INT(write(received[1], "x", 1), ==, 1); /* nobody receives any more */
    CHECK_INT(recv(received[0], &byte, 1, MSG_DONTWAIT), ==, 1);
    end_lingering(pid, gate);
    close_pair(received);
}

TEST(busy_ring_moves_while_a_child_lives)
{
    rp_proactor *port = open_ring(0, 0);
    int gate[2];

    start_standing(port);
    pid_t pid = linger(gate);
    for (int i = 0; i < STANDING; i++)
        rp_proactor_cancel(port, &standing[i]);
    in_thread(collect_cancelled, port);
    end_lingering(pid, gate);
    stop_standing(port);
}

TEST(killed_server_starts_again)
{
    struct sockaddr_in address;
    int spare = listen_tcp(&address), status;

    rp_proactor_close(open_ring(0, 0)); /* or the test is skipped */
    close(spare);
    for (int round = 0; round < 5; round++) {
        int ready[2];
        char byte;

        CHECK_INT(pipe2(ready, O_CLOEXEC), ==, 0);
        pid_t pid = fork();
        if (pid == 0) {
            rp_proactor *port = open_ring(0, 0);
            int fd = tcp_socket(), on = 1;
            rp_op op;

            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            /* The socket of the one that was killed may live on for some milliseconds. */
            while (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                if (errno != EADDRINUSE)
                    _exit(1);
                usleep(5000);
            }
            CHECK_INT(listen(fd, 100), ==, 0);
            rp_op_accept_multi(&op, fd, NULL, NULL);
            submit(port, &op);
            collect_once(port, 0);
            CHECK_INT(write(ready[1], "x", 1), ==, 1);
            for (;;)
                collect_once(port, RP_NEVER);
        }
        close(ready[1]);
        CHECK_INT(read(ready[0], &byte, 1), ==, 1);
        int client = connect_tcp(&address);
        kill(pid, SIGKILL);
        CHECK_INT(waitpid(pid, &status, 0), ==, pid);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(read(client, &byte, 1), <=, 0); /* an end or a reset: it does end */
        close(client);
        close(ready[0]);
    }
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
