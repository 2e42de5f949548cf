//! [`UnixAddress`]: the name of a UNIX socket; [`Credentials`]: whose process is at its other end.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of a UNIX socket: a file, a name in the kernel alone, or none.
///
/// Twisted's `UNIXAddress`, whose `name` is a path, bytes that begin with a NUL, or None. Two of them are equal if their names are: Twisted also compares the
/// files, which may come and go.
///
/// As text it is `unix:` and the path, `unix:@` and the abstract name, or `unix:` alone; a relative path that begins with an `@` is written `unix:./@`.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use twistor::{Address, address::UnixAddress};
/// let file = UnixAddress::from("/run/echo.sock");
/// assert_eq!(file.as_pathname(), Some(Path::new("/run/echo.sock")));
/// assert_eq!("unix:/run/echo.sock".parse(), Ok(Address::Unix(file)));
///
/// // A leading NUL says so as well, as in Twisted.
/// let name = UnixAddress::from_abstract_name("echo");
/// assert_eq!((&name, name.as_abstract_name()), (&UnixAddress::from("\0echo"), Some(&b"echo"[..])));
/// assert_eq!(name.to_string(), "unix:@echo");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[doc(alias = "UNIXAddress")]
pub struct UnixAddress {
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Name {
    /// None: a client that was not bound.
    Unnamed,
    /// In the file system.
    Path(Arc<Path>),
    /// In the kernel alone, without the NUL that marks it there.
    Abstract(Arc<[u8]>),
}

impl UnixAddress {
    /// A name in the kernel alone: no file, no mode, and free again when the socket is closed. Linux has it.
    pub fn from_abstract_name(name: impl AsRef<[u8]>) -> UnixAddress {
        UnixAddress { name: Name::Abstract(name.as_ref().into()) }
    }

    /// No name, as most clients have it.
    pub fn unnamed() -> UnixAddress {
        UnixAddress { name: Name::Unnamed }
    }

    /// The file, if it has one.
    pub fn as_pathname(&self) -> Option<&Path> {
        match &self.name {
            Name::Path(path) => Some(path),
            Name::Abstract(_) | Name::Unnamed => None,
        }
    }

    /// The name in the kernel alone, if it has one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.name {
            Name::Abstract(name) => Some(name),
            Name::Path(_) | Name::Unnamed => None,
        }
    }

    /// Whether it has no name.
    pub fn is_unnamed(&self) -> bool {
        self.name == Name::Unnamed
    }

    /// What follows the `unix:`; bytes that are no UTF-8 are lost.
    pub(crate) fn text(&self) -> String {
        match &self.name {
            Name::Unnamed => String::new(),
            Name::Path(path) if path.to_string_lossy().starts_with('@') => {
                format!("./{}", path.to_string_lossy())
            }
            Name::Path(path) => path.to_string_lossy().into_owned(),
            Name::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
        }
    }

    /// Of what follows the `unix:`.
    pub(super) fn of_text(text: &str) -> UnixAddress {
        match text.strip_prefix('@') {
            Some(name) => UnixAddress::from_abstract_name(name),
            None => UnixAddress::from(text),
        }
    }
}

/// A path; empty for none, and with a leading NUL an abstract name, as in Twisted.
impl From<&Path> for UnixAddress {
    fn from(path: &Path) -> UnixAddress {
        let bytes = path.as_os_str().as_encoded_bytes();
        match bytes.split_first() {
            None => UnixAddress::unnamed(),
            Some((0, name)) => UnixAddress::from_abstract_name(name),
            Some(_) => UnixAddress { name: Name::Path(path.into()) },
        }
    }
}

macro_rules! paths {
    ($($t:ty),*) => {$(
        impl From<$t> for UnixAddress {
            fn from(path: $t) -> UnixAddress {
                UnixAddress::from(AsRef::<Path>::as_ref(&path))
            }
        }
    )*};
}

paths!(&str, String, &String, PathBuf, &PathBuf, Cow<'_, Path>);

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.text())
    }
}

/// Whose process is at the other end of a UNIX socket; from [`peer_credentials`](crate::Transport::peer_credentials).
///
/// They are those it had when it connected or began to listen, whoever has the socket now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// Its number. None if it is not of this process's namespace. It may be another process's by now.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Credentials {
    pub(crate) fn new(pid: Option<i32>, uid: u32, gid: u32) -> Credentials {
        Credentials { pid, uid, gid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn a_name_comes_back_from_its_text() {
        for (name, text) in [
            (UnixAddress::from("/run/echo.sock"), "unix:/run/echo.sock"),
            (UnixAddress::from("echo:8007"), "unix:echo:8007"),
            (UnixAddress::from("@echo"), "unix:./@echo"),
            (UnixAddress::from_abstract_name("@echo"), "unix:@@echo"),
            (UnixAddress::from_abstract_name(""), "unix:@"),
            (UnixAddress::unnamed(), "unix:"),
        ] {
            assert_eq!(name.to_string(), text);
            let Ok(Address::Unix(back)) = text.parse() else { panic!("{text} is of a UNIX socket") };
            assert_eq!(back.to_string(), text);
            assert_eq!(back.as_abstract_name(), name.as_abstract_name(), "{text}");
        }
    }

    #[test]
    fn nothing_is_no_path_and_no_name() {
        let none = UnixAddress::from("");
        assert!(none.is_unnamed());
        assert_eq!((none.as_pathname(), none.as_abstract_name()), (None, None));
        assert_ne!(none, UnixAddress::from("\0"));
    }

    #[test]
    fn an_address_is_no_larger_for_it() {
        assert_eq!(size_of::<Address>(), size_of::<std::net::SocketAddr>());
    }
}
