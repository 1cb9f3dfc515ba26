/*
 * origin.h - where something was created: return addresses, kept in debug mode, for reports.
 */
#ifndef RP_BASE_ORIGIN_H
#define RP_BASE_ORIGIN_H

#include <stdio.h>

#include "ringport/base.h"

typedef struct rp_origin {
    int depth;
    void *addresses[];
} rp_origin;

/* How many addresses are kept: 0 to 64. It holds for the whole process, and is atomic. */
int rp_origin_get_depth(void);
int rp_origin_set_depth(int depth); /* returns the old one, -EINVAL if out of range */

/* The caller's backtrace, without this function; NULL at depth 0 or if there is no memory. Free with rp_free(). */
rp_origin *rp_origin_capture(void);

/* Stores the return addresses above the caller, innermost first, after some of the library's own; returns how many. */
int rp_origin_backtrace(void **addresses, int count);

/* Writes addresses with their symbols, a line each, indented. */
void rp_origin_print(FILE *file, void *const *addresses, int depth);

/* The name of the function at an address, into `text`; its address in hex if it has none. Returns text. */
const char *rp_origin_symbol(void *address, char *text, size_t size);

#endif
