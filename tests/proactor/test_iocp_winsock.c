/*
 * test_iocp_winsock.c - what Winsock is asked for beside the calls themselves, and answers that Wine never gives.
 *
 * Wine has none of the options and controls that this is about. So the calls are looked at on their way to the system,
 * and some are answered as a real Windows would.
 */
#include "base/socket.h"

#include <mstcpip.h>
#include <winternl.h>

#include "harness/support.h"
#include "proactor/iocp_port.h"
#include "proactor/kernel.h"

enum { REUSE_UNICASTPORT = 0x3007 };

#define PORT_UNREACHABLE ((NTSTATUS)0xC000023F)
#define NETWORK_UNREACHABLE ((NTSTATUS)0xC000023C)
#define CONNECTION_RESET ((NTSTATUS)0xC000020D)
#define HOP_LIMIT_EXCEEDED ((NTSTATUS)0xC000A012)

/* ---- options ---- */

typedef WSAAPI int set_option(SOCKET s, int level, int option, const char *value, int length);
typedef WSAAPI int bind_to(SOCKET s, const struct sockaddr *address, int length);

static int shared_ports; /* sockets that were told to share theirs */
static int bound_after;  /* how many of these were bound then */

static WSAAPI int own_setsockopt(SOCKET s, int level, int option, const char *value, int length)
{
    set_option *real = (set_option *)test_next_function("setsockopt");

    if (level != SOL_SOCKET || option != REUSE_UNICASTPORT)
        return real(s, level, option, value, length);
    CHECK_INT(length, ==, sizeof(int));
    shared_ports += *(const int *)value;
    WSASetLastError(WSAENOPROTOOPT);
    return SOCKET_ERROR;
}

static WSAAPI int own_bind(SOCKET s, const struct sockaddr *address, int length)
{
    bind_to *real = (bind_to *)test_next_function("bind");

    bound_after += shared_ports > bound_after;
    return real(s, address, length);
}

set_option *__imp_setsockopt = own_setsockopt; /* the pointers that they are called through */
bind_to *__imp_bind = own_bind;

/* ---- controls ---- */

typedef WSAAPI int control(SOCKET s, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size, DWORD *length,
                           WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);

static int hastened; /* sockets that were told not to ask again when a connection is refused */

/* Providers that hide the driver's socket: each knows the one below; layers[0] is the topmost. */
static struct {
    SOCKET layers[20];
    int count, asked;
    bool around; /* the lowest one names the topmost as the one below */
} stack;

static int own_handle(SOCKET s, DWORD code, SOCKET *below)
{
    stack.asked++;
    for (int n = 0; n < stack.count; n++)
        if (stack.layers[n] == s && code == SIO_BSP_HANDLE_POLL && (n < stack.count - 1 || stack.around)) {
            *below = stack.layers[(n + 1) % stack.count];
            return 0;
        }
    WSASetLastError(WSAEOPNOTSUPP);
    return SOCKET_ERROR;
}

static bool hides(SOCKET s)
{
    for (int n = 0; n < stack.count; n++)
        if (stack.layers[n] == s && (n < stack.count - 1 || stack.around))
            return true;
    return false;
}

static WSAAPI int own_control(SOCKET s, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size,
                              DWORD *length, WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    control *real = (control *)test_next_function("WSAIoctl");
    const TCP_INITIAL_RTO_PARAMETERS *parameters = in;

    if (code == SIO_TCP_INITIAL_RTO) {
        CHECK_INT(in_size, ==, sizeof *parameters);
        CHECK_INT(parameters->Rtt, ==, TCP_INITIAL_RTO_UNSPECIFIED_RTT);
        CHECK_INT(parameters->MaxSynRetransmissions, ==, TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS);
        hastened++;
    }
    if ((code == SIO_BASE_HANDLE || code == SIO_BSP_HANDLE_POLL) && hides(s))
        return own_handle(s, code, out);
    return real(s, code, in, in_size, out, out_size, length, overlapped, routine);
}

control *__imp_WSAIoctl = own_control;

/* ---- connecting ---- */

static int64_t connect_to(rp_proactor *port, int fd, const void *address, size_t length)
{
    rp_op op;

    rp_op_connect(&op, fd, address, (uint32_t)length, NULL, NULL);
    return perform(port, &op);
}

TEST(connections_share_the_ports_that_windows_chooses)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, own = loopback(0);
    int listener = listen_tcp(&address), chosen = tcp_socket(), bound = tcp_socket();

    CHECK_INT(connect_to(port, chosen, &address, sizeof address), ==, 0);
    CHECK_INT(shared_ports, ==, 1);
    CHECK_INT(bound_after, ==, 1); /* before, it would change nothing */
    CHECK_INT(bind(bound, (struct sockaddr *)&own, sizeof own), ==, 0);
    CHECK_INT(connect_to(port, bound, &address, sizeof address), ==, 0);
    CHECK_INT(shared_ports, ==, 1); /* the owner's choice stands */
    close(chosen);
    close(bound);
    close(listener);
    rp_proactor_close(port);
}

TEST(a_loopback_is_asked_once)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, one[16] = {[15] = 1};
    rp_proactor *port = open_port();
    struct sockaddr_in address = loopback(1), any = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    int both = 0, fd = tcp_socket();

    CHECK_INT(connect_to(port, fd, &address, sizeof address), ==, -ECONNREFUSED);
    CHECK_INT(hastened, ==, 1);
    close(fd);
    address.sin_addr.s_addr = htonl(0x7f0000ff);
    fd = tcp_socket();
    CHECK_INT(connect_to(port, fd, &address, sizeof address), ==, -ECONNREFUSED);
    CHECK_INT(hastened, ==, 2);
    close(fd);
    for (int i = 0; i < 2; i++) {
        fd = socket(AF_INET6, SOCK_STREAM, 0);
        CHECK_INT(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both), ==, 0);
        memcpy(&six.sin6_addr, i ? mapped : one, 16);
        CHECK_INT(connect_to(port, fd, &six, sizeof six), ==, -ECONNREFUSED);
        CHECK_INT(hastened, ==, 3 + i);
        close(fd);
    }
    fd = tcp_socket();
    CHECK_INT(connect_to(port, fd, &any, sizeof any), <, 0);
    CHECK_INT(connect_to(port, fd, &address, offsetof(struct sockaddr_in, sin_addr)), <, 0);
    CHECK_INT(hastened, ==, 4);
    close(fd);
    rp_proactor_close(port);
}

/* ---- the driver's own socket ---- */

static void poll_through(rp_proactor *port, int top)
{
    rp_op op;

    rp_op_poll(&op, top, RP_POLL_IN, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN);
}

TEST(a_poll_finds_the_drivers_socket_under_providers_that_hide_it)
{
    rp_proactor *port = open_port();
    int fds[2], tops[3];

    nonblocking_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    for (int n = 0; n < 3; n++) { /* connected to nothing: not readable by themselves */
        tops[n] = socket(AF_INET, SOCK_DGRAM, 0);
        stack.layers[n] = (SOCKET)tops[n];
    }
    stack.count = 4;
    stack.layers[3] = (SOCKET)fds[0];
    poll_through(port, tops[0]);
    CHECK_INT(stack.asked, ==, 6);
    poll_through(port, tops[2]);
    CHECK_INT(stack.asked, ==, 8);
    poll_through(port, fds[0]); /* hidden by nobody */
    CHECK_INT(stack.asked, ==, 8);
    for (int n = 0; n < 3; n++)
        close(tops[n]);
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(a_poll_ends_with_the_socket_itself_where_no_other_is_told)
{
    rp_proactor *port = open_port();
    int fds[2];

    nonblocking_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    stack.layers[0] = (SOCKET)fds[0];
    stack.count = 1;
    stack.around = true; /* it names itself */
    poll_through(port, fds[0]);
    CHECK_INT(stack.asked, <=, 2 * MAX_PROTOCOL_CHAIN);
    close_pair(fds);
    rp_proactor_close(port);
}

/* ---- datagrams that nobody took ---- */

typedef WSAAPI int receive_from(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                                struct sockaddr *from, int *from_length, WSAOVERLAPPED *overlapped,
                                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
typedef WSAAPI int receive(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                           WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
typedef WSAAPI int send_to(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                           const struct sockaddr *to, int length, WSAOVERLAPPED *overlapped,
                           LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);

/* What the next receives tell of datagrams that were sent earlier. */
static struct {
    int at_once[4];    /* errors of the call itself; 0 after the last */
    NTSTATUS later[4]; /* then, how operations end that have begun */
    int failing_sends; /* how many sends fail first, and how */
    int send_error;
    int given;
    HANDLE port;
} news;

/* True: the call has been answered, by *result. */
static bool tell_news(WSAOVERLAPPED *overlapped, int *from_length, int *result)
{
    *result = SOCKET_ERROR;
    if (news.at_once[0] != 0) {
        WSASetLastError(news.at_once[0]);
        memmove(news.at_once, news.at_once + 1, sizeof news.at_once - sizeof *news.at_once);
    } else if (news.later[0] != 0) {
        overlapped->Internal = (ULONG_PTR)(LONG_PTR)news.later[0];
        memmove(news.later, news.later + 1, sizeof news.later - sizeof *news.later);
        iocp_post_packet(news.port, IOCP_KEY_OP, 0, overlapped);
        WSASetLastError(WSA_IO_PENDING);
    } else {
        return false;
    }
    if (from_length)
        *from_length = 0;
    news.given++;
    return true;
}

static WSAAPI int own_receive_from(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                                   struct sockaddr *from, int *from_length, WSAOVERLAPPED *overlapped,
                                   LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    receive_from *real = (receive_from *)test_next_function("WSARecvFrom");
    int result;

    return tell_news(overlapped, from_length, &result)
               ? result
               : real(s, buffers, count, received, flags, from, from_length, overlapped, routine);
}

static WSAAPI int own_receive(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                              WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    receive *real = (receive *)test_next_function("WSARecv");
    int result;

    return tell_news(overlapped, NULL, &result) ? result
                                                : real(s, buffers, count, received, flags, overlapped, routine);
}

static WSAAPI int own_send_to(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                              const struct sockaddr *to, int length, WSAOVERLAPPED *overlapped,
                              LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    send_to *real = (send_to *)test_next_function("WSASendTo");

    if (news.failing_sends == 0)
        return real(s, buffers, count, sent, flags, to, length, overlapped, routine);
    news.failing_sends--;
    WSASetLastError(news.send_error);
    return SOCKET_ERROR;
}

receive_from *__imp_WSARecvFrom = own_receive_from;
receive *__imp_WSARecv = own_receive;
send_to *__imp_WSASendTo = own_send_to;

static int bound_udp(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    *address = loopback(0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    return fd;
}

/* Five errors come before the datagram does; as many ways as there are to receive it. */
static void set_news(rp_proactor *port)
{
    memset(&news, 0, sizeof news);
    news.port = ((iocp *)port)->port;
    news.at_once[0] = WSAECONNRESET;
    news.at_once[1] = WSAENETRESET;
    news.later[0] = PORT_UNREACHABLE;
    news.later[1] = HOP_LIMIT_EXCEEDED;
    news.later[2] = NETWORK_UNREACHABLE;
}

TEST(a_closed_port_ends_no_receive_of_a_socket_with_many_peers)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, from, peer_address;
    int fd = bound_udp(&address), peer = bound_udp(&peer_address);
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    rp_op op;

    for (int i = 0; i < 6; i++) {
        struct msghdr message = {
            .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
        int flags = i % 2 ? MSG_DONTWAIT : 0;

        set_news(port);
        byte = 0;
        CHECK_INT(sendto(peer, "x", 1, 0, (struct sockaddr *)&address, sizeof address), ==, 1);
        if (i < 2)
            rp_op_recvmsg(&op, fd, &message, flags, NULL, NULL);
        else if (i < 4)
            rp_op_recv(&op, fd, &byte, 1, flags, NULL, NULL);
        else
            rp_op_readv(&op, fd, &vector, 1, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 1);
        CHECK_INT(byte, ==, 'x');
        CHECK_INT(news.given, ==, 5);
        if (i < 2) {
            CHECK_INT(message.msg_namelen, ==, sizeof from);
            CHECK_INT(from.sin_port, ==, peer_address.sin_port);
        }
    }
    close(fd);
    close(peer);
    rp_proactor_close(port);
}

TEST(a_receive_that_is_cancelled_amid_such_news_is_cancelled)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int fd = bound_udp(&address);
    char byte;
    rp_op op;

    set_news(port);
    rp_op_recv(&op, fd, &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    rp_proactor_cancel(port, &op);
    CHECK_INT(finish(port, &op), ==, -ECANCELED);
    set_news(port);
    rp_op_recv(&op, fd, &byte, 1, MSG_DONTWAIT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EAGAIN);
    close(fd);
    rp_proactor_close(port);
}

TEST(a_closed_port_refuses_a_socket_with_one_peer)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, own;
    int peer = bound_udp(&address), fd = bound_udp(&own);
    char byte;
    rp_op op;

    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    for (int i = 0; i < 4; i++) { /* in either way, and by either number */
        memset(&news, 0, sizeof news);
        news.port = ((iocp *)port)->port;
        if (i < 2)
            news.at_once[0] = i ? WSAECONNREFUSED : WSAECONNRESET;
        else
            news.later[0] = i == 2 ? PORT_UNREACHABLE : CONNECTION_RESET;
        rp_op_recv(&op, fd, &byte, 1, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
    }
    close(peer);
    close(fd);
    rp_proactor_close(port);
}

TEST(a_closed_port_is_not_told_by_a_send_to_another)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, own;
    int peer = bound_udp(&address), fd = bound_udp(&own);
    char byte = 'x';
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
    rp_op op;

    rp_op_sendmsg(&op, fd, &message, 0, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        news.failing_sends = 1;
        news.send_error = i ? WSAECONNRESET : WSAENETRESET;
        byte = 'x';
        CHECK_INT(perform(port, &op), ==, 1);
        byte = 0;
        CHECK_INT(recv(peer, &byte, 1, 0), ==, 1);
        CHECK_INT(byte, ==, 'x');
    }
    news.failing_sends = 2; /* it is not tried again and again */
    CHECK_INT(perform(port, &op), ==, -ECONNRESET);
    close(peer);
    close(fd);
    rp_proactor_close(port);
}

/* ---- the same of datagrams that go at once ---- */

static int send_while_failing(int fd, struct sockaddr_in *to, int error, int times)
{
    struct iovec piece = {"x", 1};
    rp_message message = {
        .vector = &piece, .count = 1, .address = (struct sockaddr *)to, .address_length = sizeof *to};

    news.send_error = error;
    news.failing_sends = times;
    return rp_kernel_send_messages(&rp_system_kernel, fd, &message, 1);
}

TEST(a_datagram_that_can_go_nowhere_is_not_tried_for_ever)
{
    struct sockaddr_in to, own;
    int peer = bound_udp(&to), fd = bound_udp(&own);

    CHECK_INT(send_while_failing(fd, &to, WSAENETUNREACH, 100), ==, -ENETUNREACH);
    CHECK_INT(news.failing_sends, ==, 99);
    CHECK_INT(send_while_failing(fd, &to, WSAEHOSTUNREACH, 100), ==, -EHOSTUNREACH);
    CHECK_INT(news.failing_sends, ==, 99);
    CHECK_INT(send_while_failing(fd, &to, WSAECONNRESET, 1), ==, 1); /* which was about an earlier one */
    CHECK_INT(send_while_failing(fd, &to, WSAECONNRESET, 100), ==, -ECONNRESET);
    CHECK_INT(news.failing_sends, ==, 98);
    close(fd);
    close(peer);
}
