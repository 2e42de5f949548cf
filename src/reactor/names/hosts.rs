//! The hosts file: names that are answered without a thread.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    net::IpAddr,
    path::PathBuf,
    time::SystemTime,
};

/// A larger file, such as one that blocks half of the web, is left to the system's resolver: it would take too long to read.
const AT_MOST: u64 = 64 << 10;

pub(super) struct Hosts {
    path: PathBuf,
    /// What the file was when it was read.
    version: Option<(SystemTime, u64)>,
    names: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    pub(super) fn new(path: impl Into<PathBuf>) -> Hosts {
        Hosts { path: path.into(), version: None, names: HashMap::new() }
    }

    /// The addresses of a name in lower case, if the file has it, and all are of one family: which of two comes first is the system's to say, which knows
    /// what can be reached. It is read anew when it has changed.
    pub(super) fn find(&mut self, name: &str) -> Option<&[IpAddr]> {
        let version = fs::metadata(&self.path).ok().as_ref().and_then(version);
        if version != self.version {
            self.names = self.read(version);
            self.version = version;
        }
        let all = self.names.get(name)?;
        let mixed = all.iter().any(IpAddr::is_ipv4) && all.iter().any(IpAddr::is_ipv6);
        (!mixed).then_some(all.as_slice())
    }

    fn read(&self, version: Option<(SystemTime, u64)>) -> HashMap<String, Vec<IpAddr>> {
        let small = version.filter(|(_, length)| *length <= AT_MOST);
        let text = small.and_then(|_| fs::read_to_string(&self.path).ok());
        parse(&text.unwrap_or_default())
    }
}

fn version(file: &Metadata) -> Option<(SystemTime, u64)> {
    Some((file.modified().ok()?, file.len()))
}

fn parse(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            let all = names.entry(name.to_ascii_lowercase()).or_default();
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips<const N: usize>(texts: [&str; N]) -> Vec<IpAddr> {
        texts.map(|text| text.parse().expect("an address")).to_vec()
    }

    #[test]
    fn lines_names_and_what_is_none_of_both() {
        let names = parse(
            "127.0.0.1\tlocalhost  here # a remark ::2 nobody\n\
             # 10.0.0.1 nobody\n\n\
             ::1 LocalHost\n127.0.0.1 localhost\nnot-an-address nobody\n10.0.0.9",
        );
        assert_eq!(names["localhost"], ips(["127.0.0.1", "::1"]));
        assert_eq!(names["here"], ips(["127.0.0.1"]));
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn it_is_read_again_when_it_has_changed_and_left_alone_if_it_is_large() {
        let path = std::env::temp_dir().join(format!("twistor-hosts-{}", std::process::id()));
        let mut hosts = Hosts::new(&path);
        assert_eq!(hosts.find("a"), None, "there is no file");
        fs::write(&path, "10.0.0.1 a").expect("a file");
        assert_eq!(hosts.find("a"), Some(&ips(["10.0.0.1"])[..]));
        fs::write(&path, "10.0.0.1 a\n::7 a").expect("a file");
        assert_eq!(hosts.find("a"), None, "the system says which comes first");
        fs::write(&path, "10.0.0.11 a b").expect("a file");
        assert_eq!(hosts.find("b"), Some(&ips(["10.0.0.11"])[..]));
        fs::write(&path, format!("10.0.0.1 a\n{}", "#".repeat(AT_MOST as usize))).expect("a file");
        assert_eq!(hosts.find("a"), None);
        fs::remove_file(&path).expect("it is there");
        assert_eq!(hosts.find("a"), None);
    }
}
