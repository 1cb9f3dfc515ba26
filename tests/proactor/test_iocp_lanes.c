/*
 * test_iocp_lanes.c - what is in flight on one pipe or file: its order, its cancellation, and its end when the handle
 * is closed.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "proactor/iocp_port.h"
#include "harness/support.h"

enum { COUNT = 8 };

/* A pipe whose ends are for synchronous operations, or for overlapped ones. */
static void make_pipe(bool overlapped, HANDLE *reading, HANDLE *writing)
{
    static int number;
    wchar_t name[64];

    if (!overlapped) {
        CHECK(CreatePipe(reading, writing, NULL, 4096));
        return;
    }
    swprintf(name, 64, L"\\\\.\\pipe\\rp-lanes-%lu-%d", GetCurrentProcessId(), number++);
    *reading =
        CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(*reading != INVALID_HANDLE_VALUE);
    *writing = CreateFileW(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(*writing != INVALID_HANDLE_VALUE);
}

static void read_whole(rp_proactor *port, HANDLE reading, char *bytes, size_t length)
{
    for (size_t total = 0; total < length;) {
        int64_t n = read_at(port, (rp_fd)reading, bytes + total, length - total, -1);

        CHECK_INT(n, >, 0);
        total += (size_t)n;
    }
}

/* ---- order ---- */

/* Each of them has two buffers, which are written one by one. */
TEST(writes_to_a_pipe_are_in_order)
{
    enum { ROUNDS = 100, LENGTH = 6 };
    rp_proactor *port = open_port();
    char data[COUNT][LENGTH + 1], bytes[COUNT * LENGTH];
    struct iovec vectors[COUNT][2];
    rp_op ops[COUNT];

    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < COUNT; i++) {
                snprintf(data[i], sizeof data[i], "%03d%03d", round, i);
                vectors[i][0] = (struct iovec){data[i], 3};
                vectors[i][1] = (struct iovec){data[i] + 3, 3};
                rp_op_writev(&ops[i], (rp_fd)writing, vectors[i], 2, -1, NULL, NULL);
                submit(port, &ops[i]);
            }
            for (int i = 0; i < COUNT; i++)
                CHECK_INT(finish(port, &ops[i]), ==, LENGTH);
            read_whole(port, reading, bytes, sizeof bytes);
            for (int i = 0; i < COUNT; i++)
                CHECK(memcmp(bytes + i * LENGTH, data[i], LENGTH) == 0);
        }
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

TEST(reads_of_a_pipe_are_in_order)
{
    enum { ROUNDS = 100, LENGTH = 6 };
    rp_proactor *port = open_port();
    char data[COUNT * LENGTH], bytes[COUNT * LENGTH];
    struct iovec vectors[COUNT][2];
    rp_op ops[COUNT];

    for (int i = 0; i < COUNT * LENGTH; i++)
        data[i] = (char)i;
    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        for (int round = 0; round < ROUNDS; round++) {
            memset(bytes, -1, sizeof bytes);
            for (int i = 0; i < COUNT; i++) {
                vectors[i][0] = (struct iovec){bytes + i * LENGTH, 3};
                vectors[i][1] = (struct iovec){bytes + i * LENGTH + 3, 3};
                rp_op_readv(&ops[i], (rp_fd)reading, vectors[i], 2, -1, NULL, NULL);
                submit(port, &ops[i]);
            }
            if (round % 2) /* they wait, or find all of it there */
                collect_once(port, 0);
            CHECK_INT(write_at(port, (rp_fd)writing, data, sizeof data, -1), ==, sizeof data);
            for (int i = 0; i < COUNT; i++)
                CHECK_INT(finish(port, &ops[i]), ==, LENGTH);
            CHECK(memcmp(bytes, data, sizeof data) == 0);
        }
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

/* A vector that has something does not wait for more, even if a buffer is full to the brim. */
TEST(less_than_a_vector_has_room_for)
{
    rp_proactor *port = open_port();
    char bytes[6];
    struct iovec vector[2] = {{bytes, 3}, {bytes + 3, 3}};
    rp_op op;

    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        CHECK_INT(write_at(port, (rp_fd)writing, "abc", 3, -1), ==, 3);
        rp_op_readv(&op, (rp_fd)reading, vector, 2, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 3);
        CHECK(memcmp(bytes, "abc", 3) == 0);
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

/* A message that is longer than a buffer goes on in the next one, and in the next read: nothing of it is lost. */
TEST(messages_longer_than_buffers)
{
    rp_proactor *port = open_port();
    char bytes[6];
    struct iovec vector[2] = {{bytes, 3}, {bytes + 3, 3}};
    wchar_t name[64];
    rp_op op;

    swprintf(name, 64, L"\\\\.\\pipe\\rp-messages-%lu", GetCurrentProcessId());
    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading = CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | (overlapped ? FILE_FLAG_OVERLAPPED : 0),
                                          PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 1, 4096, 4096, 0, NULL);
        HANDLE writing = CreateFileW(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);

        CHECK(reading != INVALID_HANDLE_VALUE && writing != INVALID_HANDLE_VALUE);
        CHECK_INT(write_at(port, (rp_fd)writing, "0123456789", 10, -1), ==, 10);
        CHECK_INT(write_at(port, (rp_fd)writing, "next", 4, -1), ==, 4);
        rp_op_readv(&op, (rp_fd)reading, vector, 2, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 6);
        CHECK(memcmp(bytes, "012345", 6) == 0);
        CHECK_INT(perform(port, &op), ==, 4);
        CHECK(memcmp(bytes, "6789", 4) == 0);
        CHECK_INT(read_at(port, (rp_fd)reading, bytes, 6, -1), ==, 4);
        CHECK(memcmp(bytes, "next", 4) == 0);
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

/* What takes out does not wait for what puts in, nor the other way round. */
TEST(each_direction_has_a_lane)
{
    rp_proactor *port = open_port();
    static char much[100000], some[100000];
    rp_op write, read;
    HANDLE ends[2];
    wchar_t name[64];
    char byte;

    swprintf(name, 64, L"\\\\.\\pipe\\rp-lanes-%lu", GetCurrentProcessId());
    ends[0] =
        CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(ends[0] != INVALID_HANDLE_VALUE);
    ends[1] = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(ends[1] != INVALID_HANDLE_VALUE);
    rp_op_read(&read, (rp_fd)ends[0], &byte, 1, -1, NULL, NULL);
    submit(port, &read);
    CHECK_INT(write_at(port, (rp_fd)ends[0], "x", 1, -1), ==, 1);
    CHECK_INT(read_at(port, (rp_fd)ends[1], some, 1, -1), ==, 1);
    rp_op_write(&write, (rp_fd)ends[0], much, sizeof much, -1, NULL, NULL);
    submit(port, &write); /* does not find room */
    CHECK_INT(write_at(port, (rp_fd)ends[1], "y", 1, -1), ==, 1);
    CHECK_INT(finish(port, &read), ==, 1);
    read_whole(port, ends[1], some, sizeof some);
    CHECK_INT(finish(port, &write), ==, sizeof much);
    CloseHandle(ends[0]);
    CloseHandle(ends[1]);
    rp_proactor_close(port);
}

/* The end of a device is told once: Wine has both an error and a packet of it. */
TEST(the_end_of_a_device)
{
    rp_proactor *port = open_port();
    HANDLE device =
        CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, 7, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    char byte;

    CHECK(device != INVALID_HANDLE_VALUE);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write_at(port, (rp_fd)device, "x", 1, -1), ==, 1);
        CHECK_INT(read_at(port, (rp_fd)device, &byte, 1, -1), ==, 0);
        stays_quiet(port);
    }
    CloseHandle(device);
    rp_proactor_close(port);
}

/* ---- cancelling ---- */

/* What waits for its turn ends at once, while the first one blocks; the others get what comes, in order. */
TEST(cancelled_in_a_lane)
{
    rp_proactor *port = open_port();
    char bytes[3];
    rp_op ops[3];

    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        for (int i = 0; i < 3; i++) {
            rp_op_read(&ops[i], (rp_fd)reading, &bytes[i], 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        stays_quiet(port);
        cancel_and_finish(port, &ops[1]);
        CHECK_INT(write_at(port, (rp_fd)writing, "ab", 2, -1), ==, 2);
        CHECK_INT(finish(port, &ops[0]), ==, 1);
        CHECK_INT(finish(port, &ops[2]), ==, 1);
        CHECK(bytes[0] == 'a' && bytes[2] == 'b');
        for (int i = 0; i < 3; i++)
            submit(port, &ops[i]);
        stays_quiet(port);
        cancel_and_finish(port, &ops[0]); /* its successor goes on */
        CHECK_INT(write_at(port, (rp_fd)writing, "cd", 2, -1), ==, 2);
        CHECK_INT(finish(port, &ops[1]), ==, 1);
        CHECK_INT(finish(port, &ops[2]), ==, 1);
        CHECK(bytes[1] == 'c' && bytes[2] == 'd');
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

typedef WINAPI BOOL cancel_synchronous(HANDLE thread);

static int cancels_too_early;

static WINAPI BOOL cancel_too_early(HANDLE thread)
{
    cancel_synchronous *real =
        (cancel_synchronous *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "CancelSynchronousIo");

    return cancels_too_early-- > 0 || real(thread);
}

cancel_synchronous *__imp_CancelSynchronousIo = cancel_too_early; /* the pointer that it is called through */

typedef WINAPI BOOL read_file(HANDLE file, void *bytes, DWORD length, DWORD *done, OVERLAPPED *overlapped);

static atomic_int reads_begun;

static WINAPI BOOL count_read(HANDLE file, void *bytes, DWORD length, DWORD *done, OVERLAPPED *overlapped)
{
    read_file *real = (read_file *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "ReadFile");

    atomic_fetch_add(&reads_begun, 1);
    return real(file, bytes, length, done, overlapped);
}

read_file *__imp_ReadFile = count_read;

/* The thread had not begun to block when its end was asked for: it is asked for again, however busy the loop is. */
TEST(cancelled_while_the_loop_is_busy)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;
    rp_op read, busy;
    char byte;
    int fds[2];

    nonblocking_pair(fds);
    make_pipe(false, &reading, &writing);
    rp_op_poll_multi(&busy, fds[0], RP_POLL_OUT, NULL, NULL); /* completes in each turn */
    submit(port, &busy);
    rp_op_read(&read, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    submit(port, &read);
    while (atomic_load(&reads_begun) == 0) /* until then it would only be taken out of the pool's queue */
        CHECK_INT(next_completion(port, &busy).result, ==, RP_POLL_OUT);
    cancels_too_early = 3;
    rp_proactor_cancel(port, &read);
    rp_completion completion;
    while (!take_pending(&read, &completion))
        CHECK_INT(next_completion(port, &busy).flags, ==, RP_OP_MORE);
    CHECK_INT(completion.result, ==, -ECANCELED);
    rp_proactor_cancel(port, &busy);
    rp_proactor_close(port);
    CHECK_INT(cancels_too_early, <, 0);
    CloseHandle(reading);
    CloseHandle(writing);
    close_pair(fds);
}

/* The same while nothing else happens that would end a wait. */
TEST(cancelled_while_the_loop_sleeps)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;
    rp_op read;
    char byte;

    make_pipe(false, &reading, &writing);
    rp_op_read(&read, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    submit(port, &read);
    while (atomic_load(&reads_begun) == 0)
        Sleep(1);
    cancels_too_early = 3;
    cancel_and_finish(port, &read);
    CHECK_INT(cancels_too_early, <, 0);
    CloseHandle(reading);
    CloseHandle(writing);
    rp_proactor_close(port);
}

/* What has been done of a vector before it was cancelled is its result. The rest is for others. */
TEST(cancelled_between_two_buffers)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;
    char bytes[6];
    struct iovec vector[2] = {{bytes, 3}, {bytes + 3, 3}};
    rp_op op;

    make_pipe(true, &reading, &writing);
    CHECK_INT(write_at(port, (rp_fd)writing, "abcdef", 6, -1), ==, 6);
    rp_op_readv(&op, (rp_fd)reading, vector, 2, -1, NULL, NULL);
    submit(port, &op);
    rp_proactor_cancel(port, &op); /* the packet of the first one is in the port */
    CHECK_INT(finish(port, &op), ==, 3);
    CHECK_INT(read_at(port, (rp_fd)reading, bytes + 3, 3, -1), ==, 3);
    CHECK(memcmp(bytes, "abcdef", 6) == 0);
    CloseHandle(reading);
    CloseHandle(writing);
    rp_proactor_close(port);
}

/* What the pipe has had room for is written; what did not fit ends with the cancellation. */
TEST(cancelled_when_a_pipe_is_full)
{
    enum { PIECE = 1500, FIT = 2 * PIECE }; /* of the 4096 bytes that a pipe takes */
    rp_proactor *port = open_port();
    static char data[3 * PIECE], bytes[3 * PIECE];
    struct iovec vector[3];
    DWORD available = 0;
    rp_op op;

    for (int i = 0; i < 3 * PIECE; i++)
        data[i] = (char)(i * 7 + i / 256);
    for (int i = 0; i < 3; i++)
        vector[i] = (struct iovec){data + i * PIECE, PIECE};
    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        rp_op_writev(&op, (rp_fd)writing, vector, 3, -1, NULL, NULL);
        submit(port, &op);
        for (available = 0; available < FIT; Sleep(1)) {
            collect_once(port, 0);
            CHECK(PeekNamedPipe(reading, NULL, 0, NULL, &available, NULL));
        }
        rp_proactor_cancel(port, &op);
        CHECK_INT(finish(port, &op), ==, FIT);
        read_whole(port, reading, bytes, FIT);
        CHECK(memcmp(bytes, data, FIT) == 0);
        CHECK(PeekNamedPipe(reading, NULL, 0, NULL, &available, NULL));
        CHECK_INT(available, ==, 0);
        CloseHandle(reading);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

/* Only the thread that blocks in it is interrupted. */
TEST(cancelling_leaves_other_threads_alone)
{
    enum { PIPES = 3 };
    rp_proactor *port = open_port();
    HANDLE reading[PIPES], writing[PIPES];
    char bytes[PIPES];
    rp_op ops[PIPES];

    for (int i = 0; i < PIPES; i++) {
        make_pipe(false, &reading[i], &writing[i]);
        rp_op_read(&ops[i], (rp_fd)reading[i], &bytes[i], 1, -1, NULL, NULL);
        submit(port, &ops[i]);
    }
    stays_quiet(port);
    cancel_and_finish(port, &ops[1]);
    stays_quiet(port);
    for (int i = 0; i < PIPES; i += 2) {
        CHECK_INT(write_at(port, (rp_fd)writing[i], "x", 1, -1), ==, 1);
        CHECK_INT(finish(port, &ops[i]), ==, 1);
    }
    for (int i = 0; i < PIPES; i++) {
        CloseHandle(reading[i]);
        CloseHandle(writing[i]);
    }
    rp_proactor_close(port);
}

/* Whoever has waited for its turn fails as soon as that comes. */
TEST(the_far_end_goes_away)
{
    rp_proactor *port = open_port();
    static char much[100000];
    char bytes[COUNT];
    rp_op ops[COUNT];

    for (int overlapped = 0; overlapped < 2; overlapped++)
        for (int writes = 0; writes < 2; writes++) {
            HANDLE reading, writing;

            make_pipe(overlapped, &reading, &writing);
            for (int i = 0; i < COUNT; i++) {
                if (writes)
                    rp_op_write(&ops[i], (rp_fd)writing, much, sizeof much, -1, NULL, NULL);
                else
                    rp_op_read(&ops[i], (rp_fd)reading, &bytes[i], 1, -1, NULL, NULL);
                submit(port, &ops[i]);
            }
            stays_quiet(port);
            CloseHandle(writes ? reading : writing);
            for (int i = 0; i < COUNT; i++)
                CHECK_INT(finish(port, &ops[i]), ==, writes ? -EPIPE : 0);
            CloseHandle(writes ? writing : reading);
        }
    rp_proactor_close(port);
}

/* ---- many that block ---- */

/* However many wait for what may never come, others go on: what is written to the last of the pipes, and a close. */
TEST(many_block_and_others_go_on)
{
    enum { PIPES = 80 };
    rp_proactor *port = open_port();
    HANDLE reading[PIPES], writing[PIPES];
    static rp_op reads[PIPES];
    char bytes[PIPES];
    rp_op closing;

    for (int i = 0; i < PIPES; i++) {
        make_pipe(false, &reading[i], &writing[i]);
        rp_op_read(&reads[i], (rp_fd)reading[i], &bytes[i], 1, -1, NULL, NULL);
        submit(port, &reads[i]);
    }
    for (int i = PIPES - 1; i >= 0; i--) {
        CHECK_INT(write_at(port, (rp_fd)writing[i], "x", 1, -1), ==, 1);
        CHECK_INT(finish(port, &reads[i]), ==, 1);
        rp_op_close(&closing, (rp_fd)writing[i], NULL, NULL);
        CHECK_INT(perform(port, &closing), ==, 0);
        CloseHandle(reading[i]);
    }
    rp_proactor_close(port);
}

/* ---- closing ---- */

/* Whatever is under way, or waits, has lost its descriptor; and so has what comes later. */
TEST(closed_with_a_lane)
{
    rp_proactor *port = open_port();
    char bytes[3];
    rp_op ops[3], closing, late;

    for (int overlapped = 0; overlapped < 2; overlapped++) {
        HANDLE reading, writing;

        make_pipe(overlapped, &reading, &writing);
        for (int i = 0; i < 3; i++) {
            rp_op_read(&ops[i], (rp_fd)reading, &bytes[i], 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        stays_quiet(port);
        rp_op_close(&closing, (rp_fd)reading, NULL, NULL);
        submit(port, &closing);
        rp_op_read(&late, (rp_fd)reading, &bytes[0], 1, -1, NULL, NULL);
        submit(port, &late);
        CHECK_INT(finish(port, &late), ==, -EBADF);
        for (int i = 0; i < 3; i++)
            CHECK_INT(finish(port, &ops[i]), ==, -EBADF);
        CHECK_INT(finish(port, &closing), ==, 0);
        CHECK_INT(perform(port, &closing), ==, -EBADF);
        CHECK_INT(write_at(port, (rp_fd)writing, "x", 1, -1), ==, -EPIPE);
        CloseHandle(writing);
    }
    rp_proactor_close(port);
}

/* Reads at places of their own are waited for as well: until their packets are there, the handle is in use. */
TEST(closed_behind_reads_at_offsets)
{
    rp_proactor *port = open_port();
    HANDLE file = CreateFileW(L"rp-closed", GENERIC_READ | GENERIC_WRITE | DELETE, 7, NULL, CREATE_NEW,
                              FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    rp_op read, closing;
    DWORD flags;
    char byte;

    CHECK(file != INVALID_HANDLE_VALUE);
    CHECK_INT(write_at(port, (rp_fd)file, "x", 1, 0), ==, 1);
    rp_op_read(&read, (rp_fd)file, &byte, 1, 0, NULL, NULL);
    submit(port, &read);
    rp_op_close(&closing, (rp_fd)file, NULL, NULL);
    submit(port, &closing);
    for (int i = 0; i < 20; i++) {
        CHECK(GetHandleInformation(file, &flags));
        Sleep(1);
    }
    int64_t result = finish(port, &read);
    CHECK(result == 1 || result == -EBADF);
    CHECK_INT(finish(port, &closing), ==, 0);
    CHECK(!GetHandleInformation(file, &flags));
    rp_proactor_close(port);
}

/* Without a thread to do it, it is done all the same. */
TEST(closed_without_memory)
{
    bool failed = true;

    for (unsigned nth = 1; failed; nth++) {
        rp_proactor *port = open_port();
        HANDLE reading, writing;
        rp_op closing;
        DWORD flags;

        make_pipe(false, &reading, &writing);
        rp_op_close(&closing, (rp_fd)writing, NULL, NULL);
        test_fail_allocation(nth);
        CHECK_INT(perform(port, &closing), ==, 0);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK(!GetHandleInformation(writing, &flags));
        CloseHandle(reading);
        rp_proactor_close(port);
    }
}

/* The end of the proactor does not take a close back. */
TEST(closed_all_the_same_when_the_proactor_ends)
{
    HANDLE reading, writing;
    char bytes[3];
    DWORD flags;
    rp_op ops[3], closing;

    for (int overlapped = 0; overlapped < 2; overlapped++) {
        rp_proactor *port = open_port();

        make_pipe(overlapped, &reading, &writing);
        for (int i = 0; i < 3; i++) {
            rp_op_read(&ops[i], (rp_fd)reading, &bytes[i], 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_op_close(&closing, (rp_fd)reading, NULL, NULL);
        submit(port, &closing);
        rp_proactor_cancel(port, &closing);
        rp_proactor_close(port);
        CHECK(!GetHandleInformation(reading, &flags));
        CloseHandle(writing);
    }
}

/* ---- addresses ---- */

/* Where there is no memory nothing is moved, and the program is told so. */
TEST(bad_addresses)
{
    rp_proactor *port = open_port();

    for (int kind = 0; kind < 2; kind++) {
        HANDLE file = CreateFileW(L"rp-addresses", GENERIC_READ | GENERIC_WRITE | DELETE, 7, NULL, CREATE_NEW,
                                  FILE_FLAG_DELETE_ON_CLOSE | (kind ? FILE_FLAG_OVERLAPPED : 0), NULL);

        CHECK(file != INVALID_HANDLE_VALUE);
        CHECK_INT(write_at(port, (rp_fd)file, "abcd", 4, 0), ==, 4);
        for (int64_t offset = -1; offset < 1; offset++) {
            CHECK_INT(write_at(port, (rp_fd)file, NULL, 4, offset), ==, -EFAULT);
            CHECK_INT(read_at(port, (rp_fd)file, NULL, 4, offset), ==, -EFAULT);
        }
        CloseHandle(file);
    }
    rp_proactor_close(port);
}

/* ---- flushing ---- */

/* What may only be read is flushed like anything else: a file, one that nobody may write to, a directory. */
TEST(what_may_only_be_read_is_flushed)
{
    rp_proactor *port = open_port();
    rp_op op;

    for (int kind = 0; kind < 4; kind++) {
        DWORD flags = kind & 1 ? FILE_FLAG_OVERLAPPED : 0;
        HANDLE made = CreateFileW(L"rp-flush", GENERIC_WRITE, 7, NULL, CREATE_NEW,
                                  kind & 2 ? FILE_ATTRIBUTE_READONLY : FILE_ATTRIBUTE_NORMAL, NULL);
        HANDLE file = CreateFileW(L"rp-flush", GENERIC_READ, 7, NULL, OPEN_EXISTING, flags, NULL);

        CHECK(made != INVALID_HANDLE_VALUE && file != INVALID_HANDLE_VALUE);
        rp_op_fsync(&op, (rp_fd)file, kind & 2, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 0);
        CloseHandle(made);
        CloseHandle(file);
        CHECK(SetFileAttributesW(L"rp-flush", FILE_ATTRIBUTE_NORMAL));
        CHECK(DeleteFileW(L"rp-flush"));
    }
    HANDLE directory = CreateFileW(L".", GENERIC_READ, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    CHECK(directory != INVALID_HANDLE_VALUE);
    rp_op_fsync(&op, (rp_fd)directory, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CloseHandle(directory);
    rp_proactor_close(port);
}
