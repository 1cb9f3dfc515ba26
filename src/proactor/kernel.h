/*
 * kernel.h - what a kernel is asked at once, besides a proactor's operations: sockets, pipes, files, and the clock.
 *
 * A proactor names its kernel, and the layers above reach sockets and time through that kernel only. So another one, a
 * simulated kernel for example, can stand in for the system's, and nobody above knows. What was opened through a kernel
 * is used and closed through the same one. Where there is no loop, rp_system_kernel is asked.
 *
 * Each function returns a negative errno value if it fails, on Windows too, and none of them blocks. The kernel is the
 * last argument, so that the others are where the system call wants them.
 */
#ifndef RP_PROACTOR_KERNEL_H
#define RP_PROACTOR_KERNEL_H

#include "base/socket.h"
#include "proactor/pipe.h"
#include "ringport/error.h"

typedef struct rp_kernel rp_kernel;

enum { RP_MESSAGES_MAX = 64 }; /* are sent or received by one call */

/* One datagram, or several that go as one, of those that are sent or received together. */
typedef struct rp_message {
    struct iovec *vector;     /* its pieces: one, unless it is sent in segments */
    struct sockaddr *address; /* to whom; from whom, NULL: nobody wants to know */
    size_t length;            /* of one that was received: bytes */
    int count;                /* of pieces */
    uint32_t address_length;  /* 0: it has none; of one that is received: the room, then the true length */
    uint32_t segment; /* it is cut, or was joined, of datagrams of that many bytes, and a last one; 0: it is one */
    bool truncated;   /* received: there was no room for its end */
} rp_message;

/* The functions are called by the wrappers below, which say what each does. */
struct rp_kernel {
    int64_t (*now)(const rp_kernel *kernel);
    int64_t (*send)(rp_fd fd, const void *buffer, size_t length, const rp_kernel *kernel);
    int64_t (*sendv)(rp_fd fd, const struct iovec *vector, int count, const rp_kernel *kernel);
    bool (*has_ended)(rp_fd fd, const rp_kernel *kernel);
    int (*send_messages)(rp_fd fd, const rp_message *messages, int count, const rp_kernel *kernel);
    int (*receive_messages)(rp_fd fd, rp_message *messages, int count, bool joined, const rp_kernel *kernel);
    int (*socket)(int family, int type, int protocol, rp_fd *fd, const rp_kernel *kernel);
    int (*bind)(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel);
    int (*connect)(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel);
    int (*listen)(rp_fd fd, int backlog, const rp_kernel *kernel);
    int (*shutdown)(rp_fd fd, int how, const rp_kernel *kernel);
    void (*close)(rp_fd fd, const rp_kernel *kernel);
    void (*close_file)(rp_fd fd, const rp_kernel *kernel);
    int (*set_nonblocking)(rp_fd fd, const rp_kernel *kernel);
    int (*name)(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel);
    int (*peer)(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel);
    int (*get)(rp_fd fd, int level, int option, void *value, uint32_t *length, const rp_kernel *kernel);
    int (*set)(rp_fd fd, int level, int option, const void *value, uint32_t length, const rp_kernel *kernel);
    int (*open_pipe)(rp_pipe *pipe, rp_fd fd, bool writes, const rp_kernel *kernel);
    int64_t (*read_pipe)(rp_pipe *pipe, void *buffer, size_t length, bool *more, const rp_kernel *kernel);
    int64_t (*write_pipe)(rp_pipe *pipe, const struct iovec *vector, int count, const rp_kernel *kernel);
    void (*close_pipe)(const rp_pipe *pipe, const rp_kernel *kernel);
    int (*start_names)(const rp_kernel *kernel);
    int64_t (*sendfile)(rp_fd fd, rp_fd file, int64_t offset, size_t length, const rp_kernel *kernel);
    int64_t (*file_size)(rp_fd fd, const rp_kernel *kernel);
    int64_t (*position)(rp_fd fd, const rp_kernel *kernel);
    void (*set_position)(rp_fd fd, int64_t position, const rp_kernel *kernel);
    bool inherits; /* an accepted socket can be relied on to have the options of the one that listens */
    bool spreads;  /* connections, over several sockets that listen at one address: rp_kernel_reuse_port() */
    bool abstract; /* Unix sockets can have names that begin with '\0', and need no file */
};

/* The system's. */
extern const rp_kernel rp_system_kernel;

/* ---- the clock ---- */

/* The monotonic clock, in nanoseconds. Any thread. */
static inline int64_t rp_kernel_now(const rp_kernel *kernel)
{
    return kernel->now(kernel);
}

/* ---- the life of a socket ---- */

/* socket(): non-blocking and not inherited; able to do overlapped operations on Windows. */
static inline int rp_kernel_open(const rp_kernel *kernel, int family, int type, int protocol, rp_fd *fd)
{
    return kernel->socket(family, type, protocol, fd, kernel);
}

static inline int rp_kernel_bind(const rp_kernel *kernel, rp_fd fd, const struct sockaddr *address,
                                 uint32_t length)
{
    return kernel->bind(fd, address, length, kernel);
}

/*
 * Begins to connect a non-blocking socket, or asks how that goes: 0 if it is connected, -EINPROGRESS, or the error. On
 * a loopback the second call is answered by 0 already. RP_OP_CONNECT may go on with it, but on Windows.
 */
static inline int rp_kernel_connect(const rp_kernel *kernel, rp_fd fd, const struct sockaddr *address,
                                    uint32_t length)
{
    return kernel->connect(fd, address, length, kernel);
}

static inline int rp_kernel_listen(const rp_kernel *kernel, rp_fd fd, int backlog)
{
    return kernel->listen(fd, backlog, kernel);
}

/* shutdown(): how is SHUT_RD, SHUT_WR or SHUT_RDWR. */
static inline int rp_kernel_shutdown(const rp_kernel *kernel, rp_fd fd, int how)
{
    return kernel->shutdown(fd, how, kernel);
}

/* -1 is ignored. */
static inline void rp_kernel_close(const rp_kernel *kernel, rp_fd fd)
{
    kernel->close(fd, kernel);
}

/*
 * The same for what is no socket: to Windows they differ. There it may take a while, for what was written to or lies on
 * another machine: RP_OP_CLOSE is for whoever can wait for it.
 */
static inline void rp_kernel_close_file(const rp_kernel *kernel, rp_fd fd)
{
    kernel->close_file(fd, kernel);
}

/* For sockets that were not opened here. On Windows, sending would block without it. */
static inline int rp_kernel_set_nonblocking(const rp_kernel *kernel, rp_fd fd)
{
    return kernel->set_nonblocking(fd, kernel);
}

/* ---- sending ---- */

/* send(): bytes, perhaps fewer than asked for, -EAGAIN if none fit, or the error. It raises no signal. */
static inline int64_t rp_kernel_send(const rp_kernel *kernel, rp_fd fd, const void *buffer, size_t length)
{
    return kernel->send(fd, buffer, length, kernel);
}

/* Its gathering form. */
static inline int64_t rp_kernel_sendv(const rp_kernel *kernel, rp_fd fd, const struct iovec *vector, int count)
{
    return kernel->sendv(fd, vector, count, kernel);
}

/*
 * Whether a connection has ended in both directions, most often by a reset; nothing is consumed by asking. Always false
 * on Windows, where recv() goes on telling of a reset.
 */
static inline bool rp_kernel_has_ended(const rp_kernel *kernel, rp_fd fd)
{
    return kernel->has_ended(fd, kernel);
}

/* ---- pipes ---- */

/*
 * Of POSIX alone: on Windows operations move the bytes of pipes.
 *
 * Fills in how a pipe's end, a FIFO, a character device or a socket is read or written without blocking. It stays the
 * caller's.
 *   -EINVAL         it is something else, such as a regular file
 *   -EBADF          it is no open descriptor, or cannot be read, or written
 *   -EMFILE and the like
 */
static inline int rp_kernel_open_pipe(const rp_kernel *kernel, rp_pipe *pipe, rp_fd fd, bool writes)
{
    return kernel->open_pipe(pipe, fd, writes, kernel);
}

/*
 * Reads what there is: bytes, 0 at the end, -EAGAIN if there is nothing, or the error. *more: there may be more, or the
 * end, before readiness changes again.
 */
static inline int64_t rp_kernel_read_pipe(const rp_kernel *kernel, rp_pipe *pipe, void *buffer, size_t length,
                                          bool *more)
{
    return kernel->read_pipe(pipe, buffer, length, more, kernel);
}

/* Writes what there is room for: bytes, one at least, -EAGAIN, or the error. It raises no signal. */
static inline int64_t rp_kernel_write_pipe(const rp_kernel *kernel, rp_pipe *pipe, const struct iovec *vector,
                                           int count)
{
    return kernel->write_pipe(pipe, vector, count, kernel);
}

/* Gives up what opening has taken. The descriptor stays. */
static inline void rp_kernel_close_pipe(const rp_kernel *kernel, const rp_pipe *pipe)
{
    kernel->close_pipe(pipe, kernel);
}

/* ---- datagrams ---- */

/*
 * Sends up to RP_MESSAGES_MAX datagrams: how many were sent, one at least; or the error of the first one, -EAGAIN if
 * there is no room for it. Fewer than asked for: the next one's error is told by the next call.
 */
static inline int rp_kernel_send_messages(const rp_kernel *kernel, rp_fd fd, const rp_message *messages, int count)
{
    return kernel->send_messages(fd, messages, count, kernel);
}

/*
 * Receives up to RP_MESSAGES_MAX datagrams: how many there were, one at least; -EAGAIN, or the error. Fewer than asked
 * for: there were no more. `joined`: rp_kernel_join_received() was called.
 */
static inline int rp_kernel_receive_messages(const rp_kernel *kernel, rp_fd fd, rp_message *messages, int count,
                                             bool joined)
{
    return kernel->receive_messages(fd, messages, count, joined, kernel);
}

/* ---- names ---- */

/* getsockname() and getpeername(): `length` is the room, then what was needed. */
static inline int rp_kernel_name(const rp_kernel *kernel, rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return kernel->name(fd, address, length, kernel);
}

static inline int rp_kernel_peer(const rp_kernel *kernel, rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return kernel->peer(fd, address, length, kernel);
}

/*
 * To be called before the C library's getaddrinfo() or getnameinfo(), which are no kernel's: Windows wants its sockets
 * to be started. Cheap, any thread.
 */
static inline int rp_kernel_start_names(const rp_kernel *kernel)
{
    return kernel->start_names(kernel);
}

/* ---- files ---- */

/*
 * sendfile() on a non-blocking socket: bytes, 0 at the file's end, -EAGAIN if none fit, or the error. It raises no
 * signal. It waits for the disk, and so blocks. -ENOTSUP: this system has none.
 */
static inline int64_t rp_kernel_sendfile(const rp_kernel *kernel, rp_fd fd, rp_fd file, int64_t offset,
                                         size_t length)
{
    return kernel->sendfile(fd, file, offset, length, kernel);
}

/* The size of a regular file in bytes; -ESPIPE of what is none, since it may have more or less than it says. */
static inline int64_t rp_kernel_file_size(const rp_kernel *kernel, rp_fd fd)
{
    return kernel->file_size(fd, kernel);
}

/* Where the next read of it would begin; -ESPIPE of what has no position, such as a pipe. */
static inline int64_t rp_kernel_position(const rp_kernel *kernel, rp_fd fd)
{
    return kernel->position(fd, kernel);
}

/* For what has one. */
static inline void rp_kernel_set_position(const rp_kernel *kernel, rp_fd fd, int64_t position)
{
    kernel->set_position(fd, position, kernel);
}

/* ---- options ---- */

/* getsockopt() and setsockopt(). */
static inline int rp_kernel_get(const rp_kernel *kernel, rp_fd fd, int level, int option, void *value,
                                uint32_t *length)
{
    return kernel->get(fd, level, option, value, length, kernel);
}

static inline int rp_kernel_set(const rp_kernel *kernel, rp_fd fd, int level, int option, const void *value,
                                uint32_t length)
{
    return kernel->set(fd, level, option, value, length, kernel);
}

/* An option that is a number: it (not negative), or the error. */
static inline int rp_kernel_get_number(const rp_kernel *kernel, rp_fd fd, int level, int option)
{
    int value = 0;
    uint32_t length = sizeof value;
    int rc = rp_kernel_get(kernel, fd, level, option, &value, &length);

    return rc < 0 ? rc : value;
}

static inline int rp_kernel_set_number(const rp_kernel *kernel, rp_fd fd, int level, int option, int value)
{
    return rp_kernel_set(kernel, fd, level, option, &value, sizeof value);
}

/* SOCK_STREAM and so on, or an error: -EBADF, -ENOTSOCK. */
static inline int rp_kernel_type(const rp_kernel *kernel, rp_fd fd)
{
    return rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_TYPE);
}

/* AF_INET and so on, or an error. */
static inline int rp_kernel_family(const rp_kernel *kernel, rp_fd fd)
{
#ifdef _WIN32
    WSAPROTOCOL_INFOW info;
    uint32_t length = sizeof info;
    int rc = rp_kernel_get(kernel, fd, SOL_SOCKET, SO_PROTOCOL_INFOW, &info, &length);

    return rc < 0 ? rc : info.iAddressFamily;
#else
    return rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_DOMAIN);
#endif
}

/* Whether a socket listens: 0, something else, or an error. */
static inline int rp_kernel_listens(const rp_kernel *kernel, rp_fd fd)
{
    return rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_ACCEPTCONN);
}

/*
 * For a socket that is to listen, before it is bound: whether it may have an address at which nobody listens any more,
 * but connections of an earlier server linger (TIME_WAIT). POSIX allows that with SO_REUSEADDR. Windows allows it
 * unless SO_EXCLUSIVEADDRUSE is set; its SO_REUSEADDR lets two sockets listen, and is for nobody.
 */
static inline int rp_kernel_reuse_address(const rp_kernel *kernel, rp_fd fd, bool reuse)
{
#ifdef _WIN32
    return reuse ? 0 : rp_kernel_set_number(kernel, fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
#else
    return reuse ? rp_kernel_set_number(kernel, fd, SOL_SOCKET, SO_REUSEADDR, 1) : 0;
#endif
}

/* Lets the kernel join datagrams of one size that arrive one after the other (GRO). -ENOTSUP if it cannot. */
static inline int rp_kernel_join_received(const rp_kernel *kernel, rp_fd fd)
{
#ifdef UDP_GRO
    int rc = rp_kernel_set_number(kernel, fd, IPPROTO_UDP, UDP_GRO, 1);

    return rc == -ENOPROTOOPT || rc == -EOPNOTSUPP ? -ENOTSUP : rc;
#else
    (void)kernel;
    (void)fd;
    return -ENOTSUP;
#endif
}

/* Whether rp_message.segment may be used for sending (GSO): 0, or -ENOTSUP. */
static inline int rp_kernel_can_cut(const rp_kernel *kernel, rp_fd fd)
{
#ifdef UDP_SEGMENT
    int rc = rp_kernel_get_number(kernel, fd, IPPROTO_UDP, UDP_SEGMENT);

    return rc == -ENOPROTOOPT || rc == -EOPNOTSUPP ? -ENOTSUP : rc;
#else
    (void)kernel;
    (void)fd;
    return -ENOTSUP;
#endif
}

/* Lets several sockets listen at one address, and spreads connections over them: SO_REUSEPORT. -ENOTSUP on Windows. */
static inline int rp_kernel_reuse_port(const rp_kernel *kernel, rp_fd fd)
{
#ifdef _WIN32
    (void)kernel;
    (void)fd;
    return -ENOTSUP;
#else
    return rp_kernel_set_number(kernel, fd, SOL_SOCKET, SO_REUSEPORT, 1);
#endif
}

#endif
