/* scenarios_sendfile.c - faults strike files that are sent: by a stream, and on a socket of the program's own. */
#include "harness/files.h"
#include "harness/scenarios.h"
#include "ringport.h"

enum { FILE_SIZE = 1200000 };

static int swallow(rp_co *co, rp_stream *stream, void *arg)
{
    static char bytes[65536];
    uint64_t got = 0;
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        CHECK(wire_same(bytes, (size_t)n, got % FILE_SIZE));
        got += (uint64_t)n;
    }
    RP_TRY(scenario_note((int)n));
    return scenario_note(rp_stream_write(co, stream, &got, sizeof got));
}

/* The other end tells how much has come. */
static int send_by_stream(rp_co *co, int port, int file)
{
    rp_stream *stream;
    uint64_t got = 0;
    int64_t sent = 0;
    ssize_t n;
    int rc;

    RP_TRY(scenario_note(rp_open_connection(co, &stream, "127.0.0.1", port, NULL)));
    rc = scenario_note((int)rp_stream_sendfile(co, stream, file, 0, -1, 0, &sent));
    if (rc >= 0)
        rc = scenario_note(rp_stream_write_eof(stream));
    if (rc >= 0) {
        n = rp_stream_read_exactly(co, stream, &got, sizeof got);
        rc = n < 0 ? scenario_note((int)n) : 0;
    }
    if (rc >= 0)
        CHECK(sent == FILE_SIZE && got == FILE_SIZE);
    rp_stream_free(stream);
    return rc < 0 ? rc : 0;
}

/* If it cannot go on, the sender is not to wait for it: a connection that is only shut down may keep it waiting. */
static int read_all(rp_co *co, void *arg)
{
    static char bytes[65536];
    ssize_t n;

    do
        n = rp_sock_recv(co, *(int *)arg, bytes, sizeof bytes);
    while (n > 0);
    close(*(int *)arg);
    return scenario_note((int)n);
}

static int send_on_socket(rp_co *co, int file)
{
    rp_task *reader;
    int64_t sent;
    int fds[2], rc;

    unix_pair(fds);
    rc = scenario_note(rp_create_task(&reader, read_all, &fds[1]));
    if (rc == 0) {
        rc = scenario_note((int)rp_sock_sendfile(co, fds[0], file, 0, -1, &sent));
        if (rc >= 0)
            CHECK_INT(sent, ==, FILE_SIZE);
        shutdown(fds[0], SHUT_RDWR);
        rp_join(co, reader);
    } else {
        close(fds[1]);
    }
    scenario_note(rp_close(co, fds[0]));
    return rc < 0 ? rc : 0;
}

static int send_both(rp_co *co, void *arg)
{
    rp_server *server;
    int file, rc;

    (void)arg;
    RP_TRY(scenario_note(rp_start_server(co, &server, swallow, NULL, "127.0.0.1", 0, NULL)));
    file = file_of(FILE_SIZE);
    rc = send_by_stream(co, rp_server_port(server), file);
    if (rc == 0)
        rc = send_on_socket(co, file);
    close(file);
    rp_server_free(server);
    return rc;
}

int scenario_files_sent(void)
{
    return scenario_run(send_both);
}
