/*
 * test_names.c - the threads for names: how many ask at once, what is asked once for several, cancelling, ends, forks.
 *
 * The resolver is one of the test's own, which holds each question at a gate.
 */
#include <stdio.h>

#include "base/list.h"
#include "base/thread.h"
#include "harness/process.h"
#include "harness/reports.h"
#include "harness/wire.h"
#include "net/resolve.h"

typedef int resolver(const char *host, const char *service, const struct addrinfo *hints,
                     struct addrinfo **result);
typedef int namer(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                  socklen_t service_size, int flags);

static struct {
    rp_mutex mutex;
    rp_cond changed;
    int inside, most, calls;
    bool open;
} gate = {.mutex = RP_MUTEX_INIT};

static void pass_gate(void)
{
    rp_mutex_lock(&gate.mutex);
    gate.calls++;
    if (++gate.inside > gate.most)
        gate.most = gate.inside;
    rp_cond_broadcast(&gate.changed);
    while (!gate.open)
        rp_cond_wait(&gate.changed, &gate.mutex, RP_NEVER);
    gate.inside--;
    rp_cond_broadcast(&gate.changed);
    rp_mutex_unlock(&gate.mutex);
}

static void set_gate(bool open)
{
    rp_mutex_lock(&gate.mutex);
    gate.open = open;
    rp_cond_broadcast(&gate.changed);
    rp_mutex_unlock(&gate.mutex);
}

static void await_inside(int count)
{
    rp_mutex_lock(&gate.mutex);
    while (gate.inside != count)
        rp_cond_wait(&gate.changed, &gate.mutex, RP_NEVER);
    rp_mutex_unlock(&gate.mutex);
}

#ifdef _WIN32
/* Functions of other libraries are called through such pointers there. */
static resolver own_getaddrinfo;
resolver *__imp_getaddrinfo = own_getaddrinfo;
#define getaddrinfo own_getaddrinfo
#endif

/* "held-N.two" has two addresses, "held-N.none" none, any other name that begins so one. "lost" has none, at once. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    resolver *real = (resolver *)test_next_function("getaddrinfo");
    struct addrinfo numeric = *hints;

    if (host && strcmp(host, "lost") == 0)
        return EAI_NONAME;
    if (!host || strncmp(host, "held-", 5) != 0)
        return real(host, service, hints, result);
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    pass_gate();
    if (strstr(host, ".none"))
        return EAI_NONAME;
    numeric.ai_flags = AI_NUMERICHOST;
    CHECK_INT(real("127.0.0.1", service, &numeric, result), ==, 0);
    return strstr(host, ".two") ? real("::1", service, &numeric, &(*result)->ai_next) : 0;
}

#ifndef _WIN32
int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                socklen_t service_size, int flags)
{
    namer *real = (namer *)test_next_function("getnameinfo");

    if (flags & NI_NUMERICHOST)
        return real(address, length, host, host_size, service, service_size, flags);
    pass_gate();
    snprintf(host, host_size, "name.test");
    snprintf(service, service_size, "%d", ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port));
    return 0;
}
#endif

static rp_loop *set_up(void)
{
    CHECK_INT(rp_cond_init(&gate.changed), ==, 0);
    return wire_loop();
}

static const struct addrinfo stream_hints = {.ai_socktype = SOCK_STREAM};

static rp_future *ask(rp_loop *loop, const char *host)
{
    rp_future *lookup = NULL;

    CHECK_INT(rp_loop_getaddrinfo(loop, host, "80", &stream_hints, &lookup), ==, 0);
    return lookup;
}

static rp_future *ask_number(rp_loop *loop, int number)
{
    char host[32];

    snprintf(host, sizeof host, "held-%d", number);
    return ask(loop, host);
}

static void end(rp_loop *loop, rp_future **lookups, int count)
{
    set_gate(true);
    for (int i = 0; i < count; i++) {
        CHECK_INT(rp_run_until_complete(loop, lookups[i]), ==, 0);
        rp_future_unref(lookups[i]);
    }
}

static int twice(void *arg)
{
    return 2 * *(int *)arg;
}

enum { FIFTY = 50, MOST = 64, MANY = 70 };

TEST(fifty_names_are_asked_at_once_and_keep_no_thread_of_the_executor)
{
    rp_loop *loop = set_up();
    rp_future *lookups[FIFTY], *job;
    int number = 21;

    for (int i = 0; i < FIFTY; i++)
        lookups[i] = ask_number(loop, i);
    await_inside(FIFTY);
    CHECK_INT(rp_run_in_executor(loop, NULL, twice, &number, &job), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, job), ==, 42);
    rp_future_unref(job);
    for (int i = 0; i < FIFTY; i++)
        CHECK(!rp_future_done(lookups[i]));
    end(loop, lookups, FIFTY);
    rp_loop_free(loop);
}

TEST(names_need_no_default_executor)
{
    rp_loop *loop = set_up();
    rp_future *lookup;

    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    lookup = ask(loop, "held-1");
    end(loop, &lookup, 1);
    rp_loop_free(loop);
}

TEST(beyond_64_names_wait_for_their_turn)
{
    rp_loop *loop = set_up();
    rp_future *lookups[MANY];

    for (int i = 0; i < MANY; i++)
        lookups[i] = ask_number(loop, i);
    await_inside(MOST);
    CHECK(rp_future_cancel(lookups[MANY - 1])); /* and that one is never asked */
    CHECK_INT(rp_run_until_complete(loop, lookups[MANY - 1]), ==, RP_EFUTCANCELED);
    rp_future_unref(lookups[MANY - 1]);
    end(loop, lookups, MANY - 1);
    CHECK_INT(gate.most, ==, MOST);
    CHECK_INT(gate.calls, ==, MANY - 1);
    rp_loop_free(loop);
}

TEST(what_is_asked_already_is_not_asked_again)
{
    rp_loop *loop = set_up();
    rp_future *lookups[10], *other, *later;

    for (int i = 0; i < 10; i++)
        lookups[i] = ask(loop, "held-1.two");
    CHECK_INT(rp_loop_getaddrinfo(loop, "held-1.two", "81", &stream_hints, &other), ==, 0);
    await_inside(2);
    end(loop, lookups, 9);
    CHECK_INT(rp_run_until_complete(loop, lookups[9]), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, other), ==, 0);
    CHECK_INT(gate.calls, ==, 2);
    CHECK(rp_future_value(lookups[9]) != rp_future_value(other));
    rp_future_unref(lookups[9]);
    rp_future_unref(other);
    later = ask(loop, "held-1.two"); /* the answer of a question that is over is nobody's */
    end(loop, &later, 1);
    CHECK_INT(gate.calls, ==, 3);
    rp_loop_free(loop);
}

TEST(questions_that_differ_in_anything_are_several)
{
    static const struct {
        const char *host, *service;
        struct addrinfo hints;
    } all[] = {
        {"held-1", "1", {0}},
        {"held-1", NULL, {0}},
        {"held-", "11", {0}},
        {"held-11", "", {0}},
        {"held-1", "1", {.ai_family = AF_INET}},
        {"held-1", "1", {.ai_socktype = SOCK_STREAM}},
        {"held-1", "1", {.ai_protocol = IPPROTO_TCP}},
        {"held-1", "1", {.ai_flags = AI_PASSIVE}},
    };
    enum { COUNT = sizeof all / sizeof *all };
    rp_loop *loop = set_up();
    rp_future *lookups[COUNT];

    for (int i = 0; i < COUNT; i++)
        CHECK_INT(rp_loop_getaddrinfo(loop, all[i].host, all[i].service, &all[i].hints, &lookups[i]), ==, 0);
    await_inside(COUNT);
    set_gate(true);
    for (int i = 0; i < COUNT; i++) {
        rp_run_until_complete(loop, lookups[i]);
        rp_future_result(lookups[i]);
        rp_future_unref(lookups[i]);
    }
    rp_loop_free(loop);
}

TEST(an_error_is_told_to_each_that_asked)
{
    rp_loop *loop = set_up();
    rp_future *lookups[3];

    for (int i = 0; i < 3; i++)
        lookups[i] = ask(loop, "held-1.none");
    set_gate(true);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_run_until_complete(loop, lookups[i]), ==, RP_EAI_NONAME);
        CHECK(!rp_future_value(lookups[i]));
        rp_future_unref(lookups[i]);
    }
    CHECK_INT(gate.calls, ==, 1);
    rp_loop_free(loop);
}

TEST(one_that_is_cancelled_leaves_the_others)
{
    rp_loop *loop = set_up();
    rp_future *lookups[3];

    for (int i = 0; i < 3; i++)
        lookups[i] = ask(loop, "held-1");
    await_inside(1);
    CHECK(rp_future_cancel(lookups[0]));
    CHECK(rp_future_cancelled(lookups[0]));
    rp_future_unref(lookups[0]);
    end(loop, lookups + 1, 2);
    CHECK_INT(gate.calls, ==, 1);
    rp_loop_free(loop);
}

TEST(a_question_that_all_have_left_is_still_there_to_be_joined)
{
    rp_loop *loop = set_up();
    rp_future *left = ask(loop, "held-1"), *lookup;

    await_inside(1);
    CHECK(rp_future_cancel(left));
    CHECK_INT(rp_run_until_complete(loop, left), ==, RP_EFUTCANCELED);
    rp_future_unref(left);
    lookup = ask(loop, "held-1");
    end(loop, &lookup, 1);
    CHECK_INT(gate.calls, ==, 1);
    rp_loop_free(loop);
}

TEST(a_lookup_that_is_cancelled_with_its_answer_on_its_way_is_over)
{
    rp_loop *loop = set_up();
    rp_future *lookup = ask(loop, "held-1"), *job;
    int number = 1;

    await_inside(1);
    set_gate(true);
    await_inside(0);
    CHECK_INT(rp_run_in_executor(loop, NULL, twice, &number, &job), ==, 0);
    CHECK(rp_future_cancel(lookup));
    CHECK_INT(rp_run_until_complete(loop, job), ==, 2);
    CHECK(rp_future_cancelled(lookup));
    rp_future_unref(job);
    rp_future_unref(lookup);
    rp_loop_free(loop);
}

TEST(lists_that_are_taken_out_are_their_takers_own)
{
    rp_loop *loop = set_up();
    rp_future *lookups[3];
    struct addrinfo *lists[3];
    char text[64];

    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_lookup_new(loop, "held-1.two", "80", &stream_hints, &lookups[i]), ==, 0);
    set_gate(true);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_run_until_complete(loop, lookups[i]), ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_lookup_take(lookups[i], &lists[i]), ==, 0);
        rp_future_unref(lookups[i]);
    }
    rp_loop_free(loop);
    CHECK_INT(gate.calls, ==, 1);
    for (int i = 0; i < 3; i++) {
        const struct addrinfo *four = lists[i], *six = four->ai_next;

        CHECK_INT(rp_sockaddr_format(four->ai_addr, (uint32_t)four->ai_addrlen, text, sizeof text), ==, 0);
        CHECK_STR(text, "127.0.0.1:80");
        CHECK_INT(rp_sockaddr_format(six->ai_addr, (uint32_t)six->ai_addrlen, text, sizeof text), ==, 0);
        CHECK_STR(text, "[::1]:80");
        CHECK_INT(four->ai_socktype, ==, SOCK_STREAM);
        CHECK_INT(six->ai_family, ==, AF_INET6);
        CHECK(!six->ai_next);
        freeaddrinfo(lists[i]);
    }
}

/* Copies have no canonical name. */
TEST(a_canonical_name_is_asked_for_by_each_that_takes_it)
{
    const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
    rp_loop *loop = set_up();
    rp_future *lookups[2];
    struct addrinfo *list;

    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_lookup_new(loop, "held-1", "80", &hints, &lookups[i]), ==, 0);
    await_inside(2);
    set_gate(true);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_run_until_complete(loop, lookups[i]), ==, 0);
        CHECK_INT(rp_lookup_take(lookups[i], &list), ==, 0);
        freeaddrinfo(list);
        rp_future_unref(lookups[i]);
    }
    rp_loop_free(loop);
}

TEST(a_loop_that_is_closed_does_not_wait_for_names)
{
    rp_loop *loop = set_up();
    rp_future *first = ask(loop, "held-1"), *second = ask(loop, "held-1"), *forgotten = ask(loop, "held-2");

    await_inside(2);
    rp_future_unref(forgotten);
    rp_loop_close(loop);
    CHECK(!rp_future_done(first));
    CHECK(rp_future_cancel(second));
    CHECK(rp_future_cancelled(second));
    CHECK_INT(gate.inside, ==, 2);
    rp_loop_free(loop);
    rp_future_unref(first);
    rp_future_unref(second);
    set_gate(true);
}

/* ---- what is asked by the way ---- */

static int no_stream(void *arg, const rp_protocol **protocol, void **self)
{
    CHECK(false);
    return 0;
}

static int no_mailbox(void *arg, const rp_datagram_protocol **protocol, void **self)
{
    CHECK(false);
    return 0;
}

/* Of two names one is not known, and then the other one's answer is nobody's: not an error that nobody has read. */
static void check_only_one_error(rp_loop *loop, rp_future *attempt, const struct addrinfo *hints)
{
    rp_future *same;
    int reports = 0;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_loop_getaddrinfo(loop, "held-1.none", "9", hints, &same), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, attempt), ==, RP_EAI_NONAME);
    rp_future_unref(attempt);
    await_inside(1);
    set_gate(true);
    CHECK_INT(rp_run_until_complete(loop, same), ==, RP_EAI_NONAME);
    rp_future_unref(same);
    CHECK_INT(gate.calls, ==, 1);
    CHECK_INT(reports, ==, 0);
    rp_loop_free(loop);
}

TEST(a_connection_without_its_name_forgets_the_local_one)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    const rp_connect_options options = {.local_host = "held-1.none", .local_port = 9};
    rp_loop *loop = set_up();
    rp_future *attempt;

    CHECK_INT(rp_create_connection(loop, no_stream, NULL, "lost", 9, &options, &attempt), ==, 0);
    check_only_one_error(loop, attempt, &hints);
}

TEST(an_endpoint_without_its_name_forgets_the_other_one)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    const rp_datagram_options options = {.local_host = "lost", .remote_host = "held-1.none", .remote_port = 9};
    rp_loop *loop = set_up();
    rp_future *attempt;

    CHECK_INT(rp_create_datagram_endpoint(loop, no_mailbox, NULL, &options, &attempt), ==, 0);
    check_only_one_error(loop, attempt, &hints);
}

TEST(loops_do_not_share_questions)
{
    rp_loop *one = set_up(), *other = wire_loop();
    rp_future *first = ask(one, "held-1"), *second = ask(other, "held-1");

    await_inside(2);
    rp_loop_free(one);
    end(other, &second, 1);
    CHECK(rp_future_cancel(first));
    rp_future_unref(first);
    rp_loop_free(other);
}

TEST(a_lookup_without_memory_or_thread)
{
    rp_loop *loop = set_up();
    rp_future *lookup, *second;
    uint64_t n = 1;
    int rc;

    for (;; n++) {
        test_fail_allocation(n);
        rc = rp_loop_getaddrinfo(loop, "held-1", "80", &stream_hints, &lookup);
        if (rc == 0)
            break;
        CHECK_INT(rc, ==, -ENOMEM);
    }
    test_fail_allocation(0);
    CHECK_INT(n, >, 4); /* the lookup, the question, the job, the thread */
    await_inside(1);
    /* The last of them is the thread's. Without one, the question waits for the other's. */
    test_fail_allocation(4);
    second = ask(loop, "held-2");
    CHECK(test_allocation_failed());
    test_fail_allocation(0);
    CHECK_INT(gate.inside, ==, 1);
    end(loop, &lookup, 1);
    end(loop, &second, 1);
    CHECK_INT(gate.most, ==, 1);
    rp_loop_free(loop);
}

#ifndef _WIN32
TEST(a_child_of_fork_asks_by_threads_of_its_own)
{
    rp_loop *loop = set_up();
    rp_future *lookup = ask(loop, "held-1");
    int status;
    pid_t pid;

    test_need_locks_after_fork();
    if (process_emulated())
        SKIP("qemu-user makes no threads in a child of a program that has some");
    await_inside(1);
    pid = fork();
    if (pid == 0) {
        rp_future *other = NULL;

        CHECK_INT(rp_loop_getaddrinfo(loop, "held-1", "80", &stream_hints, &other), ==, RP_EFORK);
        rp_loop_free(loop);
        loop = wire_loop();
        gate.open = true;
        CHECK_INT(rp_mutex_init(&gate.mutex), ==, 0);
        CHECK_INT(rp_cond_init(&gate.changed), ==, 0);
        other = ask(loop, "held-1");
        end(loop, &other, 1);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    end(loop, &lookup, 1);
    rp_loop_free(loop);
}

static rp_future *ask_address(rp_loop *loop, int port, int flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    rp_future *lookup = NULL;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(rp_loop_getnameinfo(loop, (struct sockaddr *)&address, sizeof address, flags, &lookup), ==, 0);
    return lookup;
}

TEST(names_of_addresses_are_asked_in_the_same_way)
{
    rp_loop *loop = set_up();
    rp_future *lookups[4];
    const rp_nameinfo *names;

    for (int i = 0; i < 4; i++)
        lookups[i] = ask_address(loop, 80 + i / 2, 0);
    await_inside(2);
    CHECK(rp_future_cancel(lookups[0]));
    rp_future_unref(lookups[0]);
    set_gate(true);
    for (int i = 1; i < 4; i++) {
        CHECK_INT(rp_run_until_complete(loop, lookups[i]), ==, 0);
        names = rp_future_value(lookups[i]);
        CHECK_STR(names->host, "name.test");
        CHECK_STR(names->service, i < 2 ? "80" : "81");
        rp_future_unref(lookups[i]);
    }
    CHECK_INT(gate.calls, ==, 2);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_child_of_fork_asks_by_threads_of_its_own, "Windows has no fork()");
TEST_ABSENT(names_of_addresses_are_asked_in_the_same_way, "GetNameInfoW() cannot be replaced");
#endif
