"""Large bodies with a digest: the same bytes each time, of which no more than a block is in memory."""

import hashlib
import random

from loops import size

BLOCK = random.Random(1).randbytes(1 << 20)
BLOCKS = size(100, 16)
SIZE = BLOCKS * len(BLOCK)


def blocks():
    """The body, block by block. No two are alike."""
    for number in range(BLOCKS):
        yield number.to_bytes(8, "big") + BLOCK[8:]


async def blocks_later():
    """The same as an asynchronous generator."""
    for block in blocks():
        yield block


def digest(parts=None):
    """A digest of these parts, or of the body."""
    found = hashlib.sha256()
    for part in blocks() if parts is None else parts:
        found.update(part)
    return found.hexdigest()


async def digest_later(parts):
    """How many bytes an asynchronous generator brings, and their digest."""
    count, found = 0, hashlib.sha256()
    async for part in parts:
        count += len(part)
        found.update(part)
    return count, found.hexdigest()


DIGEST = digest()
