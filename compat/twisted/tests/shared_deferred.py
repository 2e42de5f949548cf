# What real Twisted does with a Deferred that several hold: the same scenarios as in shared_deferred.rs, line by line.
import gc

from twisted.internet import defer, task
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure


class E(Exception):
    pass


def show(result):
    if isinstance(result, Failure):
        return type(result.value).__name__
    return repr(result)


def out(*words):
    print(*words)


def see(d, name):
    def stage(result):
        out(name, show(result))
        return result

    d.addBoth(stage)


def attempt(name, f):
    try:
        f()
        out(name, "done")
    except Exception as e:
        out(name, type(e).__name__)


def stages_in_place():
    d = Deferred()
    d.addCallback(lambda n: n + 1)
    see(d, "first")
    d.addCallback(lambda n: n * 10)
    see(d, "second")
    out("unfired", d.called)
    d.callback(1)
    out("fired", d.called)
    d.addCallback(lambda n: n + 5)
    see(d, "third")


def both_tracks():
    d = Deferred()
    d.addCallbacks(lambda n: out("never"), lambda f: 7)
    see(d, "recovered")

    def fails(n):
        raise E()

    d.addCallback(fails)
    see(d, "failed")
    d.addCallback(lambda n: out("never"))

    def trap(f):
        f.trap(E)
        return 8

    d.addErrback(trap)
    see(d, "trapped")
    d.addErrback(lambda f: out("never"))
    d.errback(E())


def a_stage_adds_another():
    d = Deferred()

    def adding(n):
        out("adding")
        see(d, "added")
        return n

    d.addCallback(adding)
    see(d, "before")
    d.callback(1)

    def again(n):
        see(d, "added again")
        out("still adding")
        return n

    d.addCallback(again)
    out("end")


def fired_twice():
    d = Deferred()
    attempt("callback", lambda: d.callback(1))
    attempt("again", lambda: d.callback(2))
    attempt("errback", lambda: d.errback(E()))
    see(d, "still")


def cancel_without_canceller():
    d = Deferred()
    see(d, "stage")
    d.addErrback(lambda f: 0)
    d.cancel()
    out("called", d.called)
    attempt("late", lambda: d.callback(1))
    attempt("later", lambda: d.callback(2))
    d.cancel()
    see(d, "still")


def cancel_with_canceller():
    def canceller(d):
        out("canceller")

    d = Deferred(canceller)
    see(d, "stage")
    d.addErrback(lambda f: 0)
    d.cancel()
    d.cancel()
    attempt("late", lambda: d.callback(1))


def canceller_that_fires():
    def canceller(d):
        out("canceller", d.called)
        d.callback(5)
        out("fired in it")

    d = Deferred(canceller)
    see(d, "stage")
    d.cancel()
    attempt("late", lambda: d.callback(1))


def cancel_of_a_fired_one():
    d = Deferred(lambda d: out("never"))
    d.callback(1)
    d.cancel()
    see(d, "still")


def a_chain_waits():
    outer, inner = Deferred(), Deferred()
    outer.addCallback(lambda n: inner)
    see(outer, "outer")
    outer.callback(1)
    see(inner, "inner, added while it waits")
    out("waits", outer.called)
    inner.callback(2)
    see(inner, "inner, later")


def a_chain_waits_for_a_fired_one():
    outer, inner = Deferred(), Deferred()
    inner.callback(2)
    outer.addCallback(lambda n: inner)
    see(outer, "outer")
    outer.callback(1)
    see(inner, "inner")


def a_chain_waits_for_a_failure():
    outer, inner = Deferred(), Deferred()
    outer.addCallback(lambda n: inner)
    see(outer, "outer")
    outer.addErrback(lambda f: 9)
    see(outer, "after")
    outer.callback(1)
    inner.errback(E())
    see(inner, "inner")


def two_chains_wait_for_one():
    first, second, inner = Deferred(), Deferred(), Deferred()
    for outer, name in [(first, "first"), (second, "second")]:
        outer.addCallback(lambda n: inner)
        see(outer, name)
        outer.callback(1)
    inner.callback(2)


def cancel_goes_through():
    outer, inner = Deferred(), Deferred(lambda d: out("canceller"))
    outer.addCallback(lambda n: inner)
    see(outer, "outer")
    outer.addErrback(lambda f: 0)
    outer.callback(1)
    outer.cancel()
    see(inner, "inner")


def cancel_goes_through_two():
    outer, middle = Deferred(), Deferred()

    def canceller(d):
        out("canceller")
        d.callback(4)

    inner = Deferred(canceller)
    middle.addCallback(lambda n: inner)
    outer.addCallback(lambda n: middle)
    see(outer, "outer")
    middle.callback(1)
    outer.callback(1)
    outer.cancel()


def pauses_count():
    d = Deferred()
    see(d, "stage")
    d.pause()
    d.pause()
    d.callback(1)
    out("called", d.called)
    d.unpause()
    out("once")
    d.unpause()
    d.pause()
    see(d, "held")
    out("twice")
    d.unpause()


def stages_of_an_unpause():
    d = Deferred()
    d.pause()

    def adding(n):
        out("adding")
        see(d, "added")
        return n + 1

    d.addCallback(adding)
    see(d, "before")
    d.callback(1)
    d.unpause()
    out("end")


def a_stage_pauses():
    d = Deferred()

    def pausing(n):
        d.pause()
        return n

    d.addCallback(pausing)
    see(d, "held")
    d.callback(1)
    out("paused")
    d.unpause()


def a_paused_one_holds_who_waits():
    outer, inner = Deferred(), Deferred()
    inner.pause()
    outer.addCallback(lambda n: inner)
    see(outer, "outer")
    outer.callback(1)
    inner.callback(2)
    out("held")
    inner.unpause()


def chained():
    a, b = Deferred(), Deferred()
    see(b, "b")
    a.chainDeferred(b)
    see(a, "a")
    a.callback(1)
    a, b = Deferred(), Deferred()
    see(b, "b")
    b.addErrback(lambda f: None)
    a.chainDeferred(b)
    see(a, "a")
    a.errback(E())
    a, b = Deferred(), Deferred()
    b.callback(0)
    a.chainDeferred(b)
    see(a, "a")
    a.addErrback(lambda f: None)
    a.callback(1)


def fires_inside_fires():
    a, b = Deferred(), Deferred()
    see(a, "a1")

    def fire(n):
        b.callback(2)
        return n

    a.addCallback(fire)
    see(a, "a2")
    see(b, "b1")
    b.addCallback(lambda n: see(a, "a3"))
    see(b, "b2")
    a.callback(1)


def timeouts():
    clock = task.Clock()
    d = Deferred()
    d.addTimeout(2, clock)
    see(d, "too late")
    d.addErrback(lambda f: 0)
    clock.advance(2)
    d = Deferred()
    d.addTimeout(2, clock)
    see(d, "in time")
    clock.advance(1)
    d.callback(1)
    out("calls", len(clock.getDelayedCalls()))
    d = Deferred(lambda d: d.callback(3))
    d.addTimeout(2, clock)
    see(d, "the canceller's")
    clock.advance(2)
    outer, inner = Deferred(), Deferred()
    outer.addCallback(lambda n: inner)
    outer.callback(0)
    outer.addTimeout(2, clock)
    see(outer, "waiting")
    outer.addErrback(lambda f: 0)
    clock.advance(2)
    see(inner, "inner")


def lists():
    a, b = Deferred(), Deferred()
    all = defer.DeferredList([a, b])
    all.addCallback(lambda results: out("all", [(ok, show(r)) for ok, r in results]))
    b.errback(E())
    see(b, "b")
    b.addErrback(lambda f: 0)
    a.callback(1)
    a, b = Deferred(), Deferred()
    all = defer.DeferredList([a, b], consumeErrors=True)
    all.addCallback(lambda results: out("all", [(ok, show(r)) for ok, r in results]))
    b.errback(E())
    see(b, "b")
    a.callback(1)
    a, b = Deferred(), Deferred()
    first = defer.DeferredList([a, b], fireOnOneCallback=True)
    first.addCallback(lambda result: out("first", *result))
    b.callback(2)
    a.callback(1)


def gathered():
    a, b = Deferred(), Deferred()
    all = defer.gatherResults([a, b])
    see(all, "all")
    b.callback(2)
    a.callback(1)
    a, b = Deferred(), Deferred(lambda d: out("canceller"))
    all = defer.gatherResults([a, b], consumeErrors=True)
    see(all, "all")
    all.addErrback(lambda f: out(f.value.index, show(f.value.subFailure)))
    all.cancel()
    a.addErrback(lambda f: 0)
    b.addErrback(lambda f: 0)


def async_code():
    d = Deferred()

    @defer.inlineCallbacks
    def code():
        out("begins")
        n = yield defer.succeed(1)
        out("goes on", n)
        n = yield d
        return n + 1

    result = code()
    see(result, "result")
    out("waits", result.called)
    d.cancel()
    see(d, "d")
    result.addErrback(lambda f: 0)


def maybe():
    see(defer.maybeDeferred(lambda: 1), "value")
    see(defer.maybeDeferred(lambda: defer.succeed(2)), "Deferred")

    def fails():
        raise E()

    d = defer.maybeDeferred(fails)
    see(d, "raised")
    d.addErrback(lambda f: 0)


def locks():
    lock = defer.DeferredLock()
    first, second, third = lock.acquire(), lock.acquire(), lock.acquire()
    second.addCallback(lambda lock: out("second has it") or lock)
    third.addErrback(lambda f: out("third", show(f)))
    third.cancel()
    out(first.called, second.called, lock.locked, len(lock.waiting))
    lock.release()
    out("handed over")
    second.addCallback(lambda lock: lock.release())
    out(lock.locked)
    attempt("once too often", lock.release)
    d = lock.run(lambda: 5)
    see(d, "run")
    out(lock.locked)


def queues():
    queue = defer.DeferredQueue(size=1, backlog=1)
    d = queue.get()
    see(d, "got")
    attempt("get", queue.get)
    queue.put(1)
    queue.put(2)
    attempt("put", lambda: queue.put(3))
    see(queue.get(), "got")


def unhandled():
    d = Deferred()
    d.errback(E())
    out("held")
    del d
    gc.collect()
    d = Deferred()
    d.errback(E())
    d.addErrback(lambda f: 0)
    del d
    gc.collect()
    d = Deferred()
    d.errback(E())
    also = d
    del d
    gc.collect()
    out("held by another")
    also.addErrback(lambda f: 0)
    del also
    gc.collect()


def report(event):
    # Twisted writes two for each: that there is one, and the failure.
    if event.get("log_failure") is not None and event.get("log_namespace") == "twisted.internet.defer":
        out("unhandled", show(event["log_failure"]))


SCENARIOS = [
    stages_in_place,
    both_tracks,
    a_stage_adds_another,
    fired_twice,
    cancel_without_canceller,
    cancel_with_canceller,
    canceller_that_fires,
    cancel_of_a_fired_one,
    a_chain_waits,
    a_chain_waits_for_a_fired_one,
    a_chain_waits_for_a_failure,
    two_chains_wait_for_one,
    cancel_goes_through,
    cancel_goes_through_two,
    pauses_count,
    stages_of_an_unpause,
    a_stage_pauses,
    a_paused_one_holds_who_waits,
    chained,
    fires_inside_fires,
    timeouts,
    lists,
    gathered,
    async_code,
    maybe,
    locks,
    queues,
    unhandled,
]

globalLogBeginner.beginLoggingTo([report], redirectStandardIO=False, discardBuffer=True)
for scenario in SCENARIOS:
    out("#", scenario.__name__)
    scenario()
    gc.collect()
