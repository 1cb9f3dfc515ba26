/*
 * address.c - socket addresses as text, and paths of Unix sockets as addresses.
 */
#include "connect/address.h"

#include <stdio.h>
#include <string.h>

#include "proactor/kernel.h"
#include "ringport/net.h"

int rp_unix_address(struct sockaddr_un *address, const char *path, size_t length)
{
    size_t room = sizeof address->sun_path;

    if (length == 0)
        length = strlen(path);
    if (length == 0)
        return -EINVAL;
    if (path[0] != '\0')
        room--; /* for the '\0' behind it */
    if (length > room)
        return -ENAMETOOLONG;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    return (int)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '\0'));
}

/* A path, or for an abstract name (which begins with a zero byte, and may hold others) '@' in place of these. */
static int format_unix(const struct sockaddr_un *address, uint32_t length, char *text, size_t size)
{
    size_t room = length - offsetof(struct sockaddr_un, sun_path);
    bool is_abstract = room > 0 && address->sun_path[0] == '\0';
    size_t used = is_abstract ? room : strnlen(address->sun_path, room);

    if (used >= size)
        return -ENOSPC;
    for (size_t i = 0; i < used; i++)
        text[i] = address->sun_path[i] ? address->sun_path[i] : '@';
    text[used] = '\0';
    return 0;
}

int rp_sockaddr_format(const struct sockaddr *address, uint32_t address_length, char *text, size_t size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int length;

    if (size == 0)
        return -ENOSPC;
    text[0] = '\0';
    if (address_length < sizeof address->sa_family)
        return address_length ? -EINVAL : 0;
    if (address->sa_family == AF_UNIX)
        return format_unix((const struct sockaddr_un *)address, address_length, text, size);
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    RP_TRY(rp_kernel_start_names(&rp_system_kernel));
    if (getnameinfo(address, (socklen_t)address_length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return -EINVAL;
    length = snprintf(text, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    if ((size_t)length < size)
        return 0;
    text[0] = '\0';
    return -ENOSPC;
}
