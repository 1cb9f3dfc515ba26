/*
 * test_files_cached.c - what the cache does at once, and what becomes of the rest: parts, file systems that cannot
 * tell, files that go around the cache; and an error that the kernel tells once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "harness/support.h"
#include "harness/wrap.h"
#include "proactor/op.h"

static size_t part;      /* if not 0: how much a read or write does that is not to wait */
static int parts;        /* how often it did */
static size_t rest;      /* bytes that were asked for after a part of a read */
static int without_wait; /* calls that were not to wait */
static int flushes;
static int flush_error; /* of the next flush, which alone is told of it */

/* The first bytes of a vector, as many as the part has. */
static int first_part(const struct iovec *vector, int count, struct iovec some[8])
{
    size_t left = part;
    int pieces = 0;

    for (; pieces < count && left > 0; pieces++) {
        some[pieces] = vector[pieces];
        if (some[pieces].iov_len > left)
            some[pieces].iov_len = left;
        left -= some[pieces].iov_len;
    }
    parts++;
    return pieces;
}

WRAP(ssize_t, preadv64v2, int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    struct iovec some[8];

    without_wait += flags & RWF_NOWAIT ? 1 : 0;
    if (part == 0 || !(flags & RWF_NOWAIT))
        return __real_preadv64v2(fd, vector, count, offset, flags);
    return __real_preadv64v2(fd, some, first_part(vector, count, some), offset, flags);
}

WRAP(ssize_t, pread64, int fd, void *buffer, size_t length, off64_t offset)
{
    rest += length;
    return __real_pread64(fd, buffer, length, offset);
}

WRAP(ssize_t, pwritev64v2, int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    struct iovec some[8];

    without_wait += flags & RWF_NOWAIT ? 1 : 0;
    if (part == 0 || !(flags & RWF_NOWAIT))
        return __real_pwritev64v2(fd, vector, count, offset, flags);
    return __real_pwritev64v2(fd, some, first_part(vector, count, some), offset, 0);
}

WRAP(int, fsync, int fd)
{
    int error = flush_error;

    flushes++;
    flush_error = 0;
    errno = error;
    return error ? -1 : __real_fsync(fd);
}

static int new_file(const char *directory, int flags)
{
    char path[80];

    snprintf(path, sizeof path, "%s/ringport-test-XXXXXX", directory);
    int fd = mkostemp(path, flags | O_CLOEXEC);
    if (fd >= 0)
        CHECK_INT(unlink(path), ==, 0);
    return fd;
}

/* ---- parts ---- */

TEST(a_write_of_which_the_cache_takes_a_part)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    char bytes[16] = "";

    CHECK_INT(fd, >=, 0);
    for (part = 1; part <= 10; part++) {
        CHECK_INT(ftruncate(fd, 0), ==, 0);
        CHECK_INT(write_at(port, fd, "0123456789", 10, 3), ==, 10); /* all of it, as ever */
        CHECK_INT(pread(fd, bytes, sizeof bytes, 3), ==, 10);
        CHECK(memcmp(bytes, "0123456789", 10) == 0);
    }
    CHECK_INT(parts, ==, 10);
    close(fd);
    rp_proactor_close(port);
}

/* Of a file that has something. */
static void need_reads_without_waiting(int fd)
{
    char byte;

    if (__real_preadv64v2(fd, &(struct iovec){&byte, 1}, 1, 0, RWF_NOWAIT) != 1)
        SKIP("this file system reads nothing without waiting");
}

/* What the cache had is not read again. */
TEST(a_read_of_which_the_cache_has_a_part)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    char bytes[32] = "";

    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    need_reads_without_waiting(fd);
    for (part = 1; part < 8; part++) {
        struct iovec vector[] = {{bytes, 2}, {NULL, 0}, {bytes + 2, 4}, {bytes + 6, 20}};
        rp_op op;

        memset(bytes, 0, sizeof bytes);
        rest = 0;
        CHECK_INT(read_at(port, fd, bytes, 8, 1), ==, 8);
        CHECK(memcmp(bytes, "12345678", 8) == 0);
        CHECK_INT(rest, ==, 8 - part);
        rp_op_readv(&op, fd, vector, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 10);
        CHECK(memcmp(bytes, "0123456789", 10) == 0);
    }
    CHECK_INT(parts, ==, 14);
    close(fd);
    rp_proactor_close(port);
}

/* A read up to the file's end is short, and all there is: nobody has to ask again. */
TEST(a_short_read_at_the_end)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    char bytes[32] = "";
    rp_op op;

    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    need_reads_without_waiting(fd);
    rp_op_read(&op, fd, bytes, sizeof bytes, 3, NULL, NULL);
    CHECK_INT(rp_proactor_submit(port, &op), ==, 0);
    CHECK_INT(op.state, ==, RP_OP_FINISHED);
    rp_completion completion;
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 1);
    CHECK_INT(completion.result, ==, 7);
    CHECK(memcmp(bytes, "3456789", 7) == 0);
    close(fd);
    rp_proactor_close(port);
}

/* Vectors may be written in part by the kernel, and are written all the same. */
TEST(a_vector_of_which_the_cache_takes_a_part)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    char bytes[16] = "";

    for (part = 1; part < 10; part++) {
        struct iovec vector[] = {{"01", 2}, {NULL, 0}, {"2345", 4}, {"6789", 4}};
        rp_op op;

        CHECK_INT(ftruncate(fd, 0), ==, 0);
        rp_op_writev(&op, fd, vector, 4, 0, NULL, NULL);
        int64_t n = perform(port, &op);
        CHECK_INT(n, ==, 10);
        CHECK_INT(pread(fd, bytes, sizeof bytes, 0), ==, n);
        CHECK(memcmp(bytes, "0123456789", (size_t)n) == 0);
    }
    CHECK_INT(parts, ==, 9);
    close(fd);
    rp_proactor_close(port);
}

TEST(appending_in_parts)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, O_APPEND);
    char bytes[16] = "";

    part = 2;
    CHECK_INT(write_at(port, fd, "abcde", 5, 0), ==, 5);
    CHECK_INT(write_at(port, fd, "fgh", 3, 0), ==, 3);
    CHECK_INT(write_at(port, fd, "ij", 2, -1), ==, 2);
    CHECK_INT(pread(fd, bytes, sizeof bytes, 0), ==, 10);
    CHECK(memcmp(bytes, "abcdefghij", 10) == 0);
    CHECK_INT(parts, ==, 2); /* not at the file's own position */
    close(fd);
    rp_proactor_close(port);
}

/* ---- file systems and files that have no such way ---- */

/* tmpfs answers a read that is not to wait with EOPNOTSUPP. */
TEST(files_in_memory)
{
    rp_proactor *port = open_port();
    int fd = new_file("/dev/shm", 0);
    char bytes[16] = "";

    if (fd < 0) {
        rp_proactor_close(port);
        SKIP("there is no /dev/shm");
    }
    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    CHECK_INT(read_at(port, fd, bytes, 4, 2), ==, 4);
    CHECK(memcmp(bytes, "2345", 4) == 0);
    CHECK_INT(read_at(port, fd, bytes, 16, 8), ==, 2);
    CHECK_INT(read_at(port, fd, bytes, 16, 10), ==, 0);
    CHECK_INT(read_at(port, fd, bytes, 4, -1), ==, 4);
    CHECK_INT(write_at(port, fd, "x", 1, -1), ==, 1);
    CHECK_INT(write_at(port, fd, NULL, 1, 0), ==, -EFAULT);
    CHECK_INT(write_at(port, fd, "x", 1, INT64_MAX), <, 0);
    close(fd);
    rp_proactor_close(port);
}

/* A read or write around the cache waits for the disk, whatever its flags: it is not tried at once. */
TEST(files_that_go_around_the_cache)
{
    enum { SIZE = 4096 };
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, O_DIRECT);
    char *bytes = aligned_alloc(SIZE, SIZE);

    if (fd < 0) {
        free(bytes);
        rp_proactor_close(port);
        SKIP("this file system knows nothing but its cache");
    }
    memset(bytes, 'd', SIZE);
    CHECK_INT(write_at(port, fd, bytes, SIZE, 0), ==, SIZE);
    CHECK_INT(write_at(port, fd, bytes, SIZE, -1), ==, SIZE);
    CHECK_INT(lseek(fd, 0, SEEK_SET), ==, 0);
    CHECK_INT(read_at(port, fd, bytes, SIZE, 0), ==, SIZE);
    CHECK_INT(read_at(port, fd, bytes, SIZE, -1), ==, SIZE);
    CHECK_INT(without_wait, ==, 0);
    int cached = new_file(TEST_TMP, 0);
    CHECK_INT(read_at(port, cached, bytes, SIZE, 0), ==, 0);
    CHECK_INT(without_wait, ==, 1);
    close(cached);
    CHECK_INT(read_at(port, fd, bytes, 10, 1), ==, -EINVAL); /* and what could not is refused in any case */
    close(fd);
    free(bytes);
    rp_proactor_close(port);
}

/* Not to wait for the cache would not mean not to wait for the disk. */
TEST(files_that_are_flushed_by_each_write)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, O_SYNC);
    char bytes[16] = "";

    CHECK_INT(fd, >=, 0);
    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    CHECK_INT(write_at(port, fd, "ab", 2, -1), ==, 2);
    CHECK_INT(without_wait, ==, 0);
    CHECK_INT(read_at(port, fd, bytes, 10, 0), ==, 10);
    CHECK(memcmp(bytes, "ab23456789", 10) == 0);
    close(fd);
    rp_proactor_close(port);
}

TEST(no_vector_at_all)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    rp_op op;

    rp_op_readv(&op, fd, NULL, 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EFAULT);
    rp_op_writev(&op, fd, NULL, 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EFAULT);
    close(fd);
    rp_proactor_close(port);
}

/* ---- statuses ---- */

static void compare(rp_proactor *port, int directory, const char *path, int flags, unsigned mask)
{
    struct statx expected = {0}, found = {0};
    int rc = statx(directory, path, flags, mask, &expected) < 0 ? -errno : 0;
    rp_op op;

    rp_op_statx(&op, directory, path, flags, mask, &found, NULL, NULL);
    int64_t result = perform(port, &op);
    if (result != rc || memcmp(&expected, &found, sizeof found) != 0)
        fprintf(stderr, "the status of \"%s\", flags 0x%x, mask 0x%x\n", path, (unsigned)flags, mask);
    CHECK_INT(result, ==, rc);
    CHECK(memcmp(&expected, &found, sizeof found) == 0);
}

/* To the last bit what the system says, whether it is looked up in memory or not. */
TEST(statuses)
{
    const char *paths[] = {
        "file", "sub",           "link",      "link/",          "to-nothing",    "loop",
        "",     "sub/../file",   "missing",   "file/x",         "sub/missing/x", "/proc/self/status",
        "/",    "/proc/self/fd", "/dev/null", "/proc/self/exe", "/dev/shm",      "fifo"};
    const int flags[] = {0,
                         AT_SYMLINK_NOFOLLOW,
                         AT_EMPTY_PATH,
                         AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                         AT_STATX_FORCE_SYNC,
                         AT_NO_AUTOMOUNT};
    char directory[] = TEST_TMP "/ringport-test-XXXXXX";
    rp_proactor *port = open_port();

    CHECK(mkdtemp(directory) != NULL);
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(openat(at, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
    CHECK_INT(mkdirat(at, "sub", 0700), ==, 0);
    CHECK_INT(symlinkat("sub", at, "link"), ==, 0);
    CHECK_INT(symlinkat("nothing", at, "to-nothing"), ==, 0);
    CHECK_INT(symlinkat("loop", at, "loop"), ==, 0);
    CHECK_INT(mkfifoat(at, "fifo", 0600), ==, 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        for (size_t j = 0; j < sizeof flags / sizeof flags[0]; j++) {
            compare(port, at, paths[i], flags[j], STATX_BASIC_STATS | STATX_BTIME);
            compare(port, at, paths[i], flags[j], STATX_SIZE);
            compare(port, AT_FDCWD, paths[i], flags[j], STATX_BASIC_STATS);
        }
    compare(port, -1, "file", 0, STATX_BASIC_STATS);
    compare(port, -1, "", AT_EMPTY_PATH, STATX_BASIC_STATS);
    compare(port, at, "file", 1 << 30, STATX_BASIC_STATS);
    compare(port, at, "file", 0, 1U << 31);
    const char *names[] = {"file", "link", "to-nothing", "loop", "fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(unlinkat(at, names[i], 0), ==, 0);
    CHECK_INT(unlinkat(at, "sub", AT_REMOVEDIR), ==, 0);
    close(at);
    CHECK_INT(rmdir(directory), ==, 0);
    rp_proactor_close(port);
}

/* To look needs no descriptor that is not there. */
TEST(statuses_without_descriptors)
{
    rp_proactor *port = open_port();
    struct rlimit before, none;
    struct statx status;
    rp_op op;

    rp_op_statx(&op, AT_FDCWD, TEST_TMP, 0, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0); /* what threads need is there */
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    none = before;
    none.rlim_cur = 0;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    rp_op_statx(&op, AT_FDCWD, TEST_TMP, 0, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    rp_proactor_close(port);
}

/* ---- what is told once ---- */

/* The kernel tells an error of writing back to one flush of a descriptor. It is that one's, and nobody asks again. */
TEST(the_error_of_a_flush)
{
    rp_proactor *port = open_port();
    int fd = new_file(TEST_TMP, 0);
    rp_op op;

    if (on_uring()) {
        close(fd);
        rp_proactor_close(port);
        SKIP("the ring flushes, and calls nobody");
    }
    flush_error = EIO;
    rp_op_fsync(&op, fd, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EIO);
    CHECK_INT(flushes, ==, 1);
    CHECK_INT(perform(port, &op), ==, 0);
    flush_error = EINTR; /* nor after a signal, which might have taken it away */
    CHECK_INT(perform(port, &op), ==, -EINTR);
    CHECK_INT(flushes, ==, 3);
    close(fd);
    rp_proactor_close(port);
}
