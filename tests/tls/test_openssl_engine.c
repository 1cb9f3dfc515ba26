/*
 * test_openssl_engine.c - two engines by OpenSSL talk to each other in memory, as little at a time as there is.
 */
#include "harness/tls_scene.h"

static int64_t write_all(test_end_of_tls *end, const char *data, size_t length)
{
    size_t total = 0;

    while (total < length) {
        int64_t taken = end->engine->type->write(end->engine, data + total, length - total);

        if (taken < 0)
            return taken;
        total += (size_t)taken;
    }
    return (int64_t)total;
}

/* ---- bytes ---- */

TEST(bytes_come_through)
{
    tls_scene scene;
    char buffer[32];

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        CHECK_INT(write_all(&scene.pair.client, "ping", 4), ==, 4);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        CHECK_INT(test_end_read(&scene.pair.server, buffer, sizeof buffer, sizeof buffer), ==, 4);
        CHECK(memcmp(buffer, "ping", 4) == 0);
        CHECK_INT(write_all(&scene.pair.server, "pong", 4), ==, 4);
        test_carry(&scene.pair.server, &scene.pair.client, SIZE_MAX);
        CHECK_INT(test_end_read(&scene.pair.client, buffer, sizeof buffer, sizeof buffer), ==, 4);
        CHECK(memcmp(buffer, "pong", 4) == 0);
    }
}
