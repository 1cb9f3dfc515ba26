"""Shell commands in a row, each one's output the next one's input; and how each of them ended.

    python pipeline.py "cat /etc/passwd" "cut -d: -f7" sort "uniq -c"
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE

import ringport


async def pump(source, sink):
    """From one command to the next, as fast as that takes it. One that does not want more ends the one before."""
    try:
        while data := await source.stdout.read(65536):
            sink.stdin.write(data)
            await sink.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        if source.returncode is None:
            source.terminate()
    sink.stdin.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await sink.stdin.wait_closed()


async def main(commands):
    processes = []
    for number, command in enumerate(commands, 1):
        processes.append(await asyncio.create_subprocess_shell(
            command, stdin=PIPE if processes else None, stdout=PIPE if number < len(commands) else None))
    await asyncio.gather(*map(pump, processes, processes[1:]))
    for command, process in zip(commands, processes):
        print(f"{command}: {await process.wait()}", file=sys.stderr)


if __name__ == "__main__":
    ringport.run(main(sys.argv[1:]))
