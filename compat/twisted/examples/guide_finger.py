# Finger: a chain of callbacks that waits for two look-ups, one after the other.
import sys

from twisted.internet import defer, protocol, reactor
from twisted.protocols import basic
from twisted.python import log

STATUS = {b"moshez": b"Happy and well", b"ada": b"At the mill", b"boole": b"Out"}
PLAN = {b"moshez": b"none", b"ada": b"to weave numbers"}


class NoSuchUser(Exception):
    pass


class Finger(basic.LineReceiver):
    def lineReceived(self, line):
        d = self.factory.look_up(STATUS, line)
        d.addCallback(self.with_plan, line)
        d.addErrback(self.unknown)
        d.addCallback(self.answer)
        d.addErrback(log.err)

    def with_plan(self, status, user):
        d = self.factory.look_up(PLAN, user)
        d.addCallback(lambda plan: status + b"; plan: " + plan)
        return d

    def unknown(self, failure):
        failure.trap(NoSuchUser)
        return b"nothing is known of " + failure.value.args[0]

    def answer(self, message):
        self.sendLine(message)
        self.transport.loseConnection()


class FingerFactory(protocol.ServerFactory):
    protocol = Finger

    def look_up(self, table, user):
        d = defer.Deferred()
        reactor.callLater(0.001, self.found, d, table, user)
        return d

    def found(self, d, table, user):
        if user in table:
            d.callback(table[user])
        else:
            d.errback(NoSuchUser(user))


def main(number="1079"):
    port = reactor.listenTCP(int(number), FingerFactory(), interface="127.0.0.1")
    print("listening on port", port.getHost().port, flush=True)
    reactor.run()


main(*sys.argv[1:])
