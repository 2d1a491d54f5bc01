//! Who may ask a worker, and who may ask the engine: signatures, TLS, tokens.

use std::{
    io::{BufReader, Write},
    net::TcpListener,
    path::Path,
    thread,
};

use super::{
    server::Server,
    world::{Site, World},
};
use crate::{
    harness::{Ends, Test},
    lost::{forward, read_request},
    tls::{Terminator, make_certificate},
};

const ONE: &str = "workflow: one
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

const TOKEN: &str = "let-me-in";

/// A site with a certificate for `localhost`, and a key that requests are signed with.
fn site() -> Site {
    let site = Site::new();
    make_certificate(&site.test, &["localhost"]);
    site.test.write("one.yaml", ONE);
    let key = ["genpkey", "-algorithm", "ed25519", "-out", "identity.pem"];
    site.test.openssl(&key).expect(0);
    site
}

/// A server that signs its requests, and trusts the site's certificates.
fn signs(test: &Test, folder: &Path) -> Server {
    let path = |name: &str| test.path(name).display().to_string();
    let key = format!(
        "request-identity-private-key-pem-file = {:?}\n",
        path("identity.pem")
    );
    Server::start_with(folder, &key, &[("SSL_CERT_FILE", &path("out/root-ca.pem"))])
}

/// The public half of a server's key, as it prints it.
fn public_key(server: &Server) -> String {
    let log = server.log();
    let found = log
        .split(['"', ' ', '\n'])
        .find(|text| text.starts_with("publickeyv1_"));
    found
        .unwrap_or_else(|| panic!("no key in: {log}"))
        .to_owned()
}

/// Lets only those pass who have the token.
fn gate(server: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(client);
                while let Some(request) = read_request(&mut reader) {
                    let head = String::from_utf8_lossy(&request).to_lowercase();
                    let answer = if head.contains(&format!("authorization: bearer {TOKEN}\r\n")) {
                        forward(&format!("127.0.0.1:{server}"), &request)
                    } else {
                        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?".to_vec()
                    };
                    if reader.get_mut().write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_worker_takes_signed_requests_over_tls_and_no_others() {
    let site = site();
    let (signing, other) = (
        signs(&site.test, &site.test.path("restate")),
        Server::start_with(
            &site.test.path("other"),
            "",
            &[(
                "SSL_CERT_FILE",
                &site.test.path("out/root-ca.pem").display().to_string(),
            )],
        ),
    );
    let key = public_key(&signing);
    let world = World::at(site, |_| vec![signing, other], 0);
    let tls = [
        "--tls-cert",
        "server.pem",
        "--tls-key",
        "out/relay-server-tls.key",
    ];
    let address = world.add_worker(&[tls.as_slice(), &["--identity-key", &key]].concat(), &[]);
    let port = address.rsplit(':').next().expect("a port");
    let url = format!("https://localhost:{port}");
    {
        let servers = world.servers.lock().expect("no panic");
        let (status, answer) = servers[1].try_to_register(&url);
        assert!(
            status >= 400 && answer.contains("401"),
            "{status}: {answer}"
        );
        // Without the name that its certificate has.
        let (status, answer) = servers[0].try_to_register(&format!("https://{address}"));
        assert!(status >= 400, "{answer}");
        let (status, answer) = servers[0].try_to_register(&url);
        assert!(matches!(status, 200 | 201), "{status}: {answer}");
    }
    world
        .test
        .windlass(&["run", "one.yaml", "--target", "t"])
        .expect(0);
    assert_eq!(world.test.read("out/a.txt"), "x");
}

#[test]
fn a_worker_with_a_wrong_certificate_or_key_does_not_start() {
    let test = Test::new().file("a.pem", "nothing");
    for (options, wanted) in [
        (
            ["--tls-cert", "none.pem", "--tls-key", "a.pem"],
            "can't use the certificate none.pem",
        ),
        (
            ["--tls-cert", "a.pem", "--tls-key", "a.pem"],
            "can't use the certificate a.pem",
        ),
        (
            ["--identity-key", "mine", "--retries", "3"],
            "`mine` is no request identity key",
        ),
    ] {
        let worker = ["worker", "--listen", "127.0.0.1:0"];
        let ran = test
            .windlass(&[worker.as_slice(), &options].concat())
            .expect(2);
        ran.says(wanted);
    }
}

#[test]
fn g7_a_worker_whose_files_would_be_beside_its_identity_does_not_start() {
    let test = Test::new();
    let worker = ["worker", "--listen", "127.0.0.1:0", "--out", "."];
    let ran = test.windlass(&worker).expect(2);
    ran.says("holds the state folder");
    ran.says("[unsafe-out]");
}

/// The key of an example in Restate's documentation: nothing that a test signs with.
const SOMEBODY: &str = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f";

#[test]
fn g1_a_worker_that_strangers_reach_needs_keys_and_tls() {
    let test = Test::new();
    let worker = ["worker", "--listen", "0.0.0.0:0"];
    for (options, wanted) in [
        (vec![], "without --identity-key"),
        (vec!["--insecure"], "without --identity-key"),
        (
            vec!["--identity-key", SOMEBODY],
            "refusing to serve plain HTTP",
        ),
    ] {
        let ran = test
            .windlass(&[worker.as_slice(), &options].concat())
            .expect(2);
        ran.says(wanted);
    }
    assert!(!test.path(".windlass/identity.txt").exists());
}

#[test]
fn g1_a_stranger_learns_nothing_of_a_worker() {
    let test = Test::new();
    let mut command = test.command(&[
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--identity-key",
        SOMEBODY,
    ]);
    let (_worker, address) = Ends::listening(command.stderr(std::process::Stdio::null()));
    for path in ["discover", "health", "", "invoke/WindlassStep/attempt"] {
        let asked = std::process::Command::new("curl")
            .args(["-sSi", "--noproxy", "*", "--http2-prior-knowledge"])
            .arg(format!("{address}/{path}"))
            .output()
            .expect("curl starts");
        let answer = String::from_utf8_lossy(&asked.stdout).to_lowercase();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(
            head.starts_with("http/2 401"),
            "{address}/{path}: {asked:?}"
        );
        assert!(
            !head.contains("restate") && body.is_empty(),
            "{path}: {answer}"
        );
    }
}

#[test]
fn g1_a_worker_decides_where_its_files_go() {
    let world = World::at(site(), |folder| vec![Server::start(folder)], 1);
    world
        .test
        .windlass(&["run", "one.yaml", "--out", "elsewhere", "--target", "t"])
        .expect(2)
        .says("workers write to their own folder");
    // A run records the folder `out` of the folder in which it is started.
    let inside = world.test.path("inside");
    std::fs::create_dir(&inside).expect("created");
    let places = ["--state", "../.windlass", "--config", "../windlass.toml"];
    let run = [&["run", "../one.yaml", "--target", "t"], &places[..]].concat();
    let mut command = world.test.command(&run);
    let ran = command.current_dir(&inside).output().expect("ran");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert_eq!(world.test.read("out/a.txt"), "x");
    assert!(!world.test.path("elsewhere").exists() && !inside.join("out").exists());
}

#[test]
fn an_engine_behind_tls_and_a_token() {
    let site = site();
    let world = World::at(site, |folder| vec![Server::start(folder)], 1);
    let (ingress, admin) = {
        let servers = world.servers.lock().expect("no panic");
        (gate(servers[0].ingress), gate(servers[0].admin))
    };
    let ends = [ingress, admin].map(|address| Terminator::start(&world.test, &address));
    let [ingress, admin] = ends
        .each_ref()
        .map(|end| format!("https://localhost:{}", end.port));
    let target = |more: &str| {
        world.target(&world.witness.address);
        let config = world.test.read("windlass.toml");
        let substrate =
            format!("substrate = {{ restate = \"{ingress}\", admin = \"{admin}\"{more} }}\n");
        world
            .test
            .write("windlass.toml", &format!("{config}{substrate}"));
    };
    let run = |token: Option<&str>| {
        let mut command = world.test.command(&["run", "one.yaml", "--target", "t"]);
        command.env_remove("WINDLASS_ON").env_remove("TOKEN");
        command.envs(token.map(|token| ("TOKEN", token)));
        crate::harness::Ran::from_output(command.output().expect("windlass starts"))
    };
    let whole = ", token_env = \"TOKEN\", ca = \"out/root-ca.pem\"";
    target(", token_env = \"TOKEN\"");
    let ran = run(Some(TOKEN)).expect(2);
    ran.says("can't reach Restate");
    target(whole);
    let ran = run(None).expect(2);
    ran.says("the environment variable TOKEN, which holds the token, is not set");
    let ran = run(Some("guessed")).expect(2);
    ran.says("refused the request (401): who?");
    assert!(!world.test.path("out/a.txt").exists());
    run(Some(TOKEN)).expect(0);
    assert_eq!(world.test.read("out/a.txt"), "x");
    // A client that is told each header by the target.
    target(&format!(
        ", ca = \"out/root-ca.pem\", headers = {{ authorization = \"Bearer {TOKEN}\" }}"
    ));
    run(None).expect(0);
}
