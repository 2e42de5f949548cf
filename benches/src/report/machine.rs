//! What the figures belong to: the day, the machine, the versions.

use std::fs;

use jiff::Timestamp;

use crate::server::Found;

/// Day, machine and versions.
pub struct Machine {
    date: String,
    cpu: String,
    cores: usize,
    kernel: String,
    /// How TCP paces what it sends; streams depend on it.
    congestion: String,
    rust: String,
    versions: Vec<(&'static str, String)>,
    rounds: usize,
}

impl Machine {
    /// This one, now, with the versions of these servers' packages.
    pub fn this(servers: &[Found], rounds: usize) -> Machine {
        let lock =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap_or_default();
        let mut versions: Vec<(&str, String)> = Vec::new();
        for (package, version) in servers.iter().filter_map(|server| server.package.clone()) {
            if versions.iter().all(|(known, _)| *known != package) {
                versions.push((package, version.unwrap_or_else(|| locked(&lock, package))));
            }
        }
        Machine {
            date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            cpu: cpu_model(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            congestion: fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default(),
            rust: rust_version(),
            versions,
            rounds,
        }
    }

    /// All of it.
    pub fn sentence(&self) -> String {
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "{}. {}. {}; medians of {} interleaved rounds.",
            self.line(),
            self.rust,
            versions.join(", "),
            self.rounds
        )
    }

    /// Day and machine.
    pub fn line(&self) -> String {
        let Machine { date, cpu, cores, kernel, congestion, .. } = self;
        format!("{date}, {cpu}, {cores} cores, Linux {kernel}, TCP {}", congestion.trim())
    }
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown processor", |(_, model)| model).trim().to_owned()
}

/// Of the compiler that made this program and, with the same Cargo, the servers.
fn rust_version() -> String {
    format!("Rust {}", env!("RUSTC_VERSION").split(' ').nth(1).unwrap_or("of unknown version"))
}

/// The version of a package in a Cargo.lock; more than one, if there is.
fn locked(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"\nversion = \"");
    let versions: Vec<&str> = lock.split(&name).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    if versions.is_empty() { "of unknown version".to_owned() } else { versions.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn a_version_is_read_from_the_lock() {
        let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.48.0\"\n\n[[package]]\nname = \"tokio-util\"\nversion = \"0.7.1\"\n";
        assert_eq!(locked(lock, "tokio"), "1.48.0");
        assert_eq!(locked(lock, "mio"), "of unknown version");
    }
}
