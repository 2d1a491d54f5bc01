"""A balancer, as a Kubernetes service is one: each new connection goes to the next address that accepts it."""

import asyncio
import itertools
import threading


class Balancer:
    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        self.addresses = addresses
        self.turns = itertools.count()
        self.port = 0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self.join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(self.turns)
        for i in range(len(self.addresses)):
            try:
                host, port = self.addresses[(first + i) % len(self.addresses)]
                there = await asyncio.open_connection(host, port)
                break
            except OSError:
                continue
        else:
            writer.transport.abort()
            return
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until one side ends; an end is passed on, and so is a broken connection."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
