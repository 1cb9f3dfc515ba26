/*
 * rare.h - ways that are hardly ever gone. A function of its own for such a way keeps the registers and the frame that
 * it needs out of the common one.
 */
#ifndef RP_BASE_RARE_H
#define RP_BASE_RARE_H

/* Of a function that is called on a rare way. */
#define RP_RARE __attribute__((noinline, cold))

/* A condition that hardly ever holds. */
#define RP_RARELY(condition) __builtin_expect(!!(condition), 0)

#endif
