use std::fmt;

/// A windlass command for a hint: one line that can be pasted into a shell.
///
/// The options that select the runs (`--state`, `--config`, `--on`) are left out: a hint may be read long after it was written, and
/// `report` adds those that its reader used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(String);

impl Command {
    pub fn new(name: &str) -> Self {
        Self(format!("windlass {name}"))
    }

    /// Adds an argument, quoted if a shell would interpret it.
    pub fn arg(mut self, argument: impl fmt::Display) -> Self {
        self.0.push(' ');
        self.0.push_str(&quoted(&argument.to_string()));
        self
    }

    /// Adds an option that takes no value.
    pub fn flag(mut self, name: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(name);
        self
    }

    /// Adds an option that takes a value.
    pub fn option(self, name: &str, value: impl fmt::Display) -> Self {
        self.flag(name).arg(value)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word in a shell can't contain a NUL, so NULs are left out.
fn quoted(word: &str) -> String {
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map_or_else(|_| String::new(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4_a_command_is_quoted_for_a_shell() {
        let command = Command::new("resume")
            .arg("20261125-011729138-bq5dnj")
            .option("--redo", "relay[it's $HOME]/sign");
        let shown = command.to_string();
        let words = shlex::split(&shown).expect("a shell reads it");
        assert_eq!(
            words[2..],
            [
                "20261125-011729138-bq5dnj",
                "--redo",
                "relay[it's $HOME]/sign"
            ]
        );
        assert!(shown.starts_with("windlass resume 20261125-011729138-bq5dnj --redo "));
        assert!(!shown.contains('\n'));
    }
}
