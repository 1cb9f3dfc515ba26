/*
 * workers.h - a worker group, as the layers above see it: what its workers have in common.
 */
#ifndef RP_CO_WORKERS_H
#define RP_CO_WORKERS_H

#include "ringport/co.h"

/* Embed it in what the workers of a group share. */
typedef struct rp_common rp_common;
struct rp_common {
    void (*free)(rp_common *common); /* called when all workers have ended */
};

/* Makes it for a group of `count` workers: 0 or an error. */
typedef int rp_common_factory(unsigned count, rp_common **common);

/*
 * In a worker: what its group has in common; the first worker that asks has it made. Elsewhere *common is NULL. 0, or
 * the factory's error. The same factory is given each time.
 */
int rp_workers_common(rp_common_factory *factory, rp_common **common);

#endif
