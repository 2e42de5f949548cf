# A store of files: lines are commands, and after PUT come so many bytes as they are.
import sys

from twisted.internet import protocol, reactor
from twisted.protocols import basic


class Store(basic.LineReceiver):
    def lineReceived(self, line):
        words = line.split(b" ")
        if len(words) == 3 and words[0] == b"PUT" and words[2].isdigit():
            self.name, self.left, self.body = words[1], int(words[2]), b""
            self.setRawMode()
        elif len(words) == 2 and words[0] == b"GET":
            body = self.factory.files.get(words[1], b"")
            self.sendLine(b"%d bytes" % len(body))
            self.transport.write(body)
        elif words == [b"QUIT"]:
            self.sendLine(b"bye")
            self.transport.loseConnection()
        else:
            self.sendLine(b"what is " + line + b"?")

    def rawDataReceived(self, data):
        body, rest = data[: self.left], data[self.left :]
        self.body += body
        self.left -= len(body)
        if self.left == 0:
            self.factory.files[self.name] = self.body
            self.sendLine(b"stored " + self.name)
            self.setLineMode(rest)


class StoreFactory(protocol.Factory):
    protocol = Store

    def __init__(self):
        self.files = {}


def main(number="8009"):
    port = reactor.listenTCP(int(number), StoreFactory(), interface="127.0.0.1")
    print("listening on port", port.getHost().port, flush=True)
    reactor.run()


main(*sys.argv[1:])
