use webpki::Error;

use super::{Link, Purpose, Verification, rules};

pub(super) const NO_CHAIN: &str = "no chain leads to a root";

impl Verification {
    /// Looks for the problem in the path that the names suggest.
    pub(super) fn likely_trouble(&self) -> Option<String> {
        let mut path = vec![&self.leaf];
        loop {
            let top = path[path.len() - 1];
            if self.roots.iter().any(|root| root.der == top.der) {
                return self.trouble_of(&path);
            }
            let is_new = |link: &&Link| path.iter().all(|known| known.der != link.der);
            let all = self.roots.iter().chain(&self.chain);
            let named: Vec<_> = all
                .filter(is_new)
                .filter(|link| link.may_have_issued(top))
                .collect();
            let Some(first) = named.first() else {
                let (subject, issuer) = (&top.read.subject, &top.read.issuer);
                return Some(if subject == issuer {
                    not_a_root(top)
                } else {
                    format!(
                        "{NO_CHAIN}: the issuer of `{subject}`, `{issuer}`, is not among what was given"
                    )
                });
            };
            let Some(issuer) = named.iter().find(|link| link.signed(top)) else {
                if top.signed(top) {
                    return Some(not_a_root(top));
                }
                let (subject, issuer) = (&top.read.subject, &first.read.subject);
                return Some(format!(
                    "{NO_CHAIN}: `{subject}` is not signed with the key of the `{issuer}` that was given"
                ));
            };
            path.push(issuer);
        }
    }

    /// Returns the problem of a path whose signatures are valid; the root is last.
    fn trouble_of(&self, path: &[&Link]) -> Option<String> {
        if let Err(why) = rules::check(path, self.purpose, self.at) {
            return Some(why);
        }
        let subject = &self.leaf.read.subject;
        // In webpki, and so in rustls, a root only vouches for others.
        if path.len() == 1 && self.purpose != Purpose::Ca {
            return Some(format!(
                "{NO_CHAIN}: `{subject}` is among the roots itself and is not a CA"
            ));
        }
        // The checks of webpki beyond the rules.
        let constrains = |link: &&Link| matches!(link.parsed().name_constraints(), Ok(Some(_)));
        path.iter()
            .any(constrains)
            .then(|| format!("a CA above `{subject}` does not allow its names (name constraints)"))
    }

    /// Returns webpki's message, if no plainer one was found.
    pub(super) fn words(&self, error: &Error) -> String {
        let subject = &self.leaf.read.subject;
        match error {
            Error::NameConstraintViolation => {
                format!("a CA above `{subject}` does not allow its names (name constraints)")
            }
            Error::UnknownIssuer => NO_CHAIN.into(),
            Error::MaximumPathDepthExceeded => format!("{NO_CHAIN} that is short enough"),
            other => format!("`{subject}` does not verify: {other}"),
        }
    }
}

fn not_a_root(link: &Link) -> String {
    let subject = &link.read.subject;
    format!("{NO_CHAIN}: `{subject}` is self-signed and not among the roots")
}
