/*
 * slow_names.h - a resolver that takes its time: the C library's getaddrinfo() with this one in its place, for the
 * programs of a benchmark.
 */
#ifndef BENCH_SLOW_NAMES_H
#define BENCH_SLOW_NAMES_H

#include <netdb.h>
#include <netinet/in.h>

#include "bench.h"

static double slow_seconds;

/* Names take that long, numbers no time. What it gives is never freed: there are few. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    struct timespec time = {(time_t)slow_seconds, (long)((slow_seconds - (double)(time_t)slow_seconds) * 1e9)};
    struct addrinfo *info;
    struct sockaddr_in *address;

    (void)service;
    if (!host || (hints && hints->ai_flags & AI_NUMERICHOST))
        return EAI_NONAME;
    nanosleep(&time, NULL);
    info = bench_alloc(sizeof *info);
    address = bench_alloc(sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *info = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addr = (struct sockaddr *)address,
                              .ai_addrlen = sizeof *address};
    *result = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    (void)info;
}

#endif
