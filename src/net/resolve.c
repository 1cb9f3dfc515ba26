/*
 * resolve.c - names to addresses: numeric ones at once, others by getaddrinfo() on a thread for names (names.h).
 *
 * A list may be the answer of several lookups. So whoever takes it out gets a copy, but for the last one.
 */
#include "net/resolve.h"

#include <assert.h>
#include <string.h>

#include "net/names.h"
#include "net/resolve_error.h"

/* ---- the question ---- */

enum { FLAGS, FAMILY, SOCKTYPE, PROTOCOL }; /* the numbers of a query */
enum { HOST, SERVICE };                     /* its parts */

static int ask(const rp_query *query, void **answer)
{
    struct addrinfo hints = {
        .ai_flags = query->numbers[FLAGS],
        .ai_family = query->numbers[FAMILY],
        .ai_socktype = query->numbers[SOCKTYPE],
        .ai_protocol = query->numbers[PROTOCOL],
    };
    struct addrinfo *list = NULL;
    int rc = rp_resolve(query->parts[HOST], query->parts[SERVICE], &hints, &list);

    *answer = rc < 0 ? NULL : list;
    return rc;
}

static void free_answer(void *answer)
{
    freeaddrinfo(answer);
}

static const rp_query_kind kind = {ask, free_answer};

static int start(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints, bool to_take,
                 rp_future **future)
{
    rp_query query = {
        .kind = &kind,
        .numbers = {hints->ai_flags, hints->ai_family, hints->ai_socktype, hints->ai_protocol},
        .parts = {host, service},
        .sizes = {host ? strlen(host) + 1 : 0, service ? strlen(service) + 1 : 0},
        .alone = to_take && hints->ai_flags & AI_CANONNAME, /* which copies do not have */
    };

    return rp_lookup_start(loop, &query, future);
}

/* Numeric hosts and ports need no thread. NULL: these are not. */
static struct addrinfo *read_numbers(const char *host, const char *service, const struct addrinfo *hints)
{
    struct addrinfo numeric = *hints, *list = NULL;

    numeric.ai_flags |= (host ? AI_NUMERICHOST : 0) | (service ? AI_NUMERICSERV : 0);
    return rp_resolve(host, service, &numeric, &list) == 0 ? list : NULL;
}

static int look_up(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                   bool to_take, rp_future **future)
{
    struct addrinfo plain = {0}, *numbers;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_kernel_start_names(loop->kernel));
    if (hints) {
        plain.ai_flags = hints->ai_flags;
        plain.ai_family = hints->ai_family;
        plain.ai_socktype = hints->ai_socktype;
        plain.ai_protocol = hints->ai_protocol;
    }
    numbers = read_numbers(host, service, &plain);
    if (!numbers)
        return start(loop, host, service, &plain, to_take, future);
    rc = rp_lookup_done(loop, &kind, 0, numbers, future);
    if (rc < 0)
        freeaddrinfo(numbers);
    return rc;
}

int rp_loop_getaddrinfo(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                        rp_future **future)
{
    return look_up(loop, host, service, hints, false, future);
}

/* ---- taking the list ---- */

int rp_lookup_new(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                  rp_future **future)
{
    return look_up(loop, host, service, hints, true, future);
}

/* freeaddrinfo() takes what getaddrinfo() has made. So that makes the room for a copy. */
static int copy_address(const struct addrinfo *from, struct addrinfo **copy)
{
    bool small = from->ai_addrlen <= sizeof(struct sockaddr_in);
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_family = small ? AF_INET : AF_INET6,
        .ai_socktype = SOCK_STREAM,
    };

    if (from->ai_addrlen > sizeof(struct sockaddr_in6))
        return RP_EAI_FAMILY;
    RP_TRY(rp_resolve(small ? "127.0.0.1" : "::1", "0", &hints, copy));
    assert(!(*copy)->ai_next);
    (*copy)->ai_flags = from->ai_flags;
    (*copy)->ai_family = from->ai_family;
    (*copy)->ai_socktype = from->ai_socktype;
    (*copy)->ai_protocol = from->ai_protocol;
    (*copy)->ai_addrlen = from->ai_addrlen;
    memcpy((*copy)->ai_addr, from->ai_addr, (size_t)from->ai_addrlen);
    return 0;
}

static int copy_list(const struct addrinfo *from, struct addrinfo **list)
{
    struct addrinfo *first = NULL, **end = &first;
    int rc = 0;

    for (; from && rc == 0; from = from->ai_next) {
        rc = copy_address(from, end);
        if (rc == 0)
            end = &(*end)->ai_next;
    }
    if (rc == 0)
        *list = first;
    else if (first)
        freeaddrinfo(first);
    return rc;
}

int rp_lookup_take(rp_future *future, struct addrinfo **list)
{
    struct addrinfo *answer = rp_lookup_take_answer(future);

    if (!answer)
        return copy_list(rp_future_value(future), list);
    *list = answer;
    return 0;
}

/* One that is pending is cancelled, and the error of one that is done counts as read: neither is to be reported. */
void rp_lookup_drop(rp_future **future)
{
    if (*future && !rp_future_cancel(*future))
        rp_future_result(*future);
    rp_future_unref(*future);
    *future = NULL;
}
