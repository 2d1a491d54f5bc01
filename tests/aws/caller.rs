//! A user's machine with no AWS configuration but the one that a test gives it.

use std::{fs, process::Command};

use aws_lc_rs::digest;

use crate::harness::{Ran, Test};

/// The least that a run can ask of AWS Private CA.
const LOOK: &str =
    "workflow: look\nsteps: { a: { run: '#{ n: pca::list_certificate_authorities().len() }' } }\n";

/// A folder that is also the user's home.
pub struct Caller {
    pub test: Test,
}

impl Caller {
    /// A user whose `~/.aws/config` holds this.
    pub fn new(config: &str) -> Self {
        let test = Test::with_shipped_workflows()
            .file("look.yaml", LOOK)
            .file(".aws/config", config);
        Self { test }
    }

    /// Caches a login as `aws sso login` does, under the name of a session or its start URL.
    pub fn log_in(&self, name: &str, token: &str) {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes());
        let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
        self.test
            .write(&format!(".aws/sso/cache/{hash}.json"), token);
    }

    /// The cached logins, one after the other.
    pub fn logins(&self) -> String {
        let folder = fs::read_dir(self.test.path(".aws/sso/cache")).expect("a cache");
        folder
            .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text"))
            .collect()
    }

    /// Looks at AWS Private CA with a target of these keys and these variables.
    pub fn look(&self, target: &str, variables: &[(&str, &str)]) -> Ran {
        self.windlass(&["run", "look.yaml", "--target", "t"], target, variables)
    }

    /// Runs a command on a target of these keys, with these variables.
    pub fn windlass(&self, arguments: &[&str], target: &str, variables: &[(&str, &str)]) -> Ran {
        let text = format!("[targets.t]\npca = {{ {target} }}\n");
        self.test.write("windlass.toml", &text);
        self.run(self.test.command(arguments), variables)
    }

    /// Runs a command as this user, with these variables and no other of AWS's.
    pub fn run(&self, mut command: Command, variables: &[(&str, &str)]) -> Ran {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().to_uppercase();
            if name.starts_with("AWS_") || name.ends_with("_PROXY") {
                command.env_remove(&name).env_remove(name.to_lowercase());
            }
        }
        command
            .env("HOME", self.test.path("."))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().copied());
        Ran::from_output(command.output().expect("the command starts"))
    }
}
