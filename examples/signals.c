/* signals.c - counts SIGUSR1 until SIGTERM comes; SIGINT cancels the main task, as in every rp_run. */
#include <ringport.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void count(void *arg)
{
    int *usr1 = arg;

    printf("SIGUSR1: %d\n", ++*usr1);
    fflush(stdout);
}

static void finish(void *arg)
{
    rp_future_set_result(arg, NULL);
}

static int wait_for_signals(rp_co *co, void *arg)
{
    rp_loop *loop = rp_co_loop(co);
    rp_future *terminated;
    int usr1 = 0;

    (void)arg;
    RP_TRY(rp_future_new(loop, &terminated));
    int rc = rp_add_signal_handler(loop, SIGUSR1, count, &usr1);
    if (rc == 0)
        rc = rp_add_signal_handler(loop, SIGTERM, finish, terminated);
    if (rc == 0) {
        printf("pid %d: waiting for SIGUSR1 and SIGTERM\n", (int)getpid());
        fflush(stdout);
        rc = rp_await(co, terminated);
    }
    rp_future_unref(terminated);
    printf("%s after %d times SIGUSR1\n", rc == 0 ? "terminated" : "interrupted", usr1);
    return rc;
}

int main(void)
{
    int rc = rp_run(wait_for_signals, NULL);

    return rc < 0 && rc != -EINTR;
}
