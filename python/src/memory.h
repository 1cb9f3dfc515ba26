/*
 * memory.h - the core's memory comes from Python.
 */
#ifndef RPY_MEMORY_H
#define RPY_MEMORY_H

/* Before the core has allocated anything. */
void rpy_memory_init(void);

#endif
