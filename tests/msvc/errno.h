/*
 * errno.h - stands in for that of Microsoft's compiler, with the numbers that it has: see `msvc` in scripts/check.
 */
#ifndef RP_TESTS_MSVC_ERRNO_H
#define RP_TESTS_MSVC_ERRNO_H

#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EINVAL 22
#define ECANCELED 105
#define ETIMEDOUT 138

#endif
