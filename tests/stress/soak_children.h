/*
 * soak_children.h - the soak's children: processes that say what they are told.
 */
#ifndef RP_TESTS_SOAK_CHILDREN_H
#define RP_TESTS_SOAK_CHILDREN_H

#include <ringport.h>

/* One who has them, one after the other. */
typedef struct soak_parent {
    uint64_t state;    /* of chance */
    const char *bytes; /* to be said; so many and `most_skipped` */
    uint32_t size, most_skipped;
    uint64_t children, cancelled; /* and how often one did not get to say all at once */
    const char *wrong;            /* what was not as it must be; NULL: nothing */
} soak_parent;

/* A child's whole life. 0, or an error, which is -ENOSYS where the system has no such children. */
int soak_child(rp_co *co, soak_parent *parent);

#endif
