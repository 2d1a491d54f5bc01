//! `kube::tls_chain`, `kube::http_get` and `tls::chain`, through the binary.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use super::{
    made::{Authority, ca, leaf},
    pods::Lab,
};
use crate::harness::Test;

const WORKFLOW: &str = "workflow: w\nkube: [c1]\nsteps: { s: { script: s.rhai } }\noutputs: { s: \"${{ steps.s }}\" }\n";

const LOOK: &str = r#"
fn code(act) {
    try { act.call(); } catch (e) { return `${e.class} ${e.code}`; }
    "none"
}
fn run(inputs) {
    let pod = kube::pods("c1", "istio-system", "deployment/istiod")[0].name;
    let look = |port, options| kube::tls_chain("c1", "istio-system", pod, port, options);
    let istiod = look.call(15012, #{ server_name: "istiod.istio-system.svc", alpn: ["h2"] });
    let client = #{ client_certificate: file::read("client.pem"), client_key: file::read("client.key") };
    let http = |path| kube::http_get("c1", "istio-system", "pod/" + pod, 15000, path);
    #{
        istiod: istiod,
        bare: look.call(15012, #{}).pem == istiod.pem,
        old: look.call(15017, #{}),
        relay: look.call(9900, #{}),
        relay_accepts: look.call(9900, client),
        old_relay: look.call(9901, #{}),
        old_relay_accepts: look.call(9901, client).accepted,
        small: http.call("/small").json,
        large: http.call("/large").body.len(),
        failures: [
            code(|| look.call(15000, #{ timeout: "5s" })),
            code(|| look.call(1, #{})),
            code(|| kube::tls_chain("c1", "istio-system", "none", 15012)),
            code(|| look.call(15012, #{ client_certificate: "x", client_key: "y" })),
            code(|| look.call(70000, #{})),
            code(|| http.call("/missing")),
            code(|| http.call("/huge")),
            code(|| http.call("small")),
            code(|| kube::http_get("c1", "istio-system", pod, 1, "/")),
        ],
        verified: x509::verify(#{ leaf: istiod.pem, roots: file::read("root.pem"), purpose: "server", name: "istiod.istio-system.svc" }),
    }
}
"#;

/// A real TLS server behind a real WebSocket, by the kube crate's port-forward.
#[test]
fn a_chain_is_read_as_a_pod_serves_it() {
    let lab = Lab::new();
    lab.test.write("w.yaml", WORKFLOW);
    lab.test.write("s.rhai", LOOK);
    lab.test.write("out/client.pem", &lab.client.pem);
    lab.test.write("out/client.key", &lab.client.key);
    // So that it is read as a secret.
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(lab.test.path("out/client.key"), owner).unwrap();
    lab.test.write("out/root.pem", &lab.root.pem);
    let found = lab.test.outputs_of(&["w.yaml", "--target", "t"])["s"].take();
    let istiod = &found["istiod"];
    assert_eq!(istiod["pem"], lab.chain);
    assert_eq!(
        (&istiod["tls"], &istiod["accepted"]),
        (&"1.3".into(), &true.into())
    );
    let leaf = &istiod["certificates"][0];
    assert_eq!(
        leaf["sans"],
        serde_json::json!(["istiod.istio-system.svc", "spiffe://td/x"])
    );
    assert!(lab.chain.starts_with(leaf["pem"].as_str().unwrap()));
    assert_eq!(
        (&leaf["subject"], &leaf["issuer"]),
        (&"CN=istiod".into(), &"CN=Issuing".into())
    );
    assert_eq!(istiod["certificates"][1]["is_ca"], true);
    assert_eq!(istiod["certificates"].as_array().unwrap().len(), 2);
    assert_eq!(found["bare"], true);
    assert_eq!(
        (&found["old"]["tls"], &found["old"]["pem"]),
        (&"1.2".into(), &lab.chain.clone().into())
    );
    // Connected is not accepted, and the chain is read all the same.
    for (relay, tls) in [("relay", "1.3"), ("old_relay", "1.2")] {
        let relay = &found[relay];
        assert_eq!(relay["pem"], lab.chain, "{relay:#}");
        assert_eq!(relay["tls"], tls);
        assert_eq!(relay["asks_for_certificate"], true);
        assert_eq!(relay["accepted"], false, "{relay:#}");
        let error = relay["error"].as_str().unwrap();
        assert!(error.contains("alert"), "{error}");
    }
    assert_eq!(
        found["relay_accepts"]["accepted"], true,
        "{:#}",
        found["relay_accepts"]
    );
    assert_eq!(found["old_relay_accepts"], true);
    assert_eq!(found["small"]["up"], true);
    assert_eq!(found["large"], 320_000);
    assert_eq!(
        found["failures"],
        serde_json::json!([
            "rejected NotTls",
            "unavailable NotForwarded",
            "rejected NotFound",
            "rejected BadIdentity",
            "rejected WrongArguments",
            "rejected HTTP404",
            "rejected TooLarge",
            "rejected BadPath",
            "unavailable NotForwarded",
        ])
    );
    assert_eq!(
        found["verified"],
        serde_json::json!({ "ok": true, "error": "", "chain": ["CN=istiod", "CN=Issuing", "CN=Root"] })
    );
    // The key went to the server alone.
    let key = lab.client.key.lines().nth(1).unwrap();
    assert!(
        !lab.test
            .windlass(&["logs", "--json"])
            .expect(0)
            .stdout
            .contains(key)
    );
}

/// `tls::chain` against OpenSSL's server, over TCP; and what is not reached.
#[test]
fn a_chain_is_read_from_a_server() {
    let root = Authority::root(ca("Root"));
    let served = root.leaf(&leaf("server", &["localhost"]));
    let test = Test::new()
        .file("server.pem", &served.pem)
        .file("server.key", &served.key)
        .file("root.pem", &root.pem);
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "server.pem",
            "-key",
            "server.key",
        ])
        .args([
            "-cert_chain",
            "root.pem",
            "-alpn",
            "h2",
            "-Verify",
            "1",
            "-CAfile",
            "root.pem",
            "-verify_return_error",
        ])
        .current_dir(test.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.ok()?;
        Some(line.strip_prefix("ACCEPT 127.0.0.1:")?.to_owned())
    });
    let port = port.expect("a port");
    test.write(
        "w.yaml",
        "workflow: w\nsteps: { s: { script: s.rhai } }\noutputs: { s: \"${{ steps.s }}\" }\n",
    );
    test.write(
        "s.rhai",
        &format!(
            r#"
fn run(inputs) {{
    let client = #{{ client_certificate: file::read("server.pem"), client_key: file::read("server.key"), alpn: ["h2"] }};
    let refused = tls::chain("localhost", {port});
    let accepted = tls::chain("127.0.0.1", {port}, client);
    let closed = try_it(|| tls::chain("127.0.0.1", 1));
    let name = try_it(|| tls::chain("localhost", {port}, #{{ server_name: "a b" }}));
    #{{ refused: refused, accepted: accepted, closed: closed, name: name }}
}}
fn try_it(act) {{ try {{ act.call(); }} catch (e) {{ return e.code; }} "" }}
"#
        ),
    );
    for name in ["server.pem", "server.key"] {
        test.write(&format!("out/{name}"), &test.read(name));
    }
    let found = test.outputs_of(&["w.yaml"])["s"].take();
    let address = format!("127.0.0.1:{port}");
    let scanned = test.windlass(&["certs", "scan", &address, "--json"]);
    server.kill().unwrap();
    server.wait().unwrap();
    let scanned = scanned.expect(0).json();
    let subjects: BTreeSet<_> = scanned["certificates"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|certificate| certificate["subject"].as_str())
        .collect();
    assert_eq!(subjects, ["CN=Root", "CN=server"].into(), "{scanned:#}");
    let gone = test.windlass(&["certs", "scan", &address]).expect(2);
    gone.says(&address);
    let chain = format!("{}{}", served.pem, root.pem);
    let (refused, accepted) = (&found["refused"], &found["accepted"]);
    assert_eq!(
        (&refused["pem"], &refused["accepted"]),
        (&chain.clone().into(), &false.into()),
        "{refused:#}"
    );
    assert_eq!(
        (&accepted["pem"], &accepted["accepted"]),
        (&chain.into(), &true.into()),
        "{accepted:#}"
    );
    assert_eq!(accepted["alpn"], "h2");
    assert_eq!(
        (&found["closed"], &found["name"]),
        (&"ConnectionRefused".into(), &"BadName".into())
    );
}

/// A target that names its hosts lets no others be looked at either.
#[test]
fn a_target_names_the_servers() {
    let test = Test::new()
        .file(
            "windlass.toml",
            "[targets.t]\nhttp = { allow = [\"api.example.com\"] }\n",
        )
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  s:\n    run: |\n      tls::chain(\"127.0.0.1\", 443);\n      #{}\n",
        );
    let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
    ran.says("HostNotAllowed");
}

#[test]
fn rbac_names_the_port_forward() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nkube: [c1]\nsteps:\n  s:\n    run: |\n      kube::http_get(\"c1\", \"a\", \"b\", 15000, \"/config_dump\");\n      #{}\n",
    );
    let role = test.windlass(&["rbac", "w.yaml"]).expect(0).stdout;
    for part in ["pods/portforward", "create", "get"] {
        assert!(role.contains(part), "{part}: {role}");
    }
    assert!(!role.contains("config_dump"), "{role}");
}
