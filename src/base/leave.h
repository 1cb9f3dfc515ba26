/*
 * leave.h - what must be done when a scope is left: by its end, by return, or by a C++ exception that passes through.
 *
 *     static void let_go(thing **place) { ... *place ... }
 *
 *     thing *t RP_ON_LEAVE(let_go) = ...;
 *
 * User code that the library calls may throw. Whatever is due after such a call, and not just a courtesy, stands in a
 * function that is called so; the library is compiled to be unwound.
 */
#ifndef RP_BASE_LEAVE_H
#define RP_BASE_LEAVE_H

#define RP_ON_LEAVE(function) __attribute__((cleanup(function)))

#endif
