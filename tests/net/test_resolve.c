/*
 * test_resolve.c - looking names up.
 */

#include "net/resolve_error.h"
#include "harness/wire.h"

static rp_future *ask(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints)
{
    rp_future *lookup = NULL;

    CHECK_INT(rp_loop_getaddrinfo(loop, host, service, hints, &lookup), ==, 0);
    CHECK(lookup != NULL);
    return lookup;
}

static const struct addrinfo *first(rp_future *lookup)
{
    return rp_future_value(lookup);
}

static const char *text(const struct addrinfo *info)
{
    static char buffer[64];

    CHECK_INT(rp_sockaddr_format(info->ai_addr, info->ai_addrlen, buffer, sizeof buffer), ==, 0);
    return buffer;
}

TEST(numbers_are_answered_at_once)
{
    rp_loop *loop = wire_loop();
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    rp_future *four = ask(loop, "127.0.0.1", "80", &hints), *six = ask(loop, "::1", "443", &hints);
    rp_future *any = ask(loop, NULL, "8080", &hints);

    CHECK(rp_future_done(four) && rp_future_done(six) && rp_future_done(any));
    CHECK_STR(text(first(four)), "127.0.0.1:80");
    CHECK_STR(text(first(six)), "[::1]:443");
    CHECK_INT(first(four)->ai_socktype, ==, SOCK_STREAM);
    rp_future_unref(four);
    rp_future_unref(six);
    rp_future_unref(any);
    rp_loop_free(loop);
}

TEST(passive_means_every_interface_and_else_the_loopback)
{
    rp_loop *loop = wire_loop();
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    rp_future *lookup = ask(loop, NULL, "1", &hints);

    CHECK_STR(text(first(lookup)), "127.0.0.1:1");
    rp_future_unref(lookup);
    hints.ai_flags = AI_PASSIVE;
    lookup = ask(loop, NULL, "1", &hints);
    CHECK_STR(text(first(lookup)), "0.0.0.0:1");
    rp_future_unref(lookup);
    rp_loop_free(loop);
}

TEST(names_are_looked_up_by_the_executor)
{
    rp_loop *loop = wire_loop();
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    rp_future *lookup = ask(loop, "localhost", "http", &hints);

    CHECK(!rp_future_done(lookup));
    CHECK_INT(rp_run_until_complete(loop, lookup), ==, 0);
    CHECK_STR(text(first(lookup)), "127.0.0.1:80");
    rp_future_unref(lookup);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

static int error_of(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints)
{
    rp_future *lookup = ask(loop, host, service, hints);
    int rc = rp_run_until_complete(loop, lookup);

    CHECK(rp_future_value(lookup) == NULL);
    rp_future_unref(lookup);
    return rc;
}

TEST(errors_are_those_of_the_resolver)
{
    rp_loop *loop = wire_loop();
    struct addrinfo hints = {.ai_family = 77};
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};

    CHECK_INT(error_of(loop, "127.0.0.1", "1", &hints), ==, RP_EAI_FAMILY);
    CHECK_INT(error_of(loop, "localhost", "1", &numeric), ==, RP_EAI_NONAME);
#ifndef _WIN32 /* which does not look at flags that it does not know */
    CHECK_INT(error_of(loop, "localhost", "1", &(struct addrinfo){.ai_flags = 1 << 30}), ==, RP_EAI_BADFLAGS);
#endif
    CHECK_INT(error_of(loop, "127.0.0.1", "no-such-service", NULL), ==, RP_EAI_SERVICE);
    CHECK_INT(error_of(loop, NULL, NULL, NULL), ==, RP_EAI_NONAME);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    CHECK_INT(rp_loop_getaddrinfo(loop, "localhost", NULL, NULL, &(rp_future *){NULL}), ==, RP_ESHUTDOWN);
    rp_loop_close(loop);
    CHECK_INT(rp_loop_getaddrinfo(loop, "127.0.0.1", NULL, NULL, &(rp_future *){NULL}), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

TEST(each_answer_of_the_resolver_is_an_error_of_its_own)
{
    static const struct {
        int answer, error;
    } all[] = {
        {0, 0},
        {EAI_AGAIN, RP_EAI_AGAIN},
        {EAI_BADFLAGS, RP_EAI_BADFLAGS},
        {EAI_FAIL, RP_EAI_FAIL},
        {EAI_FAMILY, RP_EAI_FAMILY},
        {EAI_MEMORY, -ENOMEM},
        {EAI_NONAME, RP_EAI_NONAME},
        {EAI_SERVICE, RP_EAI_SERVICE},
        {EAI_SOCKTYPE, RP_EAI_SOCKTYPE},
#ifndef _WIN32 /* which does not know these */
        {EAI_ADDRFAMILY, RP_EAI_ADDRFAMILY},
        {EAI_NODATA, RP_EAI_NODATA},
        {EAI_OVERFLOW, RP_EAI_OVERFLOW},
        {EAI_SYSTEM, -EMFILE},
        {1000, RP_EAI_FAIL},
#endif
    };

    errno = EMFILE; /* which is what EAI_SYSTEM refers to */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK_INT(rp_resolve_error(all[i].answer), ==, all[i].error);
}

static int block(void *arg)
{
    char byte;

    return (int)read(*(int *)arg, &byte, 1);
}

/* An executor of one thread that is kept busy: what is asked of it waits in its queue. */
static rp_future *busy_executor(rp_loop *loop, int *gate)
{
    rp_executor *executor;
    rp_future *job;

    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(loop, executor), ==, 0);
    CHECK_INT(rp_run_in_executor(loop, NULL, block, gate, &job), ==, 0);
    return job;
}

TEST(a_lookup_can_be_cancelled_before_and_while_it_runs)
{
    rp_loop *loop = wire_loop();
    int gate[2];

    CHECK_INT(pipe(gate), ==, 0);
    for (int i = 0; i < 50; i++) {
        rp_future *job = busy_executor(loop, &gate[0]);
        rp_future *queued = ask(loop, "localhost", "1", NULL), *running;

        CHECK(rp_future_cancel(queued));
        CHECK(rp_future_cancelled(queued));
        CHECK_INT(rp_run_until_complete(loop, queued), ==, RP_EFUTCANCELED);
        rp_future_unref(queued);
        CHECK_INT(write(gate[1], "x", 1), ==, 1);
        CHECK_INT(rp_run_until_complete(loop, job), ==, 1);
        rp_future_unref(job);
        running = ask(loop, "localhost", "1", NULL);
        usleep(i * 20);
        CHECK(rp_future_cancel(running));
        rp_future_unref(running);
    }
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
    close(gate[0]);
    close(gate[1]);
}

TEST(a_loop_that_is_closed_leaves_no_lookup_behind)
{
    rp_loop *loop = wire_loop();
    int gate[2];
    uint64_t live = 0;

    CHECK_INT(pipe(gate), ==, 0);
    rp_future *job = busy_executor(loop, &gate[0]);
    rp_future *queued = ask(loop, "localhost", "1", NULL), *forgotten = ask(loop, "localhost", "2", NULL);

    rp_future_unref(forgotten);
    rp_loop_close(loop);
    CHECK(rp_future_cancel(queued));
    CHECK(rp_future_cancelled(queued));
    rp_loop_free(loop);
    rp_future_unref(queued);
    rp_future_unref(job);
    CHECK_INT(write(gate[1], "x", 1), ==, 1);
    while (test_live_allocations() > live)
        usleep(1000);
    close(gate[0]);
    close(gate[1]);
}

TEST(no_memory_for_a_lookup)
{
    rp_loop *loop = wire_loop();
    rp_future *lookup;
    int rc;

    for (uint64_t n = 1;; n++) {
        test_fail_allocation(n);
        rc = rp_loop_getaddrinfo(loop, "localhost", "1", NULL, &lookup);
        if (rc == 0)
            break;
        CHECK(rc == -ENOMEM || rc == -EAGAIN);
    }
    test_fail_allocation(0);
    CHECK_INT(rp_run_until_complete(loop, lookup), ==, 0);
    rp_future_unref(lookup);
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}
