//! Rehearsal clusters in a separate process: `windlass kube serve`.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use crate::harness::{Ends, Ran, Test};

/// Clusters that are served until this is dropped.
pub struct Clusters {
    _server: Ends,
    names: Vec<String>,
    /// The path of the kubeconfig.
    pub kubeconfig: String,
}

impl Clusters {
    /// Runs kubectl with one of the clusters, without the developer's own configuration.
    pub fn kubectl(&self, test: &Test, context: &str, arguments: &[&str]) -> Ran {
        let output = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig, "--context", context])
            .args(arguments)
            .env("HOME", test.path("."))
            .output()
            .expect("kubectl is installed (apt-get install kubernetes-client)");
        Ran::from_output(output)
    }

    /// Serves clusters from a test's state folder, as the local target does.
    pub fn serve(test: &Test, names: &[String], options: &[&str]) -> Self {
        Self::serve_to(test, names, options, Stdio::null())
    }

    /// As [`Clusters::serve`], and writes a line for each request to a file of the test.
    pub fn serve_logged(test: &Test, names: &[String], options: &[&str], log: &str) -> Self {
        let log = File::create(test.path(log)).expect("a file");
        let options = [options, &["--log-level", "info"]].concat();
        Self::serve_to(test, names, &options, log.into())
    }

    fn serve_to(test: &Test, names: &[String], options: &[&str], log: Stdio) -> Self {
        let all = names.join(",");
        let serve = ["kube", "serve", "--clusters", &all];
        let mut command = test.command(&[&serve, options].concat());
        let (server, path) = Ends::listening(command.stderr(log));
        Self {
            _server: server,
            names: names.to_vec(),
            kubeconfig: test.path(&path).display().to_string(),
        }
    }

    /// Returns the lines for these clusters in a target's table.
    pub fn of_target(&self) -> String {
        let contexts = self.names.iter().map(|name| format!("{name} = \"{name}\""));
        let contexts: Vec<_> = contexts.collect();
        let contexts = contexts.join(", ");
        format!(
            "kubeconfig = {:?}\nkube = {{ {contexts} }}\n",
            self.kubeconfig
        )
    }
}
