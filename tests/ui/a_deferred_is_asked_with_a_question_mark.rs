use twistor::{Result, defer::Deferred};

fn length(text: Deferred<String>) -> Result<usize> {
    Ok(text?.len())
}

fn main() {
    let _ = length;
}
