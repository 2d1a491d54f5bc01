//! A server in this process, a client for its protocol, and the tools that check its output.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use windlass::authority::{Options, Server};

use crate::harness::skip;

/// A running server and its folder; dropping it removes both.
pub struct Lab {
    pub folder: TempDir,
    pub address: SocketAddr,
    server: Option<Server>,
    runtime: Runtime,
}

/// An error response: its code and its message.
pub type Refusal = (String, String);

impl Lab {
    /// Starts a server with the options of a local one.
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// Starts a server with changed options.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::local(folder.path().join("state"));
        change(&mut options);
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(options)).unwrap();
        Self {
            folder,
            address: server.address(),
            server: Some(server),
            runtime,
        }
    }

    /// Returns the folder of the state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls an operation as the owner of the account.
    pub fn call(&self, operation: &str, input: Value) -> Result<Value, Refusal> {
        call(self.address, operation, &input, None)
    }

    /// Calls an operation as another account, in a region.
    pub fn call_as(
        &self,
        account: &str,
        region: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, Refusal> {
        call(self.address, operation, &input, Some((account, region)))
    }

    /// Creates an authority and returns its ARN.
    pub fn authority(&self, kind: &str, name: &str, more: Value) -> String {
        let mut input = json!({
            "CertificateAuthorityType": kind,
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": { "CommonName": name },
            },
        });
        merge(&mut input, more);
        let answer = self.call("CreateCertificateAuthority", input).unwrap();
        text(&answer, "CertificateAuthorityArn")
    }

    /// Creates an active root.
    pub fn root(&self, name: &str, more: Value) -> String {
        let arn = self.authority("ROOT", name, more);
        self.activate(&arn, &arn, "RootCACertificate/V1", 3650);
        arn
    }

    /// Creates an active subordinate of an issuer.
    pub fn subordinate(&self, issuer: &str, name: &str, length: u8, more: Value) -> String {
        let arn = self.authority("SUBORDINATE", name, more);
        let template = format!("SubordinateCACertificate_PathLen{length}/V1");
        self.activate(&arn, issuer, &template, 1000);
        arn
    }

    /// Issues an authority's certificate, and imports it.
    pub fn activate(&self, arn: &str, issuer: &str, template: &str, days: u32) {
        let of = json!({ "CertificateAuthorityArn": arn });
        let csr = text(&self.call("GetCertificateAuthorityCsr", of).unwrap(), "Csr");
        let more = json!({
            "TemplateArn": format!("arn:aws:acm-pca:::template/{template}"),
            "Validity": { "Type": "DAYS", "Value": days },
        });
        let issued = self.issue(issuer, &csr, more).unwrap();
        let answer = self.certificate(issuer, &issued).unwrap();
        let mut import = json!({
            "CertificateAuthorityArn": arn,
            "Certificate": BASE64.encode(text(&answer, "Certificate").as_bytes()),
        });
        if let Some(chain) = answer["CertificateChain"].as_str() {
            import["CertificateChain"] = json!(BASE64.encode(chain.as_bytes()));
        }
        self.call("ImportCertificateAuthorityCertificate", import)
            .unwrap();
    }

    /// Issues a certificate for 30 days from the default template, unless `more` differs, and returns its ARN.
    pub fn issue(&self, arn: &str, csr: &str, more: Value) -> Result<String, Refusal> {
        let mut input = json!({
            "CertificateAuthorityArn": arn,
            "Csr": BASE64.encode(csr.as_bytes()),
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": { "Type": "DAYS", "Value": 30 },
        });
        merge(&mut input, more);
        let answer = self.call("IssueCertificate", input)?;
        Ok(text(&answer, "CertificateArn"))
    }

    pub fn certificate(&self, arn: &str, certificate: &str) -> Result<Value, Refusal> {
        let input = json!({ "CertificateAuthorityArn": arn, "CertificateArn": certificate });
        self.call("GetCertificate", input)
    }

    pub fn describe(&self, arn: &str) -> Value {
        let input = json!({ "CertificateAuthorityArn": arn });
        let mut answer = self.call("DescribeCertificateAuthority", input).unwrap();
        answer["CertificateAuthority"].take()
    }

    pub fn status(&self, arn: &str) -> String {
        text(&self.describe(arn), "Status")
    }

    /// Writes a file next to the state, for the tools.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs openssl. Returns whether it succeeded, and what it printed on both streams.
    pub fn openssl(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        (output.status.success(), both(&output))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// Calls an operation over a separate connection.
pub fn call(
    address: SocketAddr,
    operation: &str,
    input: &Value,
    signer: Option<(&str, &str)>,
) -> Result<Value, Refusal> {
    try_call(address, operation, input, signer).unwrap()
}

/// Works as [`call`], for a server that may be gone.
pub fn try_call(
    address: SocketAddr,
    operation: &str,
    input: &Value,
    signer: Option<(&str, &str)>,
) -> io::Result<Result<Value, Refusal>> {
    let target = format!("ACMPrivateCA.{operation}");
    let mut headers = vec![("x-amz-target", target.as_str())];
    let authorization = signer.map(|(account, region)| {
        format!("AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/acm-pca/aws4_request, SignedHeaders=host, Signature=00")
    });
    headers.extend(
        authorization
            .as_deref()
            .map(|value| ("authorization", value)),
    );
    let (status, body) = try_http(address, "POST", "/", &headers, input.to_string().as_bytes())?;
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(if status == 200 {
        Ok(value)
    } else {
        Err((text(&value, "__type"), text(&value, "message")))
    })
}

/// Sends an HTTP request and returns the status and body.
pub fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Vec<u8>) {
    try_http(address, method, path, headers, body).unwrap()
}

fn try_http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request.push_str(&format!("host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(&[request.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok((status, answer[end + 4..].to_vec()))
}

/// Returns a PEM request with a P-256 key for a subject and DNS names.
pub fn csr(common_name: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(names).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if !common_name.is_empty() {
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    parameters.serialize_request(&key).unwrap().pem().unwrap()
}

/// Returns a member, which must be a string.
pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// Returns whether a tool is available. In CI it must be; otherwise the test is skipped and prints how to get the tool.
pub fn has(tool: &str, arguments: &[&str], how: &str) -> bool {
    let found = Command::new(tool)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        skip(tool, how);
    }
    found
}

pub fn has_openssl() -> bool {
    has(
        "openssl",
        &["version"],
        "install OpenSSL 3 with the system's package manager",
    )
}

pub fn has_boto3() -> bool {
    has("python3", &["-c", "import boto3"], "pip install boto3")
}

pub fn has_aws() -> bool {
    has("aws", &["--version"], "pip install awscli")
}

/// Returns what a program printed on both streams.
pub fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

/// Returns the path of a file in the folder of these tests.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/authority")
        .join(name)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => {
            if !from.is_null() {
                *into = from;
            }
        }
    }
}
