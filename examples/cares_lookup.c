/*
 * cares_lookup.c - cares_lookup udp|tcp server[:port] milliseconds name...: c-ares on the loop. Looks all names up
 * at once, each within so much time, and prints their addresses.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <ringport.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* c-ares' channel: its sockets are watched by the loop, and its time-outs are one timer. */
typedef struct resolver {
    rp_loop *loop;
    ares_channel channel;
    rp_timer timer;
    int64_t patience;
    int error; /* why a socket is not watched: what waits for it ends by its time-out */
} resolver;

static void look_at_time(void *arg);

/* To be called after each call of c-ares that may change when it next wants to be called. */
static void set_timer(resolver *r)
{
    struct timeval room;
    const struct timeval *left = ares_timeout(r->channel, NULL, &room);

    rp_timer_cancel(&r->timer);
    if (left)
        rp_call_later(r->loop, &r->timer, RP_SEC((int64_t)left->tv_sec) + RP_USEC((int64_t)left->tv_usec),
                      look_at_time, r);
}

static void look_at_time(void *arg)
{
    resolver *r = arg;

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(r);
}

static void readable(rp_fd fd, void *arg)
{
    resolver *r = arg;

    ares_process_fd(r->channel, fd, ARES_SOCKET_BAD);
    set_timer(r);
}

static void writable(rp_fd fd, void *arg)
{
    resolver *r = arg;

    ares_process_fd(r->channel, ARES_SOCKET_BAD, fd);
    set_timer(r);
}

/* c-ares says what it waits for. Before it closes a socket, that is nothing. */
static void watch(void *arg, ares_socket_t fd, int read, int write)
{
    resolver *r = arg;
    int to_read = 0, to_write = 0;

    if (read)
        to_read = rp_add_reader(r->loop, fd, readable, r);
    else
        rp_remove_reader(r->loop, fd);
    if (write)
        to_write = rp_add_writer(r->loop, fd, writable, r);
    else
        rp_remove_writer(r->loop, fd);
    if (to_read < 0 || to_write < 0)
        r->error = to_read < 0 ? to_read : to_write;
}

/* ---- a lookup that is awaited ---- */

/* c-ares cannot give up one lookup alone: whoever comes last, the answer or the task that gave it up, frees it. */
typedef struct lookup {
    rp_future *answered;
    struct ares_addrinfo *addresses;
    int status;
    bool over;
} lookup;

static void give_up(lookup *l)
{
    if (!l->over) {
        l->over = true;
        return;
    }
    rp_future_unref(l->answered);
    ares_freeaddrinfo(l->addresses);
    free(l);
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *addresses)
{
    lookup *l = arg;

    (void)timeouts;
    l->status = status;
    l->addresses = addresses;
    if (!rp_future_done(l->answered))
        rp_future_set_result(l->answered, NULL);
    give_up(l);
}

static void print_addresses(const char *name, const struct ares_addrinfo *addresses)
{
    printf("%s:", name);
    for (const struct ares_addrinfo_node *node = addresses->nodes; node; node = node->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address = node->ai_family == AF_INET6
                                  ? (const void *)&((const struct sockaddr_in6 *)node->ai_addr)->sin6_addr
                                  : (const void *)&((const struct sockaddr_in *)node->ai_addr)->sin_addr;

        printf(" %s", inet_ntop(node->ai_family, address, text, sizeof text));
    }
    putchar('\n');
}

typedef struct job {
    resolver *resolver;
    const char *name;
} job;

static int look_up(rp_co *co, void *arg)
{
    const job *j = arg;
    resolver *r = j->resolver;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
    lookup *l = calloc(1, sizeof *l);
    rp_timeout timeout;

    if (!l || rp_future_new(r->loop, &l->answered) < 0) {
        free(l);
        return -ENOMEM;
    }
    ares_getaddrinfo(r->channel, j->name, NULL, &hints, answered, l);
    set_timer(r);
    rp_timeout_begin(co, &timeout, r->patience);
    int rc = rp_timeout_end(co, &timeout, rp_await(co, l->answered));
    if (rc == -ETIMEDOUT)
        printf("%s: no answer in time\n", j->name);
    else if (rc == 0 && l->status == ARES_SUCCESS)
        print_addresses(j->name, l->addresses);
    else if (rc == 0)
        printf("%s: %s\n", j->name, ares_strerror(l->status));
    give_up(l);
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* ---- the program ---- */

static int look_all_up(rp_co *co, resolver *r, char **names)
{
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (; *names && rc == 0; names++)
        rc = rp_group_create_task_copy(&group, NULL, look_up, &(job){r, *names}, sizeof(job));
    return rp_group_end(co, &group, rc);
}

static int run(rp_co *co, void *arg)
{
    char **argv = arg, any[] = "b";
    resolver r = {.loop = rp_co_loop(co), .patience = RP_MSEC((int64_t)atoi(argv[3]))};
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_STAYOPEN | (strcmp(argv[1], "tcp") == 0 ? ARES_FLAG_USEVC : 0),
        .timeout = 200,
        .tries = 3,
        .lookups = any, /* servers, and no file */
        .sock_state_cb = watch,
        .sock_state_cb_data = &r,
    };

    if (ares_init_options(&r.channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                              ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
        return -ENOMEM;

    int rc =
        ares_set_servers_ports_csv(r.channel, argv[2]) == ARES_SUCCESS ? look_all_up(co, &r, argv + 4) : -EINVAL;
    ares_destroy(r.channel); /* what was given up ends here */
    rp_timer_cancel(&r.timer);
    return rc < 0 ? rc : r.error;
}

int main(int argc, char **argv)
{
    int rc;

    signal(SIGPIPE, SIG_IGN); /* c-ares leaves it to the program, and writes to what the server may have closed */
    rc = argc < 5 || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ? -EINVAL : rp_run(run, argv);
    ares_library_cleanup();
    if (rc < 0)
        fprintf(stderr, "cares_lookup: %s\n", rp_strerror(rc));
    return rc < 0;
}
