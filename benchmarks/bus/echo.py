"""What loopback and an event loop cost: `python -m benchmarks.bus.echo` prints its port and sends back every byte."""

import asyncio
import socket
from typing import cast


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has come."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """One read."""
        self.transport.write(data)


async def main() -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(Echo, sock=listener)
    print(f"listens on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
