/*
 * pipe_handle_windows.c - what Windows is asked about pipes at once.
 */
#include "proactor/pipe_handle_windows.h"

#include <winternl.h>

#include "base/error_windows.h"

enum {
    ACCESS_INFORMATION = 8, /* of NtQueryInformationFile() */
    MODE_INFORMATION = 16,
    SYNCHRONOUS = 0x30, /* mode bits of a handle that does not do overlapped operations */
    BUFFER = 64 * 1024,
};

/* What is known of a handle: of its access FILE_READ_DATA and so on, or its mode; 0: nobody knows. */
static ULONG ask(rp_fd fd, int information)
{
    IO_STATUS_BLOCK result;
    ULONG answer = 0;

    NtQueryInformationFile((HANDLE)fd, &result, &answer, sizeof answer, (FILE_INFORMATION_CLASS)information);
    return answer;
}

int rp_pipe_handle_check(const rp_kernel *kernel, rp_fd fd, bool writes, bool *is_socket, bool *watches)
{
    DWORD flags;

    *watches = false;
    if (fd <= 0 || !GetHandleInformation((HANDLE)fd, &flags))
        return -EBADF;
    *is_socket = rp_kernel_type(kernel, fd) >= 0;
    if (*is_socket)
        return 0;
    DWORD type = GetFileType((HANDLE)fd);
    if (type != FILE_TYPE_PIPE && type != FILE_TYPE_CHAR)
        return -EINVAL;
    ULONG access = ask(fd, ACCESS_INFORMATION);
    if (access != 0 && !(access & (writes ? FILE_WRITE_DATA : FILE_READ_DATA)))
        return -EBADF;
    *watches =
        writes && type == FILE_TYPE_PIPE && access & FILE_READ_DATA && !(ask(fd, MODE_INFORMATION) & SYNCHRONOUS);
    return 0;
}

/* The server may know who we are, and no more: it is not to act in our name. */
int rp_pipe_handle_connect(const wchar_t *path, rp_fd *fd)
{
    HANDLE pipe = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                              FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);

    if (pipe == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_PIPE_BUSY ? -EAGAIN : rp_error_last();
    *fd = (rp_fd)pipe;
    if (GetFileType(pipe) == FILE_TYPE_PIPE)
        return 0;
    CloseHandle(pipe);
    return -EINVAL;
}

int rp_pipe_handle_make(const wchar_t *path, bool is_first, rp_fd *fd)
{
    HANDLE pipe = CreateNamedPipeW(
        path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (is_first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
        PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES, BUFFER, BUFFER,
        0, NULL);

    *fd = (rp_fd)pipe;
    return pipe != INVALID_HANDLE_VALUE ? 0 : rp_error_last();
}
