//! GetCertificateAuthorityCsr.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::operation::call::{Call, OfAuthority};
use crate::rule::status::Deed;
use crate::store::authority;
use crate::x509::pem;

/// Returns the CSR for the authority's certificate, once the authority is created.
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
