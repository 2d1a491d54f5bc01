//! A client of the CA that costs little: requests as the AWS SDK sends them, over kept connections.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Algorithm, folder};

const CONNECTIONS: u64 = 64;
/// Requests take turns, since a client repeats none.
const CSRS: usize = 16;
const CREDENTIAL: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/acm-pca/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=5672c1b0d3cf1ab5bd30d1b3a1d2b3ad9fd1ac2be3b76d3eb8fd6a1d9a6e3c6b";

pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let answer = vec![0; 1 << 20];
        Self { stream, answer }
    }

    /// Makes a request and gives its answer's body, which must be a success.
    pub fn call(&mut self, operation: &str, input: &Value) -> Value {
        let body = self.send(operation, &input.to_string());
        if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).expect("JSON")
        }
    }

    fn send(&mut self, operation: &str, body: &str) -> &[u8] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-target: ACMPrivateCA.{operation}\r\n\
             x-amz-date: 20260101T000000Z\r\namz-sdk-request: attempt=1; max=3\r\nauthorization: {CREDENTIAL}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(&request)
    }

    /// Fetches what is at a path, and gives its size.
    pub fn fetch(&mut self, path: &str) -> usize {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"))
            .len()
    }

    fn exchange(&mut self, request: &str) -> &[u8] {
        self.stream.write_all(request.as_bytes()).expect("sent");
        let mut have = 0;
        loop {
            let read = self
                .stream
                .read(&mut self.answer[have..])
                .expect("an answer");
            assert!(read > 0, "the server closed the connection");
            have += read;
            let Some(head) = self.answer[..have]
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            else {
                continue;
            };
            let text = String::from_utf8_lossy(&self.answer[..head]).to_ascii_lowercase();
            let length = text
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let end = head
                + 4
                + length
                    .and_then(|length| length.parse::<usize>().ok())
                    .unwrap_or(0);
            if have >= end {
                assert!(
                    text.starts_with("http/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&self.answer[..have])
                );
                return &self.answer[head + 4..end];
            }
            if self.answer.len() == have {
                self.answer.resize(have * 2, 0);
            }
        }
    }
}

/// Makes a root CA that issues; gives its ARN.
pub fn create(address: &str, algorithm: &Algorithm) -> String {
    let mut connection = Connection::open(address);
    let configuration = json!({
        "KeyAlgorithm": algorithm.key,
        "SigningAlgorithm": algorithm.signing,
        "Subject": { "CommonName": "Benchmark Root CA" },
    });
    let made = connection.call(
        "CreateCertificateAuthority",
        &json!({ "CertificateAuthorityConfiguration": configuration, "CertificateAuthorityType": "ROOT" }),
    );
    let authority = made["CertificateAuthorityArn"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    let own = connection.call(
        "GetCertificateAuthorityCsr",
        &json!({ "CertificateAuthorityArn": authority }),
    );
    let csr = own["Csr"].as_str().expect("a CSR");
    let issued = connection.call(
        "IssueCertificate",
        &json!({
            "CertificateAuthorityArn": authority,
            "Csr": data_encoding::BASE64.encode(csr.as_bytes()),
            "SigningAlgorithm": algorithm.signing,
            "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1",
            "Validity": { "Type": "YEARS", "Value": 10 },
        }),
    );
    let certificate = connection.call(
        "GetCertificate",
        &json!({ "CertificateAuthorityArn": authority, "CertificateArn": issued["CertificateArn"] }),
    );
    let pem = certificate["Certificate"].as_str().expect("a certificate");
    connection.call(
        "ImportCertificateAuthorityCertificate",
        &json!({ "CertificateAuthorityArn": authority, "Certificate": data_encoding::BASE64.encode(pem.as_bytes()) }),
    );
    authority
}

/// Makes requests for keys of the CA's own kind; gives their folder.
pub fn csrs(algorithm: &Algorithm) -> String {
    let folder = folder(&format!("csr-{}", algorithm.key));
    for at in 0..CSRS {
        let file = folder.join(format!("{at}.csr"));
        let made = Command::new("openssl")
            .args(["req", "-new", "-nodes", "-sha256"])
            .args(algorithm.newkey)
            .args([
                "-subj",
                &format!("/CN=leaf-{at}.example.com"),
                "-keyout",
                "/dev/null",
                "-out",
            ])
            .arg(&file)
            .output()
            .expect("openssl");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    folder.display().to_string()
}

/// The body of a request to issue. Each has a token of its own, as those of Windlass have.
pub fn issue(authority: &str, csr: &str, signing: &str, token: u64) -> String {
    json!({
        "CertificateAuthorityArn": authority,
        "Csr": csr,
        "SigningAlgorithm": signing,
        "Validity": { "Type": "DAYS", "Value": 30 },
        "IdempotencyToken": format!("{token:032x}"),
    })
    .to_string()
}

pub fn encoded_csrs(folder: &str) -> Vec<String> {
    let read = |at| fs::read(format!("{folder}/{at}.csr")).expect("a CSR");
    (0..CSRS)
        .map(|at| data_encoding::BASE64.encode(&read(at)))
        .collect()
}

/// Issues on all connections for some seconds, and prints how many certificates that gave.
pub fn load(arguments: &[String]) {
    let [address, authority, signing, seconds, folder] = arguments else {
        panic!("--load ADDRESS AUTHORITY SIGNING SECONDS CSRS");
    };
    let (csrs, token) = (encoded_csrs(folder), AtomicU64::new(1));
    let end = Instant::now() + Duration::from_secs(seconds.parse().expect("seconds"));
    let issued: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(address);
                    let mut issued = 0;
                    while Instant::now() < end {
                        let token = token.fetch_add(1, Ordering::Relaxed);
                        let csr = &csrs[token as usize % csrs.len()];
                        connection.send("IssueCertificate", &issue(authority, csr, signing, token));
                        issued += 1;
                    }
                    issued
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a connection"))
            .sum()
    });
    println!("{issued}");
}
