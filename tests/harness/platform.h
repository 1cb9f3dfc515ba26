/*
 * platform.h - what tests use of POSIX; on Windows, platform_windows.h makes it of what is there.
 */
#ifndef RP_TESTS_PLATFORM_H
#define RP_TESTS_PLATFORM_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"

#ifdef _WIN32
#include "harness/platform_windows.h"
#else
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define TEST_TMP "/tmp"
#define TEST_NULL "/dev/null"
#define TEST_EXE "/proc/self/exe"
#define TEST_PLAIN_BACKEND "epoll" /* that is always there, to be asked for by its name */
#endif

/* Whether Wine stands in for Windows, for the little that it does otherwise. */
bool test_under_wine(void);

/* Skips the test under Wine, which does otherwise: `what` says what it lacks. */
void test_need_real_windows(const char *what);

/* Skips the test where there are no Unix sockets. */
void test_need_unix_sockets(void);

/* What a signal does now. In the main thread. */
void (*test_disposition(int number))(int);

/* Whether a process has ended as SIGINT ends one by default. */
bool test_killed_by_interrupt(test_end end);

/* A function of the system's libraries, though the program may have its own of that name. */
void *test_next_function(const char *name);

#endif
