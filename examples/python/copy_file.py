"""copy_file.py FROM TO: copies a file, and says how far it is. Ctrl-C ends it, and leaves no half of a file."""

import asyncio
import os
import sys

import ringport

PIECE = 4 << 20


def copy_piece(source, target):
    """Runs on a thread of the executor: a disk may take its time."""
    return target.write(source.read(PIECE))


async def copy(source, target):
    size = os.fstat(source.fileno()).st_size
    copied = 0
    while piece := await asyncio.to_thread(copy_piece, source, target):
        copied += piece
        print(f"\r{copied * 100 // max(size, copied):3} % of {size} bytes", end="", flush=True)
    print(f"\ncopied {copied} bytes")


async def main(source_path, target_path):
    with open(source_path, "rb") as source, open(target_path, "xb") as target:
        try:
            await copy(source, target)
        except BaseException:  # a cancellation, too
            os.unlink(target_path)
            raise


try:
    ringport.run(main(*sys.argv[1:3]))
except (OSError, TypeError) as error:
    sys.exit(f"copy_file.py FROM TO: {error}")
except KeyboardInterrupt:
    sys.exit(130)
