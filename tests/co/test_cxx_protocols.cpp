/* test_cxx_protocols.cpp - exceptions that leave callbacks of protocols: the connections and servers go on. */
#include "harness/platform.h"
#include "harness/trouble.h"

extern "C" rp_tls_context *toy_context(void); /* toy_engine.h, which is C's */

namespace
{

void stop(void *arg)
{
    rp_loop_stop(static_cast<rp_loop *>(arg));
}

struct peer {
    rp_transport *transport;
    char bad; /* what throws: 'm'ade, 'd'ata, 'e'of, 'l'ost, 'f'actory, 'g'et_buffer, buffer_u'n'used */
    char letter;
    std::string received;
    const rp_protocol *protocol; /* NULL: peer_protocol */
    char buffer[4];
};

void happens(void *self, char what)
{
    peer *p = static_cast<peer *>(self);

    events += what;
    if (p->bad == what) {
        p->bad = 0;
        throw trouble();
    }
}

void on_made(void *self, rp_transport *transport)
{
    static_cast<peer *>(self)->transport = transport;
    happens(self, 'm');
}

void on_data(void *self, const void *data, size_t length)
{
    static_cast<peer *>(self)->received.append(static_cast<const char *>(data), length);
    happens(self, 'd');
}

bool on_eof(void *self)
{
    happens(self, 'e');
    return false;
}

void on_lost(void *self, int)
{
    happens(self, 'l');
}

void on_get(void *self, size_t, void **buffer, size_t *length)
{
    happens(self, 'g');
    *buffer = static_cast<peer *>(self)->buffer;
    *length = sizeof(peer::buffer);
}

void on_updated(void *self, size_t length)
{
    on_data(self, static_cast<peer *>(self)->buffer, length);
}

void on_unused(void *self)
{
    happens(self, 'n');
}

rp_protocol make_protocol(bool begins_soon, bool buffered)
{
    rp_protocol protocol{};

    protocol.connection_made = on_made;
    protocol.data_received = on_data;
    protocol.eof_received = on_eof;
    protocol.connection_lost = on_lost;
    protocol.begins_soon = begins_soon;
    if (buffered) {
        protocol.get_buffer = on_get;
        protocol.buffer_updated = on_updated;
        protocol.buffer_unused = on_unused;
    }
    return protocol;
}

const rp_protocol peer_protocol = make_protocol(false, false);
const rp_protocol soon_protocol = make_protocol(true, false);
const rp_protocol buffered_protocol = make_protocol(false, true);

int make_peer(void *arg, const rp_protocol **protocol, void **self)
{
    happens(arg, 'f');
    *protocol = static_cast<peer *>(arg)->protocol;
    if (*protocol == nullptr)
        *protocol = &peer_protocol;
    *self = arg;
    return 0;
}

/* Protocols on this side note nothing. */
const rp_protocol quiet_protocol{};

int make_quiet(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = &quiet_protocol;
    *self = arg;
    return 0;
}

struct fixture {
    rp_loop *loop = new_loop();
    rp_server *server = nullptr;
    peer accepted{};

    explicit fixture(rp_tls_context *tls = nullptr)
    {
        rp_server_options options{};
        rp_future *future;

        options.tls = tls;
        CHECK_INT(rp_create_server(loop, make_peer, &accepted, "127.0.0.1", 0, &options, &future), ==, 0);
        CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
        server = static_cast<rp_server *>(rp_future_value(future));
        rp_future_unref(future);
    }

    rp_transport *connected()
    {
        rp_future *future;
        rp_transport *transport;
        int rc = 1;

        CHECK_INT(
            rp_create_connection(loop, make_quiet, nullptr, "127.0.0.1", rp_server_port(server), nullptr, &future),
            ==, 0);
        for (int i = 0; rc > 0; i++) {
            try {
                rc = rp_run_until_complete(loop, future);
            } catch (const trouble &) {
                CHECK(i == 0);
            }
        }
        CHECK_INT(rc, ==, 0);
        transport = static_cast<rp_transport *>(rp_future_value(future));
        rp_future_unref(future);
        return transport;
    }

    /* Runs until something holds, or has happened, whatever is thrown. Returns how often something was. */
    int run_until(const char *what)
    {
        return run_until([=] { return events.find(what) != std::string::npos; });
    }

    template <typename condition> int run_until(condition holds)
    {
        int thrown = 0;

        while (!holds()) {
            try {
                CHECK_INT(rp_call_later(loop, nullptr, RP_MSEC(1), stop, loop), ==, 0);
                CHECK_INT(rp_run_forever(loop), ==, 0);
            } catch (const trouble &) {
                thrown++;
            }
        }
        return thrown;
    }

    ~fixture()
    {
        rp_server_free(server);
        rp_loop_free(loop);
    }
};

void survive(const rp_protocol *protocol, char bad)
{
    fixture f;

    events.clear();
    f.accepted.protocol = protocol;
    f.accepted.bad = bad;
    rp_transport *transport = f.connected();
    f.run_until("m");
    CHECK_INT(rp_transport_write(transport, "0123456789", 10), ==, 0);
    f.run_until("d");
    f.run_until([&] { return f.accepted.received == "0123456789"; });
    CHECK_INT(rp_transport_write_eof(transport), ==, 0);
    f.run_until("e");
    if (bad == 'e') /* whether to stay open was not to be known */
        rp_transport_close(f.accepted.transport);
    f.run_until("l");
    CHECK_INT(f.accepted.bad, ==, 0);
    CHECK_INT(rp_server_connections(f.server), ==, 0);
}

TEST(connections_survive_a_protocol_that_throws)
{
    for (char bad : {'m', 'd', 'e', 'l'})
        survive(&peer_protocol, bad);
    for (char bad : {'m', 'd', 'e', 'l'})
        survive(&soon_protocol, bad);
    for (char bad : {'m', 'g', 'd', 'n', 'e', 'l'})
        survive(&buffered_protocol, bad);
}

TEST(a_server_goes_on_accepting_when_a_factory_throws)
{
    fixture f;

    f.accepted.bad = 'f';
    f.connected();
    f.run_until("f");
    CHECK_INT(f.accepted.bad, ==, 0);
    CHECK_INT(rp_server_connections(f.server), ==, 0);
    f.connected();
    f.run_until("fm");
    CHECK_INT(rp_server_connections(f.server), ==, 1);
}

TEST(an_attempt_ends_when_its_factory_throws)
{
    for (char bad : {'f', 'm'}) {
        fixture f;
        peer client{};
        rp_future *future;
        int thrown = 0, rc = 1;

        client.bad = bad;
        CHECK_INT(rp_create_connection(f.loop, make_peer, &client, "127.0.0.1", rp_server_port(f.server), nullptr,
                                       &future),
                  ==, 0);
        while (rc > 0) {
            try {
                rc = rp_run_until_complete(f.loop, future);
            } catch (const trouble &) {
                thrown++;
            }
        }
        CHECK_INT(thrown, ==, 1);
        CHECK_INT(rc, ==, bad == 'f' ? RP_EFUTCANCELED : 0);
        rp_future_unref(future);
    }
}

/* The server's factory, or the client's, throws at the end of the handshake. The other end learns of it. */
TEST(a_factory_may_throw_at_the_end_of_a_handshake)
{
    for (bool servers : {true, false}) {
        fixture f(toy_context());
        rp_connect_options options{};
        peer client{};
        rp_future *future;

        options.tls = toy_context();
        (servers ? f.accepted : client).bad = 'f';
        CHECK_INT(rp_create_connection(f.loop, make_peer, &client, "127.0.0.1", rp_server_port(f.server), &options,
                                       &future),
                  ==, 0);
        int thrown = f.run_until("f");
        thrown += f.run_until("l"); /* the one that had a protocol */
        CHECK_INT(thrown, ==, 1);
        CHECK(rp_future_done(future));
        CHECK_INT(rp_future_cancelled(future), ==, !servers);
        f.run_until([&] { return rp_server_connections(f.server) == 0; });
        rp_future_unref(future);
    }
}

struct writer {
    rp_transport *transport;
    int resumed;
};

void on_resumed(void *self)
{
    static_cast<writer *>(self)->resumed++;
    throw trouble();
}

TEST(sending_goes_on_when_resume_writing_throws)
{
    static const size_t SIZE = 16 * 1024 * 1024;
    fixture f;
    writer w{};
    rp_protocol protocol{};
    std::string bytes(SIZE, 'x');
    int thrown = 0;

    protocol.resume_writing = on_resumed;
    w.transport = f.connected();
    rp_transport_set_protocol(w.transport, &protocol, &w);
    CHECK_INT(rp_transport_set_write_buffer_limits(w.transport, SIZE / 4, SIZE / 4), ==, 0);
    CHECK_INT(rp_transport_write(w.transport, bytes.data(), SIZE), ==, 0);
    while (f.accepted.received.size() < SIZE) {
        try {
            run_once(f.loop);
        } catch (const trouble &) {
            thrown++;
        }
    }
    CHECK_INT(thrown, ==, w.resumed);
    CHECK_INT(w.resumed, ==, 1);
}

} // namespace

/* ---- datagrams ---- */

#ifndef _WIN32

namespace
{

struct post {
    rp_datagram_transport *transport;
    std::string received;
    int errors;
    bool bad;
};

void on_post_made(void *self, rp_datagram_transport *transport)
{
    static_cast<post *>(self)->transport = transport;
}

void on_post(void *self, const void *data, size_t length, const struct sockaddr *address, uint32_t address_length,
             unsigned)
{
    post *p = static_cast<post *>(self);

    p->received.append(static_cast<const char *>(data), length);
    CHECK_INT(rp_datagram_sendto(p->transport, data, length, address, address_length), ==, 0);
    if (p->bad && p->received.size() % 3 == 0)
        throw trouble();
}

void on_post_error(void *self, int)
{
    static_cast<post *>(self)->errors++;
    throw trouble();
}

} // namespace

TEST(what_comes_after_a_datagram_whose_callback_throws_is_told_and_answered)
{
    fixture f;
    rp_datagram_protocol protocol{};
    post p{};
    int fds[2], thrown;
    char byte;

    protocol.connection_made = on_post_made;
    protocol.datagram_received = on_post;
    p.bad = true;
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(f.loop, fds[0], &protocol, &p, nullptr, &p.transport), ==, 0);
    for (char c = '0'; c < '9'; c++)
        CHECK_INT(send(fds[1], &c, 1, 0), ==, 1);
    thrown = f.run_until([&] { return p.received.size() == 9; });
    CHECK_STR(p.received.c_str(), "012345678");
    thrown += f.run_until([&] { return rp_datagram_get_write_buffer_size(p.transport) == 0; });
    CHECK_INT(thrown, ==, 3);
    for (char c = '0'; c < '9'; c++) {
        CHECK_INT(recv(fds[1], &byte, 1, 0), ==, 1);
        CHECK_INT(byte, ==, c);
    }
    close(fds[1]);
}

TEST(what_was_collected_goes_when_the_callback_of_an_error_throws)
{
    fixture f;
    rp_datagram_protocol protocol{};
    post p{};
    static char bytes[300000]; /* more than such a socket takes */
    int fds[2], small = 4096;
    char byte;

    protocol.connection_made = on_post_made;
    protocol.error_received = on_post_error;
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), ==, 0);
    CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(f.loop, fds[0], &protocol, &p, nullptr, &p.transport), ==, 0);
    auto send_all = [](void *arg) {
        post *sender = static_cast<post *>(arg);

        rp_datagram_sendto(sender->transport, "0", 1, nullptr, 0);
        rp_datagram_sendto(sender->transport, "1", 1, nullptr, 0);
        rp_datagram_sendto(sender->transport, bytes, 60000, nullptr, 0);
        rp_datagram_sendto(sender->transport, "2", 1, nullptr, 0);
    };
    CHECK_INT(rp_call_soon(f.loop, nullptr, send_all, &p), ==, 0);
    CHECK_INT(f.run_until([&] { return p.errors == 1 && rp_datagram_get_write_buffer_size(p.transport) == 0; }),
              ==, 1);
    for (char c = '0'; c < '3'; c++) {
        CHECK_INT(recv(fds[1], &byte, 1, 0), ==, 1);
        CHECK_INT(byte, ==, c);
    }
    close(fds[1]);
}

#endif
