/*
 * puppet.h - a program for tests of child processes to start, on any platform: the test's own, with arguments that say
 * what it is to do.
 *
 *     const char *argv[] = PUPPET("exit", "3");
 *     rp_process_options options = {.program = puppet_program(), .argv = argv};
 *
 *   cat              copies stdin to stdout, to its end
 *   exit N           does so
 *   after N          reads stdin to its end, and exits with N
 *   forever          until it is killed
 *   say TEXT         prints it, without a line's end, and then stays until it is killed
 *   arguments ...    prints them, a line each
 *   variable NAME    prints its value, or "none"
 *   flood N M        writes N bytes to stdout and M to stderr, by turns: those of wire_byte()
 *   leave            starts another one that is there forever with the same stdout, and exits with 0
 *   parent N         starts one that is there forever by rp_process_spawn(), with the flags N, prints its number, exits
 *   directory        prints the current one
 *   handle N TEXT    writes the text to the descriptor or handle of that number
 */
#ifndef RP_TESTS_PUPPET_H
#define RP_TESTS_PUPPET_H

#define PUPPET(...)                                                                                               \
    {                                                                                                             \
        "puppet", "--puppet", __VA_ARGS__, NULL                                                                   \
    }

/* The file to start. Where that cannot be, under an emulator, the test is skipped. */
const char *puppet_program(void);

/* In main(), before all else: plays the puppet, and does not return, if the arguments say so. */
void puppet_main(int argc, char **argv);

#endif
