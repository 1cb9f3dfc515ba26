/*
 * names.h - lookups: futures of the answers to questions about names, which are asked on threads for names alone.
 *
 * A question is shared by the loop, the thread that asks it, and the lookups that want its answer: whoever lets go last
 * frees it. Identical questions that are under way at the same time are one, with several lookups.
 */
#ifndef RP_NET_NAMES_H
#define RP_NET_NAMES_H

#include "loop/future.h"

enum { RP_QUERY_NUMBERS = 4, RP_QUERY_PARTS = 2 };

typedef struct rp_query rp_query;

typedef struct rp_query_kind {
    /* On a thread, and may block: stores the answer, and returns 0 or a negative error. */
    int (*ask)(const rp_query *query, void **answer);
    void (*free_answer)(void *answer); /* any thread */
} rp_query_kind;

/* What is asked. Two are identical if all of it is. */
struct rp_query {
    const rp_query_kind *kind;
    int numbers[RP_QUERY_NUMBERS];
    const void *parts[RP_QUERY_PARTS]; /* NULL: none. They are copied, without alignment */
    size_t sizes[RP_QUERY_PARTS];      /* theirs, in bytes; 0 if there is none */
    bool alone;                        /* it is not to be joined with another one */
};

/*
 * Asks on a thread. *future gets the caller's reference to a future whose value is the answer, which it owns. -ENOMEM,
 * and the errors of rp_run_in_executor().
 */
int rp_lookup_start(rp_loop *loop, const rp_query *query, rp_future **future);

/* The same of an answer that is known: it is done. On failure the answer stays the caller's. -ENOMEM. */
int rp_lookup_done(rp_loop *loop, const rp_query_kind *kind, int error, void *answer, rp_future **future);

/* Takes the answer out of a future that is done. NULL: it is that of others, too, and stays the future's. */
void *rp_lookup_take_answer(rp_future *future);

#endif
