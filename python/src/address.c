/*
 * address.c - the addresses of sockets as Python has them, family by family.
 */
#include "address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static PyObject *of_ipv4(const struct sockaddr *address)
{
    char text[INET_ADDRSTRLEN];
    struct sockaddr_in in;

    memcpy(&in, address, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return Py_BuildValue("si", text, ntohs(in.sin_port));
}

static PyObject *of_ipv6(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in6 in;

    memcpy(&in, address, sizeof in);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return Py_BuildValue("siII", text, ntohs(in.sin6_port), ntohl(in.sin6_flowinfo), in.sin6_scope_id);
}

/* An abstract name is bytes. A path may lack its end. */
static PyObject *of_unix(const struct sockaddr *address, uint32_t length)
{
    const char *path = (const char *)address + offsetof(struct sockaddr_un, sun_path);
    size_t room =
        length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;

    if (room > 0 && path[0] == '\0')
        return PyBytes_FromStringAndSize(path, (Py_ssize_t)room);
    return PyUnicode_DecodeFSDefaultAndSize(path, (Py_ssize_t)strnlen(path, room));
}

PyObject *rpy_address_object(const struct sockaddr *address, uint32_t length)
{
    if (length < sizeof address->sa_family)
        Py_RETURN_NONE;
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in))
        return of_ipv4(address);
    if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))
        return of_ipv6(address);
    if (address->sa_family == AF_UNIX)
        return of_unix(address, length);
    return Py_BuildValue("iy#", address->sa_family, address->sa_data,
                         (Py_ssize_t)(length - sizeof address->sa_family));
}
