//! Which modules speak which case.

use crate::{
    case::Case, clock, combinators, core, json::Op, lines, looping, reconnecting, sync, world::World,
};
use std::rc::Rc;

/// Does an operation; false if it is not one of this module's.
pub(crate) type Exec = fn(&Rc<World>, &Op) -> bool;

/// The modules that speak a case, or the name of the part that is not built yet.
pub(crate) fn of(case: &Case) -> Result<&'static [Exec], String> {
    match case.suite.as_str() {
        "deferred" => Ok(&[core::exec]),
        "combinators" => Ok(&[core::exec, combinators::exec]),
        "sync" => Ok(&[core::exec, sync::exec]),
        "clock" => Ok(&[core::exec, clock::exec]),
        "looping" => Ok(&[core::exec, looping::exec]),
        "endpoint_strings" => Err(case.suite.clone()),
        "receivers" => receivers(case.program[0]["kind"].as_str()),
        "timeouts" => timeouts(case.program[0]["op"].as_str()),
        unknown => panic!("no suite is called {unknown}"),
    }
}

fn receivers(kind: Option<&str>) -> Result<&'static [Exec], String> {
    match kind {
        Some("line" | "line_only") => Ok(&[lines::exec]),
        Some(kind @ ("int8" | "int16" | "int32" | "netstring")) => Err(format!("receivers of kind {kind}")),
        unknown => panic!("no receiver is of kind {unknown:?}"),
    }
}

fn timeouts(first: Option<&str>) -> Result<&'static [Exec], String> {
    match first {
        Some("rc_make") => Ok(&[core::exec, reconnecting::exec]),
        Some("tm_make") => Err("timeouts of TimeoutMixin".into()),
        Some("tp_make") => Err("timeouts of TimeoutProtocol".into()),
        Some("cs_make") => Err("timeouts of ClientService".into()),
        unknown => panic!("no part of timeouts begins with {unknown:?}"),
    }
}
