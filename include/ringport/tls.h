/*
 * tls.h - contexts of TLS: certificates, what is demanded of the peer, and what was agreed on with it.
 *
 * This header is that of a library of its own, libringport-tls, which stands on OpenSSL 3.
 * ringport.h does not include it.
 * To link: pkg-config --cflags --libs ringport-tls.
 *
 * A client:
 *
 *     rp_tls_context *context;
 *     rp_connect_options options = {0};
 *
 *     RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &context));
 *     options.tls = context;
 *     RP_TRY(rp_open_connection(co, &stream, "example.org", 443, &options));
 *     rp_tls_context_unref(context);
 *
 * A server needs a certificate besides: rp_tls_context_load_cert_chain().
 *
 * Threads. One thread sets a context up, before it is used.
 * From then on connections of any thread may use it, such as those of all workers of a group.
 * What is set later counts for connections that begin later. Set it while no other thread begins one.
 * What asks a connection is for the thread of its loop.
 * None of the functions suspends. Those that read files block until these are read.
 * No C++ exception may leave a function that they are given: it would pass through OpenSSL.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM         there is no memory
 *   -EINVAL         an argument is NULL that must not be, or out of range; contexts, and where results go, never are
 *   RP_ETLS_FORMAT  there is no certificate, key or list in what was given, or a malformed one
 */
#ifndef RINGPORT_TLS_H
#define RINGPORT_TLS_H

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Settings that connections share. Mirrors ssl.SSLContext. */
typedef struct rp_tls_context rp_tls_context;

/* What a client remembers of a connection, to begin the next one with less work. Mirrors ssl.SSLSession. */
typedef struct rp_tls_session rp_tls_session;

/* Which end of its connections a context is for. Mirror ssl.PROTOCOL_TLS_CLIENT and ssl.PROTOCOL_TLS_SERVER. */
enum {
    RP_TLS_CLIENT = 1,
    RP_TLS_SERVER = 2,
};

/* Versions of the protocol, by the numbers that it has on the wire. Mirror ssl.TLSVersion. */
enum {
    RP_TLS_1_0 = 0x0301,
    RP_TLS_1_1 = 0x0302,
    RP_TLS_1_2 = 0x0303,
    RP_TLS_1_3 = 0x0304,
};

/* Whether the peer must show a certificate. Mirror ssl.CERT_NONE, ssl.CERT_OPTIONAL and ssl.CERT_REQUIRED. */
enum {
    /* A server does not ask for one. A client accepts any. */
    RP_TLS_CERT_NONE = 0,

    /* A server asks for one; if there is one it must be valid. For a client it is as RP_TLS_CERT_REQUIRED. */
    RP_TLS_CERT_OPTIONAL = 1,

    /* There must be one, and it must be valid. */
    RP_TLS_CERT_REQUIRED = 2,
};

/* How certificates are verified: see rp_tls_context_set_verify_flags(). Mirror ssl.VerifyFlags. */
enum {
    /* The peer's certificate is looked up in a revocation list, which must be there. */
    RP_TLS_VERIFY_CRL_LEAF = 1 << 0,

    /* So are those that it was issued by. */
    RP_TLS_VERIFY_CRL_CHAIN = 1 << 1,

    /* Certificates that are broken in ways that are often put up with are refused. */
    RP_TLS_VERIFY_STRICT = 1 << 2,

    /* Any certificate that is trusted ends a chain, self-signed or not. */
    RP_TLS_VERIFY_PARTIAL_CHAIN = 1 << 3,
};

/* ---- contexts ---- */

/*
 * Makes a context for clients or for servers: `role` is RP_TLS_CLIENT or RP_TLS_SERVER.
 * Clients demand a valid certificate for the name of the server that they connect to.
 * They trust the system's store, unless roots are loaded: see rp_tls_context_load_verify_locations().
 * Servers ask clients for no certificate.
 * Versions are 1.2 and 1.3. Ciphers are OpenSSL's choice, of its security level or 2 if that is lower.
 * Renegotiation is refused, and nothing is compressed.
 * A connection ends by RP_ETLS_PROTOCOL when more than 64 records in a row bring no data, such as updates of keys.
 * If SSLKEYLOGFILE is in the environment, keys are written to that file: rp_tls_context_set_keylog_filename().
 * OpenSSL's own configuration file counts, as for all programs that use OpenSSL.
 * The caller owns a reference to the context.
 * Any thread.
 * Errors:
 *   those of rp_tls_context_set_keylog_filename(), of the file that the environment names
 *   -ENOMEM, -EINVAL
 * Mirrors ssl.create_default_context().
 */
RP_API int rp_tls_context_new(int role, rp_tls_context **context);

/*
 * Keep a context, and give it up again. Whoever is given one keeps a reference of its own for as long as it needs it:
 * connections, servers, and contexts that have it for a name.
 * rp_tls_context_ref() returns its argument.
 * rp_tls_context_unref() ignores NULL.
 * Any thread.
 */
RP_API rp_tls_context *rp_tls_context_ref(rp_tls_context *context);
RP_API void rp_tls_context_unref(rp_tls_context *context);

/* What the last function that failed to set the context up complained of, in OpenSSL's words; or "". Lent. */
RP_API const char *rp_tls_context_error_text(const rp_tls_context *context);

/* ---- the own certificate ---- */

/*
 * Gives the password of an encrypted private key: stores at most `size` bytes without a '\0', and returns their number.
 * An error that it returns is that of the call which loads the key.
 */
typedef int rp_tls_password(void *arg, char *password, size_t size);

/*
 * Loads the certificate that this end shows, and its private key, from files in PEM.
 * `certificate` is a file that begins with the certificate, followed by those that lead to the root.
 * `key` may be NULL: the key is in the same file.
 * `password` is asked if the key is encrypted. NULL: an encrypted key is an error.
 * It may be called once for each kind of key (RSA, and elliptic curves): what the peer knows decides.
 * On failure the context has the certificate that it had.
 * Errors:
 *   what opening or reading a file failed with; -EFBIG: it is longer than 64 MiB
 *   RP_ETLS_KEY        the key does not belong to the certificate
 *   RP_ETLS_PASSWORD   the password is wrong, or there is none
 *   RP_ETLS_WEAK       a key or a signature is too weak for the security level
 *   -ENOMEM, -EINVAL, RP_ETLS_FORMAT
 * Mirrors SSLContext.load_cert_chain().
 */
RP_API int rp_tls_context_load_cert_chain(rp_tls_context *context, const char *certificate, const char *key,
                                          rp_tls_password *password, void *arg);

/*
 * The same from memory: PEM again, in `certificate_length` and `key_length` bytes. They are not kept.
 * Errors: as of rp_tls_context_load_cert_chain().
 * Mirrors SSLContext.load_cert_chain().
 */
RP_API int rp_tls_context_load_cert_chain_memory(rp_tls_context *context, const void *certificate,
                                                 size_t certificate_length, const void *key, size_t key_length,
                                                 rp_tls_password *password, void *arg);

/* ---- several certificates, by the name that the client asks for ---- */

/*
 * Has connections to a server go by another context, if the client asks for that name (SNI).
 * `name` is "www.example.org", or "*.example.org" for all names with one more label. Case does not matter.
 * An exact name goes before one with a "*". The "*" has no other place than that.
 * A name that is there already is replaced.
 * Of the other context these count: certificate, verification of the client, trusted roots, ALPN, key log.
 * Versions and ciphers are those of the context that the server was started with.
 * The context keeps a reference to the other one, which is for servers, too, and is not the context itself.
 * A client that asks for no name, or an unknown one, gets the certificate of the context itself.
 * Errors: -ENOMEM, -EINVAL.
 */
RP_API int rp_tls_context_add_server_name(rp_tls_context *context, const char *name, rp_tls_context *other);

/*
 * What a server does when a client asks for a name, or for none (NULL).
 * *context is that which rp_tls_context_add_server_name() has for it. It may be replaced by another one.
 * A reference to that is taken when the function has returned.
 * Returns 0, or an error: the client gets the alert unrecognized_name, and the handshake fails with that error.
 * A positive number is taken for -EINVAL.
 * `name` is lent. The thread is the connection's loop's.
 */
typedef int rp_tls_sni_callback(void *arg, const char *name, rp_tls_context **context);

/*
 * Sets the function that is asked; NULL: none. `arg` is handed to it.
 * Errors: -EINVAL.
 * Mirrors SSLContext.sni_callback.
 */
RP_API int rp_tls_context_set_sni_callback(rp_tls_context *context, rp_tls_sni_callback *callback, void *arg);

/* ---- what is demanded of the peer ---- */

/*
 * Trusts the certificates of a file in PEM, or of a directory as `openssl rehash` makes it; NULL: none, but not both.
 * Revocation lists in there count, too.
 * The system's store is no longer trusted then, unless rp_tls_context_load_default_certs() asks for it.
 * Servers name those of the file to clients that they ask for a certificate.
 * Errors:
 *   what opening or reading the file failed with; -EFBIG: it is longer than 64 MiB
 *   -ENOMEM, -EINVAL, RP_ETLS_FORMAT
 * Mirrors SSLContext.load_verify_locations(cafile, capath).
 */
RP_API int rp_tls_context_load_verify_locations(rp_tls_context *context, const char *file, const char *directory);

/*
 * The same from memory: certificates and revocation lists in PEM, or certificates in DER.
 * The memory is not kept.
 * Errors: -ENOMEM, -EINVAL, RP_ETLS_FORMAT.
 * Mirrors SSLContext.load_verify_locations(cadata).
 */
RP_API int rp_tls_context_load_verify_memory(rp_tls_context *context, const void *data, size_t length);

/*
 * Trusts the system's store, beside what else is trusted.
 * That is OpenSSL's own: SSL_CERT_FILE and SSL_CERT_DIR in the environment replace it.
 * On Windows it is the system's ROOT store, from OpenSSL 3.2 on.
 * A context for clients does so by itself, when its first connection begins, if no roots were loaded by then.
 * Errors: -ENOMEM, -EINVAL, RP_ETLS_FORMAT.
 * Mirrors SSLContext.load_default_certs().
 */
RP_API int rp_tls_context_load_default_certs(rp_tls_context *context);

/*
 * Says whether the peer must show a certificate: RP_TLS_CERT_*. A client's is RP_TLS_CERT_REQUIRED at first.
 * With RP_TLS_CERT_NONE a client talks to whoever answers: it is for tests.
 * Errors: -EINVAL.
 * Mirrors SSLContext.verify_mode.
 */
RP_API int rp_tls_context_set_verify_mode(rp_tls_context *context, int mode);

/*
 * Says how certificates are verified: RP_TLS_VERIFY_*, or 0.
 * Errors: -EINVAL.
 * Mirrors SSLContext.verify_flags.
 */
RP_API int rp_tls_context_set_verify_flags(rp_tls_context *context, int flags);

/*
 * Says whether the certificate must be for the server's name. At first it must.
 * With RP_TLS_CERT_NONE that is not looked at.
 * The name, or the IP address, is that which the connection was made with, unless its options say another one.
 * A connection that has neither then fails with -EINVAL.
 * Errors:
 *   -EINVAL   the context is for servers
 * Mirrors SSLContext.check_hostname.
 */
RP_API int rp_tls_context_set_check_hostname(rp_tls_context *context, bool check);

/* ---- versions, ciphers, ALPN ---- */

/*
 * Set the lowest and the highest version that will do: RP_TLS_1_*. 0: the one that OpenSSL has.
 * RP_TLS_1_2 is the lowest at first. Lower ones also need a cipher list with "@SECLEVEL=0".
 * Errors: -EINVAL.
 * Mirror SSLContext.minimum_version and SSLContext.maximum_version.
 */
RP_API int rp_tls_context_set_minimum_version(rp_tls_context *context, int version);
RP_API int rp_tls_context_set_maximum_version(rp_tls_context *context, int version);

/*
 * Set the ciphers up to TLS 1.2, those of TLS 1.3, and the groups of the key exchange, in OpenSSL's notation.
 * Examples are "ECDHE+AESGCM:ECDHE+CHACHA20", "TLS_AES_256_GCM_SHA384" and "X25519:P-256".
 * Errors:
 *   -EINVAL   OpenSSL knows none, or not all, of them
 *   -ENOMEM
 * Mirror SSLContext.set_ciphers(), set_ciphersuites() and set_groups().
 */
RP_API int rp_tls_context_set_ciphers(rp_tls_context *context, const char *ciphers);
RP_API int rp_tls_context_set_ciphersuites(rp_tls_context *context, const char *ciphersuites);
RP_API int rp_tls_context_set_groups(rp_tls_context *context, const char *groups);

/*
 * Sets the application's protocols (ALPN), the best one first: what a client offers, and what a server has.
 * The server chooses: the first of its own that the client offers.
 * If there is none the connection goes on without: rp_tls_alpn() is NULL.
 * Each has 1 to 255 bytes. A `count` of 0 takes them away. They are copied.
 * Errors: -ENOMEM, -EINVAL.
 * Mirrors SSLContext.set_alpn_protocols().
 */
RP_API int rp_tls_context_set_alpn_protocols(rp_tls_context *context, const char *const *protocols, size_t count);

/* ---- sessions ---- */

/*
 * Says how many tickets a server gives a client to resume its session by: 0 to 16, 2 at first. 0: none is resumed.
 * TLS 1.2 has at most one.
 * The keys of tickets are the context's own: another context, or process, does not know them.
 * Errors:
 *   -EINVAL   the number is out of range, or the context is for clients
 * Mirrors SSLContext.num_tickets.
 */
RP_API int rp_tls_context_set_num_tickets(rp_tls_context *context, unsigned count);

/*
 * Gives a client's connections a session to resume, if they are to the same server name; NULL: none.
 * The session is of a connection of the same context, which has verified the server.
 * When the context is told to demand something else of servers, or whom else to trust, earlier sessions are of no use.
 * A server that does not know it any more makes a new one: rp_tls_session_reused() tells.
 * The context keeps a reference.
 * Errors:
 *   -EINVAL   the context is for servers, or the session is another context's, or an earlier one
 * Mirrors SSLSocket.session.
 */
RP_API int rp_tls_context_set_session(rp_tls_context *context, rp_tls_session *session);

/*
 * Takes the session of a client's connection.
 * In TLS 1.3 servers tell of it after the handshake: it is there when something has been read.
 * *session gets a reference that the caller owns.
 * Errors:
 *   -EAGAIN     there is none that could be resumed, or not yet
 *   -EINVAL     it is a server's connection
 *   -ENOTCONN   the transport does not speak TLS, or is gone
 *   -ENOMEM
 * Mirrors SSLSocket.session.
 */
RP_API int rp_tls_get_session(const rp_transport *transport, rp_tls_session **session);

/*
 * Keep a session, and give it up again.
 * rp_tls_session_ref() returns its argument.
 * rp_tls_session_unref() ignores NULL.
 * Any thread.
 */
RP_API rp_tls_session *rp_tls_session_ref(rp_tls_session *session);
RP_API void rp_tls_session_unref(rp_tls_session *session);

/* ---- keys for those who debug ---- */

/*
 * Appends the keys of connections to a file, as Wireshark reads it; NULL: to none.
 * Whoever has that file can read the connections.
 * Errors:
 *   what opening the file failed with
 *   -ENOMEM
 * Mirrors SSLContext.keylog_filename.
 */
RP_API int rp_tls_context_set_keylog_filename(rp_tls_context *context, const char *path);

/* ---- what was agreed on ---- */

/*
 * Those that follow ask a transport that speaks TLS by a context of this header; of a stream, rp_stream_transport().
 * Of any other transport, and when the connection is gone, they know nothing: 0, NULL or false.
 */

/* Which version it is, RP_TLS_1_*, and its name, such as "TLSv1.3". Mirror SSLObject.version(). */
RP_API int rp_tls_version(const rp_transport *transport);
RP_API const char *rp_tls_version_name(const rp_transport *transport);

/* The name of the cipher, as "TLS_AES_256_GCM_SHA384", and the bits of its key. Mirror SSLObject.cipher(). */
RP_API const char *rp_tls_cipher(const rp_transport *transport);
RP_API int rp_tls_cipher_bits(const rp_transport *transport);

/*
 * The protocol that ALPN chose, or NULL. Lent until the transport is freed.
 * Mirrors SSLObject.selected_alpn_protocol().
 */
RP_API const char *rp_tls_alpn(const rp_transport *transport);

/* The name of the server that the client asked for, or NULL. Mirrors SSLObject.server_hostname. */
RP_API const char *rp_tls_server_name(const rp_transport *transport);

/* Whether a session was resumed. Mirrors SSLObject.session_reused. */
RP_API bool rp_tls_session_reused(const rp_transport *transport);

/* A certificate. All that it points to is lent: see rp_tls_peer_certificate(). */
typedef struct rp_tls_certificate {
    const char *subject; /* as RFC 2253 writes it: "CN=www.example.org,O=Example" */
    const char *issuer;
    const char *serial;       /* in hexadecimal digits */
    const char *const *names; /* "DNS:www.example.org", "IP Address:127.0.0.1", "email:..." and "URI:..." */
    size_t names_count;
    int64_t not_before;      /* in seconds since 1970 */
    int64_t not_after;       /* the same */
    uint8_t fingerprint[32]; /* SHA-256 of `der` */
    const void *der;         /* all of it */
    size_t der_length;       /* in bytes */
} rp_tls_certificate;

/*
 * Tells the peer's certificate, whether it was verified or not.
 * *certificate is lent until the transport is freed. It is NULL if the peer has shown none.
 * Errors:
 *   -ENOTCONN   the transport does not speak TLS, or is gone
 *   -ENOMEM, -EINVAL
 * Mirrors SSLObject.getpeercert().
 */
RP_API int rp_tls_peer_certificate(const rp_transport *transport, const rp_tls_certificate **certificate);

/* ---- what went wrong ---- */

/*
 * The number of the alert by which the peer ended the connection, or -1; and the text of the error, or NULL.
 * The transport has to be there still: ask in connection_lost, or when a read or write of a stream has failed.
 * Of a handshake that has failed, rp_tls_failure tells the same.
 */
RP_API int rp_tls_alert(const rp_transport *transport);
RP_API const char *rp_tls_error_text(const rp_transport *transport);

/* The name of an alert's number, as "handshake_failure"; "unknown" if there is none. Any thread. */
RP_API const char *rp_tls_alert_name(int alert);

#ifdef __cplusplus
}
#endif

#endif
