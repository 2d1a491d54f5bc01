//! How clusters are reached, and as whom: what works with kubectl works here.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    aws::tunnel::Tunnel,
    client::Served,
    cluster::served::Clusters,
    harness::{Ends, Ran, Test},
    site::Site,
};

const LOOK: &str = "workflow: w\nkube: [a, b]\nsteps:\n  s:\n    run: |\n      let n = kube::list(\"a\", \"\", \"namespaces\").len() + kube::list(\"b\", \"\", \"namespaces\").len();\n      #{ n: n }\noutputs: { n: \"${{ steps.s.n }}\" }\n";

/// A cluster that two roles name, and a kubeconfig of the test's own for it.
struct Lab {
    test: Test,
    served: Clusters,
    port: u16,
    token: String,
    ca: String,
}

impl Lab {
    fn new() -> Self {
        let test = Test::new().file("w.yaml", LOOK);
        let served = Clusters::serve(&test, &["mgmt".to_owned()], &[]);
        let text = std::fs::read_to_string(&served.kubeconfig).expect("a kubeconfig");
        let after = |key: &str| {
            let (_, rest) = text.split_once(key).expect(key);
            let end = rest.find([' ', '\n', '}']).expect("an end");
            rest[..end].trim_matches(['"', ',']).to_owned()
        };
        let port = after("server: \"https://127.0.0.1:")
            .parse()
            .expect("a port");
        let (token, ca) = (after("token: "), after("certificate-authority-data: "));
        test.write(
            "windlass.toml",
            "[targets.t]\nkubeconfig = \"kubeconfig\"\nkube = { a = \"c\", b = \"c\" }\n",
        );
        Self {
            test,
            served,
            port,
            token,
            ca,
        }
    }

    /// Writes a kubeconfig; `host` is the server's name, `cluster` and `user` are more fields in flow style.
    fn kubeconfig(&self, host: &str, cluster: &str, user: &str) {
        let Self { port, ca, .. } = self;
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{ name: c, cluster: {{ server: \"https://{host}:{port}\", certificate-authority-data: {ca}{cluster} }} }}]\nusers: [{{ name: u, user: {user} }}]\ncontexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\n"
        );
        self.test.write("kubeconfig", &text);
    }

    fn token(&self) -> String {
        format!("{{ token: {:?} }}", self.token)
    }

    fn run(&self, environment: &[(&str, &str)]) -> Ran {
        let mut command = self.test.command(&["run", "w.yaml", "--target", "t"]);
        alone(&mut command).envs(environment.iter().copied());
        Ran::from_output(command.output().expect("windlass starts"))
    }

    /// What kubectl does with the same kubeconfig; `None` where there is no kubectl.
    fn kubectl(&self, environment: &[(&str, &str)]) -> Option<bool> {
        let mut command = Command::new("kubectl");
        command
            .args([
                "--kubeconfig",
                "kubeconfig",
                "get",
                "--raw",
                "/api/v1/namespaces",
            ])
            .current_dir(self.test.path("."));
        alone(&mut command).envs(environment.iter().copied());
        Some(command.output().ok()?.status.success())
    }

    /// Both work, or both do not.
    fn works_as_kubectl(&self, environment: &[(&str, &str)], works: bool) -> Ran {
        let ran = self.run(environment);
        assert_eq!(ran.code == 0, works, "{environment:?}\n{}", ran.stderr);
        if let Some(kubectl) = self.kubectl(environment) {
            assert_eq!(kubectl, works, "kubectl with {environment:?}");
        }
        ran
    }
}

/// Without proxies of the machine that the tests run on.
fn alone(command: &mut Command) -> &mut Command {
    for name in [
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "KUBECONFIG",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// A SOCKS5 proxy that leads every host to one port of this machine, and counts.
fn socks(port: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("socks5://{}", listener.local_addr().expect("bound"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || greet(client, port));
        }
    });
    (url, count)
}

/// RFC 1928, for host names and without a login.
fn greet(mut client: TcpStream, port: u16) -> Option<()> {
    let mut head = [0; 2];
    client.read_exact(&mut head).ok()?;
    let mut methods = vec![0; head[1].into()];
    client.read_exact(&mut methods).ok()?;
    client.write_all(&[5, 0]).ok()?;
    let mut request = [0; 5];
    client.read_exact(&mut request).ok()?;
    // The host and its port: names are resolved by the proxy.
    (request[3] == 3).then_some(())?;
    let mut rest = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut rest).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut client, &mut server).ok().map(|_| ())
}

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";
/// A name in the cluster's certificate that no resolver knows.
const NAME: &str = "kubernetes.default.svc";

#[test]
fn c1_loopback_is_asked_without_a_proxy() {
    let lab = Lab::new();
    lab.kubeconfig("127.0.0.1", "", &lab.token());
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        lab.works_as_kubectl(&[(variable, NOWHERE)], true);
    }
    lab.works_as_kubectl(
        &[
            ("HTTPS_PROXY", NOWHERE),
            ("NO_PROXY", "a.example, ,b.example,"),
        ],
        true,
    );
    let mut command = lab.test.command(&["run", "w.yaml"]);
    alone(&mut command).envs([
        ("HTTPS_PROXY", NOWHERE),
        ("HTTP_PROXY", NOWHERE),
        ("ALL_PROXY", NOWHERE),
    ]);
    Ran::from_output(command.output().expect("windlass starts")).expect(0);
    drop(lab.served);
}

#[test]
fn c1_a_proxy_of_the_environment_is_asked_unless_no_proxy_names_the_host() {
    let lab = Lab::new();
    let tunnel = Tunnel::start(lab.port);
    lab.kubeconfig(NAME, "", &lab.token());
    lab.works_as_kubectl(&[("HTTPS_PROXY", &tunnel.url)], true);
    assert_eq!(tunnel.asked(), [format!("{NAME}:{}", lab.port)]);
    for list in [NAME, "svc", ".default.svc", "*.svc", "*"] {
        let environment = [("HTTPS_PROXY", tunnel.url.as_str()), ("NO_PROXY", list)];
        lab.works_as_kubectl(&environment, false);
        assert_eq!(tunnel.asked(), Vec::<String>::new(), "{list}");
    }
    let environment = [
        ("HTTPS_PROXY", tunnel.url.as_str()),
        ("NO_PROXY", "other.svc"),
    ];
    lab.works_as_kubectl(&environment, true);
}

#[test]
fn c1_the_proxy_of_a_kubeconfig_goes_before_the_environment() {
    let lab = Lab::new();
    let tunnel = Tunnel::start(lab.port);
    lab.kubeconfig(
        NAME,
        &format!(", proxy-url: {:?}", tunnel.url),
        &lab.token(),
    );
    lab.works_as_kubectl(&[("HTTPS_PROXY", NOWHERE), ("NO_PROXY", "*")], true);
    assert!(!tunnel.asked().is_empty());
    let (url, count) = socks(lab.port);
    lab.kubeconfig(NAME, &format!(", proxy-url: {url:?}"), &lab.token());
    lab.works_as_kubectl(&[], true);
    assert!(count.load(Ordering::SeqCst) > 0);
    lab.kubeconfig(
        "127.0.0.1",
        ", proxy-url: \"ftp://127.0.0.1:9\"",
        &lab.token(),
    );
    let ran = lab.works_as_kubectl(&[], false);
    ran.says("http, https or socks5");
}

#[test]
fn c1_scripts_go_by_the_same_rule() {
    let lab = Lab::new();
    let (url, count) = socks(lab.port);
    // The proxy leads to a server that speaks TLS: that there is an answer at all is what counts.
    let get = "workflow: w\nsteps:\n  s:\n    run: |\n      let failed = \"no\";\n      try { http::get(\"http://a.example/x\"); } catch (e) { failed = e.code; }\n      #{ failed: failed }\noutputs: { failed: \"${{ steps.s.failed }}\" }\n";
    lab.test.write("w.yaml", get);
    let run = |no_proxy: &str| {
        let mut command = lab.test.command(&["run", "w.yaml"]);
        alone(&mut command).envs([("http_proxy", url.as_str()), ("no_proxy", no_proxy)]);
        Ran::from_output(command.output().expect("windlass starts")).expect(0);
        count.swap(0, Ordering::SeqCst)
    };
    assert!(run("b.example") > 0);
    assert_eq!(run("example"), 0);
}

/// A CA is made and deleted on a server whose name only the proxy knows.
#[test]
fn c1_aws_is_asked_by_a_socks_proxy() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  s:\n    run: |\n      let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"a\" }, key_algorithm: \"EC_prime256v1\", signing_algorithm: \"SHA256WITHECDSA\" });\n      pca::wait_until_csr_ready(arn);\n      #{ csr: pca::certificate_authority_csr(arn) }\noutputs: { csr: \"${{ steps.s.csr }}\" }\n",
    );
    // Without a key it answers to no name but its own.
    let served = Served::start_in(&test, "pca", &["--access-key", "AKIAEXAMPLE:secret"]);
    let port = served.address().rsplit(':').next().expect("a port");
    let port: u16 = port.parse().expect("a port");
    test.write(
        "windlass.toml",
        "[targets.t]\npca = { endpoint = \"http://pca.example:5566\", region = \"us-east-1\" }\n",
    );
    let windlass = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = test.command(arguments);
        alone(&mut command)
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .envs(environment.iter().copied());
        Ran::from_output(command.output().expect("windlass starts"))
    };
    let run = ["run", "w.yaml", "--target", "t"];
    let (url, count) = socks(port);
    // A proxy that is not there: nothing was sent, so a resume need not look for anything.
    let dead = [("ALL_PROXY", "socks5://127.0.0.1:9")];
    let ran = windlass(&run, &dead).expect(1);
    ran.says("Connect");
    let shown = windlass(&["show", "--json"], &[]).expect(0).stdout;
    assert!(!shown.contains("is_unknown"), "{shown}");
    windlass(&["resume"], &[("ALL_PROXY", &url)]).expect(0);
    assert!(count.swap(0, Ordering::SeqCst) > 0);
    let outputs = windlass(&["outputs"], &[]).expect(0).stdout;
    assert!(outputs.contains("BEGIN CERTIFICATE REQUEST"), "{outputs}");
    windlass(&["undo", "--yes"], &[("HTTP_PROXY", &url)]).expect(0);
    assert!(count.swap(0, Ordering::SeqCst) > 0);
    // One that is not used is in nobody's way.
    let beside = [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("NO_PROXY", ".example"),
    ];
    let ran = windlass(&run, &beside).expect(1);
    ran.says("UnknownHost");
    // What is no proxy that is known is said before a call leaves.
    let ran = windlass(&run, &[("HTTP_PROXY", "ftp://127.0.0.1:9")]).expect(2);
    ran.says("can't be used for AWS");
}

/// EC2's metadata service takes seconds where it does not answer.
#[test]
fn c1_what_does_not_call_aws_does_not_ask_for_a_region() {
    let site = Site::open(&[]);
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps: { s: { run: 'log::info(\"x\")' } }\n",
        )
        .file("windlass.toml", "[targets.t]\nexec = [\"sh\"]\n");
    for command in ["run", "plan"] {
        let arguments = [command, "w.yaml", "--target", "t"];
        let mut command = test.command(&arguments);
        for name in [
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_EC2_METADATA_DISABLED",
        ] {
            command.env_remove(name);
        }
        alone(&mut command)
            .env("HOME", test.path(""))
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", site.address());
        let ran = Ran::from_output(command.output().expect("windlass starts"));
        ran.expect(0);
        assert_eq!(site.requests(), Vec::<String>::new());
    }
}

#[test]
fn c2_a_token_that_ends_in_a_line_break_is_read() {
    let lab = Lab::new();
    let token = &lab.token;
    lab.kubeconfig("127.0.0.1", "", &format!("{{ token: \"{token}\\n\" }}"));
    lab.run(&[]).expect(0);
    lab.test.write("token", &format!("{token}\r\n"));
    lab.kubeconfig("127.0.0.1", "", "{ tokenFile: token }");
    lab.works_as_kubectl(&[], true);
    lab.kubeconfig("127.0.0.1", "", "{ tokenFile: none }");
    let ran = lab.run(&[]).expect_one_of(&[1, 2]);
    ran.says("token file");
    lab.kubeconfig("127.0.0.1", "", "{ token: \"one\\ntwo\" }");
    let ran = lab.run(&[]).expect_one_of(&[1, 2]);
    ran.says("line break in its middle");
    assert!(!ran.stderr.contains("one\ntwo"), "{}", ran.stderr);
}

/// A user with a plugin: a shell script, with `env` in flow style.
fn plugin(script: &str, more: &str) -> String {
    format!(
        "{{ exec: {{ apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, {script:?}]{more} }} }}"
    )
}

#[test]
fn c4_a_plugin_runs_once_for_all_that_ask() {
    let lab = Lab::new();
    let login = format!(
        r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{}"}}}}"#,
        lab.token
    );
    lab.test.write("login.json", &login);
    let counts = "echo x >> runs; cat login.json";
    lab.kubeconfig("127.0.0.1", "", &plugin(counts, ""));
    lab.works_as_kubectl(&[], true);
    let runs = lab.test.read("runs").lines().count();
    let by_kubectl = usize::from(lab.kubectl(&[]).is_some());
    assert_eq!(runs - by_kubectl, 1);
    // A token that expired is asked for again: once a request at most, and never without need.
    let expired = login.replace(
        "\"token\"",
        "\"expirationTimestamp\":\"2020-01-01T00:00:00Z\",\"token\"",
    );
    lab.test.write("login.json", &expired);
    lab.test.write("runs", "");
    lab.run(&[]).expect(0);
    assert!(lab.test.read("runs").lines().count() > 1);
}

#[test]
fn c4_a_missing_plugin_is_named_with_its_hint() {
    let lab = Lab::new();
    let user = "{ exec: { apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin, installHint: install it from the moon } }";
    lab.kubeconfig("127.0.0.1", "", user);
    let ran = lab.works_as_kubectl(&[], false);
    ran.says("`no-such-plugin`");
    ran.says("install it from the moon");
}

#[test]
fn b4_a_plugin_that_fails_shows_no_environment() {
    let lab = Lab::new();
    let fails = "echo not logged in with $AWS_SESSION_TOKEN >&2; echo token-of-stdout; exit 7";
    let env = ", env: [{ name: AWS_SESSION_TOKEN, value: very-secret }]";
    lab.kubeconfig("127.0.0.1", "", &plugin(fails, env));
    let ran = lab.works_as_kubectl(&[], false);
    ran.says("exit code 7: not logged in");
    for secret in [
        "very-secret",
        "token-of-stdout",
        "AWS_SESSION_TOKEN",
        "KUBERNETES_EXEC_INFO",
    ] {
        assert!(!ran.stderr.contains(secret), "{secret}: {}", ran.stderr);
    }
    lab.kubeconfig("127.0.0.1", "", &plugin("echo token-of-stdout", ""));
    let ran = lab.works_as_kubectl(&[], false);
    assert!(!ran.stderr.contains("token-of-stdout"), "{}", ran.stderr);
    ran.says("not an ExecCredential");
}

/// Answers as an API server does, as far as [`LOOK`] asks.
const ANSWERS: &str = "
import http.server, json, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get('content-length') or 0))
        body = json.dumps({'kind': 'NamespaceList', 'apiVersion': 'v1', 'items': [], 'status': {'allowed': True}}).encode()
        self.send_response(200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
";

#[test]
fn c3_a_certificate_that_the_kubeconfig_holds_is_its_own_ca() {
    let mut lab = Lab::new();
    let make = |more: &[&str]| {
        let more = [&["-days", "2"], more].concat();
        lab.test
            .certify("/CN=server", ("server.key", "server.pem"), &more);
    };
    let names = ["-addext", "subjectAltName=IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let mut cases = Vec::new();
    for (more, works) in [
        (vec![names[0], names[1]], true),
        (vec![names[0], names[1], leaf[0], leaf[1]], true),
        (
            vec!["-addext", "subjectAltName=IP:127.0.0.2", leaf[0], leaf[1]],
            false,
        ),
        (
            vec![
                names[0],
                names[1],
                leaf[0],
                leaf[1],
                "-addext",
                "extendedKeyUsage=clientAuth",
            ],
            false,
        ),
    ] {
        make(&more);
        cases.push((
            lab.test.read("server.pem"),
            lab.test.read("server.key"),
            works,
        ));
    }
    for (pem, key, works) in cases {
        lab.test.write("server.pem", &pem);
        lab.test.write("server.key", &key);
        let (_server, port) = Ends::python(&lab.test, ANSWERS, &[]);
        lab.port = port;
        lab.ca = data_encoding::BASE64.encode(pem.as_bytes());
        lab.kubeconfig("127.0.0.1", "", "{ token: x }");
        lab.works_as_kubectl(&[], works);
    }
}

#[test]
fn c3_a_missing_file_of_a_list_is_skipped() {
    let lab = Lab::new();
    lab.kubeconfig("127.0.0.1", "", &lab.token());
    lab.test.write(
        "windlass.toml",
        "[targets.t]\nkube = { a = \"c\", b = \"c\" }\n",
    );
    let ran = lab.run(&[("KUBECONFIG", "none:kubeconfig:neither")]);
    ran.expect(0);
    let ran = lab.run(&[("KUBECONFIG", "none:neither")]).expect(2);
    ran.says("none of the 2 files");
}

#[test]
fn h1_a_cluster_that_does_not_serve_a_group_stops_nothing_before_it_is_asked() {
    let lab = Lab::new();
    lab.kubeconfig("127.0.0.1", "", &lab.token());
    let script = "workflow: w\nkube: [a]\nsteps:\n  s:\n    run: |\n      let code = \"none\";\n      let applied = \"none\";\n      try { kube::find(\"a\", \"default\", \"things.example.org/x\"); } catch (e) { code = e.code; }\n      try { kube::apply(\"a\", #{ apiVersion: \"example.org/v1\", kind: \"Thing\", metadata: #{ name: \"x\", namespace: \"default\" } }); } catch (e) { applied = e.code; }\n      #{ codes: [code, applied] }\noutputs: { codes: \"${{ steps.s.codes }}\" }\n";
    lab.test.write("w.yaml", script);
    lab.test
        .windlass(&["validate", "w.yaml", "--target", "t"])
        .expect(0);
    lab.test
        .windlass(&["plan", "w.yaml", "--target", "t"])
        .expect(0);
    let outputs = lab.test.outputs_of(&["w.yaml", "--target", "t"]);
    assert_eq!(
        outputs["codes"],
        serde_json::json!(["UnknownKind", "UnknownKind"])
    );
    lab.test.windlass(&["undo", "--yes"]).expect_one_of(&[0, 2]);
}

#[test]
fn h4_a_secret_by_another_spelling_is_not_recorded_in_clear() {
    let lab = Lab::new();
    lab.kubeconfig("127.0.0.1", "", &lab.token());
    let script = "workflow: w\nkube: [a]\nsteps:\n  s:\n    run: |\n      kube::apply_secret(\"a\", \"default\", \"x\", #{ pin: \"one\" });\n      for name in [\"Secret/x\", \"secrets./x\", \"secrets.v1./x\", \"SECRETS/x\"] {\n          kube::patch(\"a\", \"default\", name, #{ stringData: #{ pin: \"in-the\" + \"-clear\" } });\n          kube::patch(\"a\", \"default\", name, [#{ op: \"replace\", path: \"/data/pin\", value: \"aW4tdGhl\" + \"LWNsZWFy\" }], #{ type: \"json\" });\n      }\n      #{}\n";
    lab.test.write("w.yaml", script);
    lab.test
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(0);
    let journal = lab.test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(
        !journal.contains("in-the-clear") && !journal.contains("aW4tdGhlLWNsZWFy"),
        "{journal}"
    );
}
