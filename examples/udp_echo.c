/*
 * udp_echo.c - udp_echo [port]: sends datagrams back to where they come from, many at once, until SIGINT. Port 0: one
 * that is free.
 */
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <netinet/in.h>
#endif

enum { MANY = 32, LENGTH = 2048 };

static int echo(rp_co *co, rp_fd fd)
{
    static char buffers[MANY][LENGTH];
    struct sockaddr_storage addresses[MANY];
    rp_mmsg messages[MANY];
    int n;

    for (int i = 0; i < MANY; i++)
        messages[i] = (rp_mmsg){.buffer = buffers[i],
                                .size = LENGTH,
                                .address = (struct sockaddr *)&addresses[i],
                                .address_size = sizeof addresses[i]};
    while ((n = rp_recvmmsg(co, fd, messages, MANY)) > 0)
        rp_sendmmsg(co, fd, messages, n); /* what cannot be sent is lost, as datagrams may be */
    return n;
}

static int serve(rp_co *co, void *arg)
{
    rp_datagram_options options = {.local_host = "127.0.0.1", .local_port = *(int *)arg};
    rp_fd fd;

    RP_TRY(rp_udp_open(co, &fd, &options));
    printf("serving on 127.0.0.1:%d\n", rp_udp_port(fd));
    fflush(stdout);
    int rc = echo(co, fd);
    rp_close(co, fd);
    return rc;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 9999, rc = rp_run(serve, &port);

    if (rc != -EINTR)
        fprintf(stderr, "udp_echo: %s\n", rp_strerror(rc));
    return rc != -EINTR;
}
