/*
 * test_lost_wakeups.c - what another thread or a signal does between a look and the wait that follows from it.
 *
 * A wake-up is lost when it strikes there and the order of two steps is wrong; by luck it never does in a test. So the
 * linker leads some calls of the library here, and `strike` runs just before or after one of them, once.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#ifdef RP_HAVE_IO_URING
#include <liburing.h>
#endif

#include "base/thread.h"
#include "harness/support.h"

#include "ringport/loop.h"

static rp_loop *loop;
static void (*strike_before_read)(void);
static void (*strike_before_wait)(void);
static void (*strike_after_unlock)(void);
static atomic_bool hold_writes; /* until the library waits for them, or closes what they write to */
static atomic_bool held;
static atomic_int held_fd;
static atomic_bool waited_for;
static atomic_int closed_while_held;

static void strike(void (**function)(void))
{
    void (*now)(void) = *function;

    *function = NULL;
    if (now != NULL)
        now();
}

ssize_t __real_read(int fd, void *buffer, size_t length);
ssize_t __wrap_read(int fd, void *buffer, size_t length);
ssize_t __wrap_read(int fd, void *buffer, size_t length)
{
    strike(&strike_before_read);
    return __real_read(fd, buffer, length);
}

int __real_epoll_wait(int fd, struct epoll_event *events, int count, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    if (timeout != 0)
        strike(&strike_before_wait);
    return __real_epoll_wait(fd, events, count, timeout);
}

int __real_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *limit,
                        const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *limit,
                        const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *limit,
                        const sigset_t *mask)
{
    if (limit->tv_sec > 0)
        strike(&strike_before_wait);
    return __real_epoll_pwait2(fd, events, count, limit, mask);
}

#ifdef RP_HAVE_IO_URING
int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                                            struct __kernel_timespec *limit, sigset_t *mask)
{
    strike(&strike_before_wait);
    return __real_io_uring_submit_and_wait_timeout(ring, cqe, count, limit, mask);
}
#endif

void __real_rp_mutex_unlock(rp_mutex *mutex);
void __wrap_rp_mutex_unlock(rp_mutex *mutex);
void __wrap_rp_mutex_unlock(rp_mutex *mutex)
{
    __real_rp_mutex_unlock(mutex);
    strike(&strike_after_unlock);
}

ssize_t __real_write(int fd, const void *buffer, size_t length);
ssize_t __wrap_write(int fd, const void *buffer, size_t length);
ssize_t __wrap_write(int fd, const void *buffer, size_t length)
{
    if (atomic_load(&hold_writes)) {
        atomic_store(&held_fd, fd);
        atomic_store(&held, true);
        while (atomic_load(&closed_while_held) == 0 && !atomic_load(&waited_for))
            poll(NULL, 0, 1);
    }
    ssize_t n = __real_write(fd, buffer, length);
    atomic_store(&hold_writes, false);
    return n;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int rc = __real_close(fd);

    if (atomic_load(&hold_writes) && fd == atomic_load(&held_fd))
        atomic_fetch_add(&closed_while_held, 1);
    return rc;
}

void __real_rp_thread_yield(void);
void __wrap_rp_thread_yield(void);
void __wrap_rp_thread_yield(void)
{
    if (atomic_load(&held))
        atomic_store(&waited_for, true);
    __real_rp_thread_yield();
}

static int count;

static void count_and_stop(void *arg)
{
    (void)arg;
    count++;
    rp_loop_stop(loop);
}

static void make_loop(void)
{
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
}

/* Turns that do not wait, many more than anything needs that is not lost. */
static void settle(void)
{
    for (int i = 0; i < 200; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static void ignore(void *arg)
{
    (void)arg;
}

/* ---- posts ---- */

static void post(void)
{
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, count_and_stop, NULL), ==, 0);
}

static void post_after_the_next_unlock(void)
{
    strike_after_unlock = post;
}

/* The loop has taken what was posted; what is posted just then is for the next turn. */
TEST(a_post_that_comes_as_others_are_taken)
{
    make_loop();
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, ignore, NULL), ==, 0);
    post_after_the_next_unlock(); /* which is that of the loop as it takes them */
    settle();
    CHECK(strike_after_unlock == NULL);
    CHECK_INT(count, ==, 1);
    rp_loop_free(loop);
}

static void never(void *arg)
{
    (void)arg;
    test_fail(__FILE__, __LINE__, "a wake-up was lost");
}

/* The loop has seen that there is nothing to do, and is about to sleep: the wait ends all the same. */
TEST(a_post_that_comes_as_the_loop_falls_asleep)
{
    make_loop();
    for (int i = 0; i < 3; i++) {
        rp_timer far = {0};

        CHECK_INT(rp_call_later(loop, &far, RP_SEC(30), never, NULL), ==, 0);
        strike_before_wait = post;
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK(strike_before_wait == NULL);
        CHECK_INT(count, ==, i + 1);
        CHECK(rp_timer_cancel(&far));
    }
    rp_loop_free(loop);
}

/* ---- signals ---- */

static void raise_second(void)
{
    raise(SIGUSR2);
}

static int second_count;

static void count_second(void *arg)
{
    (void)arg;
    second_count++;
}

static void count_first(void *arg)
{
    (void)arg;
    count++;
}

/* The loop empties its pipe because of one signal; the other comes as it is about to. */
TEST(a_signal_that_comes_as_the_pipe_is_emptied)
{
    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count_first, NULL), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR2, count_second, NULL), ==, 0);
    raise(SIGUSR1);
    strike_before_read = raise_second;
    settle();
    CHECK(strike_before_read == NULL);
    CHECK_INT(count, ==, 1);
    CHECK_INT(second_count, ==, 1);
    rp_loop_free(loop);
}

static void *take_a_signal(void *arg)
{
    raise(SIGUSR1); /* in this thread */
    return arg;
}

/*
 * A handler on another thread has looked where to write; then the loop is freed. Were the pipe closed before the
 * handler has written, its number could be another file's by then, and get a byte that does not belong there.
 */
TEST(a_loop_freed_while_a_handler_is_about_to_write)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(rp_add_signal_handler(loop, SIGUSR1, count_first, NULL), ==, 0);
    atomic_store(&hold_writes, true);
    CHECK_INT(pthread_create(&thread, NULL, take_a_signal, NULL), ==, 0);
    while (!atomic_load(&held))
        poll(NULL, 0, 1);
    CHECK_INT(rp_remove_signal_handler(loop, SIGUSR1), ==, 1);
    rp_loop_free(loop);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK(atomic_load(&waited_for));
    CHECK_INT(atomic_load(&closed_while_held), ==, 0);
}
