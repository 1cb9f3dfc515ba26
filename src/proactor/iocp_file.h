/*
 * iocp_file.h - what is done with files and pipes through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_FILE_H
#define RP_PROACTOR_IOCP_FILE_H

#include "proactor/iocp_port.h"

extern const iocp_method iocp_read, iocp_write, iocp_fsync, iocp_by_path, iocp_close;

/* Has Windows end what an operation blocks in. It may be between two calls: ask again until its packet is there. */
void iocp_file_interrupt(iocp *i, rp_op *op);

#endif
