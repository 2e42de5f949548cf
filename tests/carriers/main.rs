//! One suite over all that carries bytes: the same protocols, the same promises, whatever is below.
//!
//! | file | idea |
//! |---|---|
//! | `carrier` | what a carrier is: how it joins two ends, and what it can |
//! | `cases` | the promises, each a server, a client and what both were told |
//! | `talker` | the protocol of most ends |
//! | `sockets` | TCP, on the system and simulated; UNIX sockets |
//! | `tls` | TLS over TCP, and TLS in it; TLS over a UNIX socket, and behind `attach` |
//! | `processes` | the pipes of a child process, in which the server is |
//! | `stdio` | pipes of the system, as standard input and output |
//! | `memory` | the test kit's connections, joined; pipes in memory behind `attach` |
//! | `both_ways` | a pipe each way as one stream |
//!
//! A further carrier is a type with [`Carrier`](carrier::Carrier) and a line below. One whose server is another process has it made there by
//! [`cases::server`], from the name of its [`Side`](carrier::Side).

mod both_ways;
mod carrier;
mod cases;
mod memory;
mod processes;
mod sockets;
mod stdio;
mod talker;
mod tls;

/// Each case as a test over a carrier.
macro_rules! carrier {
    (@ $carrier:ty: $($case:ident),*) => {$(
        #[test]
        fn $case() {
            crate::cases::$case::<$carrier>();
        }
    )*};
    ($name:ident: $carrier:ty) => {
        mod $name {
            carrier!(@ $carrier: echo, lines, order, half_close, abort, refuse, lose_when_sent, paused_reader, write_limit, push_producer,
                pull_producer);
        }
    };
}

carrier!(over_tcp: crate::sockets::Tcp);
carrier!(over_simulated_tcp: crate::sockets::Simulated);
carrier!(over_unix: crate::sockets::Unix);
carrier!(in_memory: crate::memory::Memory);
carrier!(over_tls: crate::tls::Tls);
carrier!(over_simulated_tls: crate::tls::Simulated);
carrier!(over_tls_over_unix: crate::tls::OverUnix);
carrier!(over_tls_in_tls: crate::tls::TlsInTls);
carrier!(over_tls_attached: crate::tls::Attached);
carrier!(attached: crate::memory::Attached);
carrier!(over_pipes_of_a_process: crate::processes::Processes);
carrier!(over_standard_io: crate::stdio::Pipes);
