//! What a connection sends: known bytes, of which no message in flight equals another.

/// Bytes of a block of a large message, and how large that is.
const BLOCK: usize = 64;
const LARGE: usize = 4096;

/// The bytes of one connection, sent over and over: blocks, each a CRLF-ended line with the number of its connection
/// in it.
pub struct Pattern {
    bytes: Vec<u8>,
    /// After so many bytes they begin again.
    period: usize,
    /// So many of them, from anywhere, are one slice.
    longest: usize,
}

impl Pattern {
    /// Of so many bytes a message (17 at least), and so many of them in flight.
    ///
    /// A small message is a block, and there is one more than the window. A large one has many, and the period is one
    /// block longer, so that each begins with another: little memory, for the client's caches are not what is measured.
    pub fn new(connection: usize, size: usize, window: usize) -> Pattern {
        let (block, blocks) = if size < LARGE { (size, window + 1) } else { (BLOCK, size / BLOCK + 1) };
        let period = block * blocks;
        let longest = if size < LARGE { window * size } else { size };
        let mut bytes = Vec::with_capacity(period + longest + block);
        for index in (0..blocks).cycle() {
            let end = bytes.len() + block - 2;
            bytes.extend(format!("{connection:06} {index:06} ").bytes());
            let letters = (0..26).map(|at| b'a' + ((at + index) % 26) as u8).cycle();
            bytes.extend(letters.take(end - bytes.len()));
            bytes.extend(b"\r\n");
            if bytes.len() >= period + longest {
                break;
            }
        }
        Pattern { bytes, period, longest }
    }

    /// The `n` bytes from position `from` of the endless stream; fewer, if they are more than a large message.
    pub fn part(&self, from: usize, n: usize) -> &[u8] {
        &self.bytes[from % self.period..][..n.min(self.longest)]
    }

    /// Whether these bytes stand at position `from`.
    pub fn has(&self, mut from: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let part = self.part(from, bytes.len());
            if !bytes.starts_with(part) {
                return false;
            }
            from += part.len();
            bytes = &bytes[part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn messages_in_flight_differ_and_the_stream_repeats() {
        let pattern = Pattern::new(7, 40, 3);
        let messages: Vec<&[u8]> = (0..5).map(|n| pattern.part(n * 40, 40)).collect();
        for (n, message) in messages[..4].iter().enumerate() {
            assert!(message.ends_with(b"\r\n") && message.starts_with(b"000007 "));
            assert!(!messages[..n].contains(message));
        }
        assert_eq!(messages[4], messages[0]);
        let across = [&messages[1][1..], messages[2], messages[3], &messages[0][..1]].concat();
        assert_eq!(pattern.part(41, 120), across);
    }

    #[test]
    fn large_messages_differ_too_and_are_compared_in_parts() {
        const SIZE: usize = 65_536;
        let pattern = Pattern::new(7, SIZE, 4);
        let stream: Vec<u8> = (0..8).flat_map(|n| pattern.part(n * SIZE, SIZE).to_vec()).collect();
        let messages: Vec<&[u8]> = stream.chunks(SIZE).collect();
        assert!((1..8).all(|n| !messages[..n].contains(&messages[n])));
        assert!(pattern.has(0, &stream) && pattern.has(100, &stream[100..300_000]));
        assert!(!pattern.has(1, &stream) && !pattern.has(SIZE, &stream));
        let mut wrong = stream.clone();
        wrong[400_000] ^= 1;
        assert!(pattern.has(0, &wrong[..400_000]) && !pattern.has(0, &wrong));
    }
}
