/*
 * error_windows.h - what Windows calls an error, as ringport does.
 */
#ifndef RP_BASE_ERROR_WINDOWS_H
#define RP_BASE_ERROR_WINDOWS_H

/*
 * A number of GetLastError(), of WSAGetLastError() or an NTSTATUS (their ranges do not meet) as a negative errno value;
 * 0 for 0. -EIO for what the table does not know.
 */
int rp_error_from_windows(unsigned long error);

/* The calling thread's GetLastError() that way; never 0. */
int rp_error_last(void);

#endif
