/*
 * tls_memory.h - the engine that has an SSLObject move all bytes through its MemoryBIOs.
 */
#ifndef RPY_TLS_MEMORY_H
#define RPY_TLS_MEMORY_H

#include "tls_engine.h"

void rpy_tls_memory_init(rpy_tls_engine *engine);

#endif
