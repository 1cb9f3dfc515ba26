/*
 * proactor.h - the inside of a proactor, for the layers above.
 */
#ifndef RP_PROACTOR_PROACTOR_H
#define RP_PROACTOR_PROACTOR_H

#include "proactor/backend.h"

/*
 * Whoever waited on the descriptor may close it now, and others may hold it yet (a duplicate, a child of fork()): what
 * the backend keeps of it is given up, unless operations wait on it. To be called before a close by rp_kernel_close(),
 * and when a foreign descriptor is not watched any more. An operation that is cancelled, and RP_OP_CLOSE, see to it
 * themselves. In a child of fork() it does nothing.
 */
void rp_proactor_forget(rp_proactor *proactor, rp_fd fd);

/* Whether this thread may wait: 0, or RP_ETHREAD, which a wait would return, too. */
int rp_proactor_check_thread(const rp_proactor *proactor);

#endif
