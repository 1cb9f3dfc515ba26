/*
 * bind.c - sockets that are bound: their options, the order of things, ports that several share.
 */
#include "net/bind.h"

#include <string.h>

/* ---- ports ---- */

/* Where an address of the Internet has its port; NULL: it is of another family. */
static uint16_t *port_of(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return &((struct sockaddr_in *)address)->sin_port;
    if (address->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)address)->sin6_port;
    return NULL;
}

void rp_bind_address(const struct addrinfo *info, int port, struct sockaddr_storage *address)
{
    memcpy(address, info->ai_addr, info->ai_addrlen);
    if (port && port_of(address))
        *port_of(address) = htons((uint16_t)port);
}

int rp_bind_port(const rp_kernel *kernel, rp_fd fd)
{
    struct sockaddr_storage address = {0};
    uint32_t length = sizeof address;

    if (rp_kernel_name(kernel, fd, (struct sockaddr *)&address, &length) < 0 || !port_of(&address))
        return 0;
    return ntohs(*port_of(&address));
}

/* ---- binding ---- */

static int set_options(const rp_kernel *kernel, rp_fd fd, int family, const rp_server_options *options)
{
    RP_TRY(rp_kernel_reuse_address(kernel, fd, !options->no_reuse_address));
    if (options->reuse_port)
        RP_TRY(rp_kernel_reuse_port(kernel, fd));
    /* Else [::]:port would take the port of 0.0.0.0 too. */
    if (family == AF_INET6)
        RP_TRY(rp_kernel_set_number(kernel, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    /* Accepted sockets inherit it, where they do so at all. */
    if (!options->nagle)
        RP_TRY(rp_kernel_set_number(kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1));
    return 0;
}

int rp_bind_tcp(const rp_kernel *kernel, const struct addrinfo *info, int port, const rp_server_options *options,
                rp_fd *fd)
{
    struct sockaddr_storage address;
    int rc = rp_kernel_open(kernel, info->ai_family, info->ai_socktype, info->ai_protocol, fd);

    if (rc < 0)
        return rc;
    rp_bind_address(info, port, &address);
    rc = set_options(kernel, *fd, info->ai_family, options);
    if (rc == 0)
        rc = rp_kernel_bind(kernel, *fd, (struct sockaddr *)&address, (uint32_t)info->ai_addrlen);
    if (rc < 0)
        rp_kernel_close(kernel, *fd);
    return rc;
}

int rp_bind_unix(const rp_kernel *kernel, const struct sockaddr_un *address, int length, rp_fd *fd,
                 rp_socket_file *file)
{
    bool is_file = address->sun_path[0] != '\0';
    int rc = is_file || kernel->abstract ? rp_kernel_open(kernel, AF_UNIX, SOCK_STREAM, 0, fd) : -ENOTSUP;

    if (rc < 0)
        return rc;
    rc = is_file ? rp_socket_file_remove_stale(address->sun_path) : 0;
    if (rc == 0)
        rc = rp_kernel_bind(kernel, *fd, (const struct sockaddr *)address, (uint32_t)length);
    if (rc < 0)
        rp_kernel_close(kernel, *fd);
    else if (is_file)
        rp_socket_file_identify(address->sun_path, file);
    return rc;
}

int rp_bind_reserve_port(const rp_kernel *kernel, rp_fd *fd, int *port)
{
    struct sockaddr_storage any = {.ss_family = AF_INET6};
    uint32_t length = sizeof(struct sockaddr_in6);
    int rc = rp_kernel_open(kernel, AF_INET6, SOCK_STREAM, 0, fd);

    if (rc == 0) {
        rp_kernel_set_number(kernel, *fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    } else { /* a system without IPv6 */
        any.ss_family = AF_INET;
        length = sizeof(struct sockaddr_in);
        rc = rp_kernel_open(kernel, AF_INET, SOCK_STREAM, 0, fd);
    }
    if (rc < 0)
        return rc;
    rc = rp_kernel_reuse_port(kernel, *fd);
    if (rc == 0)
        rc = rp_kernel_bind(kernel, *fd, (struct sockaddr *)&any, length);
    if (rc < 0)
        rp_kernel_close(kernel, *fd);
    else
        *port = rp_bind_port(kernel, *fd);
    return rc;
}

int rp_bind_first(const rp_kernel *kernel, rp_fd fd, int family, const struct addrinfo *list)
{
    int rc = -EADDRNOTAVAIL;

    for (; list; list = list->ai_next) {
        if (list->ai_family != family)
            continue;
        rc = rp_kernel_bind(kernel, fd, list->ai_addr, (uint32_t)list->ai_addrlen);
        if (rc == 0)
            break;
    }
    return rc;
}
