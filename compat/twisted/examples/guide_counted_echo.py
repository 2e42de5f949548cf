# Echo, for three at a time: the factory is where the connections count themselves.
import sys

from twisted.internet import protocol, reactor

LIMIT = 3


class Echo(protocol.Protocol):
    def connectionMade(self):
        self.factory.open += 1
        if self.factory.open > LIMIT:
            self.transport.write(b"full, come again\r\n")
            self.transport.loseConnection()
            return
        self.transport.write(b"%d of %d\r\n" % (self.factory.open, LIMIT))

    def dataReceived(self, data):
        self.transport.write(data)

    def connectionLost(self, reason):
        self.factory.open -= 1


class EchoFactory(protocol.Factory):
    protocol = Echo

    def __init__(self):
        self.open = 0


def main(number="8000"):
    port = reactor.listenTCP(int(number), EchoFactory(), interface="127.0.0.1")
    print("listening on port", port.getHost().port, flush=True)
    reactor.run()


main(*sys.argv[1:])
