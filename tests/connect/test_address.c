/*
 * test_address.c - addresses as text, Unix addresses.
 */
#include "connect/address.h"
#include "ringport/net.h"
#include "harness/wire.h"

TEST(internet_addresses_have_their_port)
{
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(8080), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char text[64];

    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, sizeof four, text, sizeof text), ==, 0);
    CHECK_STR(text, "127.0.0.1:80");
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&six, sizeof six, text, sizeof text), ==, 0);
    CHECK_STR(text, "[::1]:8080");
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, sizeof four, text, 13), ==, 0);
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, sizeof four, text, 12), ==, -ENOSPC);
    CHECK_STR(text, "");
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, 4, text, sizeof text), ==, -EINVAL);
    four.sin_family = AF_APPLETALK;
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, sizeof four, text, sizeof text), ==, -EAFNOSUPPORT);
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&four, sizeof four, text, 0), ==, -ENOSPC);
}

TEST(unix_addresses_are_paths_or_names)
{
    struct sockaddr_un address;
    char text[200], longest[sizeof address.sun_path + 1];
    int length = rp_unix_address(&address, "/tmp/x", 0);

    CHECK_INT(length, ==, offsetof(struct sockaddr_un, sun_path) + 7);
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&address, (uint32_t)length, text, sizeof text), ==, 0);
    CHECK_STR(text, "/tmp/x");
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&address, (uint32_t)length, text, 6), ==, -ENOSPC);
    length = rp_unix_address(&address, "\0name", 5);
    CHECK_INT(length, ==, offsetof(struct sockaddr_un, sun_path) + 5);
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&address, (uint32_t)length, text, sizeof text), ==, 0);
    CHECK_STR(text, "@name");
    CHECK_INT(rp_sockaddr_format((struct sockaddr *)&address, sizeof(sa_family_t), text, sizeof text), ==, 0);
    CHECK_STR(text, "");
    CHECK_INT(rp_unix_address(&address, "", 0), ==, -EINVAL);
    memset(longest, 'x', sizeof longest);
    CHECK_INT(rp_unix_address(&address, longest, sizeof address.sun_path), ==, -ENAMETOOLONG);
    CHECK_INT(rp_unix_address(&address, longest, sizeof address.sun_path - 1), >, 0);
    longest[0] = '\0';
    CHECK_INT(rp_unix_address(&address, longest, sizeof address.sun_path), ==, sizeof address);
    CHECK_INT(rp_unix_address(&address, longest, sizeof longest), ==, -ENAMETOOLONG);
}
