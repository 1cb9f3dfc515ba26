/*
 * test_stress_threads.c - many threads at once: they post to a loop, complete its futures and run its jobs; and loops
 * of their own come and go. What they share without atomics the loop promises to order: ThreadSanitizer sees to it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "harness/co_test.h"
#include "ringport.h"
#include "harness/support.h"

enum { THREADS = 8 };

/* How often something is done: less where that is slow. */
static int times(int usually)
{
    return test_slow() || test_under_wine() ? usually / 10 : usually;
}

/* ---- eight threads that use one loop ---- */

/* A thread, and the task that works with it. */
typedef struct partner {
    rp_loop *loop;
    pthread_t thread;
    _Atomic(struct question *) asked;
    atomic_bool leave;
    int posted; /* by the thread */
    int seen;   /* of these, by the loop */
    int jobs;   /* that have run, in the executor */
} partner;

/* What the task asks, and the thread answers. */
typedef struct question {
    partner *asker;
    rp_future *answer; /* with a reference of its own */
    rp_handle handle;
} question;

static void see_post(void *arg)
{
    partner *p = arg;

    p->seen++;
}

static void give_answer(void *arg)
{
    question *q = arg;

    if (!rp_future_done(q->answer)) /* else the task has given it up */
        CHECK_INT(rp_future_set_result(q->answer, q->asker), ==, 0);
    rp_future_unref(q->answer);
    free(q);
}

static void *answer_questions(void *arg)
{
    partner *p = arg;

    while (!atomic_load(&p->leave)) {
        question *q = atomic_exchange(&p->asked, NULL);

        if (q == NULL) {
            usleep(20);
            continue;
        }
        for (int i = 0; i < 3; i++, p->posted++)
            CHECK_INT(rp_call_soon_threadsafe(p->loop, NULL, see_post, p), ==, 0);
        CHECK_INT(rp_call_soon_threadsafe(p->loop, &q->handle, give_answer, q), ==, 0);
    }
    return NULL;
}

static int join_thread(void *arg)
{
    partner *p = arg;

    return -pthread_join(p->thread, NULL);
}

/* A question whose answer is waited for, or given up after a moment. */
static void ask(rp_co *co, partner *p, bool patient)
{
    question *q = calloc(1, sizeof *q);
    rp_future *answer;

    CHECK_INT(rp_future_new(p->loop, &answer), ==, 0);
    *q = (question){.asker = p, .answer = rp_future_ref(answer)};
    atomic_store(&p->asked, q);
    int rc = patient ? rp_await(co, answer) : rp_wait_for(co, answer, 20000);
    CHECK(rc == 0 || (!patient && rc == -ETIMEDOUT));
    if (rc == 0)
        CHECK(rp_future_value(answer) == p);
    rp_future_unref(answer);
    while (atomic_load(&p->asked) != NULL)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
}

/* In the executor; one at a time for each task. */
static int do_job(void *arg)
{
    partner *p = arg;

    CHECK_INT(rp_call_soon_threadsafe(p->loop, NULL, see_post, p), ==, 0);
    return ++p->jobs;
}

/* A job of which nobody knows whether it is cancelled before it runs. */
static void start_and_cancel_job(rp_co *co, partner *p)
{
    rp_future *job;
    int before = p->jobs;

    CHECK_INT(rp_run_in_executor(p->loop, NULL, do_job, p, &job), ==, 0);
    rp_future_cancel(job);
    int rc = rp_await(co, job);
    CHECK(rc == RP_EFUTCANCELED || rc == before + 1);
    CHECK_INT(p->jobs, ==, rc == before + 1 ? rc : before);
    rp_future_unref(job);
}

static int work_with_thread(rp_co *co, void *arg)
{
    partner *p = arg;

    p->loop = rp_co_loop(co);
    CHECK_INT(pthread_create(&p->thread, NULL, answer_questions, p), ==, 0);
    for (int i = 0; i < times(500); i++) {
        int jobs = p->jobs;

        ask(co, p, i % 5 > 0);
        CHECK_INT(rp_to_thread(co, do_job, p), ==, jobs + 1);
        start_and_cancel_job(co, p);
    }
    atomic_store(&p->leave, true);
    CHECK_INT(rp_to_thread(co, join_thread, p), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0); /* what was posted by then comes before */
    CHECK_INT(p->seen, ==, p->posted + p->jobs);
    return 0;
}

CO_TEST(threads_post_and_answer_and_run_jobs)
{
    partner partners[THREADS] = {{.posted = 0}};
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(rp_group_create_task(&group, NULL, work_with_thread, &partners[i]), ==, 0);
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
}

/* ---- eight threads with loops of their own ---- */

static int child(rp_co *co, void *arg)
{
    return rp_sleep(co, 0);
}

static int short_life(rp_co *co, void *arg)
{
    rp_task *task;
    char byte = 0;
    rp_op op;

    CHECK_INT(rp_create_task(&task, child, NULL), ==, 0);
    CHECK_INT(rp_join(co, task), ==, 0);
    rp_op_recv(&op, *(int *)arg, &byte, 1, 0, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, 1);
    return 42;
}

/* A loop that is closed over what is under way. */
static void cut_short(int fd)
{
    char bytes[1];
    rp_loop *loop;
    rp_op op;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_op_recv(&op, fd, bytes, 1, 0, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, RP_SEC(1), see_post, NULL), ==, 0);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
}

static void *make_and_close(void *arg)
{
    pthread_barrier_t *barrier = arg;

    pthread_barrier_wait(barrier);
    for (int i = 0; i < times(1000); i++) {
        int fds[2]; /* for this loop alone: on Windows a socket never changes its port */

        unix_pair(fds);
        if (i % 2 == 0) {
            CHECK_INT(write(fds[1], "x", 1), ==, 1);
            CHECK_INT(rp_run(short_life, &fds[0]), ==, 42);
        } else {
            cut_short(fds[0]);
        }
        close_pair(fds);
    }
    return NULL;
}

TEST(loops_in_eight_threads_come_and_go)
{
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;

    CHECK_INT(pthread_barrier_init(&barrier, NULL, THREADS), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, make_and_close, &barrier), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    pthread_barrier_destroy(&barrier);
}
