/*
 * hide.c - a filter of system calls for each feature: see hide.h.
 */
#include "harness/hide.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fiber/sanitizer.h"
#include "harness/harness.h"

enum {
    SEND_MSG_RING = 31,  /* of io_uring_register */
    GUARD_INSTALL = 102, /* of madvise */
};

/* A system call, and, if `argument` is not -1, the value of an argument by which it is the feature's. */
typedef struct feature {
    const char *name;
    int call;
    int argument;
    unsigned value;
    int error;
} feature;

static const feature features[] = {
    {"io_uring", SYS_io_uring_setup, -1, 0, EPERM},
    {"ring_messages", SYS_io_uring_register, 1, SEND_MSG_RING, EINVAL},
    {"epoll_pwait2", SYS_epoll_pwait2, -1, 0, ENOSYS},
    {"guard_pages", SYS_madvise, 2, GUARD_INSTALL, EINVAL},
    {"guard_mappings", SYS_mprotect, 2, PROT_NONE, ENOMEM},
    {"cached_reads", SYS_preadv2, 5, RWF_NOWAIT, EOPNOTSUPP},
    {"lent_memory", SYS_clone, 0, CLONE_VM | CLONE_VFORK, EPERM},
    {"clone_pidfd", SYS_clone, 0, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, EINVAL},
    {"pidfd_waits", SYS_waitid, 0, P_PIDFD, EINVAL},
    {"close_range", SYS_close_range, -1, 0, ENOSYS},
};

enum { FEATURES = sizeof features / sizeof features[0] };

void refuse_call(int number, int argument, unsigned value, int error)
{
    size_t offset = argument < 0 ? offsetof(struct seccomp_data, nr)
                                 : offsetof(struct seccomp_data, args) + 8 * (size_t)argument;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument < 0 ? (unsigned)number : value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        SKIP("no system call filters: %s", rp_strerror(-errno));
}

static void hide_feature(const char *name, size_t length)
{
#ifdef RP_ASAN
    if (strncmp(name, "guard_mappings", length) == 0)
        SKIP("LeakSanitizer cannot do without guard mappings of its own");
#endif
    for (int i = 0; i < FEATURES; i++)
        if (strlen(features[i].name) == length && memcmp(features[i].name, name, length) == 0) {
            refuse_call(features[i].call, features[i].argument, features[i].value, features[i].error);
            return;
        }
    test_fail(__FILE__, __LINE__, "'%.*s' is nothing that could be hidden", (int)length, name);
}

void hide_features(const char *names)
{
    while (*names != '\0') {
        size_t length = strcspn(names, ",");

        hide_feature(names, length);
        names += length;
        names += *names == ',';
    }
}

const char *hidden_feature(int index)
{
    return index < FEATURES ? features[index].name : NULL;
}
