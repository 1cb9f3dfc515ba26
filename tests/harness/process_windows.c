/*
 * process_windows.c - tests in processes that run the same program anew.
 *
 * The child is told by its command line what to run, as a distance from `anchor`, because the program may be loaded
 * elsewhere. It is born into a job object, which kills it with all that it starts: when its end was seen, and also when
 * the harness itself ends, which closes the job.
 */
#include "harness/process.h"

#include <winsock2.h>
#include <windows.h>
#include <tlhelp32.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <winternl.h>

enum { START_ATTEMPTS = 3 };

static const char anchor[1];

static char *shared; /* memory with the verdicts, and its handle */
static HANDLE shared_handle;

static void die(const char *what)
{
    fprintf(stderr, "%s: error %lu\n", what, GetLastError());
    exit(1);
}

void *process_share(size_t size)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};

    shared_handle = CreateFileMappingA(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0, (DWORD)size, NULL);
    if (!shared_handle)
        die("CreateFileMapping");
    shared = MapViewOfFile(shared_handle, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (!shared)
        die("MapViewOfFile");
    return shared;
}

/* ---- starting ---- */

/* A file that both write to, and that is gone with the last handle. */
static HANDLE output_file(void)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    char directory[MAX_PATH], name[MAX_PATH];
    HANDLE file;

    GetTempPathA(sizeof directory, directory);
    if (!GetTempFileNameA(directory, "rpt", 0, name))
        die("GetTempFileName");
    file = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                       &inherited, CREATE_ALWAYS, FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file == INVALID_HANDLE_VALUE)
        die("CreateFile");
    return file;
}

static HANDLE new_job(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation.LimitFlags =
                                                       JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};
    HANDLE job = CreateJobObjectA(NULL, NULL);

    if (!job || !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits))
        die("CreateJobObject");
    return job;
}

/*
 * Wine says "internal error" (1359) if a new process has died before it had begun, by a signal of Linux, say. Nothing
 * of the program has run then, so that to try again conceals nothing of ours.
 */
static bool create_process(const char *program, const char *arguments, STARTUPINFOA *startup,
                           PROCESS_INFORMATION *started)
{
    char line[2 * MAX_PATH]; /* the system may write to it */

    for (int i = 1;; i++) {
        snprintf(line, sizeof line, "\"%s\" %s", program, arguments);
        if (CreateProcessA(program, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, startup, started))
            return true;
        if (GetLastError() != ERROR_INTERNAL_ERROR || i == START_ATTEMPTS)
            return false;
        fprintf(stderr, "a process died at its start: another attempt\n");
    }
}

/* Starts this program with arguments in a job; what it prints goes to `output`. Inherits what can be inherited. */
static PROCESS_INFORMATION start_program(const char *arguments, HANDLE job, HANDLE output)
{
    STARTUPINFOA startup = {
        .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = output, .hStdError = output};
    PROCESS_INFORMATION started;
    char program[MAX_PATH];

    GetModuleFileNameA(NULL, program, sizeof program);
    fflush(NULL);
    if (!create_process(program, arguments, &startup, &started))
        die("CreateProcess");
    if (!AssignProcessToJobObject(job, started.hProcess))
        die("AssignProcessToJobObject");
    ResumeThread(started.hThread);
    CloseHandle(started.hThread);
    return started;
}

/* Tells a child what of this program it is to run, and where the verdict is. */
static void name_in_child(char *arguments, size_t size, const char *what, const void *place, const void *verdict)
{
    snprintf(arguments, size, "%s %lld %lld %lld", what, (long long)((const char *)place - anchor),
             (long long)(intptr_t)shared_handle, (long long)((const char *)verdict - shared));
}

void process_start(test_process *process, test_case *test, void *verdict)
{
    char arguments[128];

    name_in_child(arguments, sizeof arguments, "--case", test, verdict);
    process->output = (intptr_t)output_file();
    process->group = (intptr_t)new_job();
    process->id = (intptr_t)start_program(arguments, (HANDLE)process->group, (HANDLE)process->output).hProcess;
}

/* ---- being started ---- */

/* abort() is to be told from exit(3). */
static void end_by_abort(int number)
{
    (void)number;
    TerminateProcess(GetCurrentProcess(), (UINT)STATUS_FATAL_APP_EXIT);
}

/* Faults end the process here: otherwise the system starts a debugger, or a report. */
static LONG CALLBACK end_by_exception(EXCEPTION_POINTERS *exception)
{
    TerminateProcess(GetCurrentProcess(), exception->ExceptionRecord->ExceptionCode);
    return EXCEPTION_EXECUTE_HANDLER;
}

/*
 * What the system opens at its first use and then keeps does not count as a leak: the directories that sockets, host
 * names and time zones are looked up in.
 */
static void warm_up(void)
{
    WSADATA data;
    SOCKET s;

    WSAStartup(MAKEWORD(2, 2), &data);
    s = socket(AF_INET, SOCK_STREAM, 0);
    closesocket(s);
}

/* The handle stays open: what this process starts may inherit it in its turn. */
static void map_shared(HANDLE handle)
{
    shared_handle = handle;
    shared = MapViewOfFile(handle, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (!shared)
        die("MapViewOfFile");
}

void process_main(int argc, char **argv)
{
    void *place;

    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    if (argc < 3 || strncmp(argv[1], "--", 2) != 0)
        return;
    signal(SIGABRT, end_by_abort);
    SetUnhandledExceptionFilter(end_by_exception);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(argv[1], "--exit") == 0) {
        if (atoi(argv[2]) < 0)
            Sleep(INFINITE);
        exit(atoi(argv[2]));
    }
    if (argc != 5)
        return;
    place = (char *)anchor + atoll(argv[2]);
    map_shared((HANDLE)(intptr_t)atoll(argv[3]));
    if (strcmp(argv[1], "--case") == 0)
        test_run_case((test_case *)place, shared + atoll(argv[4]));
    if (strcmp(argv[1], "--call") == 0)
        test_run_call((void (*)(void))place, shared + atoll(argv[4]));
}

/* ---- ending ---- */

void process_wait(const test_process *const *processes, int count, int64_t deadline)
{
    HANDLE handles[TEST_MAX_PROCESSES];
    int64_t left = deadline - rp_monotonic();

    for (int i = 0; i < count; i++)
        handles[i] = (HANDLE)processes[i]->id;
    WaitForMultipleObjects((DWORD)count, handles, FALSE, left < 0 ? 0 : (DWORD)(left / RP_MSEC(1)) + 1);
}

/* The exceptions that end programs; others of that kind are shown by their number. */
static const char *exception_name(DWORD code)
{
    static const struct {
        DWORD code;
        const char *name;
    } names[] = {
        {0xC0000005, "EXCEPTION_ACCESS_VIOLATION"},    {0xC00000FD, "EXCEPTION_STACK_OVERFLOW"},
        {0x80000001, "EXCEPTION_GUARD_PAGE"},          {0x80000003, "EXCEPTION_BREAKPOINT"},
        {0xC000001D, "EXCEPTION_ILLEGAL_INSTRUCTION"}, {0xC0000094, "EXCEPTION_INT_DIVIDE_BY_ZERO"},
        {0xC0000374, "STATUS_HEAP_CORRUPTION"},        {0xC0000409, "STATUS_STACK_BUFFER_OVERRUN"},
        {0xC000013A, "STATUS_CONTROL_C_EXIT"},         {0xC0000135, "STATUS_DLL_NOT_FOUND"},
        {(DWORD)STATUS_FATAL_APP_EXIT, "abort()"},
    };
    static char text[32];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code)
            return names[i].name;
    snprintf(text, sizeof text, "exception 0x%08lX", code);
    return text;
}

static test_end end_of(HANDLE process)
{
    DWORD code;

    if (!GetExitCodeProcess(process, &code))
        die("GetExitCodeProcess");
    return code >= 0x40000000 ? (test_end){.name = exception_name(code)} : (test_end){.status = (int)code};
}

bool process_ended(test_process *process, test_end *end)
{
    HANDLE handle = (HANDLE)process->id;

    if (WaitForSingleObject(handle, 0) != WAIT_OBJECT_0)
        return false;
    *end = end_of(handle);
    CloseHandle((HANDLE)process->group);
    CloseHandle(handle);
    return true;
}

void process_kill(test_process *process)
{
    TerminateJobObject((HANDLE)process->group, 1);
}

/* Reads on in what a process printed: bytes, 0 at the end. */
static size_t read_output(HANDLE file, char *buffer, size_t size)
{
    DWORD n;

    return ReadFile(file, buffer, (DWORD)size, &n, NULL) ? n : 0;
}

size_t process_output(const test_process *process, size_t offset, char *buffer, size_t size)
{
    HANDLE file = (HANDLE)process->output;

    SetFilePointer(file, (LONG)offset, NULL, FILE_BEGIN);
    return read_output(file, buffer, size);
}

void process_forget_output(test_process *process)
{
    CloseHandle((HANDLE)process->output);
}

bool process_emulated(void)
{
    return false;
}

/* ---- processes of a test's own ---- */

test_end test_in_child(void (*function)(void), char *output, size_t size)
{
    HANDLE file = output_file(), job = new_job(), process;
    char arguments[128];
    size_t length = 0, n, kept = 0;
    test_end end;

    name_in_child(arguments, sizeof arguments, "--call", (const void *)(uintptr_t)function, test_own_verdict());
    process = start_program(arguments, job, file).hProcess;
    WaitForSingleObject(process, INFINITE);
    end = end_of(process);
    CloseHandle(process);
    CloseHandle(job);
    SetFilePointer(file, 0, NULL, FILE_BEGIN);
    while (length < size - 1 && (n = read_output(file, output + length, size - 1 - length)) > 0)
        length += n;
    CloseHandle(file);
    for (size_t i = 0; i < length; i++)
        if (output[i] != '\r')
            output[kept++] = output[i];
    output[kept] = '\0';
    return end;
}

int64_t test_start_child(int status)
{
    /* The job stays open for this process's life: its end is the child's. */
    static HANDLE job;
    PROCESS_INFORMATION started;
    char arguments[32];

    if (!job)
        job = new_job();
    snprintf(arguments, sizeof arguments, "--exit %d", status);
    started = start_program(arguments, job, GetStdHandle(STD_OUTPUT_HANDLE));
    CloseHandle(started.hProcess);
    return started.dwProcessId;
}

void test_end_child(int64_t pid)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, (DWORD)pid);

    if (!process)
        return;
    TerminateProcess(process, 1);
    WaitForSingleObject(process, INFINITE);
    CloseHandle(process);
}

/* ---- what is open ---- */

/*
 * Each number is asked for. That is dear under Wine, so that it ends where many in a row are free: low numbers are
 * given out first. (There is a way to ask for all at once. While it was used, Wine's server was gone now and then with
 * all its processes, and no more since: that it was to blame, while another process ended, is inferred and not proved.)
 */
enum { MAX_HANDLES = 8192, MANY_FREE = 512 };

static bool open_before[MAX_HANDLES];
static int threads_before;

/*
 * What kind of object a handle is of, if it counts: files, pipes and sockets ("File"), processes, ports. Events,
 * threads, sections and keys come and go with the system's own thread pool and libraries.
 */
static bool counts(HANDLE handle, char *name, size_t size)
{
    static const char *const counted[] = {"File", "Process", "IoCompletion"};
    char buffer[512];
    PUBLIC_OBJECT_TYPE_INFORMATION *type = (void *)buffer;

    if (NtQueryObject(handle, ObjectTypeInformation, buffer, sizeof buffer, NULL) < 0)
        return false;
    snprintf(name, size, "%.*ls", (int)(type->TypeName.Length / sizeof(WCHAR)), type->TypeName.Buffer);
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        if (strcmp(name, counted[i]) == 0)
            return true;
    return false;
}

/* Handles are multiples of 4. */
static bool is_open(int index)
{
    DWORD flags;

    return GetHandleInformation((HANDLE)(intptr_t)(index * 4), &flags);
}

void process_hide(void)
{
}

static int count_threads(void)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    int count = 0;

    if (snapshot == INVALID_HANDLE_VALUE)
        return INT_MAX;
    for (bool more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry))
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(snapshot);
    return count;
}

bool process_threads_ended(void)
{
    return count_threads() <= threads_before;
}

void process_note_open(void)
{
    warm_up();
    threads_before = count_threads();
    for (int i = 1, last = 0; i < MAX_HANDLES && i - last < MANY_FREE; i++)
        if ((open_before[i] = is_open(i)))
            last = i;
}

bool process_left_open(char *text, size_t size)
{
    char name[64], first_name[64] = "";
    int first = 0, count = 0;

    for (int i = 1, last = 0; i < MAX_HANDLES && i - last < MANY_FREE; i++) {
        if (open_before[i])
            last = i;
        if (open_before[i] || !is_open(i))
            continue;
        last = i;
        if (counts((HANDLE)(intptr_t)(i * 4), name, sizeof name) && count++ == 0) {
            first = i * 4;
            memcpy(first_name, name, sizeof name);
        }
    }
    if (count > 0)
        snprintf(text, size, "descriptors leaked: %d, the first is %d (%s)", count, first, first_name);
    return count > 0;
}
