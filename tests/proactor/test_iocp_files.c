/*
 * test_iocp_files.c - files and pipes, opened for operations of the port or not.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "proactor/iocp_port.h"
#include "harness/support.h"

/* ---- files ---- */

static int64_t open_at(rp_proactor *port, rp_fd directory, const char *path, int flags)
{
    rp_op op;

    rp_op_openat(&op, directory, path, flags, 0600, NULL, NULL);
    return perform(port, &op);
}

static void close_file(rp_proactor *port, rp_fd fd)
{
    rp_op op;

    rp_op_close(&op, fd, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(perform(port, &op), ==, -EBADF);
}

static void check_times(const struct statx *status)
{
    CHECK_INT(status->stx_mtime.tv_sec, >, 1600000000); /* after 2020 */
    CHECK_INT(status->stx_mtime.tv_nsec, <, 1000000000);
}

TEST(open_and_status)
{
    rp_proactor *port = open_port();
    struct statx status;
    char directory[64];
    rp_op op;

    snprintf(directory, sizeof directory, "rp-test-\xc3\xa4-%llx", (long long)rp_monotonic());
    wchar_t wide[64];
    MultiByteToWideChar(CP_UTF8, 0, directory, -1, wide, 64);
    CHECK(CreateDirectoryW(wide, NULL));
    rp_fd dir = (rp_fd)open_at(port, AT_FDCWD, directory, O_RDONLY);
    CHECK_INT(dir, >, 0);
    rp_fd fd = (rp_fd)open_at(port, dir, "new", O_RDWR | O_CREAT | O_EXCL);
    CHECK_INT(fd, >, 0);
    CHECK_INT(open_at(port, dir, "new", O_RDWR | O_CREAT | O_EXCL), ==, -EEXIST);
    CHECK_INT(open_at(port, dir, "other", O_RDONLY), ==, -ENOENT);
    CHECK_INT(open_at(port, dir, "", O_RDONLY), ==, -ENOENT);
    CHECK_INT(open_at(port, fd, "new", O_RDONLY), ==, -ENOTDIR);
    CHECK_INT(open_at(port, 99996, "new", O_RDONLY), ==, -EBADF);
    CHECK_INT(open_at(port, AT_FDCWD, directory, O_WRONLY), ==, -EISDIR);
    CHECK_INT(write_at(port, fd, "12345", 5, 0), ==, 5);

    rp_op_statx(&op, dir, "new", 0, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    CHECK_INT(status.stx_mode, ==, S_IFREG | 0666);
    CHECK_INT(status.stx_nlink, ==, 1);
    check_times(&status);
    rp_op_statx(&op, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    rp_op_statx(&op, dir, "../", 0, STATX_TYPE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_mode & S_IFMT, ==, S_IFDIR);
    rp_op_statx(&op, dir, "other", 0, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOENT);
    rp_op_statx(&op, -1, "", AT_EMPTY_PATH, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EBADF);

    char bytes[8];
    CHECK_INT(read_at(port, dir, bytes, 4, 0), ==, -EISDIR);
    close_file(port, fd);
    fd = (rp_fd)open_at(port, dir, "new", O_WRONLY | O_APPEND);
    CHECK_INT(write_at(port, fd, "67", 2, 0), ==, 2); /* at the end, wherever it is told to */
    CHECK_INT(read_at(port, fd, bytes, 4, 0), ==, -EBADF);
    close_file(port, fd);
    fd = (rp_fd)open_at(port, dir, "new", O_RDONLY);
    CHECK_INT(read_at(port, fd, bytes, 8, 0), ==, 7);
    CHECK(memcmp(bytes, "1234567", 7) == 0);
    CHECK_INT(write_at(port, fd, bytes, 4, 0), ==, -EBADF);
    close_file(port, fd);
    close_file(port, dir);
    wcscat(wide, L"\\new");
    CHECK(DeleteFileW(wide));
    wide[wcslen(wide) - 4] = L'\0';
    CHECK(RemoveDirectoryW(wide));
    rp_proactor_close(port);
}

static void try_file(rp_proactor *port, HANDLE file)
{
    rp_fd fd = (rp_fd)file;
    char bytes[16], one[4], two[8];
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}}, in[2] = {{one, 4}, {two, 8}};
    LARGE_INTEGER zero = {0}, at;
    rp_op op;

    CHECK_INT(read_at(port, fd, bytes, 16, 0), ==, 0);
    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    CHECK(SetFilePointerEx(file, zero, &at, FILE_CURRENT));
    CHECK_INT(at.QuadPart, ==, 0); /* an offset of one's own moves nothing */
    CHECK_INT(read_at(port, fd, bytes, 4, -1), ==, 4);
    CHECK_INT(write_at(port, fd, "X", 1, -1), ==, 1);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 5);
    CHECK(memcmp(bytes, "56789", 5) == 0);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 0);
    rp_op_writev(&op, fd, out, 3, 20, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 8);
    rp_op_readv(&op, fd, in, 2, 21, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 7);
    CHECK(memcmp(one, "bcde", 4) == 0 && memcmp(two, "fgh", 3) == 0);
    rp_op_fsync(&op, fd, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_poll(&op, fd, RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN | RP_POLL_OUT);
    rp_op_poll_multi(&op, fd, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    CHECK_INT(next_completion(port, &op).result, ==, RP_POLL_IN);
    stays_quiet(port);
    cancel_and_finish(port, &op);
}

/* Opened for overlapped operations, or not. */
TEST(files_of_both_kinds)
{
    rp_proactor *port = open_port();

    for (int i = 0; i < 2; i++) {
        HANDLE file = CreateFileW(L"rp-test-file", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                                  FILE_FLAG_DELETE_ON_CLOSE | (i ? FILE_FLAG_OVERLAPPED : 0), NULL);

        CHECK(file != INVALID_HANDLE_VALUE);
        try_file(port, file);
        CloseHandle(file);
    }
    rp_proactor_close(port);
}

/* ---- pipes ---- */

/* Both ends of a named pipe, opened for overlapped operations. */
static void named_pipe(HANDLE ends[2])
{
    static int number;
    wchar_t name[64];

    swprintf(name, 64, L"\\\\.\\pipe\\rp-test-%lu-%d", GetCurrentProcessId(), number++);
    ends[0] =
        CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(ends[0] != INVALID_HANDLE_VALUE);
    ends[1] = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(ends[1] != INVALID_HANDLE_VALUE);
}

static void try_pipe(rp_proactor *port, rp_fd reading, rp_fd writing)
{
    char bytes[8];
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{bytes, 4}, {bytes + 4, 4}};
    rp_op op;

    rp_op_read(&op, reading, bytes, 8, -1, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write_at(port, writing, "hello", 5, -1), ==, 5);
    CHECK_INT(finish(port, &op), ==, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    rp_op_writev(&op, writing, out, 2, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    rp_op_readv(&op, reading, in, 2, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    CHECK(memcmp(bytes, "abcde", 5) == 0);
    rp_op_fsync(&op, writing, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_poll(&op, reading, RP_POLL_IN, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOTSUP);

    rp_op_read(&op, reading, bytes, 8, -1, NULL,
               NULL); /* cancelled while it waits, before and after it has begun to */
    submit(port, &op);
    cancel_and_finish(port, &op);
    submit(port, &op);
    stays_quiet(port);
    cancel_and_finish(port, &op);
    CHECK_INT(write_at(port, writing, "x", 1, -1), ==, 1);
    CHECK_INT(read_at(port, reading, bytes, 8, -1), ==, 1); /* and nothing is lost */
}

static void try_pipe_end(rp_proactor *port, HANDLE reading, HANDLE writing)
{
    char byte;
    rp_op op;

    rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CloseHandle(writing);
    CHECK_INT(finish(port, &op), ==, 0);
    CHECK_INT(perform(port, &op), ==, 0);
    CloseHandle(reading);
}

TEST(named_pipes)
{
    rp_proactor *port = open_port();
    static char data[100000];
    HANDLE ends[2];
    rp_op op;

    named_pipe(ends);
    try_pipe(port, (rp_fd)ends[0], (rp_fd)ends[1]);
    try_pipe(port, (rp_fd)ends[1], (rp_fd)ends[0]);
    rp_op_write(&op, (rp_fd)ends[1], data, sizeof data, -1, NULL, NULL);
    submit(port, &op);
    for (size_t total = 0; total < sizeof data;) {
        static char some[30000];
        int64_t n = read_at(port, (rp_fd)ends[0], some, sizeof some, -1);
        CHECK_INT(n, >, 0);
        total += (size_t)n;
    }
    CHECK_INT(finish(port, &op), ==, sizeof data);
    try_pipe_end(port, ends[0], ends[1]);

    named_pipe(ends);
    CloseHandle(ends[0]);
    CHECK_INT(write_at(port, (rp_fd)ends[1], "x", 1, -1), ==, -EPIPE);
    CloseHandle(ends[1]);
    rp_proactor_close(port);
}

/* Anonymous pipes cannot be overlapped: threads of the pool read them, and are called back when it is enough. */
TEST(anonymous_pipes)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;

    CHECK(CreatePipe(&reading, &writing, NULL, 0));
    try_pipe(port, (rp_fd)reading, (rp_fd)writing);
    try_pipe_end(port, reading, writing);
    rp_proactor_close(port);
}

TEST(close_with_blocked_reads)
{
    for (int i = 0; i < 3; i++) {
        rp_proactor *port = open_port();
        HANDLE reading, writing;
        char byte;
        rp_op op;

        CHECK(CreatePipe(&reading, &writing, NULL, 0));
        rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
        submit(port, &op);
        if (i > 0)
            collect_once(port, rp_monotonic() + RP_MSEC(10) * i);
        rp_proactor_close(port);
        CloseHandle(reading);
        CloseHandle(writing);
    }
}
