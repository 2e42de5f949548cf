//! What a connection sends: known bytes, of which no message in flight equals another.

/// The messages of one connection, sent over and over.
pub struct Pattern {
    bytes: Vec<u8>,
    /// After so many bytes they begin again.
    period: usize,
}

impl Pattern {
    /// Of so many bytes a message (17 at least), and so many of them in flight.
    ///
    /// One message more than the window makes the period, and then the window once more, so that whatever
    /// is in flight is one slice. Each message is a CRLF-ended line with the number of its connection in it.
    pub fn new(connection: usize, size: usize, window: usize) -> Pattern {
        let mut bytes = Vec::with_capacity((2 * window + 1) * size);
        for index in (0..=window).chain(0..window) {
            let end = bytes.len() + size - 2;
            bytes.extend(format!("{connection:06} {index:06} ").bytes());
            let letters = (0..26).map(|at| b'a' + ((at + index) % 26) as u8).cycle();
            bytes.extend(letters.take(end - bytes.len()));
            bytes.extend(b"\r\n");
        }
        Pattern { bytes, period: (window + 1) * size }
    }

    /// The `n` bytes from position `from` of the endless stream, `n` at most a window.
    pub fn part(&self, from: usize, n: usize) -> &[u8] {
        &self.bytes[from % self.period..][..n]
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
        assert_eq!(
            pattern.part(41, 120),
            [&messages[1][1..], messages[2], messages[3], &messages[0][..1]].concat()
        );
    }
}
