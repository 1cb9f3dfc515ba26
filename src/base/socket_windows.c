/*
 * socket_windows.c - the socket calls as Winsock has them: see socket.h.
 *
 * A socket is non-blocking by its own mode (FIONBIO): Winsock has no flag for a single call. Overlapped operations do
 * not heed that mode, so both ways of receiving and sending go together.
 */
#include "base/socket.h"

#include <errno.h>
#include <limits.h>

#include "base/error_windows.h"

enum { GATHERED = 64 }; /* buffers in one call: fewer bytes are sent than asked for if there are more */

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static int start_result;

int rp_socket_error(void)
{
    return rp_error_from_windows((unsigned long)WSAGetLastError());
}

static BOOL CALLBACK start(PINIT_ONCE init, void *parameter, void **context)
{
    WSADATA data;

    start_result = rp_error_from_windows((unsigned long)WSAStartup(MAKEWORD(2, 2), &data));
    return TRUE;
}

int rp_socket_start(void)
{
    InitOnceExecuteOnce(&once, start, NULL, NULL);
    return start_result;
}

int rp_socket_open(int family, int type, int protocol, rp_fd *fd)
{
    SOCKET handle;
    int rc = rp_socket_start();

    *fd = -1;
    if (rc < 0)
        return rc;
    handle = WSASocketW(family, type, protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (handle == INVALID_SOCKET)
        return rp_socket_error();
    rc = rp_socket_set_nonblocking((rp_fd)handle);
    if (rc < 0)
        closesocket(handle);
    else
        *fd = (rp_fd)handle;
    return rc;
}

void rp_socket_close(rp_fd fd)
{
    if (fd != -1)
        closesocket((SOCKET)fd);
}

void rp_file_close(rp_fd fd)
{
    if (fd != -1)
        CloseHandle((HANDLE)fd);
}

int rp_socket_set_nonblocking(rp_fd fd)
{
    u_long on = 1;

    return ioctlsocket((SOCKET)fd, FIONBIO, &on) != 0 ? rp_socket_error() : 0;
}

static int clipped(size_t length)
{
    return length < INT_MAX ? (int)length : INT_MAX;
}

int64_t rp_socket_recv(rp_fd fd, void *buffer, size_t length)
{
    int n = recv((SOCKET)fd, buffer, clipped(length), 0);

    return n < 0 ? rp_socket_error() : n;
}

int64_t rp_socket_send(rp_fd fd, const void *buffer, size_t length)
{
    int n = send((SOCKET)fd, buffer, clipped(length), 0);

    return n < 0 ? rp_socket_error() : n;
}

int64_t rp_socket_sendv(rp_fd fd, const struct iovec *vector, int count)
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
        return rp_socket_error();
    return sent;
}

int rp_socket_shutdown_write(rp_fd fd)
{
    return shutdown((SOCKET)fd, SD_SEND) != 0 ? rp_socket_error() : 0;
}

bool rp_socket_has_ended(rp_fd fd)
{
    (void)fd;
    return false;
}

/* Winsock says of no handle, too, that it is no socket. */
static int error_of(rp_fd fd)
{
    int error = rp_socket_error();
    DWORD flags;

    return error == -ENOTSOCK && (fd == -1 || !GetHandleInformation((HANDLE)fd, &flags)) ? -EBADF : error;
}

int rp_socket_name(rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return getsockname((SOCKET)fd, address, (socklen_t *)length) != 0 ? error_of(fd) : 0;
}

int rp_socket_peer(rp_fd fd, struct sockaddr *address, uint32_t *length)
{
    return getpeername((SOCKET)fd, address, (socklen_t *)length) != 0 ? error_of(fd) : 0;
}

int rp_socket_type(rp_fd fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &length) != 0 ? error_of(fd) : type;
}

int rp_socket_listens(rp_fd fd)
{
    int listens;
    socklen_t length = sizeof listens;

    if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &length) != 0)
        return error_of(fd);
    return listens != 0;
}

int rp_socket_set(rp_fd fd, int level, int option, int value)
{
    return setsockopt((SOCKET)fd, level, option, (const char *)&value, sizeof value) != 0 ? rp_socket_error() : 0;
}

int rp_socket_reuse_address(rp_fd fd)
{
    return rp_socket_set(fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
}

int rp_socket_reuse_port(rp_fd fd)
{
    return -ENOTSUP;
}
