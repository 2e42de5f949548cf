//! [`Delimiter`]: what ends the pieces of a stream.

use std::cell::{Cell, RefCell};

/// The bytes that end a piece. They may change between any two.
///
/// Mostly they are CR and LF: whoever is lent these is compiled for them.
#[derive(Debug)]
pub struct Delimiter {
    is_crlf: Cell<bool>,
    /// Where it is another.
    other: RefCell<Vec<u8>>,
}

const CRLF: &[u8] = b"\r\n";

impl Delimiter {
    /// CR LF.
    pub(crate) fn crlf() -> Delimiter {
        Delimiter { is_crlf: Cell::new(true), other: RefCell::default() }
    }

    pub(crate) fn set(&self, bytes: &[u8]) {
        let is_crlf = bytes == CRLF;
        self.is_crlf.set(is_crlf);
        self.other.replace(if is_crlf { Vec::new() } else { bytes.to_vec() });
    }

    #[inline]
    pub(crate) fn lend<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        if self.is_crlf.get() { f(CRLF) } else { self.lend_other(f) }
    }

    /// Out of the way, or the row of lines is no longer one piece of code.
    #[cold]
    fn lend_other<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.other.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_lent_whatever_its_length() {
        let delimiter = Delimiter::crlf();
        assert_eq!(delimiter.lend(<[u8]>::to_vec), b"\r\n");
        for bytes in [&b"\n"[..], b"ab", b"", b"END", b"\r\n", b"\n\r"] {
            delimiter.set(bytes);
            assert_eq!(delimiter.lend(<[u8]>::to_vec), bytes);
        }
    }
}
