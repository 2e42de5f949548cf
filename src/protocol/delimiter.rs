//! [`Delimiter`]: what ends the pieces of a stream.

use std::cell::{Cell, RefCell};

/// The bytes that end a piece. They may change between any two.
///
/// Mostly there are two of them, CR and LF. These are copied, which is cheaper than a borrow, and whoever is lent them is compiled for two.
#[derive(Debug)]
pub struct Delimiter {
    two: Cell<Option<[u8; 2]>>,
    /// Where it is not two bytes.
    other: RefCell<Vec<u8>>,
}

impl Delimiter {
    pub(crate) fn new(two: [u8; 2]) -> Delimiter {
        Delimiter { two: Cell::new(Some(two)), other: RefCell::default() }
    }

    pub(crate) fn set(&self, bytes: &[u8]) {
        let two = bytes.try_into().ok();
        self.two.set(two);
        self.other.replace(if two.is_some() { Vec::new() } else { bytes.to_vec() });
    }

    #[inline]
    pub(crate) fn lend<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self.two.get() {
            Some(two) => f(&two),
            None => f(&self.other.borrow()),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.lend(<[u8]>::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_lent_whatever_its_length() {
        let delimiter = Delimiter::new(*b"\r\n");
        for bytes in [&b"\n"[..], b"ab", b"", b"END", b"\r\n"] {
            delimiter.set(bytes);
            assert_eq!(delimiter.lend(<[u8]>::to_vec), bytes);
            assert_eq!(delimiter.len(), bytes.len());
        }
    }
}
