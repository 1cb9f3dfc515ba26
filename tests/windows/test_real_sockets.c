/*
 * test_real_sockets.c - how many connections a busy loop does not lose: Windows resets those that find no room.
 */
#include <stdio.h>

#include "proactor/iocp_accept.h"
#include "harness/support.h"

enum { MOST_CLIENTS = 3 * IOCP_ACCEPTS };

/* Nobody waits on the port meanwhile: connections go to the accepts that are outstanding, and then to the backlog. */
TEST(connections_wait_for_a_busy_loop)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = bound_tcp(&address), clients[MOST_CLIENTS], count = 0, accepted = 0;
    rp_op op;

    test_need_real_windows("the backlog is that of Linux, which resets nothing");
    CHECK_INT(listen(listener, 1), ==, 0);
    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    for (; count < MOST_CLIENTS; count++) {
        clients[count] = tcp_socket();
        if (connect(clients[count], (struct sockaddr *)&address, sizeof address) < 0) {
            close(clients[count]);
            break;
        }
    }
    printf("# %d connections with %d accepts outstanding and a backlog of 1\n", count, IOCP_ACCEPTS);
    CHECK_INT(count, >=, IOCP_ACCEPTS);
    while (accepted < count) {
        rp_completion completion = next_completion(port, &op);

        CHECK_INT(completion.result, >=, 0);
        close((int)completion.result);
        accepted++;
    }
    cancel_and_finish(port, &op);
    for (int i = 0; i < count; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}
