/*
 * tls_scene.h - a client, a server, the certificate of the one and the root that the other trusts.
 */
#ifndef RP_TESTS_TLS_SCENE_H
#define RP_TESTS_TLS_SCENE_H

#include "harness/certificates.h"
#include "harness/engines.h"

/* Of both ends, and what they were made of. */
typedef struct tls_scene {
    test_identity *root, *identity;
    rp_tls_context *client, *server;
    test_pair pair;
} tls_scene;

static inline void scene_set_up(tls_scene *scene)
{
    scene->root = test_root_new();
    scene->identity = test_server_identity_new(scene->root);
    scene->server = test_tls_server(scene->identity);
    scene->client = test_tls_client(scene->root);
}

static inline void scene_set_version(tls_scene *scene, int version)
{
    CHECK_INT(rp_tls_context_set_maximum_version(scene->client, version), ==, 0);
}

static inline void scene_open(tls_scene *scene)
{
    test_pair_open(&scene->pair, scene->client, scene->server, "localhost");
}

static inline void scene_connect(tls_scene *scene)
{
    scene_open(scene);
    test_pair_shake(&scene->pair);
    CHECK_INT(scene->pair.client_error, ==, 0);
    CHECK_INT(scene->pair.server_error, ==, 0);
}

static inline void scene_tear_down(tls_scene *scene)
{
    test_pair_close(&scene->pair);
    rp_tls_context_unref(scene->client);
    rp_tls_context_unref(scene->server);
    test_identity_free(scene->identity);
    test_identity_free(scene->root);
}

static const int test_versions[] = {RP_TLS_1_2, RP_TLS_1_3};

#define EACH_VERSION(scene)                                                                                       \
    for (size_t i_ = 0; i_ < 2; scene_tear_down(scene), i_++)                                                     \
        if (scene_set_up(scene), scene_set_version(scene, test_versions[i_]), true)

#endif
