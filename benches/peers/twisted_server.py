"""Peer: Twisted, on its epoll reactor. Started as `python twisted_server.py echo|line|udp PORT`."""

import sys

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import protocol, reactor
from twisted.protocols.basic import LineReceiver


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Lines(LineReceiver):
    def lineReceived(self, line):
        self.sendLine(line)


class Datagrams(protocol.DatagramProtocol):
    def datagramReceived(self, datagram, addr):
        self.transport.write(datagram, addr)


def main(mode, port):
    if mode == "udp":
        listening = reactor.listenUDP(port, Datagrams(), interface="127.0.0.1")
    else:
        factory = protocol.Factory.forProtocol({"echo": Echo, "line": Lines}[mode])
        factory.noisy = False
        listening = reactor.listenTCP(port, factory, backlog=4096, interface="127.0.0.1")
    host = listening.getHost()
    print(f"listening {host.host}:{host.port}", flush=True)
    reactor.run()


main(sys.argv[1], int(sys.argv[2]))
