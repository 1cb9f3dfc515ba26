/*
 * nameinfo.c - addresses to names: numbers at once, names by getnameinfo() on a thread for names (names.h).
 */
#include <string.h>

#include "base/memory.h"
#include "net/names.h"
#include "net/resolve_error.h"
#include "ringport/net.h"

static int ask(const rp_query *query, void **answer)
{
    struct sockaddr_storage address;

    *answer = rp_calloc(sizeof(rp_nameinfo));
    if (!*answer)
        return -ENOMEM;
    memcpy(&address, query->parts[0], query->sizes[0]);
    return rp_resolve_address((struct sockaddr *)&address, (uint32_t)query->sizes[0], query->numbers[0], *answer);
}

static const rp_query_kind kind = {ask, rp_free};

int rp_loop_getnameinfo(rp_loop *loop, const struct sockaddr *address, uint32_t length, int flags,
                        rp_future **future)
{
    rp_query query = {.kind = &kind, .numbers = {flags}, .parts = {address}, .sizes = {length}};
    void *answer;
    int rc;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_kernel_start_names(loop->kernel));
    if (!address || length < sizeof address->sa_family || length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (!(flags & NI_NUMERICHOST) || !(flags & NI_NUMERICSERV))
        return rp_lookup_start(loop, &query, future);
    rc = ask(&query, &answer);
    if (!answer)
        return rc;
    rc = rp_lookup_done(loop, &kind, rc, answer, future);
    if (rc < 0)
        rp_free(answer);
    return rc;
}
