//! Finds certificates in files, values and Kubernetes objects. A damaged block does not hide the others; private keys are skipped.

use std::borrow::Cow;

use data_encoding::BASE64;
use time::OffsetDateTime;

use super::{
    certificate::{Certificate, ReadError},
    pem::PemError,
};
use crate::value::Value;

/// The first bytes of a DER sequence of more than 127 bytes, as every certificate is.
const DER: [&[u8]; 3] = [b"\x30\x81", b"\x30\x82", b"\x30\x83"];
const BEGIN: &str = "-----BEGIN ";
/// The beginning of a PEM text in base64, as Secrets and webhooks contain it.
const BASE64_OF_BEGIN: &str = "LS0tLS1CRUdJTi";
/// The first bytes of a Java keystore.
const JAVA_KEYSTORE: &[u8] = b"\xFE\xED\xFE\xED";

/// The certificates in a file or value.
#[derive(Debug, Default)]
pub struct Read {
    pub certificates: Vec<Certificate>,
    /// What can't be read, with its line.
    pub problems: Vec<String>,
}

/// The certificates in a key of an object, or in a file.
pub struct Holding {
    /// Empty if there are no keys, as in a file.
    pub key: String,
    pub read: Read,
}

/// Returns the first key of `before` that has expired by this time, with the certificate, unless it is the same in `now`: a chain whose own
/// certificate has expired, or CAs all of which have.
pub fn expired(
    before: &[Holding],
    now: &[Holding],
    at: OffsetDateTime,
) -> Option<(String, Certificate)> {
    let is_over = |certificate: &Certificate| certificate.not_after < at;
    let is_changed = |holding: &&Holding| {
        let same = now.iter().find(|other| other.key == holding.key);
        same.is_none_or(|same| same.read.certificates != holding.read.certificates)
    };
    before.iter().filter(is_changed).find_map(|holding| {
        let certificates = &holding.read.certificates;
        let first = certificates.first()?;
        let has_ended = if first.is_ca {
            certificates.iter().all(is_over)
        } else {
            is_over(first)
        };
        has_ended.then(|| (holding.key.clone(), first.clone()))
    })
}

/// Reads all certificates of a PEM text, or a DER certificate. Content without certificates gives an empty result.
pub fn read(content: &[u8]) -> Read {
    if content.starts_with(JAVA_KEYSTORE) {
        return problem(
            "is a Java keystore, which can't be read; `keytool -list -rfc` prints its certificates as PEM",
        );
    }
    if DER.iter().any(|begin| content.starts_with(begin)) {
        return match Certificate::read_der(content) {
            Some(certificate) => Read {
                certificates: vec![certificate],
                problems: Vec::new(),
            },
            // A PKCS#12 file begins with its version: PFX ::= SEQUENCE { version INTEGER {v3(3)}, … } (RFC 7292).
            None if content
                .windows(3)
                .take(6)
                .any(|part| part == b"\x02\x01\x03") =>
            {
                problem(
                    "is a PKCS#12 keystore, which can't be read; `openssl pkcs12 -nokeys` prints its certificates as PEM",
                )
            }
            None => problem("is DER, but not a certificate"),
        };
    }
    let text = String::from_utf8_lossy(content);
    if !mentions_certificates(&text) {
        return Read::default();
    }
    match Certificate::read_all(content) {
        Ok(certificates) => Read {
            certificates,
            problems: Vec::new(),
        },
        Err(_) => block_by_block(&text),
    }
}

/// Reads the certificates in a value of a run or object, which may be PEM, DER, or PEM in base64.
pub fn read_value(value: &Value) -> Read {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Secret(secret) => secret.reveal(),
        Value::Bytes(bytes) => return read(bytes),
        _ => return Read::default(),
    };
    match text.trim_start().starts_with(BASE64_OF_BEGIN) {
        true => read_base64(text),
        false if text.contains(BEGIN) => read(text.as_bytes()),
        false => Read::default(),
    }
}

/// Finds all certificates within a value, with the paths to them as keys.
pub fn walk(value: &Value) -> Vec<Holding> {
    let mut found = Vec::new();
    walk_into(value, &mut String::new(), &mut found);
    found
}

/// Finds all certificates of a Kubernetes object. The keys are the keys of the data of a Secret or ConfigMap, and the paths to other
/// fields.
pub fn of_object(object: &Value) -> Vec<Holding> {
    let Some(fields) = object.as_map() else {
        return Vec::new();
    };
    let is_secret = object.field("kind").and_then(Value::as_str) == Some("Secret");
    let mut found = Vec::new();
    for (name, field) in fields {
        match (name.as_str(), field) {
            // These contain copies, and `managedFields`.
            ("metadata" | "status", _) => {}
            ("data" | "binaryData", Value::Map(data)) => {
                for (key, value) in data {
                    let read = match value {
                        Value::Secret(secret) if is_secret => read_base64(secret.reveal()),
                        Value::String(text) if name == "binaryData" => read_base64(text),
                        value => read_value(value),
                    };
                    push(&mut found, key, read);
                }
            }
            (name, field) => walk_into(field, &mut name.to_owned(), &mut found),
        }
    }
    found
}

fn walk_into(value: &Value, path: &mut String, found: &mut Vec<Holding>) {
    let length = path.len();
    let mut step = |name: &str, item: &Value, path: &mut String| {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        walk_into(item, path, found);
        path.truncate(length);
    };
    match value {
        Value::Map(map) => map.iter().for_each(|(key, item)| step(key, item, path)),
        Value::List(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(i, item)| step(&i.to_string(), item, path));
        }
        value => push(found, path, read_value(value)),
    }
}

fn push(found: &mut Vec<Holding>, key: &str, read: Read) {
    if !read.certificates.is_empty() || !read.problems.is_empty() {
        found.push(Holding {
            key: key.to_owned(),
            read,
        });
    }
}

fn read_base64(text: &str) -> Read {
    let text: Cow<str> = if text.contains(char::is_whitespace) {
        text.split_whitespace().collect::<String>().into()
    } else {
        text.into()
    };
    match BASE64.decode(text.as_bytes()) {
        Ok(content) if is_der_of_something_else(&content) => Read::default(),
        Ok(content) => read(&content),
        Err(_) => Read::default(),
    }
}

/// Returns whether content is a keystore or a private key in DER. In a Secret, this is expected, and not a problem.
fn is_der_of_something_else(content: &[u8]) -> bool {
    let is_binary =
        content.starts_with(JAVA_KEYSTORE) || DER.iter().any(|begin| content.starts_with(begin));
    is_binary && Certificate::read_der(content).is_none()
}

fn mentions_certificates(text: &str) -> bool {
    let begins = text.lines().filter(|line| line.contains("BEGIN "));
    begins.into_iter().any(|line| {
        let is_other = line.contains("REQUEST") || line.contains("CRL") || line.contains("KEY");
        !is_other && (line.contains("CERTIFICATE") || line.contains("PKCS") || line.contains("CMS"))
    })
}

/// Reads each PEM block separately, because one of them is damaged.
fn block_by_block(text: &str) -> Read {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let begins: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains("BEGIN ") && lines[*at].contains("--"))
        .collect();
    let mut read = Read::default();
    for (number, from) in begins.iter().enumerate() {
        let to = begins.get(number + 1).copied().unwrap_or(lines.len());
        let block = lines[*from..to].concat();
        if !mentions_certificates(&block) {
            continue;
        }
        // Empty lines before the block make the line numbers those of the whole text.
        let block = format!("{}{block}", "\n".repeat(*from));
        match Certificate::read_all(block.as_bytes()) {
            Ok(certificates) => read.certificates.extend(certificates),
            Err(error) => read.problems.push(describe(&error)),
        }
    }
    read
}

fn describe(error: &ReadError) -> String {
    match error {
        ReadError::Pem(PemError::Block {
            begins, line, why, ..
        }) => format!("line {line} {why} (the block begins on line {begins})"),
        ReadError::NotX509 { line, .. } => {
            format!("the block from line {line} is not a readable X.509 certificate")
        }
        ReadError::Pem(error) => error.to_string(),
    }
}

fn problem(why: &str) -> Read {
    Read {
        certificates: Vec::new(),
        problems: vec![why.to_owned()],
    }
}
