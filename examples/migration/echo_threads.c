/*
 * echo_threads.c - echo_threads [port]: sends back what it gets, with a thread for each connection. ../echo_server.c is
 * the same with a task for each.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int send_all(int fd, const char *bytes, size_t length)
{
    ssize_t n = 0;

    for (; length > 0 && (n = send(fd, bytes, length, MSG_NOSIGNAL)) >= 0; length -= (size_t)n)
        bytes += n;
    return n < 0 ? -1 : 0;
}

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[16 * 1024];
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0 && send_all(fd, buffer, (size_t)n) == 0)
        ;
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8888));
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 100) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0) {
        perror("echo_threads");
        return 1;
    }
    printf("serving on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    }
    return 1;
}
