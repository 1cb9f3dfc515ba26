/*
 * test_blocks.c - who reads a file's blocks: the loop's thread while they are cached, other threads once they are not.
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "harness/files.h"
#include "harness/wrap.h"
#include "loop/blocks.h"

enum { SIZE = 5 << 20 };

static int without_wait; /* reads that were not to wait, */
static int to_refuse;    /* after so many of which the cache has nothing; -1: it has all */
static bool threads_refused;

WRAP(ssize_t, preadv64v2, int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    if (flags & RWF_NOWAIT && without_wait++ == to_refuse) {
        errno = EAGAIN;
        return -1;
    }
    return __real_preadv64v2(fd, vector, count, offset, flags);
}

WRAP(int, rp_thread_start, void (*function)(void *arg), void *arg)
{
    return threads_refused ? -EAGAIN : __real_rp_thread_start(function, arg);
}

static void stop(void *loop)
{
    rp_loop_stop(loop);
}

/* Reads the file, and checks what comes: how much there is in all, or an error. */
static int64_t read_file(int64_t refuse_after)
{
    rp_loop *loop = wire_loop();
    int file = file_of(SIZE);
    rp_blocks blocks;
    uint64_t taken = 0;
    const void *data;
    int64_t n;

    without_wait = 0;
    to_refuse = (int)refuse_after;
    CHECK_INT(rp_blocks_init(&blocks, loop, file, 0, -1, stop, loop), ==, 0);
    while ((n = rp_blocks_front(&blocks, &data)) > 0 || n == -EINPROGRESS) {
        if (n == -EINPROGRESS) {
            CHECK_INT(rp_run_forever(loop), ==, 0);
            continue;
        }
        CHECK(wire_same(data, (size_t)n, taken));
        taken += (uint64_t)n;
        rp_blocks_take(&blocks, (size_t)n);
    }
    CHECK(rp_blocks_stop(&blocks));
    rp_blocks_fini(&blocks);
    close(file);
    rp_loop_free(loop);
    return n < 0 ? n : (int64_t)taken;
}

/* Not to wait is not free: such a read has the kernel begin to read megabytes ahead. */
TEST(threads_read_once_a_block_has_not_been_cached)
{
    CHECK_INT(read_file(0), ==, SIZE);
    CHECK_INT(without_wait, ==, 1);
    CHECK_INT(read_file(2), ==, SIZE);
    CHECK_INT(without_wait, ==, 3);
}

TEST(the_loop_reads_what_is_cached)
{
    CHECK_INT(read_file(-1), ==, SIZE);
    CHECK_INT(without_wait, >=, SIZE / (512 * 1024));
}

/* That is -EAGAIN, and not a block that is still to come. */
TEST(lack_of_threads_is_an_error)
{
    threads_refused = true;
    CHECK_INT(read_file(0), ==, -EAGAIN);
    threads_refused = false;
}
