/*
 * seccomp.h - kernels that lack something: a filter of system calls, for the tests of Linux' backends.
 */
#ifndef RP_TESTS_SECCOMP_H
#define RP_TESTS_SECCOMP_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "harness.h"

/*
 * Lets a system call fail with an error, in this process from now on; with `argument` 0 or more only if that argument
 * has the value. Where filters are not to be had (qemu) the test is skipped.
 */
static inline void refuse_call(int number, int argument, unsigned value, int error)
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

#endif
