/*
 * soak_datagrams.h - a life of two sockets that exchange datagrams, for the soak test.
 */
#ifndef RP_TESTS_SOAK_DATAGRAMS_H
#define RP_TESTS_SOAK_DATAGRAMS_H

#include "ringport.h"

/*
 * From opening to closing; `seed` chooses how many there are, and how long. *cancelled counts the receives that were
 * cancelled meanwhile. Returns 0, -EBADMSG if one was lost or changed, or the error of a call.
 */
int soak_datagrams(rp_co *co, uint64_t seed, uint64_t *cancelled);

#endif
