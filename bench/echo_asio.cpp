/*
 * echo_asio.cpp - the echo server on Boost.Asio's coroutines (C++20): one for each connection. Each has a buffer of
 * its own: a read that waits has lent its buffer until it is done, so they cannot share one as the other servers' do.
 *
 * echo_asio PORT (of 127.0.0.1; 0: one that is free) or echo_asio PATH (of a Unix socket)
 */
#include <utility> // Boost 1.74 forgets it

#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace asio = boost::asio;
using asio::use_awaitable;

enum { SIZE = 128 * 1024 };

template <typename socket_type> static asio::awaitable<void> echo(socket_type socket)
{
    std::unique_ptr<char[]> buffer(new char[SIZE]);

    try {
        for (;;) {
            std::size_t n = co_await socket.async_read_some(asio::buffer(buffer.get(), SIZE), use_awaitable);

            co_await asio::async_write(socket, asio::buffer(buffer.get(), n), use_awaitable);
        }
    } catch (const boost::system::system_error &) { // the end of the stream is one
    }
}

static void prepare(asio::ip::tcp::socket &socket)
{
    socket.set_option(asio::ip::tcp::no_delay(true));
}

static void prepare(asio::local::stream_protocol::socket &)
{
}

template <typename acceptor_type> static asio::awaitable<void> serve(acceptor_type &acceptor)
{
    for (;;) {
        auto socket = co_await acceptor.async_accept(use_awaitable);

        prepare(socket);
        asio::co_spawn(acceptor.get_executor(), echo(std::move(socket)), asio::detached);
    }
}

int main(int argc, char **argv)
{
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE); // one thread: no locks
    asio::ip::tcp::acceptor tcp(context);
    asio::local::stream_protocol::acceptor local(context);

    if (argc != 2) {
        std::fprintf(stderr, "usage: echo_asio PORT|PATH\n");
        return 1;
    }
    if (argv[1][0] == '/') {
        local.open();
        local.bind(asio::local::stream_protocol::endpoint(argv[1]));
        local.listen(1024);
        asio::co_spawn(context, serve(local), asio::detached);
        std::printf("serving on %s:0\n", argv[1]);
    } else {
        tcp.open(asio::ip::tcp::v4());
        tcp.set_option(asio::ip::tcp::acceptor::reuse_address(true));
        tcp.bind({asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1]))});
        tcp.listen(1024);
        asio::co_spawn(context, serve(tcp), asio::detached);
        std::printf("serving on 127.0.0.1:%d\n", tcp.local_endpoint().port());
    }
    std::fflush(stdout);
    context.run();
}
