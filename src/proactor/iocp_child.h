/*
 * iocp_child.h - a child's end through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_CHILD_H
#define RP_PROACTOR_IOCP_CHILD_H

#include "proactor/iocp_port.h"

extern const iocp_method iocp_wait_child;

#endif
