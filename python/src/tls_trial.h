/*
 * tls_trial.h - whether the direct engine works with this Python's `_ssl`, found out before it is used.
 */
#ifndef RPY_TLS_TRIAL_H
#define RPY_TLS_TRIAL_H

#include "loop.h"

/*
 * The method Loop._try_tls(client, server): a handshake in memory of two SSLObjects that can talk to each other without
 * certificates, and some bytes each way. None: it works, and _make_tls_transport() may use it from then on. Otherwise a
 * string, which says why not.
 */
PyObject *rpy_try_tls(PyObject *loop, PyObject *args);

#endif
