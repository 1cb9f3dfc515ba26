/*
 * server_names.c - several certificates of one server, by the name that the client asks for (SNI).
 *
 * The name is looked at when the hello has just come, before a session is resumed. A session bears its context's id:
 * one that was made where clients are not asked for a certificate is not resumed where they are.
 */
#include "tls/server_names.h"

#include <openssl/err.h>

#include "tls/openssl_engine.h"
#include "tls/tls_memory.h"

/* ---- the list ---- */

/* A copy in lower case, without the root's dot; NULL: there is no memory. */
static char *normalized(const char *name, size_t length)
{
    char *copy;

    if (length > 0 && name[length - 1] == '.')
        length--;
    copy = rp_tls_copy(name, length);
    for (char *at = copy; at && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return copy;
}

/* Where a name stands, or should; *found tells which. */
static size_t place_of(const rp_tls_context *context, const char *name, bool *found)
{
    size_t low = 0, high = context->names_count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(context->names[middle].name, name);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool good_name(const char *name)
{
    if (name[0] == '*' && name[1] == '.')
        name += 2;
    return name[0] && name[0] != '.' && !strchr(name, '*') && strlen(name) <= TLSEXT_MAXLEN_host_name;
}

static int insert(rp_tls_context *context, size_t place, char *name, rp_tls_context *other)
{
    size_t count = context->names_count;
    rp_tls_server_name_entry *longer = rp_tls_calloc((count + 1) * sizeof *longer);

    if (!longer)
        return -ENOMEM;
    if (place > 0)
        memcpy(longer, context->names, place * sizeof *longer);
    if (place < count)
        memcpy(longer + place + 1, context->names + place, (count - place) * sizeof *longer);
    longer[place] = (rp_tls_server_name_entry){name, rp_tls_context_ref(other)};
    rp_tls_free(context->names);
    context->names = longer;
    context->names_count = count + 1;
    return 0;
}

int rp_tls_context_add_server_name(rp_tls_context *context, const char *name, rp_tls_context *other)
{
    char *copy;
    size_t place;
    bool found;
    int rc = 0;

    if (!other || other == context || other->role != RP_TLS_SERVER || context->role != RP_TLS_SERVER)
        return -EINVAL;
    if (!name || !good_name(name))
        return -EINVAL;
    copy = normalized(name, strlen(name));
    if (!copy)
        return -ENOMEM;
    place = place_of(context, copy, &found);
    if (found) {
        rp_tls_context *former = context->names[place].context;

        context->names[place].context = rp_tls_context_ref(other);
        rp_tls_context_unref(former);
    } else {
        rc = insert(context, place, copy, other);
    }
    if (found || rc < 0)
        rp_tls_free(copy);
    return rc;
}

int rp_tls_context_set_sni_callback(rp_tls_context *context, rp_tls_sni_callback *callback, void *arg)
{
    if (context->role != RP_TLS_SERVER)
        return -EINVAL;
    context->sni_callback = callback;
    context->sni_arg = arg;
    return 0;
}

/* The name itself goes before one with a '*' for its first label. `name` is overwritten. */
static rp_tls_context *find(const rp_tls_context *context, char *name)
{
    bool found;
    size_t place = place_of(context, name, &found);
    char *rest = strchr(name, '.');

    if (!found && rest && rest > name) {
        rest[-1] = '*';
        place = place_of(context, rest - 1, &found);
    }
    return found ? context->names[place].context : NULL;
}

/* ---- the hello ---- */

/*
 * The name in a hello's extension: a list's length, the type of its first entry, the name's length, the name.
 * NULL: there is none, or what is there is malformed, which OpenSSL complains of later.
 */
static const char *name_in(const unsigned char *extension, size_t length, size_t *name_length)
{
    enum { HEADER = 5 };

    if (length <= HEADER || extension[2] != TLSEXT_NAMETYPE_host_name)
        return NULL;
    *name_length = (size_t)extension[3] << 8 | extension[4];
    if (*name_length == 0 || *name_length > length - HEADER || *name_length > TLSEXT_MAXLEN_host_name ||
        memchr(extension + HEADER, '\0', *name_length))
        return NULL;
    return (const char *)extension + HEADER;
}

/* The connection goes by another context from now on. */
static int choose(rp_openssl_engine *engine, rp_tls_context *other)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(engine->ssl);
    X509_VERIFY_PARAM *others = SSL_CTX_get0_param(other->ssl);

    if (!SSL_set_SSL_CTX(engine->ssl, other->ssl))
        return -ENOMEM;
    engine->chosen = rp_tls_context_ref(other);
    SSL_set_verify(engine->ssl, SSL_CTX_get_verify_mode(other->ssl), NULL);
    X509_VERIFY_PARAM_clear_flags(param, X509_VERIFY_PARAM_get_flags(param));
    X509_VERIFY_PARAM_set_flags(param, X509_VERIFY_PARAM_get_flags(others));
    return 0;
}

static int ask(const rp_tls_context *context, const char *asked, size_t length, rp_tls_context **chosen)
{
    char *name = asked ? normalized(asked, length) : NULL, *copy = NULL;
    int rc = 0;

    if (asked && !name)
        return -ENOMEM;
    copy = name ? rp_tls_copy(name, strlen(name)) : NULL;
    if (name && !copy)
        rc = -ENOMEM;
    if (copy)
        *chosen = find(context, copy);
    ERR_set_mark(); /* what a function of the program's leaves in OpenSSL's queue is not the handshake's */
    if (rc == 0 && context->sni_callback)
        rc = context->sni_callback(context->sni_arg, name, chosen);
    ERR_pop_to_mark();
    rp_tls_free(copy);
    rp_tls_free(name);
    return rc;
}

/* The second hello, which a server may ask for, has the name of the first one, by which the context was chosen. */
static int on_second_hello(rp_openssl_engine *engine, const char *name, size_t length, int *alert)
{
    const char *first = engine->server_name;

    if (first ? name && strlen(first) == length && memcmp(first, name, length) == 0 : !name)
        return SSL_CLIENT_HELLO_SUCCESS;
    engine->refused = RP_ETLS_PROTOCOL;
    *alert = SSL_AD_ILLEGAL_PARAMETER;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    rp_openssl_engine *engine = SSL_get_app_data(ssl);
    rp_tls_context *chosen = NULL;
    const unsigned char *extension;
    const char *name = NULL;
    size_t length, name_length = 0;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &length))
        name = name_in(extension, length, &name_length);
    if (engine->named)
        return on_second_hello(engine, name, name_length, alert);
    engine->named = true;
    engine->server_name = name ? rp_tls_copy(name, name_length) : NULL;
    engine->refused = name && !engine->server_name ? -ENOMEM : ask(engine->context, name, name_length, &chosen);
    if (engine->refused > 0)
        engine->refused = -EINVAL;
    if (engine->refused == 0 && chosen && chosen->role != RP_TLS_SERVER)
        engine->refused = -EINVAL;
    if (engine->refused == 0 && chosen && chosen != engine->context)
        engine->refused = choose(engine, chosen);
    if (engine->refused == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
}

/* A server says that it knows the name. */
static int acknowledge(SSL *ssl, int *alert, void *arg)
{
    const rp_openssl_engine *engine = SSL_get_app_data(ssl);

    return engine->chosen ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

void rp_tls_server_names_install(rp_tls_context *context)
{
    SSL_CTX_set_client_hello_cb(context->ssl, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(context->ssl, acknowledge);
}
