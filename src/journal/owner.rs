//! Records which process drives a run, for people: the lock itself decides.

use std::{fmt, fs, process};

/// Identifies a process. The id alone does not: processes in a container have the same ids as others, and ids are reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pid: u32,
    /// When it started, in ticks since the machine did (proc_pid_stat(5), `starttime`); `None` if the system does not
    /// report it.
    started: Option<u64>,
    /// The PID namespace of the id (namespaces(7)).
    namespace: Option<String>,
}

impl Owner {
    /// Returns this process.
    pub fn own() -> Self {
        let pid = process::id();
        Self {
            pid,
            started: started(pid),
            namespace: namespace(),
        }
    }

    /// Parses the output of [`Owner::to_line`]; a lock of an older version holds only the id.
    pub fn read(line: &str) -> Option<Self> {
        let mut parts = line.split_whitespace();
        Some(Self {
            pid: parts.next()?.parse().ok()?,
            started: parts.next().and_then(|text| text.parse().ok()),
            namespace: parts.next().map(str::to_owned),
        })
    }

    pub fn to_line(&self) -> String {
        let Self {
            pid,
            started,
            namespace,
        } = self;
        match (started, namespace) {
            (Some(started), Some(namespace)) => format!("{pid} {started} {namespace}"),
            _ => pid.to_string(),
        }
    }

    /// Says whether the process with that id, as seen from here, is this one.
    fn is_seen(&self) -> bool {
        match (&self.namespace, self.started) {
            (Some(of), Some(_)) => {
                namespace().as_ref() == Some(of) && started(self.pid) == self.started
            }
            _ => true,
        }
    }
}

/// Shows `process 17` if people could look at that process or stop it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_seen() {
            write!(f, "process {}", self.pid)
        } else {
            f.write_str("a process of another container or machine")
        }
    }
}

fn namespace() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_str()?.to_owned())
}

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may contain anything.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g9_an_id_names_one_process_of_one_namespace() {
        let own = Owner::own();
        assert_eq!(own.to_string(), format!("process {}", process::id()));
        assert_eq!(Owner::read(&own.to_line()), Some(own.clone()));
        // A lock of an older version, and a system without /proc.
        let old = Owner::read("17").expect("an id");
        assert_eq!(old.to_string(), "process 17");
        assert_eq!(Owner::read(""), None);
        if own.started.is_none() {
            return;
        }
        let other = "a process of another container or machine";
        let of_another = Owner {
            namespace: Some("pid:[1]".into()),
            ..own.clone()
        };
        assert_eq!(of_another.to_string(), other);
        let earlier = Owner {
            started: Some(1),
            ..own
        };
        assert_eq!(earlier.to_string(), other);
    }
}
