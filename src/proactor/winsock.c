/*
 * winsock.c - why a call of Winsock's has failed.
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
