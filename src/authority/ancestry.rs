//! What the certificates of an authority and of those above it require of the certificates below.

use crate::failure::{Code, Failure};
use crate::store::authority::Identity;
use crate::x509::certificate::{Facts, facts};
use crate::x509::constraint::Limits;
use crate::x509::pem;

/// The certificates of one identity of an authority, parsed. They never change: an import creates a new generation.
#[derive(Debug)]
pub(crate) struct Ancestry {
    /// The facts of the authority's own certificate.
    pub issuer: Facts,
    /// The names and path lengths that the whole chain allows.
    pub limits: Limits,
}

impl Ancestry {
    pub fn read(identity: &Identity) -> Result<Self, Failure> {
        let own = identity.certificate.as_slice();
        let issuer = facts(own).ok_or_else(|| {
            Code::InternalFailure.says("the authority's certificate can't be read")
        })?;
        let unreadable = |why: String| {
            Code::InternalFailure.says(format!("the authority's chain can't be read: {why}"))
        };
        let chain = identity.chain.as_deref().unwrap_or_default();
        let above = pem::blocks(chain.as_bytes(), &["CERTIFICATE"])
            .map_err(|why| unreadable(why.to_owned()))?;
        let all = std::iter::once(own).chain(above.iter().map(Vec::as_slice));
        let limits = Limits::of(all).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { issuer, limits })
    }
}
