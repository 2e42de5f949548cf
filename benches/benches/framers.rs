//! Lines through a `LineReceiver` and back, by how many bytes come at a time. No socket.

use divan::{Bencher, black_box, counter::ItemsCount};
use twistor::{
    Context,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    testing,
};

fn main() {
    divan::main();
}

struct Echo;

impl LineProtocol for Echo {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        cx.send_line(line);
    }
}

/// Lines in one go; each is one item.
const LINES: usize = 1024;

/// From byte by byte to all at once; 41 cuts every line elsewhere.
#[divan::bench(name = "lines of 40 bytes, in reads of", args = [1, 20, 40, 41, 1_460, 40_960])]
fn lines(bencher: Bencher<'_, '_>, read: usize) {
    let mut t = testing::connect(LineReceiver::new(Echo));
    let bytes = [[b'x'; 38].as_slice(), b"\r\n"].concat().repeat(LINES);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        black_box(&bytes).chunks(read).for_each(|piece| t.receive(piece));
        assert_eq!(t.sent().len(), bytes.len());
    });
}
