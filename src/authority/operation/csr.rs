//! GetCertificateAuthorityCsr.

use serde_json::{Value, json};

use crate::authority::failure::Failure;
use crate::authority::operation::call::{Call, OfAuthority};
use crate::authority::rule::status::Deed;
use crate::authority::store::authority;
use crate::authority::x509::pem;

/// The request for the authority's certificate, once it is created.
pub(crate) fn csr(call: &Call) -> Result<Value, Failure> {
    let input: OfAuthority = call.read()?;
    let der = call.service.store.read(|connection| {
        let authority = call.authority(connection, &input.certificate_authority_arn)?;
        authority.check(Deed::ReadCsr, call.now)?;
        authority::csr(connection, &authority.arn)
    })?;
    let text = pem::block("CERTIFICATE REQUEST", &der);
    Ok(json!({ "Csr": format!("{text}\n") }))
}
