/*
 * test_files_paths.c - which file a path names, and which error it gives: what openat and statx of Linux say, on every
 * backend.
 *
 * Each path is tried twice: relative to a directory that is open, and behind that directory's own path.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness/support.h"

#ifdef _WIN32
#define make_directory(path) CHECK_INT(mkdir(path), ==, 0)
#else
#define make_directory(path) CHECK_INT(mkdir(path, 0700), ==, 0)
#endif

#define LONG_50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TOO_LONG LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 "yyyyyy" /* 256: a name has 255 at most */

static rp_proactor *port;
static char base[80];
static rp_fd directory;

static const char *under_base(const char *path)
{
    static char whole[512];

    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return whole;
}

static int64_t open_at(rp_fd at, const char *path, int flags)
{
    rp_op op;

    rp_op_openat(&op, at, path, flags, 0600, NULL, NULL);
    return perform(port, &op);
}

static int64_t status_at(rp_fd at, const char *path, int flags, struct statx *status)
{
    rp_op op;

    rp_op_statx(&op, at, path, flags, STATX_BASIC_STATS, status, NULL, NULL);
    return perform(port, &op);
}

static void close_file(rp_fd fd)
{
    rp_op op;

    rp_op_close(&op, fd, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
}

/* A directory that has a file of three bytes, and a directory that has an empty one. */
static void set_up(void)
{
    port = open_port();
    snprintf(base, sizeof base, TEST_TMP "/ringport-paths-%llx", (long long)rp_monotonic());
    make_directory(base);
    make_directory(under_base("sub"));
    directory = (rp_fd)open_at(AT_FDCWD, base, O_RDONLY);
    CHECK_INT(directory, >=, 0);
    rp_fd file = (rp_fd)open_at(directory, "file", O_WRONLY | O_CREAT | O_EXCL);
    CHECK_INT(file, >=, 0);
    CHECK_INT(write_at(port, file, "abc", 3, 0), ==, 3);
    close_file(file);
    close_file((rp_fd)open_at(directory, "sub/inner", O_WRONLY | O_CREAT | O_EXCL));
}

static void tear_down(void)
{
    close_file(directory);
    CHECK_INT(unlink(under_base("sub/inner")), ==, 0);
    CHECK_INT(unlink(under_base("file")), ==, 0);
    CHECK_INT(rmdir(under_base("sub")), ==, 0);
    CHECK_INT(rmdir(base), ==, 0);
    rp_proactor_close(port);
}

/* ---- opening ---- */

typedef struct open_case {
    const char *path;
    int flags;
    int expected;
} open_case;

static const open_case openings[] = {
    {"file", O_RDONLY, 0},
    {"file", O_RDWR, 0},
    {"file", O_WRONLY | O_APPEND, 0},
    {"file", O_WRONLY | O_CREAT, 0},
    {"sub", O_RDONLY, 0},
    {"sub/", O_RDONLY, 0},
    {"sub/.", O_RDONLY, 0},
    {"sub/..", O_RDONLY, 0},
    {"sub//inner", O_RDONLY, 0},
    {"./file", O_RDONLY, 0},
    {".//sub/.././file", O_RDONLY, 0},
    {"sub/../sub/../file", O_RDONLY, 0},
    {".", O_RDONLY, 0},
    {"./", O_RDONLY, 0},
    {"..", O_RDONLY, 0},
    {"../", O_RDONLY, 0},
    {"sub/../..", O_RDONLY, 0},
    {"../../../../../../../../../../../../../../../../../../../..", O_RDONLY, 0}, /* nothing is above the root */

    {"missing", O_RDONLY, -ENOENT},
    {"missing", O_RDWR | O_TRUNC, -ENOENT},
    {"missing/", O_RDONLY, -ENOENT},
    {"missing/.", O_RDONLY, -ENOENT},
    {"missing/x", O_RDONLY, -ENOENT},
    {"missing/x/y", O_WRONLY | O_CREAT, -ENOENT},
    {"missing/x/", O_WRONLY | O_CREAT, -ENOENT},
    {"sub/missing", O_RDONLY, -ENOENT},

    {"file/", O_RDONLY, -ENOTDIR},
    {"file/", O_WRONLY, -ENOTDIR},
    {"file//", O_RDWR | O_TRUNC, -ENOTDIR},
    {"file/.", O_RDONLY, -ENOTDIR},
    {"file/x", O_RDONLY, -ENOTDIR},
    {"file/x", O_WRONLY | O_CREAT, -ENOTDIR},
    {"file/x/", O_WRONLY | O_CREAT, -ENOTDIR},
    {"file/x/y/z", O_RDONLY, -ENOTDIR},
    {"sub/inner/x", O_RDONLY, -ENOTDIR},

    {"sub", O_WRONLY, -EISDIR},
    {"sub", O_RDWR, -EISDIR},
    {"sub/", O_WRONLY, -EISDIR},
    {"sub", O_WRONLY | O_APPEND, -EISDIR},
    {"sub", O_RDONLY | O_TRUNC, -EISDIR},
    {"sub", O_RDONLY | O_CREAT, -EISDIR},
    {"sub", O_WRONLY | O_CREAT | O_TRUNC, -EISDIR},
    {"sub/", O_WRONLY | O_CREAT, -EISDIR},
    {"missing/", O_WRONLY | O_CREAT, -EISDIR},
    {"file/", O_WRONLY | O_CREAT, -EISDIR},
    {".", O_WRONLY, -EISDIR},
    {".", O_WRONLY | O_CREAT, -EISDIR},
    {"..", O_RDWR, -EISDIR},

    {"sub/.", O_WRONLY | O_CREAT, -EISDIR},
    {"file/.", O_WRONLY | O_CREAT, -ENOTDIR},
    {"missing/.", O_WRONLY | O_CREAT, -ENOENT},

    {"file", O_WRONLY | O_CREAT | O_EXCL, -EEXIST},
    {"sub/", O_WRONLY | O_CREAT | O_EXCL, -EISDIR},
    {"file/", O_WRONLY | O_CREAT | O_EXCL, -EISDIR},
    {".", O_WRONLY | O_CREAT | O_EXCL, -EEXIST},
    {"sub/..", O_WRONLY | O_CREAT | O_EXCL, -EEXIST},
    {"file", O_RDWR | O_CREAT | O_EXCL | O_TRUNC, -EEXIST},
    {"sub", O_WRONLY | O_CREAT | O_EXCL, -EEXIST},

    {"sub", O_RDONLY | O_DIRECTORY, 0},
    {".", O_RDONLY | O_DIRECTORY, 0},
    {"file", O_RDONLY | O_DIRECTORY, -ENOTDIR},
    {"file", O_WRONLY | O_DIRECTORY, -ENOTDIR},
    {"missing", O_RDONLY | O_DIRECTORY, -ENOENT},
    {"sub", O_WRONLY | O_DIRECTORY, -EISDIR},
    {"file", O_RDONLY | O_NOFOLLOW, 0},
    {"sub", O_RDONLY | O_NOFOLLOW, 0},
    {"sub", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, 0},

    {TOO_LONG, O_RDONLY, -ENAMETOOLONG},
    {TOO_LONG, O_WRONLY | O_CREAT, -ENAMETOOLONG},
    {TOO_LONG "/", O_RDONLY, -ENAMETOOLONG},
    {TOO_LONG "/x", O_RDONLY, -ENAMETOOLONG},
    {"sub/" TOO_LONG, O_RDONLY, -ENAMETOOLONG},
    {"missing/" TOO_LONG, O_RDONLY, -ENOENT},
    {"file/" TOO_LONG, O_RDONLY, -ENOTDIR},
};

static void try_opening(const open_case *c, rp_fd at, const char *path)
{
    int64_t fd = open_at(at, path, c->flags);

    if (fd >= 0)
        close_file((rp_fd)fd);
    if ((fd < 0 ? fd : 0) != c->expected)
        fprintf(stderr, "%.99s, opened with flags 0x%x:\n", path, (unsigned)c->flags);
    CHECK_INT(fd < 0 ? fd : 0, ==, c->expected);
}

TEST(what_opening_gives)
{
    set_up();
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        try_opening(&openings[i], directory, openings[i].path);
        try_opening(&openings[i], AT_FDCWD, under_base(openings[i].path));
    }
    CHECK_INT(open_at(directory, "", O_RDONLY), ==, -ENOENT);
    CHECK_INT(open_at(AT_FDCWD, "", O_RDONLY), ==, -ENOENT);
    tear_down();
}

TEST(what_is_no_directory_to_begin_at)
{
    struct statx status;

    set_up();
    rp_fd file = (rp_fd)open_at(directory, "file", O_RDONLY), null = (rp_fd)open_at(AT_FDCWD, TEST_NULL, O_RDONLY);
    int fds[2];
    CHECK_INT(file, >=, 0);
    CHECK_INT(null, >=, 0);
    CHECK_INT(pipe(fds), ==, 0);
    const rp_fd wrong[] = {file, null, fds[0]};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_INT(open_at(wrong[i], "x", O_RDONLY), ==, -ENOTDIR);
        CHECK_INT(open_at(wrong[i], ".", O_RDONLY), ==, -ENOTDIR);
        CHECK_INT(open_at(wrong[i], "..", O_RDONLY), ==, -ENOTDIR);
        CHECK_INT(open_at(wrong[i], "x", O_WRONLY | O_CREAT), ==, -ENOTDIR);
        CHECK_INT(status_at(wrong[i], "x", 0, &status), ==, -ENOTDIR);
    }
    CHECK_INT(open_at(-1, "x", O_RDONLY), ==, -EBADF);
    CHECK_INT(open_at(99996, "x", O_RDONLY), ==, -EBADF);
    CHECK_INT(status_at(99996, "..", 0, &status), ==, -EBADF);
    close_pair(fds);
    close_file(null);
    close_file(file);
    tear_down();
}

TEST(what_is_longer_than_any_path)
{
    static char path[80000];
    struct statx status;

    set_up();
    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 ? '/' : 'x';
    CHECK_INT(open_at(directory, path, O_RDONLY), ==, -ENAMETOOLONG);
    CHECK_INT(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT), ==, -ENAMETOOLONG);
    CHECK_INT(status_at(directory, path, 0, &status), ==, -ENAMETOOLONG);
    CHECK_INT(status_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &status), ==, -ENAMETOOLONG);
    tear_down();
}

/* ---- O_TRUNC, O_APPEND ---- */

static int64_t size_of(const char *path)
{
    struct statx status;

    CHECK_INT(status_at(directory, path, 0, &status), ==, 0);
    return (int64_t)status.stx_size;
}

TEST(truncating)
{
    const int flags[] = {O_WRONLY, O_RDWR, O_WRONLY | O_CREAT, O_WRONLY | O_APPEND, O_RDWR | O_APPEND | O_CREAT};

    set_up();
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        rp_fd fd = (rp_fd)open_at(directory, "file", flags[i] | O_TRUNC);

        CHECK_INT(fd, >=, 0);
        CHECK_INT(size_of("file"), ==, 0);
        CHECK_INT(write_at(port, fd, "12", 2, -1), ==, 2);
        CHECK_INT(write_at(port, fd, "34", 2, -1), ==, 2);
        CHECK_INT(size_of("file"), ==, 4);
        close_file(fd);
    }
    close_file((rp_fd)open_at(directory, "file", O_WRONLY | O_CREAT));
    CHECK_INT(size_of("file"), ==, 4);
    CHECK_INT(open_at(directory, "file", O_WRONLY | O_CREAT | O_EXCL | O_TRUNC), ==, -EEXIST);
    CHECK_INT(size_of("file"), ==, 4);
    CHECK_INT(open_at(directory, "file/", O_WRONLY | O_TRUNC), ==, -ENOTDIR);
    CHECK_INT(size_of("file"), ==, 4);
    rp_fd null = (rp_fd)open_at(AT_FDCWD, TEST_NULL, O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_INT(null, >=, 0);
    close_file(null);
    tear_down();
}

TEST(appending)
{
    char bytes[16] = "";

    set_up();
    rp_fd one = (rp_fd)open_at(directory, "file", O_WRONLY | O_APPEND);
    rp_fd two = (rp_fd)open_at(directory, "./sub/../file", O_RDWR | O_APPEND);
    CHECK_INT(one, >=, 0);
    CHECK_INT(two, >=, 0);
    CHECK_INT(write_at(port, one, "1", 1, -1), ==, 1);
    CHECK_INT(write_at(port, two, "2", 1, -1), ==, 1);
    CHECK_INT(write_at(port, one, "3", 1, -1), ==, 1);
    CHECK_INT(write_at(port, two, "4", 1, 0), ==, 1); /* at the end, wherever it is told to */
    CHECK_INT(read_at(port, two, bytes, sizeof bytes, 0), ==, 7);
    CHECK(memcmp(bytes, "abc1234", 7) == 0);
    CHECK_INT(read_at(port, one, bytes, sizeof bytes, 0), ==, -EBADF);
    close_file(one);
    close_file(two);
    tear_down();
}

/* ---- status ---- */

typedef struct status_case {
    const char *path;
    int flags;
    int expected; /* S_IFREG, S_IFDIR or an error */
} status_case;

static const status_case statuses[] = {
    {"file", 0, S_IFREG},
    {"file", AT_SYMLINK_NOFOLLOW, S_IFREG},
    {"file", AT_EMPTY_PATH, S_IFREG},
    {"sub", 0, S_IFDIR},
    {"sub/", 0, S_IFDIR},
    {"sub/", AT_SYMLINK_NOFOLLOW, S_IFDIR},
    {"sub/..", 0, S_IFDIR},
    {"sub/inner", 0, S_IFREG},
    {".", 0, S_IFDIR},
    {"..", AT_SYMLINK_NOFOLLOW, S_IFDIR},
    {"missing", 0, -ENOENT},
    {"missing", AT_SYMLINK_NOFOLLOW, -ENOENT},
    {"missing/", 0, -ENOENT},
    {"missing/x", 0, -ENOENT},
    {"file/", 0, -ENOTDIR},
    {"file/", AT_SYMLINK_NOFOLLOW, -ENOTDIR},
    {"file/.", 0, -ENOTDIR},
    {"file/x", 0, -ENOTDIR},
    {"file/x/y", AT_SYMLINK_NOFOLLOW, -ENOTDIR},
    {TOO_LONG, 0, -ENAMETOOLONG},
};

static void try_status(const status_case *c, rp_fd at, const char *path)
{
    struct statx status;
    int64_t rc = status_at(at, path, c->flags, &status), result = rc < 0 ? rc : status.stx_mode & S_IFMT;

    if (result != c->expected)
        fprintf(stderr, "the status of %.99s, flags 0x%x:\n", path, (unsigned)c->flags);
    CHECK_INT(result, ==, c->expected);
}

TEST(what_statx_gives)
{
    struct statx one, two;

    set_up();
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        try_status(&statuses[i], directory, statuses[i].path);
        try_status(&statuses[i], AT_FDCWD, under_base(statuses[i].path));
    }
    CHECK_INT(status_at(directory, "", 0, &one), ==, -ENOENT);
    CHECK_INT(status_at(AT_FDCWD, "", 0, &one), ==, -ENOENT);
    CHECK_INT(status_at(AT_FDCWD, "", AT_EMPTY_PATH, &one), ==, 0);
    CHECK_INT(status_at(AT_FDCWD, ".", 0, &two), ==, 0);
    CHECK_INT(one.stx_ino, ==, two.stx_ino);
    CHECK_INT(status_at(directory, "", AT_EMPTY_PATH, &one), ==, 0);
    CHECK_INT(status_at(AT_FDCWD, base, 0, &two), ==, 0);
    CHECK_INT(one.stx_ino, ==, two.stx_ino);
    CHECK_INT(status_at(directory, "../.", 0, &one), ==, 0);
    CHECK_INT(status_at(AT_FDCWD, TEST_TMP, 0, &two), ==, 0);
    CHECK_INT(one.stx_ino, ==, two.stx_ino);
    tear_down();
}

/* What is open goes on being the place where paths begin, under whichever name. */
TEST(a_directory_that_is_renamed)
{
    struct statx status;
    char before[80];

    set_up();
    strcpy(before, base);
    strcat(base, "-renamed");
    CHECK_INT(rename(before, base), ==, 0);
    make_directory(before); /* another has its name now */
    CHECK_INT(status_at(directory, "file", 0, &status), ==, 0);
    close_file((rp_fd)open_at(directory, "sub/../sub/inner", O_RDWR));
    CHECK_INT(status_at(AT_FDCWD, before, 0, &status), ==, 0);
    CHECK_INT(rmdir(before), ==, 0);
    tear_down();
}
