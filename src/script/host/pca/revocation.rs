//! How a CA publishes what it revokes, as scripts give and read it.

use super::super::{
    Thrown,
    arguments::{Arguments, refuse},
};
use windlass_world::{
    outside::{CrlPublication, OcspPublication, Revocation},
    value::Value,
};

const FUNCTION: &str = "pca::create_certificate_authority";

pub(super) fn read(mut arguments: Arguments) -> Result<Revocation, Thrown> {
    let revocation = Revocation {
        crl: arguments.optional_map("crl")?.map(crl).transpose()?,
        ocsp: arguments.optional_map("ocsp")?.map(ocsp).transpose()?,
    };
    arguments.finish().map(|()| revocation)
}

fn crl(mut arguments: Arguments) -> Result<CrlPublication, Thrown> {
    let crl = CrlPublication {
        bucket: arguments.text("bucket")?,
        expiration_in_days: match arguments.required("expiration_in_days")? {
            Value::Int(days) => i32::try_from(days)
                .map_err(|_| refuse(FUNCTION, format!("{days} days are too long")))?,
            other => {
                let why = format!(
                    "`revocation.crl.expiration_in_days` must be an int, not {}",
                    other.a_kind()
                );
                return Err(refuse(FUNCTION, why));
            }
        },
        custom_cname: arguments.optional_text("custom_cname")?,
        custom_path: arguments.optional_text("custom_path")?,
        acl: arguments.optional_text("acl")?,
        kind: arguments.optional_text("type")?,
        omits_extension: arguments.flag("omit_extension")?,
    };
    arguments.finish().map(|()| crl)
}

fn ocsp(mut arguments: Arguments) -> Result<OcspPublication, Thrown> {
    let ocsp = OcspPublication {
        custom_cname: arguments.optional_text("custom_cname")?,
    };
    arguments.finish().map(|()| ocsp)
}

/// Returns it in the form that `pca::create_certificate_authority` takes.
pub(super) fn value(revocation: Revocation) -> Value {
    let crl = revocation.crl.map(|crl| {
        Value::map([
            ("bucket", crl.bucket.into()),
            (
                "expiration_in_days",
                Value::Int(crl.expiration_in_days.into()),
            ),
            ("custom_cname", crl.custom_cname.into()),
            ("custom_path", crl.custom_path.into()),
            ("acl", crl.acl.into()),
            ("type", crl.kind.into()),
            ("omit_extension", Value::Bool(crl.omits_extension)),
        ])
    });
    let ocsp = revocation
        .ocsp
        .map(|ocsp| Value::map([("custom_cname", ocsp.custom_cname.into())]));
    Value::map([
        ("crl", crl.unwrap_or(Value::Null)),
        ("ocsp", ocsp.unwrap_or(Value::Null)),
    ])
}
