"""A real TCP relay that can be cut, so that a process loses one server and keeps another."""

import asyncio
import threading
from contextlib import suppress


class Relay:
    """Passes bytes from a port of 127.0.0.1 to a unix socket until it is cut.

    A cut is silent, as that of a cable: what is sent is taken and never arrives.
    """

    def __init__(self, socket):
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self.port = 0

    def cut(self):
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self):
        self._loop.call_soon_threadsafe(self._open.set)

    async def _serve(self, ready):
        self._open.set()
        server = await asyncio.start_server(self._pair, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    async def _pair(self, reader, writer):
        await self._open.wait()
        there, back = await asyncio.open_unix_connection(self._socket)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader, writer):
        with suppress(OSError):
            while some := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(some)
                await writer.drain()
        writer.close()

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serve(ready))

    def __enter__(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[ready], daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_):
        def end():
            for task in asyncio.all_tasks(self._loop):
                task.cancel()

        self._loop.call_soon_threadsafe(end)
        self._thread.join(10)
