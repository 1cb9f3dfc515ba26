/*
 * handshakes.c - what the server's side of a handshake costs OpenSSL by itself: both sides in one thread, in memory.
 *
 * handshakes CERTIFICATE [SECONDS]: what the server's calls take is counted, from SSL_new() to SSL_free(), with a byte
 * echoed and close_notify both ways, as handshake_load.c does it over sockets.
 */
#include "tls.h"

typedef struct side {
    SSL *ssl;
    int64_t cpu; /* ns */
} side;

static int64_t cpu_now(void)
{
    return bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void begin(side *one, SSL_CTX *context, BIO *in, BIO *out)
{
    int64_t begun = cpu_now();

    one->ssl = SSL_new(context);
    if (!one->ssl || !BIO_up_ref(in) || !BIO_up_ref(out))
        bench_die("no memory");
    SSL_set_bio(one->ssl, in, out);
    one->cpu += cpu_now() - begun;
}

static int go_on(side *one)
{
    int64_t begun = cpu_now();
    int done;

    ERR_clear_error();
    done = SSL_do_handshake(one->ssl);
    if (done != 1 && SSL_get_error(one->ssl, done) != SSL_ERROR_WANT_READ)
        bench_tls_check(done, "SSL_do_handshake");
    one->cpu += cpu_now() - begun;
    return done == 1;
}

static void send_byte(side *one)
{
    int64_t begun = cpu_now();

    bench_tls_check(SSL_write(one->ssl, "x", 1), "SSL_write");
    one->cpu += cpu_now() - begun;
}

static void take_byte(side *one)
{
    int64_t begun = cpu_now();
    char byte;

    bench_tls_check(SSL_read(one->ssl, &byte, 1), "SSL_read");
    one->cpu += cpu_now() - begun;
}

static void end(side *one)
{
    int64_t begun = cpu_now();

    SSL_shutdown(one->ssl);
    SSL_free(one->ssl);
    one->cpu += cpu_now() - begun;
}

static void shake_hands(side *server, SSL_CTX *server_context, side *client, SSL_CTX *client_context)
{
    BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());

    begin(server, server_context, up, down);
    begin(client, client_context, down, up);
    SSL_set_accept_state(server->ssl);
    SSL_set_connect_state(client->ssl);
    while (!(go_on(client) & go_on(server)))
        ;
    send_byte(client);
    take_byte(server);
    send_byte(server);
    take_byte(client);
    end(client);
    end(server);
    BIO_free(up);
    BIO_free(down);
}

int main(int argc, char **argv)
{
    SSL_CTX *server_context, *client_context = SSL_CTX_new(TLS_client_method());
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    int64_t until;
    side server = {0}, client = {0};
    uint64_t done = 0;

    if (argc < 2 || !client_context)
        bench_die("usage: handshakes CERTIFICATE [SECONDS]");
    server_context = bench_tls_context(argv[1]);
    shake_hands(&server, server_context, &client, client_context); /* what OpenSSL loads once */
    server.cpu = 0;
    until = bench_now() + (int64_t)(seconds * (double)BENCH_SECOND);
    for (; bench_now() < until; done++)
        shake_hands(&server, server_context, &client, client_context);
    printf("{\"cpu_us_per_request\": %.4f}\n", (double)server.cpu / 1000 / (double)done);
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    return 0;
}
