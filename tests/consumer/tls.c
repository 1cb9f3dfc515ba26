/*
 * tls.c - the same with TLS, by ringport-tls: a server without a certificate, and a client that is told so.
 */
#include <ringport.h>
#include <ringport/tls.h>
#include <stdio.h>

static int handle(rp_co *co, rp_stream *stream, void *arg)
{
    return 0;
}

static int connect_to(rp_co *co, rp_server *server, rp_tls_context *context)
{
    rp_tls_failure failure;
    rp_connect_options options = {0};
    rp_stream *stream;

    options.tls = context;
    options.tls_failure = &failure;
    int rc = rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), &options);
    printf("%s %s\n", rp_errname(rc), rp_tls_alert_name(failure.alert));
    return 0;
}

static int app(rp_co *co, void *arg)
{
    rp_server_options options = {0};
    rp_tls_context *client;
    rp_server *server;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &options.tls));
    RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &client));
    RP_TRY(rp_start_server(co, &server, handle, NULL, "127.0.0.1", 0, &options));
    RP_TRY(connect_to(co, server, client));
    rp_server_close(server);
    RP_TRY(rp_server_wait_closed(co, server));
    rp_server_free(server);
    rp_tls_context_unref(options.tls);
    rp_tls_context_unref(client);
    return 0;
}

int main(void)
{
    return rp_run(app, NULL) < 0;
}
