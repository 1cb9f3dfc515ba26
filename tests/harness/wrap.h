/*
 * wrap.h - functions of the library, and of those below it, with a layer between: where tests/meson.build says so, the
 * linker leads the calls of f() to __wrap_f(), which may call the true one as __real_f().
 */
#ifndef RP_TESTS_WRAP_H
#define RP_TESTS_WRAP_H

/* Begins the definition of a wrapper. */
#define WRAP(type, name, ...)                                                                                     \
    type __real_##name(__VA_ARGS__);                                                                              \
    type __wrap_##name(__VA_ARGS__);                                                                              \
    type __wrap_##name(__VA_ARGS__)

#endif
