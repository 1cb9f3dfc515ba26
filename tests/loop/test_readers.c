/*
 * test_readers.c - rp_add_reader and the like: level-triggered, replaced, removed, on descriptors that are reused.
 */
#include "loop/loop.h"
#include "harness/support.h"
#include "harness/turns.h"

static int reads, writes, others, reports, fds[2];
static rp_fd another = -1; /* a descriptor that is watched, too */

static void make_loop_and_pair(void)
{
    make_loop();
    unix_pair(fds);
}

static void end_loop(void)
{
    rp_loop_free(loop);
    close_pair(fds);
}

static void run_until(const int *value, int least)
{
    while (*value < least)
        run_turns(1);
}

static void count(rp_fd fd, void *arg)
{
    CHECK(fd == fds[0] || fd == fds[1] || fd == another);
    ++*(int *)arg;
}

static void take_byte(rp_fd fd, void *arg)
{
    char byte;

    CHECK_INT(recv(fd, &byte, 1, MSG_DONTWAIT), ==, 1);
    count(fd, arg);
}

TEST(level_triggered)
{
    make_loop_and_pair();
    CHECK_INT(rp_add_reader(loop, fds[0], take_byte, &reads), ==, 0);
    run_turns(5);
    CHECK_INT(reads, ==, 0);
    CHECK_INT(write(fds[1], "abcde", 5), ==, 5);
    run_until(&reads, 5); /* a byte a turn */
    run_turns(5);
    CHECK_INT(reads, ==, 5);
    CHECK_INT(write(fds[1], "f", 1), ==, 1);
    run_until(&reads, 6);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 0);
    CHECK_INT(write(fds[1], "g", 1), ==, 1);
    run_turns(5);
    CHECK_INT(reads, ==, 6);
    end_loop();
}

static void stop_at_eleventh(rp_fd fd, void *arg)
{
    count(fd, arg);
    if (*(int *)arg == 11)
        rp_loop_stop(loop);
}

/* What is not taken is told every turn. */
TEST(told_every_turn)
{
    make_loop_and_pair();
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    CHECK_INT(rp_add_reader(loop, fds[0], stop_at_eleventh, &reads), ==, 0);
    run_until(&reads, 1);
    rp_loop_stats before, after;
    rp_loop_get_stats(loop, &before);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_get_stats(loop, &after);
    CHECK_INT(reads, ==, 11);
    CHECK_INT(after.turns - before.turns, <=, 20);
    end_loop();
}

TEST(both_directions)
{
    make_loop_and_pair();
    fill(fds[0]);
    CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, 0);
    CHECK_INT(rp_add_writer(loop, fds[0], count, &writes), ==, 0);
    run_turns(5);
    CHECK_INT(reads + writes, ==, 0);
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    run_until(&reads, 2);
    CHECK_INT(writes, ==, 0);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 0);
    char buffer[65536];
    set_nonblocking(fds[1]);
    while (read(fds[1], buffer, sizeof buffer) > 0)
        ;
    run_until(&writes, 2);
    CHECK_INT(reads, <=, 3);
    CHECK_INT(rp_remove_writer(loop, fds[0]), ==, 1);
    CHECK_INT(rp_remove_writer(loop, fds[0]), ==, 0);
    run_turns(5);
    end_loop();
}

TEST(replaced)
{
    make_loop_and_pair();
    CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, 0);
    CHECK_INT(rp_add_reader(loop, fds[0], count, &others), ==, 0);
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    run_until(&others, 2);
    CHECK_INT(reads, ==, 0);
    CHECK_INT(rp_add_reader(loop, fds[0], take_byte, &reads), ==, 0);
    int seen = others;
    run_until(&reads, 1);
    run_turns(3);
    CHECK_INT(others, ==, seen);
    CHECK_INT(reads, ==, 1);
    end_loop();
}

static void remove_itself(rp_fd fd, void *arg)
{
    CHECK_INT(rp_remove_reader(loop, fd), ==, 1);
    CHECK_INT(rp_remove_reader(loop, fd), ==, 0);
    count(fd, arg);
}

static void remove_and_add(rp_fd fd, void *arg)
{
    remove_itself(fd, arg);
    CHECK_INT(rp_add_reader(loop, fds[0], take_byte, &others), ==, 0);
}

TEST(removed_in_its_callback)
{
    make_loop_and_pair();
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    CHECK_INT(rp_add_reader(loop, fds[0], remove_itself, &reads), ==, 0);
    run_until(&reads, 1);
    run_turns(5);
    CHECK_INT(reads, ==, 1);
    CHECK_INT(rp_add_reader(loop, fds[0], remove_and_add, &reads), ==, 0);
    run_until(&others, 1);
    run_turns(5);
    CHECK_INT(reads, ==, 2);
    CHECK_INT(others, ==, 1);
    end_loop();
}

static void remove_writer(rp_fd fd, void *arg)
{
    (void)arg;
    rp_remove_writer(loop, fds[0]);
    count(fd, &reads);
}

static void remove_reader(rp_fd fd, void *arg)
{
    (void)arg;
    rp_remove_reader(loop, fds[0]);
    count(fd, &writes);
}

/* Both become ready in one turn, and the first one removes the other: its callback must not run. */
TEST(removed_by_another)
{
    make_loop_and_pair();
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    CHECK_INT(rp_add_reader(loop, fds[0], remove_writer, NULL), ==, 0);
    CHECK_INT(rp_add_writer(loop, fds[0], remove_reader, NULL), ==, 0);
    while (reads + writes == 0)
        run_turns(1);
    bool reader_won = reads > 0;
    run_turns(5);
    CHECK_INT(reader_won ? writes : reads, ==, 0);
    end_loop();
}

TEST(removed_at_once)
{
    make_loop_and_pair();
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, 0);
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    }
    run_turns(5);
    CHECK_INT(reads, ==, 0);
    rp_loop_stats stats;
    rp_loop_get_stats(loop, &stats);
    CHECK_INT(stats.operations_in_flight, ==, 0);
    end_loop();
}

/* Removed, closed, and the number stands for something else: nothing of the old one comes through. */
TEST(number_reused)
{
    int reused = 0;

    make_loop_and_pair();
    for (int i = 0; i < 20; i++) {
        int number = fds[0];

        reads = others = 0;
        CHECK_INT(rp_add_reader(loop, fds[0], count, &others), ==, 0);
        if (i % 2)
            run_turns(2);
        if (i % 3 == 0) {
            CHECK_INT(write(fds[1], "a", 1), ==, 1);
            if (i % 4 < 2)
                run_until(&others, 1);
        }
        int seen = others;
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
        close_pair(fds);
        unix_pair(fds);
        reused += fds[0] == number;
        CHECK_INT(rp_add_reader(loop, fds[0], take_byte, &reads), ==, 0);
        run_turns(3);
        CHECK_INT(reads, ==, 0);
        CHECK_INT(write(fds[1], "b", 1), ==, 1);
        run_until(&reads, 1);
        run_turns(2);
        CHECK_INT(reads, ==, 1);
        CHECK_INT(others, ==, seen);
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    }
    CHECK_INT(reused, >, 10); /* always, but Windows promises nothing */
    run_turns(3);
    end_loop();
}

static void report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    (void)owner;
    (void)arg;
    CHECK(context->error < 0);
    reports++;
}

TEST(bad_descriptors)
{
    make_loop_and_pair();
    rp_set_exception_handler(loop, report, NULL);
    CHECK_INT(rp_add_reader(loop, -1, count, &reads), ==, -EBADF);
    CHECK_INT(rp_add_writer(loop, -7, count, &reads), ==, -EBADF);
    CHECK_INT(rp_add_reader(loop, fds[0], NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_remove_reader(loop, -1), ==, 0);
    CHECK_INT(rp_remove_writer(loop, 123456), ==, 0);
    CHECK_INT(rp_add_reader(loop, 99996, count, &reads), ==, -EBADF);
    run_turns(3);
    CHECK_INT(reads, ==, 0);
    end_loop();
}

/* Ends, errors and hang-ups are told as readiness, so that the callback finds them. */
TEST(ends_are_told)
{
    int pipe_fds[2];

    make_loop_and_pair();
    CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, 0);
    CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
    run_until(&reads, 2);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    CHECK_INT(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
    fill(pipe_fds[1]);
    another = pipe_fds[1];
    CHECK_INT(rp_add_writer(loop, pipe_fds[1], count, &writes), ==, 0);
    run_turns(3);
    CHECK_INT(writes, ==, 0);
    close(pipe_fds[0]);
    run_until(&writes, 2);
    CHECK_INT(rp_remove_writer(loop, pipe_fds[1]), ==, 1);
    close(pipe_fds[1]);
    end_loop();
}

TEST(regular_file)
{
    int file = open(TEST_EXE, O_RDONLY | O_CLOEXEC);

    make_loop_and_pair();
    another = file;
    CHECK_INT(rp_add_reader(loop, file, count, &reads), ==, 0);
    run_until(&reads, 5);
    CHECK_INT(rp_remove_reader(loop, file), ==, 1);
    close(file);
    end_loop();
}

TEST(closed_with_readers)
{
    make_loop_and_pair();
    CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, 0);
    CHECK_INT(rp_add_writer(loop, fds[0], count, &writes), ==, 0);
    CHECK_INT(rp_add_reader(loop, fds[1], count, &reads), ==, 0);
    run_turns(2);
    CHECK_INT(rp_remove_reader(loop, fds[1]), ==, 1); /* dying when the loop is closed */
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, RP_ECLOSED);
    CHECK_INT(rp_add_reader(loop, fds[0], count, &reads), ==, RP_ECLOSED);
    end_loop();
}

TEST(no_memory)
{
    bool failed = true;

    for (uint64_t nth = 1; failed; nth++) {
        make_loop_and_pair();
        run_turns(1);
        test_fail_allocation(nth);
        int rc = rp_add_reader(loop, fds[0], count, &reads);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_INT(rp_add_reader(loop, fds[1], count, &reads), ==, 0);
        end_loop();
    }
}
