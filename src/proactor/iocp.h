/*
 * iocp.h - the backend IOCP, Windows' I/O completion port.
 */
#ifndef RP_PROACTOR_IOCP_H
#define RP_PROACTOR_IOCP_H

#include "proactor/backend.h"

extern const rp_backend rp_iocp_backend;

#endif
