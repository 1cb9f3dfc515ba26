/*
 * base.h - what every other header needs: export marks, units of time, the intrusive link, the allocator hook.
 *
 * Time is `int64_t` nanoseconds, everywhere in ringport. Points in time are those of the monotonic clock.
 */
#ifndef RINGPORT_BASE_H
#define RINGPORT_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* The version of these headers. rp_version() is that of the linked library. */
#define RP_VERSION_MAJOR 0
#define RP_VERSION_MINOR 1
#define RP_VERSION_PATCH 0

/*
 * Marks what the shared library exports, while that is built: nobody else defines RP_SHARED.
 * The static library exports nothing.
 * Users define nothing, whichever they link.
 */
#if !defined(RP_SHARED)
#define RP_API
#elif defined(_WIN32)
#define RP_API __declspec(dllexport)
#else
#define RP_API __attribute__((visibility("default")))
#endif

/* Has the compiler check the arguments against the format, as it does those of printf(). */
#if defined(__MINGW32__) && defined(__USE_MINGW_ANSI_STDIO)
#define RP_PRINTF(text, first) __attribute__((__format__(__gnu_printf__, text, first)))
#elif defined(__GNUC__)
#define RP_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define RP_PRINTF(text, first)
#endif

/* What RP_NSEC() and the like use: a number as an int64_t. C++ compilers can warn of C casts, and of needless ones. */
#ifdef __cplusplus
extern "C++" {
template <typename number> constexpr int64_t rp_int64_(number n)
{
    return static_cast<int64_t>(n);
}
constexpr int64_t rp_int64_(int64_t n)
{
    return n;
}
}
#define RP_INT64_(n) rp_int64_(n)
#else
#define RP_INT64_(n) ((int64_t)(n))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Durations, in nanoseconds. */
#define RP_NSEC(n) RP_INT64_(n)
#define RP_USEC(n) RP_INT64_((n)*INT64_C(1000))
#define RP_MSEC(n) RP_INT64_((n)*INT64_C(1000000))
#define RP_SEC(n) RP_INT64_((n)*INT64_C(1000000000))

/* A point in time that never comes. As a duration or a time limit it means no limit (asyncio's None). */
#define RP_NEVER INT64_MAX

/* A link of an intrusive list. It is embedded in the struct that is listed; its fields are the library's own. */
typedef struct rp_node {
    struct rp_node *next;
    struct rp_node *prev;
} rp_node;

/* An operating system's object: a file descriptor, or on Windows a SOCKET or HANDLE. */
#ifdef _WIN32
typedef intptr_t rp_fd;
#else
typedef int rp_fd;
#endif

/* The version of the library that is linked, as "major.minor.patch". Any thread. */
RP_API const char *rp_version(void);

/*
 * The monotonic clock, read now: that of the loop that runs on this thread, else the system's.
 * Any thread.
 * Mirrors time.monotonic_ns().
 */
RP_API int64_t rp_monotonic(void);

/*
 * Where all of ringport's heap memory comes from. Coroutine stacks are not heap memory: they are mapped.
 * The functions are called from any thread.
 * They return NULL when there is no memory. Whoever called ringport gets -ENOMEM then.
 */
typedef struct rp_allocator {
    void *(*malloc)(size_t size, void *data);
    void *(*realloc)(void *memory, size_t size, void *data);
    void (*free)(void *memory, void *data);
    void *data; /* handed to each of the three */
} rp_allocator;

/*
 * Replaces malloc, realloc and free; NULL restores the C library's.
 * Call it while ringport holds no memory: before its first use, or after all loops, futures and tasks are gone.
 * Any thread, while no other one uses ringport.
 * Errors:
 *   -EINVAL   a function is missing
 */
RP_API int rp_set_allocator(const rp_allocator *allocator);

/*
 * Copies what rp_set_allocator() has set, or else the C library's functions.
 * For libraries on top of ringport that allocate as it does.
 * A size of 0 is not handed to them by ringport.
 * Any thread.
 * Never fails.
 */
RP_API void rp_get_allocator(rp_allocator *allocator);

#ifdef __cplusplus
}
#endif

#endif
