/*
 * exception.h - reports to the exception handler, of errors that no caller can be told.
 */
#ifndef RP_LOOP_EXCEPTION_H
#define RP_LOOP_EXCEPTION_H

#include "loop/loop.h"

/* Reports to the exception handler. `message` is static text. */
void rp_loop_report(rp_loop *loop, const char *message, int error, const char *name, rp_future *future,
                    rp_transport *transport, void *origin);

#endif
