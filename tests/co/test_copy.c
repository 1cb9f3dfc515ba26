/* test_copy.c - copies of files: what they are, and what is left of one that fails. */
#include <errno.h>
#include <stdlib.h>
#ifndef _WIN32
#include <sys/syscall.h>
#endif

#include "harness/folder.h"
#include "harness/hide.h"

enum { PIECE = 4 << 20 };

static char *large; /* bytes of several pieces */
static size_t large_size;

static void make_large(rp_co *co, const char *name)
{
    large_size = 2 * (size_t)PIECE + 12345;
    large = malloc(large_size);
    for (size_t i = 0; i < large_size; i++)
        large[i] = (char)(i * 2654435761U >> 11);
    make_file(co, name, large, large_size, 0);
}

static void check_large(rp_co *co, const char *name)
{
    rp_fd fd = rp_open(co, in_folder(name), O_RDONLY, 0);
    char *found = malloc(large_size + 1);
    size_t have = 0;
    ssize_t n;

    CHECK_INT(fd, >=, 0);
    while ((n = rp_read(co, fd, found + have, large_size + 1 - have, (int64_t)have)) > 0)
        have += (size_t)n;
    CHECK_INT(n, ==, 0);
    CHECK_INT(have, ==, large_size);
    CHECK(memcmp(found, large, large_size) == 0);
    free(found);
    CHECK_INT(rp_close(co, fd), ==, 0);
}

static int64_t copy(rp_co *co, const char *from, const char *to, const rp_copy_options *options)
{
    return rp_copy_file(co, in_folder(from), in_folder(to), options);
}

CO_TEST(small_ones)
{
    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, 3);
    check_file(co, "to", "abc");
    make_file(co, "from", "d", 1, 0);
    make_file(co, "to", "something longer", 16, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, 3); /* in its place */
    check_file(co, "to", "dbc");
    CHECK_INT(rp_truncate(co, in_folder("from"), 0), ==, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, 0);
    check_file(co, "to", "");
    remove_file(co, "from");
    remove_file(co, "to");
    remove_folder(co);
}

typedef struct progress {
    int calls;
    int64_t last, size;
    rp_co *cancels; /* at the first call; or NULL */
} progress;

static void on_progress(void *arg, int64_t copied, int64_t size)
{
    progress *p = arg;

    CHECK_INT(copied, >, p->last);
    CHECK_INT(copied - p->last, <=, PIECE);
    p->last = copied;
    p->size = size;
    if (p->calls++ == 0 && p->cancels)
        CHECK_INT(rp_task_cancel(rp_co_task(p->cancels)), ==, 1);
}

CO_TEST(large_ones_in_pieces)
{
    progress p = {0};
    rp_copy_options options = {.progress = on_progress, .arg = &p};

    make_folder(co);
    make_large(co, "from");
    CHECK_INT(copy(co, "from", "to", &options), ==, large_size);
    check_large(co, "to");
    CHECK_INT(p.last, ==, large_size);
    CHECK_INT(p.size, ==, large_size);
    CHECK_INT(p.calls, >=, 3);
    free(large);
    remove_file(co, "from");
    remove_file(co, "to");
    remove_folder(co);
}

/* ---- what cannot be copied ---- */

CO_TEST(one_file)
{
    rp_copy_options keep = {.keep_partial = true};

    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    CHECK_INT(rp_link(co, in_folder("from"), in_folder("second")), ==, 0);
    CHECK_INT(copy(co, "from", "from", NULL), ==, -EINVAL);
    CHECK_INT(copy(co, "from", "second", NULL), ==, -EINVAL);
    CHECK_INT(copy(co, "second", "from", &keep), ==, -EINVAL);
    check_file(co, "from", "abc");
    check_file(co, "second", "abc");
    remove_file(co, "from");
    remove_file(co, "second");
    remove_folder(co);
}

CO_TEST(refusals)
{
    rp_copy_options exclusive = {.exclusive = true};

    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    make_file(co, "to", "x", 1, 0);
    CHECK_INT(rp_mkdir(co, in_folder("sub"), 0700), ==, 0);
    CHECK_INT(copy(co, "missing", "new", NULL), ==, -ENOENT);
    CHECK(!file_is_there(co, "new"));
    CHECK_INT(copy(co, "from", "missing/new", NULL), ==, -ENOENT);
    CHECK_INT(copy(co, "sub", "new", NULL), ==, -EISDIR);
    CHECK_INT(copy(co, "from", "sub", NULL), ==, -EISDIR);
    CHECK(!file_is_there(co, "new"));
    CHECK_INT(copy(co, "from", "to", &exclusive), ==, -EEXIST);
    check_file(co, "to", "x");
    CHECK_INT(copy(co, "from", "new", &exclusive), ==, 3);
    check_file(co, "new", "abc");
    remove_file(co, "new");
    remove_file(co, "from");
    remove_file(co, "to");
    CHECK_INT(rp_rmdir(co, in_folder("sub")), ==, 0);
    remove_folder(co);
}

/* ---- what is left ---- */

typedef struct attempt {
    rp_copy_options options;
    progress progress;
    int64_t result;
} attempt;

static int copies_and_is_cancelled(rp_co *co, void *arg)
{
    attempt *a = arg;

    a->progress.cancels = co;
    a->options.progress = on_progress;
    a->options.arg = &a->progress;
    a->result = copy(co, "from", "to", &a->options);
    return a->result < 0 ? (int)a->result : 0;
}

CO_TEST(cancelled_between_pieces)
{
    attempt removes = {.options = {0}}, keeps = {.options = {.keep_partial = true}};
    struct statx status;

    make_folder(co);
    make_large(co, "from");
    make_file(co, "to", "x", 1, 0);
    CHECK_INT(rp_join(co, spawn(copies_and_is_cancelled, &removes)), ==, RP_EFUTCANCELED);
    CHECK_INT(removes.result, ==, -ECANCELED);
    CHECK_INT(removes.progress.calls, ==, 1);
    CHECK(!file_is_there(co, "to"));
    CHECK_INT(rp_join(co, spawn(copies_and_is_cancelled, &keeps)), ==, RP_EFUTCANCELED);
    CHECK_INT(rp_statx(co, AT_FDCWD, in_folder("to"), 0, STATX_SIZE, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, keeps.progress.last);
    CHECK_INT(status.stx_size, <, large_size);
    free(large);
    remove_file(co, "to");
    remove_file(co, "from");
    remove_folder(co);
}

CO_TEST(without_memory)
{
    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    for (uint64_t nth = 1;; nth++) {
        test_fail_allocation(nth);
        int64_t result = copy(co, "from", "to", NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK(result == 3 || (failed && result == -ENOMEM));
        CHECK_INT(file_is_there(co, "to"), ==, result == 3);
        if (result == 3)
            remove_file(co, "to");
        if (!failed)
            break;
    }
    remove_file(co, "from");
    remove_folder(co);
}

static int copies(rp_co *co, void *arg)
{
    (void)arg;
    return (int)copy(co, "from", "to", NULL);
}

static int leaves_a_copy(rp_co *co, void *arg)
{
    (void)arg;
    make_folder(co);
    make_large(co, "from");
    CHECK_INT(rp_create_task(NULL, copies, NULL), ==, 0);
    settle(co);
    rp_loop_stop(rp_co_loop(co));
    return rp_sleep(co, RP_SEC(1000));
}

/* The loop's end closes what is open, and waits for a thread that copies. */
TEST(the_loop_is_closed_under_a_copy)
{
    rp_loop *loop = new_loop();
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, leaves_a_copy, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_future_unref(task);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    rp_loop_free(loop);
    free(large);
    unlink(in_folder("to"));
    CHECK_INT(unlink(in_folder("from")), ==, 0);
    CHECK_INT(rmdir(folder), ==, 0);
}

/* ---- Linux ---- */

#ifndef _WIN32
CO_TEST(modes)
{
    struct statx status;

    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    CHECK_INT(chmod(in_folder("from"), 0540), ==, 0);
    mode_t mask = umask(0077);
    CHECK_INT(copy(co, "from", "to", NULL), ==, 3);
    umask(mask);
    CHECK_INT(rp_statx(co, AT_FDCWD, in_folder("to"), 0, STATX_MODE, &status), ==, 0);
    CHECK_INT(status.stx_mode & 07777, ==, 0500);
    remove_file(co, "from");
    remove_file(co, "to");
    remove_folder(co);
}

/* Pipes and devices have no end, or none that would come. */
CO_TEST(special_files)
{
    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    CHECK_INT(mkfifo(in_folder("fifo"), 0600), ==, 0);
    CHECK_INT(copy(co, "fifo", "to", NULL), ==, -EINVAL);
    CHECK(!file_is_there(co, "to"));
    rp_fd reader = rp_open(co, in_folder("fifo"), O_RDONLY | O_NONBLOCK, 0);
    CHECK_INT(copy(co, "from", "fifo", NULL), ==, -EINVAL);
    CHECK(file_is_there(co, "fifo"));
    CHECK_INT(rp_close(co, reader), ==, 0);
    CHECK_INT(copy(co, "from", "fifo", NULL), ==, -ENXIO); /* nobody reads it */
    CHECK_INT(rp_copy_file(co, "/dev/zero", in_folder("to"), NULL), ==, -EINVAL);
    CHECK_INT(rp_copy_file(co, in_folder("from"), "/dev/null", NULL), ==, -EINVAL);
    remove_file(co, "fifo");
    remove_file(co, "from");
    remove_folder(co);
}

/* They have bytes, but no size; and are not for copy_file_range(). */
CO_TEST(files_of_proc)
{
    char bytes[4096], copied[4096];

    make_folder(co);
    rp_fd fd = rp_open(co, "/proc/version", O_RDONLY, 0);
    ssize_t n = rp_read(co, fd, bytes, sizeof bytes, 0);
    CHECK_INT(n, >, 0);
    CHECK_INT(rp_close(co, fd), ==, 0);
    CHECK_INT(rp_copy_file(co, "/proc/version", in_folder("to"), NULL), ==, n);
    fd = rp_open(co, in_folder("to"), O_RDONLY, 0);
    CHECK_INT(rp_read(co, fd, copied, sizeof copied, 0), ==, n);
    CHECK(memcmp(bytes, copied, (size_t)n) == 0);
    CHECK_INT(rp_close(co, fd), ==, 0);
    remove_file(co, "to");
    remove_folder(co);
}

/* More than 4 GiB, of which a few bytes are there: the copy has as many. */
CO_TEST(holes)
{
    struct statx status;
    char bytes[4] = "";

    make_folder(co);
    make_file(co, "from", "abc", 3, INT64_C(3) << 30);
    make_file(co, "from", "def", 3, (INT64_C(5) << 30) - 1);
    CHECK_INT(rp_truncate(co, in_folder("from"), INT64_C(6) << 30), ==, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, INT64_C(6) << 30);
    CHECK_INT(rp_statx(co, AT_FDCWD, in_folder("to"), 0, STATX_BASIC_STATS, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, INT64_C(6) << 30);
    CHECK_INT(status.stx_blocks * 512, <, 4 * PIECE);
    rp_fd fd = rp_open(co, in_folder("to"), O_RDONLY, 0);
    CHECK_INT(rp_read(co, fd, bytes, 3, INT64_C(3) << 30), ==, 3);
    CHECK_STR(bytes, "abc");
    CHECK_INT(rp_read(co, fd, bytes, 3, (INT64_C(5) << 30) - 1), ==, 3);
    CHECK_STR(bytes, "def");
    CHECK_INT(rp_close(co, fd), ==, 0);
    remove_file(co, "from");
    remove_file(co, "to");
    remove_folder(co);
}

/* Kernels, file systems and filters that refuse copy_file_range(), each in its own way. */
static void copies_without_ranges(rp_co *co, int error)
{
    progress p = {0};
    rp_copy_options options = {.progress = on_progress, .arg = &p};

    refuse_call(SYS_copy_file_range, -1, 0, error);
    make_folder(co);
    make_large(co, "from");
    CHECK_INT(copy(co, "from", "to", &options), ==, large_size);
    check_large(co, "to");
    CHECK_INT(p.last, ==, large_size);
    free(large);
    remove_file(co, "from");
    remove_file(co, "to");
    remove_folder(co);
}

CO_TEST(between_two_file_systems)
{
    copies_without_ranges(co, EXDEV);
}

CO_TEST(file_systems_without_ranges)
{
    copies_without_ranges(co, EINVAL);
}

CO_TEST(kernels_without_ranges)
{
    copies_without_ranges(co, ENOSYS);
}

/* An error that is none of these is the caller's, and the copy is removed. */
CO_TEST(a_disk_that_fails)
{
    refuse_call(SYS_copy_file_range, -1, 0, EIO);
    make_folder(co);
    make_file(co, "from", "abc", 3, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, -EIO);
    CHECK(!file_is_there(co, "to"));
    remove_file(co, "from");
    remove_folder(co);
}

/* The limit of a file's size stands for a disk that is full. */
CO_TEST(no_room)
{
    struct rlimit before, limit;
    rp_copy_options keep = {.keep_partial = true};
    struct statx status;

    make_folder(co);
    make_large(co, "from");
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    limit = before;
    limit.rlim_cur = PIECE + 4096;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    CHECK_INT(copy(co, "from", "to", NULL), ==, -EFBIG);
    CHECK(!file_is_there(co, "to"));
    CHECK_INT(copy(co, "from", "to", &keep), ==, -EFBIG);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    CHECK_INT(rp_statx(co, AT_FDCWD, in_folder("to"), 0, STATX_SIZE, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, PIECE + 4096);
    free(large);
    remove_file(co, "to");
    remove_file(co, "from");
    remove_folder(co);
}
#else
TEST_ABSENT(modes, "files have no modes on Windows");
TEST_ABSENT(special_files, "there are no devices and FIFOs among the files of Windows");
TEST_ABSENT(files_of_proc, "Windows has no files without a size");
TEST_ABSENT(holes, "Windows copies holes as zeros");
TEST_ABSENT(between_two_file_systems, "Windows has no copy_file_range()");
TEST_ABSENT(file_systems_without_ranges, "Windows has no copy_file_range()");
TEST_ABSENT(kernels_without_ranges, "Windows has no copy_file_range()");
TEST_ABSENT(a_disk_that_fails, "Windows has no copy_file_range()");
TEST_ABSENT(no_room, "Windows has no limit on the size of files");
#endif
