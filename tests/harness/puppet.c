/*
 * puppet.c - what the puppet does, by the C library alone where it can.
 */
#include "harness/puppet.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <direct.h>
#include <io.h>
#include <windows.h>
#else
#include <unistd.h>
#endif

#include "harness/process.h"
#include "ringport.h"

enum { PIECE = 1000 };

/* As in wire.h, which would bring the library along. */
static unsigned char wire_byte(uint64_t at)
{
    return (unsigned char)((at * 2654435761u) >> 13 ^ at);
}

/* ---- the platform ---- */

#ifdef _WIN32
const char *puppet_program(void)
{
    static char path[3 * MAX_PATH];
    wchar_t wide[MAX_PATH];

    GetModuleFileNameW(NULL, wide, MAX_PATH);
    WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof path, NULL, NULL);
    return path;
}

static void be_binary(void)
{
    for (int i = 0; i < 3; i++)
        _setmode(i, _O_BINARY);
}

static void stay(void)
{
    Sleep(INFINITE);
}

static void leave_another(void)
{
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION started;
    char line[2 * MAX_PATH];

    snprintf(line, sizeof line, "\"%s\" --puppet forever", puppet_program());
    if (!CreateProcessA(puppet_program(), line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &started))
        exit(99);
}

static void write_to(const char *number, const char *text)
{
    HANDLE file = (HANDLE)(intptr_t)atoll(number);
    DWORD written;

    if (!WriteFile(file, text, (DWORD)strlen(text), &written, NULL))
        exit(98);
}
#else
/* An emulator would start itself: it is what the system runs. */
const char *puppet_program(void)
{
    if (process_emulated())
        SKIP("programs of another architecture cannot be started");
    return "/proc/self/exe";
}

static void be_binary(void)
{
}

static void stay(void)
{
    for (;;)
        pause();
}

static void leave_another(void)
{
    pid_t pid = fork();

    if (pid == 0)
        stay();
    if (pid < 0)
        exit(99);
}

static void write_to(const char *number, const char *text)
{
    if (write(atoi(number), text, strlen(text)) < 0)
        exit(98);
}
#endif

/* ---- what it does ---- */

static void write_whole(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        int n = (int)write(fd, bytes, (unsigned)length);

        if (n <= 0)
            exit(97);
        bytes += n;
        length -= (size_t)n;
    }
}

static void copy(bool to_stdout)
{
    char bytes[65536];
    int n;

    while ((n = (int)read(0, bytes, sizeof bytes)) > 0)
        if (to_stdout)
            write_whole(1, bytes, (size_t)n);
}

static void flood(uint64_t out, uint64_t err)
{
    uint64_t done[2] = {0, 0}, total[2] = {out, err};
    char bytes[PIECE];

    for (int i = 0; done[0] < out || done[1] < err; i ^= 1) {
        uint64_t left = total[i] - done[i], length = left < PIECE ? left : PIECE;

        for (uint64_t k = 0; k < length; k++)
            bytes[k] = (char)wire_byte(done[i] + k);
        write_whole(i + 1, bytes, (size_t)length);
        done[i] += length;
    }
}

static void print_lines(char **lines)
{
    for (; *lines; lines++)
        printf("%s\n", *lines);
}

static int be_parent(unsigned flags)
{
    const char *argv[] = PUPPET("forever");
    rp_process_options options = {.program = puppet_program(),
                                  .argv = argv,
                                  .flags = flags,
                                  .in.kind = RP_STDIO_NULL,
                                  .out.kind = RP_STDIO_NULL,
                                  .err.kind = RP_STDIO_NULL};
    rp_process *process;
    rp_loop *loop;

    if (rp_loop_new(NULL, &loop) < 0 || rp_process_spawn(loop, &options, NULL, NULL, &process) < 0)
        return 95;
    printf("%lld\n", (long long)rp_process_pid(process));
    return 0;
}

static void print_directory(void)
{
    char path[4096];

    printf("%s\n", getcwd(path, sizeof path) ? path : "none");
}

static int play(char **argv)
{
    const char *what = argv[0], *value;

    if (strcmp(what, "cat") == 0)
        copy(true);
    else if (strcmp(what, "exit") == 0)
        return atoi(argv[1]);
    else if (strcmp(what, "after") == 0) {
        copy(false);
        return atoi(argv[1]);
    } else if (strcmp(what, "forever") == 0)
        stay();
    else if (strcmp(what, "say") == 0) {
        write_whole(1, argv[1], strlen(argv[1]));
        stay();
    } else if (strcmp(what, "arguments") == 0)
        print_lines(argv + 1);
    else if (strcmp(what, "variable") == 0)
        printf("%s\n", (value = getenv(argv[1])) ? value : "none");
    else if (strcmp(what, "flood") == 0)
        flood(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
    else if (strcmp(what, "leave") == 0)
        leave_another();
    else if (strcmp(what, "parent") == 0)
        return be_parent((unsigned)atoi(argv[1]));
    else if (strcmp(what, "directory") == 0)
        print_directory();
    else if (strcmp(what, "handle") == 0)
        write_to(argv[1], argv[2]);
    else
        return 96;
    return 0;
}

void puppet_main(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "--puppet") != 0)
        return;
    be_binary();
    exit(play(argv + 2));
}
