/*
 * sanitized.h - which sanitizer this is compiled for: RP_ASAN or RP_TSAN, which gcc and clang tell in different ways.
 */
#ifndef RP_BASE_SANITIZED_H
#define RP_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define RP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RP_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define RP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RP_TSAN 1
#endif
#endif

#endif
