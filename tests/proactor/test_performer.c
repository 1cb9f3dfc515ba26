/*
 * test_performer.c - operations that threads perform, while those are held back.
 */
#include <stdlib.h>
#include <pthread.h>

#include "base/pool.h"
#include "base/thread.h"
#include "harness/support.h"
#include "harness/wrap.h"

enum { MOST = 33 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int begun, ended;
static bool gate_open;

static void open_gate(void)
{
    pthread_mutex_lock(&mutex);
    gate_open = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

WRAP(int64_t, rp_file_perform, const rp_op *op)
{
    pthread_mutex_lock(&mutex);
    begun++;
    pthread_cond_broadcast(&changed);
    while (!gate_open)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    int64_t result = __real_rp_file_perform(op);
    pthread_mutex_lock(&mutex);
    ended++;
    pthread_mutex_unlock(&mutex);
    return result;
}

WRAP(int, rp_pool_join, rp_pool *pool, int64_t timeout)
{
    open_gate(); /* it is what was waited for */
    return __real_rp_pool_join(pool, timeout);
}

static void await_begun(int least)
{
    pthread_mutex_lock(&mutex);
    while (begun < least)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static int open_temporary(void)
{
    char path[] = TEST_TMP "/ringport-test-XXXXXX";
    int fd = mkstemp(path);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(unlink(path), ==, 0);
    return fd;
}

/* What no thread has begun ends at once, however long the threads take for the others. */
TEST(cancelled_before_a_thread_has_it)
{
    rp_proactor *port = open_port();
    int threads = rp_cpu_count() + 4 < 32 ? (int)rp_cpu_count() + 4 : 32, fds[MOST];
    rp_op ops[MOST];

    for (int i = 0; i <= threads; i++) {
        fds[i] = open_temporary();
        rp_op_write(&ops[i], fds[i], "x", 1, -1, NULL, NULL);
        submit(port, &ops[i]);
    }
    await_begun(threads);
    cancel_and_finish(port, &ops[threads]);
    rp_proactor_cancel(port, &ops[0]);
    stays_quiet(port); /* a thread has that one */
    open_gate();
    for (int i = 0; i < threads; i++)
        CHECK_INT(finish(port, &ops[i]), ==, 1);
    for (int i = 0; i <= threads; i++) {
        CHECK_INT(lseek(fds[i], 0, SEEK_END), ==, i < threads);
        close(fds[i]);
    }
    rp_proactor_close(port);
    CHECK_INT(ended, ==, threads);
}

static void *close_port(void *port)
{
    rp_proactor_close(port);
    return NULL;
}

/* A thread that cannot wait for completions closes the ring: not before other threads are done with it. */
TEST(closed_while_a_thread_performs)
{
    rp_proactor *port = open_port();
    int fd = open_temporary(), fds[2];
    pthread_t thread;
    rp_op write, recv;
    char byte;

    nonblocking_pair(fds);
    rp_op_recv(&recv, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &recv);
    stays_quiet(port); /* the ring is this thread's */
    rp_op_write(&write, fd, "x", 1, -1, NULL, NULL);
    submit(port, &write);
    await_begun(1);
    if (!on_uring()) /* any thread can wait there */
        open_gate();
    CHECK_INT(pthread_create(&thread, NULL, close_port, port), ==, 0);
    pthread_join(thread, NULL);
    CHECK_INT(ended, ==, 1);
    CHECK_INT(lseek(fd, 0, SEEK_END), ==, 1);
    close(fd);
    close_pair(fds);
}
