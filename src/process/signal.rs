//! Signals by their names.

use crate::protocol::{SignalId, Which};
use rustix::process::Signal;
use std::io;

impl SignalId<'_> {
    /// The number that the system has for it. A number is passed on as it is.
    pub(super) fn number(self) -> io::Result<i32> {
        match self.0 {
            Which::Number(number) => Ok(number),
            Which::Name(name) => {
                named(name.strip_prefix("SIG").unwrap_or(name)).map(Signal::as_raw).ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("there is no signal {name}; give its number"),
                    )
                })
            }
        }
    }
}

fn named(name: &str) -> Option<Signal> {
    Some(match name {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "ILL" => Signal::ILL,
        "TRAP" => Signal::TRAP,
        "ABRT" => Signal::ABORT,
        "BUS" => Signal::BUS,
        "FPE" => Signal::FPE,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "SEGV" => Signal::SEGV,
        "USR2" => Signal::USR2,
        "PIPE" => Signal::PIPE,
        "ALRM" => Signal::ALARM,
        "TERM" => Signal::TERM,
        "CHLD" => Signal::CHILD,
        "CONT" => Signal::CONT,
        "STOP" => Signal::STOP,
        "TSTP" => Signal::TSTP,
        "TTIN" => Signal::TTIN,
        "TTOU" => Signal::TTOU,
        "URG" => Signal::URG,
        "XCPU" => Signal::XCPU,
        "XFSZ" => Signal::XFSZ,
        "VTALRM" => Signal::VTALARM,
        "PROF" => Signal::PROF,
        "WINCH" => Signal::WINCH,
        "IO" => Signal::IO,
        "SYS" => Signal::SYS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_with_or_without_its_prefix_and_any_number() {
        for signal in [SignalId::from("KILL"), SignalId::from("SIGKILL"), SignalId::from(9)] {
            assert_eq!(signal.number().unwrap(), 9);
        }
        assert_eq!(SignalId::from(35).number().unwrap(), 35);
        let error = SignalId::from("kill").number().unwrap_err();
        assert!(error.to_string().contains("no signal kill"), "{error}");
    }
}
