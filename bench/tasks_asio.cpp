/*
 * tasks_asio.cpp - the peer of tasks.c and sleepers.c on Boost.Asio's coroutines (C++20): they take turns, live
 * and end, or sleep. They have no stack: only their own frame is kept while they wait.
 *
 * tasks_asio, or tasks_asio COUNT: how much memory so many sleeping coroutines take.
 */
#include <utility> // Boost 1.74 forgets it

#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace asio = boost::asio;
using asio::use_awaitable;

static constexpr int TASKS = 1000, TURNS = 2000, LIVES = 1000 * 1000;

static double since(std::chrono::steady_clock::time_point begun)
{
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begun).count();
}

static double resident()
{
    std::FILE *file = std::fopen("/proc/self/statm", "r");
    long all = 0, pages = 0;

    if (file && std::fscanf(file, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (file)
        std::fclose(file);
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

static asio::awaitable<void> yield()
{
    auto executor = co_await asio::this_coro::executor;

    for (int i = 0; i < TURNS; i++)
        co_await asio::post(executor, use_awaitable);
}

static asio::awaitable<void> end_at_once()
{
    co_return;
}

static asio::awaitable<void> live()
{
    auto executor = co_await asio::this_coro::executor;

    for (int i = 0; i < LIVES; i++)
        co_await asio::co_spawn(executor, end_at_once(), use_awaitable);
}

static asio::awaitable<void> sleep_long(int *asleep)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));

    ++*asleep;
    co_await timer.async_wait(use_awaitable);
}

static void sleep_all(asio::io_context &context, int count)
{
    double before = resident();
    auto begun = std::chrono::steady_clock::now();
    int asleep = 0;

    for (int i = 0; i < count; i++)
        asio::co_spawn(context, sleep_long(&asleep), asio::detached);
    while (asleep < count)
        context.poll_one();
    double taken = since(begun);
    std::printf("{\"bytes_per_task\": %.1f, \"ns_per_task\": %.1f}\n", (resident() - before) / count,
                taken / count);
    std::fflush(stdout);
    std::_Exit(0); // without ending a million coroutines
}

int main(int argc, char **argv)
{
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE); // one thread: no locks

    if (argc > 1)
        sleep_all(context, std::atoi(argv[1]));
    auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < TASKS; i++)
        asio::co_spawn(context, yield(), asio::detached);
    context.run();
    double turns = since(begun);
    context.restart();
    begun = std::chrono::steady_clock::now();
    asio::co_spawn(context, live(), asio::detached);
    context.run();
    std::printf("{\"ns_per_turn\": %.2f, \"ns_per_life\": %.2f}\n", turns / TASKS / TURNS, since(begun) / LIVES);
}
