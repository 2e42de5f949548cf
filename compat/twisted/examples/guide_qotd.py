# A quote of the day, for whoever connects.
import sys

from twisted.internet import protocol, reactor


class QOTD(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"Whoever asks is a fool for five minutes.\r\n")
        self.transport.loseConnection()


class QOTDFactory(protocol.Factory):
    def buildProtocol(self, addr):
        return QOTD()


def main(number="8007"):
    port = reactor.listenTCP(int(number), QOTDFactory(), interface="127.0.0.1")
    print("listening on port", port.getHost().port, flush=True)
    reactor.run()


main(*sys.argv[1:])
