/*
 * iocp_accept.h - accepting through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_ACCEPT_H
#define RP_PROACTOR_IOCP_ACCEPT_H

#include "proactor/iocp_port.h"

enum { IOCP_ACCEPTS = 32 }; /* that a multishot accept keeps outstanding */

/* What a multishot accept has in flight: single accepts, which are known to nobody but this backend. */
typedef struct iocp_accept_parts {
    rp_op ops[IOCP_ACCEPTS];
    unsigned in_flight; /* of these: RP_OP_SUBMITTED; the others are RP_OP_IDLE */
    int error;          /* why no more are begun, which will be the last completion's; 0: they are */
} iocp_accept_parts;

extern const iocp_method iocp_accept, iocp_accept_multi, iocp_accept_part;

#endif
