/*
 * winsock.c - why a call of Winsock's has failed, and what it is about.
 */
#include "proactor/winsock.h"

#include <errno.h>

#include "base/error_windows.h"

int rp_winsock_error(rp_fd fd)
{
    int error = rp_error_from_windows((unsigned long)WSAGetLastError());
    DWORD flags;

    return error == -ENOTSOCK && (fd <= 0 || !GetHandleInformation((HANDLE)fd, &flags)) ? -EBADF : error;
}

/*
 * A datagram that has met a closed port is told to its sender as an error of a later call, by one of several numbers;
 * so is one that was too long under way. A connected socket has one peer, and its owner learns of the closed port by
 * -ECONNREFUSED, as on Linux. Otherwise the error is about one peer of many, and not about this call. (Windows can be
 * told to be silent, SIO_UDP_CONNRESET, but only about both, and for each socket.)
 */
int64_t rp_winsock_datagram_error(rp_fd fd, int64_t error)
{
    bool refused = error == -ECONNRESET || error == -ECONNREFUSED;
    struct sockaddr_storage peer;
    int type, length = sizeof type;

    if (!refused && error != -ENETRESET && error != -ENETUNREACH && error != -EHOSTUNREACH)
        return error;
    if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &length) != 0 || type != SOCK_DGRAM)
        return error;
    length = sizeof peer;
    return refused && getpeername((SOCKET)fd, (struct sockaddr *)&peer, &length) == 0 ? -ECONNREFUSED : 0;
}
