/*
 * kernel_windows.c - the system's kernel, by Winsock's calls.
 *
 * A socket is non-blocking by its own mode (FIONBIO): Winsock has no flag for a single call. Overlapped operations do
 * not heed that mode, so both ways of receiving and sending go together.
 */
#include "proactor/kernel.h"

#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "base/error_windows.h"
#include "proactor/winsock.h"

enum { GATHERED = 64 }; /* buffers in one call: fewer bytes are sent than asked for if there are more */

static int64_t now(const rp_kernel *kernel)
{
    return rp_clock_now();
}

static int result_of(rp_fd fd, int rc)
{
    return rc != 0 ? rp_winsock_error(fd) : 0;
}

/* ---- the life of a socket ---- */

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static int start_result;

static BOOL CALLBACK start(PINIT_ONCE init, void *parameter, void **context)
{
    WSADATA data;

    start_result = rp_error_from_windows((unsigned long)WSAStartup(MAKEWORD(2, 2), &data));
    return TRUE;
}

/* Winsock wants to be started before its first call. */
static int start_names(const rp_kernel *kernel)
{
    InitOnceExecuteOnce(&once, start, NULL, NULL);
    return start_result;
}

static int set_nonblocking(rp_fd fd, const rp_kernel *kernel)
{
    u_long on = 1;

    return result_of(fd, ioctlsocket((SOCKET)fd, FIONBIO, &on));
}

static int open_socket(int family, int type, int protocol, rp_fd *fd, const rp_kernel *kernel)
{
    SOCKET handle;
    int rc = start_names(kernel);

    *fd = -1;
    if (rc < 0)
        return rc;
    handle = WSASocketW(family, type, protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (handle == INVALID_SOCKET)
        return rp_winsock_error(-1);
    rc = set_nonblocking((rp_fd)handle, kernel);
    if (rc < 0)
        closesocket(handle);
    else
        *fd = (rp_fd)handle;
    return rc;
}

static int bind_socket(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel)
{
    return result_of(fd, bind((SOCKET)fd, address, (int)length));
}

static int connect_socket(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel)
{
    if (connect((SOCKET)fd, address, (int)length) == 0)
        return 0;
    switch (WSAGetLastError()) {
    case WSAEISCONN:
        return 0;
    case WSAEWOULDBLOCK:
    case WSAEALREADY:
    case WSAEINVAL: /* older systems' word for that */
        return -EINPROGRESS;
    default:
        return result_of(fd, SOCKET_ERROR);
    }
}

static int listen_on(rp_fd fd, int backlog, const rp_kernel *kernel)
{
    return result_of(fd, listen((SOCKET)fd, backlog));
}

static int shut_down(rp_fd fd, int how, const rp_kernel *kernel)
{
    return result_of(fd, shutdown((SOCKET)fd, how));
}

static void close_socket(rp_fd fd, const rp_kernel *kernel)
{
    if (fd != -1)
        closesocket((SOCKET)fd);
}

static void close_file(rp_fd fd, const rp_kernel *kernel)
{
    if (fd != -1)
        CloseHandle((HANDLE)fd);
}

/* ---- sending ---- */

static int64_t send_now(rp_fd fd, const void *buffer, size_t length, const rp_kernel *kernel)
{
    int n = send((SOCKET)fd, buffer, length < INT_MAX ? (int)length : INT_MAX, 0);

    return n < 0 ? rp_winsock_error(fd) : n;
}

static int64_t sendv_now(rp_fd fd, const struct iovec *vector, int count, const rp_kernel *kernel)
{
    WSABUF buffers[GATHERED];
    DWORD sent;
    size_t room = INT_MAX;
    int n;

    for (n = 0; n < count && n < GATHERED && room > 0; n++) {
        size_t length = vector[n].iov_len < room ? vector[n].iov_len : room;

        buffers[n] = (WSABUF){.len = (ULONG)length, .buf = vector[n].iov_base};
        room -= length;
    }
    if (WSASend((SOCKET)fd, buffers, (DWORD)n, &sent, 0, NULL, NULL) != 0)
        return rp_winsock_error(fd);
    return sent;
}

static bool has_ended(rp_fd fd, const rp_kernel *kernel)
{
    return false;
}

/* ---- datagrams ---- */

/*
 * Winsock has no call for several: they go one after the other. The first error ends that. It is the result if it
 * strikes the first datagram. Else the next call meets it again; but an error about an earlier datagram is told once,
 * and lost then, as datagrams may be.
 */

/* The pieces of a message for Winsock: how many, and in *length their bytes. */
static DWORD pieces_of(const rp_message *message, WSABUF buffers[GATHERED], size_t *length)
{
    *length = 0;
    for (int i = 0; i < message->count; i++) {
        buffers[i] = (WSABUF){.len = (ULONG)message->vector[i].iov_len, .buf = message->vector[i].iov_base};
        *length += message->vector[i].iov_len;
    }
    return (DWORD)message->count;
}

static int send_pieces(rp_fd fd, const rp_message *message, WSABUF *buffers, DWORD count)
{
    DWORD sent;

    return WSASendTo((SOCKET)fd, buffers, count, &sent, 0, message->address_length ? message->address : NULL,
                     (int)message->address_length, NULL, NULL) == 0
               ? 0
               : rp_winsock_error(fd);
}

/* What tells of an earlier datagram tells it once. What cannot be reached is this one's own error. */
static int send_one(rp_fd fd, const rp_message *message)
{
    WSABUF buffers[GATHERED];
    size_t length;
    DWORD count;
    int error;

    if (message->segment != 0)
        return -ENOTSUP;
    if (message->count > GATHERED)
        return -EMSGSIZE;
    count = pieces_of(message, buffers, &length);
    if (length > UINT16_MAX)
        return -EMSGSIZE;
    error = send_pieces(fd, message, buffers, count);
    if (error != -ECONNRESET && error != -ENETRESET)
        return error;
    error = (int)rp_winsock_datagram_error(fd, error);
    return error == 0 ? send_pieces(fd, message, buffers, count) : error;
}

static int receive_one(rp_fd fd, rp_message *message)
{
    WSABUF buffers[GATHERED];
    size_t room;
    DWORD count, received = 0, flags = 0;
    int length = (int)message->address_length;
    int64_t error = 0;

    if (message->count > GATHERED)
        return -EMSGSIZE;
    count = pieces_of(message, buffers, &room);
    do {
        if (WSARecvFrom((SOCKET)fd, buffers, count, &received, &flags, message->address,
                        message->address ? &length : NULL, NULL, NULL) == 0)
            break;
        error = rp_winsock_error(fd);
        if (error == -EMSGSIZE)
            break;
        error = rp_winsock_datagram_error(fd, error);
        if (error < 0)
            return (int)error;
    } while (true);
    message->truncated = error == -EMSGSIZE;
    message->length = message->truncated ? room : received;
    message->address_length = message->address ? (uint32_t)length : 0;
    message->segment = 0;
    return 0;
}

static int send_messages(rp_fd fd, const rp_message *messages, int count, const rp_kernel *kernel)
{
    int rc = rp_kernel_set_nonblocking(kernel, fd), n = 0;

    while (rc == 0 && n < count && (rc = send_one(fd, &messages[n])) == 0)
        n++;
    return n > 0 ? n : rc;
}

static int receive_messages(rp_fd fd, rp_message *messages, int count, bool joined, const rp_kernel *kernel)
{
    int rc = rp_kernel_set_nonblocking(kernel, fd), n = 0;

    while (rc == 0 && n < count && (rc = receive_one(fd, &messages[n])) == 0)
        n++;
    return n > 0 ? n : rc;
}

/* ---- files ---- */

static int64_t send_file(rp_fd fd, rp_fd file, int64_t offset, size_t length, const rp_kernel *kernel)
{
    return -ENOTSUP;
}

static int64_t file_size(rp_fd fd, const rp_kernel *kernel)
{
    LARGE_INTEGER size;

    if (GetFileType((HANDLE)fd) != FILE_TYPE_DISK)
        return GetLastError() == ERROR_INVALID_HANDLE ? -EBADF : -ESPIPE;
    return GetFileSizeEx((HANDLE)fd, &size) ? size.QuadPart : -ESPIPE;
}

static int64_t position(rp_fd fd, const rp_kernel *kernel)
{
    LARGE_INTEGER zero = {0}, now;

    if (GetFileType((HANDLE)fd) != FILE_TYPE_DISK)
        return -ESPIPE;
    return SetFilePointerEx((HANDLE)fd, zero, &now, FILE_CURRENT) ? now.QuadPart : -ESPIPE;
}

static void set_position(rp_fd fd, int64_t to, const rp_kernel *kernel)
{
    LARGE_INTEGER where = {.QuadPart = to};

    SetFilePointerEx((HANDLE)fd, where, NULL, FILE_BEGIN);
}

/* ---- names and options ---- */

static int name(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(fd, getsockname((SOCKET)fd, address, (int *)length));
}

static int peer(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(fd, getpeername((SOCKET)fd, address, (int *)length));
}

static int get(rp_fd fd, int level, int option, void *value, uint32_t *length, const rp_kernel *kernel)
{
    return result_of(fd, getsockopt((SOCKET)fd, level, option, value, (int *)length));
}

static int set(rp_fd fd, int level, int option, const void *value, uint32_t length, const rp_kernel *kernel)
{
    return result_of(fd, setsockopt((SOCKET)fd, level, option, value, (int)length));
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
    .close = close_socket,
    .close_file = close_file,
    .set_nonblocking = set_nonblocking,
    .name = name,
    .peer = peer,
    .start_names = start_names,
    .sendfile = send_file,
    .file_size = file_size,
    .position = position,
    .set_position = set_position,
    .get = get,
    .set = set,
};
