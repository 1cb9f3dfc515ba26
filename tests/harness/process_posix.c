/*
 * process_posix.c - tests in forked children.
 *
 * A child leads a process group, which is killed before the child is reaped, so that nothing of a test outlives it and
 * the group's number cannot have been reused. An interrupted run takes its children along.
 */
#include "harness/process.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/hide.h"
#include "harness/leaks.h"
#include "harness/platform.h"

enum { MAX_FDS = 4096 };

static sigset_t waited_for, mask_before;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* A test may fork while another thread of its allocates. */
__attribute__((constructor)) static void guard_forks(void)
{
    pthread_atfork(leaks_lock, leaks_unlock, leaks_unlock);
}

void process_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
}

void *process_share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        die("mmap");
    return memory;
}

/* ---- starting ---- */

static void set_up_child(int output)
{
    /* A shell starts what it runs in the background, and nohup what it runs, with some of these ignored. */
    static const int inherited[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE};
    int nothing = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (size_t i = 0; i < sizeof inherited / sizeof inherited[0]; i++)
        signal(inherited[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(nothing);
    setvbuf(stdout, NULL, _IONBF, 0);
}

/* From the first test on, the signals that process_wait() waits for are blocked, and so not lost. */
static void block_signals(void)
{
    sigset_t mask;

    sigemptyset(&waited_for);
    sigaddset(&waited_for, SIGCHLD);
    sigaddset(&waited_for, SIGINT);
    sigaddset(&waited_for, SIGTERM);
    sigaddset(&waited_for, SIGHUP);
    sigprocmask(SIG_BLOCK, &waited_for, &mask);
    if (!sigismember(&mask, SIGCHLD))
        mask_before = mask;
}

void process_start(test_process *process, test_case *test, void *verdict)
{
    pid_t pid;

    block_signals();
    process->output = memfd_create("output", MFD_CLOEXEC);
    if (process->output < 0)
        die("memfd_create");
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        set_up_child((int)process->output);
        test_run_case(test, verdict);
    }
    setpgid(pid, pid);
    process->id = pid;
}

/* ---- ending ---- */

void process_wait(const test_process *const *processes, int count, int64_t deadline)
{
    int64_t left = deadline - rp_monotonic();
    int number;

    if (left < 0)
        left = 0;
    number = sigtimedwait(&waited_for, NULL, &(struct timespec){left / RP_SEC(1), left % RP_SEC(1)});
    if (number <= 0 || number == SIGCHLD)
        return;
    for (int i = 0; i < count; i++)
        kill(-(pid_t)processes[i]->id, SIGKILL);
    exit(128 + number);
}

/* "SIGSEGV". */
static const char *signal_name(int number)
{
    static char text[32];

    snprintf(text, sizeof text, "SIG%s", sigabbrev_np(number));
    return text;
}

static test_end reap(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    if (WIFSIGNALED(status))
        return (test_end){.name = signal_name(WTERMSIG(status))};
    return (test_end){.status = WEXITSTATUS(status)};
}

bool process_ended(test_process *process, test_end *end)
{
    siginfo_t ended = {0};

    waitid(P_PID, (id_t)process->id, &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid != (pid_t)process->id)
        return false;
    process_kill(process);
    *end = reap((pid_t)process->id);
    return true;
}

void process_kill(test_process *process)
{
    kill(-(pid_t)process->id, SIGKILL);
}

size_t process_output(const test_process *process, size_t offset, char *buffer, size_t size)
{
    ssize_t n = pread((int)process->output, buffer, size, (off_t)offset);

    return n > 0 ? (size_t)n : 0;
}

void process_forget_output(test_process *process)
{
    close((int)process->output);
}

void process_hide(void)
{
    const char *names = getenv("RP_TEST_HIDE");

    if (names)
        hide_features(names);
}

/* qemu-user shows the emulated program as /proc/self/exe, but not under the longer name of the same link. */
bool process_emulated(void)
{
    char link[64], target[256];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/task/%d/exe", (int)gettid());
    length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = '\0';
    return strstr(target, "qemu-") != NULL;
}

/* ---- processes of a test's own ---- */

static void use_default_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        signal(numbers[i], SIG_DFL);
}

test_end test_in_child(void (*function)(void), char *output, size_t size)
{
    size_t length = 0;
    ssize_t n;
    int ends[2];
    pid_t pid;

    CHECK_INT(pipe(ends), ==, 0);
    pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        use_default_signals();
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function();
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    while (length < size - 1 && (n = read(ends[0], output + length, size - 1 - length)) > 0)
        length += (size_t)n;
    output[length] = '\0';
    close(ends[0]);
    return reap(pid);
}

int64_t test_start_child(int status)
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0 && status >= 0)
        _exit(status);
    while (pid == 0)
        pause();
    return pid;
}

void test_end_child(int64_t pid)
{
    kill((pid_t)pid, SIGKILL);
    waitpid((pid_t)pid, NULL, 0);
}

/* ---- of platform.h ---- */

void (*test_disposition(int number))(int)
{
    struct sigaction action;

    CHECK_INT(sigaction(number, NULL, &action), ==, 0);
    return action.sa_handler;
}

bool test_killed_by_interrupt(test_end end)
{
    return end.name != NULL && strcmp(end.name, "SIGINT") == 0;
}

bool test_under_wine(void)
{
    return false;
}

void test_need_unix_sockets(void)
{
}

void *test_next_function(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* ---- what is open ---- */

typedef struct fd_table {
    bool open[MAX_FDS];
} fd_table;

static fd_table before;
static int threads_before;

static void scan_fds(fd_table *table)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;

    memset(table, 0, sizeof *table);
    if (!directory) {
        for (int fd = 0; fd < MAX_FDS; fd++)
            table->open[fd] = fcntl(fd, F_GETFD) >= 0;
        return;
    }
    while ((entry = readdir(directory))) {
        int fd = atoi(entry->d_name);
        if (fd < MAX_FDS && fd != dirfd(directory) && entry->d_name[0] != '.')
            table->open[fd] = true;
    }
    closedir(directory);
}

static void describe_fds(int first, int count, char *text, size_t size)
{
    char link[64], target[256] = "?";
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", first);
    length = readlink(link, target, sizeof target - 1);
    if (length > 0)
        target[length] = '\0';
    snprintf(text, size, "descriptors leaked: %d, the first is %d (%s)", count, first, target);
}

static int count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    int count = 0;

    if (!directory)
        return INT_MAX;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

void process_note_open(void)
{
    scan_fds(&before);
    threads_before = count_threads();
}

bool process_threads_ended(void)
{
    return count_threads() <= threads_before;
}

bool process_left_open(char *text, size_t size)
{
    static fd_table now;
    int first = -1, count = 0;

    scan_fds(&now);
    for (int fd = MAX_FDS - 1; fd >= 0; fd--)
        if (now.open[fd] && !before.open[fd]) {
            first = fd;
            count++;
        }
    if (first >= 0)
        describe_fds(first, count, text, size);
    return first >= 0;
}
