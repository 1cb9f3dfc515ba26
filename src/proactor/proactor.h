/*
 * proactor.h - what the layers above ask of a proactor besides its public calls; its inside is in backend.h.
 */
#ifndef RP_PROACTOR_PROACTOR_H
#define RP_PROACTOR_PROACTOR_H

#include "proactor/backend.h"

/*
 * Makes the backend forget a descriptor, unless operations wait on it: whoever waited may close it now, while others
 * still hold the file (a duplicate, a child of fork()). Call it when a descriptor of the program is watched no more. An
 * operation that is cancelled does it by itself. In a child of fork() it does nothing.
 */
void rp_proactor_forget(rp_proactor *proactor, rp_fd fd);

/*
 * The same for a descriptor that is about to be closed by rp_kernel_close(), after operations that it was in: its
 * number may be another file's next. RP_OP_CLOSE does it by itself.
 */
void rp_proactor_closing(rp_proactor *proactor, rp_fd fd);

/*
 * Has the kernel let go, now, of the files of operations that were cancelled: whoever closes one of them is the last
 * that holds it. Their completions are still to come. In a thread that does not wait on the proactor it does nothing.
 */
void rp_proactor_let_go(rp_proactor *proactor);

/* Whether this thread may wait: 0, or RP_ETHREAD, as a wait would return. */
int rp_proactor_check_thread(const rp_proactor *proactor);

/* The next wait asks the kernel what has come, even if the loop has more to do (see rp_asking). */
static inline void rp_proactor_ask(rp_proactor *proactor)
{
    proactor->asking.last = 0;
}

/* Whether a receive stream has told of something since this was last asked, for whoever takes that by other means. */
static inline bool rp_proactor_has_told(rp_op *op)
{
    bool told = op->ready != 0;

    op->ready = 0;
    return told;
}

/* rp_op_receive() for what is known to be a receive stream that was submitted, and a length that is not 0. */
static inline int64_t rp_proactor_receive(rp_op *op, void *buffer, size_t length)
{
    const rp_proactor *proactor = op->owner;

    return proactor->backend->receive(op, buffer, length);
}

#endif
