/*
 * origin.h - where something was created: return addresses, kept in debug mode, for reports.
 */
#ifndef RP_BASE_ORIGIN_H
#define RP_BASE_ORIGIN_H

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

#endif
