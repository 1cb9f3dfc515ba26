/*
 * kernel_posix.c - the system's kernel, by POSIX's calls.
 */
#include "proactor/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "proactor/pipe_posix.h"

static int result_of(int rc)
{
    return rc < 0 ? -errno : 0;
}

static int64_t now(const rp_kernel *kernel)
{
    return rp_clock_now();
}

/* ---- the life of a socket ---- */

static int open_socket(int family, int type, int protocol, rp_fd *fd, const rp_kernel *kernel)
{
    *fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return *fd < 0 ? -errno : 0;
}

static int bind_socket(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel)
{
    return result_of(bind(fd, address, length));
}

static int connect_socket(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel)
{
    if (connect(fd, address, length) == 0 || errno == EISCONN)
        return 0;
    return errno == EALREADY || errno == EINTR ? -EINPROGRESS : -errno;
}

static int listen_on(rp_fd fd, int backlog, const rp_kernel *kernel)
{
    return result_of(listen(fd, backlog));
}

static int shut_down(rp_fd fd, int how, const rp_kernel *kernel)
{
    return result_of(shutdown(fd, how));
}

static void close_any(rp_fd fd, const rp_kernel *kernel)
{
    if (fd >= 0)
        close(fd);
}

static int set_nonblocking(rp_fd fd, const rp_kernel *kernel)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

/* ---- sending ---- */

/* One that a signal interrupts has had no room so far. */
static int64_t send_now(rp_fd fd, const void *buffer, size_t length, const rp_kernel *kernel)
{
    ssize_t n = send(fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return n;
}

static int64_t sendv_now(rp_fd fd, const struct iovec *vector, int count, const rp_kernel *kernel)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector,
                             .msg_iovlen = count < IOV_MAX ? count : IOV_MAX};
    ssize_t n;

    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static bool has_ended(rp_fd fd, const rp_kernel *kernel)
{
    struct pollfd entry = {.fd = fd};

    return poll(&entry, 1, 0) > 0 && entry.revents & POLLHUP;
}

/* ---- pipes ---- */

static int open_pipe(rp_pipe *pipe, rp_fd fd, bool writes, const rp_kernel *kernel)
{
    return rp_pipe_posix_open(pipe, fd, writes);
}

static int64_t read_pipe(rp_pipe *pipe, void *buffer, size_t length, bool *more, const rp_kernel *kernel)
{
    return rp_pipe_posix_read(pipe, buffer, length, more);
}

static int64_t write_pipe(rp_pipe *pipe, const struct iovec *vector, int count, const rp_kernel *kernel)
{
    return rp_pipe_posix_write(pipe, vector, count);
}

static void close_pipe(const rp_pipe *pipe, const rp_kernel *kernel)
{
    rp_pipe_posix_close(pipe);
}

/* ---- datagrams ---- */

/* Room for the one control message that there is: how long the segments are. */
typedef struct segment_control {
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))];
} segment_control;

static void put_segment(struct msghdr *header, segment_control *control, uint32_t segment)
{
    uint16_t size = (uint16_t)segment;
    struct cmsghdr *message;

    memset(control, 0, sizeof *control);
    header->msg_control = control->space;
    header->msg_controllen = CMSG_SPACE(sizeof size);
    message = CMSG_FIRSTHDR(header);
    message->cmsg_level = IPPROTO_UDP;
    message->cmsg_type = UDP_SEGMENT;
    message->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(message), &size, sizeof size);
}

static int send_one(rp_fd fd, const rp_message *message)
{
    ssize_t n;

    do
        n = sendto(fd, message->vector->iov_base, message->vector->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                   message->address_length ? message->address : NULL, message->address_length);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 1;
}

static int send_messages(rp_fd fd, const rp_message *messages, int count, const rp_kernel *kernel)
{
    struct mmsghdr headers[RP_MESSAGES_MAX];
    segment_control controls[RP_MESSAGES_MAX];
    int n;

    if (count == 1 && messages->count == 1 && messages->segment == 0)
        return send_one(fd, messages);
    if (count > RP_MESSAGES_MAX)
        count = RP_MESSAGES_MAX;
    for (int i = 0; i < count; i++) {
        const rp_message *message = &messages[i];

        headers[i].msg_hdr = (struct msghdr){.msg_name = message->address_length ? message->address : NULL,
                                             .msg_namelen = message->address_length,
                                             .msg_iov = message->vector,
                                             .msg_iovlen = (size_t)message->count};
        if (message->segment)
            put_segment(&headers[i].msg_hdr, &controls[i], message->segment);
    }
    do
        n = sendmmsg(fd, headers, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void note_received(rp_message *message, struct mmsghdr *received)
{
    struct msghdr *header = &received->msg_hdr;

    message->length = received->msg_len;
    message->address_length = message->address ? header->msg_namelen : 0;
    message->truncated = header->msg_flags & MSG_TRUNC;
    message->segment = 0;
    for (struct cmsghdr *c = header->msg_controllen > 0 ? CMSG_FIRSTHDR(header) : NULL; c;
         c = CMSG_NXTHDR(header, c)) {
        int size;

        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        message->segment = size > 0 ? (uint32_t)size : 0;
    }
}

static int receive_messages(rp_fd fd, rp_message *messages, int count, bool joined, const rp_kernel *kernel)
{
    struct mmsghdr headers[RP_MESSAGES_MAX];
    segment_control controls[RP_MESSAGES_MAX];
    int n;

    if (count > RP_MESSAGES_MAX)
        count = RP_MESSAGES_MAX;
    for (int i = 0; i < count; i++)
        headers[i].msg_hdr = (struct msghdr){.msg_name = messages[i].address,
                                             .msg_namelen = messages[i].address ? messages[i].address_length : 0,
                                             .msg_iov = messages[i].vector,
                                             .msg_iovlen = (size_t)messages[i].count,
                                             .msg_control = joined ? controls[i].space : NULL,
                                             .msg_controllen = joined ? sizeof controls[i] : 0};
    do
        n = recvmmsg(fd, headers, (unsigned)count, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; i++)
        note_received(&messages[i], &headers[i]);
    return n < 0 ? -errno : n;
}

/* ---- files ---- */

/* It knows no MSG_NOSIGNAL. A SIGPIPE that was pending before, and so is somebody else's, stays. */
static int64_t send_file(rp_fd fd, rp_fd file, int64_t offset, size_t length, const rp_kernel *kernel)
{
    static const struct timespec at_once;
    sigset_t pipe, mask, pending;
    off_t from = offset;
    ssize_t n;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &mask);
    n = sendfile(fd, file, &from, length);
    if (n < 0) {
        n = errno == EINTR ? -EAGAIN : -errno;
        if (n == -EPIPE && !sigismember(&pending, SIGPIPE))
            sigtimedwait(&pipe, NULL, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return n;
}

static int64_t file_size(rp_fd fd, const rp_kernel *kernel)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) ? status.st_size : -ESPIPE;
}

static int64_t position(rp_fd fd, const rp_kernel *kernel)
{
    off_t now = lseek(fd, 0, SEEK_CUR);

    return now < 0 ? -errno : now;
}

static void set_position(rp_fd fd, int64_t to, const rp_kernel *kernel)
{
    lseek(fd, to, SEEK_SET);
}

/* ---- names and options ---- */

static int name(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(getsockname(fd, address, length));
}

static int peer(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(getpeername(fd, address, length));
}

static int start_names(const rp_kernel *kernel)
{
    return 0;
}

static int get(rp_fd fd, int level, int option, void *value, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(getsockopt(fd, level, option, value, length));
}

static int set(rp_fd fd, int level, int option, const void *value, uint32_t length, const rp_kernel *kernel)
{
    return result_of(setsockopt(fd, level, option, value, length));
}

const rp_kernel rp_system_kernel = {
    .now = now,
    .send = send_now,
    .sendv = sendv_now,
    .has_ended = has_ended,
    .send_messages = send_messages,
    .receive_messages = receive_messages,
    .socket = open_socket,
    .bind = bind_socket,
    .connect = connect_socket,
    .listen = listen_on,
    .shutdown = shut_down,
    .close = close_any,
    .close_file = close_any,
    .set_nonblocking = set_nonblocking,
    .name = name,
    .peer = peer,
    .open_pipe = open_pipe,
    .read_pipe = read_pipe,
    .write_pipe = write_pipe,
    .close_pipe = close_pipe,
    .start_names = start_names,
    .sendfile = send_file,
    .file_size = file_size,
    .position = position,
    .set_position = set_position,
    .get = get,
    .set = set,
    .inherits = true,
    .spreads = true,
    .abstract = true,
};
