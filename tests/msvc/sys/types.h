/*
 * sys/types.h - stands in for that of Microsoft's compiler, which has no ssize_t: see `msvc` in scripts/check.
 */
#ifndef RP_TESTS_MSVC_SYS_TYPES_H
#define RP_TESTS_MSVC_SYS_TYPES_H

typedef long off_t;
typedef unsigned int dev_t;
typedef unsigned short ino_t;

#endif
