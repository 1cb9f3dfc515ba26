/*
 * test_iocp_spawn.c - starting processes of Windows: their command lines, environments and programs, what they inherit,
 * and the job that they are in.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/wide_windows.h"
#include "harness/platform.h"
#include "harness/puppet.h"
#include "harness/wire.h"
#include "process/command_line_windows.h"
#include "process/environment_windows.h"
#include "process/program_windows.h"

#include <shellapi.h>

#define OPTIONS(arguments, ...)                                                                                   \
    ((rp_process_options){.program = puppet_program(), .argv = (arguments), __VA_ARGS__})

/* Runs a child to its end: its code, or why it was not started. What it prints goes to `text`, unless that is NULL. */
static int run(rp_co *co, rp_process_options options, char *text, size_t size)
{
    rp_communication said = {0};
    rp_subprocess *child;
    int code;

    if (text)
        options.out.kind = RP_STDIO_PIPE;
    RP_TRY(rp_create_subprocess_exec(co, &child, &options));
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, 0);
    CHECK_INT(rp_subprocess_returncode(child, &code), ==, 0);
    if (text) {
        CHECK_INT(said.out_length, <, size);
        memcpy(text, said.out, said.out_length + 1);
    }
    rp_subprocess_free(child);
    return code;
}

/* ---- command lines ---- */

typedef wchar_t **take_apart(const wchar_t *line, int *count);

/* Windows' own rules. */
static take_apart *parser(void)
{
    return (take_apart *)(void *)GetProcAddress(LoadLibraryA("shell32.dll"), "CommandLineToArgvW");
}

static void comes_back(take_apart *take, const char *const *argv)
{
    char *line;
    wchar_t *wide, *expected, **got;
    int count;

    CHECK_INT(rp_command_line_make(argv, &line), ==, 0);
    CHECK_INT(rp_widen(line, &wide), ==, 0);
    got = take(wide, &count);
    CHECK(got);
    for (int i = 0; i < count; i++) {
        CHECK(argv[i]);
        CHECK_INT(rp_widen(argv[i], &expected), ==, 0);
        CHECK_INT(wcscmp(expected, got[i]), ==, 0);
        rp_free(expected);
    }
    CHECK(!argv[count]);
    LocalFree(got);
    rp_free(wide);
    rp_free(line);
}

TEST(windows_takes_a_line_apart_as_it_was)
{
    static const char *const letters[] = {" ", "\t", "\"", "\\", "a", "\xc3\xa4", "/", "'", "\n"};
    enum { ARGUMENTS = 4, LONGEST = 8, ROUNDS = 20000 };
    take_apart *take = parser();
    unsigned seed = 1;

    for (int round = 0; round < ROUNDS; round++) {
        char texts[ARGUMENTS][3 * LONGEST + 1] = {"a program.exe"};
        const char *argv[ARGUMENTS + 1] = {texts[0]};

        for (int i = 1; i < ARGUMENTS; i++) {
            for (int length = rand_r(&seed) % LONGEST; length > 0; length--)
                strcat(texts[i], letters[rand_r(&seed) % (sizeof letters / sizeof letters[0])]);
            argv[i] = texts[i];
        }
        comes_back(take, argv);
    }
}

TEST(names_of_programs_in_lines)
{
    take_apart *take = parser();
    char *line = NULL;

    comes_back(take, (const char *[]){"plain", NULL});
    comes_back(take, (const char *[]){"C:\\with blanks\\", "next", NULL});
    comes_back(take, (const char *[]){"ends\\", "", NULL});
    CHECK_INT(rp_command_line_make((const char *[]){"with\"quote", NULL}, &line), ==, -EINVAL);
    CHECK_INT(rp_command_line_make((const char *[]){NULL}, &line), ==, -EINVAL);
    CHECK_INT(rp_command_line_make(NULL, &line), ==, -EINVAL);
}

CO_TEST(arguments_come_to_the_child)
{
    const char *argv[] =
        PUPPET("arguments", "", " ", "a b", "\"", "\\\"", "\\\\", "c:\\d\\", "c:\\e f\\", "%PATH%", "^&|<>");
    char text[256];

    CHECK_INT(run(co, OPTIONS(argv), text, sizeof text), ==, 0);
    CHECK_STR(text, "\n \na b\n\"\n\\\"\n\\\\\nc:\\d\\\nc:\\e f\\\n%PATH%\n^&|<>\n");
}

CO_TEST(lines_that_are_too_long)
{
    char *much = malloc(200001);
    const char *argv[] = PUPPET("arguments", much);

    memset(much, 'x', 200000);
    much[200000] = '\0';
    CHECK_INT(run(co, OPTIONS(argv), NULL, 0), ==, -E2BIG);
    much[33000] = '\0';
    CHECK_INT(run(co, OPTIONS(argv), NULL, 0), ==, -E2BIG);
    much[20000] = '\0';
    CHECK_INT(run(co, OPTIONS(argv, .out.kind = RP_STDIO_NULL), NULL, 0), ==, 0);
    free(much);
}

CO_TEST(a_command_line_as_it_is)
{
    char text[64];

    CHECK_INT(
        run(co,
            (rp_process_options){.program = puppet_program(), .command_line = "x --puppet arguments \"a b\" c"},
            text, sizeof text),
        ==, 0);
    CHECK_STR(text, "a b\nc\n");
    CHECK_INT(run(co, (rp_process_options){.command_line = "x"}, NULL, 0), ==, -EINVAL); /* which program? */
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(write(fd, text, strlen(text)), ==, strlen(text));
    close(fd);
}

/* cmd.exe reads the line of a batch file: what it would run is refused. */
CO_TEST(batch_files_get_no_commands)
{
    const char *plain[] = {".\\rp-test.bat", "plain", NULL},
               *command[] = {".\\rp-test.bat", "x&echo broken", NULL};
    const char *variable[] = {".\\rp-test.bat", "%PATH%", NULL},
               *quoted[] = {".\\rp-test.bat", "\"&echo broken", NULL};
    char text[256];

    write_file("rp-test.bat", "@echo got %1\r\n");
    CHECK_INT(run(co, (rp_process_options){.argv = plain}, text, sizeof text), ==, 0);
    CHECK_STR(text, "got plain\r\n");
    CHECK_INT(run(co, (rp_process_options){.argv = command}, text, sizeof text), ==, -EINVAL);
    CHECK_INT(run(co, (rp_process_options){.argv = variable}, text, sizeof text), ==, -EINVAL);
    CHECK_INT(run(co, (rp_process_options){.argv = quoted}, text, sizeof text), ==, -EINVAL);
    unlink("rp-test.bat");
}

CO_TEST(what_is_no_program)
{
    const char *text[] = {".\\rp-test-no.exe", NULL}, *missing[] = {"rp-no-such-program", NULL};
    const char *directory[] = {".", NULL}, *empty[] = {"", NULL};

    write_file("rp-test-no.exe", "this is no program\r\n");
    CHECK_INT(run(co, (rp_process_options){.argv = text}, NULL, 0), ==, -ENOEXEC);
    unlink("rp-test-no.exe");
    CHECK_INT(run(co, (rp_process_options){.argv = missing}, NULL, 0), ==, -ENOENT);
    CHECK_INT(run(co, (rp_process_options){.argv = directory}, NULL, 0), ==, -ENOENT);
    CHECK_INT(run(co, (rp_process_options){.argv = empty}, NULL, 0), ==, -ENOENT);
}

static void finds(const wchar_t *name, const wchar_t *cwd, const wchar_t *block, const wchar_t *expected)
{
    wchar_t *path;

    CHECK_INT(rp_program_find(name, cwd, block, &path), ==, expected ? 0 : -ENOENT);
    CHECK(expected ? wcscmp(path, expected) == 0 : !path);
    rp_free(path);
}

TEST(programs_are_found_as_the_shell_finds_them)
{
    const wchar_t block[] = L"PATH=rp-a;;\"rp-b\"\0PATHEXT=.VBS;.EXE;.CMD\0";

    mkdir("rp-a");
    mkdir("rp-b");
    mkdir("rp-a\\rp-dir.exe");
    write_file("rp-a\\rp-tool.exe", "");
    write_file("rp-b\\rp-tool.cmd", "");
    write_file("rp-b\\rp-dir.exe", "");
    write_file("rp-b\\rp-only.cmd", "");
    write_file("rp-b\\rp-script.vbs", "");
    write_file("rp-a\\rp-bare", "");
    finds(L"rp-tool", NULL, block, L"rp-a\\rp-tool.exe");
    finds(L"rp-tool.cmd", NULL, block, L"rp-b\\rp-tool.cmd");
    finds(L"RP-ONLY", NULL, block, L"rp-b\\RP-ONLY.cmd");
    finds(L"rp-dir", NULL, block, L"rp-b\\rp-dir.exe"); /* a directory is none */
    finds(L"rp-script", NULL, block, NULL);             /* that cannot be started */
    finds(L"rp-bare", NULL, block, NULL);
    finds(L"rp-a\\rp-tool", NULL, block, L"rp-a\\rp-tool.exe");
    finds(L"rp-a/rp-tool.exe", NULL, block, L"rp-a/rp-tool.exe");
    finds(L"rp-tool", L"rp-b", block, L"rp-b\\rp-tool.cmd"); /* where it is to run comes first */
    finds(L".\\rp-only", L"rp-b", block, L"rp-b\\.\\rp-only.cmd");
    finds(L"rp-nothing", NULL, block, NULL);
    finds(L"", NULL, block, NULL);
    unlink("rp-a\\rp-tool.exe");
    unlink("rp-b\\rp-tool.cmd");
    unlink("rp-b\\rp-dir.exe");
    unlink("rp-b\\rp-only.cmd");
    unlink("rp-b\\rp-script.vbs");
    unlink("rp-a\\rp-bare");
    rmdir("rp-a\\rp-dir.exe");
    rmdir("rp-a");
    rmdir("rp-b");
}

CO_TEST(directories)
{
    const char *argv[] = PUPPET("directory");
    char text[1024];

    mkdir("rp-here");
    CHECK_INT(run(co, OPTIONS(argv, .cwd = "rp-here"), text, sizeof text), ==, 0);
    CHECK(strstr(text, "\\rp-here\n"));
    rmdir("rp-here");
    CHECK_INT(run(co, OPTIONS(argv, .cwd = "rp-here"), NULL, 0), ==, -ENOENT);
    write_file("rp-here", "");
    CHECK_INT(run(co, OPTIONS(argv, .cwd = "rp-here"), NULL, 0), ==, -ENOTDIR);
    unlink("rp-here");
}

/* ---- environments ---- */

TEST(environments_are_in_order)
{
    const char *const environment[] = {"b=1", "A=2", "=C:=C:\\x", "B=3", "SystemRoot=r", "c_=4", "ca=5", NULL};
    const wchar_t expected[] = L"=C:=C:\\x\0A=2\0B=3\0ca=5\0c_=4\0SystemRoot=r\0";
    wchar_t *block;

    CHECK_INT(rp_environment_make(environment, &block), ==, 0);
    CHECK_INT(memcmp(block, expected, sizeof expected), ==, 0);
    rp_free(block);
    CHECK_INT(rp_environment_make((const char *const[]){"nothing", NULL}, &block), ==, -EINVAL);
    CHECK_INT(rp_environment_make((const char *const[]){"", NULL}, &block), ==, -EINVAL);
    CHECK_INT(rp_environment_make((const char *const[]){"a=\xff", NULL}, &block), ==, -EILSEQ);
    CHECK(!block);
    CHECK_INT(rp_environment_make(NULL, &block), ==, 0);
    CHECK(!block);
}

CO_TEST(variables_come_to_the_child)
{
    const char *const environment[] = {"RP_TEST=a value", NULL}, *const nothing[] = {NULL};
    const char *mine[] = PUPPET("variable", "RP_TEST"), *system[] = PUPPET("variable", "SYSTEMROOT");
    char text[256];

    CHECK_INT(run(co, OPTIONS(mine, .env = environment), text, sizeof text), ==, 0);
    CHECK_STR(text, "a value\n");
    CHECK_INT(run(co, OPTIONS(mine, .env = nothing), text, sizeof text), ==, 0);
    CHECK_STR(text, "none\n");
    CHECK_INT(run(co, OPTIONS(system, .env = nothing), text, sizeof text), ==, 0);
    CHECK(strcmp(text, "none\n") != 0); /* no program can do without */
    SetEnvironmentVariableA("RP_TEST", "inherited");
    CHECK_INT(run(co, OPTIONS(mine), text, sizeof text), ==, 0);
    CHECK_STR(text, "inherited\n");
}

/* ---- what is inherited ---- */

/* Both can be inherited; the child has the one that it is given, and under the same number. */
CO_TEST(nothing_is_inherited_but_what_is_passed)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    char number[32], byte[8];
    HANDLE reader, writer;
    DWORD flags;

    for (int can_be = 0; can_be < 2; can_be++)
        for (int passed = 0; passed < 2; passed++) {
            CHECK(CreatePipe(&reader, &writer, can_be ? &inherited : NULL, 0));
            SetHandleInformation(reader, HANDLE_FLAG_INHERIT, 0);
            snprintf(number, sizeof number, "%lld", (long long)(intptr_t)writer);
            const char *argv[] = PUPPET("handle", number, "text");
            rp_fd fds[2] = {(rp_fd)writer, (rp_fd)writer}; /* twice is no mistake */
            rp_process_options options = OPTIONS(argv, .pass_fds = fds, .pass_fd_count = passed ? 2 : 0);

            CHECK_INT(run(co, options, NULL, 0), ==, passed ? 0 : 98);
            CHECK(GetHandleInformation(writer, &flags));
            CHECK_INT(flags & HANDLE_FLAG_INHERIT, ==, can_be ? HANDLE_FLAG_INHERIT : 0); /* as before */
            CloseHandle(writer);
            CHECK_INT(rp_read(co, (rp_fd)reader, byte, sizeof byte, -1), ==, passed ? 4 : 0);
            CloseHandle(reader);
        }
    rp_fd none = 0x7ffffff0;
    const char *argv[] = PUPPET("exit", "0");
    CHECK_INT(run(co, OPTIONS(argv, .pass_fds = &none, .pass_fd_count = 1), NULL, 0), ==, -EBADF);
    CHECK_INT(run(co, OPTIONS(argv, .out = {RP_STDIO_FD, none}), NULL, 0), ==, -EBADF);
    none = -1; /* to Windows that is this process */
    CHECK_INT(run(co, OPTIONS(argv, .pass_fds = &none, .pass_fd_count = 1), NULL, 0), ==, -EBADF);
    CHECK_INT(run(co, OPTIONS(argv, .out = {RP_STDIO_FD, none}), NULL, 0), ==, -EBADF);
    CHECK_INT(run(co, OPTIONS(argv, .out.kind = (rp_stdio_kind)99), NULL, 0), ==, -EINVAL);
    CHECK_INT(run(co, OPTIONS(argv, .out.kind = RP_STDIO_TO_STDOUT), NULL, 0), ==, -EINVAL);
}

CO_TEST(a_file_as_standard_output)
{
    const char *argv[] = PUPPET("arguments", "to a file");
    char text[32] = "";
    int fd = open("rp-output", O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(run(co, OPTIONS(argv, .out = {RP_STDIO_FD, fd}), NULL, 0), ==, 0);
    CHECK_INT(pread(fd, text, sizeof text - 1, 0), ==, 10);
    CHECK_STR(text, "to a file\n");
    close(fd);
    unlink("rp-output");
}

/* A program without a console, or one that has closed what it had. */
CO_TEST(no_standard_handles)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    const char *argv[] = PUPPET("cat");
    HANDLE before[3];
    int codes[2];

    for (int i = 0; i < 3; i++)
        before[i] = GetStdHandle(names[i]);
    for (int i = 0; i < 3; i++)
        SetStdHandle(names[i], NULL);
    codes[0] = run(co, OPTIONS(argv), NULL, 0);
    for (int i = 0; i < 3; i++)
        SetStdHandle(names[i], INVALID_HANDLE_VALUE);
    codes[1] = run(co, OPTIONS(argv), NULL, 0);
    for (int i = 0; i < 3; i++)
        SetStdHandle(names[i], before[i]);
    CHECK_INT(codes[0], ==, 0);
    CHECK_INT(codes[1], ==, 0);
}

/* ---- options ---- */

CO_TEST(options_of_posix_alone)
{
    static const unsigned flags[] = {RP_PROCESS_UID, RP_PROCESS_GID, RP_PROCESS_GROUPS, RP_PROCESS_UMASK,
                                     RP_PROCESS_TERMINAL};
    const char *argv[] = PUPPET("exit", "0");

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        CHECK_INT(run(co, OPTIONS(argv, .flags = flags[i]), NULL, 0), ==, -ENOTSUP);
    CHECK_INT(run(co, OPTIONS(argv, .flags = RP_PROCESS_GROUP, .process_group = 5), NULL, 0), ==, -ENOTSUP);
    CHECK_INT(run(co, OPTIONS(argv, .flags = RP_PROCESS_GROUP), NULL, 0), ==, 0);
    CHECK_INT(run(co, OPTIONS(argv, .flags = RP_PROCESS_NEW_SESSION), NULL, 0), ==, 0);
    CHECK_INT(run(co, OPTIONS(argv, .flags = RP_PROCESS_HIDE), NULL, 0), ==, 0);
    CHECK_INT(run(co, OPTIONS(argv, .flags = RP_PROCESS_DETACHED), NULL, 0), ==, 0);
}

CO_TEST(exit_codes_have_32_bits)
{
    const char *argv[] = PUPPET("exit", "-1073741819");

    CHECK_INT(run(co, OPTIONS(argv), NULL, 0), ==, (int)0xc0000005);
}

/* ---- the job ---- */

/* Its parent, which is another process, has ended: so does it, unless it is detached. */
CO_TEST(a_child_ends_with_its_parent)
{
    for (int detached = 0; detached < 2; detached++) {
        char number[16], text[32];

        snprintf(number, sizeof number, "%d", detached ? RP_PROCESS_DETACHED : 0);
        const char *argv[] = PUPPET("parent", number);
        CHECK_INT(run(co, OPTIONS(argv), text, sizeof text), ==, 0);
        HANDLE child = OpenProcess(SYNCHRONIZE | PROCESS_TERMINATE, FALSE, (DWORD)atoi(text));
        if (detached) {
            CHECK(child);
            CHECK_INT(WaitForSingleObject(child, 0), ==, WAIT_TIMEOUT);
            TerminateProcess(child, 1);
        }
        if (child) {
            CHECK_INT(WaitForSingleObject(child, INFINITE), ==, WAIT_OBJECT_0);
            CloseHandle(child);
        }
    }
}
