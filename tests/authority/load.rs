//! The number of certificates per second over HTTP.
//!
//! `WINDLASS_LOAD=10000 cargo test --release -- authority::load --nocapture` prints the figure in the README, next to the
//! signing rate of the key alone (`openssl speed rsa2048`). Without the variable, a small number only has to be issued
//! completely.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::authority::lab::{Lab, csr, has_openssl};
use crate::harness::number_of;

const CONNECTIONS: usize = 64;

/// A persistent connection, as the SDKs use.
struct Kept(TcpStream);

impl Kept {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn call(&mut self, operation: &str, input: &Value) -> Value {
        let body = input.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: ACMPrivateCA.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).unwrap();
        let mut read = Vec::new();
        let mut part = [0; 8192];
        loop {
            let count = self.0.read(&mut part).unwrap();
            assert!(count > 0, "the server hung up");
            read.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap();
            if body.len() >= length {
                assert!(head.starts_with("HTTP/1.1 200"), "{text}");
                return serde_json::from_str(body).unwrap();
            }
        }
    }
}

#[test]
fn every_requested_certificate_is_issued() {
    let wanted: usize = number_of("WINDLASS_LOAD", 256);
    let lab = Lab::new();
    let rsa = json!({ "CertificateAuthorityConfiguration": {
        "KeyAlgorithm": "RSA_2048", "SigningAlgorithm": "SHA256WITHRSA",
    }});
    let root = rsa_root(&lab, rsa);
    let request = data_encoding::BASE64.encode(csr("leaf", &["leaf.example.com"]).as_bytes());
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let issued: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (next, root, request) = (&next, &root, &request);
                scope.spawn(move || {
                    let mut connection = Kept::open(root.0);
                    let mut arns = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= wanted {
                            return arns;
                        }
                        let input = json!({
                            "CertificateAuthorityArn": root.1, "Csr": request, "SigningAlgorithm": "SHA256WITHRSA",
                            "Validity": { "Type": "DAYS", "Value": 30 }, "IdempotencyToken": number.to_string(),
                        });
                        let answer = connection.call("IssueCertificate", &input);
                        arns.push(answer["CertificateArn"].as_str().unwrap().to_owned());
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut connection = Kept::open(lab.address);
    for arn in &issued {
        let of = json!({ "CertificateAuthorityArn": root.1, "CertificateArn": arn });
        assert!(connection.call("GetCertificate", &of)["Certificate"].is_string());
    }
    assert_eq!(issued.len(), wanted);
    let rate = wanted as f64 / seconds;
    println!("{wanted} certificates over {CONNECTIONS} connections: {rate:.0} a second");
    if std::env::var_os("WINDLASS_LOAD").is_some() && has_openssl() {
        let bare = bare_rate();
        println!(
            "openssl speed: {bare:.0} signatures a second; the server reaches {:.2} of it",
            rate / bare
        );
    }
}

fn rsa_root(lab: &Lab, configuration: Value) -> (SocketAddr, String) {
    let arn = lab.authority("ROOT", "root", configuration);
    let of = json!({ "CertificateAuthorityArn": arn });
    let answer = lab.call("GetCertificateAuthorityCsr", of).unwrap();
    let more = json!({
        "SigningAlgorithm": "SHA256WITHRSA",
        "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1",
        "Validity": { "Value": 365 },
    });
    let issued = lab
        .issue(&arn, answer["Csr"].as_str().unwrap(), more)
        .unwrap();
    let answer = lab.certificate(&arn, &issued).unwrap();
    let text = answer["Certificate"].as_str().unwrap();
    let import = json!({
        "CertificateAuthorityArn": arn,
        "Certificate": data_encoding::BASE64.encode(text.as_bytes()),
    });
    lab.call("ImportCertificateAuthorityCertificate", import)
        .unwrap();
    (lab.address, arn)
}

/// Measures RSA-2048 signatures per second on all cores with openssl.
fn bare_rate() -> f64 {
    let cores = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string();
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "3", "-multi", &cores, "rsa2048"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.starts_with("rsa 2048"))
        .unwrap();
    line.split_whitespace()
        .rev()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
