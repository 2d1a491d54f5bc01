//! `packaging/kubernetes`: kubectl applies it to a rehearsal cluster, and the command of its pod runs on this machine.

use std::{net::SocketAddr, path::Path, process::Command};

use serde_json::Value as Json;

use super::served::Clusters;
use crate::{
    authority::lab::has,
    harness::{Ran, Test},
    serve::{door::certify, server::Served},
};

/// The name in `hosts` of windlass.toml and in the probes.
const NAME: &str = "windlass.example.com";

struct Lab {
    test: Test,
    clusters: Clusters,
}

impl Lab {
    fn kubectl(&self, arguments: &[&str]) -> Ran {
        let output = Command::new("kubectl")
            .args([
                "--kubeconfig",
                &self.clusters.kubeconfig,
                "--context",
                "east",
                "-n",
                "windlass",
            ])
            .args(arguments)
            .env("HOME", self.test.path("."))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .output();
        Ran::from_output(output.expect("kubectl starts"))
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let arguments = [&["get", "-o", "json"], arguments].concat();
        self.kubectl(&arguments).expect(0).json()
    }
}

#[test]
fn the_manifests_can_be_applied_and_their_command_answers_its_probes() {
    let how = "apt-get install kubernetes-client, or https://kubernetes.io/docs/tasks/tools/";
    if !has("kubectl", &["version", "--client"], how) {
        return;
    }
    let test = Test::new();
    certify(&test, "1");
    let clusters = Clusters::serve(&test, &["east".to_owned()], &[]);
    let lab = Lab { test, clusters };
    let apply = ["apply", "-k", "packaging/kubernetes"];
    let made = lab.kubectl(&apply).expect(0).stdout;
    for kind in [
        "namespace/windlass",
        "serviceaccount/windlass",
        "configmap/windlass-",
        "configmap/windlass-workflows-",
        "service/windlass",
        "statefulset.apps/windlass",
        "poddisruptionbudget.policy/windlass",
    ] {
        assert!(made.contains(kind), "{kind}: {made}");
    }
    let again = lab.kubectl(&apply).expect(0).stdout;
    // Debian's kubectl is older than policy/v1, and always sends fields that it does not know.
    let is_changed = |line: &&str| !line.ends_with("unchanged") && !line.contains("disruption");
    let changed: Vec<_> = again.lines().filter(is_changed).collect();
    assert!(changed.is_empty(), "{again}");
    let (cert, key) = (lab.test.path("cert.pem"), lab.test.path("key.pem"));
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let secret = [
        "create",
        "secret",
        "tls",
        "windlass-tls",
        "--cert",
        &cert,
        "--key",
        &key,
    ];
    lab.kubectl(&secret).expect(0);
    lab.kubectl(&[
        "rollout",
        "status",
        "statefulset/windlass",
        "--timeout",
        "60s",
    ])
    .expect(0);
    // A node can be drained.
    let budget = lab.json(&["poddisruptionbudget", "windlass"]);
    assert_eq!(budget["status"]["disruptionsAllowed"], 1, "{budget:#}");

    let pod = lab.json(&["pod", "windlass-0"]);
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    let of_pod = &spec["securityContext"];
    assert_eq!(of_pod["runAsNonRoot"], true);
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(spec["automountServiceAccountToken"], false);
    let of_container = &container["securityContext"];
    assert_eq!(of_container["readOnlyRootFilesystem"], true);
    assert_eq!(of_container["allowPrivilegeEscalation"], false);
    assert_eq!(of_container["capabilities"]["drop"][0], "ALL");
    run(&lab, container);
}

/// Runs a container's command with its files in a folder of the test, and sends the requests of its probes.
fn run(lab: &Lab, container: &Json) {
    let test = &lab.test;
    let maps = lab.json(&["configmaps"]);
    for (prefix, folder) in [
        ("windlass-workflows-", "etc/workflows"),
        ("windlass-", "etc"),
    ] {
        let mut items = maps["items"].as_array().expect("a list").iter();
        let is_it = |map: &&Json| {
            let name = map["metadata"]["name"].as_str().unwrap_or_default();
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| !rest.contains('-'))
        };
        let map = items.find(is_it).unwrap_or_else(|| panic!("no {prefix}"));
        for (name, text) in map["data"].as_object().expect("files") {
            test.write(&format!("{folder}/{name}"), text.as_str().expect("text"));
        }
    }
    test.write("etc/tls/tls.crt", &test.read("cert.pem"));
    test.write("etc/tls/tls.key", &test.read("key.pem"));
    test.write("var/.keep", "");
    let arguments: Vec<String> = container["args"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|argument| {
            let argument = argument.as_str().expect("text");
            argument
                .replace("/var/lib/windlass", "var")
                .replace("/etc/windlass", "etc")
                .replace(":7420", ":0")
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (_served, url) = Served::start_with(test, &arguments);
    let address = url.trim().strip_prefix("https://").expect("TLS");
    let (name, port) = address
        .trim_end_matches('/')
        .rsplit_once(':')
        .expect("a port");
    assert_eq!(name, NAME);
    let port: u16 = port.parse().expect("a number");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asks = &container[probe]["httpGet"];
        assert_eq!(
            (&asks["scheme"], &asks["port"]),
            (&"HTTPS".into(), &"https".into())
        );
        let header = &asks["httpHeaders"][0];
        assert_eq!(header["name"], "Host");
        let path = asks["path"].as_str().expect("a path");
        assert_eq!(
            ask(test, port, path, header["value"].as_str()),
            200,
            "{probe}"
        );
        assert_eq!(
            ask(test, port, path, None),
            403,
            "the probe needs its header"
        );
    }
}

/// Sends a request like a kubelet: to an address, with the Host header of the probe.
fn ask(test: &Test, port: u16, path: &str, host: Option<&str>) -> u16 {
    let authority = reqwest::Certificate::from_pem(test.read("cert.pem").as_bytes()).expect("PEM");
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve("windlass.test", SocketAddr::from(([127, 0, 0, 1], port)))
        .no_proxy()
        .build()
        .expect("a client");
    let mut request = client.get(format!("https://windlass.test:{port}{path}"));
    if let Some(host) = host {
        request = request.header("Host", host);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("threads");
    let answer = runtime.block_on(request.send());
    answer.expect("answered").status().as_u16()
}
