//! `kubectl port-forward`, both ways that it has, with the tools that people use through it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::pods::{HTTP, ISTIOD, Lab};
use crate::harness::{Ends, Ran};

/// kubectl forwarding ports of a pod, until this is dropped.
struct Forwarding {
    child: Ends,
    ports: Vec<u16>,
    /// What it prints to stderr.
    said: mpsc::Receiver<String>,
}

impl Lab {
    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(["--kubeconfig", &self.kubeconfig, "-n", "istio-system"])
            .args(arguments)
            .env("HOME", self.test.path("."))
            .current_dir(self.test.path("."));
        command
    }

    fn pod(&self) -> String {
        let names = ["get", "pods", "-l", "app=istiod", "-o", "name"];
        let ran = Ran::from_output(self.kubectl(&names).output().unwrap()).expect(0);
        ran.stdout.lines().next().unwrap().to_owned()
    }
}

impl Forwarding {
    fn start(lab: &Lab, websockets: bool, ports: &[u16]) -> Self {
        let mut command = lab.kubectl(&["port-forward", "-v=7", "--address=127.0.0.1", &lab.pod()]);
        let mut child = command
            .args(ports.iter().map(|port| format!("0:{port}")))
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, said) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let local = |line: String| {
            let (_, rest) = line.split_once("127.0.0.1:")?;
            rest.split(' ').next()?.parse().ok()
        };
        let mut lines = stdout.lines().map_while(Result::ok);
        let found: Vec<u16> = lines.by_ref().filter_map(local).take(ports.len()).collect();
        // It says more, and would end if nobody read it.
        std::thread::spawn(move || lines.count());
        assert_eq!(
            found.len(),
            ports.len(),
            "{:?}",
            said.iter().collect::<Vec<_>>()
        );
        Self {
            child: Ends(child),
            ports: found,
            said,
        }
    }

    /// Waits for a line of stderr with this text.
    fn says(&self, text: &str) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("kubectl does not say {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn get(&self, index: usize, path: &str) -> String {
        get(self.ports[index], path)
    }
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn kubectl_forwards_by_websocket_and_by_spdy() {
    let lab = Lab::new();
    for websockets in [true, false] {
        let forwarding = Forwarding::start(&lab, websockets, &[ISTIOD, HTTP, 1]);
        // The tunnel is a GET, SPDY by itself a POST.
        let verb = if websockets { "GET" } else { "POST" };
        let asked = forwarding.says("/portforward");
        assert!(asked.contains(verb), "{asked}");
        let address = format!("127.0.0.1:{}", forwarding.ports[0]);
        let shown = lab
            .test
            .openssl(&[
                "s_client",
                "-connect",
                &address,
                "-servername",
                "istiod.istio-system.svc",
                "-showcerts",
            ])
            .expect_one_of(&[0, 1]);
        for block in lab.chain.split_inclusive("-----END CERTIFICATE-----\n") {
            assert!(shown.stdout.contains(block.trim()), "{}", shown.stdout);
        }
        // Several connections over one forward, small and large, at once and one after another.
        let port = forwarding.ports[1];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let answer = get(port, "/large");
                    assert!(answer.ends_with(&"0123456789abcdef".repeat(20_000)));
                });
            }
        });
        assert!(forwarding.get(1, "/small").ends_with(r#"{"up": true}"#));
        // Where nothing listens, kubectl says what the kubelet said.
        assert_eq!(forwarding.get(2, "/"), "");
        forwarding.says("connect: connection refused");
    }
}

/// A pod's forward ends with the pod, as the kubelet's does.
#[test]
fn a_forward_ends_with_its_pod() {
    let lab = Lab::new();
    let mut forwarding = Forwarding::start(&lab, true, &[HTTP]);
    assert!(forwarding.get(0, "/small").ends_with(r#"{"up": true}"#));
    let restart = ["rollout", "restart", "deployment/istiod"];
    Ran::from_output(lab.kubectl(&restart).output().unwrap()).expect(0);
    let wait = ["rollout", "status", "deployment/istiod", "--timeout=60s"];
    Ran::from_output(lab.kubectl(&wait).output().unwrap()).expect(0);
    forwarding.says("lost connection to pod");
    assert!(!forwarding.child.0.wait().unwrap().success());
}

/// Since 1.35 a WebSocket needs the right to create, and SPDY by POST always did.
#[test]
fn a_forward_needs_both_verbs() {
    let lab = Lab::new();
    let pod = lab.pod();
    let as_account = "--as=system:serviceaccount:istio-system:looker";
    let create = |verbs: &str| {
        let verbs = format!("--verb={verbs}");
        let role = [
            "create",
            "role",
            "looker",
            &verbs,
            "--resource=pods,pods/portforward",
        ];
        let binding = [
            "create",
            "rolebinding",
            "looker",
            "--role=looker",
            "--serviceaccount=istio-system:looker",
        ];
        for arguments in [&role[..], &binding] {
            Ran::from_output(lab.kubectl(arguments).output().unwrap()).expect(0);
        }
    };
    create("get");
    for websockets in ["true", "false"] {
        let mut command = lab.kubectl(&[as_account, "port-forward", &pod, "0:15000"]);
        command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets);
        let ran = Ran::from_output(command.output().unwrap()).expect(1);
        ran.says("cannot create resource \"pods/portforward\"");
    }
    for kind in ["rolebinding", "role"] {
        Ran::from_output(lab.kubectl(&["delete", kind, "looker"]).output().unwrap()).expect(0);
    }
    create("get,create");
    let mut command = lab.kubectl(&[as_account, "port-forward", &pod, "0:15000"]);
    let (_forwarding, line) = Ends::listening(&mut command);
    assert!(line.starts_with("Forwarding from"), "{line}");
}
