//! What a bundle of evidence proves, and what it refuses.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use serde_json::{Value as Json, json};

use crate::harness::Test;

const WRITES: &str = "workflow: w
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

fn with_bundle(more: &[&str]) -> (Test, Json) {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&[&["audit", "--bundle", "e.json"], more].concat())
        .expect(0);
    let bundle = serde_json::from_str(&test.read("e.json")).expect("JSON");
    (test, bundle)
}

fn copy_of_v2() -> Test {
    let test = Test::new();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-v2");
    fs::create_dir(test.path(".windlass")).expect("made");
    for (name, to) in [
        ("journal.db", ".windlass/journal.db"),
        ("identity.txt", ".windlass/identity.txt"),
        ("evidence-1.json", "e.json"),
    ] {
        fs::copy(format!("{from}/{name}"), test.path(to)).expect("copied");
        // As it was made; a checkout gives it to everybody.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(test.path(to), private).expect("private");
    }
    test
}

#[test]
fn a12_a_journal_and_a_bundle_of_version_2_are_read() {
    let test = copy_of_v2();
    test.windlass(&["audit", "--verify", "e.json"]).expect(0);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[1]["status"], "succeeded");
    assert_eq!(runs[1]["requester"], "tester");
    let (old, waiting) = (runs[1]["run"].as_str(), runs[0]["run"].as_str());
    let audit = test.windlass(&["audit", old.expect("an id"), "--json"]);
    assert_eq!(audit.expect(0).json()["chain"], 3);
    // A question that was asked by the older version can be answered.
    test.windlass(&["approve", waiting.expect("an id"), "go_live"])
        .expect(0);
}

#[test]
fn a12_the_events_of_one_run_are_not_those_of_another() {
    let (test, bundle) = with_bundle(&[]);
    let id = bundle["run"].as_str().expect("an id");
    let other = format!("2{}", &id[1..].replace('-', "0"));
    let text = test.read("e.json").replace(id, &other);
    test.write("other.json", &text);
    test.windlass(&["audit", "--verify", "other.json"])
        .expect(2);
    let sql = format!(
        "UPDATE runs SET id = '{other}'; UPDATE events SET run = '{other}'; UPDATE run_files SET run = '{other}';"
    );
    change(&test, &sql);
    let renamed = test.windlass(&["audit"]).expect(2);
    renamed.says("event 0 ");
}

#[test]
fn a12_a_journal_without_its_last_event_is_found_out() {
    let (test, _) = with_bundle(&[]);
    change(
        &test,
        "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events);",
    );
    test.windlass(&["audit"]).expect(2);
    test.windlass(&["show"]).expect(2);
}

#[test]
fn a12_a_bundle_is_just_what_the_chain_covers() {
    let (test, bundle) = with_bundle(&[]);
    test.windlass(&["audit", "--verify", "e.json"]).expect(0);
    let refuse = |what: &str, change: &dyn Fn(&mut Json)| {
        let mut changed = bundle.clone();
        change(&mut changed);
        assert_ne!(changed, bundle, "{what}");
        test.write("changed.json", &changed.to_string());
        let ran = test.windlass(&["audit", "--verify", "changed.json"]);
        assert_eq!(ran.code, 2, "{what}: {}{}", ran.stdout, ran.stderr);
    };
    refuse("another edition", &|b| {
        b["files"]["7"] = json!({ "w.yaml": "" })
    });
    refuse("another file", &|b| b["files"]["0"]["x.yaml"] = "".into());
    refuse("no files", &|b| b["files"] = json!({}));
    refuse("no events", &|b| b["events"] = json!([]));
    refuse("another key", &|b| b["more"] = json!(1));
    refuse("a key of an event", &|b| b["events"][0]["more"] = json!(1));
    refuse("another statement", &|b| b["statement"] = "fine\n".into());
    refuse("the end is missing", &|b| {
        b["events"].as_array_mut().expect("a list").pop();
    });
}

#[test]
fn a12_calls_are_listed_with_their_objects() {
    let (test, _) = with_bundle(&[]);
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"]["file::write"], 1);
    let change = &audit["changes"][0];
    assert_eq!(change["function"], "file::write");
    assert!(
        change["arguments"].to_string().contains("a.txt"),
        "{change}"
    );
    let text = test.windlass(&["audit"]).expect(0).stdout;
    assert!(
        text.contains("a.txt") && text.contains("  done\n"),
        "{text}"
    );
}

#[test]
fn a12_a_signature_is_one_that_openssl_verifies() {
    let keys: [&[&str]; 4] = [
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "key.pem",
        ],
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            "key.pem",
        ],
        &["genpkey", "-algorithm", "ED25519", "-out", "key.pem"],
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "key.pem",
        ],
    ];
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    for key in keys {
        test.openssl(key).expect(0);
        let sign = ["audit", "--bundle", "e.json", "--sign", "key.pem"];
        test.windlass(&sign).expect(0);
        let bundle: Json = serde_json::from_str(&test.read("e.json")).expect("JSON");
        let signature = &bundle["signatures"][0];
        test.write("statement", bundle["statement"].as_str().expect("a text"));
        test.write(
            "signature.b64",
            signature["signature"].as_str().expect("a text"),
        );
        test.openssl(&[
            "base64",
            "-d",
            "-A",
            "-in",
            "signature.b64",
            "-out",
            "signature",
        ])
        .expect(0);
        test.openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"])
            .expect(0);
        assert_eq!(signature["public_key"], test.read("public.pem"));
        let verified = match signature["algorithm"].as_str() {
            Some("ed25519") => test.openssl(&[
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                "public.pem",
                "-rawin",
                "-in",
                "statement",
                "-sigfile",
                "signature",
            ]),
            _ => test.openssl(&[
                "dgst",
                "-sha256",
                "-verify",
                "public.pem",
                "-signature",
                "signature",
                "statement",
            ]),
        };
        verified.expect(0);
        let by_key = ["audit", "--verify", "e.json", "--signer", "public.pem"];
        test.windlass(&by_key).expect(0);
        test.openssl(&[
            "req", "-x509", "-new", "-key", "key.pem", "-subj", "/CN=x", "-out", "cert.pem",
        ])
        .expect(0);
        test.windlass(&["audit", "--verify", "e.json", "--signer", "cert.pem"])
            .expect(0);
    }
    // The key of somebody else, a signature of something else, a file that is no key.
    test.openssl(keys[2]).expect(0);
    test.openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "other.pem"])
        .expect(0);
    let other = test.windlass(&["audit", "--verify", "e.json", "--signer", "other.pem"]);
    assert!(other.expect(2).stderr.contains("[not-signed]"));
    let mut bundle: Json = serde_json::from_str(&test.read("e.json")).expect("JSON");
    let text = bundle["signatures"][0]["signature"]
        .as_str()
        .expect("a text");
    bundle["signatures"][0]["signature"] = format!("{}AAAA", &text[..text.len() - 4]).into();
    test.write("e.json", &bundle.to_string());
    test.windlass(&["audit", "--verify", "e.json"]).expect(2);
    let no_key = ["audit", "--bundle", "x.json", "--sign", "w.yaml"];
    let refused = test.windlass(&no_key).expect(2);
    refused.says("[signing-key]");
    let text = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n-----END OPENSSH PRIVATE KEY-----\n";
    test.write("ssh.pem", text);
    test.windlass(&["audit", "--bundle", "x.json", "--sign", "ssh.pem"])
        .expect(2)
        .says("in the format of OpenSSH");
    assert!(!test.path("x.json").exists());
}

#[test]
fn a12_a_timestamp_is_of_this_statement() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("ts.cnf", TS_CONF);
    test.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=tsa",
        "-keyout",
        "tsa.key",
        "-out",
        "tsa.pem",
        "-config",
        "ts.cnf",
        "-extensions",
        "tsa",
    ])
    .expect(0);
    let ask = |answers: Answers| {
        let (url, server) = authority(&test, answers);
        let ran = test.windlass(&["audit", "--bundle", "e.json", "--timestamp", &url]);
        server.join().expect("no panic");
        ran
    };
    ask(Answers::Truly).expect(0);
    let checked = test
        .windlass(&["audit", "--verify", "e.json", "--json"])
        .expect(0)
        .json();
    assert_eq!(checked["timestamps"].as_array().map(Vec::len), Some(1));
    let bundle: Json = serde_json::from_str(&test.read("e.json")).expect("JSON");
    test.write("statement", bundle["statement"].as_str().expect("a text"));
    test.write(
        "r.b64",
        bundle["timestamps"][0]["response"]
            .as_str()
            .expect("a text"),
    );
    test.openssl(&["base64", "-d", "-A", "-in", "r.b64", "-out", "r.tsr"])
        .expect(0);
    test.openssl(&[
        "ts",
        "-verify",
        "-in",
        "r.tsr",
        "-data",
        "statement",
        "-CAfile",
        "tsa.pem",
    ])
    .expect(0);
    fs::remove_file(test.path("e.json")).expect("removed");
    for (answers, why) in [
        (Answers::SomethingElse, "of something else"),
        (Answers::WithoutNonce, "another request"),
        (Answers::Garbage, "can't be read"),
    ] {
        let refused = ask(answers).expect(2);
        refused.says(why);
        assert!(!test.path("e.json").exists());
    }
}

/// Certificates of time stamping authorities under the CA `root`, by how they are made.
const AUTHORITIES: [(&str, &str); 5] = [
    ("good", "extendedKeyUsage = critical, timeStamping"),
    ("lax", "extendedKeyUsage = timeStamping"),
    ("tls", "extendedKeyUsage = critical, serverAuth"),
    (
        "both",
        "extendedKeyUsage = critical, timeStamping, codeSigning",
    ),
    ("past", "extendedKeyUsage = critical, timeStamping"),
];

/// Makes a CA, or with `issuer` a certificate of an authority; one called `past` has expired.
fn certificate(test: &Test, name: &str, extension: &str, issuer: Option<&str>) {
    test.write("extension.cnf", &format!("{extension}\n"));
    let (key, csr, pem) = (
        format!("{name}.key"),
        format!("{name}.csr"),
        format!("{name}.pem"),
    );
    let subject = format!("/CN={name}");
    let request = [
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &csr,
    ];
    test.openssl(&request).expect(0);
    let by = match issuer {
        Some(issuer) => vec![
            "-CA".to_owned(),
            format!("{issuer}.pem"),
            "-CAkey".into(),
            format!("{issuer}.key"),
        ],
        None => vec!["-signkey".into(), key.clone()],
    };
    let mut command = Command::new("openssl");
    command
        .args([
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &csr,
            "-out",
            &pem,
            "-extfile",
            "extension.cnf",
        ])
        .args(by)
        .current_dir(test.path(""));
    if name == "past" {
        command
            .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
            .env("FAKETIME", "-30d");
    }
    let made = command.output().expect("openssl is installed");
    assert!(
        made.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// The answer of an authority whose token is given, as DER.
fn response(token: &[u8]) -> Vec<u8> {
    // `SEQUENCE { SEQUENCE { INTEGER 0 }, token }`, whose length takes two bytes.
    let content = [&[0x30, 0x03, 0x02, 0x01, 0x00], token].concat();
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[0x30, 0x82], &length[..], &content].concat()
}

#[test]
fn a12_the_certificate_of_a_timestamp_is_checked() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    certificate(&test, "root", "basicConstraints = critical, CA:TRUE", None);
    certificate(
        &test,
        "stranger",
        "basicConstraints = critical, CA:TRUE",
        None,
    );
    for (name, extension) in AUTHORITIES {
        certificate(&test, name, extension, Some("root"));
    }
    test.write(
        "ts.cnf",
        &TS_CONF
            .replace("tsa.pem", "good.pem")
            .replace("tsa.key", "good.key"),
    );
    let (url, server) = authority(&test, Answers::Truly);
    let ask = [
        "audit",
        "--bundle",
        "e.json",
        "--timestamp",
        &url,
        "--timestamp-ca",
        "root.pem",
    ];
    let ran = test.windlass(&ask).expect(0);
    server.join().expect("no panic");
    ran.prints("by CN=good\n");
    let verify = |more: &[&str]| test.windlass(&[&["audit", "--verify", "e.json"], more].concat());
    let by_root = verify(&["--timestamp-ca", "root.pem", "--json"])
        .expect(0)
        .json();
    assert_eq!(by_root["timestamps"][0]["authority"], "CN=good");
    assert_eq!(by_root["timestamps"][0]["trusted"], true);
    let by_none = verify(&[]).expect(0).stdout;
    assert!(by_none.contains("not verified against a CA"), "{by_none}");
    // One that is trusted itself needs no CA above it.
    verify(&["--timestamp-ca", "good.pem"]).expect(0);
    let refused = verify(&["--timestamp-ca", "stranger.pem"]).expect(2);
    refused.says("leads to none");
    verify(&["--timestamp-ca", "w.yaml"]).expect(2);

    // The same content, signed by others: openssl makes no such timestamps, but signs what it is given.
    let bundle = test.read("e.json");
    let json: Json = serde_json::from_str(&bundle).expect("JSON");
    test.write(
        "r.b64",
        json["timestamps"][0]["response"].as_str().expect("a text"),
    );
    test.openssl(&["base64", "-d", "-A", "-in", "r.b64", "-out", "r.tsr"])
        .expect(0);
    test.openssl(&[
        "ts",
        "-reply",
        "-in",
        "r.tsr",
        "-token_out",
        "-out",
        "token",
    ])
    .expect(0);
    let open = [
        "cms",
        "-verify",
        "-noverify",
        "-inform",
        "DER",
        "-in",
        "token",
        "-out",
        "content",
    ];
    test.openssl(&open).expect(0);
    let put = |answer: &[u8]| {
        let mut json = json.clone();
        json["timestamps"][0]["response"] = data_encoding::BASE64.encode(answer).into();
        test.write("e.json", &json.to_string());
    };
    let sign = |name: &str| {
        let (pem, key) = (format!("{name}.pem"), format!("{name}.key"));
        let sign = [
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-cades",
            "-md",
            "sha256",
            "-outform",
            "DER",
            "-econtent_type",
            "1.2.840.113549.1.9.16.1.4",
            "-signer",
            &pem,
            "-inkey",
            &key,
            "-in",
            "content",
            "-out",
            "token",
        ];
        test.openssl(&sign).expect(0);
        fs::read(test.path("token")).expect("a token")
    };
    for (name, why) in [
        ("good", ""),
        ("lax", "timeStamping alone, and critical"),
        ("tls", "timeStamping alone, and critical"),
        ("both", "timeStamping alone, and critical"),
        ("past", "was not valid when it signed"),
    ] {
        put(&response(&sign(name)));
        for more in [&[][..], &["--timestamp-ca", "root.pem"]] {
            let checked = verify(more);
            assert_eq!(
                checked.code == 0,
                why.is_empty(),
                "{name}: {}",
                checked.stderr
            );
            assert!(checked.stderr.contains(why), "{name}: {}", checked.stderr);
        }
    }
    // A signature that was changed, and content under another's signature.
    let good = sign("good");
    let changed = |at: usize| {
        let mut token = good.clone();
        token[at] ^= 1;
        put(&response(&token));
        verify(&[]).expect(2).stderr
    };
    let told = changed(good.len() - 1);
    assert!(
        told.contains("signature of the timestamp does not hold"),
        "{told}"
    );
    let content = fs::read(test.path("content")).expect("a TSTInfo");
    let at = good.windows(content.len()).position(|part| part == content);
    // The serial number that the authority gave is in it.
    let serial = content
        .windows(3)
        .position(|part| part == [0x02, 0x01, 0x02]);
    let told = changed(at.expect("its content") + serial.expect("a serial number") + 2);
    assert!(
        told.contains("signature of the timestamp does not hold"),
        "{told}"
    );
    test.write("e.json", &bundle);
    verify(&["--timestamp-ca", "root.pem"]).expect(0);
}

const TS_CONF: &str = "[req]
distinguished_name = name
[name]
[tsa_section]
default_tsa = tsa_config
[tsa]
basicConstraints = critical, CA:TRUE
extendedKeyUsage = critical, timeStamping
[ts]
default_tsa = tsa_config
[tsa_config]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
";

#[derive(Clone, Copy, PartialEq)]
enum Answers {
    Truly,
    SomethingElse,
    WithoutNonce,
    Garbage,
}

/// A time stamping authority for one request, made of `openssl ts`.
fn authority(test: &Test, answers: Answers) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/tsa", listener.local_addr().expect("an address"));
    let folder = test.path("");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let query = body_of(&mut stream);
        fs::write(folder.join("q.tsq"), &query).expect("written");
        fs::write(folder.join("serial"), "01\n").expect("written");
        let openssl = |arguments: &[&str]| {
            let ran = Command::new("openssl")
                .args(arguments)
                .current_dir(&folder)
                .output();
            let ran = ran.expect("openssl is installed");
            assert!(
                ran.status.success(),
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
        };
        match answers {
            Answers::SomethingElse => openssl(&[
                "ts", "-query", "-data", "w.yaml", "-sha256", "-out", "q.tsq",
            ]),
            Answers::WithoutNonce => {
                let digest = query[24..56]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>();
                openssl(&[
                    "ts",
                    "-query",
                    "-digest",
                    &digest,
                    "-sha256",
                    "-no_nonce",
                    "-out",
                    "q.tsq",
                ]);
            }
            Answers::Truly | Answers::Garbage => {}
        }
        let body = match answers {
            Answers::Garbage => b"sorry".to_vec(),
            _ => {
                openssl(&[
                    "ts",
                    "-reply",
                    "-config",
                    "ts.cnf",
                    "-section",
                    "tsa_config",
                    "-queryfile",
                    "q.tsq",
                    "-out",
                    "a.tsr",
                ]);
                fs::read(folder.join("a.tsr")).expect("an answer")
            }
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("answered");
        stream.write_all(&body).expect("answered");
    });
    (url, server)
}

fn body_of(stream: &mut impl Read) -> Vec<u8> {
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer).expect("readable");
        read.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some(head) = read.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .and_then(|n| n.trim().parse().ok())
            .expect("a length");
        if read.len() >= head + 4 + length {
            return read.split_off(head + 4);
        }
    }
}

/// Changes the journal behind its owner's back.
fn change(test: &Test, sql: &str) {
    let database = rusqlite::Connection::open(test.path(".windlass/journal.db")).expect("opened");
    database.execute_batch(sql).expect("changed");
}

/// What answers may be anything, and may never end.
#[test]
fn a_timestamp_without_an_end_is_not_held() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    for head in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n",
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut client, _) = listener.accept().expect("a client");
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(head.as_bytes());
            while client.write_all(&[0; 1 << 16]).is_ok() {}
        });
        let ran = test
            .windlass(&["audit", "--bundle", "e.json", "--timestamp", &url])
            .expect(2);
        let why = if head.contains("307") {
            "redirects are not followed"
        } else {
            "the answer is larger than 1 MiB"
        };
        ran.says(why);
    }
}
