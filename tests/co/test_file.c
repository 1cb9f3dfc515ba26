/* test_file.c - files by their names, by awaitable calls; and what else may be given to those of io.h. */
#include <errno.h>
#include <stdlib.h>

#include "harness/folder.h"

CO_TEST(names)
{
    char target[16];

    make_folder(co);
    make_file(co, "one", "1", 1, 0);
    CHECK_INT(rp_rename(co, in_folder("one"), in_folder("two")), ==, 0);
    check_file(co, "two", "1");
    make_file(co, "three", "3", 1, 0);
    CHECK_INT(rp_rename(co, in_folder("two"), in_folder("three")), ==, 0);
    check_file(co, "three", "1");
    CHECK_INT(rp_rename(co, in_folder("two"), in_folder("three")), ==, -ENOENT);
    CHECK_INT(rp_link(co, in_folder("three"), in_folder("four")), ==, 0);
    CHECK_INT(rp_link(co, in_folder("three"), in_folder("four")), ==, -EEXIST);
    CHECK_INT(rp_mkdir(co, in_folder("sub"), 0700), ==, 0);
    CHECK_INT(rp_mkdir(co, in_folder("sub"), 0700), ==, -EEXIST);
    CHECK_INT(rp_unlink(co, in_folder("sub")), ==, -EISDIR);
    CHECK_INT(rp_rmdir(co, in_folder("three")), ==, -ENOTDIR);
    CHECK_INT(rp_rmdir(co, in_folder("sub")), ==, 0);
    CHECK_INT(rp_readlink(co, in_folder("three"), target, sizeof target), ==, -EINVAL);
    CHECK_INT(rp_unlink(co, in_folder("three")), ==, 0);
    CHECK_INT(rp_unlink(co, in_folder("three")), ==, -ENOENT);
    remove_file(co, "four");
    remove_folder(co);
}

CO_TEST(symbolic_links)
{
    char target[16];

#ifdef _WIN32
    test_need_real_windows("symbolic links");
#endif
    make_folder(co);
    make_file(co, "file", "f", 1, 0);
    int rc = rp_symlink(co, "file", in_folder("link"));
    CHECK(rc == 0 || rc == -EPERM);
    if (rc == 0) {
        CHECK_INT(rp_readlink(co, in_folder("link"), target, sizeof target), ==, 4);
        CHECK(memcmp(target, "file", 4) == 0);
        CHECK_INT(rp_readlink(co, in_folder("link"), target, 2), ==, 2);
        check_file(co, "link", "f");
        remove_file(co, "link");
    }
    remove_file(co, "file");
    remove_folder(co);
}

CO_TEST(lengths)
{
    struct statx status;

    make_folder(co);
    make_file(co, "file", "0123456789", 10, 0);
    CHECK_INT(rp_truncate(co, in_folder("file"), 5), ==, 0);
    check_file(co, "file", "01234");
    rp_fd fd = rp_open(co, in_folder("file"), O_RDWR, 0);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_ftruncate(co, fd, 3), ==, 0);
    check_file(co, "file", "012");
    CHECK_INT(rp_ftruncate(co, fd, INT64_C(5) << 30), ==, 0);
    CHECK_INT(rp_statx(co, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status), ==, 0);
    CHECK_INT(status.stx_size, ==, INT64_C(5) << 30);
    CHECK_INT(rp_ftruncate(co, fd, -1), ==, -EINVAL);
    CHECK_INT(rp_close(co, fd), ==, 0);
    CHECK_INT(rp_truncate(co, in_folder("missing"), 0), ==, -ENOENT);
    remove_file(co, "file");
    remove_folder(co);
}

CO_TEST(vectors)
{
    char one[3], two[8];
    struct iovec out[] = {{"abc", 3}, {"defgh", 5}}, in[] = {{one, 3}, {two, 8}};

    make_folder(co);
    rp_fd fd = rp_open(co, in_folder("file"), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_writev(co, fd, out, 2, 0), ==, 8);
    CHECK_INT(rp_readv(co, fd, in, 2, 1), ==, 7);
    CHECK(memcmp(one, "bcd", 3) == 0 && memcmp(two, "efgh", 4) == 0);
    CHECK_INT(rp_writev(co, fd, out, 1, -1), ==, 3); /* at the file's own position */
    CHECK_INT(rp_writev(co, fd, out, 1, -1), ==, 3);
    CHECK_INT(rp_readv(co, fd, in, 2, -1), ==, 2);
    CHECK(memcmp(one, "gh", 2) == 0);
    CHECK_INT(rp_readv(co, fd, in, -1, 0), ==, -EINVAL);
    CHECK_INT(rp_readv(co, -1, in, 1, 0), ==, -EBADF);
    CHECK_INT(rp_close(co, fd), ==, 0);
    remove_file(co, "file");
    remove_folder(co);
}

/* ---- temporary files ---- */

CO_TEST(temporary_files)
{
    enum { COUNT = 20 };
    char paths[COUNT][200], byte;

    make_folder(co);
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/t-XXXXXX", folder);
        rp_fd fd = rp_mkstemp(co, paths[i]);
        CHECK_INT(fd, >=, 0);
        CHECK(strstr(paths[i], "XXXXXX") == NULL);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(paths[i], paths[j]) != 0);
        CHECK_INT(rp_write(co, fd, "x", 1, 0), ==, 1);
        CHECK_INT(rp_read(co, fd, &byte, 1, 0), ==, 1);
#ifndef _WIN32
        struct statx status;
        CHECK_INT(rp_statx(co, AT_FDCWD, paths[i], 0, STATX_MODE, &status), ==, 0);
        CHECK_INT(status.stx_mode & 07777, ==, 0600);
        CHECK_INT(fcntl((int)fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
#endif
        CHECK_INT(rp_close(co, fd), ==, 0);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(rp_unlink(co, paths[i]), ==, 0);
    remove_folder(co);
}

CO_TEST(what_is_no_template)
{
    char short_one[] = "XXXXX", elsewhere[] = "XXXXXXa", missing[] = TEST_TMP "/ringport-missing/XXXXXX";

    CHECK_INT(rp_mkstemp(co, short_one), ==, -EINVAL);
    CHECK_INT(rp_mkstemp(co, elsewhere), ==, -EINVAL);
    CHECK_INT(rp_mkstemp(co, missing), ==, -ENOENT);
    CHECK_STR(missing, TEST_TMP "/ringport-missing/XXXXXX"); /* to be tried again */
}

/* ---- cancelling ---- */

static int does_each_call(rp_co *co, void *arg)
{
    char path[] = TEST_TMP "/ringport-never-XXXXXX", target[4];
    rp_dir *dir;

    CHECK_INT(rp_task_cancel(rp_co_task(co)), ==, 1);
    switch (*(int *)arg) {
    case 0:
        return rp_rename(co, path, path);
    case 1:
        return rp_unlink(co, path);
    case 2:
        return rp_mkdir(co, path, 0700);
    case 3:
        return rp_rmdir(co, path);
    case 4:
        return rp_symlink(co, "x", path);
    case 5:
        return rp_link(co, path, path);
    case 6:
        return (int)rp_readlink(co, path, target, sizeof target);
    case 7:
        return rp_truncate(co, path, 0);
    case 8:
        return rp_ftruncate(co, -1, 0);
    case 9:
        return (int)rp_mkstemp(co, path);
    case 10:
        return rp_opendir(co, &dir, TEST_TMP);
    case 11:
        return (int)rp_copy_file(co, path, path, NULL);
    case 12:
        return (int)rp_readv(co, -1, NULL, 0, 0);
    default:
        return (int)rp_writev(co, -1, NULL, 0, 0);
    }
}

/* While a cancellation is pending nothing is begun: each call would fail in another way. */
CO_TEST(nothing_is_begun_by_a_cancelled_task)
{
    for (int i = 0; i < 14; i++)
        CHECK_INT(rp_join(co, spawn(does_each_call, &i)), ==, RP_EFUTCANCELED);
}

static int renames(rp_co *co, void *arg)
{
    (void)arg;
    return rp_rename(co, in_folder("from"), in_folder("to"));
}

/* Either it is done, or it is cancelled: the result says which. */
CO_TEST(a_cancelled_renaming)
{
    make_folder(co);
    for (int i = 0; i < 20; i++) {
        make_file(co, "from", "x", 1, 0);
        rp_task *task = spawn(renames, NULL);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        int rc = rp_join(co, task);
        CHECK(rc == 0 || rc == RP_EFUTCANCELED);
        CHECK_INT(file_is_there(co, "to"), ==, rc == 0);
        remove_file(co, rc == 0 ? "to" : "from");
    }
    remove_folder(co);
}

/* ---- what is no plain file ---- */

CO_TEST(directories_given_as_files)
{
    char byte;

    make_folder(co);
    CHECK_INT(rp_open(co, folder, O_WRONLY, 0), ==, -EISDIR);
    rp_fd fd = rp_open(co, folder, O_RDONLY, 0);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_read(co, fd, &byte, 1, 0), <, 0);
#ifndef _WIN32
    CHECK_INT(rp_read(co, fd, &byte, 1, 0), ==, -EISDIR);
    CHECK_INT(rp_read(co, fd, &byte, 1, -1), ==, -EISDIR);
#endif
    CHECK_INT(rp_write(co, fd, "x", 1, 0), <, 0);
    CHECK_INT(rp_ftruncate(co, fd, 0), ==, -EINVAL);
    CHECK_INT(rp_close(co, fd), ==, 0);
    CHECK_INT(rp_truncate(co, folder, 0), ==, -EISDIR);
    remove_folder(co);
}

#ifndef _WIN32
static int reads_fifo(rp_co *co, void *arg)
{
    char byte;
    ssize_t n = rp_read(co, *(rp_fd *)arg, &byte, 1, -1);

    return n == 1 ? byte : (int)n;
}

CO_TEST(fifos)
{
    make_folder(co);
    CHECK_INT(mkfifo(in_folder("fifo"), 0600), ==, 0);
    rp_fd reading = rp_open(co, in_folder("fifo"), O_RDONLY | O_NONBLOCK, 0);
    rp_fd writing = rp_open(co, in_folder("fifo"), O_WRONLY | O_NONBLOCK, 0);
    CHECK_INT(reading, >=, 0);
    CHECK_INT(writing, >=, 0);
    rp_task *task = spawn(reads_fifo, &reading);
    settle(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_write(co, writing, "f", 1, 0), ==, 1); /* that has no positions */
    CHECK_INT(rp_join(co, task), ==, 'f');
    CHECK_INT(rp_ftruncate(co, writing, 0), ==, -EINVAL);
    CHECK_INT(rp_close(co, writing), ==, 0);
    CHECK_INT(reads_fifo(co, &reading), ==, 0);
    CHECK_INT(rp_close(co, reading), ==, 0);
    remove_file(co, "fifo");
    remove_folder(co);
}

/* Around the cache: reads and writes are of whole blocks. */
CO_TEST(direct)
{
    enum { SIZE = 8192 };
    char *bytes = aligned_alloc(SIZE, SIZE);

    make_folder(co);
    rp_fd fd = rp_open(co, in_folder("file"), O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (fd == -EINVAL) {
        free(bytes);
        remove_folder(co);
        SKIP("this file system knows nothing but its cache");
    }
    CHECK_INT(fd, >=, 0);
    memset(bytes, 'd', SIZE);
    CHECK_INT(rp_write(co, fd, bytes, SIZE, 0), ==, SIZE);
    CHECK_INT(rp_write(co, fd, bytes, SIZE, SIZE), ==, SIZE);
    memset(bytes, 0, SIZE);
    CHECK_INT(rp_read(co, fd, bytes, SIZE, SIZE), ==, SIZE);
    CHECK(bytes[0] == 'd' && bytes[SIZE - 1] == 'd');
    CHECK_INT(rp_read(co, fd, bytes, SIZE, 2 * SIZE), ==, 0);
    CHECK_INT(rp_write(co, fd, bytes + 1, 100, 1), ==, -EINVAL);
    CHECK_INT(rp_close(co, fd), ==, 0);
    free(bytes);
    remove_file(co, "file");
    remove_folder(co);
}

static void on_alarm(int number)
{
    (void)number;
}

/* Signals that come meanwhile are nobody's error. */
CO_TEST(interrupted)
{
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval often = {{0, 200}, {0, 200}}, never = {0};
    char bytes[4096] = "";

    make_folder(co);
    CHECK_INT(sigaction(SIGALRM, &action, &before), ==, 0);
    CHECK_INT(setitimer(ITIMER_REAL, &often, NULL), ==, 0);
    for (int i = 0; i < 200; i++) {
        make_file(co, "from", bytes, sizeof bytes, i * 4096);
        CHECK_INT(rp_rename(co, in_folder("from"), in_folder("to")), ==, 0);
        CHECK_INT(rp_truncate(co, in_folder("to"), 10), ==, 0);
        remove_file(co, "to");
    }
    CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), ==, 0);
    CHECK_INT(sigaction(SIGALRM, &before, NULL), ==, 0);
    remove_folder(co);
}
#else
TEST_ABSENT(fifos, "named pipes of Windows are no files");
TEST_ABSENT(direct, "files of Windows are opened with its cache");
TEST_ABSENT(interrupted, "no signal interrupts a thread on Windows");
#endif
