/*
 * resolve_error_windows.c - getaddrinfo()'s answers as Windows numbers them: they are Winsock's errors.
 */
#include "base/error_windows.h"
#include "base/socket.h"
#include "net/resolve_error.h"
#include "ringport/error.h"

int rp_resolve_error(int code)
{
    switch (code) {
    case EAI_AGAIN:
        return RP_EAI_AGAIN;
    case EAI_BADFLAGS:
        return RP_EAI_BADFLAGS;
    case EAI_FAIL:
        return RP_EAI_FAIL;
    case EAI_FAMILY:
        return RP_EAI_FAMILY;
    case EAI_MEMORY:
        return -ENOMEM;
    case WSANO_DATA:
        return RP_EAI_NODATA;
    case EAI_NONAME:
        return RP_EAI_NONAME;
    case EAI_SERVICE:
        return RP_EAI_SERVICE;
    case EAI_SOCKTYPE:
        return RP_EAI_SOCKTYPE;
    default:
        return rp_error_from_windows((unsigned long)code);
    }
}
