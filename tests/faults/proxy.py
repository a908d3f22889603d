"""A TCP proxy that treats its connections badly when told to."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


class BadProxy:
    """Forwards between its own port and the broker's. All methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop = loop
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._halve = False
        self.port = 0

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """Reset all connections."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def stall(self) -> None:
        """Forward nothing, without telling anyone, until ``flow``."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Forward everything again."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def halve(self) -> None:
        """Forward the first half of what comes next, up to the middle of a packet, and cut."""

        def begin() -> None:
            self._halve = True

        self._loop.call_soon_threadsafe(begin)

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(LOOPBACK, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, there_writer}
        there = asyncio.create_task(self._pump(reader, there_writer))
        back = asyncio.create_task(self._pump(there_reader, writer))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        for end in (writer, there_writer):
            end.transport.abort()
            self._open.discard(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while chunk := await reader.read(65536):
                await self._flows.wait()
                if self._halve:
                    self._halve = False
                    writer.write(chunk[: len(chunk) // 2])
                    await writer.drain()
                    return
                writer.write(chunk)
                await writer.drain()


@contextlib.contextmanager
def bad_proxy(target_port: int) -> Iterator[BadProxy]:
    """A proxy in its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    proxy = BadProxy(loop, target_port)
    server = asyncio.run_coroutine_threadsafe(proxy.listen(), loop).result(10)

    async def close() -> None:
        server.close()
        proxy._abort_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
