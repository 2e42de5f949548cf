"""Peer: asyncio's protocols on uvloop. Started as `python uvloop_server.py echo|line|udp PORT`."""

import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Lines(asyncio.Protocol):
    """Every line is taken out and goes back as a line, in one write for each read."""

    def connection_made(self, transport):
        self.transport = transport
        self.unfinished = b""

    def data_received(self, data):
        *lines, self.unfinished = (self.unfinished + data).split(b"\r\n")
        if lines:
            self.transport.write(b"".join([line + b"\r\n" for line in lines]))


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def main(mode, port):
    loop = asyncio.get_running_loop()
    if mode == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port))
        host, port = transport.get_extra_info("sockname")
    else:
        protocol = {"echo": Echo, "line": Lines}[mode]
        server = await loop.create_server(protocol, "127.0.0.1", port, backlog=4096)
        host, port = server.sockets[0].getsockname()
    print(f"listening {host}:{port}", flush=True)
    await asyncio.Event().wait()


uvloop.run(main(sys.argv[1], int(sys.argv[2])))
