//! What the examples share: options of the form `--name VALUE`, and nothing else.

use std::{env, str::FromStr};
use twistor::{Failure, Result};

/// `--port PORT`, or this one. Port 0 has the system pick a free one.
pub(crate) fn port(default: u16) -> Result<u16> {
    Ok(option("--port")?.unwrap_or(default))
}

/// The value of an option, if it is given.
pub(crate) fn option<T: FromStr>(name: &str) -> Result<Option<T>> {
    let mut arguments = env::args().skip_while(|argument| argument != name).skip(1);
    let given = env::args().any(|argument| argument == name);
    match (given, arguments.next().map(|value| value.parse())) {
        (false, _) => Ok(None),
        (true, Some(Ok(value))) => Ok(Some(value)),
        (true, Some(Err(_))) => {
            Err(Failure::msg(format!("{name} does not take that value; see the top of the example's file")))
        }
        (true, None) => Err(Failure::msg(format!("{name} needs a value: {name} VALUE"))),
    }
}
