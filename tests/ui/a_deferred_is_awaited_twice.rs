use twistor::{Result, defer::Deferred};

async fn sum(deferred: Deferred<u32>) -> Result<u32> {
    let once = deferred.await?;
    let twice = deferred.await?;
    Ok(once + twice)
}

fn main() {
    let _ = sum;
}
