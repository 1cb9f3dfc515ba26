/*
 * uring.h - the backend io_uring.
 */
#ifndef RP_PROACTOR_URING_H
#define RP_PROACTOR_URING_H

#include "proactor/backend.h"

extern const rp_backend rp_uring_backend;

#endif
