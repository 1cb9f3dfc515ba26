/*
 * test_iocp_paths.c - paths of Windows: letters, devices, lengths beyond MAX_PATH; and what its files are that those of
 * Linux are not.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness/support.h"

static rp_proactor *port;
static rp_fd directory;
static char base[MAX_PATH + 64]; /* a whole path, with '\' */

static int64_t open_at(rp_fd at, const char *path, int flags, uint32_t mode)
{
    rp_op op;

    rp_op_openat(&op, at, path, flags, mode, NULL, NULL);
    return perform(port, &op);
}

static void close_file(int64_t fd)
{
    CHECK_INT(fd, >, 0);
    CHECK(CloseHandle((HANDLE)(intptr_t)fd));
}

static struct statx status_at(rp_fd at, const char *path, int flags)
{
    struct statx status;
    rp_op op;

    rp_op_statx(&op, at, path, flags, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    return status;
}

static const char *under_base(const char *path)
{
    static char whole[1024];

    snprintf(whole, sizeof whole, "%s%s", base, path);
    return whole;
}

static void set_up(void)
{
    char current[MAX_PATH];

    port = open_port();
    CHECK(GetCurrentDirectoryA(sizeof current, current) > 0);
    snprintf(base, sizeof base, "%s\\rp-paths-%llx", current, (long long)rp_monotonic());
    CHECK(CreateDirectoryA(base, NULL));
    CHECK(CreateDirectoryA(under_base("\\sub"), NULL));
    directory = (rp_fd)open_at(AT_FDCWD, base, O_RDONLY | O_DIRECTORY, 0);
    CHECK_INT(directory, >, 0);
    close_file(open_at(directory, "file", O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static void tear_down(void)
{
    close_file(directory);
    CHECK(DeleteFileA(under_base("\\file")));
    CHECK(RemoveDirectoryA(under_base("\\sub")));
    CHECK(RemoveDirectoryA(base));
    rp_proactor_close(port);
}

/* ---- grammar ---- */

/* The same file by each of these, and wherever they begin. */
TEST(absolute_paths)
{
    const char *const forms[] = {"%s\\file",        "%s/file",           "%s\\sub\\..\\.\\file", "\\\\?\\%s\\file",
                                 "\\\\.\\%s\\file", "//?/%s/file",       "//./%s/sub/../file",   "%s\\FILE",
                                 "%s\\file. .",     "%s\\sub.\\..\\file"};
    char path[1024];

    set_up();
    uint64_t file = status_at(directory, "file", 0).stx_ino;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(path, sizeof path, forms[i], base);
        CHECK_INT(status_at(AT_FDCWD, path, 0).stx_ino, ==, file);
        CHECK_INT(status_at(directory, path, 0).stx_ino, ==, file);
        close_file(open_at(AT_FDCWD, path, O_RDWR, 0));
    }
    CHECK_INT(status_at(AT_FDCWD, under_base("\\file") + 2, 0).stx_ino, ==, file); /* without a letter */
    CHECK_INT(open_at(AT_FDCWD, "\\\\?\\", O_RDONLY, 0), ==, -ENOENT);
    CHECK_INT(open_at(AT_FDCWD, "\\\\.\\", O_RDONLY, 0), ==, -ENOENT);
    snprintf(path, sizeof path, "\\\\?\\%s/file", base); /* nothing is changed there, so '/' is part of a name */
    CHECK_INT(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT, 0600), ==, -ENOENT);
    snprintf(path, sizeof path, "%.3s", base);
    CHECK_INT(status_at(AT_FDCWD, path, 0).stx_mode & S_IFMT, ==, S_IFDIR);
    tear_down();
}

/* The same path is the same file from the current directory and from that directory's handle. */
TEST(relative_paths)
{
    const char *const paths[] = {"file",     ".\\file",  "sub\\..\\file", "sub/..\\.//file",        "FILE",
                                 "file.",    "file. . ", "sub./../file",  "sub\\...\\..\\..\\file", "./sub/.",
                                 "..",       "..\\.",    "sub\\..\\..",   "sub\\..\\..\\..\\..\\",  "...",
                                 "sub\\ . ", "sub./.",   "sub.\\"};
    char current[MAX_PATH], path[1024];

    set_up();
    CHECK(GetCurrentDirectoryA(sizeof current, current) > 0);
    CHECK(SetCurrentDirectoryA(base));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        printf("%s\n", paths[i]);
        CHECK_INT(status_at(directory, paths[i], 0).stx_ino, ==, status_at(AT_FDCWD, paths[i], 0).stx_ino);
    }
    snprintf(path, sizeof path, "%.2sfile", base); /* "C:file" begins where that drive's current directory is */
    CHECK_INT(status_at(AT_FDCWD, path, 0).stx_ino, ==, status_at(directory, "file", 0).stx_ino);
    CHECK_INT(status_at(directory, path, 0).stx_ino, ==, status_at(directory, "file", 0).stx_ino);
    snprintf(path, sizeof path, "..\\%s\\file", strrchr(base, '\\') + 1);
    CHECK_INT(status_at(directory, path, 0).stx_ino, ==, status_at(directory, "file", 0).stx_ino);
    CHECK(SetCurrentDirectoryA(current));
    tear_down();
}

TEST(devices)
{
    const char *const names[] = {"NUL", "nul", "\\\\.\\NUL", "\\\\?\\NUL"};
    char byte;

    set_up();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t fd = open_at(directory, names[i], O_RDWR | O_CREAT | O_TRUNC, 0600);

        CHECK_INT(fd, >, 0);
        CHECK_INT(GetFileType((HANDLE)(intptr_t)fd), ==, FILE_TYPE_CHAR);
        CHECK_INT(write_at(port, (rp_fd)fd, "x", 1, -1), ==, 1);
        CHECK_INT(read_at(port, (rp_fd)fd, &byte, 1, -1), ==, 0);
        close_file(fd);
        CHECK_INT(status_at(AT_FDCWD, names[i], 0).stx_mode & S_IFMT, ==, S_IFCHR);
    }
    tear_down();
}

TEST(what_is_no_utf8)
{
    const char *const paths[] = {"\xff", "file\xc3", "\xc0\xaf", "\xed\xa0\x80", "sub/\x80/x"};

    set_up();
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        CHECK_INT(open_at(directory, paths[i], O_WRONLY | O_CREAT, 0600), ==, -EILSEQ);
        CHECK_INT(open_at(AT_FDCWD, paths[i], O_RDONLY, 0), ==, -EILSEQ);
    }
    close_file(open_at(directory, "\xf0\x9f\x98\x80\xc3\xa4", O_WRONLY | O_CREAT | O_EXCL, 0600));
    wchar_t path[MAX_PATH + 64];
    swprintf(path, MAX_PATH + 64, L"%hs\\\xd83d\xde00\xe4", base);
    CHECK(DeleteFileW(path));
    tear_down();
}

TEST(names_that_no_file_can_have)
{
    const char *const names[] = {"a*b", "a?b", "a|b", "a<b", "a\"b", "a\tb"};

    test_need_real_windows("a file system with such limits");
    set_up();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(open_at(directory, names[i], O_WRONLY | O_CREAT, 0600), ==, -ENOENT);
    tear_down();
}

/* ---- lengths ---- */

/*
 * Down to 3400 characters, which Wine's own system takes: from the top by a whole path, in steps by handles, and from
 * the current directory.
 */
/* Windows drops spaces at the end: nothing is left then, and that is not the directory. */
TEST(spaces_alone)
{
    const int flags[] = {O_RDONLY, O_WRONLY, O_WRONLY | O_CREAT, O_RDONLY | O_DIRECTORY};

    set_up();
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        for (int k = 0; k < 2; k++) {
            CHECK_INT(open_at(k ? AT_FDCWD : directory, " ", flags[i], 0600), ==, -ENOENT);
            CHECK_INT(open_at(k ? AT_FDCWD : directory, "  ", flags[i], 0600), ==, -ENOENT);
        }
    tear_down();
}

/* Of a file, by its long path, and back again. */
static void change_names(const char *path, rp_fd at)
{
    char other[5000];
    rp_op op;

    snprintf(other, sizeof other, "%s-2", path);
    rp_op_renameat(&op, AT_FDCWD, path, AT_FDCWD, other, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_truncate(&op, other, 3, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status_at(at, "file-2", 0).stx_size, ==, 3);
    rp_op_mkdirat(&op, AT_FDCWD, path, 0700, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_unlinkat(&op, AT_FDCWD, path, AT_REMOVEDIR, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_linkat(&op, at, "file-2", AT_FDCWD, path, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_unlinkat(&op, AT_FDCWD, other, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
}

TEST(beyond_max_path)
{
    enum { DEPTH = 17, LENGTH = 200 };
    wchar_t whole[DEPTH * (LENGTH + 1) + MAX_PATH + 64];
    static char below[DEPTH * (LENGTH + 1)], path[sizeof below + sizeof base];
    char current[MAX_PATH];
    rp_fd at[DEPTH + 1];

    set_up();
    swprintf(whole, sizeof whole / sizeof *whole, L"\\\\?\\%hs", base);
    at[0] = directory;
    for (int i = 0; i < DEPTH; i++) {
        char name[LENGTH + 1] = "";

        memset(name, 'a' + i, LENGTH);
        swprintf(whole + wcslen(whole), LENGTH + 2, L"\\%hs", name);
        CHECK(CreateDirectoryW(whole, NULL));
        snprintf(below + strlen(below), LENGTH + 2, "%s%s", i > 0 ? "/" : "", name);
        at[i + 1] = (rp_fd)open_at(at[i], name, O_RDONLY, 0);
        CHECK_INT(at[i + 1], >, 0);
    }
    snprintf(path, sizeof path, "%s/%s/file", base, below);
    close_file(open_at(at[DEPTH], "file", O_WRONLY | O_CREAT | O_EXCL, 0600));
    uint64_t file = status_at(at[DEPTH], "file", 0).stx_ino;
    CHECK_INT(status_at(AT_FDCWD, path, 0).stx_ino, ==, file);
    CHECK_INT(status_at(directory, path + strlen(base) + 1, 0).stx_ino, ==, file);
    CHECK(GetCurrentDirectoryA(sizeof current, current) > 0);
    CHECK(SetCurrentDirectoryA(base));
    CHECK_INT(status_at(AT_FDCWD, path + strlen(base) + 1, 0).stx_ino, ==, file);
    close_file(open_at(AT_FDCWD, path + strlen(base) + 1, O_RDWR, 0));
    CHECK(SetCurrentDirectoryA(current));
    if (!test_under_wine()) { /* which does not tell the name of so long a directory */
        CHECK_INT(status_at(at[DEPTH], "..", 0).stx_ino, ==, status_at(at[DEPTH - 1], ".", 0).stx_ino);
        CHECK_INT(status_at(at[DEPTH], "../../..", 0).stx_ino, ==, status_at(at[DEPTH - 3], ".", 0).stx_ino);
    }
    CHECK_INT(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600), ==, -EEXIST);
    strcat(path, "/x");
    CHECK_INT(open_at(AT_FDCWD, path, O_RDONLY, 0), ==, -ENOTDIR);

    *strrchr(path, '/') = '\0';
    change_names(path, at[DEPTH]);

    wcscat(whole, L"\\file");
    CHECK(DeleteFileW(whole));
    for (int i = DEPTH - 1; i >= 0; i--) {
        close_file(at[i + 1]);
        *wcsrchr(whole, L'\\') = L'\0';
        CHECK(RemoveDirectoryW(whole));
    }
    tear_down();
}

/* ---- flags, mode and rights ---- */

TEST(rights_are_those_that_were_asked_for)
{
    DWORD flags;
    char byte;

    set_up();
    CHECK_INT(open_at(directory, "sub2", O_RDONLY | O_CREAT | O_DIRECTORY, 0600), ==, -EINVAL);
    int64_t fd = open_at(directory, "file", O_RDONLY | O_TRUNC, 0);
    CHECK_INT(write_at(port, (rp_fd)fd, "x", 1, 0), ==, -EBADF); /* though it could be truncated */
    CHECK_INT(read_at(port, (rp_fd)fd, &byte, 1, 0), ==, 0);
    CHECK(GetHandleInformation((HANDLE)(intptr_t)fd, &flags));
    CHECK_INT(flags & HANDLE_FLAG_INHERIT, ==, 0);
    close_file(fd);
    fd = open_at(directory, "file", O_WRONLY | O_APPEND | O_TRUNC, 0);
    CHECK_INT(write_at(port, (rp_fd)fd, "ab", 2, 0), ==, 2);
    CHECK_INT(write_at(port, (rp_fd)fd, "cd", 2, 0), ==, 2);
    CHECK(GetHandleInformation((HANDLE)(intptr_t)fd, &flags));
    CHECK_INT(flags & HANDLE_FLAG_INHERIT, ==, 0);
    close_file(fd);
    CHECK_INT(status_at(directory, "file", 0).stx_size, ==, 4);
    tear_down();
}

TEST(the_mode_is_that_of_new_files)
{
    set_up();
    close_file(open_at(directory, "file", O_WRONLY | O_CREAT | O_TRUNC, 0400)); /* it is there already */
    CHECK_INT(status_at(directory, "file", 0).stx_mode, ==, S_IFREG | 0666);
    int64_t fd = open_at(directory, "new", O_RDWR | O_CREAT | O_TRUNC, 0400);
    CHECK_INT(write_at(port, (rp_fd)fd, "x", 1, 0), ==, 1);
    CHECK_INT(status_at(directory, "new", 0).stx_mode, ==, S_IFREG | 0444);
    if (!test_under_wine()) /* where root may */
        CHECK_INT(open_at(directory, "new", O_WRONLY | O_CREAT | O_TRUNC, 0600), ==, -EACCES);
    CHECK_INT(status_at(directory, "new", 0).stx_size, ==, 1);
    close_file(fd);
    CHECK(SetFileAttributesA(under_base("\\new"), FILE_ATTRIBUTE_NORMAL));
    CHECK(DeleteFileA(under_base("\\new")));
    tear_down();
}

/* What we open, others may open, rename and remove; what others keep to themselves is busy. */
TEST(sharing)
{
    set_up();
    int64_t fd = open_at(directory, "file", O_RDWR, 0);
    char before[1024];
    strcpy(before, under_base("\\file"));
    CHECK(MoveFileA(before, under_base("\\moved")));
    CHECK_INT(write_at(port, (rp_fd)fd, "x", 1, 0), ==, 1);
    CHECK_INT(status_at((rp_fd)fd, "", AT_EMPTY_PATH).stx_size, ==, 1);
    CHECK(DeleteFileA(under_base("\\moved")));
    close_file(fd);
    HANDLE alone = CreateFileA(under_base("\\file"), GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    CHECK(alone != INVALID_HANDLE_VALUE);
    CHECK_INT(open_at(directory, "file", O_RDONLY, 0), ==, -EBUSY);
    CHECK_INT(status_at(directory, "file", 0).stx_size, ==, 0); /* to ask is no opening */
    CloseHandle(alone);
    tear_down();
}

/* ---- what is no file ---- */

TEST(the_status_of_sockets_and_pipes)
{
    HANDLE reading, writing;
    int fds[2];

    set_up();
    CHECK(CreatePipe(&reading, &writing, NULL, 0));
    CHECK_INT(status_at((rp_fd)reading, "", AT_EMPTY_PATH).stx_mode & S_IFMT, ==, S_IFIFO);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    CHECK_INT(status_at(fds[0], "", AT_EMPTY_PATH).stx_mode & S_IFMT, ==, S_IFSOCK);
    close_pair(fds);
    CloseHandle(reading);
    CloseHandle(writing);
    tear_down();
}
