/*
 * error.h - errors are negative numbers: -errno values, and a small range of ringport's own from -4000 down.
 *
 * A function that can fail returns 0 or more when it succeeds, and one of these errors when it does not.
 * On a read, 0 is the end of the stream.
 * -ECANCELED from a suspending call means that the calling task was cancelled, and nothing else.
 */
#ifndef RINGPORT_ERROR_H
#define RINGPORT_ERROR_H

#include <errno.h>

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ringport's own errors: X(name, value, text). */
#define RP_OWN_ERRORS(X)                                                                                          \
    X(RP_EOF, -4001, "end of stream before the read was complete")                                                \
    X(RP_ELIMIT, -4002, "line longer than the stream's limit")                                                    \
    X(RP_ECLOSED, -4003, "event loop is closed")                                                                  \
    X(RP_ERUNNING, -4004, "an event loop is already running in this thread, or this one in another")              \
    X(RP_ETHREAD, -4005, "called from a thread that does not run this event loop")                                \
    X(RP_EFORK, -4006, "event loop belongs to the parent process and does not survive fork()")                    \
    X(RP_EINVALIDSTATE, -4007, "future is already done, or not done yet")                                         \
    X(RP_EFUTCANCELED, -4008, "the awaited future or task was cancelled")                                         \
    X(RP_ENOLOOP, -4009, "no event loop in this thread")                                                          \
    X(RP_ESTOPPED, -4010, "event loop was stopped before the future was done")                                    \
    X(RP_ESHUTDOWN, -4011, "executor or queue is shut down")                                                      \
    X(RP_EBROKENBARRIER, -4012, "barrier is broken, or was reset while the task waited")                          \
    X(RP_ENOTASK, -4013, "called with no coroutine, or with one that is not running here")                        \
    X(RP_EAI_ADDRFAMILY, -4101, "address family for host not supported")                                          \
    X(RP_EAI_AGAIN, -4102, "temporary failure in name resolution")                                                \
    X(RP_EAI_BADFLAGS, -4103, "bad value for the resolver's flags")                                               \
    X(RP_EAI_FAIL, -4104, "non-recoverable failure in name resolution")                                           \
    X(RP_EAI_FAMILY, -4105, "address family not supported by the resolver")                                       \
    X(RP_EAI_NODATA, -4106, "no address associated with host")                                                    \
    X(RP_EAI_NONAME, -4107, "name or service not known")                                                          \
    X(RP_EAI_OVERFLOW, -4108, "resolver's buffer overflow")                                                       \
    X(RP_EAI_SERVICE, -4109, "service not supported for this socket type")                                        \
    X(RP_EAI_SOCKTYPE, -4110, "socket type not supported by the resolver")                                        \
    X(RP_ETLS_VERIFY, -4201, "certificate of the peer not accepted")                                              \
    X(RP_ETLS_HOSTNAME, -4202, "certificate of the peer is for another name")                                     \
    X(RP_ETLS_EXPIRED, -4203, "certificate of the peer has expired")                                              \
    X(RP_ETLS_NOT_YET_VALID, -4204, "certificate of the peer is not valid yet")                                   \
    X(RP_ETLS_SELF_SIGNED, -4205, "certificate of the peer is self-signed, or its chain ends with one that is")   \
    X(RP_ETLS_UNTRUSTED, -4206, "certificate of the peer comes from an unknown issuer")                           \
    X(RP_ETLS_REVOKED, -4207, "certificate of the peer has been revoked")                                         \
    X(RP_ETLS_TRUNCATED, -4208, "TLS stream ended without the peer's close_notify")                               \
    X(RP_ETLS_PLAIN, -4209, "plain text where TLS was expected")                                                  \
    X(RP_ETLS_VERSION, -4210, "no TLS version in common with the peer")                                           \
    X(RP_ETLS_CIPHER, -4211, "no TLS cipher in common with the peer")                                             \
    X(RP_ETLS_ALERT, -4212, "the peer ended TLS by an alert")                                                     \
    X(RP_ETLS_NO_CERTIFICATE, -4213, "no certificate where one is required")                                      \
    X(RP_ETLS_PROTOCOL, -4214, "the peer violated the TLS protocol")                                              \
    X(RP_ETLS_FORMAT, -4215, "no certificate or key where one was expected, or a malformed one")                  \
    X(RP_ETLS_KEY, -4216, "the private key does not belong to the certificate")                                   \
    X(RP_ETLS_PASSWORD, -4217, "the private key is encrypted, and the password is wrong or missing")              \
    X(RP_ETLS_WEAK, -4218, "a key or a signature is too weak for the security level")

/* The names, as constants. */
#define RP_DEFINE_ERROR_(name, value, text) name = (value),
enum { RP_OWN_ERRORS(RP_DEFINE_ERROR_) RP_OWN_ERRORS_END_ = 0 };
#undef RP_DEFINE_ERROR_

/* What RP_TRY() uses: a long long as an int. */
#ifdef __cplusplus
#define RP_INT_(n) static_cast<int>(n)
#else
#define RP_INT_(n) ((int)(n))
#endif

/* If the expression is negative, returns its value from the calling function; otherwise goes on. */
#define RP_TRY(expression)                                                                                        \
    do {                                                                                                          \
        long long rp_try_ = (expression); /* bytes may be more than an int holds */                               \
        if (rp_try_ < 0)                                                                                          \
            return RP_INT_(rp_try_);                                                                              \
    } while (0)

/*
 * The text of an error, as strerror() has it; of 0, "success". Never NULL.
 * Of any other number it is "unknown error N", in a buffer of the thread's own that its next call overwrites.
 * Any thread.
 */
RP_API const char *rp_strerror(int error);

/* The name of an error, such as "ECONNRESET" or "RP_EOF"; "OK" for 0; else "EUNKNOWN". Any thread. */
RP_API const char *rp_errname(int error);

#ifdef __cplusplus
}
#endif

#endif
