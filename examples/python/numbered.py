"""Number the lines of standard input, as `cat -n` does, whether that is a pipe or a terminal.

    ls | python numbered.py
"""

import asyncio
import contextlib
import sys

import ringport


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    number = 0
    async for line in reader:
        number += 1
        writer.write(b"%6d  %s" % (number, line))
        await writer.drain()
    writer.close()  # what is left is written first


with contextlib.suppress(ConnectionError):  # nobody reads any more, as in `numbered.py | head`
    ringport.run(main())
