/*
 * posix.h - types and constants of POSIX and Linux that operations are made of.
 *
 * Windows lacks them, and gets them here under the same names, so that one source compiles everywhere.
 */
#ifndef RINGPORT_POSIX_H
#define RINGPORT_POSIX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sockaddr;

/* A length, or a negative error. Microsoft's compiler has no such type; others define it under these guards. */
#if defined(_MSC_VER) && !defined(_SSIZE_T_DEFINED) && !defined(_SSIZE_T_)
#define _SSIZE_T_DEFINED
#define _SSIZE_T_
typedef intptr_t ssize_t;
#endif

#ifndef _WIN32

struct iovec;
struct msghdr;
struct statx;

#else

/* A piece of memory, for readv and the like. */
struct iovec {
    void *iov_base;
    size_t iov_len;
};

/* A datagram, with its address. Windows has no control messages: msg_control is ignored. */
struct msghdr {
    void *msg_name;
    uint32_t msg_namelen;
    struct iovec *msg_iov;
    size_t msg_iovlen;
    void *msg_control;
    size_t msg_controllen;
    int msg_flags;
};

/* A point in time of struct statx, in seconds since 1970. */
struct statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
};

/* What Windows knows of a file; stx_mask says which fields hold. */
struct statx {
    uint32_t stx_mask;
    uint32_t stx_blksize;
    uint32_t stx_nlink;
    uint16_t stx_mode;
    uint64_t stx_ino;
    uint64_t stx_size;
    uint64_t stx_blocks;
    struct statx_timestamp stx_atime;
    struct statx_timestamp stx_btime;
    struct statx_timestamp stx_ctime;
    struct statx_timestamp stx_mtime;
};

/* For the mask of statx: which fields are wanted, or hold. */
#define STATX_TYPE 0x001U
#define STATX_MODE 0x002U
#define STATX_NLINK 0x004U
#define STATX_ATIME 0x020U
#define STATX_MTIME 0x040U
#define STATX_CTIME 0x080U
#define STATX_INO 0x100U
#define STATX_SIZE 0x200U
#define STATX_BLOCKS 0x400U
#define STATX_BASIC_STATS 0x7ffU
#define STATX_BTIME 0x800U

/* For the directory of openat and statx: the process's own. */
#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_EMPTY_PATH 0x1000

/* For the flags of unlinkat: a directory, and nothing else. Of linkat: what the link leads to. Of renameat. */
#define AT_REMOVEDIR 0x200
#define AT_SYMLINK_FOLLOW 0x400
#define RENAME_NOREPLACE 1

/* For the flags of openat: nothing but a directory; no link. (All that is opened is close-on-exec.) */
#ifndef O_DIRECTORY
#define O_DIRECTORY 0x200000
#define O_NOFOLLOW 0x400000
#endif

/* Of stx_mode: links (junctions, too) and the files of Unix sockets. */
#ifndef S_IFLNK
#define S_IFLNK 0xA000
#define S_IFSOCK 0xC000
#endif

/* For the flags of recv and send: fail with -EAGAIN instead of waiting; raise no signal (nothing does on Windows). */
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000

/* A wait status, of rp_op_wait_child() and rp_wait_child(). On Windows each process exits, even one that was killed. */
#define WIFEXITED(status) 1
#define WEXITSTATUS(status) ((status) >> 8)
#define WIFSIGNALED(status) 0
#define WTERMSIG(status) 0

/* How to shut a connection down. */
#define SHUT_RD 0x00
#define SHUT_WR 0x01
#define SHUT_RDWR 0x02

#endif

#endif
