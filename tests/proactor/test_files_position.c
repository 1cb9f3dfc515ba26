/*
 * test_files_position.c - at a file's own position nothing is lost, done twice or out of order, however much is in
 * flight.
 */
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>

#include "harness/support.h"

enum {
    COUNT = 200,
    LONGEST = 23,
    ROOM = COUNT * LONGEST,
};

static char data[ROOM], copy[ROOM];
static rp_op ops[COUNT];

/* Files as they are opened: each may be one that is appended to, and on Windows one for synchronous operations. */
enum { APPENDED = 1, SYNCHRONOUS = 2, KINDS = 4 };

static int open_kind(int kind)
{
#ifdef _WIN32
    char path[MAX_PATH];
    DWORD writing = kind & APPENDED ? FILE_APPEND_DATA | SYNCHRONIZE : GENERIC_WRITE;

    CHECK_INT(GetTempFileNameA(TEST_TMP, "rp", 0, path), !=, 0);
    HANDLE file = CreateFileA(path, GENERIC_READ | writing, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                              NULL, OPEN_EXISTING, kind & SYNCHRONOUS ? 0 : FILE_FLAG_OVERLAPPED, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    CHECK(DeleteFileA(path));
    return (int)(intptr_t)file;
#else
    char path[] = TEST_TMP "/ringport-test-XXXXXX";
    int fd = mkstemp(path);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(unlink(path), ==, 0);
    if (kind & APPENDED)
        CHECK_INT(fcntl(fd, F_SETFL, O_APPEND), ==, 0);
    return fd;
#endif
}

/* Another descriptor of the same open file. */
static int duplicate(int fd)
{
#ifdef _WIN32
    HANDLE other, process = GetCurrentProcess();

    CHECK(DuplicateHandle(process, (HANDLE)(intptr_t)fd, process, &other, 0, FALSE, DUPLICATE_SAME_ACCESS));
    return (int)(intptr_t)other;
#else
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    CHECK_INT(other, >=, 0);
    return other;
#endif
}

static int length_of(int i)
{
    return 1 + i * 7 % LONGEST;
}

static int total_length(void)
{
    int total = 0;

    for (int i = 0; i < COUNT; i++)
        total += length_of(i);
    return total;
}

static void fill_data(void)
{
    for (int i = 0; i < ROOM; i++)
        data[i] = (char)(i * 31 + i / 251);
}

/* An operation of `length` bytes at `at`, of one buffer or of two. */
static void prepare(rp_op *op, int fd, char *at, int length, bool writes, struct iovec vector[2])
{
    if (vector == NULL) {
        (writes ? (void)rp_op_write(op, fd, at, (size_t)length, -1, NULL, NULL)
                : (void)rp_op_read(op, fd, at, (size_t)length, -1, NULL, NULL));
        return;
    }
    vector[0] = (struct iovec){.iov_base = at, .iov_len = (size_t)length / 2};
    vector[1] = (struct iovec){.iov_base = at + length / 2, .iov_len = (size_t)(length - length / 2)};
    (writes ? rp_op_writev : rp_op_readv)(op, fd, vector, 2, -1, NULL, NULL);
}

/* All at once; every third has two buffers. */
static void transfer_begins(rp_proactor *port, const int *fds, int descriptors, char *bytes, bool writes)
{
    static struct iovec vectors[COUNT][2];
    int at = 0;

    for (int i = 0; i < COUNT; at += length_of(i++)) {
        prepare(&ops[i], fds[i % descriptors], bytes + at, length_of(i), writes, i % 3 == 0 ? vectors[i] : NULL);
        submit(port, &ops[i]);
    }
}

static void transfer_ends(rp_proactor *port)
{
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, length_of(i));
}

static void transfer(rp_proactor *port, const int *fds, int descriptors, char *bytes, bool writes)
{
    transfer_begins(port, fds, descriptors, bytes, writes);
    transfer_ends(port);
}

TEST(in_order)
{
    rp_proactor *port = open_port();
    int total = total_length();

    fill_data();
    for (int kind = 0; kind < KINDS; kind++) {
        int fd = open_kind(kind);

        transfer(port, &fd, 1, data, true);
        CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, total);
        CHECK_INT(pread(fd, copy, ROOM, 0), ==, total);
        CHECK(memcmp(copy, data, (size_t)total) == 0);
        memset(copy, 0, ROOM);
        CHECK_INT(lseek(fd, 0, SEEK_SET), ==, 0);
        transfer(port, &fd, 1, copy, false);
        CHECK(memcmp(copy, data, (size_t)total) == 0);
        CHECK_INT(read_at(port, fd, copy, 1, -1), ==, 0);
        close(fd);
    }
    rp_proactor_close(port);
}

/* What is appended goes to the end, and the position with it, wherever that was. */
TEST(appended_from_anywhere)
{
    rp_proactor *port = open_port();
    char bytes[6];

    for (int kind = APPENDED; kind < KINDS; kind += SYNCHRONOUS) {
        int fd = open_kind(kind);

        CHECK_INT(write_at(port, fd, "abcd", 4, -1), ==, 4);
        CHECK_INT(lseek(fd, 1, SEEK_SET), ==, 1);
        CHECK_INT(write_at(port, fd, "ef", 2, -1), ==, 2);
        CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, 6);
        CHECK_INT(pread(fd, bytes, 6, 0), ==, 6);
        CHECK(memcmp(bytes, "abcdef", 6) == 0);
        close(fd);
    }
    rp_proactor_close(port);
}

/* Reading and writing move one position: a read of one record, then one is written over the next. */
TEST(reads_and_writes_by_turns)
{
    enum { RECORD = 4 };
    rp_proactor *port = open_port();

    for (int kind = 0; kind < KINDS; kind += SYNCHRONOUS) {
        int fd = open_kind(kind);

        fill_data();
        CHECK_INT(pwrite(fd, data, COUNT * RECORD, 0), ==, COUNT * RECORD);
        CHECK_INT(lseek(fd, 0, SEEK_SET), ==, 0);
        for (int i = 0; i < COUNT; i++) {
            if (i % 2)
                rp_op_write(&ops[i], fd, "over", RECORD, -1, NULL, NULL);
            else
                rp_op_read(&ops[i], fd, copy + i * RECORD, RECORD, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(finish(port, &ops[i]), ==, RECORD);
        for (int i = 0; i < COUNT; i += 2)
            CHECK(memcmp(copy + i * RECORD, data + i * RECORD, RECORD) == 0);
        CHECK_INT(pread(fd, copy, ROOM, 0), ==, COUNT * RECORD);
        for (int i = 0; i < COUNT; i++)
            CHECK(memcmp(copy + i * RECORD, i % 2 ? "over" : data + i * RECORD, RECORD) == 0);
        close(fd);
    }
    rp_proactor_close(port);
}

/* What says where it goes moves nothing, even amid others. */
TEST(offsets_in_between)
{
    enum { AWAY = 100000 };
    rp_proactor *port = open_port();
    static char there[COUNT];

    for (int kind = 0; kind < KINDS; kind += SYNCHRONOUS) {
        int fd = open_kind(kind);

        fill_data();
        for (int i = 0; i < COUNT; i++) {
            if (i % 2)
                rp_op_write(&ops[i], fd, data + i, 1, AWAY + i, NULL, NULL);
            else
                rp_op_write(&ops[i], fd, data + i, 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(finish(port, &ops[i]), ==, 1);
        CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, COUNT / 2);
        CHECK_INT(pread(fd, copy, COUNT / 2, 0), ==, COUNT / 2);
        CHECK_INT(pread(fd, there, COUNT, AWAY), ==, COUNT);
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(i % 2 ? there[i] : copy[i / 2], ==, data[i]);
        close(fd);
    }
    rp_proactor_close(port);
}

/* Two descriptors of one open file have one position: nothing is lost, whatever the order. */
TEST(duplicates)
{
    rp_proactor *port = open_port();
    int total = total_length();

    fill_data();
    for (int kind = 0; kind < KINDS; kind++) {
        int fds[2] = {open_kind(kind)}, at = 0;

        fds[1] = duplicate(fds[0]);
        transfer(port, fds, 2, data, true);
        CHECK_INT(lseek(fds[1], 0, SEEK_CUR), ==, total);
        CHECK_INT(pread(fds[0], copy, ROOM, 0), ==, total);
        long sums[2] = {0, 0};
        for (at = 0; at < total; at++) {
            sums[0] += (unsigned char)data[at];
            sums[1] += (unsigned char)copy[at];
        }
        CHECK_INT(sums[0], ==, sums[1]);
        close_pair(fds);
    }
    rp_proactor_close(port);
}

/* ---- two loops ---- */

enum { RECORD = 8, RECORDS = 400, AT_ONCE = 8 };

typedef struct side {
    pthread_t thread;
    int fd, number;
} side;

/* Writes records of its own at the one position, several in flight. */
static void *write_records(void *arg)
{
    const side *mine = arg;
    rp_proactor *port = open_port();
    rp_completion done[AT_ONCE];
    rp_op own[AT_ONCE];
    char record[RECORD];

    memset(record, '0' + mine->number, RECORD);
    for (int i = 0; i < RECORDS / AT_ONCE; i++) {
        for (int k = 0; k < AT_ONCE; k++) {
            rp_op_write(&own[k], mine->fd, record, RECORD, -1, NULL, NULL);
            CHECK_INT(rp_proactor_submit(port, &own[k]), ==, 0);
        }
        for (int left = AT_ONCE; left > 0;) {
            int n = rp_proactor_wait(port, done, AT_ONCE, RP_NEVER);

            for (int k = 0; k < n; k++)
                CHECK_INT(done[k].result, ==, RECORD);
            left -= n;
        }
    }
    rp_proactor_close(port);
    return NULL;
}

TEST(two_loops)
{
    for (int kind = 0; kind < KINDS; kind++) {
        static char all[3 * RECORD * RECORDS];
        side sides[2];
        int count[2] = {0, 0}, fd = open_kind(kind);

        for (int i = 0; i < 2; i++) {
            sides[i] = (side){.fd = i ? duplicate(fd) : fd, .number = i};
            CHECK_INT(pthread_create(&sides[i].thread, NULL, write_records, &sides[i]), ==, 0);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(sides[i].thread, NULL);
        CHECK_INT(pread(fd, all, sizeof all, 0), ==, 2 * RECORD * RECORDS);
        for (int at = 0; at < 2 * RECORD * RECORDS; at += RECORD) {
            for (int i = 1; i < RECORD; i++)
                CHECK_INT(all[at + i], ==, all[at]);
            count[all[at] - '0']++;
        }
        CHECK_INT(count[0], ==, RECORDS);
        CHECK_INT(count[1], ==, RECORDS);
        close(sides[1].fd);
        close(fd);
    }
}

static void *wait_for_all(void *port)
{
    transfer_ends(port);
    return NULL;
}

/* What is in flight goes on when another thread takes over the waiting. */
TEST(another_thread)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rp_proactor *port = open_port();
        int fd = open_kind(kind);
        pthread_t thread;

        fill_data();
        CHECK_INT(write_at(port, fd, "x", 1, -1), ==, 1);
        transfer_begins(port, &fd, 1, data, true);
        CHECK_INT(pthread_create(&thread, NULL, wait_for_all, port), ==, 0);
        pthread_join(thread, NULL);
        CHECK_INT(pread(fd, copy, ROOM, 0), ==, 1 + total_length());
        CHECK(memcmp(copy + 1, data, (size_t)total_length()) == 0);
        rp_proactor_close(port);
        close(fd);
    }
}

/* ---- cancelling ---- */

/* What waits for its turn ends at once, and those behind it go on: there is no hole, and nothing is there twice. */
TEST(cancelled)
{
    rp_proactor *port = open_port();

    for (int kind = 0; kind < KINDS; kind++) {
        int fd = open_kind(kind), at = 0;

        fill_data();
        for (int i = 0; i < COUNT; i++) {
            rp_op_write(&ops[i], fd, data + i, 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < COUNT; i += 3)
            rp_proactor_cancel(port, &ops[i]);
        CHECK(pread(fd, copy, ROOM, 0) >= 0);
        static int64_t results[COUNT];
        for (int i = 0; i < COUNT; i++)
            results[i] = finish(port, &ops[i]);
        int length = (int)pread(fd, copy, ROOM, 0);
        for (int i = 0; i < COUNT; i++) {
            CHECK(results[i] == 1 || (i % 3 == 0 && results[i] == -ECANCELED));
            if (results[i] == 1)
                CHECK_INT(copy[at++], ==, data[i]);
        }
        CHECK_INT(length, ==, at);
        close(fd);
    }
    rp_proactor_close(port);
}

/* The proactor's end ends them all, in any order: what was written before is whole. */
TEST(closed_with_many_in_flight)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rp_proactor *port = open_port();
        int fd = open_kind(kind);

        fill_data();
        for (int i = 0; i < COUNT; i++) {
            rp_op_write(&ops[i], fd, data + i, 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_proactor_close(port);
        int length = (int)lseek(fd, 0, SEEK_END), next = 0;
        CHECK_INT(length, <=, COUNT);
        CHECK(length == 0 || pread(fd, copy, ROOM, 0) == length);
        for (int at = 0; at < length; at++) {
            while (next < COUNT && data[next] != copy[at])
                next++;
            CHECK_INT(next++, <, COUNT);
        }
        close(fd);
    }
}

/* Closing the descriptor ends what has not begun: it must not come to mean another file. */
TEST(closed_under_many)
{
    rp_proactor *port = open_port();

    for (int kind = 0; kind < KINDS; kind++) {
        int fd = open_kind(kind), other = duplicate(fd), at = 0;
        rp_op closing;

        fill_data();
        for (int i = 0; i < COUNT; i++) {
            rp_op_write(&ops[i], fd, data + i, 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_op_close(&closing, fd, NULL, NULL);
        CHECK_INT(perform(port, &closing), ==, 0);
        for (int i = 0; i < COUNT; i++) {
            int64_t result = finish(port, &ops[i]);

            CHECK(result == -EBADF || (result == 1 && at == i)); /* none after one that was given up */
            at += result == 1;
        }
        CHECK_INT(at, <=, 1); /* the others had to wait for it */
        CHECK_INT(lseek(other, 0, SEEK_CUR), ==, at);
        CHECK_INT(lseek(other, 0, SEEK_END), ==, at);
        close(other);
    }
    rp_proactor_close(port);
}

/* ---- what fails ---- */

/* Without a thread an operation fails, and those behind it have their turn all the same. */
TEST(without_memory)
{
    enum { WRITES = 3 };
    bool failed = true;

    for (unsigned nth = 1; failed; nth++) {
        rp_proactor *port = open_port();
        int fd = open_kind(0), at = 0;

        test_fail_allocation(nth);
        for (int i = 0; i < WRITES; i++) {
            rp_op_write(&ops[i], fd, "x", 1, -1, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < WRITES; i++) {
            int64_t result = finish(port, &ops[i]);

            CHECK(result == 1 || result == -ENOMEM);
            at += result == 1;
        }
        failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK_INT(at, >=, failed ? 1 : WRITES);
        CHECK_INT(lseek(fd, 0, SEEK_END), ==, at);
        close(fd);
        rp_proactor_close(port);
    }
}

static void *close_port(void *port)
{
    rp_proactor_close(port);
    return NULL;
}

/* A thread that cannot wait for what is in flight, on io_uring, closes it. */
TEST(closed_by_another_thread)
{
    rp_proactor *port = open_port();
    int fd = open_kind(0), fds[2];
    pthread_t thread;
    char byte;
    rp_op op;

    nonblocking_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    fill_data();
    transfer_begins(port, &fd, 1, data, true);
    CHECK_INT(pthread_create(&thread, NULL, close_port, port), ==, 0);
    pthread_join(thread, NULL);
    int64_t length = lseek(fd, 0, SEEK_END);
    CHECK_INT(length, <=, total_length());
    close(fd);
    close_pair(fds);
}
