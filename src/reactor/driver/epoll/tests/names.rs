//! Names.

use super::*;
use futures_lite::future::block_on;

fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    block_on(driver().resolve(host, 80))
}

#[test]
fn an_address_is_its_own_answer() {
    assert_eq!(resolve("192.0.2.1").unwrap(), ["192.0.2.1:80".parse().unwrap()]);
    assert_eq!(resolve("2001:db8::1").unwrap(), ["[2001:db8::1]:80".parse().unwrap()]);
}

#[test]
fn localhost_is_here() {
    let found = resolve("localhost").unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
}

#[test]
fn an_address_keeps_its_scope() {
    let found = resolve("fe80::1%lo").unwrap();
    assert_eq!(found, ["[fe80::1%1]:80".parse().unwrap()]);
}

#[test]
fn a_name_that_is_none_is_not_found_in_the_words_of_the_resolver() {
    for name in ["no-such-host.invalid", "no such host", "", "nul\0"] {
        let error = resolve(name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}: {error}");
        assert!(!error.to_string().is_empty());
    }
}
