/*
 * iocp.h - the proactor on Windows' I/O completion port: see iocp.c.
 */
#ifndef RP_PROACTOR_IOCP_H
#define RP_PROACTOR_IOCP_H

#include "proactor/backend.h"

extern const rp_backend rp_iocp_backend;

#endif
