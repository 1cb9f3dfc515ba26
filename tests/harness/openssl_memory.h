/*
 * openssl_memory.h - the heap of OpenSSL, counted and made to fail, for programs that openssl_memory.c is linked into.
 * Memory that nobody has written is full of the letter t: whoever reads it sees a text without an end.
 */
#ifndef RP_TESTS_OPENSSL_MEMORY_H
#define RP_TESTS_OPENSSL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Lets the nth allocation of OpenSSL's from now on fail (1: the next), and no other; 0: none. */
void test_openssl_fail(uint64_t nth);

/* Whether that allocation has been asked for since. */
bool test_openssl_failed(void);

/* Blocks that OpenSSL has allocated now. */
int64_t test_openssl_live(void);

#endif
