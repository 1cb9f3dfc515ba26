/*
 * platform_windows.h - the calls of POSIX that tests make, on Windows: sockets, files and pipes by one kind of number.
 *
 * A descriptor is a SOCKET or a HANDLE; both fit into an int. socketpair() and pipe() make pairs of connected TCP
 * sockets, since it is sockets that everything works on here. Errors are in errno, with -1 returned.
 */
#ifndef RP_TESTS_PLATFORM_WINDOWS_H
#define RP_TESTS_PLATFORM_WINDOWS_H

#include "proactor/kernel.h"
#include <direct.h>
#include <io.h>
#include <limits.h>
#include <windows.h>

#define TEST_TMP "."
#define TEST_NULL "NUL"
#define TEST_EXE test_program()
#define TEST_PLAIN_BACKEND "iocp"

#define IOV_MAX 1024

typedef unsigned short sa_family_t;

enum {
    SOCK_CLOEXEC = 0x1000000,
    SOCK_NONBLOCK = 0x2000000,
    O_CLOEXEC = 0x1000000,
    O_NONBLOCK = 0x2000000,
    FD_CLOEXEC = 1,
    F_GETFD = 1,
    F_GETFL = 3,
    F_SETFL = 4,
};

int test_socket(int family, int type, int protocol);
int test_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int test_bind(int fd, const struct sockaddr *address, socklen_t length);
int test_connect(int fd, const struct sockaddr *address, socklen_t length);
int test_listen(int fd, int backlog);
int test_shutdown(int fd, int how);
int test_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int test_getpeername(int fd, struct sockaddr *address, socklen_t *length);
int test_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int test_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
ssize_t test_recv(int fd, void *buffer, size_t length, int flags);
ssize_t test_send(int fd, const void *buffer, size_t length, int flags);
ssize_t test_recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address, socklen_t *size);
ssize_t test_sendto(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *address,
                    socklen_t size);
int test_socketpair(int family, int type, int protocol, int fds[2]);
int test_pipe2(int fds[2], int flags);

int test_open(const char *path, int flags, ...);
ssize_t test_read(int fd, void *buffer, size_t length);
ssize_t test_write(int fd, const void *buffer, size_t length);
int test_close(int fd);

/* F_SETFL sets O_NONBLOCK of sockets. Whether that is set cannot be asked for: F_GETFL says that it is. */
int test_fcntl(int fd, int command, ...);

/* The program's own file. */
const char *test_program(void);

int test_open_temporary(char *path);
int test_unlink(const char *path);
ssize_t test_pread(int fd, void *buffer, size_t length, int64_t offset);
ssize_t test_pwrite(int fd, const void *buffer, size_t length, int64_t offset);
int test_fsync(int fd);
int64_t test_lseek(int fd, int64_t offset, int whence);
int test_rand_r(unsigned *seed);

int test_setenv(const char *name, const char *value, int replace);
int test_unsetenv(const char *name);

#define socket(family, type, protocol) test_socket(family, type, protocol)
#define accept4(fd, address, length, flags) test_accept4(fd, address, (socklen_t *)(length), flags)
#define accept(fd, address, length) test_accept4(fd, address, length, 0)
#define bind(fd, address, length) test_bind(fd, address, length)
#define connect(fd, address, length) test_connect(fd, address, length)
#define listen(fd, backlog) test_listen(fd, backlog)
#define shutdown(fd, how) test_shutdown(fd, how)
#define getsockname(fd, address, length) test_getsockname(fd, address, (socklen_t *)(length))
#define getpeername(fd, address, length) test_getpeername(fd, address, (socklen_t *)(length))
#define getsockopt(fd, level, option, value, length) test_getsockopt(fd, level, option, value, length)
#define setsockopt(fd, level, option, value, length) test_setsockopt(fd, level, option, value, length)
#define recv(fd, buffer, length, flags) test_recv(fd, buffer, length, flags)
#define send(fd, buffer, length, flags) test_send(fd, buffer, length, flags)
#define recvfrom(fd, buffer, length, flags, address, size) test_recvfrom(fd, buffer, length, flags, address, size)
#define sendto(fd, buffer, length, flags, address, size) test_sendto(fd, buffer, length, flags, address, size)
#define socketpair(family, type, protocol, fds) test_socketpair(family, type, protocol, fds)
#define pipe(fds) test_pipe2(fds, 0)
#define pipe2(fds, flags) test_pipe2(fds, flags)
#define open(...) test_open(__VA_ARGS__)
#define read(fd, buffer, length) test_read(fd, buffer, length)
#define write(fd, buffer, length) test_write(fd, buffer, length)
#define close(fd) test_close(fd)
#define fcntl(...) test_fcntl(__VA_ARGS__)
#define mkstemp(path) test_open_temporary(path)
#define unlink(path) test_unlink(path)
#define pread(fd, buffer, length, offset) test_pread(fd, buffer, length, offset)
#define pwrite(fd, buffer, length, offset) test_pwrite(fd, buffer, length, offset)
#undef lseek
#define lseek(fd, offset, whence) test_lseek(fd, offset, whence)
#define fsync(fd) test_fsync(fd)
#define rand_r(seed) test_rand_r(seed)
#define eof test_eof /* a function in <io.h>, a name in tests */
#define setenv(name, value, replace) test_setenv(name, value, replace)
#define unsetenv(name) test_unsetenv(name)

#endif
