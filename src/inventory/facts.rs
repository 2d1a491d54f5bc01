use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use windlass_ground::Timestamp;
use windlass_world::{value::Value, x509::Certificate};

/// The data of a certificate in the inventory. It never contains a private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The SHA-256 of the DER, in hex.
    pub fingerprint: String,
    /// The subject, in the form of RFC 4514.
    pub subject: String,
    pub issuer: String,
    /// The serial number, in hex.
    pub serial: String,
    /// Stored in seconds since 1970.
    #[serde(serialize_with = "to_seconds", deserialize_with = "from_seconds")]
    pub not_before: Timestamp,
    /// Stored in seconds since 1970.
    #[serde(serialize_with = "to_seconds", deserialize_with = "from_seconds")]
    pub not_after: Timestamp,
    /// The subject alternative names, in OpenSSL's form: `DNS:example.org`.
    pub names: Vec<String>,
    pub is_ca: bool,
    /// The SHA-256 of the SubjectPublicKeyInfo, in hex; `None` in older journals.
    pub key_digest: Option<String>,
    /// The subject key identifier, in hex.
    pub subject_key_id: Option<String>,
    /// The authority key identifier, in hex.
    pub authority_key_id: Option<String>,
}

/// What a certificate and its successor have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role {
    subject: String,
    names: Vec<String>,
    is_ca: bool,
    is_self_issued: bool,
}

impl Facts {
    pub fn of(certificate: &Certificate) -> Self {
        let names = &certificate.names;
        let kinds = [
            ("DNS", names.dns_names.clone()),
            (
                "IP Address",
                names.ip_addresses.iter().map(ToString::to_string).collect(),
            ),
            ("URI", names.uris.clone()),
            ("email", names.email_addresses.clone()),
        ];
        Self {
            fingerprint: certificate.fingerprint.to_string(),
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            serial: certificate.serial.clone(),
            not_before: certificate.not_before.into(),
            not_after: certificate.not_after.into(),
            names: named(kinds),
            is_ca: certificate.is_ca,
            key_digest: Some(certificate.key_digest.to_string()),
            subject_key_id: certificate.subject_key_id.clone(),
            authority_key_id: certificate.authority_key_id.clone(),
        }
    }

    /// Reads a value that [`Certificate::to_value`] recorded; `None` for other values.
    pub fn of_value(value: &Value) -> Option<Self> {
        let text = |key: &str| value.field(key)?.as_str().map(str::to_owned);
        let time = |key: &str| {
            let at = OffsetDateTime::parse(&text(key)?, &Rfc3339).ok()?;
            Some(Timestamp::from(at))
        };
        let texts = |key: &str| match value.field(key) {
            Some(Value::List(items)) => items.iter().map(Value::to_text).collect(),
            _ => Vec::new(),
        };
        let kinds = [
            ("DNS", texts("dns_names")),
            ("IP Address", texts("ip_addresses")),
            ("URI", texts("uris")),
            ("email", texts("email_addresses")),
        ];
        Some(Self {
            fingerprint: text("fingerprint")?,
            subject: text("subject")?,
            issuer: text("issuer")?,
            serial: text("serial")?,
            not_before: time("not_before")?,
            not_after: time("not_after")?,
            names: named(kinds),
            is_ca: value.field("is_ca") == Some(&Value::Bool(true)),
            key_digest: text("public_key_sha256"),
            subject_key_id: text("subject_key_id"),
            authority_key_id: text("authority_key_id"),
        })
    }

    pub fn role(&self) -> Role {
        let mut names = self.names.clone();
        names.sort();
        Role {
            subject: self.subject.clone(),
            names,
            is_ca: self.is_ca,
            is_self_issued: self.is_self_issued(),
        }
    }

    /// Returns whether another certificate at the same place is its successor. The alternative names may differ, for example when a cluster
    /// has joined; but without a subject, only the names identify the holder, so they must be equal.
    pub fn is_succeeded_at_a_place_by(&self, other: &Self) -> bool {
        let (own, new) = (self.role(), other.role());
        own == new
            || !self.subject.is_empty()
                && (own.subject, own.is_ca, own.is_self_issued)
                    == (new.subject, new.is_ca, new.is_self_issued)
    }

    /// Returns whether it names itself as its issuer, as a root does.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
            && (self.authority_key_id.is_none() || self.authority_key_id == self.subject_key_id)
    }

    /// Returns whether another certificate is possibly its issuer: a CA with the subject and key id that it names.
    pub fn may_be_issued_by(&self, other: &Self) -> bool {
        let keys = (&self.authority_key_id, &other.subject_key_id);
        other.is_ca
            && other.subject == self.issuer
            && other.fingerprint != self.fingerprint
            && !matches!(keys, (Some(wanted), Some(has)) if wanted != has)
    }
}

fn named(kinds: [(&str, Vec<String>); 4]) -> Vec<String> {
    let of_kind = |(kind, names): (&str, Vec<String>)| {
        let names = names.into_iter().map(|name| format!("{kind}:{name}"));
        names.collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// Stores a time in whole seconds, the precision of certificates.
fn to_seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_secs().serialize(serializer)
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp::from_secs)
}
