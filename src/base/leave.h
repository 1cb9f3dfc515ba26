/*
 * leave.h - what must be done when a scope is left: by its end, by return, or by a C++ exception that passes through.
 *
 *     static void let_go(thing **place) { ... *place ... }
 *
 *     thing *t RP_ON_LEAVE(let_go) = ...;
 *
 * User code that the library calls may throw. What must be done after such a call stands in a function like this one.
 * The library is compiled so that exceptions can unwind it.
 */
#ifndef RP_BASE_LEAVE_H
#define RP_BASE_LEAVE_H

#define RP_ON_LEAVE(function) __attribute__((cleanup(function)))

#endif
