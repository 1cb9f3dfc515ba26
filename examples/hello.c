/* hello.c - asyncio's own example: three lines, a second apart. */
#include <ringport.h>
#include <stdio.h>

static int tick(rp_co *co, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        RP_TRY(rp_sleep(co, RP_SEC(1)));
        printf("[test_run] %d\n", i);
        fflush(stdout);
    }
    return 0;
}

int main(void)
{
    int rc = rp_run(tick, NULL);

    if (rc < 0)
        fprintf(stderr, "hello: %s\n", rp_strerror(rc));
    return rc < 0;
}
