/*
 * abandon.h - tasks that have not ended when their loop is closed.
 */
#ifndef RP_CO_ABANDON_H
#define RP_CO_ABANDON_H

#include "co/runtime.h"

/* From now on the loop's close reports and abandons its tasks, and frees the runtime. */
void rp_abandon_at_close(rp_runtime *runtime);

#endif
