/*
 * test_real_console.c - what a real console tells a program: Ctrl-Break, and that it is closed.
 */
#include <signal.h>
#include <stdio.h>

#include "base/thread.h"
#include "harness/support.h"
#include "ringport.h"

/* ---- Ctrl-Break ---- */

static rp_loop *loop;

static void stop_loop(void *arg)
{
    rp_loop_stop(loop);
}

static void receive_ctrl_break(void)
{
    FreeConsole();
    CHECK(AllocConsole());
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGBREAK, stop_loop, NULL), ==, 0);
    CHECK(GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, 0));
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
    puts("received");
}

TEST(ctrl_break)
{
    char output[64];

    test_need_real_windows("Ctrl-Break does not arrive");
    test_end end = test_in_child(receive_ctrl_break, output, sizeof output);
    CHECK(end.name == NULL && end.status == 0);
    CHECK_STR(output, "received\n");
    printf("# Ctrl-Break has arrived\n");
}

/* ---- a console that is closed ---- */

#define TRACE "RP_TEST_CONSOLE_TRACE" /* the file that the program in it writes to */
enum { OWN_STATUS = 7, FOR_HANGS = 60000 };

static FILE *trace;

static int run_until_closed(rp_co *co, void *arg)
{
    fprintf(trace, "runs\n");
    fflush(trace);
    int rc = rp_sleep(co, RP_SEC(1000));
    fprintf(trace, "%s\n", rp_errname(rc));
    int slept = rp_sleep(co, RP_MSEC(300)); /* longer than a system that does not wait lets it live */
    fprintf(trace, "%s\n", rp_errname(slept));
    return rc;
}

/* This program, started in the console that will be closed. */
__attribute__((constructor)) static void be_the_program(void)
{
    const char *path = getenv(TRACE);

    if (!path)
        return;
    trace = fopen(path, "w");
    int rc = rp_run(run_until_closed, NULL);
    fprintf(trace, "%s\n", rp_errname(rc));
    fclose(trace);
    exit(OWN_STATUS);
}

static void drain(void *pipe)
{
    char bytes[4096];
    DWORD count;

    while (ReadFile(pipe, bytes, sizeof bytes, &count, NULL))
        ;
    CloseHandle(pipe);
}

typedef struct program {
    void *console;
    HANDLE input, process;
} program;

/* Of Windows 10, 1809 and later; headers have them under conditions. */
typedef HRESULT WINAPI create_console(COORD size, HANDLE input, HANDLE output, DWORD flags, void **console);
typedef void WINAPI close_console(void *console);
enum { IN_CONSOLE = 0x20016 }; /* PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE */

static FARPROC find(const char *name)
{
    return GetProcAddress(GetModuleHandleA("kernel32.dll"), name);
}

/* Starts this program in a console of its own, which is this one's to close. */
static program start_in_console(void)
{
    create_console *create = (create_console *)(uintptr_t)find("CreatePseudoConsole");
    STARTUPINFOEXA startup = {.StartupInfo = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES}};
    PROCESS_INFORMATION started;
    program p;
    HANDLE input, output, drained;
    SIZE_T size = 0;

    CHECK(create != NULL);
    CHECK(CreatePipe(&input, &p.input, NULL, 0));
    CHECK(CreatePipe(&drained, &output, NULL, 0));
    CHECK_INT(create((COORD){80, 25}, input, output, 0, &p.console), ==, 0);
    CloseHandle(input);
    CloseHandle(output);
    CHECK_INT(rp_thread_start(drain, drained), ==, 0);
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    startup.lpAttributeList = malloc(size);
    CHECK(InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &size));
    CHECK(UpdateProcThreadAttribute(startup.lpAttributeList, 0, IN_CONSOLE, p.console, sizeof p.console, NULL,
                                    NULL));
    CHECK(CreateProcessA(test_program(), NULL, NULL, NULL, FALSE, EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                         &startup.StartupInfo, &started));
    DeleteProcThreadAttributeList(startup.lpAttributeList);
    free(startup.lpAttributeList);
    CloseHandle(started.hThread);
    p.process = started.hProcess;
    return p;
}

static void read_trace(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;

    text[length] = '\0';
    if (file)
        fclose(file);
}

TEST(a_runner_ends_in_order_when_its_console_is_closed)
{
    char path[] = "ringport-console-trace.txt", text[256];
    DWORD status;

    test_need_real_windows("a console that is closed kills what is in it");
    close_console *close_it = (close_console *)(uintptr_t)find("ClosePseudoConsole");
    remove(path);
    CHECK_INT(setenv(TRACE, path, 1), ==, 0);
    program p = start_in_console();
    do {
        Sleep(10);
        read_trace(path, text, sizeof text);
    } while (strcmp(text, "runs\n") != 0);
    close_it(p.console);
    CHECK_INT(WaitForSingleObject(p.process, FOR_HANGS), ==, WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(p.process, &status));
    read_trace(path, text, sizeof text);
    printf("# the program in a console that was closed ended with %#lx, after these lines:\n%s", status, text);
    CHECK_STR(text, "runs\nECANCELED\nOK\nEINTR\n");
    CHECK_INT(status, ==, OWN_STATUS);
    CloseHandle(p.process);
    CloseHandle(p.input);
    remove(path);
}
