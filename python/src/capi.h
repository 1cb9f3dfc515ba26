/*
 * capi.h - the capsule ringport.capi, by which extension modules come to the core.
 */
#ifndef RPY_CAPI_H
#define RPY_CAPI_H

#include "compat.h"

/* Adds it to the module. */
int rpy_capi_init(PyObject *module);

#endif
