/*
 * test_iocp_pipe.c - an instance of a named pipe that waits for its client, by an operation.
 */
#include <stdio.h>

#include "harness/support.h"
#include "proactor/iocp_port.h"

static wchar_t name[64];

static rp_fd new_instance(void)
{
    static int number;

    swprintf(name, 64, L"\\\\.\\pipe\\rp-instance-%lu-%d", GetCurrentProcessId(), number++);
    HANDLE pipe =
        CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(pipe != INVALID_HANDLE_VALUE);
    return (rp_fd)pipe;
}

static HANDLE connect_client(void)
{
    HANDLE client =
        CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);

    CHECK(client != INVALID_HANDLE_VALUE);
    return client;
}

static void wait_for_client(rp_proactor *port, rp_op *op, rp_fd fd)
{
    rp_op_connect(op, fd, NULL, 0, NULL, NULL);
    submit(port, op);
}

TEST(waits_for_its_client)
{
    rp_proactor *port = open_port();
    rp_fd fd = new_instance();
    char byte;
    rp_op op;

    wait_for_client(port, &op, fd);
    stays_quiet(port);
    HANDLE client = connect_client();
    CHECK_INT(finish(port, &op), ==, 0);
    CHECK_INT(write_at(port, (rp_fd)client, "x", 1, -1), ==, 1);
    CHECK_INT(read_at(port, fd, &byte, 1, -1), ==, 1);
    CloseHandle(client);
    CloseHandle((HANDLE)fd);
    rp_proactor_close(port);
}

TEST(its_client_may_have_come_before)
{
    rp_proactor *port = open_port();
    rp_fd fd = new_instance();
    HANDLE client = connect_client();
    rp_op op;

    wait_for_client(port, &op, fd);
    CHECK_INT(finish(port, &op), ==, 0);
    CloseHandle(client);
    CloseHandle((HANDLE)fd);
    rp_proactor_close(port);
}

/* And have gone again: that one is not told of. */
TEST(a_client_that_has_gone_does_not_count)
{
    rp_proactor *port = open_port();
    rp_fd fd = new_instance();
    rp_op op;

    CloseHandle(connect_client());
    wait_for_client(port, &op, fd);
    stays_quiet(port);
    HANDLE client = connect_client();
    CHECK_INT(finish(port, &op), ==, 0);
    CloseHandle(client);
    CloseHandle((HANDLE)fd);
    rp_proactor_close(port);
}

TEST(is_cancelled_and_waits_again)
{
    rp_proactor *port = open_port();
    rp_fd fd = new_instance();
    rp_op op;

    for (int i = 0; i < 3; i++) {
        wait_for_client(port, &op, fd);
        stays_quiet(port);
        cancel_and_finish(port, &op);
    }
    wait_for_client(port, &op, fd);
    HANDLE client = connect_client();
    CHECK_INT(finish(port, &op), ==, 0);
    CloseHandle(client);
    CloseHandle((HANDLE)fd);
    wait_for_client(port, &op, fd = new_instance());
    rp_proactor_close(port); /* with one that waits */
    CloseHandle((HANDLE)fd);
}

TEST(what_is_no_instance)
{
    rp_proactor *port = open_port();
    rp_fd fd = new_instance();
    HANDLE client = connect_client(), null = CreateFileW(L"NUL", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    int socket_fd = tcp_socket();
    rp_op op;

    wait_for_client(port, &op, (rp_fd)client);
    CHECK_INT(finish(port, &op), ==, -EINVAL);
    wait_for_client(port, &op, (rp_fd)null);
    CHECK_INT(finish(port, &op), ==, -ENOTSOCK);
    wait_for_client(port, &op, socket_fd);
    CHECK_INT(finish(port, &op), ==, -EFAULT);
    wait_for_client(port, &op, -1);
    CHECK_INT(finish(port, &op), ==, -EBADF);
    close(socket_fd);
    CloseHandle(null);
    CloseHandle(client);
    CloseHandle((HANDLE)fd);
    rp_proactor_close(port);
}
