#!/usr/bin/python3
"""malformed_resp.py: what clients of Redis' protocol may send, right and wrong.

`malformed_resp.py DIR` writes each into a file of its own, as seeds for the fuzzers.
"""

import pathlib
import re
import sys

# What Redis and resp_server answer alike.
CONVERSATION = [
    "PING", "PING hello", "ECHO hello", "SET a 1", "GET a", "GET none", "SET a 2 NX", "SET a 3 XX", "SET b 1 XX",
    "GET a", "SET a 1 nonsense", "INCR a", "INCR n", "INCRBY n 40", "DECR n", "GET n", "INCRBY n x",
    "INCRBY n 9223372036854775807", "SET word x", "INCR word", "SET least -9223372036854775808", "DECR least",
    "INCR least", "SET space ' 1'", "INCR space", "SET zeros 007", "INCR zeros", "SET zeros -0", "INCR zeros",
    "SET zeros 0", "INCRBY zeros 01", "INCRBY zeros -0", "DECR zeros", "SELECT 00", "LRANGE list 00 -01", "INCR zeros",
    "RPUSH list a b c", "LPUSH list d e", "LLEN list", "LRANGE list 0 -1", "LRANGE list -2 -1", "LRANGE list 1 1",
    "LRANGE list 3 1", "LRANGE list 0 100", "LRANGE list -100 1", "LRANGE list 0 -100", "LRANGE list x 1",
    "LRANGE none 0 -1", "LPOP list", "RPOP list", "LPOP none", "GET list", "INCR list", "SADD list x", "HSET list a b",
    "LPUSH a x", "LRANGE a 0 1", "DEL list list none a", "EXISTS list n n", "SADD set x x", "SADD set x",
    "SISMEMBER set x", "SISMEMBER set y", "SCARD set", "SMEMBERS set", "SPOP set", "SPOP set", "EXISTS set",
    "HSET hash a 1", "HSET hash a 2", "HGET hash a", "HGET hash b", "HGETALL hash", "HSET hash a", "HGET none a",
    "TYPE hash", "TYPE n", "TYPE none", "MSET k1 a k2 b", "MSET k1", "MSET k1 a k2", "MGET k1 k2 none hash", "GET",
    "GET a b", "SELECT 15", "GET k1", "SELECT 16", "SELECT -1", "SELECT x", "SELECT 0", "GET k1", "DBSIZE", "FLUSHALL",
    "DBSIZE", "QUIT", "PING",
]

# What ends the connection, and a part of the error that comes before that.
MALFORMED = {
    b"*x\r\n": b"invalid multibulk length", b"*1048577\r\n": b"invalid multibulk length",
    b"*\r\n": b"invalid multibulk length", b"*99999999999999999999\r\n": b"invalid multibulk length",
    b"*1" + b"0" * 100: b"invalid multibulk length",
    b"*1 \r\n": b"invalid multibulk length", b"*+1\r\n": b"invalid multibulk length",
    b"*007\r\n": b"invalid multibulk length", b"*-0\r\n": b"invalid multibulk length",
    b"*00\r\n": b"invalid multibulk length",
    b"*1\r\n$04\r\nPING\r\n": b"invalid bulk length", b"*1\r\n$-0\r\n\r\n": b"invalid bulk length",
    b"*1\n$4\nPING\n": b"invalid multibulk length",
    b"*1\r\nPING\r\n": b"expected '$'", b"*1\r\n*1\r\n": b"expected '$'",
    b"*2\r\n$4\r\nPING\r\n:1\r\n": b"expected '$'",
    b"*1\r\n$x\r\n": b"invalid bulk length", b"*1\r\n$-1\r\n": b"invalid bulk length",
    b"*1\r\n$\r\n": b"invalid bulk length",
    b"*1\r\n$67108865\r\n": b"invalid bulk length", b"*1\r\n$9223372036854775807\r\n": b"invalid bulk length",
    b"*1\r\n$18446744073709551615\r\n": b"invalid bulk length",
    b"*1\r\n$-9223372036854775808\r\n": b"invalid bulk length",
    b"*1\r\n$4\r\nPINGS\r\n": b"longer than its length", b"*1\r\n$4\r\nPING\n\n": b"longer than its length",
    b"SET a \"b\r\n": b"unbalanced quotes", b"SET a 'b\r\n": b"unbalanced quotes",
    b"SET a \"b\"c\r\n": b"unbalanced quotes",
    b"A" * 70000: b"too big inline request", b"A" * 70000 + b"\r\n": b"too big inline request",
}

# What is no request, or not yet, or one of a command that there is not; and all that is answered.
HARMLESS = {
    b"": b"", b"\r\n": b"", b"\n \r\n\t\n": b"", b"*0\r\n": b"", b"*-1\r\n": b"", b"PING\n": b"+PONG\r\n",
    b"*1\r\n": b"",
    b"*": b"",
    b"*1\r\n$4\r\nPIN": b"", b"*1\r\n$0\r\n\r\n": b"-ERR unknown command ''\r\n",
    b"\0\1\xff\r\n": b"-ERR unknown command '???'\r\n",
    b"\"\"\r\n": b"-ERR unknown command ''\r\n", b"NONE%s%n\r\n": b"-ERR unknown command 'NONE%s%n'\r\n",
    b"GET / HTTP/1.1\r\n": b"-ERR wrong number of arguments for 'get' command\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$67000000\r\nabc": b"",
}


def words(line):
    """A line's words; one in single quotes may have spaces."""
    return [word.strip("'") for word in re.findall(r"[^' ]+|'.*'", line)]


def request(*words):
    """A request as clients send it."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def main(directory):
    conversation = [request(*words(line)) for line in CONVERSATION]
    seeds = [b"".join(conversation[i:i + 8]) for i in range(0, len(conversation), 8)]
    seeds += ["".join(f"{line}\r\n" for line in CONVERSATION).encode(), *MALFORMED, *HARMLESS]
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        pathlib.Path(directory, f"resp-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(sys.argv[1])
