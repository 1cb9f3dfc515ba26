/*
 * soak_children.c - the soak's children: waited for, killed or forgotten, whatever they have said by then.
 */
#include "stress/soak_children.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "stress/soak_chance.h"

#define MUST(condition)                                                                                           \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            parent->wrong = #condition;                                                                           \
            return -EIO;                                                                                          \
        }                                                                                                         \
    } while (0)

typedef enum { WAITED_FOR, KILLED, FREED, WAYS } way;

/* What it says is what it was told, or the beginning of that if its end came before. */
static int talk(rp_co *co, rp_subprocess *child, soak_parent *parent, way how)
{
    uint64_t *state = &parent->state;
    uint32_t size = any_size(state, parent->size);
    rp_communication said = {.input = parent->bytes + below(state, parent->most_skipped), .input_length = size};
    int rc, code;

    said.timeout = how != WAITED_FOR || below(state, 4) == 0 ? 1 + moment(state) : 0;
    rc = rp_subprocess_communicate(co, child, &said);
    MUST(rc == 0 || rc == -ETIMEDOUT);
    parent->cancelled += rc == -ETIMEDOUT;
    if (rc == -ETIMEDOUT && how == FREED)
        return 0;
    if (rc == -ETIMEDOUT) {
        if (how == KILLED)
            rp_subprocess_kill(child);
        said.timeout = 0;
        RP_TRY(rp_subprocess_communicate(co, child, &said));
    }
    RP_TRY(rp_subprocess_wait(co, child, &code));
    MUST(code == 0 || (how == KILLED && code == -SIGKILL));
    MUST(said.out_length == size || code != 0);
    MUST(said.out_length <= size && memcmp(said.out, said.input, said.out_length) == 0);
    return 0;
}

int soak_child(rp_co *co, soak_parent *parent)
{
    static const char *const argv[] = {"/bin/cat", NULL};
    rp_process_options options = {
        .argv = argv, .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_NULL};
    rp_subprocess *child;
    int rc;

    RP_TRY(rp_create_subprocess_exec(co, &child, &options));
    rc = talk(co, child, parent, (way)below(&parent->state, WAYS));
    rp_subprocess_free(child);
    parent->children++;
    return rc;
}
