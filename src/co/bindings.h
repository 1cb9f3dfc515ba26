/*
 * bindings.h - the values of task locals: an array that tasks share by reference, copied before a change.
 *
 * Tasks of different loops may share one: the count is atomic, and what is shared is never changed. A program has few
 * such variables, so looking through the array is quicker than any map.
 */
#ifndef RP_CO_BINDINGS_H
#define RP_CO_BINDINGS_H

#include "ringport/co.h"

/* NULL: none are set. */
typedef struct rp_bindings rp_bindings;

/* Takes a reference; drops it. NULL is ignored. */
rp_bindings *rp_bindings_ref(rp_bindings *bindings);
void rp_bindings_unref(rp_bindings *bindings);

/* Where the variable's value is; NULL if it has none. */
void **rp_bindings_find(rp_bindings *bindings, const rp_contextvar *var);

/*
 * Sets a value, adds the variable if need be, or takes it out: in *bindings, which becomes the caller's own by that.
 * -ENOMEM: nothing has changed.
 */
int rp_bindings_set(rp_bindings **bindings, const rp_contextvar *var, void *value);
int rp_bindings_unset(rp_bindings **bindings, const rp_contextvar *var);

/* Makes them those of this thread, while no task runs in it; NULL takes them away. */
void rp_bindings_lend(rp_bindings *bindings);

/* What was lent to this thread. */
rp_bindings *rp_bindings_lent(void);

#endif
