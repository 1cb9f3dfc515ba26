/*
 * test_tls_threads.c - threads share contexts: their first connections begin at once, and their keys go to one file.
 */
#include <pthread.h>
#include <stdio.h>

#include "harness/platform.h"
#include "harness/tls_scene.h"

enum {
    THREADS = 4,
    ROUNDS = 20,
};

struct crew {
    tls_scene scene;
    pthread_barrier_t ready;
    char keys[200], roots[200];
};

static void talk(tls_scene *scene)
{
    char buffer[8] = {0};
    test_pair pair;

    test_pair_open(&pair, scene->client, scene->server, "localhost");
    test_pair_shake(&pair);
    CHECK_INT(pair.client_error, ==, 0);
    CHECK_INT(pair.server_error, ==, 0);
    CHECK_INT(end_write(&pair.server, "text"), ==, 4);
    test_carry(&pair.server, &pair.client, SIZE_MAX);
    CHECK_INT(test_end_read(&pair.client, buffer, sizeof buffer, sizeof buffer), ==, 4);
    CHECK_STR(buffer, "text");
    test_pair_close(&pair);
}

static void *work(void *arg)
{
    struct crew *crew = arg;

    pthread_barrier_wait(&crew->ready);
    for (int i = 0; i < ROUNDS; i++)
        talk(&crew->scene);
    return NULL;
}

static void make_environment(struct crew *crew)
{
    snprintf(crew->keys, sizeof crew->keys, TEST_TMP "/ringport-threads-%lld-keys", (long long)getpid());
    snprintf(crew->roots, sizeof crew->roots, TEST_TMP "/ringport-threads-%lld-roots", (long long)getpid());
    test_write_file(crew->keys, "", 0);
    test_write_file(crew->roots, crew->scene.root->certificate, strlen(crew->scene.root->certificate));
#ifdef _WIN32
    _putenv_s("SSL_CERT_FILE", crew->roots);
#else
    setenv("SSL_CERT_FILE", crew->roots, 1);
#endif
}

/* Each connection has as many lines, and none is mixed with another. */
static void check_keys(const char *path, size_t lines)
{
    char line[400], label[64], random[80], secret[140];
    FILE *file = fopen(path, "r");
    size_t count = 0;

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        CHECK_INT(sscanf(line, "%60s %64s %130s\n", label, random, secret), ==, 3);
        CHECK_INT(strlen(random), ==, 64);
        CHECK(strlen(secret) == 64 || strlen(secret) == 96);
        count++;
    }
    fclose(file);
    CHECK_INT(count, ==, lines);
}

TEST(threads_share_contexts)
{
    pthread_t threads[THREADS];
    struct crew crew;
    rp_tls_context *other;

    scene_set_up(&crew.scene);
    make_environment(&crew);
    rp_tls_context_unref(crew.scene.client);
    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &crew.scene.client), ==, 0);
    CHECK_INT(rp_tls_context_set_keylog_filename(crew.scene.client, crew.keys), ==, 0);
    other = test_tls_server(crew.scene.identity);
    CHECK_INT(rp_tls_context_add_server_name(crew.scene.server, "localhost", other), ==, 0);
    rp_tls_context_unref(other);
    CHECK_INT(pthread_barrier_init(&crew.ready, NULL, THREADS), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, work, &crew), ==, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    pthread_barrier_destroy(&crew.ready);
    /* Of the handshake, of the data and of what is exported; of each direction where there are two. */
    check_keys(crew.keys, (size_t)THREADS * ROUNDS * 5);
    crew.scene.pair = (test_pair){0};
    scene_tear_down(&crew.scene);
    remove(crew.keys); /* which on Windows nobody may have open */
    remove(crew.roots);
}
