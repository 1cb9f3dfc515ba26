/* platform_windows.c - see platform_windows.h. */
#include "base/socket.h"
#include "proactor/kernel.h"
#include "proactor/winsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "base/error_windows.h"

#include "harness/harness.h"

/* The functions below call the system's own, not those that the names stand for in tests. */
#include "harness/platform.h"
#undef socket
#undef accept
#undef bind
#undef connect
#undef listen
#undef shutdown
#undef getsockname
#undef getpeername
#undef getsockopt
#undef setsockopt
#undef recv
#undef send
#undef recvfrom
#undef sendto

/* The result of a Winsock call as that of a POSIX one. */
static ssize_t socket_result(ssize_t result)
{
    if (result < 0)
        errno = -rp_winsock_error(-1);
    return result;
}

static int file_error(void)
{
    errno = -rp_error_last();
    return -1;
}

static bool is_socket(int fd)
{
    int type, length = sizeof type;

    return getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &length) == 0 ||
           WSAGetLastError() != WSAENOTSOCK;
}

static void set_nonblocking(SOCKET s, unsigned long on)
{
    ioctlsocket(s, FIONBIO, &on);
}

int test_socket(int family, int type, int protocol)
{
    SOCKET s;

    rp_kernel_start_names(&rp_system_kernel);
    s = WSASocketW(family, type & 0xff, protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (s == INVALID_SOCKET)
        return (int)socket_result(-1);
    if (type & SOCK_NONBLOCK)
        set_nonblocking(s, 1);
    return (int)s;
}

int test_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    SOCKET s = accept((SOCKET)fd, address, length);

    if (s == INVALID_SOCKET)
        return (int)socket_result(-1);
    SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
    set_nonblocking(s, (flags & SOCK_NONBLOCK) != 0);
    return (int)s;
}

int test_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)socket_result(bind((SOCKET)fd, address, length));
}

/* A non-blocking one says EINPROGRESS, as POSIX has it. */
int test_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int rc = connect((SOCKET)fd, address, length);

    if (rc < 0 && WSAGetLastError() == WSAEWOULDBLOCK) {
        errno = EINPROGRESS;
        return -1;
    }
    return (int)socket_result(rc);
}

int test_listen(int fd, int backlog)
{
    return (int)socket_result(listen((SOCKET)fd, backlog));
}

int test_shutdown(int fd, int how)
{
    return (int)socket_result(shutdown((SOCKET)fd, how));
}

int test_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)socket_result(getsockname((SOCKET)fd, address, length));
}

int test_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)socket_result(getpeername((SOCKET)fd, address, length));
}

int test_getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    return (int)socket_result(getsockopt((SOCKET)fd, level, option, value, length));
}

int test_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    return (int)socket_result(setsockopt((SOCKET)fd, level, option, value, length));
}

/* Whether a receive or a send may go ahead: it would not block, or may. */
static bool may_go(int fd, short events, int flags)
{
    WSAPOLLFD poll = {.fd = (SOCKET)fd, .events = events};

    if (!(flags & MSG_DONTWAIT) || WSAPoll(&poll, 1, 0) != 0)
        return true;
    errno = EAGAIN;
    return false;
}

static int system_flags(int flags)
{
    return flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t test_recv(int fd, void *buffer, size_t length, int flags)
{
    if (!may_go(fd, POLLRDNORM, flags))
        return -1;
    return socket_result(recv((SOCKET)fd, buffer, (int)length, system_flags(flags)));
}

ssize_t test_send(int fd, const void *buffer, size_t length, int flags)
{
    if (!may_go(fd, POLLWRNORM, flags))
        return -1;
    return socket_result(send((SOCKET)fd, buffer, (int)length, system_flags(flags)));
}

ssize_t test_recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address, socklen_t *size)
{
    if (!may_go(fd, POLLRDNORM, flags))
        return -1;
    return socket_result(recvfrom((SOCKET)fd, buffer, (int)length, system_flags(flags), address, size));
}

ssize_t test_sendto(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *address,
                    socklen_t size)
{
    return socket_result(sendto((SOCKET)fd, buffer, (int)length, system_flags(flags), address, size));
}

/* ---- pairs ---- */

enum { PAIR_BUFFER = 16384 };

static int bound_socket(int type, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = test_socket(AF_INET, type, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (test_bind(fd, (struct sockaddr *)address, length) < 0 ||
        test_getsockname(fd, (struct sockaddr *)address, &length) < 0)
        abort();
    return fd;
}

/* With small buffers, as a Unix pair has: set once it is connected, so that the first write alone can fill it. */
static void stream_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = bound_socket(SOCK_STREAM, &address), on = 1, room = PAIR_BUFFER;

    test_listen(listener, 1);
    fds[0] = test_socket(AF_INET, SOCK_STREAM, 0);
    if (test_connect(fds[0], (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    fds[1] = test_accept4(listener, NULL, NULL, 0);
    for (int i = 0; i < 2; i++) {
        test_setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        test_setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        test_setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    }
    test_close(listener);
}

static void datagram_pair(int fds[2])
{
    struct sockaddr_in addresses[2];

    for (int i = 0; i < 2; i++)
        fds[i] = bound_socket(SOCK_DGRAM, &addresses[i]);
    for (int i = 0; i < 2; i++)
        test_connect(fds[i], (struct sockaddr *)&addresses[1 - i], sizeof addresses[0]);
}

int test_socketpair(int family, int type, int protocol, int fds[2])
{
    (void)family;
    (void)protocol;
    if ((type & 0xff) == SOCK_DGRAM)
        datagram_pair(fds);
    else
        stream_pair(fds);
    for (int i = 0; i < 2; i++)
        set_nonblocking((SOCKET)fds[i], (type & SOCK_NONBLOCK) != 0);
    return 0;
}

int test_pipe2(int fds[2], int flags)
{
    test_socketpair(AF_UNIX, SOCK_STREAM | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0, fds);
    return 0;
}

/* ---- files ---- */

/* For overlapped operations, as those of the library are. */
int test_open(const char *path, int flags, ...)
{
    DWORD access = flags & O_RDWR ? GENERIC_READ | GENERIC_WRITE : flags & O_WRONLY ? GENERIC_WRITE : GENERIC_READ;
    DWORD creation = !(flags & O_CREAT)  ? OPEN_EXISTING
                     : (flags & O_EXCL)  ? CREATE_NEW
                     : (flags & O_TRUNC) ? CREATE_ALWAYS
                                         : OPEN_ALWAYS;
    HANDLE file = CreateFileA(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, creation,
                              FILE_FLAG_OVERLAPPED, NULL);

    return file == INVALID_HANDLE_VALUE ? file_error() : (int)(intptr_t)file;
}

const char *test_program(void)
{
    static char path[MAX_PATH];

    GetModuleFileNameA(NULL, path, sizeof path);
    return path;
}

int test_open_temporary(char *path)
{
    static unsigned count;

    snprintf(path + strlen(path) - 6, 7, "%04x%02x", (unsigned)GetCurrentProcessId() & 0xffff, count++ & 0xff);
    return test_open(path, O_RDWR | O_CREAT | O_EXCL);
}

int test_unlink(const char *path)
{
    return DeleteFileA(path) ? 0 : file_error();
}

int64_t test_lseek(int fd, int64_t offset, int whence)
{
    LARGE_INTEGER distance = {.QuadPart = offset}, position;

    return SetFilePointerEx((HANDLE)(intptr_t)fd, distance, &position, (DWORD)whence) ? position.QuadPart
                                                                                      : file_error();
}

int test_fsync(int fd)
{
    return FlushFileBuffers((HANDLE)(intptr_t)fd) ? 0 : file_error();
}

/* The low bit of the event keeps the completion from a port that the file may be associated with. */
static ssize_t file_result(int fd, BOOL done, OVERLAPPED *overlapped)
{
    HANDLE event = (HANDLE)((uintptr_t)overlapped->hEvent & ~(uintptr_t)1);
    DWORD n = 0;
    ssize_t result = -1;

    if (done || GetLastError() == ERROR_IO_PENDING)
        if (GetOverlappedResult((HANDLE)(intptr_t)fd, overlapped, &n, TRUE))
            result = n;
    if (result < 0 && GetLastError() == ERROR_HANDLE_EOF)
        result = 0;
    if (result < 0)
        file_error();
    CloseHandle(event);
    return result;
}

static OVERLAPPED overlapped_at(int64_t offset)
{
    return (OVERLAPPED){.Offset = (DWORD)offset,
                        .OffsetHigh = (DWORD)(offset >> 32),
                        .hEvent = (HANDLE)((uintptr_t)CreateEventA(NULL, TRUE, FALSE, NULL) | 1)};
}

ssize_t test_pread(int fd, void *buffer, size_t length, int64_t offset)
{
    OVERLAPPED overlapped = overlapped_at(offset);

    return file_result(fd, ReadFile((HANDLE)(intptr_t)fd, buffer, (DWORD)length, NULL, &overlapped), &overlapped);
}

ssize_t test_pwrite(int fd, const void *buffer, size_t length, int64_t offset)
{
    OVERLAPPED overlapped = overlapped_at(offset);

    return file_result(fd, WriteFile((HANDLE)(intptr_t)fd, buffer, (DWORD)length, NULL, &overlapped), &overlapped);
}

ssize_t test_read(int fd, void *buffer, size_t length)
{
    return is_socket(fd) ? test_recv(fd, buffer, length, 0) : test_pread(fd, buffer, length, 0);
}

ssize_t test_write(int fd, const void *buffer, size_t length)
{
    return is_socket(fd) ? test_send(fd, buffer, length, 0) : test_pwrite(fd, buffer, length, 0);
}

int test_close(int fd)
{
    if (is_socket(fd))
        return (int)socket_result(closesocket((SOCKET)fd));
    return CloseHandle((HANDLE)(intptr_t)fd) ? 0 : file_error();
}

int test_fcntl(int fd, int command, ...)
{
    va_list arguments;
    DWORD flags;

    va_start(arguments, command);
    if (command == F_SETFL)
        set_nonblocking((SOCKET)fd, (va_arg(arguments, int) & O_NONBLOCK) != 0);
    va_end(arguments);
    if (!GetHandleInformation((HANDLE)(intptr_t)fd, &flags)) {
        errno = EBADF;
        return -1;
    }
    if (command == F_GETFD)
        return flags & HANDLE_FLAG_INHERIT ? 0 : FD_CLOEXEC;
    return command == F_GETFL ? O_NONBLOCK : 0;
}

/* ---- the environment: of the C library, and of processes that are started ---- */

int test_setenv(const char *name, const char *value, int replace)
{
    (void)replace;
    _putenv_s(name, value);
    return SetEnvironmentVariableA(name, value) ? 0 : -1;
}

int test_unsetenv(const char *name)
{
    _putenv_s(name, "");
    SetEnvironmentVariableA(name, NULL);
    return 0;
}

/* ---- the rest ---- */

int test_rand_r(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return (int)(*seed >> 1);
}

/* It can only be asked for by setting another. */
void (*test_disposition(int number))(int)
{
    void (*present)(int) = signal(number, SIG_DFL);

    signal(number, present);
    return present;
}

bool test_killed_by_interrupt(test_end end)
{
    return end.name != NULL && strcmp(end.name, "STATUS_CONTROL_C_EXIT") == 0;
}

bool test_under_wine(void)
{
    return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

void test_need_real_windows(const char *what)
{
    if (test_under_wine())
        SKIP("not under Wine: %s", what);
}

void test_need_unix_sockets(void)
{
    int fd = test_socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0)
        SKIP("no Unix sockets here: %s", rp_strerror(-errno));
    test_close(fd);
}

void *test_next_function(const char *name)
{
#ifdef _UCRT
    const char *c_library = "ucrtbase";
#else
    const char *c_library = "msvcrt";
#endif
    FARPROC function = GetProcAddress(GetModuleHandleA("ws2_32"), name);

    if (!function)
        function = GetProcAddress(GetModuleHandleA(c_library), name);
    return (void *)(intptr_t)function;
}
