/*
 * secure.c - TLS over a connection that is being made: what was asked for, until the handshake begins.
 *
 * Whoever makes a connection refers to the context by it. From the handshake on the filter does so itself.
 */
#include "connect/secure.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* A context begins with it. */
static rp_tls_factory *factory_of(rp_tls_context *context)
{
    return (rp_tls_factory *)(void *)context;
}

static int ask(rp_tls_factory *factory, const rp_tls_options *options)
{
    return factory->check ? factory->check(factory, options->server_side, options->server_name) : 0;
}

static char *copy_of(const char *name)
{
    size_t size = strlen(name) + 1;
    char *copy = rp_malloc(size);

    if (copy)
        memcpy(copy, name, size);
    return copy;
}

static int check(rp_tls_context *context, const rp_tls_options *options)
{
    if (options->handshake_timeout < 0 || options->shutdown_timeout < 0)
        return -EINVAL;
    if (!context)
        return options->server_name || options->handshake_timeout || options->shutdown_timeout ? -EINVAL : 0;
    return options->server_side == !options->server_name ? ask(factory_of(context), options) : -EINVAL;
}

int rp_secure_take(rp_secure *secure, rp_tls_context *context, const rp_tls_options *options)
{
    char *name = NULL;

    *secure = (rp_secure){.context = NULL};
    if (options->failure)
        *options->failure = (rp_tls_failure){.alert = -1};
    RP_TRY(check(context, options));
    if (!context)
        return 0;
    if (options->server_name) {
        name = copy_of(options->server_name);
        if (!name)
            return -ENOMEM;
    }
    *secure = (rp_secure){.context = context, .options = *options};
    secure->options.server_name = name;
    factory_of(context)->ref(factory_of(context));
    return 0;
}

int rp_secure_take_client(rp_secure *secure, const rp_connect_options *options, const char *host)
{
    *secure = (rp_secure){.context = NULL};
    if (!options)
        return 0;
    return rp_secure_take(secure, options->tls,
                          &(rp_tls_options){
                              .server_name = options->tls && !options->server_name ? host : options->server_name,
                              .handshake_timeout = options->tls_handshake_timeout,
                              .shutdown_timeout = options->tls_shutdown_timeout,
                              .failure = options->tls_failure,
                          });
}

int rp_secure_take_server(rp_secure *secure, const rp_server_options *options)
{
    return rp_secure_take(secure, options->tls,
                          &(rp_tls_options){
                              .server_side = true,
                              .handshake_timeout = options->tls_handshake_timeout,
                              .shutdown_timeout = options->tls_shutdown_timeout,
                          });
}

void rp_secure_drop(rp_secure *secure)
{
    if (!secure->context)
        return;
    factory_of(secure->context)->unref(factory_of(secure->context));
    rp_free((char *)(uintptr_t)secure->options.server_name);
    *secure = (rp_secure){.context = NULL};
}

int rp_secure_begin(const rp_secure *secure, rp_transport *below, const void *received, size_t length,
                    rp_tls_filter_done *done, void *arg, rp_transport **filter)
{
    rp_tls_filter_options options = {
        .server = secure->options.server_side,
        .server_name = secure->options.server_name,
        .handshake_timeout = secure->options.handshake_timeout,
        .shutdown_timeout = secure->options.shutdown_timeout,
        .received = received,
        .received_length = length,
    };

    return rp_tls_filter_new(below, factory_of(secure->context), &options, done, arg, filter);
}

void rp_secure_explain(const rp_secure *secure, const rp_transport *filter)
{
    rp_tls_failure *failure = secure->options.failure;
    const rp_tls_engine *engine;
    const char *text;

    if (!failure)
        return;
    engine = rp_tls_filter_engine(filter);
    text = engine->type->text(engine);
    failure->alert = engine->type->alert(engine);
    snprintf(failure->text, sizeof failure->text, "%s", text ? text : "");
}
