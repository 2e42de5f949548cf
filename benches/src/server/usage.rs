//! What the kernel says a process has used.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for a process to fall asleep before it is measured as it is.
const SETTLE: Duration = Duration::from_millis(20);

/// Time of all threads of a process since it began.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// On a processor, user and system together.
    pub ran: Duration,
    /// Ready to run, but waiting for a processor.
    pub waited: Duration,
}

impl Usage {
    /// What a process has used so far.
    pub fn of(process: u32) -> io::Result<Usage> {
        let process = format!("/proc/{process}");
        let mut total = Usage::default();
        for task in fs::read_dir(format!("{process}/task"))? {
            // Absent in some kernels, and a thread may end meanwhile; then the process's own counters are all there is.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            let mut fields = text.split(' ').map(|n| Duration::from_nanos(n.parse().unwrap_or(0)));
            total.ran += fields.next().unwrap_or_default();
            total.waited += fields.next().unwrap_or_default();
        }
        // Coarse, but counts threads that have ended.
        total.ran = total.ran.max(stat(process.as_ref())?.1);
        Ok(total)
    }

    /// What was used since an earlier look.
    pub fn since(self, before: Usage) -> Usage {
        Usage { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// Waits until all threads of a process sleep: only then are the kernel's nanosecond counters up to date.
pub fn wait_for_sleep(process: u32) -> io::Result<()> {
    let start = Instant::now();
    while start.elapsed() < SETTLE {
        let mut asleep = true;
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end meanwhile.
            let Ok((state, _)) = stat(&task?.path()) else { continue };
            asleep &= state == "S";
        }
        if asleep {
            break;
        }
    }
    Ok(())
}

/// Bytes of memory a process holds.
pub fn memory(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("smaps_rollup has no Rss"))
}

/// State and processor time from the `stat` file of a process or thread.
fn stat(of: &Path) -> io::Result<(String, Duration)> {
    let text = fs::read_to_string(of.join("stat"))?;
    // The name before the last parenthesis may hold anything.
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    if let [state, _, _, _, _, _, _, _, _, _, _, user, system, ..] = fields[..]
        && let (Ok(user), Ok(system)) = (user.parse::<u64>(), system.parse::<u64>())
    {
        let tick = rustix::param::clock_ticks_per_second();
        let ran = Duration::from_secs(user + system) / tick as u32;
        return Ok((state.to_owned(), ran));
    }
    Err(io::Error::other(format!("cannot read {}/stat", of.display())))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Usage, memory};

    #[test]
    fn this_process_has_run_and_holds_memory() {
        let own = std::process::id();
        assert!(memory(own).expect("it can be read") > 100_000);
        let before = Usage::of(own).expect("it can be read");
        // The kernel counts at each of its ticks.
        let ran =
            (0..100_000).any(|_| Usage::of(own).expect("it can be read").since(before).ran > Duration::ZERO);
        assert!(ran);
    }
}
