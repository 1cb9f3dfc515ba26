/*
 * test_uring_worker.c - operations that wait in a thread of the kernel's: they are cancelled, and hold up nothing else.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "proactor/proactor.h"
#include "harness/ring.h"

/* ---- operations that a worker of the kernel's performs ---- */

enum { GREAT = 64 << 20 };

/* How many threads of this process, sleeping ones or all, are workers of the kernel's. */
static int count_workers(bool sleeping)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], name[32], state;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");

        if (file == NULL)
            continue;
        if (fscanf(file, "%*d (%31[^)]) %c", name, &state) == 2 && strncmp(name, "iou-wrk", 7) == 0)
            count += !sleeping || state == 'S';
        fclose(file);
    }
    closedir(tasks);
    return count;
}

static size_t readable(int fd)
{
    int count;

    CHECK_INT(ioctl(fd, FIONREAD, &count), ==, 0);
    return (size_t)count;
}

static size_t read_some(int fd, int flags)
{
    static char bytes[64 * 1024];
    ssize_t n = recv(fd, bytes, sizeof bytes, flags);

    return n > 0 ? (size_t)n : 0;
}

/*
 * A send of which the peer takes little by little: the kernel waits for room so many times (128), then lets a worker
 * send the rest, which sleeps within a system call that has sent some. How many bytes the peer has read when it does.
 */
static size_t make_worker_send(rp_proactor *port, rp_op *op, const int fds[2])
{
    static char zeros[GREAT];
    size_t total = 0;

    rp_op_send(op, fds[0], zeros, GREAT, RP_SEND_ALL, NULL, NULL);
    submit(port, op);
    while (count_workers(false) == 0) {
        total += read_some(fds[1], MSG_DONTWAIT);
        CHECK_INT(total, <, GREAT / 2);
        CHECK_INT(collect_once(port, 0), ==, 0);
    }
    for (int i = 0; i < 8; i++) {
        while (readable(fds[1]) == 0 || count_workers(true) == 0)
            usleep(100);
        total += read_some(fds[1], MSG_DONTWAIT);
    }
    while (readable(fds[1]) == 0 || count_workers(true) == 0)
        usleep(100);
    return total;
}

/* The cancellation interrupts the worker, which has sent a part. */
static void cancels_in_worker(void (*open_pair)(int fds[2]))
{
    static const int size = 64 * 1024;
    rp_proactor *port = open_ring(0, 0);
    int fds[2];
    rp_op op;

    open_pair(fds);
    CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
    size_t taken = make_worker_send(port, &op, fds), n;
    rp_proactor_cancel(port, &op);
    int64_t sent = finish(port, &op);
    rp_proactor_close(port);
    CHECK_INT(shutdown(fds[0], SHUT_WR), ==, 0);
    while ((n = read_some(fds[1], 0)) > 0)
        taken += n;
    CHECK_INT(sent, ==, taken);
    close_pair(fds);
}

TEST(send_in_worker_is_cancelled)
{
    cancels_in_worker(unix_pair);
}

TEST(tcp_send_in_worker_is_cancelled)
{
    cancels_in_worker(tcp_pair);
}

/* ---- terminals ---- */

/* Nobody reads from it, as after Ctrl-S: a write waits, and nothing else does. */
TEST(a_terminal_that_takes_no_more_holds_up_nothing)
{
    static char text[1024 * 1024];
    rp_proactor *port = open_ring(0, 0);
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
    rp_op op;

    CHECK(master >= 0);
    CHECK_INT(ioctl(master, TIOCSPTLCK, &unlocked), ==, 0);
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(slave >= 0);
    memset(text, 'x', sizeof text);
    for (int64_t n = 0; n >= 0;) { /* until it is full */
        rp_op_write(&op, slave, text, sizeof text, -1, NULL, NULL);
        submit(port, &op);
        do_nop(port);
        rp_proactor_cancel(port, &op);
        n = finish(port, &op);
        CHECK(n > 0 || n == -ECANCELED);
    }
    close(slave);
    close(master);
    rp_proactor_close(port);
}
