/*
 * openssl_bio.c - a BIO without a buffer: OpenSSL reads what was received from where it lies.
 *
 * OpenSSL gets whole records only, and keeps none. So whether it has something to do can be seen without asking it.
 * What is no record it gets as it comes, to complain of it.
 */
#include "tls/openssl_bio.h"

enum {
    FIRST_TYPE = 20, /* change_cipher_spec */
    LAST_TYPE = 23,  /* application_data */
    OLD_HEADER = 2,  /* of the hello of SSL 2, which may be the first: its length, with the highest bit set */
};

/* ---- records ---- */

/* How long a record is, by its beginning; 0: that cannot be told yet; SIZE_MAX: it is none. */
static size_t measure(const rp_openssl_wire *wire)
{
    const rp_tls_input *input = wire->engine->input;
    const unsigned char *data = input->data;

    if (data[0] >= FIRST_TYPE && data[0] <= LAST_TYPE)
        return input->length < RP_TLS_HEADER ? 0 : RP_TLS_HEADER + ((size_t)data[3] << 8 | data[4]);
    if (!wire->begun && (data[0] & 0x80))
        return input->length < OLD_HEADER ? 0 : OLD_HEADER + ((size_t)(data[0] & 0x7f) << 8 | data[1]);
    return SIZE_MAX;
}

size_t rp_openssl_wire_whole(rp_openssl_wire *wire)
{
    const rp_tls_input *input = wire->engine->input;
    size_t length;

    if (wire->whole > 0 || input->length == 0)
        return wire->whole;
    length = wire->malformed ? SIZE_MAX : measure(wire);
    if (length > RP_TLS_RECORD) {
        wire->plain |= !wire->begun && length == SIZE_MAX;
        wire->malformed = true;
        length = input->length;
    }
    if (length == 0 || length > input->length || wire->patience == 0)
        return 0;
    wire->patience--;
    wire->begun = true;
    wire->whole = length;
    return length;
}

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *data, size_t length, size_t *taken)
{
    rp_openssl_wire *wire = BIO_get_data(bio);
    size_t whole = rp_openssl_wire_whole(wire);

    BIO_clear_retry_flags(bio);
    *taken = rp_tls_input_take(wire->engine->input, data, length < whole ? length : whole);
    wire->whole -= *taken;
    if (*taken > 0)
        return 1;
    BIO_set_retry_read(bio);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t length, size_t *written)
{
    const rp_openssl_wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    rp_tls_output_write(wire->engine->output, data, length);
    *written = length;
    return 1;
}

/* OpenSSL asks for much that is not there, such as encryption by the kernel. */
static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *rp_openssl_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ringport");

    if (method && BIO_meth_set_read_ex(method, bio_read) && BIO_meth_set_write_ex(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *rp_openssl_bio_new(const BIO_METHOD *method, rp_openssl_wire *wire)
{
    BIO *bio = BIO_new(method);

    if (!bio)
        return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}
