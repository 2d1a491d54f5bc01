use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert};

use super::{Link, Verification, rules, words};

/// The most certificates in a path; webpki's limit is 6 intermediates.
const DEEPEST: usize = 8;
/// The most signatures that are checked for one question, as in webpki.
const MOST_SIGNATURES: usize = 100;

impl Verification {
    /// Finds the path of a CA to a root. Name constraints are not checked for the CA's own names.
    pub(super) fn authority_path(&self) -> Result<Vec<&Link>, String> {
        let mut search = Search {
            question: self,
            signatures: MOST_SIGNATURES,
            why: None,
        };
        match search.from(vec![&self.leaf]) {
            Some(path) => Ok(path),
            None => Err(search
                .why
                .or_else(|| self.likely_trouble())
                .unwrap_or_else(|| words::NO_CHAIN.into())),
        }
    }
}

struct Search<'a> {
    question: &'a Verification,
    signatures: usize,
    /// The problem of the first path that reached a root.
    why: Option<String>,
}

impl<'a> Search<'a> {
    /// Continues from the last certificate of a path to a root.
    fn from(&mut self, path: Vec<&'a Link>) -> Option<Vec<&'a Link>> {
        let question = self.question;
        let top = path[path.len() - 1];
        if question.roots.iter().any(|root| root.der == top.der) {
            match rules::check(&path, question.purpose, question.at) {
                Ok(()) => return Some(path),
                Err(why) => {
                    self.why.get_or_insert(why);
                    return None;
                }
            }
        }
        if path.len() == DEEPEST {
            return None;
        }
        let candidates = question.roots.iter().chain(&question.chain);
        for issuer in candidates {
            let is_new = path.iter().all(|link| link.der != issuer.der);
            if is_new && issuer.may_have_issued(top) && self.signed(issuer, top) {
                let longer = [&path[..], &[issuer]].concat();
                if let Some(found) = self.from(longer) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn signed(&mut self, issuer: &Link, link: &Link) -> bool {
        let Some(left) = self.signatures.checked_sub(1) else {
            return false;
        };
        self.signatures = left;
        issuer.signed(link)
    }
}

impl Link {
    /// Says whether a certificate names this one's subject as its issuer.
    pub(super) fn may_have_issued(&self, other: &Link) -> bool {
        self.parsed().subject().as_raw() == other.parsed().issuer().as_raw()
    }

    /// Says whether a certificate is signed with this one's key.
    pub(super) fn signed(&self, other: &Link) -> bool {
        let parsed = other.parsed();
        let content = parsed.tbs_certificate.as_ref();
        let signature = &parsed.signature_value.data;
        EndEntityCert::try_from(&self.der).is_ok_and(|issuer| {
            let mut algorithms = ALL_VERIFICATION_ALGS.iter();
            algorithms.any(|algorithm| {
                issuer
                    .verify_signature(*algorithm, content, signature)
                    .is_ok()
            })
        })
    }
}
