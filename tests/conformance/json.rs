//! The fields of an operation, and times as numbers.

use serde_json::{Value, json};
use std::time::Duration;

/// An operation, or a part of one.
pub(crate) type Op = Value;

/// What a program's author promised to be there: a panic fails the case.
pub(crate) trait Fields {
    fn int(&self, key: &str) -> i64;
    fn flag(&self, key: &str) -> bool;
    fn text(&self, key: &str) -> &str;
    /// The items of a list; none if there is no such field.
    fn items(&self, key: &str) -> &[Value];
    /// Null stands for nothing.
    fn size(&self, key: &str) -> Option<usize>;
    /// None if it is less than nothing.
    fn time(&self, key: &str) -> Option<Duration>;
    /// Written in hexadecimal.
    fn bytes(&self, key: &str) -> Vec<u8>;
}

impl Fields for Value {
    fn int(&self, key: &str) -> i64 {
        self[key].as_i64().unwrap_or_else(|| panic!("{key} is no integer in {self}"))
    }

    fn flag(&self, key: &str) -> bool {
        self[key].as_bool().unwrap_or_else(|| panic!("{key} is no flag in {self}"))
    }

    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {self}"))
    }

    fn items(&self, key: &str) -> &[Value] {
        self[key].as_array().map_or(&[], Vec::as_slice)
    }

    fn size(&self, key: &str) -> Option<usize> {
        (!self[key].is_null()).then(|| self.int(key).try_into().expect("a size is not negative"))
    }

    fn time(&self, key: &str) -> Option<Duration> {
        seconds(&self[key])
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        let digits = self.text(key).as_bytes().chunks(2);
        let pairs = digits.map(|pair| std::str::from_utf8(pair).expect("digits are text"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("bytes are hexadecimal")).collect()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn seconds(number: &Value) -> Option<Duration> {
    let seconds = number.as_f64().unwrap_or_else(|| panic!("{number} is no time"));
    Duration::try_from_secs_f64(seconds).ok()
}

pub(crate) fn time(time: Duration) -> Value {
    json!(time.as_secs_f64())
}
