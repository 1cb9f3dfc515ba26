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

/* ---- the other way round ---- */

/* A number of so many, or -1. */
static int64_t read_number(PyObject *object, int64_t most)
{
    int overflow;
    long long number = PyLong_CheckExact(object) ? PyLong_AsLongLongAndOverflow(object, &overflow) : -1;

    return number >= 0 && number <= most ? number : -1;
}

static bool parse_ip(PyObject *object, int family, struct sockaddr_storage *address, uint32_t *length)
{
    Py_ssize_t count = PyTuple_CheckExact(object) ? PyTuple_GET_SIZE(object) : 0;
    PyObject *host = count >= 2 ? PyTuple_GET_ITEM(object, 0) : NULL;
    int64_t numbers[3] = {-1, 0, 0}; /* the port, and of IPv6 flow info and scope */

    if (!host || count > (family == AF_INET ? 2 : 4) || !PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host))
        return false;
    for (Py_ssize_t i = 1; i < count; i++) {
        numbers[i - 1] = read_number(PyTuple_GET_ITEM(object, i), i == 1 ? 0xffff : i == 2 ? 0xfffff : UINT32_MAX);
        if (numbers[i - 1] < 0)
            return false;
    }
    const char *text = (const char *)PyUnicode_1BYTE_DATA(host);
    if (strlen(text) != (size_t)PyUnicode_GET_LENGTH(host))
        return false;
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;

        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)numbers[0])};
        *length = sizeof *in;
        return inet_pton(AF_INET, text, &in->sin_addr) == 1;
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)address;
    *in = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)numbers[0]),
                                .sin6_flowinfo = htonl((uint32_t)numbers[1]),
                                .sin6_scope_id = (uint32_t)numbers[2]};
    *length = sizeof *in;
    return inet_pton(AF_INET6, text, &in->sin6_addr) == 1;
}

static bool parse_unix(PyObject *object, struct sockaddr_storage *address, uint32_t *length)
{
    struct sockaddr_un *un = (struct sockaddr_un *)address;
    PyObject *path = PyUnicode_Check(object) ? PyUnicode_EncodeFSDefault(object)
                     : PyBytes_Check(object) ? Py_NewRef(object)
                                             : NULL;
    size_t size = path ? (size_t)PyBytes_GET_SIZE(path) : 0;
    const char *text = path ? PyBytes_AS_STRING(path) : NULL;
    bool fits = size > 0 && (text[0] == '\0' ? size <= sizeof un->sun_path : size < sizeof un->sun_path);

    if (!path)
        PyErr_Clear();
    if (fits) {
        *un = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(un->sun_path, text, size);
        *length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size);
    }
    Py_XDECREF(path);
    return fits;
}

bool rpy_address_parse(PyObject *object, int family, struct sockaddr_storage *address, uint32_t *length)
{
    if (family == AF_INET || family == AF_INET6)
        return parse_ip(object, family, address, length);
    return family == AF_UNIX && parse_unix(object, address, length);
}
