/*
 * leaks.h - for the harness: finds what a test leaves behind.
 */
#ifndef RP_TESTS_LEAKS_H
#define RP_TESTS_LEAKS_H

#include <stddef.h>
#include <stdbool.h>

/* Counts memory and notes what is open from here on. In the test's process. */
void leaks_begin(void);

/* Whether anything is left that was not there at the beginning, with a description. */
bool leaks_find(char *text, size_t size);

/* For who forks: no thread is within the counting in between. */
void leaks_lock(void);
void leaks_unlock(void);

#endif
