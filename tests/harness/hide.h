/*
 * hide.h - kernels that lack something: system calls are refused as an older kernel, or a container's filter, does it.
 */
#ifndef RP_TESTS_HIDE_H
#define RP_TESTS_HIDE_H

/*
 * Lets a system call fail with an error, in this process from now on; with `argument` 0 or more only if that argument
 * has the value. Where filters are not to be had (qemu) the test is skipped.
 */
void refuse_call(int number, int argument, unsigned value, int error);

/*
 * Hides what the library looks for when it runs, and can do without; several names are parted by commas. The harness
 * does so for each test of a program that finds such a list in RP_TEST_HIDE.
 *
 *     io_uring        barred, as many containers do it
 *     ring_messages   io_uring before Linux 6.13: a thread without a ring cannot wake another's by a message
 *     epoll_pwait2    before Linux 5.11
 *     guard_pages     before Linux 6.13: guards of stacks cost mappings
 *     guard_mappings  the limit of mappings: no guard at all, if the former are hidden too
 *     cached_reads    a file system that cannot tell whether a read would block
 *     lent_memory     a child cannot borrow its parent's memory, as under qemu-user
 *     clone_pidfd     before Linux 5.2: a child comes without a pidfd
 *     pidfd_waits     before Linux 5.4: a child is not reaped by a pidfd
 *     close_range     before Linux 5.9
 */
void hide_features(const char *names);

/* Their names, one by one, ended by NULL. */
const char *hidden_feature(int index);

#endif
