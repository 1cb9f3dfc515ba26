/*
 * test_real_paths.c - links, junctions, files of Unix sockets, names of devices and volumes: what Wine has otherwise.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness/support.h"
#include "proactor/directory.h"
/* After it: */
#include <winioctl.h>

static rp_proactor *port;
static rp_fd directory;
static char base[MAX_PATH + 64];

static int64_t open_at(rp_fd at, const char *path, int flags)
{
    rp_op op;

    rp_op_openat(&op, at, path, flags, 0600, NULL, NULL);
    return perform(port, &op);
}

static void close_file(int64_t fd)
{
    CHECK_INT(fd, >, 0);
    CHECK(CloseHandle((HANDLE)(intptr_t)fd));
}

static int64_t status_at(rp_fd at, const char *path, int flags, struct statx *status)
{
    rp_op op;

    rp_op_statx(&op, at, path, flags, STATX_BASIC_STATS, status, NULL, NULL);
    return perform(port, &op);
}

/* The kind of file that a path leads to, or the error. */
static int64_t kind_at(const char *path, int flags)
{
    struct statx status;
    int64_t rc = status_at(directory, path, flags, &status);

    return rc < 0 ? rc : status.stx_mode & S_IFMT;
}

static uint64_t id_at(rp_fd at, const char *path)
{
    struct statx status;

    CHECK_INT(status_at(at, path, 0, &status), ==, 0);
    return status.stx_ino;
}

static const char *under_base(const char *path)
{
    static char paths[4][1024]; /* for several in one call */
    static unsigned next;
    char *whole = paths[next++ % 4];

    snprintf(whole, sizeof paths[0], "%s\\%s", base, path);
    return whole;
}

static void set_up(void)
{
    char current[MAX_PATH];

    port = open_port();
    CHECK(GetCurrentDirectoryA(sizeof current, current) > 0);
    snprintf(base, sizeof base, "%s\\rp-real-%llx", current, (long long)rp_monotonic());
    CHECK(CreateDirectoryA(base, NULL));
    CHECK(CreateDirectoryA(under_base("sub"), NULL));
    directory = (rp_fd)open_at(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
    CHECK_INT(directory, >, 0);
    close_file(open_at(directory, "file", O_WRONLY | O_CREAT | O_EXCL));
    close_file(open_at(directory, "sub\\inner", O_WRONLY | O_CREAT | O_EXCL));
}

static void tear_down(void)
{
    close_file(directory);
    CHECK(DeleteFileA(under_base("sub\\inner")));
    CHECK(DeleteFileA(under_base("file")));
    CHECK(RemoveDirectoryA(under_base("sub")));
    CHECK(RemoveDirectoryA(base));
    rp_proactor_close(port);
}

/* ---- links ---- */

/* Needs the privilege or Windows' developer mode. */
static bool make_link(const char *name, const char *target, bool to_directory)
{
    enum { UNPRIVILEGED = 2 };

    return CreateSymbolicLinkA(under_base(name), target, (to_directory ? 1 : 0) | UNPRIVILEGED);
}

static void try_links(void)
{
    CHECK_INT(kind_at("link", 0), ==, S_IFREG);
    CHECK_INT(kind_at("link", AT_SYMLINK_NOFOLLOW), ==, S_IFLNK);
    CHECK_INT(kind_at("link/", AT_SYMLINK_NOFOLLOW), ==, -ENOTDIR);
    CHECK_INT(kind_at("link/x", 0), ==, -ENOTDIR);
    close_file(open_at(directory, "link", O_RDWR));
    CHECK_INT(open_at(directory, "link", O_RDONLY | O_NOFOLLOW), ==, -ELOOP);
    CHECK_INT(open_at(directory, "link", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW), ==, -ELOOP);
    CHECK_INT(open_at(directory, "link", O_WRONLY | O_CREAT | O_EXCL), ==, -EEXIST);

    CHECK_INT(kind_at("to-sub", 0), ==, S_IFDIR);
    CHECK_INT(kind_at("to-sub", AT_SYMLINK_NOFOLLOW), ==, S_IFLNK);
    CHECK_INT(kind_at("to-sub/", AT_SYMLINK_NOFOLLOW), ==, S_IFDIR);
    CHECK_INT(kind_at("to-sub/inner", AT_SYMLINK_NOFOLLOW), ==, S_IFREG);
    CHECK_INT(open_at(directory, "to-sub", O_RDONLY | O_NOFOLLOW), ==, -ELOOP);
    CHECK_INT(open_at(directory, "to-sub", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ==, -ENOTDIR);
    close_file(open_at(directory, "to-sub/", O_RDONLY | O_NOFOLLOW));

    CHECK_INT(kind_at("around", 0), ==, -ELOOP);
    CHECK_INT(kind_at("around", AT_SYMLINK_NOFOLLOW), ==, S_IFLNK);
    CHECK_INT(open_at(directory, "around", O_RDONLY), ==, -ELOOP);

    CHECK_INT(kind_at("dangling", 0), ==, -ENOENT);
    CHECK_INT(kind_at("dangling", AT_SYMLINK_NOFOLLOW), ==, S_IFLNK);
    CHECK_INT(open_at(directory, "dangling", O_WRONLY | O_CREAT | O_EXCL), ==, -EEXIST);
    CHECK_INT(open_at(directory, "new", O_RDONLY), ==, -ENOENT); /* so it was not created */
    close_file(open_at(directory, "dangling", O_WRONLY | O_CREAT));
    CHECK_INT(kind_at("new", AT_SYMLINK_NOFOLLOW), ==, S_IFREG);
    CHECK(DeleteFileA(under_base("new")));
}

TEST(symbolic_links)
{
    test_need_real_windows("symbolic links");
    set_up();
    bool permitted = make_link("link", "file", false) && make_link("to-sub", "sub", true) &&
                     make_link("around", "around", false) && make_link("dangling", "new", false);
    printf("# symbolic links: %s\n", permitted ? "permitted" : "not permitted (developer mode is off)");
    if (permitted)
        try_links();
    DeleteFileA(under_base("dangling"));
    DeleteFileA(under_base("around"));
    RemoveDirectoryA(under_base("to-sub"));
    DeleteFileA(under_base("link"));
    tear_down();
    if (!permitted)
        SKIP("no right to make symbolic links");
}

/* ---- junctions, which anyone can make ---- */

typedef struct junction {
    DWORD tag;
    WORD length, reserved, target_offset, target_length, print_offset, print_length;
    wchar_t names[MAX_PATH + 128];
} junction;

static bool make_junction(const char *name, const char *target)
{
    junction data = {.tag = IO_REPARSE_TAG_MOUNT_POINT};
    DWORD bytes;

    CHECK(CreateDirectoryA(under_base(name), NULL));
    HANDLE file = CreateFileA(under_base(name), GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                              FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    int length = swprintf(data.names, sizeof data.names / sizeof *data.names, L"\\??\\%hs", target);
    data.target_length = (WORD)(length * (int)sizeof *data.names);
    data.print_offset = (WORD)(data.target_length + sizeof *data.names); /* the printed name is empty */
    data.length = (WORD)(8 + data.print_offset + sizeof *data.names);
    bool ok = DeviceIoControl(file, FSCTL_SET_REPARSE_POINT, &data, 8 + data.length, NULL, 0, &bytes, NULL);
    CloseHandle(file);
    return ok;
}

/* What a listing calls it; 0: it is not there. */
static uint32_t listed_as(const char *name)
{
    static rp_directory_batch batch;
    rp_directory_entry entry;
    uint32_t type = 0;
    int64_t listed = open_at(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);

    while (rp_directory_read((rp_fd)listed, &batch) > 0)
        while (rp_directory_next(&batch, &entry))
            type = strcmp(entry.name, name) == 0 ? entry.type : type;
    close_file(listed);
    return type;
}

TEST(junctions)
{
    char target[MAX_PATH + 64];
    rp_op op;

    test_need_real_windows("junctions");
    set_up();
    CHECK(make_junction("junction", under_base("sub")));
    CHECK_INT(kind_at("junction", 0), ==, S_IFDIR);
    CHECK_INT(kind_at("junction", AT_SYMLINK_NOFOLLOW), ==, S_IFLNK);
    CHECK_INT(open_at(directory, "junction", O_RDONLY | O_NOFOLLOW), ==, -ELOOP);
    int64_t through = open_at(directory, "junction", O_RDONLY | O_DIRECTORY);
    CHECK_INT(id_at((rp_fd)through, "inner"), ==, id_at(directory, "sub/inner"));
    CHECK_INT(id_at((rp_fd)through, ".."), ==, id_at(directory, ".")); /* of where it leads to */
    CHECK_INT(id_at(directory, "junction/inner"), ==, id_at(directory, "sub/inner"));
    close_file(through);
    CHECK_INT(listed_as("junction"), ==, S_IFLNK);
    CHECK_INT(listed_as("sub"), ==, S_IFDIR);
    CHECK_INT(listed_as("file"), ==, S_IFREG);
    rp_op_readlinkat(&op, directory, "junction", target, sizeof target, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, strlen(under_base("sub")));
    CHECK(memcmp(target, under_base("sub"), strlen(under_base("sub"))) == 0);
    rp_op_unlinkat(&op, directory, "junction", AT_REMOVEDIR, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOTDIR);
    rp_op_unlinkat(&op, directory, "junction", 0, NULL, NULL); /* it alone, and nothing that it leads to */
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(kind_at("junction", AT_SYMLINK_NOFOLLOW), ==, -ENOENT);
    CHECK_INT(kind_at("sub/inner", 0), ==, S_IFREG);
    tear_down();
}

/* A reparse point that Windows knows nothing of. */
TEST(unknown_reparse_points)
{
    struct {
        DWORD tag;
        WORD length, reserved;
        GUID owner;
        char data[8];
    } data = {.tag = 0x1234, .length = 8, .owner = {0x7269, 0x6e67, 0x706f, {'r', 't'}}};
    DWORD bytes;

    test_need_real_windows("reparse points");
    set_up();
    HANDLE file =
        CreateFileA(under_base("file"), GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    CHECK(DeviceIoControl(file, FSCTL_SET_REPARSE_POINT, &data, sizeof data, NULL, 0, &bytes, NULL));
    CloseHandle(file);
    CHECK_INT(kind_at("file", 0), ==, S_IFREG);
    CHECK_INT(kind_at("file", AT_SYMLINK_NOFOLLOW), ==, S_IFREG);
    CHECK_INT(open_at(directory, "file", O_RDONLY), ==, -EACCES);
    CHECK_INT(open_at(directory, "file", O_RDONLY | O_NOFOLLOW), ==, -EACCES);
    tear_down();
}

/* ---- files of Unix sockets ---- */

TEST(the_file_of_a_unix_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char current[MAX_PATH];

    test_need_real_windows("Unix sockets");
    test_need_unix_sockets();
    set_up();
    CHECK(GetCurrentDirectoryA(sizeof current, current) > 0);
    CHECK(SetCurrentDirectoryA(base));
    strcpy(address.sun_path, "socket");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    CHECK_INT(listen(fd, 1), ==, 0);
    CHECK_INT(kind_at("socket", 0), ==, S_IFSOCK);
    CHECK_INT(kind_at("socket", AT_SYMLINK_NOFOLLOW), ==, S_IFSOCK);
    CHECK_INT(kind_at("socket/", 0), ==, -ENOTDIR);
    CHECK_INT(open_at(directory, "socket", O_RDONLY), ==, -ENXIO);
    CHECK_INT(open_at(directory, "socket", O_RDWR | O_CREAT), ==, -ENXIO);
    CHECK_INT(open_at(directory, "socket", O_RDONLY | O_NOFOLLOW), ==, -ENXIO);
    CHECK_INT(open_at(directory, "socket", O_WRONLY | O_CREAT | O_EXCL), ==, -EEXIST);
    close(fd);
    CHECK_INT(kind_at("socket", 0), ==, S_IFSOCK); /* its file stays, until it is removed */
    CHECK(DeleteFileA("socket"));
    CHECK(SetCurrentDirectoryA(current));
    tear_down();
}

/* ---- volumes, servers, devices ---- */

/* A volume's own name takes no letter. What is below, beside and above a directory is found by it, too. */
TEST(a_volume_without_a_letter)
{
    char root[8], volume[64], path[1024];

    test_need_real_windows("names of volumes");
    set_up();
    snprintf(root, sizeof root, "%.3s", base);
    if (!GetVolumeNameForVolumeMountPointA(root, volume, sizeof volume)) {
        tear_down();
        SKIP("%s is no volume of this machine", root);
    }
    snprintf(path, sizeof path, "%s%s", volume, base + 3);
    int64_t at = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    CHECK_INT(at, >, 0);
    CHECK_INT(id_at((rp_fd)at, "file"), ==, id_at(directory, "file"));
    CHECK_INT(id_at((rp_fd)at, "sub/../../."), ==, id_at(directory, ".."));
    close_file(at);
    at = open_at(AT_FDCWD, volume, O_RDONLY | O_DIRECTORY);
    CHECK_INT(at, >, 0);
    CHECK_INT(id_at((rp_fd)at, "../.."), ==, id_at(AT_FDCWD, root));
    close_file(at);
    tear_down();
}

TEST(a_path_through_a_server)
{
    char path[1024];
    struct statx status;

    test_need_real_windows("a server of files");
    set_up();
    snprintf(path, sizeof path, "\\\\localhost\\%c$\\%s\\file", base[0], base + 3);
    int64_t rc = status_at(AT_FDCWD, path, 0, &status);
    printf("# \\\\localhost\\%c$: %s\n", base[0], rc == 0 ? "reached" : rp_strerror((int)rc));
    CHECK(rc == 0 || rc == -ENOENT || rc == -EACCES);
    if (rc == 0) {
        *strrchr(path, '\\') = '\0';
        int64_t at = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
        CHECK_INT(id_at((rp_fd)at, "file"), ==, status.stx_ino);
        CHECK_INT(id_at((rp_fd)at, "sub/../../."), ==, id_at(directory, ".."));
        CHECK_INT(status_at((rp_fd)at, "missing", 0, &status), ==, -ENOENT);
        CHECK_INT(status_at((rp_fd)at, "file/x", 0, &status), ==, -ENOTDIR);
        close_file(at);
    }
    tear_down();
}

/* Each version of Windows has its own rules. Below a directory these are what they are from the current one. */
TEST(names_of_devices)
{
    const char *const names[] = {"NUL", "nul.txt", "sub\\NUL", "COM9", "AUX", "PRN", "CON", "CONIN$", "CONOUT$"};

    test_need_real_windows("the names of devices that each version of Windows has");
    set_up();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t fd = open_at(directory, names[i], O_RDONLY);
        HANDLE plain =
            CreateFileA(names[i], GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
        bool opened = plain != INVALID_HANDLE_VALUE;

        printf("# %s: CreateFile %s; below a directory: %s\n", names[i], opened ? "opens it" : "does not open it",
               fd < 0 ? rp_strerror((int)fd) : "opened");
        if (strncmp(names[i], "CON", 3) != 0) /* whether there is a console, and which, is a matter of its own */
            CHECK_INT(fd >= 0, ==, opened);
        if (fd >= 0 && opened)
            CHECK_INT(GetFileType((HANDLE)(intptr_t)fd), ==, GetFileType(plain));
        if (opened)
            CloseHandle(plain);
        if (fd >= 0)
            close_file(fd);
    }
    tear_down();
}

/* ---- the rest ---- */

TEST(a_hidden_file_is_truncated_and_stays_hidden)
{
    DWORD hidden = FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM;

    test_need_real_windows("attributes that stay");
    set_up();
    CHECK(SetFileAttributesA(under_base("file"), hidden));
    int64_t fd = open_at(directory, "file", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_INT(write_at(port, (rp_fd)fd, "abc", 3, 0), ==, 3);
    close_file(fd);
    close_file(open_at(directory, "file", O_WRONLY | O_CREAT | O_TRUNC));
    CHECK_INT(GetFileAttributesA(under_base("file")) & hidden, ==, hidden);
    CHECK(SetFileAttributesA(under_base("file"), FILE_ATTRIBUTE_NORMAL));
    tear_down();
}

/* Whether a name can be used again at once when its file was removed while it was open. */
TEST(a_file_that_is_removed_while_open)
{
    test_need_real_windows("files that are removed when they are closed");
    set_up();
    int64_t fd = open_at(directory, "gone", O_RDWR | O_CREAT | O_EXCL);
    CHECK(DeleteFileA(under_base("gone")));
    int64_t again = open_at(directory, "gone", O_RDONLY);
    printf("# a file that was removed while open: %s\n", rp_strerror((int)again));
    CHECK(again == -ENOENT || again == -EACCES);
    close_file(fd);
    CHECK_INT(open_at(directory, "gone", O_RDONLY), ==, -ENOENT);
    tear_down();
}
