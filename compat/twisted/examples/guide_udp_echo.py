# Echo by datagrams, for whoever sends.
import sys

from twisted.internet import protocol, reactor


class Echo(protocol.DatagramProtocol):
    def datagramReceived(self, data, addr):
        self.transport.write(data, addr)


def main(number="9999"):
    port = reactor.listenUDP(int(number), Echo(), interface="127.0.0.1")
    print("listening on port", port.getHost().port, flush=True)
    reactor.run()


main(*sys.argv[1:])
