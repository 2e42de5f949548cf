//! A protocol with endless calls of its own, on a reactor: others have their turn, and its events wait.

use std::{cell::RefCell, rc::Rc};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Failure, Protocol, Reactor, Result,
    error::ProtocolGone, factory, testing::on_both,
};

type Notes = Rc<RefCell<Vec<String>>>;

struct Spinning(Notes, u32);

fn spin(p: &mut Spinning, cx: &Context<Spinning>) {
    p.1 += 1;
    if p.1 < 1000 {
        cx.call(spin);
    } else {
        p.0.borrow_mut().push("spun".into());
    }
}

impl Protocol for Spinning {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.0.borrow_mut().push(data.escape_ascii().to_string());
        if self.1 == 0 {
            cx.write("go on");
            cx.call(spin);
            let notes = self.0.clone();
            Reactor::current().call_later(std::time::Duration::ZERO, move || {
                notes.borrow_mut().push("somebody else".into());
            });
        } else {
            cx.lose_connection();
        }
    }
}

struct Client(Reactor);

impl Protocol for Client {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write("spin");
    }
    fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
        cx.write("more");
    }
    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        self.0.stop().expect("it runs");
    }
}

on_both!(after_64_calls_in_a_row_others_have_their_turn_but_no_event_comes_before_the_rest);
fn after_64_calls_in_a_row_others_have_their_turn_but_no_event_comes_before_the_rest(
    reactor: &Reactor,
) -> Result<()> {
    let notes = Notes::default();
    let seen = notes.clone();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(move |_| Spinning(seen.clone(), 0)))?;
    let to = port.get_host()?.as_inet().expect("it is TCP");
    let client = reactor.clone();
    reactor.connect_tcp(to, factory(move |_| Client(client.clone())));
    reactor.run()?;
    assert_eq!(*notes.borrow(), ["spin", "somebody else", "spun", "more"]);
    Ok(())
}

struct Port(Notes, bool);

impl DatagramProtocol for Port {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        let calls = self.0.borrow().len();
        self.0.borrow_mut().push(format!("stopped after {calls}"));
    }
}

fn endless(p: &mut Port, cx: &DatagramContext<Port>) {
    let mut notes = p.0.borrow_mut();
    notes.push("call".into());
    if p.1 {
        cx.call(endless);
    }
}

on_both!(a_udp_port_is_stopped_also_while_its_calls_are_held);
fn a_udp_port_is_stopped_also_while_its_calls_are_held(reactor: &Reactor) -> Result<()> {
    for forever in [false, true] {
        let notes = Notes::default();
        let cx = reactor.listen_udp(("127.0.0.1", 0), Port(notes.clone(), forever))?;
        cx.call(|_, cx| (0..100).for_each(|_| drop(cx.call(endless))));
        assert_eq!(notes.borrow().len(), 64); // the rest comes with the reactor's turns
        cx.stop_listening().now().expect("it is stopped at once")?;
        let expected = if forever { "stopped after 164" } else { "stopped after 100" };
        assert!(notes.borrow().iter().any(|note| note == expected), "{:?}", notes.borrow().len());
        assert!(cx.call(|_, _| Ok(())).now().expect("idle").unwrap_err().check::<ProtocolGone>());
        assert_eq!(Rc::strong_count(&notes), 1); // the protocol is gone
    }
    Ok(())
}
