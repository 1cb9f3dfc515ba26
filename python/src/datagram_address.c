/*
 * datagram_address.c - the addresses that a datagram transport has seen, as Python has them and as the system does.
 *
 * Each has one place, where the one that was there before goes.
 */
#include "datagram_address.h"

#include <string.h>

/* Ports differ most, then the ends of addresses. 0 is as good as any where there are none. */
static unsigned place_of(const struct sockaddr *address, uint32_t length)
{
    uint32_t host, port;

    if (address->sa_family == AF_INET && length == sizeof(struct sockaddr_in)) {
        host = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
        port = ((const struct sockaddr_in *)address)->sin_port;
    } else if (address->sa_family == AF_INET6 && length == sizeof(struct sockaddr_in6)) {
        memcpy(&host, &((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr[12], sizeof host);
        port = ((const struct sockaddr_in6 *)address)->sin6_port;
    } else {
        return RPY_KNOWN;
    }
    host = ntohl(host) + ntohs((uint16_t)port);
    return (host ^ host >> 5 ^ host >> 10) % RPY_KNOWN;
}

static void remember(rpy_known_address *place, PyObject *object, const struct sockaddr *address, uint32_t length)
{
    PyObject *former = place->object;

    place->object = Py_NewRef(object);
    place->length = length;
    memcpy(&place->address, address, length);
    Py_XDECREF(former);
}

PyObject *rpy_datagram_address_object(rpy_datagram_addresses *known, const struct sockaddr *address,
                                      uint32_t length)
{
    unsigned place = length >= sizeof address->sa_family ? place_of(address, length) : RPY_KNOWN;

    known->last = NULL;
    if (place == RPY_KNOWN)
        return rpy_address_object(address, length);
    rpy_known_address *sender = &known->senders[place];
    if (!sender->object || sender->length != length || memcmp(&sender->address, address, length) != 0) {
        PyObject *object = rpy_address_object(address, length);

        if (!object)
            return NULL;
        remember(sender, object, address, length);
        Py_DECREF(object);
    }
    known->last = sender;
    return Py_NewRef(sender->object);
}

const struct sockaddr *rpy_datagram_address_of(rpy_datagram_addresses *known, PyObject *object, int family,
                                               struct sockaddr_storage *room, uint32_t *length)
{
    rpy_known_address *receiver = &known->receivers[((uintptr_t)object >> 5) % RPY_KNOWN];

    if (known->last && known->last->object == object) {
        *length = known->last->length;
        return (const struct sockaddr *)&known->last->address;
    }
    if (receiver->object == object) {
        *length = receiver->length;
        return (const struct sockaddr *)&receiver->address;
    }
    if (!rpy_address_parse(object, family, room, length))
        return NULL;
    if (family == AF_INET || family == AF_INET6)
        remember(receiver, object, (const struct sockaddr *)room, *length);
    return (const struct sockaddr *)room;
}

void rpy_datagram_addresses_clear(rpy_datagram_addresses *known)
{
    known->last = NULL;
    for (int i = 0; i < RPY_KNOWN; i++) {
        Py_CLEAR(known->senders[i].object);
        Py_CLEAR(known->receivers[i].object);
    }
}
