/*
 * sock.h - the operations on sockets: sock_recv() and its like, as methods of the Loop.
 */
#ifndef RPY_SOCK_H
#define RPY_SOCK_H

#include "sock_connect.h"

typedef PyObject *rpy_fast_method(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

rpy_fast_method rpy_sock_recv;
rpy_fast_method rpy_sock_recv_into;
rpy_fast_method rpy_sock_recvfrom;
rpy_fast_method rpy_sock_recvfrom_into;
rpy_fast_method rpy_sock_sendall;
rpy_fast_method rpy_sock_sendto;
rpy_fast_method rpy_sock_accept;
rpy_fast_method rpy_sock_connect_resolved;

/* clang-format off */
#define RPY_SOCK_METHOD(name, function, doc)                                                                          \
    {name, (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, PyDoc_STR(name doc)}
#define RPY_SOCK_METHODS                                                                                              \
    RPY_SOCK_METHOD("sock_recv", rpy_sock_recv,                                                                       \
                    "(sock, n)\n--\n\nReceive up to n bytes. Awaits bytes; b'' is the end."),                         \
    RPY_SOCK_METHOD("sock_recv_into", rpy_sock_recv_into,                                                             \
                    "(sock, buf)\n--\n\nReceive into a buffer. Awaits the number of bytes."),                         \
    RPY_SOCK_METHOD("sock_recvfrom", rpy_sock_recvfrom,                                                               \
                    "(sock, bufsize)\n--\n\nReceive a datagram. Awaits (bytes, address)."),                           \
    RPY_SOCK_METHOD("sock_recvfrom_into", rpy_sock_recvfrom_into,                                                     \
                    "(sock, buf, nbytes=0)\n--\n\nReceive a datagram into a buffer. Awaits (number, address)."),      \
    RPY_SOCK_METHOD("sock_sendall", rpy_sock_sendall,                                                                 \
                    "(sock, data)\n--\n\nSend all of the data. Awaits None."),                                        \
    RPY_SOCK_METHOD("sock_sendto", rpy_sock_sendto,                                                                   \
                    "(sock, data, address)\n--\n\nSend a datagram. Awaits the number of bytes."),                     \
    RPY_SOCK_METHOD("sock_accept", rpy_sock_accept,                                                                   \
                    "(sock)\n--\n\nAccept a connection. Awaits (non-blocking socket, address)."),                     \
    RPY_SOCK_METHOD("sock_connect", rpy_sock_connect,                                                                 \
                    "(sock, address)\n--\n\nConnect; a name is resolved by getaddrinfo(). Awaits None."),             \
    RPY_SOCK_METHOD("_sock_connect_resolved", rpy_sock_connect_resolved,                                              \
                    "(sock, address)\n--\n\nConnect to an address that needs no resolving. Awaits None.")
/* clang-format on */

#endif
