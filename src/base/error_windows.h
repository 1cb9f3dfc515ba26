/*
 * error_windows.h - Windows' errors as negative errno values.
 */
#ifndef RP_BASE_ERROR_WINDOWS_H
#define RP_BASE_ERROR_WINDOWS_H

/*
 * An error of GetLastError() or WSAGetLastError(), or an NTSTATUS that is no success, as a negative errno value: their
 * ranges do not meet. An NTSTATUS that the table does not have is what Windows' error for it is.
 * 0 for 0; -EIO for what the table does not know.
 */
int rp_error_from_windows(unsigned long error);

/* The calling thread's GetLastError() that way; never 0. */
int rp_error_last(void);

#endif
