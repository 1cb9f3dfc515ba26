/*
 * curl_multi.c - curl_multi milliseconds directory url...: libcurl's multi interface on the loop. Downloads all at
 * once, each within so much time, into files that are named by their place: 0, 1, and so on.
 */
#include <curl/curl.h>
#include <ringport.h>
#include <stdio.h>
#include <stdlib.h>

/* libcurl's multi handle: its sockets are watched by the loop, and its time-outs are one timer. */
typedef struct downloads {
    rp_loop *loop;
    CURLM *multi;
    rp_timer timer;
    int64_t patience;
    const char *directory;
    int failed;
} downloads;

/* One of them. Its handle has a pointer to it. */
typedef struct download {
    downloads *all;
    const char *url;
    int number;
    rp_future *ended;
    CURLcode result;
} download;

/* Tells those that have ended. */
static void act(downloads *all, curl_socket_t fd, int events)
{
    const CURLMsg *message;
    int left;

    curl_multi_socket_action(all->multi, fd, events, &left);
    while ((message = curl_multi_info_read(all->multi, &left))) {
        char *arg;
        download *d;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &arg);
        d = (download *)(void *)arg;
        d->result = message->data.result;
        if (!rp_future_done(d->ended))
            rp_future_set_result(d->ended, NULL);
    }
}

static void readable(rp_fd fd, void *arg)
{
    act(arg, fd, CURL_CSELECT_IN);
}

static void writable(rp_fd fd, void *arg)
{
    act(arg, fd, CURL_CSELECT_OUT);
}

static void look_at_time(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl says what it waits for. Before it closes a socket, that is nothing. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    downloads *all = arg;
    bool failed = false;

    (void)easy;
    (void)unused;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        failed |= rp_add_reader(all->loop, fd, readable, all) < 0;
    else
        rp_remove_reader(all->loop, fd);
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        failed |= rp_add_writer(all->loop, fd, writable, all) < 0;
    else
        rp_remove_writer(all->loop, fd);
    return failed ? -1 : 0;
}

/* libcurl gives up for -1, and for no other number. */
static int set_timer(CURLM *multi, long milliseconds, void *arg)
{
    downloads *all = arg;

    (void)multi;
    rp_timer_cancel(&all->timer);
    if (milliseconds < 0)
        return 0;
    return rp_call_later(all->loop, &all->timer, RP_MSEC((int64_t)milliseconds), look_at_time, all) < 0 ? -1 : 0;
}

/* ---- a download that is awaited ---- */

static size_t save(char *bytes, size_t size, size_t count, void *arg)
{
    return fwrite(bytes, size, count, arg);
}

/* Suspends until it has ended. Cancelled, it takes the handle back, which closes its connection. */
static int transfer(rp_co *co, download *d, CURL *easy)
{
    rp_timeout timeout;

    if (curl_multi_add_handle(d->all->multi, easy) != CURLM_OK)
        return -ENOMEM;
    rp_timeout_begin(co, &timeout, d->all->patience);
    int rc = rp_timeout_end(co, &timeout, rp_await(co, d->ended));
    curl_multi_remove_handle(d->all->multi, easy);
    return rc;
}

static int download_to(rp_co *co, download *d, FILE *file)
{
    CURL *easy = curl_easy_init();
    long status = 0;
    curl_off_t size = 0;

    if (!easy)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_URL, d->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)d);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, save);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)file);
    int rc = transfer(co, d, easy);
    if (rc == -ETIMEDOUT) {
        printf("%s: no end in time\n", d->url);
    } else if (rc == 0 && d->result != CURLE_OK) {
        printf("%s: %s\n", d->url, curl_easy_strerror(d->result));
    } else if (rc == 0) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &size);
        printf("%s: %ld, %lld bytes\n", d->url, status, (long long)size);
    }
    d->all->failed += status < 200 || status > 299;
    curl_easy_cleanup(easy);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int run_download(rp_co *co, void *arg)
{
    download *d = arg;
    char path[4096];
    int rc;

    snprintf(path, sizeof path, "%s/%d", d->all->directory, d->number);
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    rc = rp_future_new(d->all->loop, &d->ended);
    if (rc == 0) {
        rc = download_to(co, d, file);
        rp_future_unref(d->ended);
    }
    if (fclose(file) != 0 && rc == 0)
        rc = -errno;
    return rc;
}

/* ---- the program ---- */

static int run_all(rp_co *co, downloads *all, char **urls)
{
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int i = 0; urls[i] && rc == 0; i++)
        rc = rp_group_create_task_copy(&group, NULL, run_download, &(download){all, urls[i], i, NULL, CURLE_OK},
                                       sizeof(download));
    return rp_group_end(co, &group, rc);
}

static int run(rp_co *co, void *arg)
{
    char **argv = arg;
    downloads all = {.loop = rp_co_loop(co), .patience = RP_MSEC((int64_t)atoi(argv[1])), .directory = argv[2]};

    all.multi = curl_multi_init();
    if (!all.multi)
        return -ENOMEM;
    curl_multi_setopt(all.multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(all.multi, CURLMOPT_SOCKETDATA, (void *)&all);
    curl_multi_setopt(all.multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(all.multi, CURLMOPT_TIMERDATA, (void *)&all);
    int rc = run_all(co, &all, argv + 3);
    curl_multi_cleanup(all.multi);
    rp_timer_cancel(&all.timer);
    return rc < 0 ? rc : all.failed > 0;
}

int main(int argc, char **argv)
{
    int rc = argc < 4 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ? -EINVAL : rp_run(run, argv);

    curl_global_cleanup();
    if (rc < 0)
        fprintf(stderr, "curl_multi: %s\n", rp_strerror(rc));
    return rc != 0;
}
