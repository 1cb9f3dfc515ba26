/*
 * holdings.h - what a process holds: memory, by the kernel's count and by the library's allocator, and descriptors.
 */
#ifndef RP_TESTS_HOLDINGS_H
#define RP_TESTS_HOLDINGS_H

#include "ringport.h"

typedef struct holdings {
    size_t resident, heap, descriptors;
} holdings;

/* Whoever cannot look ends the process. */
holdings holdings_look(void);

/* Counts what the library allocates: `heap`. To be set before it allocates anything. */
extern const rp_allocator holdings_allocator;

/*
 * What the C library keeps for a thread of its freed blocks pins pages all over the heap, ever others: the kernel's
 * count creeps. Starts the program anew without that, unless it was so already.
 */
void holdings_without_caches(char **argv);

#endif
