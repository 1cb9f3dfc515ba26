/*
 * test_stress_moves.c - a loop that runs in one thread after another, with all that may stand in it meanwhile: what
 * comes between two runs or during one is told exactly once, wherever the next run is.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "harness/wire.h"

enum { CONNECTIONS = 8, ROUNDS = 30 };

static rp_runner *runner;

/* ---- threads that the loop runs in ---- */

/* A thread runs what it is given, and lives on until it is to leave. */
typedef struct worker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    rp_coro *coro;
    bool leave;
    int result;
} worker;

static void *work(void *arg)
{
    worker *w = arg;

    pthread_mutex_lock(&w->mutex);
    while (!w->leave || w->coro != NULL) {
        if (w->coro != NULL) {
            w->result = rp_runner_run(runner, w->coro, NULL);
            w->coro = NULL;
            pthread_cond_broadcast(&w->changed);
        } else {
            pthread_cond_wait(&w->changed, &w->mutex);
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void hire(worker *w)
{
    *w = (worker){.coro = NULL};
    CHECK_INT(pthread_mutex_init(&w->mutex, NULL), ==, 0);
    CHECK_INT(pthread_cond_init(&w->changed, NULL), ==, 0);
    CHECK_INT(pthread_create(&w->thread, NULL, work, w), ==, 0);
}

static int run_by(worker *w, rp_coro *coro)
{
    pthread_mutex_lock(&w->mutex);
    w->coro = coro;
    pthread_cond_broadcast(&w->changed);
    while (w->coro != NULL)
        pthread_cond_wait(&w->changed, &w->mutex);
    int result = w->result;
    pthread_mutex_unlock(&w->mutex);
    return result;
}

static void dismiss(worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->leave = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    CHECK_INT(pthread_join(w->thread, NULL), ==, 0);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
}

static int run_by_mortal(rp_coro *coro)
{
    worker w;

    hire(&w);
    int result = run_by(&w, coro);
    dismiss(&w);
    return result;
}

static int run_here(rp_coro *coro)
{
    return rp_runner_run(runner, coro, NULL);
}

/* ---- what stands in the loop ---- */

static rp_server *server;
static int port;
static int handlers;                         /* that have begun */
static int echoed;                           /* bytes */
static int reader_fd, reader_peer_fd;        /* watched by add_reader */
static int reads;                            /* bytes */
static rp_op poll_op;                        /* a multishot poll of */
static int poll_fd, poll_peer_fd;            /* this */
static int polls;                            /* bytes that it was told of */
static int posts;                            /* callbacks from the third thread */
static atomic_int posts_sent, posts_to_send; /* -1: it is to end */
static int ticks;
static rp_timer timer;
static int wanted_handlers, wanted_echoes, wanted_reads, wanted_polls, wanted_ticks, wanted_posts;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char byte;
    int64_t n;

    (void)arg;
    handlers++;
    while ((n = rp_stream_read(co, stream, &byte, 1)) > 0) {
        echoed++;
        RP_TRY(rp_stream_write(co, stream, &byte, 1));
    }
    return (int)n;
}

static void on_readable(rp_fd fd, void *arg)
{
    char byte;

    (void)arg;
    CHECK_INT(recv(fd, &byte, 1, 0), ==, 1);
    reads++;
}

static void on_poll(rp_op *op)
{
    char bytes[16];
    ssize_t n;

    if (!(op->flags & RP_OP_MORE)) {
        CHECK_INT(op->result, ==, -ECANCELED);
        return;
    }
    while ((n = wire_read(poll_fd, bytes, sizeof bytes)) > 0)
        polls += (int)n;
}

static void count_post(void *arg)
{
    (void)arg;
    posts++;
}

static void tick(void *arg)
{
    (void)arg;
    ticks++;
}

static int set_up(rp_co *co, void *arg)
{
    rp_loop *loop = rp_co_loop(co);

    (void)arg;
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    port = rp_server_port(server);
    wire_pair(&reader_fd, &reader_peer_fd);
    CHECK_INT(rp_add_reader(loop, reader_fd, on_readable, NULL), ==, 0);
    wire_pair(&poll_fd, &poll_peer_fd);
    rp_op_poll_multi(&poll_op, poll_fd, RP_POLL_IN, on_poll, NULL);
    CHECK_INT(rp_submit(loop, &poll_op), ==, 0);
    return rp_sleep(co, 0);
}

/* Runs until all that is due has come; what comes twice is seen by whoever compares. */
static int settle(rp_co *co, void *arg)
{
    (void)arg;
    while (handlers < wanted_handlers || echoed < wanted_echoes || reads < wanted_reads || polls < wanted_polls ||
           ticks < wanted_ticks || posts < wanted_posts)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

static int tear_down(rp_co *co, void *arg)
{
    (void)arg;
    CHECK_INT(rp_remove_reader(rp_co_loop(co), reader_fd), ==, 1);
    rp_cancel(rp_co_loop(co), &poll_op);
    rp_server_close(server);
    RP_TRY(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return 0;
}

static void send_byte(int fd, char byte)
{
    CHECK_INT(send(fd, &byte, 1, 0), ==, 1);
}

static void expect_byte(int fd, char byte)
{
    char got;

    CHECK_INT(recv(fd, &got, 1, 0), ==, 1);
    CHECK_INT(got, ==, byte);
}

static void check_counts(void)
{
    CHECK_INT(handlers, ==, wanted_handlers);
    CHECK_INT(echoed, ==, wanted_echoes);
    CHECK_INT(reads, ==, wanted_reads);
    CHECK_INT(polls, ==, wanted_polls);
    CHECK_INT(ticks, ==, wanted_ticks);
    CHECK_INT(posts, ==, wanted_posts);
}

static rp_loop *runner_loop(void)
{
    rp_loop *loop;

    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    return loop;
}

static void open_runner(void)
{
    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
}

/* Posts, while the loop runs and moves, as many calls as it is asked for. */
static void *post(void *arg)
{
    rp_loop *loop = arg;

    while (atomic_load(&posts_to_send) >= 0) {
        if (atomic_load(&posts_sent) >= atomic_load(&posts_to_send)) {
            usleep(100);
            continue;
        }
        CHECK_INT(rp_call_soon_threadsafe(loop, NULL, count_post, NULL), ==, 0);
        atomic_fetch_add(&posts_sent, 1);
    }
    return NULL;
}

/* In main, in a thread that has ended when the next one begins, in one that lives on. */
TEST(a_loop_moves_with_all_that_stands_in_it)
{
    int clients[CONNECTIONS], count = 0;
    worker immortal;
    pthread_t poster;

    open_runner();
    CHECK_INT(run_here(set_up), ==, 0);
    hire(&immortal);
    CHECK_INT(pthread_create(&poster, NULL, post, runner_loop()), ==, 0);
    for (int round = 0; round < ROUNDS; round++) {
        char byte = (char)('A' + round);

        if (count < CONNECTIONS) { /* in the backlog */
            clients[count++] = wire_connect(port);
            wanted_handlers++;
        }
        for (int i = 0; i < count; i += 1 + round % 3) { /* the others are idle */
            send_byte(clients[i], byte);
            wanted_echoes++;
        }
        if (round % 2 == 0) {
            send_byte(reader_peer_fd, byte);
            wanted_reads++;
            send_byte(poll_peer_fd, byte);
            wanted_polls++;
        }
        CHECK_INT(rp_call_later(runner_loop(), &timer, RP_MSEC(round % 2), tick, NULL), ==, 0);
        wanted_ticks++;
        wanted_posts += 20;
        atomic_store(&posts_to_send, wanted_posts);
        switch (round % 4) {
        case 0:
            CHECK_INT(run_by_mortal(settle), ==, 0);
            break;
        case 2:
            CHECK_INT(run_by(&immortal, settle), ==, 0);
            break;
        default:
            CHECK_INT(run_here(settle), ==, 0);
        }
        check_counts();
        for (int i = 0; i < count; i += 1 + round % 3)
            expect_byte(clients[i], byte);
    }
    atomic_store(&posts_to_send, -1);
    CHECK_INT(pthread_join(poster, NULL), ==, 0);
    for (int i = 0; i < count; i++) { /* nothing came twice, and the ends are seen */
        char byte;

        CHECK_INT(wire_read(clients[i], &byte, 1), ==, -EAGAIN);
        CHECK_INT(shutdown(clients[i], SHUT_WR), ==, 0);
    }
    CHECK_INT(run_by(&immortal, tear_down), ==, 0);
    for (int i = 0; i < count; i++) {
        char byte;

        CHECK_INT(recv(clients[i], &byte, 1, 0), ==, 0);
        close(clients[i]);
    }
    dismiss(&immortal);
    check_counts();
    CHECK_INT(rp_runner_close(runner), ==, 0);
    rp_runner_free(runner);
    close(reader_fd);
    close(reader_peer_fd);
    close(poll_fd);
    close(poll_peer_fd);
}

/* ---- what does not move ---- */

static int receiving_fd, sending_fd;
static char received;
static int64_t receive_result;
static int begun;
static int reports;

/* Waits in the kernel, where it has one that receives by itself. */
static int receive(rp_co *co, void *arg)
{
    rp_op op;

    (void)arg;
    rp_op_recv(&op, receiving_fd, &received, 1, 0, NULL, NULL);
    receive_result = rp_op_await(co, &op);
    return 0;
}

static int leave_receiver(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(rp_create_task(NULL, receive, NULL));
    for (int i = 0; i < 3; i++)
        RP_TRY(rp_sleep(co, 0));
    return 0;
}

static int begin(rp_co *co, void *arg)
{
    (void)co;
    (void)arg;
    begun++;
    return 0;
}

static int await_receiver(rp_co *co, void *arg)
{
    (void)arg;
    while (receive_result == 0)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

static bool stays_in_its_thread(void)
{
    return test_backend() != NULL && strcmp(test_backend(), "io_uring") == 0;
}

/* Nothing has begun in the wrong thread, and nothing is lost for the right one. */
TEST(a_run_in_the_wrong_thread_is_refused)
{
    bool refused = stays_in_its_thread();

    open_runner();
    wire_pair(&receiving_fd, &sending_fd);
    CHECK_INT(run_here(leave_receiver), ==, 0);
    CHECK_INT(run_by_mortal(begin), ==, refused ? RP_ETHREAD : 0);
    CHECK_INT(begun, ==, !refused);
    send_byte(sending_fd, 'x');
    CHECK_INT(run_here(await_receiver), ==, 0);
    CHECK_INT(receive_result, ==, 1);
    CHECK_INT(received, ==, 'x');
    CHECK_INT(begun, ==, !refused);
    CHECK_INT(run_by_mortal(begin), ==, 0); /* now there is nothing in the way */
    CHECK_INT(rp_runner_close(runner), ==, 0);
    rp_runner_free(runner);
    close(receiving_fd);
    close(sending_fd);
}

static void note_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    reports += context->error == RP_ETHREAD;
}

static void *close_runner(void *arg)
{
    CHECK_INT(rp_runner_close(runner), ==, 0);
    return arg;
}

TEST(a_runner_can_be_closed_in_the_wrong_thread)
{
    pthread_t thread;
    char byte;

    open_runner();
    wire_pair(&receiving_fd, &sending_fd);
    CHECK_INT(run_here(leave_receiver), ==, 0);
    rp_set_exception_handler(runner_loop(), note_report, NULL);
    CHECK_INT(pthread_create(&thread, NULL, close_runner, NULL), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(reports, ==, stays_in_its_thread());
    CHECK_INT(receive_result, ==, stays_in_its_thread() ? 0 : -ECANCELED);
    rp_runner_free(runner);
    send_byte(sending_fd, 'x'); /* nobody receives any more */
    CHECK_INT(recv(receiving_fd, &byte, 1, 0), ==, 1);
    close(receiving_fd);
    close(sending_fd);
}
