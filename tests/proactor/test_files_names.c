/*
 * test_files_names.c - rename, unlink, mkdir, symlink, link, readlink, truncate: what Linux says, on every backend.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness/support.h"
#include "proactor/proactor.h"

static rp_proactor *port;
static char base[80];
static rp_fd directory;

/* ---- the operations ---- */

static int64_t open_file(const char *path, int flags)
{
    rp_op op;

    rp_op_openat(&op, directory, path, flags, 0600, NULL, NULL);
    return perform(port, &op);
}

static void close_file(int64_t fd)
{
    rp_op op;

    CHECK_INT(fd, >=, 0);
    rp_op_close(&op, (rp_fd)fd, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
}

static int64_t rename_to(const char *from, const char *to, int flags)
{
    rp_op op;

    rp_op_renameat(&op, directory, from, directory, to, flags, NULL, NULL);
    return perform(port, &op);
}

static int64_t remove_name(const char *path, int flags)
{
    rp_op op;

    rp_op_unlinkat(&op, directory, path, flags, NULL, NULL);
    return perform(port, &op);
}

static int64_t make_directory(const char *path)
{
    rp_op op;

    rp_op_mkdirat(&op, directory, path, 0700, NULL, NULL);
    return perform(port, &op);
}

static int64_t link_to(const char *from, const char *to)
{
    rp_op op;

    rp_op_linkat(&op, directory, from, directory, to, 0, NULL, NULL);
    return perform(port, &op);
}

static int64_t status_of(const char *path, int flags, struct statx *status)
{
    rp_op op;

    rp_op_statx(&op, directory, path, flags, STATX_BASIC_STATS, status, NULL, NULL);
    return perform(port, &op);
}

static bool is_there(const char *path)
{
    struct statx status;
    int64_t rc = status_of(path, AT_SYMLINK_NOFOLLOW, &status);

    CHECK(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

/* ---- files to try them on ---- */

static void make_file(const char *path, const char *bytes)
{
    int64_t fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);

    CHECK_INT(write_at(port, (rp_fd)fd, bytes, strlen(bytes), 0), ==, strlen(bytes));
    close_file(fd);
}

static void check_bytes(const char *path, const char *bytes)
{
    char found[16] = "";
    int64_t fd = open_file(path, O_RDONLY);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(read_at(port, (rp_fd)fd, found, sizeof found, 0), ==, strlen(bytes));
    CHECK_STR(found, bytes);
    close_file(fd);
}

/* Nobody may write to it. */
static void make_read_only(const char *path, const char *bytes)
{
    rp_op op;

    make_file(path, bytes);
#ifndef _WIN32
    CHECK_INT(fchmodat((int)directory, path, 0400, 0), ==, 0);
    (void)op;
#else
    CHECK_INT(remove_name(path, 0), ==, 0);
    rp_op_openat(&op, directory, path, O_WRONLY | O_CREAT | O_EXCL, 0400, NULL, NULL);
    int64_t fd = perform(port, &op);
    CHECK_INT(write_at(port, (rp_fd)fd, bytes, strlen(bytes), 0), ==, strlen(bytes));
    close_file(fd);
#endif
}

static void set_up(void)
{
    rp_op op;

    port = open_port();
    snprintf(base, sizeof base, TEST_TMP "/ringport-names-%llx", (long long)rp_monotonic());
    rp_op_mkdirat(&op, AT_FDCWD, base, 0700, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_openat(&op, AT_FDCWD, base, O_RDONLY | O_DIRECTORY, 0, NULL, NULL);
    directory = (rp_fd)perform(port, &op);
    CHECK_INT(directory, >=, 0);
}

/* The test has removed what it has made. */
static void tear_down(void)
{
    rp_op op;

    close_file(directory);
    rp_op_unlinkat(&op, AT_FDCWD, base, AT_REMOVEDIR, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_proactor_close(port);
}

/* ---- renaming ---- */

TEST(renaming)
{
    set_up();
    make_file("one", "1");
    CHECK_INT(rename_to("one", "two", 0), ==, 0);
    CHECK(!is_there("one"));
    check_bytes("two", "1");
    make_file("three", "3");
    CHECK_INT(rename_to("two", "three", RENAME_NOREPLACE), ==, -EEXIST);
    check_bytes("three", "3");
    CHECK_INT(rename_to("two", "three", 0), ==, 0); /* replaces it */
    CHECK(!is_there("two"));
    check_bytes("three", "1");
    CHECK_INT(rename_to("three", "four", RENAME_NOREPLACE), ==, 0);
    CHECK_INT(rename_to("four", "four", 0), ==, 0);
    CHECK_INT(rename_to("missing", "x", 0), ==, -ENOENT);
    CHECK_INT(rename_to("four", "missing/x", 0), ==, -ENOENT);
    CHECK_INT(rename_to("four", "four/x", 0), ==, -ENOTDIR);
    CHECK_INT(rename_to("", "x", 0), ==, -ENOENT);
    CHECK_INT(rename_to("four", "x", 1 << 20), ==, -EINVAL);
    check_bytes("four", "1");
    CHECK_INT(remove_name("four", 0), ==, 0);
    tear_down();
}

TEST(renaming_directories)
{
    set_up();
    CHECK_INT(make_directory("sub"), ==, 0);
    make_file("sub/inner", "i");
    make_file("file", "f");
    CHECK_INT(rename_to("sub", "other", 0), ==, 0);
    check_bytes("other/inner", "i");
    CHECK_INT(rename_to("file", "other", 0), ==, -EISDIR);
    CHECK_INT(rename_to("other", "file", 0), ==, -ENOTDIR);
    CHECK_INT(make_directory("empty"), ==, 0);
    CHECK_INT(rename_to("empty", "other", 0), ==, -ENOTEMPTY);
    CHECK_INT(rename_to("other", "empty", 0), ==, 0); /* an empty one may be replaced */
    check_bytes("empty/inner", "i");
    CHECK(!is_there("other"));
    CHECK_INT(rename_to("file", "empty/inner", 0), ==, 0);
    check_bytes("empty/inner", "f");
    CHECK_INT(rename_to("empty/.", "x", 0), ==, -EBUSY);
    CHECK_INT(remove_name("empty/inner", 0), ==, 0);
    CHECK_INT(remove_name("empty", AT_REMOVEDIR), ==, 0);
    tear_down();
}

TEST(replacing_what_is_read_only)
{
    set_up();
    make_read_only("old", "o");
    make_file("new", "n");
    CHECK_INT(rename_to("new", "old", 0), ==, 0);
    check_bytes("old", "n");
    CHECK_INT(remove_name("old", 0), ==, 0);
    tear_down();
}

/* Whoever has it open goes on reading it. */
TEST(replacing_what_is_open)
{
    char byte;

#ifdef _WIN32
    test_need_real_windows("new names for what is open");
#endif
    set_up();
    make_file("old", "o");
    make_file("new", "n");
    int64_t fd = open_file("old", O_RDONLY);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(rename_to("new", "old", 0), ==, 0);
    CHECK_INT(read_at(port, (rp_fd)fd, &byte, 1, 0), ==, 1);
    CHECK_INT(byte, ==, 'o');
    close_file(fd);
    check_bytes("old", "n");
    CHECK_INT(remove_name("old", 0), ==, 0);
    tear_down();
}

/* ---- making and removing ---- */

TEST(removing)
{
    char byte;

    set_up();
    make_file("file", "f");
    CHECK_INT(make_directory("sub"), ==, 0);
    CHECK_INT(make_directory("sub/deep"), ==, 0);
    CHECK_INT(remove_name("sub", 0), ==, -EISDIR);
    CHECK_INT(remove_name("file", AT_REMOVEDIR), ==, -ENOTDIR);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, -ENOTEMPTY);
    CHECK_INT(remove_name("missing", 0), ==, -ENOENT);
    CHECK_INT(remove_name("missing", AT_REMOVEDIR), ==, -ENOENT);
    CHECK_INT(remove_name("file/", 0), ==, -ENOTDIR);
    CHECK_INT(remove_name("file/x", 0), ==, -ENOTDIR);
    CHECK_INT(remove_name("sub/.", AT_REMOVEDIR), ==, -EINVAL);
    CHECK_INT(remove_name("", 0), ==, -ENOENT);
    CHECK_INT(remove_name("file", 1 << 20), ==, -EINVAL);
    CHECK_INT(remove_name("sub/deep/", AT_REMOVEDIR), ==, 0);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, 0);
    CHECK(!is_there("sub"));

    int64_t fd = open_file("file", O_RDONLY); /* what is open is removed all the same */
    CHECK_INT(fd, >=, 0);
    CHECK_INT(remove_name("file", 0), ==, 0);
    CHECK_INT(read_at(port, (rp_fd)fd, &byte, 1, 0), ==, 1);
    CHECK_INT(byte, ==, 'f');
    close_file(fd);
    CHECK(!is_there("file"));
    make_read_only("file", "r");
    CHECK_INT(remove_name("file", 0), ==, 0);
    CHECK(!is_there("file"));
    tear_down();
}

TEST(making_directories)
{
    struct statx status;

    set_up();
    make_file("file", "f");
    CHECK_INT(make_directory("sub"), ==, 0);
    CHECK_INT(make_directory("sub"), ==, -EEXIST);
    CHECK_INT(make_directory("file"), ==, -EEXIST);
    CHECK_INT(make_directory("."), ==, -EEXIST);
    CHECK_INT(make_directory("missing/sub"), ==, -ENOENT);
    CHECK_INT(make_directory("file/sub"), ==, -ENOTDIR);
    CHECK_INT(make_directory("sub/with-slash/"), ==, 0);
    CHECK_INT(status_of("sub/with-slash", 0, &status), ==, 0);
    CHECK_INT(status.stx_mode & S_IFMT, ==, S_IFDIR);
#ifndef _WIN32
    CHECK_INT(status.stx_mode & 0777, ==, 0700);
#endif
    CHECK_INT(remove_name("sub/with-slash", AT_REMOVEDIR), ==, 0);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, 0);
    CHECK_INT(remove_name("file", 0), ==, 0);
    tear_down();
}

/* ---- links ---- */

TEST(second_names)
{
    struct statx status;

    set_up();
    make_file("file", "f");
    CHECK_INT(make_directory("sub"), ==, 0);
    CHECK_INT(link_to("file", "second"), ==, 0);
    CHECK_INT(link_to("file", "second"), ==, -EEXIST);
    CHECK_INT(link_to("sub", "third"), ==, -EPERM);
    CHECK_INT(link_to("missing", "third"), ==, -ENOENT);
    CHECK_INT(status_of("second", 0, &status), ==, 0);
    CHECK_INT(status.stx_nlink, ==, 2);
    CHECK_INT(remove_name("file", 0), ==, 0);
    check_bytes("second", "f");
    CHECK_INT(remove_name("second", 0), ==, 0);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, 0);
    tear_down();
}

static int64_t symlink_to(const char *target, const char *path)
{
    rp_op op;

    rp_op_symlinkat(&op, target, directory, path, NULL, NULL);
    return perform(port, &op);
}

static int64_t read_link(const char *path, char *target, size_t size)
{
    rp_op op;

    rp_op_readlinkat(&op, directory, path, target, size, NULL, NULL);
    return perform(port, &op);
}

TEST(what_is_no_link)
{
    char target[8];

    set_up();
    make_file("file", "f");
    CHECK_INT(read_link("file", target, sizeof target), ==, -EINVAL);
    CHECK_INT(read_link(".", target, sizeof target), ==, -EINVAL);
    CHECK_INT(read_link("missing", target, sizeof target), ==, -ENOENT);
    CHECK_INT(remove_name("file", 0), ==, 0);
    tear_down();
}

TEST(symbolic_links)
{
    char target[16] = "";
    struct statx status;

#ifdef _WIN32
    test_need_real_windows("symbolic links");
#endif
    set_up();
    make_file("file", "f");
    CHECK_INT(make_directory("sub"), ==, 0);
    int64_t rc = symlink_to("file", "link");
#ifdef _WIN32
    if (rc == -EPERM)
        SKIP("this user may make no links, and developer mode is off");
#endif
    CHECK_INT(rc, ==, 0);
    check_bytes("link", "f");
    CHECK_INT(read_link("link", target, sizeof target), ==, 4);
    CHECK(memcmp(target, "file", 4) == 0);
    CHECK_INT(read_link("link", target, 2), ==, 2); /* the rest is cut off */
    CHECK_INT(read_link("link", target, 0), ==, -EINVAL);
    CHECK_INT(symlink_to("file", "link"), ==, -EEXIST);
    CHECK_INT(symlink_to("", "other"), ==, -ENOENT);
    CHECK_INT(symlink_to("nowhere", "dangling"), ==, 0);
    CHECK_INT(status_of("dangling", 0, &status), ==, -ENOENT);
    CHECK_INT(symlink_to("sub", "to-directory"), ==, 0);
    CHECK_INT(status_of("to-directory", 0, &status), ==, 0);
    CHECK_INT(status.stx_mode & S_IFMT, ==, S_IFDIR);
    CHECK_INT(status_of("to-directory", AT_SYMLINK_NOFOLLOW, &status), ==, 0);
    CHECK_INT(status.stx_mode & S_IFMT, ==, S_IFLNK);
    CHECK_INT(remove_name("to-directory", AT_REMOVEDIR), ==, -ENOTDIR); /* it is a link */
    CHECK_INT(remove_name("to-directory", 0), ==, 0);
    CHECK_INT(rename_to("link", "renamed", 0), ==, 0); /* the link, not the file */
    CHECK_INT(read_link("renamed", target, sizeof target), ==, 4);
    CHECK_INT(remove_name("renamed", 0), ==, 0);
    CHECK_INT(remove_name("dangling", 0), ==, 0);
    check_bytes("file", "f");
    CHECK_INT(remove_name("file", 0), ==, 0);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, 0);
    tear_down();
}

/* ---- lengths ---- */

static int64_t truncate_open(int64_t fd, int64_t length)
{
    rp_op op;

    rp_op_ftruncate(&op, (rp_fd)fd, length, NULL, NULL);
    return perform(port, &op);
}

static int64_t truncate_path(const char *name, int64_t length)
{
    char path[160];
    rp_op op;

    snprintf(path, sizeof path, "%s/%s", base, name);
    rp_op_truncate(&op, path, length, NULL, NULL);
    return perform(port, &op);
}

static int64_t length_of(const char *path)
{
    struct statx status;

    CHECK_INT(status_of(path, 0, &status), ==, 0);
    return (int64_t)status.stx_size;
}

TEST(lengths)
{
    int fds[2];

    set_up();
    make_file("file", "0123456789");
    CHECK_INT(make_directory("sub"), ==, 0);
    int64_t writing = open_file("file", O_RDWR), reading = open_file("file", O_RDONLY);
    CHECK_INT(writing, >=, 0);
    CHECK_INT(reading, >=, 0);
    CHECK_INT(truncate_open(writing, 4), ==, 0);
    check_bytes("file", "0123");
    CHECK_INT(truncate_path("file", 2), ==, 0);
    check_bytes("file", "01");
    CHECK_INT(truncate_open(writing, 0), ==, 0);
    CHECK_INT(truncate_open(writing, 100), ==, 0);
    CHECK_INT(length_of("file"), ==, 100);
    CHECK_INT(truncate_open(writing, -1), ==, -EINVAL);
    CHECK_INT(truncate_path("file", -1), ==, -EINVAL);
    CHECK_INT(truncate_open(reading, 1), ==, -EINVAL);
    CHECK_INT(truncate_open(-1, 1), ==, -EBADF);
    CHECK_INT(truncate_path("sub", 1), ==, -EISDIR);
    CHECK_INT(truncate_path("missing", 1), ==, -ENOENT);
    CHECK_INT(length_of("file"), ==, 100);
    CHECK_INT(pipe(fds), ==, 0);
    CHECK_INT(truncate_open(fds[1], 0), ==, -EINVAL);
    close_pair(fds);
    close_file(reading);
    close_file(writing);
    CHECK_INT(remove_name("file", 0), ==, 0);
    CHECK_INT(remove_name("sub", AT_REMOVEDIR), ==, 0);
    tear_down();
}

/* Offsets and lengths have 64 bits everywhere. The file has holes, and takes little room. */
TEST(beyond_four_gigabytes)
{
    const int64_t places[] = {(INT64_C(1) << 31) - 1, (INT64_C(1) << 32) - 1, INT64_C(5) << 30};
    char bytes[4] = "";

    set_up();
    int64_t fd = open_file("large", O_RDWR | O_CREAT | O_EXCL);
    CHECK_INT(fd, >=, 0);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        CHECK_INT(write_at(port, (rp_fd)fd, "abc", 3, places[i]), ==, 3);
        CHECK_INT(length_of("large"), ==, places[i] + 3);
        CHECK_INT(read_at(port, (rp_fd)fd, bytes, 4, places[i] + 1), ==, 2);
        CHECK(memcmp(bytes, "bc", 2) == 0);
    }
    CHECK_INT(read_at(port, (rp_fd)fd, bytes, 3, places[0]), ==, 3);
    CHECK(memcmp(bytes, "abc", 3) == 0);
    CHECK_INT(truncate_open(fd, (INT64_C(1) << 32) + 1), ==, 0);
    CHECK_INT(length_of("large"), ==, (INT64_C(1) << 32) + 1);
    CHECK_INT(truncate_path("large", INT64_C(6) << 30), ==, 0);
    CHECK_INT(length_of("large"), ==, INT64_C(6) << 30);
    close_file(fd);
    CHECK_INT(remove_name("large", 0), ==, 0);
    tear_down();
}

/* ---- cancelling ---- */

/* A directory is made, or it is cancelled: the result says which. */
TEST(cancelled_or_done)
{
    enum { COUNT = 50 };
    static char names[COUNT][16];
    static rp_op ops[COUNT];
    uint64_t allocations;

    set_up();
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "directory%d", i);
        rp_op_mkdirat(&ops[i], directory, names[i], 0700, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i += 2)
        rp_proactor_cancel(port, &ops[i]);
    for (int i = 0; i < COUNT; i++) {
        int64_t result = finish(port, &ops[i]);

        CHECK(result == 0 || (i % 2 == 0 && result == -ECANCELED));
        CHECK_INT(is_there(names[i]), ==, result == 0);
        if (result == 0)
            CHECK_INT(remove_name(names[i], AT_REMOVEDIR), ==, 0);
    }
    CHECK_INT(port->in_flight, ==, 0);
    allocations = test_allocations();
#ifndef _WIN32 /* where each path is translated */
    CHECK_INT(make_directory("more"), ==, 0);
    CHECK_INT(remove_name("more", AT_REMOVEDIR), ==, 0);
#endif
    CHECK_INT(test_allocations(), ==, allocations);
    tear_down();
}
