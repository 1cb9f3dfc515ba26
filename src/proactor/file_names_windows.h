/*
 * file_names_windows.h - what changes a file's names and length, as Windows can have it.
 */
#ifndef RP_PROACTOR_FILE_NAMES_WINDOWS_H
#define RP_PROACTOR_FILE_NAMES_WINDOWS_H

#include "proactor/op.h"

/* Does such an operation (rp_op_is_of_names()), blocking: its result. Errors are those of Linux. */
int64_t rp_file_change(const rp_op *op);

#endif
