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

TEST(names_are_looked_up_by_a_thread)
{
    rp_loop *loop = wire_loop();
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    rp_future *lookup = ask(loop, "localhost", "http", &hints);

    CHECK(!rp_future_done(lookup));
    CHECK_INT(rp_run_until_complete(loop, lookup), ==, 0);
    CHECK_STR(text(first(lookup)), "127.0.0.1:80");
    rp_future_unref(lookup);
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

/* ---- addresses to names ---- */

static int name_of(rp_loop *loop, const void *address, size_t length, int flags, rp_nameinfo *names)
{
    rp_future *lookup = NULL;
    int rc = rp_loop_getnameinfo(loop, address, (uint32_t)length, flags, &lookup);

    if (rc < 0)
        return rc;
    CHECK_INT(rp_future_done(lookup), ==, (flags & NI_NUMERICHOST) && (flags & NI_NUMERICSERV));
    rc = rp_run_until_complete(loop, lookup);
    if (rc == 0)
        *names = *(const rp_nameinfo *)rp_future_value(lookup);
    else
        CHECK(!rp_future_value(lookup));
    rp_future_unref(lookup);
    return rc;
}

TEST(addresses_have_names_and_numbers)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(443), .sin6_addr = in6addr_loopback};
    rp_nameinfo names;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(name_of(loop, &address, sizeof address, NI_NUMERICHOST | NI_NUMERICSERV, &names), ==, 0);
    CHECK_STR(names.host, "127.0.0.1");
    CHECK_STR(names.service, "80");
    CHECK_INT(name_of(loop, &six, sizeof six, NI_NUMERICHOST | NI_NUMERICSERV, &names), ==, 0);
    CHECK_STR(names.host, "::1");
    CHECK_STR(names.service, "443");
    CHECK_INT(name_of(loop, &address, sizeof address, NI_NUMERICHOST, &names), ==, 0);
    CHECK_STR(names.host, "127.0.0.1");
    CHECK_STR(names.service, "http");
    CHECK_INT(name_of(loop, &address, sizeof address, NI_NUMERICSERV, &names), ==, 0);
    CHECK(names.host[0] != '\0');
    CHECK_STR(names.service, "80");
    rp_loop_free(loop);
}

TEST(no_names_of_what_is_no_address)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct sockaddr_storage strange = {.ss_family = 77};
    rp_nameinfo names;
    const int numeric = NI_NUMERICHOST | NI_NUMERICSERV;

    CHECK_INT(name_of(loop, NULL, sizeof address, 0, &names), ==, -EINVAL);
    CHECK_INT(name_of(loop, &address, 1, 0, &names), ==, -EINVAL);
    CHECK_INT(name_of(loop, &strange, sizeof strange + 1, 0, &names), ==, -EINVAL);
    CHECK_INT(name_of(loop, &strange, sizeof strange, 0, &names), ==, RP_EAI_FAMILY);
    CHECK_INT(name_of(loop, &strange, sizeof strange, numeric, &names), ==, RP_EAI_FAMILY);
    CHECK_INT(name_of(loop, &address, sizeof address - 1, numeric, &names), <, 0);
    test_fail_allocation(1);
    CHECK_INT(name_of(loop, &address, sizeof address, numeric, &names), ==, -ENOMEM);
    test_fail_allocation(2);
    CHECK_INT(name_of(loop, &address, sizeof address, numeric, &names), ==, -ENOMEM);
    test_fail_allocation(0);
    rp_loop_close(loop);
    CHECK_INT(name_of(loop, &address, sizeof address, 0, &names), ==, RP_ECLOSED);
    rp_loop_free(loop);
}
