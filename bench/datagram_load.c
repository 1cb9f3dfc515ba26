/*
 * datagram_load.c - a load for an echo server of UDP, on loopback: so many peers, each with so many datagrams on their
 * way at a time.
 *
 * datagram_load PEERS DEPTH SIZE SERVER HOST PORT: SERVER is the process whose processor time is told.
 *
 * Each datagram says whose it is and which, and comes back as it was; they come back in order. None is lost: there are
 * too few for a socket's buffer. It loads the server for as many seconds as each line of standard input says, and then
 * prints its figures. What has come together is answered together, so the load is not what is waited for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { MOST_PEERS = 256, MOST_DEPTH = 256, MOST_SIZE = 1472 };

typedef struct message {
    uint32_t peer;
    uint32_t number;
} message;

typedef struct peer {
    int fd;
    uint32_t sent, received;
    int64_t sent_at[MOST_DEPTH];
} peer;

static peer peers[MOST_PEERS];
static int peer_count, depth, epoll;
static size_t size;
static uint64_t requests;
static bench_histogram latencies;

static void send_some(peer *p, int count)
{
    static char data[MOST_DEPTH][MOST_SIZE];
    struct mmsghdr headers[MOST_DEPTH];
    struct iovec pieces[MOST_DEPTH];
    int64_t now = bench_now();

    memset(headers, 0, sizeof headers);
    for (int i = 0; i < count; i++) {
        message m = {(uint32_t)(p - peers), p->sent};

        memcpy(data[i], &m, sizeof m);
        pieces[i] = (struct iovec){data[i], size};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        p->sent_at[p->sent++ % MOST_DEPTH] = now;
    }
    for (int done = 0; done < count;)
        done += (int)bench_check(sendmmsg(p->fd, headers + done, (unsigned)(count - done), 0), "sendmmsg");
}

/* What has come: how many. */
static int receive_some(peer *p)
{
    static char data[MOST_DEPTH][MOST_SIZE];
    struct mmsghdr headers[MOST_DEPTH];
    struct iovec pieces[MOST_DEPTH];
    int n;

    memset(headers, 0, sizeof headers);
    for (int i = 0; i < depth; i++) {
        pieces[i] = (struct iovec){data[i], MOST_SIZE};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    n = recvmmsg(p->fd, headers, (unsigned)depth, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN)
        bench_die("recvmmsg: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        message m;

        memcpy(&m, data[i], sizeof m);
        if (headers[i].msg_len != size || m.peer != (uint32_t)(p - peers) || m.number != p->received)
            bench_die("a datagram came back wrong");
        bench_count(&latencies, bench_now() - p->sent_at[p->received++ % MOST_DEPTH]);
        requests++;
    }
    return n > 0 ? n : 0;
}

static void run(double seconds)
{
    int64_t end = bench_now() + (int64_t)(seconds * BENCH_SECOND);
    struct epoll_event events[MOST_PEERS];
    int under_way = peer_count * depth;

    for (int i = 0; i < peer_count; i++)
        send_some(&peers[i], depth);
    while (under_way > 0) {
        int n = epoll_wait(epoll, events, MOST_PEERS, 5000);

        if (n == 0)
            bench_die("a datagram was lost");
        for (int i = 0; i < n; i++) {
            peer *p = events[i].data.ptr;
            int came = receive_some(p);

            if (bench_now() < end && came > 0)
                send_some(p, came);
            else
                under_way -= came;
        }
    }
}

static void connect_to(const char *host, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    inet_pton(AF_INET, host, &address.sin_addr);
    epoll = (int)bench_check(epoll_create1(0), "epoll_create1");
    for (int i = 0; i < peer_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};

        peers[i].fd = (int)bench_check(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), "socket");
        bench_check(connect(peers[i].fd, (struct sockaddr *)&address, sizeof address), "connect");
        bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event), "epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    char line[64];

    if (argc != 7)
        bench_die("usage: datagram_load PEERS DEPTH SIZE SERVER HOST PORT");
    peer_count = atoi(argv[1]);
    depth = atoi(argv[2]);
    size = (size_t)atoi(argv[3]);
    if (peer_count < 1 || peer_count > MOST_PEERS || depth < 1 || depth > MOST_DEPTH || size < sizeof(message) ||
        size > MOST_SIZE)
        bench_die("there is no such load");
    pid_t server = atoi(argv[4]);
    connect_to(argv[5], argv[6]);
    while (fgets(line, sizeof line, stdin)) {
        int64_t cpu = bench_cpu_of(server), begun = bench_now();

        requests = 0;
        memset(&latencies, 0, sizeof latencies);
        run(atof(line));
        printf("{\"cpu_us_per_request\": %.4f, \"requests_per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
               (double)(bench_cpu_of(server) - cpu) / 1000 / (double)requests,
               (double)requests * 1e9 / (double)(bench_now() - begun), bench_percentile(&latencies, 0.5),
               bench_percentile(&latencies, 0.99));
        fflush(stdout);
    }
    return 0;
}
