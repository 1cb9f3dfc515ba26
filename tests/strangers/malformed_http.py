#!/usr/bin/python3
"""malformed_http.py: what a server of HTTP must refuse. A corpus: each case is (name, bytes, what must come back).

What must come back is the status of the one response, or CLOSE: nothing but the end of the connection. A few requests are
right, and must be answered, once: what follows them is no request. `malformed_http.py DIR` writes each into a file of its
own, as seeds for the fuzzers.
"""

import pathlib
import sys

CLOSE = None
HOST = b"Host: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def refused():
    """400, each for one reason."""
    for name, line in {
        "empty": b"", "a space": b" ", "method alone": b"GET", "no path": b"GET HTTP/1.1", "no version": b"GET /",
        "no version, a space": b"GET / ", "space first": b" GET / HTTP/1.1", "tab first": b"\tGET / HTTP/1.1",
        "two spaces before the path": b"GET  / HTTP/1.1", "two spaces before the version": b"GET /  HTTP/1.1",
        "space last": b"GET / HTTP/1.1 ", "tab last": b"GET / HTTP/1.1\t", "tabs": b"GET\t/\tHTTP/1.1",
        "a fourth word": b"GET / HTTP/1.1 x", "space in the path": b"GET /a b HTTP/1.1",
        "HTTP/0.9": b"GET / HTTP/0.9", "HTTP/2.0": b"GET / HTTP/2.0", "HTTP/3": b"GET / HTTP/3",
        "HTTP/11": b"GET / HTTP/11", "HTTP/1": b"GET / HTTP/1", "HTTP/1.": b"GET / HTTP/1.",
        "HTTP/1.10": b"GET / HTTP/1.10", "HTTP/1.01": b"GET / HTTP/1.01", "HTTP/1.x": b"GET / HTTP/1.x",
        "HTTP/1.:": b"GET / HTTP/1.:", "HTTP/1./": b"GET / HTTP/1./", "HTTP/-1.1": b"GET / HTTP/-1.1",
        "HTTP/1,1": b"GET / HTTP/1,1", "http/1.1": b"GET / http/1.1", "HTTPS/1.1": b"GET / HTTPS/1.1",
        "RTSP": b"OPTIONS rtsp://x RTSP/1.0", "SIP": b"OPTIONS sip:x SIP/2.0", "ICY": b"GET / ICY",
        "version of 4,000 digits": b"GET / HTTP/1." + b"1" * 4000,
        "colon in the method": b"G:T / HTTP/1.1", "method in brackets": b"[GET] / HTTP/1.1",
        "NUL in the method": b"G\0T / HTTP/1.1", "UTF-8 in the method": "GÉT / HTTP/1.1".encode(),
        "quotes round the method": b'"GET" / HTTP/1.1', "slash in the method": b"GE/T / HTTP/1.1",
        "relative path": b"GET index.html HTTP/1.1", "query alone": b"GET ?q HTTP/1.1",
        "backslash": b"GET \\ HTTP/1.1", "another scheme": b"GET gopher://x/ HTTP/1.1",
        "NUL in the path": b"GET /a\0b HTTP/1.1", "NUL after the path": b"GET /\0 HTTP/1.1",
        "escape in the path": b"GET /\x1b[2J HTTP/1.1", "DEL in the path": b"GET /\x7f HTTP/1.1",
        "Latin 1 in the path": b"GET /\xe9 HTTP/1.1", "UTF-8 in the path": "GET /é HTTP/1.1".encode(),
        "overlong UTF-8": b"GET /\xc0\xae\xc0\xae/ HTTP/1.1", "tab in the path": b"GET /a\tb HTTP/1.1",
        "CR in the path": b"GET /a\rb HTTP/1.1", "LF in the line": b"GET /\nHTTP/1.1", "CR first": b"\rGET / HTTP/1.1",
        "CR twice": b"GET / HTTP/1.1\r", "CONNECT": b"CONNECT x:443 HTTP/1.1", "star, and more": b"OPTIONS *x HTTP/1.1",
        "byte-order mark": b"\xef\xbb\xbfGET / HTTP/1.1", "UTF-16": "GET / HTTP/1.1".encode("utf-16"),
        "all bytes": bytes(range(256)), "spaces": b" " * 500, "NULs": b"\0" * 500, "percent": b"%s%n%s%n %n %s",
    }.items():
        yield "request line: " + name, line + b"\r\n" + HOST + b"\r\n"
    for name, line in {
        "no colon": b"Header", "no name": b": value", "space before the colon": b"Header : value",
        "tab before the colon": b"Header\t: value", "space in the name": b"A header: value", "space first": b" Header: v",
        "folded": b"Header: a\r\n b", "folded by a tab": b"Header: a\r\n\tb", "a space alone": b" ",
        "NUL in the name": b"Hea\0der: value", "NUL in the value": b"Header: va\0lue", "NUL alone": b"\0",
        "UTF-8 in the name": "Höader: value".encode(), "brackets in the name": b"(Header): value",
        "slash in the name": b"A/B: value", "quotes round the name": b'"Header": value', "at sign": b"a@b: value",
        "CR in the value": b"Header: a\rb", "CR twice": b"Header: a\r", "LF in the value": b"Header: a\nSmuggled: b",
        "escape in the value": b"Header: \x1b[2J", "DEL in the value": b"Header: \x7f", "bell": b"Header: \x07",
        "DEL in the name": b"a\x7f: b", "backspace": b"Header: a\x08", "form feed": b"Header: a\x0c", "LF first": b"\nA: b",
        "a request": b"GET / HTTP/1.1", "markup": b"<html>", "a path": b"/etc/passwd",
    }.items():
        yield "field: " + name, b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n" + SMUGGLED
    for name, fields in {
        "none": b"", "twice": HOST + HOST, "two": HOST + b"Host: y\r\n", "with a space": b"Host: x y\r\n",
        "a list": b"Host: x,y\r\n", "with a path": b"Host: x/y\r\n", "with a user": b"Host: me@x\r\n",
        "with a query": b"Host: x?y\r\n", "with a fragment": b"Host: x#y\r\n", "with a backslash": b"Host: x\\y\r\n",
        "without a colon": b"Host x\r\n", "with a space before its colon": b"Host : x\r\n",
    }.items():
        yield "Host: " + name, b"GET / HTTP/1.1\r\n" + fields + b"\r\n"
    for name, value in {
        "empty": b"", "negative": b"-1", "with a sign": b"+5", "hexadecimal": b"0x5", "with a fraction": b"5.0",
        "with an exponent": b"1e3", "a list": b"5, 5", "two words": b"5 5", "a word": b"five", "with a unit": b"5b",
        "of other digits": "٥".encode(), "twice": b"5\r\nContent-Length: 5", "two": b"5\r\ncontent-length: 6",
        "and chunked": b"5\r\nTransfer-Encoding: chunked", "after chunked": b"5\r\nX: y\r\ntransfer-encoding: chunked",
    }.items():
        yield "Content-Length: " + name, (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + value +
                                          b"\r\n\r\nhello" + SMUGGLED)
    for name, value in {
        "empty": b"", "unknown": b"cow", "gzip": b"gzip", "identity": b"identity", "chunked, not last": b"chunked, gzip",
        "quoted": b'"chunked"', "twice": b"chunked\r\nTransfer-Encoding: chunked", "a list": b"chunked, chunked",
        "with a vertical tab": b"\x0bchunked", "with a NUL": b"chunked\0", "xchunked": b"xchunked", "chunkedx": b"chunkedx",
    }.items():
        yield "Transfer-Encoding: " + name, (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + value +
                                             b"\r\n\r\n0\r\n\r\n" + SMUGGLED)
    yield "Transfer-Encoding: in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED
    yield "HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    yield "a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    yield "mail", b"EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n"
    yield "Redis", b"*1\r\n$4\r\nPING\r\n\r\n"
    yield "empty lines before a request", b"\r\n\r\n" + SMUGGLED


def too_large():
    """431: nothing that has its end within 8 KiB."""
    yield "a path of 8 KiB", b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "a path of 100 KiB", b"GET /" + b"a" * 102400 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "a method of 10 KiB", b"G" * 10240 + b" / HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "a field of 10 KiB", b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 10240 + b"\r\n\r\n"
    yield "a name of 10 KiB", b"GET / HTTP/1.1\r\n" + HOST + b"a" * 10240 + b": a\r\n\r\n"
    yield "2,000 fields", b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 2000 + b"\r\n"
    yield "one byte too many", b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * (8193 - 32) + b"\r\n\r\n"
    yield "line breaks without an end", b"\n" * 10000
    yield "CRs without an end", b"\r" * 10000
    yield "NULs without an end", b"\0" * 100000
    yield "random bytes", bytes((i * i * 31 + i * 7 >> 3) % 251 for i in range(20000))


def cut_short():
    """CLOSE: a head that does not come to its end."""
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for length in (0, 1, 3, 4, 5, 13, 14, 15, 16, 24, len(whole) - 1):
        yield f"the first {length} bytes", whole[:length]
    yield "bare line feeds", whole.replace(b"\r\n", b"\n")
    yield "bare carriage returns", whole.replace(b"\r\n", b"\r")
    yield "line feeds first", whole.replace(b"\r\n", b"\n\r")
    yield "an end of LF LF", whole[:-4] + b"\n\n"
    yield "an end of CR LF LF", whole[:-4] + b"\r\n\n"
    yield "an end of LF CR LF", whole[:-4] + b"\n\r\n"
    yield "HTTP/0.9", b"GET /\r\n"
    yield "TLS", bytes.fromhex("160301003a0100003603030000") + bytes(53)
    yield "SSH", b"SSH-2.0-OpenSSH_9.2\r\n"
    yield "SOCKS", b"\5\1\0"
    yield "zero", b"\0"
    yield "8 KiB that do not end", b"GET /" + b"a" * 8187


def not_allowed():
    """405: right, but for a method that is not GET; what follows may be its body."""
    for method in (b"POST", b"PUT", b"DELETE", b"HEAD", b"TRACE", b"get", b"GETT", b"GE", b"!#$%&'*+-.^_`|~09", b"x" * 8000):
        yield method[:20].decode(), method + b" / HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED
    yield "OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "POST, chunked", (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n" +
                            SMUGGLED)
    yield "a huge Content-Length", (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n" +
                                    SMUGGLED)


def answered_once():
    """200: right, and the last of the connection."""
    yield "GET with a body", b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 35\r\n\r\n" + SMUGGLED
    yield "GET, chunked", b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + SMUGGLED
    yield "GET, and the end", b"GET / HTTP/1.1\r\n" + HOST + b"Connection:  foo ,\tCLOSE\r\n\r\n" + SMUGGLED
    yield "HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + SMUGGLED
    yield "8 KiB to the byte", b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * (8192 - 32) + b"\r\n\r\n"


STATUS = {refused: 400, too_large: 431, cut_short: CLOSE, not_allowed: 405, answered_once: 200}
CASES = [(name, data, status) for generator, status in STATUS.items() for name, data in generator()]


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for number, (_, data, _) in enumerate(CASES):
        (directory / str(number)).write_bytes(data)


if __name__ == "__main__":
    main()
