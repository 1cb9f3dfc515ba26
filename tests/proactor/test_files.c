/* test_files.c - read, write, fsync, openat, statx: of files and directories, the same on every backend. */
#include <limits.h>
#include <stdio.h>
#ifndef _WIN32
#include <sys/syscall.h>
#include <sys/uio.h>
#endif

#include "harness/hide.h"
#include "proactor/proactor.h"
#include "harness/support.h"

static char path[64];

/* An empty file that is gone from its directory. */
static int new_file(void)
{
    snprintf(path, sizeof path, TEST_TMP "/ringport-test-XXXXXX");
    int fd = mkstemp(path);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(unlink(path), ==, 0);
    return fd;
}

TEST(offsets)
{
    rp_proactor *port = open_port();
    int fd = new_file();
    char bytes[16];

    CHECK_INT(read_at(port, fd, bytes, 16, 0), ==, 0);
    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, 0); /* an offset of one's own moves nothing */
    CHECK_INT(write_at(port, fd, "ab", 2, 4), ==, 2);
    CHECK_INT(read_at(port, fd, bytes, 3, 3), ==, 3);
    CHECK(memcmp(bytes, "3ab", 3) == 0);
    CHECK_INT(read_at(port, fd, bytes, 16, 8), ==, 2); /* short at the end */
    CHECK_INT(read_at(port, fd, bytes, 16, 10), ==, 0);
    CHECK_INT(read_at(port, fd, bytes, 16, 1000), ==, 0);
    CHECK_INT(read_at(port, fd, bytes, 0, 0), ==, 0);
    CHECK_INT(write_at(port, fd, "", 0, 0), ==, 0);

    CHECK_INT(read_at(port, fd, bytes, 4, -1), ==, 4); /* the file's own position */
    CHECK_INT(lseek(fd, 0, SEEK_CUR), ==, 4);
    CHECK_INT(write_at(port, fd, "X", 1, -1), ==, 1);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 5);
    CHECK(memcmp(bytes, "b6789", 5) == 0);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 0);
    CHECK_INT(write_at(port, fd, "end", 3, 20), ==, 3); /* leaves a hole */
    CHECK_INT(read_at(port, fd, bytes, 4, 18), ==, 4);
    CHECK(memcmp(bytes, "\0\0en", 4) == 0);
    close(fd);
    rp_proactor_close(port);
}

TEST(vectors)
{
    rp_proactor *port = open_port();
    int fd = new_file();
    char one[4], two[8];
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}}, in[2] = {{one, 4}, {two, 8}};
    rp_op op;

    rp_op_writev(&op, fd, out, 3, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 8);
    rp_op_writev(&op, fd, out, 1, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 3);
    rp_op_readv(&op, fd, in, 2, 1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 7);
    CHECK(memcmp(one, "bcde", 4) == 0 && memcmp(two, "fgh", 3) == 0);
    rp_op_readv(&op, fd, in, 2, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    rp_op_readv(&op, fd, in, 0, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    static struct iovec many[IOV_MAX + 1];
    rp_op_writev(&op, fd, many, IOV_MAX + 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    close(fd);
    rp_proactor_close(port);
}

#ifndef _WIN32
/* What is not in the page cache is read all the same; and what is there by half. */
TEST(uncached)
{
    enum { SIZE = 1 << 20 };
    rp_proactor *port = open_port();
    unsigned char *data = malloc(SIZE), *copy = calloc(1, SIZE);
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        fd = new_file();
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 31 + i / 4096);
    CHECK_INT(pwrite(fd, data, SIZE, 0), ==, SIZE);
    CHECK_INT(fsync(fd), ==, 0);
    for (int half = 0; half < 2; half++) {
        CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), ==, 0);
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
        if (half)
            CHECK_INT(pread(fd, copy, SIZE / 2, 0), ==, SIZE / 2);
        memset(copy, 0, SIZE);
        CHECK_INT(read_at(port, fd, copy, SIZE, 0), ==, SIZE);
        CHECK(memcmp(copy, data, SIZE) == 0);
    }
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), ==, 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), ==, 0);
    for (size_t total = 0; total < SIZE;) { /* at its own position: in pieces perhaps, but none lost */
        int64_t n = read_at(port, fd, copy, SIZE, -1);
        CHECK_INT(n, >, 0);
        CHECK(memcmp(copy, data + total, (size_t)n) == 0);
        total += (size_t)n;
    }
    close(fd);
    free(data);
    free(copy);
    rp_proactor_close(port);
}

/* Linux 5.9 and 5.10 have reads that are not to wait return 0 where a page is not in the cache. */
TEST(end_that_is_none)
{
    rp_proactor *port = open_port();
    int fd = new_file();
    char one[4], two[16];
    struct iovec vector[2] = {{one, 4}, {two, 16}};
    rp_op op;

    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    refuse_call(SYS_preadv2, 5, RWF_NOWAIT, 0);
    CHECK_INT(read_at(port, fd, two, 16, 2), ==, 8);
    CHECK(memcmp(two, "23456789", 8) == 0);
    CHECK_INT(read_at(port, fd, one, 4, 6), ==, 4);
    CHECK(memcmp(one, "6789", 4) == 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), ==, 0);
    CHECK_INT(read_at(port, fd, one, 4, -1), ==, 4);
    CHECK(memcmp(one, "0123", 4) == 0);
    CHECK_INT(read_at(port, fd, two, 16, -1), ==, 6);
    CHECK(memcmp(two, "456789", 6) == 0);
    CHECK_INT(read_at(port, fd, two, 16, -1), ==, 0);
    CHECK_INT(read_at(port, fd, two, 16, 10), ==, 0);
    CHECK_INT(read_at(port, fd, two, 0, 0), ==, 0);
    rp_op_readv(&op, fd, vector, 2, 1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 9);
    CHECK(memcmp(one, "1234", 4) == 0 && memcmp(two, "56789", 5) == 0);
    close(fd);
    rp_proactor_close(port);
}

#else
TEST_ABSENT(end_that_is_none, "reads of Windows have no flag not to wait");
TEST_ABSENT(uncached, "Windows has no call that empties its cache of a file");
#endif

TEST(many_at_once)
{
    enum { COUNT = 200 };
    rp_proactor *port = open_port();
    static rp_op ops[COUNT];
    static int numbers[COUNT];
    int fd = new_file();

    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
        rp_op_write(&ops[i], fd, &numbers[i], sizeof i, i * (int)sizeof i, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, sizeof i);
    CHECK_INT(fsync(fd), ==, 0);
#ifndef _WIN32
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), ==, 0);
#endif
    for (int i = 0; i < COUNT; i++) {
        rp_op_read(&ops[i], fd, &numbers[COUNT - 1 - i], sizeof i, i * (int)sizeof i, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, sizeof i);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(numbers[i], ==, COUNT - 1 - i);
    close(fd);
    rp_proactor_close(port);
}

/* Threads do them, and come to an end in any order. Each wait brings one, or more. */
TEST(a_wait_ends_by_a_completion)
{
    enum { AT_ONCE = 8, ROUNDS = 500 };
    rp_proactor *port = open_port();
    rp_completion done[AT_ONCE];
    rp_op ops[AT_ONCE];
    int fd = new_file();

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            rp_op_write(&ops[i], fd, "x", 1, i, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int left = AT_ONCE; left > 0;) {
            int n = rp_proactor_wait(port, done, AT_ONCE, RP_NEVER);

            CHECK_INT(n, >, 0);
            left -= n;
        }
    }
    close(fd);
    rp_proactor_close(port);
}

TEST(sync)
{
    rp_proactor *port = open_port();
    int fd = new_file(), fds[2];
    rp_op op;

    CHECK_INT(write_at(port, fd, "data", 4, 0), ==, 4);
    rp_op_fsync(&op, fd, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_fsync(&op, fd, true, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(pipe(fds), ==, 0);
    rp_op_fsync(&op, fds[1], false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    close_pair(fds);
    close(fd);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(open_and_status)
{
    rp_proactor *port = open_port();
    char directory[] = TEST_TMP "/ringport-test-XXXXXX";
    struct statx status;
    rp_op op;

    CHECK(mkdtemp(directory) != NULL);
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_INT(dir, >=, 0);
    rp_op_openat(&op, dir, "new", O_RDWR | O_CREAT | O_EXCL, 0640, NULL, NULL);
    int fd = (int)perform(port, &op);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    CHECK_INT(perform(port, &op), ==, -EEXIST);
    CHECK_INT(write_at(port, fd, "12345", 5, 0), ==, 5);
    rp_op_statx(&op, dir, "new", 0, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    CHECK_INT(status.stx_mode & 0777 & ~0640, ==, 0);
    rp_op_statx(&op, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    rp_op_statx(&op, dir, "other", 0, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOENT);
    rp_op_openat(&op, dir, "other", O_RDONLY, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOENT);
    rp_op_openat(&op, AT_FDCWD, directory, O_WRONLY, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EISDIR);
    rp_op_openat(&op, 999, "new", O_RDONLY, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EBADF);

    char bytes[4] = "";
    CHECK_INT(read_at(port, dir, bytes, 4, 0), ==, -EISDIR);
    CHECK_INT(read_at(port, dir, bytes, 4, -1), ==, -EISDIR);
    CHECK_INT(write_at(port, dir, bytes, 4, 0), ==, -EBADF); /* it is open for reading */
    close(fd);
    CHECK_INT(unlinkat(dir, "new", 0), ==, 0);
    close(dir);
    CHECK_INT(rmdir(directory), ==, 0);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(open_and_status, "test_iocp_files.c has what openat and statx are on Windows");
#endif

TEST(wrong_mode)
{
    rp_proactor *port = open_port();
    int fds[2], reading = open(TEST_EXE, O_RDONLY | O_CLOEXEC);
    char bytes[4] = "";

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
#ifndef _WIN32 /* where they are sockets */
    CHECK_INT(read_at(port, fds[1], bytes, 4, -1), ==, -EBADF);
    CHECK_INT(write_at(port, fds[0], bytes, 4, -1), ==, -EBADF);
#endif
    CHECK_INT(write_at(port, reading, bytes, 4, 0), ==, -EBADF);
    close(reading);
    close_pair(fds);
    rp_proactor_close(port);
}

/* ---- cancelling ---- */

TEST(cancel_files)
{
    enum { COUNT = 100 };
    rp_proactor *port = open_port();
    static rp_op ops[COUNT];
    static char bytes[COUNT][4096];
    int fd = new_file();

    for (int i = 0; i < COUNT; i++)
        CHECK_INT(pwrite(fd, bytes[i], 4096, i * 4096), ==, 4096);
    CHECK_INT(fsync(fd), ==, 0);
#ifndef _WIN32
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), ==, 0);
#endif
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            rp_op_fsync(&ops[i], fd, false, NULL, NULL);
        else if (i % 3 == 1)
            rp_op_write(&ops[i], fd, bytes[i], 4096, i * 4096, NULL, NULL);
        else
            rp_op_read(&ops[i], fd, bytes[i], 4096, i * 4096, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i++)
        rp_proactor_cancel(port, &ops[i]);
    for (int i = 0; i < COUNT; i++) {
        int64_t result = finish(port, &ops[i]);
        CHECK(result == -ECANCELED || result == (i % 3 == 0 ? 0 : 4096));
    }
    CHECK_INT(port->in_flight, ==, 0);
    stays_quiet(port);
    close(fd);
    rp_proactor_close(port);
}

TEST(close_with_files_in_flight)
{
    enum { COUNT = 60 };
    static rp_op ops[COUNT];
    static char bytes[COUNT][4096];
    rp_proactor *port = open_port();
    int fd = new_file();

    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            rp_op_openat(&ops[i], AT_FDCWD, TEST_NULL, O_RDONLY, 0, NULL, NULL);
        else
            rp_op_write(&ops[i], fd, bytes[i], 4096, i * 4096, NULL, NULL);
        submit(port, &ops[i]);
        if (i == COUNT / 2)
            collect_once(port, 0);
    }
    for (int i = 0; i < pending_count; i++)
        if (pending[i].op->kind == RP_OP_OPENAT)
            close((int)pending[i].result);
    rp_proactor_close(port);
    close(fd);
}
