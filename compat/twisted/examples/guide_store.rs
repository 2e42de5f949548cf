//! A store of files: lines are commands, and after PUT come so many bytes as they are.

use std::{cell::RefCell, collections::HashMap, env, mem};
use twisted::internet::{
    address::Address,
    protocol::{self, Context},
    reactor,
};
use twisted::protocols::basic::{LineControl, LineProtocol, LineReceiver};

#[derive(Default)]
struct Store {
    name: String,
    left: usize,
    body: Vec<u8>,
}

impl LineProtocol for Store {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["PUT", name, length] if length.parse::<usize>().is_ok() => {
                (self.name, self.left) = (name.to_string(), length.parse().unwrap_or_default());
                cx.set_raw_mode();
            }
            ["GET", name] => {
                let files = cx.factory::<StoreFactory>().files.borrow();
                let body = files.get(name).map_or(&[][..], Vec::as_slice);
                cx.send_line(format!("{} bytes", body.len()));
                cx.write(body);
            }
            ["QUIT"] => {
                cx.send_line("bye");
                cx.lose_connection();
            }
            _ => cx.send_line(format!("what is {line}?")),
        }
    }

    fn raw_data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (body, rest) = data.split_at(self.left.min(data.len()));
        self.body.extend(body);
        self.left -= body.len();
        if self.left == 0 {
            let files = &cx.factory::<StoreFactory>().files;
            files.borrow_mut().insert(self.name.clone(), mem::take(&mut self.body));
            cx.send_line(format!("stored {}", self.name));
            cx.set_line_mode(rest);
        }
    }
}

#[derive(Default)]
struct StoreFactory {
    files: RefCell<HashMap<String, Vec<u8>>>,
}

impl protocol::Factory for StoreFactory {
    type Protocol = LineReceiver<Store>;

    fn build_protocol(&self, _addr: &Address) -> Option<LineReceiver<Store>> {
        Some(LineReceiver::new(Store::default()))
    }
}

fn main() -> twistor::Result<()> {
    let number: u16 = env::args().nth(1).as_deref().unwrap_or("8009").parse()?;
    let port = reactor::listen_tcp(("127.0.0.1", number), StoreFactory::default())?;
    println!("listening on port {}", port.get_host()?.port().unwrap_or_default());
    reactor::run()
}
