//! istiod's certificate authority: what it reads from mounted files, and how it answers a CSR.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    verify,
    version::{Since, Version},
    x509::{self, Request},
};
use windlass_cluster::Moment;

/// A mounted Secret or ConfigMap, as a pod sees it: the content of each file.
pub(super) type Files = BTreeMap<String, String>;

/// A certificate and its key in PEM, as a player presents them; the leaf is first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaf {
    pub chain: String,
    pub key: String,
}

const HOUR: Moment = 3_600_000;
/// The default lifetime of a workload's certificate (istio: `DEFAULT_WORKLOAD_CERT_TTL`).
const WORKLOAD_LIFE: Moment = 24 * HOUR;
/// The lifetime that is requested, and then cut to the signer's end (istio: `pilot/pkg/bootstrap/certcontroller.go`).
const SERVING_LIFE: Moment = 10 * 365 * 24 * HOUR;

/// Since these versions, istiod does not start with an incomplete secret (istio: release note `check-cacerts-completeness`).
const COMPLETENESS: Since = &[(1, 26, 0)];
/// Since these versions, a leaf ends no later than its signer (istio #59766).
const CUT: Since = &[(1, 28, 7), (1, 29, 3), (1, 30, 0)];
/// Since this version, the secret may have the layout of kubernetes.io/tls (istio #38528).
const TLS_LAYOUT: Since = &[(1, 15, 0)];

/// The CA that an istiod has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ca {
    /// Whether it came from `cacerts`.
    pub is_plugged: bool,
    pub certificate: String,
    pub key: String,
    /// The certificates that are sent after a leaf.
    pub chain: String,
    pub root: String,
}

/// What an istiod finds in its folder when it starts.
pub(super) enum Found {
    Plugged(Ca),
    /// No plugged CA: it signs with its own CA.
    Nothing,
}

/// Reads `/etc/cacerts` as an istiod does at its start.
///
/// # Errors
/// The reason why istiod exits.
pub(super) fn find(files: &Files, version: Version, now: Moment) -> Result<Found, String> {
    let Some(ca) = read(files, version)? else {
        return Ok(Found::Nothing);
    };
    let failed = |why: String| format!("failed to create CA: {why}");
    check(&ca, now).map_err(failed)?;
    let signer = x509::parsed(&ca.certificate).into_iter().next();
    let is_ca = signer
        .as_ref()
        .and_then(x509::basic_constraints)
        .is_some_and(|limits| limits.ca);
    if !is_ca {
        return Err(failed(
            "certificate is not authorized to sign other certificates".into(),
        ));
    }
    if let Some(first) = x509::parsed(&ca.chain).first()
        && x509::not_after(first) <= now
    {
        return Err(failed("cert chain has expired".into()));
    }
    Ok(Found::Plugged(ca))
}

/// Reads the folder as istiod does for a hot reload.
///
/// # Errors
/// The reason why the CA stays as it is.
pub(super) fn reload(files: &Files, version: Version, now: Moment) -> Result<Ca, String> {
    let ca = read(files, version)?.ok_or("no signing CA bundle was found")?;
    check(&ca, now)?;
    Ok(ca)
}

fn read(files: &Files, version: Version) -> Result<Option<Ca>, String> {
    let file = |name: &str| files.get(name).cloned().unwrap_or_default();
    if version.has(TLS_LAYOUT) && files.contains_key("tls.crt") {
        return Ok(Some(Ca {
            is_plugged: true,
            certificate: file("tls.crt"),
            key: file("tls.key"),
            chain: [file("tls.crt"), file("ca.crt")].concat(),
            root: file("ca.crt"),
        }));
    }
    let names = [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    ];
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !files.contains_key(*name))
        .collect();
    let is_there = match version.has(COMPLETENESS) {
        true if missing.len() == names.len() => false,
        true if !missing.is_empty() => {
            return Err(format!(
                "incomplete signing CA bundle: missing {}",
                missing.join(", ")
            ));
        }
        true => true,
        // These versions check only for the key file, so an incomplete secret leads to a self-signed CA without a warning.
        false => files.contains_key("ca-key.pem") && missing.is_empty(),
    };
    Ok(is_there.then(|| Ca {
        is_plugged: true,
        certificate: file("ca-cert.pem"),
        key: file("ca-key.pem"),
        chain: file("cert-chain.pem"),
        root: file("root-cert.pem"),
    }))
}

/// Makes the checks that istiod makes whenever it loads a bundle (istio: `security/pkg/pki/util/keycertbundle.go`).
fn check(ca: &Ca, now: Moment) -> Result<(), String> {
    verify::verify_signer(&ca.certificate, &ca.chain, &ca.root, now).map_err(|why| {
        format!("cannot verify the cert with the provided root chain and cert pool: {why}")
    })?;
    x509::private_key(&ca.key)?;
    let signer = x509::parsed(&ca.certificate).into_iter().next();
    if signer.is_some_and(|signer| x509::fits(&signer, &ca.key)) {
        Ok(())
    } else {
        Err("the cert does not match the key".into())
    }
}

/// Creates the CA of an istiod without a plugged one; it is valid for ten years.
pub(super) fn self_signed(now: Moment) -> Result<(String, String), String> {
    let key = x509::new_key()?;
    let request = Request {
        key: &key,
        common_name: None,
        organization: Some("cluster.local"),
        dns_names: &[],
        uris: &[],
        is_ca: true,
        path_len: None,
        not_after: now + SERVING_LIFE,
    };
    Ok((x509::issue(&request, None, now)?, key))
}

/// istiod's answer to a CSR: the leaf, the certificates of the chain, and last the roots (istio:
/// `security/pkg/server/ca/server.go`).
pub(super) struct Answer {
    pub leaf: Leaf,
    /// The last element, which proxies use as their roots.
    pub roots: String,
}

impl Ca {
    /// Returns the end of a certificate that this CA signs now.
    fn end(&self, life: Moment, version: Version, now: Moment) -> Result<Moment, String> {
        let wanted = now + life;
        let signer = x509::parsed(&self.certificate).into_iter().next();
        let signer = signer.ok_or("the CA has no certificate")?;
        let end = x509::not_after(&signer);
        match version.has(CUT) {
            true if end <= now => Err("the signing certificate has expired".into()),
            true => Ok(wanted.min(end)),
            false => Ok(wanted),
        }
    }

    /// Signs for a workload. Returns `former`, the answer that the workload already has, if the new one would have the same
    /// contents and less than half of its lifetime has passed.
    pub fn answer(
        &self,
        identity: &str,
        version: Version,
        now: Moment,
        former: Option<&Leaf>,
    ) -> Result<Answer, String> {
        let not_after = self.end(WORKLOAD_LIFE, version, now)?;
        let roots = if version.is(1, 24, 4) || version.is(1, 25, 1) {
            // These versions split the bundle, and the last element holds only its last root.
            x509::blocks(&self.root).pop().unwrap_or_default()
        } else {
            self.root.clone()
        };
        if let Some(former) = former.filter(|former| self.would_answer(former, identity, now)) {
            return Ok(Answer {
                leaf: former.clone(),
                roots,
            });
        }
        let key = x509::new_key()?;
        let request = Request {
            key: &key,
            common_name: None,
            organization: None,
            dns_names: &[],
            uris: &[identity.to_owned()],
            is_ca: false,
            path_len: None,
            not_after,
        };
        let leaf = x509::issue(&request, Some((&self.certificate, &self.key)), now)?;
        Ok(Answer {
            leaf: Leaf {
                chain: [leaf.as_str(), self.chain.as_str()].concat(),
                key,
            },
            roots,
        })
    }

    fn would_answer(&self, former: &Leaf, identity: &str, now: Moment) -> bool {
        let all = x509::certificates(&former.chain).unwrap_or_default();
        let chain = x509::certificates(&self.chain).unwrap_or_default();
        let (Some(leaf), Some(signer)) = (
            all.first().and_then(|leaf| x509::parse(leaf).ok()),
            x509::parsed(&self.certificate).into_iter().next(),
        ) else {
            return false;
        };
        let (from, to) = (x509::not_before(&leaf), x509::not_after(&leaf));
        all[1..] == chain[..]
            && leaf.tbs_certificate.issuer == signer.tbs_certificate.subject
            && x509::has_signed(&signer, &all[0])
            && x509::names(&leaf).iter().any(|name| name == identity)
            && now - from < (to - from) / 2
    }

    /// Issues istiod's own certificate, for ports 15012 and 15017.
    pub fn serving(&self, namespace: &str, version: Version, now: Moment) -> Result<Leaf, String> {
        let names = ["istiod", "istiod-remote", "istio-pilot"]
            .map(|name| format!("{name}.{namespace}.svc"));
        let key = x509::new_key()?;
        let request = Request {
            key: &key,
            common_name: None,
            organization: None,
            dns_names: &names,
            uris: &[],
            is_ca: false,
            path_len: None,
            not_after: self.end(SERVING_LIFE, version, now)?,
        };
        let leaf = x509::issue(&request, Some((&self.certificate, &self.key)), now)?;
        Ok(Leaf {
            chain: [leaf.as_str(), self.chain.as_str()].concat(),
            key,
        })
    }
}
