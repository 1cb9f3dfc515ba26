/*
 * resolve_error_posix.c - getaddrinfo() and getnameinfo(), with answers as POSIX and glibc number them.
 */
#include "net/resolve_error.h"

#include "base/socket.h"
#include "ringport/error.h"

int rp_resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    errno = 0;
    return rp_resolve_error(getaddrinfo(host, service, hints, list));
}

int rp_resolve_address(const struct sockaddr *address, uint32_t length, int flags, rp_nameinfo *names)
{
    errno = 0;
    return rp_resolve_error(getnameinfo(address, length, names->host, sizeof names->host, names->service,
                                        sizeof names->service, flags));
}

int rp_resolve_error(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_SYSTEM:
        return errno ? -errno : RP_EAI_FAIL;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_ADDRFAMILY:
        return RP_EAI_ADDRFAMILY;
    case EAI_AGAIN:
        return RP_EAI_AGAIN;
    case EAI_BADFLAGS:
        return RP_EAI_BADFLAGS;
    case EAI_FAMILY:
        return RP_EAI_FAMILY;
    case EAI_NODATA:
        return RP_EAI_NODATA;
    case EAI_NONAME:
        return RP_EAI_NONAME;
    case EAI_OVERFLOW:
        return RP_EAI_OVERFLOW;
    case EAI_SERVICE:
        return RP_EAI_SERVICE;
    case EAI_SOCKTYPE:
        return RP_EAI_SOCKTYPE;
    default:
        return RP_EAI_FAIL;
    }
}
