/*
 * udp_socket.c - what a socket of UDP can be told: multicast groups, how far packets go, broadcast, many at once.
 *
 * An interface has a number, and for IPv4 it can also be named by an address. What takes only one of the two gets it in
 * the form that the system has for that.
 */
#include "ringport/udp_socket.h"

#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "net/bind.h"

#ifdef _WIN32
#include <iphlpapi.h>
#define UDP_SEND_MSG_SIZE 2 /* of <ws2tcpip.h>; Debian's is older */
#else
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/udp.h>
#endif

enum { MOST = 65535 }; /* bytes of a segment */

int rp_udp_port(rp_fd fd)
{
    return rp_bind_port(rp_kernel_here(), fd);
}

/* ---- addresses and interfaces ---- */

/* Where something listens or sends: by number, or by an IPv4 address of it. Neither: the system chooses. */
typedef struct place {
    uint32_t number;
    struct in_addr address;
} place;

/* A name or number as a number; 0: there is none. */
static uint32_t number_of(const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    return *end == '\0' && number <= UINT32_MAX ? (uint32_t)number : if_nametoindex(name);
}

/* Reads an address, which may name an interface after a '%': that goes to `scope`. */
static int read_address(const char *text, struct sockaddr_storage *address, uint32_t *scope)
{
    char host[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "%");

    *address = (struct sockaddr_storage){0};
    *scope = 0;
    if (length >= sizeof host)
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    if (text[length] == '\0' && inet_pton(AF_INET, host, &((struct sockaddr_in *)address)->sin_addr) == 1) {
        address->ss_family = AF_INET;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)address)->sin6_addr) != 1)
        return -EINVAL;
    address->ss_family = AF_INET6;
    if (text[length] == '\0')
        return 0;
    *scope = number_of(text + length + 1);
    return *scope != 0 ? 0 : -ENODEV;
}

static int read_place(const char *name, place *found)
{
    struct sockaddr_storage address;
    int rc;

    *found = (place){0};
    if (!name || name[0] == '\0')
        return 0;
    rc = read_address(name, &address, &found->number);
    if (rc == 0 && address.ss_family == AF_INET)
        found->address = ((struct sockaddr_in *)&address)->sin_addr;
    else if (rc == -EINVAL)
        found->number = number_of(name);
    return found->number != 0 || found->address.s_addr != 0 ? 0 : -ENODEV;
}

/* A place as an IPv4 address: Windows takes numbers in this form. Elsewhere it must not have one. */
static struct in_addr address_of(const place *at)
{
    return at->number != 0 ? (struct in_addr){.s_addr = htonl(at->number)} : at->address;
}

/* ---- groups ---- */

/* What a call of rp_udp_join() or rp_udp_leave() is about. */
typedef struct membership {
    struct sockaddr_storage group, source;
    bool has_source;
    place at;
} membership;

static int read_membership(const char *group, const char *source, const char *interface_name, membership *m)
{
    uint32_t scope, unused;

    if (!group)
        return -EINVAL;
    RP_TRY(read_address(group, &m->group, &scope));
    m->has_source = source && source[0] != '\0';
    if (m->has_source)
        RP_TRY(read_address(source, &m->source, &unused));
    if (m->has_source && m->source.ss_family != m->group.ss_family)
        return -EINVAL;
    RP_TRY(read_place(interface_name, &m->at));
    if (m->at.number == 0 && m->at.address.s_addr == 0)
        m->at.number = scope;
    /* An address names an interface for IPv4 alone. */
    return m->group.ss_family == AF_INET6 && m->at.address.s_addr != 0 ? -EINVAL : 0;
}

static int change_any_source_v4(const rp_kernel *kernel, rp_fd fd, const membership *m, bool join)
{
#ifdef _WIN32
    struct ip_mreq request = {.imr_interface = address_of(&m->at)};
#else
    struct ip_mreqn request = {.imr_address = m->at.address, .imr_ifindex = (int)m->at.number};
#endif
    request.imr_multiaddr = ((const struct sockaddr_in *)&m->group)->sin_addr;
    return rp_kernel_set(kernel, fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
                         sizeof request);
}

static int change_any_source_v6(const rp_kernel *kernel, rp_fd fd, const membership *m, bool join)
{
    struct ipv6_mreq request = {.ipv6mr_multiaddr = ((const struct sockaddr_in6 *)&m->group)->sin6_addr,
                                .ipv6mr_interface = m->at.number};

    return rp_kernel_set(kernel, fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
                         sizeof request);
}

/* By an address of the interface. */
static int change_source_v4(const rp_kernel *kernel, rp_fd fd, const membership *m, bool join)
{
    struct ip_mreq_source request = {.imr_multiaddr = ((const struct sockaddr_in *)&m->group)->sin_addr,
                                     .imr_sourceaddr = ((const struct sockaddr_in *)&m->source)->sin_addr,
                                     .imr_interface = address_of(&m->at)};

    return rp_kernel_set(kernel, fd, IPPROTO_IP, join ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP,
                         &request, sizeof request);
}

/* By its number. */
static int change_source(const rp_kernel *kernel, rp_fd fd, const membership *m, bool join)
{
    struct group_source_req request;

    memset(&request, 0, sizeof request); /* the kernel is handed its padding, too */
    request.gsr_interface = m->at.number;
    request.gsr_group = m->group;
    request.gsr_source = m->source;
    return rp_kernel_set(kernel, fd, m->group.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
                         join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &request, sizeof request);
}

static int change(rp_fd fd, const char *group, const char *source, const char *interface_name, bool join)
{
    const rp_kernel *kernel = rp_kernel_here();
    membership m;

    RP_TRY(rp_kernel_start_names(kernel));
    RP_TRY(read_membership(group, source, interface_name, &m));
    if (!m.has_source)
        return m.group.ss_family == AF_INET ? change_any_source_v4(kernel, fd, &m, join)
                                            : change_any_source_v6(kernel, fd, &m, join);
#ifdef _WIN32
    bool by_address = m.group.ss_family == AF_INET;
#else
    bool by_address = m.at.address.s_addr != 0;
#endif
    return (by_address ? change_source_v4 : change_source)(kernel, fd, &m, join);
}

int rp_udp_join(rp_fd fd, const char *group, const char *source, const char *interface_name)
{
    return change(fd, group, source, interface_name, true);
}

int rp_udp_leave(rp_fd fd, const char *group, const char *source, const char *interface_name)
{
    return change(fd, group, source, interface_name, false);
}

/* ---- options ---- */

int rp_udp_set_multicast_interface(rp_fd fd, const char *interface_name)
{
    const rp_kernel *kernel = rp_kernel_here();
    int family = rp_kernel_family(kernel, fd);
    place at;

    if (family < 0)
        return family;
    RP_TRY(read_place(interface_name, &at));
    if (family == AF_INET6)
        return at.address.s_addr != 0
                   ? -EINVAL
                   : rp_kernel_set_number(kernel, fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)at.number);
    if (family != AF_INET)
        return -EAFNOSUPPORT;
#ifdef _WIN32
    struct in_addr value = address_of(&at);
#else
    struct ip_mreqn value = {.imr_address = at.address, .imr_ifindex = (int)at.number};
#endif
    return rp_kernel_set(kernel, fd, IPPROTO_IP, IP_MULTICAST_IF, &value, sizeof value);
}

/* An option that has a name and a range in each family. */
static int set_number(rp_fd fd, int option, int option6, int value, int least, int most)
{
    const rp_kernel *kernel = rp_kernel_here();
    int family = rp_kernel_family(kernel, fd);

    if (family < 0)
        return family;
    if (value < least || value > most)
        return -EINVAL;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    return family == AF_INET ? rp_kernel_set_number(kernel, fd, IPPROTO_IP, option, value)
                             : rp_kernel_set_number(kernel, fd, IPPROTO_IPV6, option6, value);
}

int rp_udp_set_multicast_ttl(rp_fd fd, int ttl)
{
    return set_number(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl, 0, 255);
}

int rp_udp_set_multicast_loop(rp_fd fd, bool loop)
{
    return set_number(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, loop, 0, 1);
}

int rp_udp_set_ttl(rp_fd fd, int ttl)
{
    return set_number(fd, IP_TTL, IPV6_UNICAST_HOPS, ttl, 1, 255);
}

int rp_udp_set_broadcast(rp_fd fd, bool on)
{
    return rp_kernel_set_number(rp_kernel_here(), fd, SOL_SOCKET, SO_BROADCAST, on);
}

/* ---- GSO and GRO ---- */

/* Systems that do not know the option say that there is none, or that something about it is invalid. */
static int set_of_udp(rp_fd fd, int option, int value)
{
    const rp_kernel *kernel = rp_kernel_here();
    int rc = rp_kernel_type(kernel, fd);

    if (rc < 0)
        return rc;
    rc = rp_kernel_set_number(kernel, fd, IPPROTO_UDP, option, value);
    return rc == -ENOPROTOOPT || rc == -EINVAL ? -ENOTSUP : rc;
}

int rp_udp_set_gso(rp_fd fd, int segment)
{
    if (segment < 0 || segment > MOST)
        return -EINVAL;
#ifdef _WIN32
    return set_of_udp(fd, UDP_SEND_MSG_SIZE, segment);
#else
    return set_of_udp(fd, UDP_SEGMENT, segment);
#endif
}

#ifdef _WIN32

int rp_udp_set_gro(rp_fd fd, bool on)
{
    int type = rp_kernel_type(rp_kernel_here(), fd);

    if (type < 0)
        return type;
    return on ? -ENOTSUP : 0;
}

int rp_udp_segment(const struct msghdr *message)
{
    (void)message;
    return 0;
}

int rp_udp_put_segment(struct msghdr *message, void *room, int segment)
{
    (void)room;
    if (segment < 0 || segment > MOST)
        return -EINVAL;
    message->msg_control = NULL;
    message->msg_controllen = 0;
    return segment == 0 ? 0 : -ENOTSUP;
}

#else

_Static_assert(CMSG_SPACE(sizeof(int)) <= RP_UDP_SEGMENT_ROOM, "the control message fits");

int rp_udp_set_gro(rp_fd fd, bool on)
{
    return set_of_udp(fd, UDP_GRO, on);
}

int rp_udp_segment(const struct msghdr *message)
{
    struct msghdr *header = (struct msghdr *)(uintptr_t)message;
    int segment;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(control), sizeof segment);
        return segment;
    }
    return 0;
}

int rp_udp_put_segment(struct msghdr *message, void *room, int segment)
{
    uint16_t size = (uint16_t)segment;
    struct cmsghdr *control = room;

    if (segment < 0 || segment > MOST)
        return -EINVAL;
    message->msg_control = segment != 0 ? room : NULL;
    message->msg_controllen = segment != 0 ? CMSG_SPACE(sizeof size) : 0;
    if (segment == 0)
        return 0;
    memset(room, 0, RP_UDP_SEGMENT_ROOM);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(control), &size, sizeof size);
    return 0;
}

#endif
