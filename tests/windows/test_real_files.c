/*
 * test_real_files.c - what a real Windows alone shows of files and pipes: who holds up whom, and what can be cancelled.
 */
#include <stdio.h>

#include "base/socket.h"
/* After it: */
#include <winioctl.h>

#include "harness/support.h"

static double milliseconds_since(int64_t start)
{
    return (double)(rp_monotonic() - start) / 1e6;
}

/* One end for overlapped operations, and one for synchronous ones in both directions. */
static void make_pipe(HANDLE *overlapped, HANDLE *synchronous)
{
    static int number;
    wchar_t name[64];

    swprintf(name, 64, L"\\\\.\\pipe\\rp-real-%lu-%d", GetCurrentProcessId(), number++);
    *overlapped =
        CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    *synchronous = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(*overlapped != INVALID_HANDLE_VALUE && *synchronous != INVALID_HANDLE_VALUE);
}

/* Windows answers no question about the handle while a thread reads it, and does nothing else with it. */
TEST(a_busy_pipe_does_not_hold_up_the_loop)
{
    rp_proactor *port = open_port();
    HANDLE overlapped, synchronous;
    rp_op read, write;
    char byte;

    test_need_real_windows("Wine does several things at a time with a synchronous pipe");
    make_pipe(&overlapped, &synchronous);
    rp_op_read(&read, (rp_fd)synchronous, &byte, 1, -1, NULL, NULL);
    submit(port, &read);
    stays_quiet(port);
    int64_t start = rp_monotonic();
    rp_op_write(&write, (rp_fd)synchronous, "x", 1, -1, NULL, NULL);
    submit(port, &write); /* hangs if it asks */
    printf("# a write to a pipe that is being read began in %.1f ms\n", milliseconds_since(start));
    CHECK_INT(write_at(port, (rp_fd)overlapped, "y", 1, -1), ==, 1);
    CHECK_INT(finish(port, &read), ==, 1);
    CHECK_INT(finish(port, &write), ==, 1);
    CHECK_INT(read_at(port, (rp_fd)overlapped, &byte, 1, -1), ==, 1);
    CHECK_INT(byte, ==, 'x');
    CloseHandle(overlapped);
    CloseHandle(synchronous);
    rp_proactor_close(port);
}

/* A close waits for nobody, and a cancellation reaches a thread that blocks. */
TEST(what_blocks_is_interrupted)
{
    rp_proactor *port = open_port();
    HANDLE overlapped, synchronous;
    rp_op read, closing;
    int64_t start;
    char byte;

    make_pipe(&overlapped, &synchronous);
    rp_op_read(&read, (rp_fd)synchronous, &byte, 1, -1, NULL, NULL);
    submit(port, &read);
    stays_quiet(port);
    start = rp_monotonic();
    cancel_and_finish(port, &read);
    printf("# a blocked read was cancelled in %.1f ms\n", milliseconds_since(start));
    submit(port, &read);
    stays_quiet(port);
    start = rp_monotonic();
    rp_op_close(&closing, (rp_fd)synchronous, NULL, NULL);
    CHECK_INT(perform(port, &closing), ==, 0);
    CHECK_INT(finish(port, &read), ==, -EBADF);
    printf("# a pipe with a blocked read was closed in %.1f ms\n", milliseconds_since(start));
    CloseHandle(overlapped);
    rp_proactor_close(port);
}

TEST(a_read_from_a_console_can_be_cancelled)
{
    rp_proactor *port = open_port();
    char bytes[8];
    rp_op read;

    test_need_real_windows("there is no console");
    HANDLE console = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                 OPEN_EXISTING, 0, NULL);
    if (console == INVALID_HANDLE_VALUE) {
        printf("# no console (error %lu): run it in a console window\n", GetLastError());
    } else {
        rp_op_read(&read, (rp_fd)console, bytes, sizeof bytes, -1, NULL, NULL);
        submit(port, &read);
        stays_quiet(port);
        int64_t start = rp_monotonic();
        cancel_and_finish(port, &read);
        printf("# a read from the console was cancelled in %.1f ms\n", milliseconds_since(start));
        CloseHandle(console);
    }
    rp_proactor_close(port);
}

/* What Windows does by blocking is a thread's. */
TEST(writes_and_packed_files_do_not_hold_up_the_loop)
{
    enum { SIZE = 32 << 20 };
    rp_proactor *port = open_port();
    char *data = malloc(SIZE), *copy = malloc(SIZE);
    USHORT format = COMPRESSION_FORMAT_DEFAULT;
    DWORD length;
    rp_op op;

    test_need_real_windows("Wine packs no files");
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)(i >> 10);
    for (int packed = 0; packed < 2; packed++) {
        HANDLE file = CreateFileW(L"rp-real-file", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                                  FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
        OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};

        CHECK(file != INVALID_HANDLE_VALUE);
        if (packed &&
            !DeviceIoControl(file, FSCTL_SET_COMPRESSION, &format, sizeof format, NULL, 0, NULL, &overlapped) &&
            (GetLastError() != ERROR_IO_PENDING || !GetOverlappedResult(file, &overlapped, &length, TRUE)))
            printf("# this file system packs no files (error %lu)\n", GetLastError());
        CloseHandle(overlapped.hEvent);
        for (int reads = 0; reads < 2; reads++) {
            if (reads)
                rp_op_read(&op, (rp_fd)file, copy, SIZE, 0, NULL, NULL);
            else
                rp_op_write(&op, (rp_fd)file, data, SIZE, 0, NULL, NULL);
            int64_t start = rp_monotonic();
            submit(port, &op);
            printf("# %s 32 MiB of a%s file held up the loop for %.1f ms", reads ? "reading" : "writing",
                   packed ? " packed" : "", milliseconds_since(start));
            CHECK_INT(finish(port, &op), ==, SIZE);
            printf(" of %.1f\n", milliseconds_since(start));
        }
        CHECK(memcmp(data, copy, SIZE) == 0);
        rp_op_close(&op, (rp_fd)file, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 0);
    }
    free(data);
    free(copy);
    rp_proactor_close(port);
}

/* ---- a pipe that somebody else reads ---- */

typedef struct other {
    HANDLE file;
    DWORD bytes;
} other;

static DWORD WINAPI read_one(void *data)
{
    other *reader = data;
    char byte;

    return !ReadFile(reader->file, &byte, 1, &reader->bytes, NULL);
}

static DWORD WINAPI write_two_later(void *data)
{
    other *writer = data;

    Sleep(500); /* how long the other reader keeps the pipe: for the finding alone */
    return !WriteFile(writer->file, "ab", 2, &writer->bytes, NULL);
}

static void join(HANDLE thread)
{
    CHECK(thread != NULL);
    CHECK_INT(WaitForSingleObject(thread, INFINITE), ==, WAIT_OBJECT_0);
    CloseHandle(thread);
}

/* Windows answers no question about it meanwhile: how long does that hold up whoever begins to read, too? */
TEST(a_pipe_that_is_being_read_by_another_handle)
{
    HANDLE process = GetCurrentProcess(), reading;
    rp_proactor *port = open_port();
    other reader = {0}, writer = {0};
    char byte;
    rp_op op;

    CHECK(CreatePipe(&reading, &writer.file, NULL, 0));
    CHECK(DuplicateHandle(process, reading, process, &reader.file, 0, FALSE, DUPLICATE_SAME_ACCESS));
    HANDLE one = CreateThread(NULL, 0, read_one, &reader, 0, NULL);
    Sleep(100);
    HANDLE two = CreateThread(NULL, 0, write_two_later, &writer, 0, NULL);
    int64_t begun = rp_monotonic();
    rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    submit(port, &op);
    printf("# a read of a pipe that another handle reads, for 500 ms, began in %.1f ms\n",
           milliseconds_since(begun));
    CHECK_INT(finish(port, &op), ==, 1);
    join(one);
    join(two);
    CHECK_INT(reader.bytes, ==, 1);
    CHECK_INT(writer.bytes, ==, 2);
    CloseHandle(reader.file);
    CloseHandle(writer.file);
    CloseHandle(reading);
    rp_proactor_close(port);
}
