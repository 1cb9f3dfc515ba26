/*
 * uring_collect.h - what the ring tells: completions of its entries, as completions of operations.
 */
#ifndef RP_PROACTOR_URING_COLLECT_H
#define RP_PROACTOR_URING_COLLECT_H

#include "proactor/uring_submit.h"

/* Takes completions out of the ring, as many as there is room for. Returns how many completions of operations came. */
int uring_collect(uring *u, rp_completion *completions, int capacity);

#endif
