/*
 * names.h - the return addresses on the stack, and the names of functions at addresses.
 */
#ifndef RP_BASE_NAMES_H
#define RP_BASE_NAMES_H

#include <stddef.h>
#include <stdio.h>

/* Stores the return addresses above the caller, innermost first, after some of the library's own; returns how many. */
int rp_origin_backtrace(void **addresses, int count);

/* Writes addresses with their symbols, a line each, indented. */
void rp_origin_print(FILE *file, void *const *addresses, int depth);

/* The name of the function at an address, into `text`; its address in hex if it has none. Returns text. */
const char *rp_origin_symbol(void *address, char *text, size_t size);

#endif
