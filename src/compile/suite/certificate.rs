//! The certificates and handshakes that a test expects.

use std::fmt;

use super::{
    super::{
        document::{Key, Kind, Node},
        fields::{Fields, Report},
    },
    expect::one_of,
    keys::{CERTIFICATE, HANDSHAKE, PURPOSES, VERIFIES, WHEN},
};
use windlass_world::value::Value;

/// A place that holds certificates as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificatePlace {
    /// A file of the output folder.
    File(String),
    /// A key of a Secret of an embedded cluster: `CLUSTER:NAMESPACE/NAME/KEY`.
    Secret {
        cluster: String,
        namespace: String,
        name: String,
        key: String,
    },
}

impl CertificatePlace {
    /// Parses it; returns `None` for a text of another form.
    fn parse(text: &str) -> Option<Self> {
        let Some((cluster, rest)) = text.split_once(':') else {
            return Some(Self::File(text.to_owned()));
        };
        let parts: Vec<_> = rest.split('/').collect();
        match parts.as_slice() {
            [namespace, name, key]
                if [cluster, namespace, name, key]
                    .iter()
                    .all(|part| !part.is_empty()) =>
            {
                Some(Self::Secret {
                    cluster: cluster.to_owned(),
                    namespace: (*namespace).to_owned(),
                    name: (*name).to_owned(),
                    key: (*key).to_owned(),
                })
            }
            _ => None,
        }
    }
}

impl fmt::Display for CertificatePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Secret {
                cluster,
                namespace,
                name,
                key,
            } => write!(f, "{cluster}:{namespace}/{name}/{key}"),
        }
    }
}

/// The expected first certificate of a place.
#[derive(Clone, Debug)]
pub struct ExpectedCertificate {
    pub place: CertificatePlace,
    /// `None` if there must be no certificate.
    pub wanted: Option<WantedCertificate>,
}

impl ExpectedCertificate {
    /// Returns all places that must be read.
    pub fn places(&self) -> impl Iterator<Item = &CertificatePlace> {
        let verifies = self.wanted.iter().flat_map(|wanted| &wanted.verifies);
        let others = verifies.flat_map(|one| std::iter::once(&one.under).chain(&one.chain));
        std::iter::once(&self.place).chain(others)
    }
}

#[derive(Clone, Debug, Default)]
pub struct WantedCertificate {
    /// Fields of the result of `x509::read`, with their expected values.
    pub fields: Vec<(&'static str, Value)>,
    /// The length of its validity, rounded to days.
    pub days: Option<i64>,
    /// The number of certificates in the place.
    pub count: Option<i64>,
    pub verifies: Vec<WantedVerdict>,
}

/// The expected result of verifying it as the other side of a handshake does.
#[derive(Clone, Debug)]
pub struct WantedVerdict {
    pub under: CertificatePlace,
    /// The intermediate certificates, if they are in another place.
    pub chain: Option<CertificatePlace>,
    /// `server`, `client` or `ca`.
    pub purpose: String,
    /// Whether verification must fail.
    pub fails: bool,
}

/// How the handshakes of a rehearsal mesh must end.
#[derive(Clone, Debug)]
pub enum ExpectedHandshakes {
    /// All of them, once the run has ended.
    All,
    /// All of them, at every moment of the run.
    Throughout,
    /// Exactly those fail that match one of these, and each of these must match one.
    Failing(Vec<ExpectedFailure>),
}

/// Patterns, in which `*` stands for any text; `None` matches anything.
#[derive(Clone, Debug, Default)]
pub struct ExpectedFailure {
    pub from: Option<String>,
    pub to: Option<String>,
    pub error: Option<String>,
}

pub(super) fn read(report: &mut Report, node: &Node, is_local: bool) -> Vec<ExpectedCertificate> {
    let entries = report.entries(node, "`certificates`").iter();
    entries
        .filter_map(|(key, node)| read_one(report, key, node, is_local))
        .collect()
}

fn read_one(
    report: &mut Report,
    key: &Key,
    node: &Node,
    is_local: bool,
) -> Option<ExpectedCertificate> {
    let place = read_place(report, key, is_local)?;
    if matches!(
        &node.kind,
        Kind::Scalar {
            value: Value::Null,
            ..
        }
    ) {
        return Some(ExpectedCertificate {
            place,
            wanted: None,
        });
    }
    let mut fields = Fields::of(
        report,
        node,
        &CERTIFICATE,
        format!("the certificate `{}`", key.name),
    );
    let mut wanted = WantedCertificate::default();
    for name in ["subject", "issuer"] {
        if let Some(text) = fields.text(report, name) {
            wanted.fields.push((name, text.into()));
        }
    }
    for name in ["dns_names", "ip_addresses", "uris", "email_addresses"] {
        let Some(node) = fields.take(name) else {
            continue;
        };
        let names = match &node.kind {
            Kind::List(_) => node.to_value(),
            _ => Value::List(vec![node.to_value()]),
        };
        wanted.fields.push((name, names));
    }
    if let Some(is_ca) = fields
        .take("is_ca")
        .and_then(|node| report.flag(node, "`is_ca`"))
    {
        wanted.fields.push(("is_ca", is_ca.into()));
    }
    wanted.days = fields.count(report, "days").map(i64::from);
    wanted.count = fields.count(report, "count").map(i64::from);
    if let Some(node) = fields.take("verifies") {
        let nodes: Vec<&Node> = match &node.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let verdicts = nodes
            .into_iter()
            .filter_map(|node| read_verdict(report, node, is_local));
        wanted.verifies = verdicts.collect();
    }
    fields.finish(report);
    Some(ExpectedCertificate {
        place,
        wanted: Some(wanted),
    })
}

fn read_verdict(report: &mut Report, node: &Node, is_local: bool) -> Option<WantedVerdict> {
    let mut fields = Fields::of(report, node, &VERIFIES, "`verifies`");
    let under = fields.take("under");
    let chain = fields.take("chain");
    let purpose = fields.take("purpose");
    let purpose = purpose.and_then(|node| one_of(report, node, "`purpose`", &PURPOSES));
    let fails = fields.flag(report, "fails");
    fields.finish(report);
    let Some(under) = under else {
        if let Kind::Map(_) = node.kind {
            let message = "`verifies` has no `under`";
            let mistake = report.at("missing-key", node.span.clone(), message);
            report.add(mistake.help("add `under:`, the place of the root certificates"));
        }
        return None;
    };
    let mut place = |node: &Node, name: &str| {
        let text = report.text(node, name)?.to_owned();
        let key = Key {
            name: text,
            span: node.span.clone(),
        };
        read_place(report, &key, is_local)
    };
    Some(WantedVerdict {
        under: place(under, "`under`")?,
        chain: match chain {
            Some(node) => Some(place(node, "`chain`")?),
            None => None,
        },
        purpose: purpose.unwrap_or_else(|| PURPOSES[0].to_owned()),
        fails,
    })
}

fn read_place(report: &mut Report, key: &Key, is_local: bool) -> Option<CertificatePlace> {
    let Some(place) = CertificatePlace::parse(&key.name) else {
        let message = format!("`{}` is not a place of certificates", key.name);
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help(
            "name a file of the output folder, or `CLUSTER:NAMESPACE/SECRET/KEY`, such as `mgmt:gloo-mesh/relay-server-tls-secret/tls.crt`",
        ));
        return None;
    };
    if matches!(place, CertificatePlace::Secret { .. }) && !is_local {
        let message = "the test has no clusters";
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help("add `target: local` to the test"));
        return None;
    }
    Some(place)
}

pub(super) fn read_handshakes(
    report: &mut Report,
    (key, node): &(Key, Node),
    is_local: bool,
) -> Option<ExpectedHandshakes> {
    if !is_local {
        let message = "the test has no mesh";
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help("add `target: local` to the test"));
        return None;
    }
    let Kind::List(items) = &node.kind else {
        let word = one_of(report, node, "`handshakes`", &WHEN)?;
        return Some(if word == WHEN[0] {
            ExpectedHandshakes::All
        } else {
            ExpectedHandshakes::Throughout
        });
    };
    let failing = items.iter().map(|item| {
        let mut fields = Fields::of(report, item, &HANDSHAKE, "a handshake that fails");
        let failure = ExpectedFailure {
            from: fields.text(report, "from"),
            to: fields.text(report, "to"),
            error: fields.text(report, "error"),
        };
        fields.finish(report);
        failure
    });
    Some(ExpectedHandshakes::Failing(failing.collect()))
}

#[cfg(test)]
mod tests {
    use super::{super::keys::words_of, *};

    #[test]
    fn places_are_files_or_keys_of_secrets() {
        let parse = |text| CertificatePlace::parse(text).map(|place| place.to_string());
        for text in ["a.pem", "a/b.pem", "mgmt:gloo-mesh/x/tls.crt"] {
            assert_eq!(parse(text).as_deref(), Some(text));
        }
        for text in ["mgmt:gloo-mesh/x", ":a/b/c", "a:b//c", "a:b/c/d/e"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(words_of(&VERIFIES, "purpose"), PURPOSES);
    }
}
