/*
 * resolve_error_windows.c - getaddrinfo() and getnameinfo() as Windows has them, with Winsock's errors.
 *
 * getaddrinfo() takes hosts as ANSI text, and no code page has all letters. But the names of hosts that have others
 * than ASCII's are sent in Punycode anyway, and that is ASCII: so a host is put into it here, as asyncio does.
 * GetAddrInfoW() does the same for UTF-16, and its list is none for freeaddrinfo(), by which callers free ours.
 */
#include "base/error_windows.h"
#include "base/socket.h"
#include "net/resolve_error.h"
#include "ringport/error.h"

enum { HOST_ROOM = 256 }; /* a name of the DNS has 253 letters at most */

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/*
 * Writes a host in UTF-8 as one in ASCII. False: there can be no such host. Letters that are newer than the system's
 * tables, as some emoji are, may be in a name that is asked for.
 */
static bool to_ascii(const char *host, char ascii[HOST_ROOM])
{
    wchar_t wide[HOST_ROOM], punycode[HOST_ROOM];

    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, wide, HOST_ROOM) > 0 &&
           IdnToAscii(IDN_ALLOW_UNASSIGNED, wide, -1, punycode, HOST_ROOM) > 0 &&
           WideCharToMultiByte(CP_UTF8, 0, punycode, -1, ascii, HOST_ROOM, NULL, NULL) > 0;
}

int rp_resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    char ascii[HOST_ROOM];

    if (host && !is_ascii(host)) {
        if (!to_ascii(host, ascii))
            return RP_EAI_NONAME;
        host = ascii;
    }
    return rp_resolve_error(getaddrinfo(host, service, hints, list));
}

static int to_utf8(const wchar_t *wide, char *text, size_t size)
{
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, (int)size, NULL, NULL) > 0 ? 0 : RP_EAI_OVERFLOW;
}

int rp_resolve_address(const struct sockaddr *address, uint32_t length, int flags, rp_nameinfo *names)
{
    wchar_t host[NI_MAXHOST], service[NI_MAXSERV];

    RP_TRY(
        rp_resolve_error(GetNameInfoW(address, (socklen_t)length, host, NI_MAXHOST, service, NI_MAXSERV, flags)));
    RP_TRY(to_utf8(host, names->host, sizeof names->host));
    return to_utf8(service, names->service, sizeof names->service);
}

int rp_resolve_error(int code)
{
    int rc;

    switch (code) {
    case EAI_AGAIN:
        return RP_EAI_AGAIN;
    case EAI_BADFLAGS:
        return RP_EAI_BADFLAGS;
    case EAI_FAIL:
        return RP_EAI_FAIL;
    case EAI_FAMILY:
        return RP_EAI_FAMILY;
    case EAI_MEMORY:
        return -ENOMEM;
    case WSANO_DATA:
        return RP_EAI_NODATA;
    case EAI_NONAME:
        return RP_EAI_NONAME;
    case EAI_SERVICE:
        return RP_EAI_SERVICE;
    case EAI_SOCKTYPE:
        return RP_EAI_SOCKTYPE;
    default:
        rc = rp_error_from_windows((unsigned long)code);
        return rc == -EIO ? RP_EAI_FAIL : rc; /* a number that nobody has written down */
    }
}
