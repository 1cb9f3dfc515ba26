/*
 * iocp_file.h - what is done with files and pipes through the completion port.
 */
#ifndef RP_PROACTOR_IOCP_FILE_H
#define RP_PROACTOR_IOCP_FILE_H

#include "proactor/iocp_port.h"

extern const iocp_method iocp_read, iocp_write, iocp_fsync, iocp_openat, iocp_statx, iocp_close;

#endif
