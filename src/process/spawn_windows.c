/*
 * spawn_windows.c - starting a process on Windows, by CreateProcess().
 *
 * What a child inherits is a list of handles of its own (PROC_THREAD_ATTRIBUTE_HANDLE_LIST): what other threads open to
 * be inherited by other children is not for this one. It is made suspended, and begins when it is in the job
 * (job_windows.c).
 *
 * A descriptor that is passed on has the same number in the child, and so it is the caller's own handle, which is
 * marked as one to inherit for as long as the start takes. One start at a time may do that.
 */
#include "process/spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <wchar.h>

#include <windows.h>

#include <winternl.h>

#include "base/error_windows.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/wide_windows.h"
#include "process/command_line_windows.h"
#include "process/environment_windows.h"
#include "process/job_windows.h"
#include "process/pipe_pair_windows.h"
#include "process/program_windows.h"

enum {
    POSIX_ONLY = RP_PROCESS_UID | RP_PROCESS_GID | RP_PROCESS_GROUPS | RP_PROCESS_UMASK | RP_PROCESS_TERMINAL,
    LONGEST_LINE = 32767,   /* UTF-16 units, with a 0 */
    ACCESS_INFORMATION = 8, /* of NtQueryInformationFile() */
    MODE_INFORMATION = 16,
    SYNCHRONOUS = 0x30, /* mode bits of a handle that does not do overlapped operations */
    KILLED = 1,         /* the exit code of what is ended from outside, as the Task Manager has it */
};

/* What a start is made of; all of it is given back when it is over. */
typedef struct start {
    const rp_process_options *options;
    wchar_t *program;
    wchar_t *line;
    wchar_t *environment;
    wchar_t *cwd;
    HANDLE stdio[3];     /* the child's, to be closed; NULL: none */
    rp_fd pipes[3];      /* ours */
    HANDLE *handles;     /* that are inherited */
    bool *was_inherited; /* of pass_fds */
    size_t handle_count;
    LPPROC_THREAD_ATTRIBUTE_LIST attributes;
} start;

static rp_mutex passing; /* for what marks the caller's handles; zeroed, it is not held */

/* ---- what is text ---- */

static int widen_if_given(const char *text, wchar_t **wide)
{
    return text ? rp_widen(text, wide) : 0;
}

static int make_line(start *s)
{
    const rp_process_options *options = s->options;
    char *made = NULL;
    int rc = options->command_line ? 0 : rp_command_line_make(options->argv, &made);

    if (rc == 0)
        rc = rp_widen(made ? made : options->command_line, &s->line);
    rp_free(made);
    return rc == 0 && wcslen(s->line) >= LONGEST_LINE ? -E2BIG : rc;
}

static int find_program(start *s)
{
    const rp_process_options *options = s->options;
    const char *given = options->program ? options->program : options->argv ? options->argv[0] : NULL;
    wchar_t *name;
    int rc;

    if (!given)
        return -EINVAL;
    RP_TRY(rp_widen(given, &name));
    rc = rp_program_find(name, s->cwd, s->environment, &s->program);
    rp_free(name);
    if (rc == 0 && rp_program_is_batch(s->program) && !options->command_line &&
        !rp_command_line_suits_batch(options->argv))
        rc = -EINVAL;
    return rc;
}

/* ---- what the child inherits ---- */

/* A copy of a handle, to be inherited. */
static int share(HANDLE handle, HANDLE *shared)
{
    HANDLE process = GetCurrentProcess();

    return DuplicateHandle(process, handle, process, shared, 0, TRUE, DUPLICATE_SAME_ACCESS) ? 0 : rp_error_last();
}

/* What a handle may be used for, or how: an ULONG that Windows knows of it; 0 if it does not. */
static ULONG ask(HANDLE handle, int information)
{
    IO_STATUS_BLOCK result;
    ULONG answer = 0;

    NtQueryInformationFile(handle, &result, &answer, sizeof answer, (FILE_INFORMATION_CLASS)information);
    return answer;
}

/*
 * Opens a file once more, for a program that does one thing at a time: a handle for overlapped operations, such as
 * rp_open() gives, is no use to it. It goes on at the same position.
 */
static int reopen(HANDLE file, HANDLE *reopened)
{
    ULONG access = ask(file, ACCESS_INFORMATION) & (FILE_READ_DATA | FILE_WRITE_DATA | FILE_APPEND_DATA);
    LARGE_INTEGER zero = {0}, position;
    HANDLE opened = ReOpenFile(file, access | SYNCHRONIZE | FILE_READ_ATTRIBUTES,
                               FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0);

    if (opened == INVALID_HANDLE_VALUE)
        return rp_error_last();
    if (SetFilePointerEx(file, zero, &position, FILE_CURRENT))
        SetFilePointerEx(opened, position, NULL, FILE_BEGIN);
    SetHandleInformation(opened, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    *reopened = opened;
    return 0;
}

static int share_given(HANDLE handle, HANDLE *shared)
{
    bool is_overlapped = GetFileType(handle) == FILE_TYPE_DISK && !(ask(handle, MODE_INFORMATION) & SYNCHRONOUS);

    return is_overlapped ? reopen(handle, shared) : share(handle, shared);
}

static int open_null(HANDLE *null)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    HANDLE opened = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                &inherited, OPEN_EXISTING, 0, NULL);

    if (opened == INVALID_HANDLE_VALUE)
        return rp_error_last();
    *null = opened;
    return 0;
}

/* A program without a console may have none of these: its children's are empty. */
static int share_own(int number, HANDLE *shared)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    HANDLE own = GetStdHandle(names[number]);

    if (!own || own == INVALID_HANDLE_VALUE || share(own, shared) < 0)
        return open_null(shared);
    return 0;
}

static int open_pipe(start *s, int number)
{
    HANDLE ours;

    RP_TRY(rp_pipe_pair_open(number == 0, &ours, &s->stdio[number]));
    s->pipes[number] = (rp_fd)ours;
    return 0;
}

/* -1 and those below are Windows' names for this process, this thread and the like. */
static bool is_handle(rp_fd fd)
{
    return fd > 0;
}

static int open_stdio(start *s, int number, const rp_stdio *stdio)
{
    switch (stdio->kind) {
    case RP_STDIO_PIPE:
        return open_pipe(s, number);
    case RP_STDIO_NULL:
        return open_null(&s->stdio[number]);
    case RP_STDIO_TO_STDOUT:
        return number == 2 ? share(s->stdio[1], &s->stdio[2]) : -EINVAL;
    case RP_STDIO_FD:
        return is_handle(stdio->fd) ? share_given((HANDLE)stdio->fd, &s->stdio[number]) : -EBADF;
    case RP_STDIO_INHERIT:
        return share_own(number, &s->stdio[number]);
    }
    return -EINVAL;
}

static bool is_listed(const start *s, HANDLE handle)
{
    for (size_t i = 0; i < s->handle_count; i++)
        if (s->handles[i] == handle)
            return true;
    return false;
}

/* Windows refuses a list that has a handle twice. */
static int list_handles(start *s)
{
    const rp_process_options *options = s->options;

    s->handles = rp_calloc((3 + options->pass_fd_count) * sizeof(HANDLE));
    s->was_inherited = rp_calloc(options->pass_fd_count + 1);
    if (!s->handles || !s->was_inherited)
        return -ENOMEM;
    for (int i = 0; i < 3; i++)
        s->handles[s->handle_count++] = s->stdio[i];
    for (size_t i = 0; i < options->pass_fd_count; i++) {
        HANDLE handle = (HANDLE)options->pass_fds[i];
        DWORD flags;

        if (!is_handle(options->pass_fds[i]))
            return -EBADF;
        if (!GetHandleInformation(handle, &flags))
            return rp_error_last();
        s->was_inherited[i] = flags & HANDLE_FLAG_INHERIT;
        if (!is_listed(s, handle))
            s->handles[s->handle_count++] = handle;
    }
    return 0;
}

static int make_attributes(start *s)
{
    SIZE_T size = 0;

    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    s->attributes = rp_malloc(size);
    if (!s->attributes)
        return -ENOMEM;
    if (!InitializeProcThreadAttributeList(s->attributes, 1, 0, &size)) {
        rp_free(s->attributes);
        s->attributes = NULL;
        return rp_error_last();
    }
    return UpdateProcThreadAttribute(s->attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, s->handles,
                                     s->handle_count * sizeof(HANDLE), NULL, NULL)
               ? 0
               : rp_error_last();
}

static int prepare(start *s)
{
    const rp_process_options *options = s->options;

    if (options->flags & POSIX_ONLY)
        return -ENOTSUP;
    if (options->flags & RP_PROCESS_GROUP && options->process_group != 0)
        return -ENOTSUP;
    RP_TRY(make_line(s));
    RP_TRY(widen_if_given(options->cwd, &s->cwd));
    RP_TRY(rp_environment_make(options->env, &s->environment));
    RP_TRY(open_stdio(s, 0, &options->in));
    RP_TRY(open_stdio(s, 1, &options->out));
    RP_TRY(open_stdio(s, 2, &options->err));
    RP_TRY(list_handles(s));
    return make_attributes(s);
}

static void finish(start *s, bool started)
{
    if (s->attributes)
        DeleteProcThreadAttributeList(s->attributes);
    rp_free(s->attributes);
    for (int i = 0; i < 3; i++) {
        if (s->stdio[i])
            CloseHandle(s->stdio[i]);
        if (!started)
            rp_spawn_close(s->pipes[i]);
    }
    rp_free(s->handles);
    rp_free(s->was_inherited);
    rp_free(s->program);
    rp_free(s->line);
    rp_free(s->environment);
    rp_free(s->cwd);
}

/* ---- starting ---- */

static DWORD flags_of(unsigned flags)
{
    DWORD result = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;

    if (flags & (RP_PROCESS_NEW_SESSION | RP_PROCESS_GROUP | RP_PROCESS_DETACHED))
        result |= CREATE_NEW_PROCESS_GROUP;
    if (flags & RP_PROCESS_DETACHED)
        result |= DETACHED_PROCESS;
    else if (flags & RP_PROCESS_HIDE)
        result |= CREATE_NO_WINDOW;
    return result;
}

/* What entering the directory would fail with: 0 or an error. Windows makes no difference. */
static int check_directory(const wchar_t *cwd)
{
    DWORD attributes = GetFileAttributesW(cwd);

    if (attributes == INVALID_FILE_ATTRIBUTES)
        return rp_error_last();
    return attributes & FILE_ATTRIBUTE_DIRECTORY ? 0 : -ENOTDIR;
}

static int create(start *s, PROCESS_INFORMATION *created)
{
    STARTUPINFOEXW startup = {
        .StartupInfo = {.cb = sizeof startup,
                        .dwFlags = STARTF_USESTDHANDLES,
                        .hStdInput = s->stdio[0],
                        .hStdOutput = s->stdio[1],
                        .hStdError = s->stdio[2]},
        .lpAttributeList = s->attributes,
    };

    if (s->options->flags & RP_PROCESS_HIDE) {
        startup.StartupInfo.dwFlags |= STARTF_USESHOWWINDOW;
        startup.StartupInfo.wShowWindow = SW_HIDE;
    }
    return CreateProcessW(s->program, s->line, NULL, NULL, TRUE, flags_of(s->options->flags), s->environment,
                          s->cwd, &startup.StartupInfo, created)
               ? 0
               : rp_error_last();
}

static void mark(const start *s, bool inherited)
{
    for (size_t i = 0; i < s->options->pass_fd_count; i++)
        if (!s->was_inherited[i])
            SetHandleInformation((HANDLE)s->options->pass_fds[i], HANDLE_FLAG_INHERIT,
                                 inherited ? HANDLE_FLAG_INHERIT : 0);
}

static int create_passing(start *s, PROCESS_INFORMATION *created)
{
    int rc;

    if (s->options->pass_fd_count == 0)
        return create(s, created);
    rp_mutex_lock(&passing);
    mark(s, true);
    rc = create(s, created);
    mark(s, false);
    rp_mutex_unlock(&passing);
    return rc;
}

/* A job that this process is in itself may not let its children into another one: then they are in that one. */
static int begin(const start *s, const PROCESS_INFORMATION *created)
{
    int rc = s->options->flags & RP_PROCESS_DETACHED ? 0 : rp_job_add(created->hProcess);

    if (rc == -EACCES)
        rc = 0;
    if (rc == 0 && ResumeThread(created->hThread) == (DWORD)-1)
        rc = rp_error_last();
    CloseHandle(created->hThread);
    if (rc < 0) {
        TerminateProcess(created->hProcess, KILLED);
        CloseHandle(created->hProcess);
    }
    return rc;
}

int rp_spawn(const rp_process_options *options, rp_spawned *spawned, rp_spawn_step *step)
{
    start s = {.options = options, .pipes = {-1, -1, -1}};
    PROCESS_INFORMATION created;
    int rc = prepare(&s);

    *spawned = (rp_spawned){.process = -1, .pipes = {-1, -1, -1}};
    *step = RP_SPAWN_PREPARE;
    if (rc == 0 && s.cwd) {
        *step = RP_SPAWN_CHDIR;
        rc = check_directory(s.cwd);
    }
    if (rc == 0) {
        *step = RP_SPAWN_EXECUTE;
        rc = find_program(&s);
    }
    if (rc == 0)
        rc = create_passing(&s, &created);
    if (rc == 0)
        rc = begin(&s, &created);
    if (rc == 0) {
        *spawned = (rp_spawned){.pid = created.dwProcessId, .process = (rp_fd)created.hProcess};
        memcpy(spawned->pipes, s.pipes, sizeof s.pipes);
    }
    finish(&s, rc == 0);
    return rc;
}

/* ---- what is done to one ---- */

int rp_spawn_open(int64_t pid, rp_spawned *spawned)
{
    const DWORD access = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE;
    HANDLE process = pid > 0 && pid <= UINT32_MAX ? OpenProcess(access, FALSE, (DWORD)pid) : NULL;

    *spawned = (rp_spawned){.pid = pid, .process = process ? (rp_fd)process : -1, .pipes = {-1, -1, -1}};
    return process || pid <= 0 || GetLastError() == ERROR_INVALID_PARAMETER ? 0 : rp_error_last();
}

/* Nobody waits for a process to be reaped. */
void rp_spawn_reap(const rp_spawned *spawned)
{
}

static bool has_ended(HANDLE process)
{
    return WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
}

int rp_spawn_signal(const rp_spawned *spawned, int signal)
{
    HANDLE process = (HANDLE)spawned->process;

    if (spawned->process == -1 || has_ended(process)) /* -1 would be this process */
        return -ESRCH;
    switch (signal) {
    case 0:
        return 0;
    case SIGBREAK:
        return GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, (DWORD)spawned->pid) ? 0 : rp_error_last();
    case SIGINT:
    case SIGTERM:
    case SIGABRT:
    case 9: /* SIGKILL */
        break;
    default:
        return -EINVAL;
    }
    if (TerminateProcess(process, KILLED))
        return 0;
    return has_ended(process) ? -ESRCH : rp_error_last(); /* it has ended meanwhile, which is an error of access */
}

int rp_spawn_returncode(int64_t status)
{
    return (int)(uint32_t)(status >> 8);
}

void rp_spawn_close(rp_fd fd)
{
    if (fd != -1)
        CloseHandle((HANDLE)fd);
}
