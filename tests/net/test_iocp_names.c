/*
 * test_iocp_names.c - names on Windows are UTF-8, whatever the code page: the files of Unix sockets, and hosts.
 *
 * Wine 8 has no Unix sockets. Their files are stood in for by plain ones, which are said to be reparse points; a real
 * Windows shows the rest (tests/windows/test_real_net.c).
 */
#include "base/socket.h"

#include "harness/wire.h"
#include "net/resolve_error.h"
#include "net/socket_file.h"

/* ---- the files of Unix sockets ---- */

typedef WINBOOL WINAPI ask_file(HANDLE file, FILE_INFO_BY_HANDLE_CLASS what, void *answer, DWORD size);

static bool files_are_sockets;

/* The system's, but that plain files are those of Unix sockets. */
static WINAPI WINBOOL own_ask_file(HANDLE file, FILE_INFO_BY_HANDLE_CLASS what, void *answer, DWORD size)
{
    ask_file *real =
        (ask_file *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "GetFileInformationByHandleEx");

    if (what != FileAttributeTagInfo || !files_are_sockets)
        return real(file, what, answer, size);
    CHECK_INT(size, ==, sizeof(FILE_ATTRIBUTE_TAG_INFO));
    *(FILE_ATTRIBUTE_TAG_INFO *)answer = (FILE_ATTRIBUTE_TAG_INFO){
        .FileAttributes = FILE_ATTRIBUTE_ARCHIVE | FILE_ATTRIBUTE_REPARSE_POINT, .ReparseTag = 0x80000023};
    return TRUE;
}

ask_file *__imp_GetFileInformationByHandleEx = own_ask_file; /* the pointer that it is called through */

/* Paths with letters of several scripts, of which no code page has all; the last is as long as an address allows. */
static const struct {
    const char *path;
    const wchar_t *wide;
} paths[] = {
    {"plain.sock", L"plain.sock"},
    {"stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock",
     L"stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock"},
    {"\U0001f980.sock", L"\U0001f980.sock"},
    {"\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5"
     "\u65e5"
     "\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5xx",
     L"\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5"
     L"\u65e5"
     L"\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5xx"},
};

enum { PATHS = sizeof paths / sizeof *paths };

static void make_file(const wchar_t *path)
{
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);

    CHECK(file != INVALID_HANDLE_VALUE);
    CloseHandle(file);
}

static bool exists(const wchar_t *path)
{
    return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

TEST(a_stale_socket_is_removed_whatever_its_letters)
{
    for (int i = 0; i < PATHS; i++) {
        CHECK_INT(rp_socket_file_remove_stale(paths[i].path), ==, 0); /* there is none */
        make_file(paths[i].wide);
        files_are_sockets = false;
        CHECK_INT(rp_socket_file_remove_stale(paths[i].path), ==, 0);
        CHECK(exists(paths[i].wide)); /* it is no socket */
        files_are_sockets = true;
        CHECK_INT(rp_socket_file_remove_stale(paths[i].path), ==, 0);
        CHECK(!exists(paths[i].wide));
    }
    CHECK_INT(rp_socket_file_remove_stale("\xff.sock"), ==, -EILSEQ);
}

TEST(a_server_removes_its_own_socket_whatever_its_letters)
{
    for (int i = 0; i < PATHS; i++) {
        rp_socket_file file = {0}, other = {.device = 1, .inode = 1};

        CHECK_INT(rp_socket_file_identify(paths[i].path, &file), ==, -ENOENT);
        make_file(paths[i].wide);
        CHECK_INT(rp_socket_file_identify(paths[i].path, &file), ==, 0);
        CHECK(file.inode != 0);
        rp_socket_file_remove(paths[i].path, &other);
        CHECK(exists(paths[i].wide));
        rp_socket_file_remove(paths[i].path, &file);
        CHECK(!exists(paths[i].wide));
    }
    CHECK_INT(rp_socket_file_identify("\xff.sock", &(rp_socket_file){0}), ==, -EILSEQ);
}

static int no_protocol(void *arg, const rp_protocol **protocol, void **self)
{
    (void)arg, (void)protocol, (void)self;
    return -EPERM;
}

TEST(there_are_no_abstract_names)
{
    rp_loop *loop = wire_loop();
    rp_future *future;
    rp_server *server;

    CHECK_INT(rp_create_unix_connection(loop, no_protocol, NULL, "\0name", 5, &future), ==, -ENOTSUP);
    CHECK_INT(rp_create_unix_server(loop, no_protocol, NULL, "\0name", 5, NULL, &server), ==, -ENOTSUP);
    CHECK_INT(rp_create_unix_server(loop, no_protocol, NULL, "", 0, NULL, &server), ==, -EINVAL);
    rp_loop_free(loop);
}

/* ---- hosts ---- */

typedef INT WSAAPI resolver(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **result);

static char asked[512];
static int answer; /* to give; 0: the loopback's addresses */

/* The system's, to which each host is the loopback. */
static WSAAPI INT own_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                                  struct addrinfo **result)
{
    resolver *real = (resolver *)test_next_function("getaddrinfo");

    if (hints->ai_flags & AI_NUMERICHOST)
        return real(host, service, hints, result);
    strcpy(asked, host);
    return answer != 0 ? answer : real("127.0.0.1", service, hints, result);
}

resolver *__imp_getaddrinfo = own_getaddrinfo;

typedef int WINAPI puny_coder(DWORD flags, const WCHAR *text, int length, WCHAR *ascii, int room);

/* The system's, but that it has no emoji, as old tables of Windows: these are refused unless they are allowed. */
static WINAPI int own_puny_coder(DWORD flags, const WCHAR *text, int length, WCHAR *ascii, int room)
{
    puny_coder *real = (puny_coder *)(void *)GetProcAddress(GetModuleHandleA("kernelbase"), "IdnToAscii");

    if (wcschr(text, 0xd83d) && !(flags & IDN_ALLOW_UNASSIGNED)) {
        SetLastError(ERROR_INVALID_NAME);
        return 0;
    }
    return real(flags, text, length, ascii, room);
}

puny_coder *__imp_IdnToAscii = own_puny_coder;

static int look_up(rp_loop *loop, const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    rp_future *lookup;
    char text[64];

    asked[0] = '\0';
    CHECK_INT(rp_loop_getaddrinfo(loop, host, "80", &hints, &lookup), ==, 0);
    int rc = rp_run_until_complete(loop, lookup);
    if (rc == 0) {
        const struct addrinfo *list = rp_future_value(lookup);

        CHECK_INT(rp_sockaddr_format(list->ai_addr, (uint32_t)list->ai_addrlen, text, sizeof text), ==, 0);
        CHECK_STR(text, "127.0.0.1:80");
    }
    rp_future_unref(lookup);
    return rc;
}

TEST(hosts_are_utf8_and_asked_for_in_punycode)
{
    static const struct {
        const char *host, *ascii;
    } hosts[] = {
        {"localhost", "localhost"},
        {"under_score.Example", "under_score.Example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"b\u00fccher.example", "xn--bcher-kva.example"},
        {"B\u00dcCHER.example", "xn--bcher-kva.example"},
        {"\u4f8b\u3048.\u30c6\u30b9\u30c8", "xn--r8jz45g.xn--zckzah"},
        {"under_score.b\u00fccher.example.", "under_score.xn--bcher-kva.example."},
        {"\U0001f4a9.la", "xn--ls8h.la"},
        {"\u043f\u0440\u0438\u043c\u0435\u0440\u3002\u0440\u0444", "xn--e1afmkfd.xn--p1ai"},
    };
    rp_loop *loop = wire_loop();

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        CHECK_INT(look_up(loop, hosts[i].host), ==, 0);
        CHECK_STR(asked, hosts[i].ascii);
    }
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

TEST(a_host_that_cannot_be_is_not_known)
{
    rp_loop *loop = wire_loop();
    char longest[400];

    CHECK_INT(look_up(loop, "b\xfc"
                            "cher.example"),
              ==, RP_EAI_NONAME);                                        /* of a code page */
    CHECK_INT(look_up(loop, "\xed\xa0\x80.example"), ==, RP_EAI_NONAME); /* half a letter */
    for (size_t i = 0; i < sizeof longest - 1; i += 2)
        memcpy(longest + i, "\u00fc", 2);
    longest[sizeof longest - 2] = '\0';
    CHECK_INT(look_up(loop, longest), ==, RP_EAI_NONAME);
    CHECK_STR(asked, "");
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

TEST(each_failure_of_the_resolver_has_an_error)
{
    static const struct {
        int answer, error;
    } all[] = {
        {WSAHOST_NOT_FOUND, RP_EAI_NONAME},
        {WSANO_DATA, RP_EAI_NODATA},
        {WSATRY_AGAIN, RP_EAI_AGAIN},
        {WSANO_RECOVERY, RP_EAI_FAIL},
        {WSATYPE_NOT_FOUND, RP_EAI_SERVICE},
        {WSAEINVAL, RP_EAI_BADFLAGS},
        {WSA_NOT_ENOUGH_MEMORY, -ENOMEM},
        {WSAENETDOWN, -ENETDOWN},
        {9002, RP_EAI_FAIL}, /* DNS_ERROR_RCODE_SERVER_FAILURE, which no table has */
    };
    rp_loop *loop = wire_loop();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        answer = all[i].answer;
        CHECK_INT(look_up(loop, "b\u00fccher.example"), ==, all[i].error);
    }
    answer = 0;
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}
