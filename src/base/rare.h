/*
 * rare.h - paths that are hardly ever taken, and those that always are.
 *
 * A function of its own for such a path keeps the registers and the frame that it needs out of the common one.
 */
#ifndef RP_BASE_RARE_H
#define RP_BASE_RARE_H

/* For a function that is to have a frame of its own, however often it is called. */
#define RP_APART __attribute__((noinline))

/* For a function that is called on a rare path. */
#define RP_RARE __attribute__((noinline, cold))

/* What is called for every message: it is inlined however large the program becomes. */
#define RP_INLINED inline __attribute__((always_inline))

#endif
