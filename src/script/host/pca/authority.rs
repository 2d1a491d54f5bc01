//! Creates, reads, disables, enables, deletes, restores and tags CAs.

use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::{
    super::{
        Thrown,
        arguments::{Arguments, refuse},
        host, perform,
    },
    call, record, reversible, revocation,
    undo::before,
};
use crate::{
    dynamic::{from_dynamic, to_dynamic},
    effects::Call,
};
use windlass_world::{
    outside::{Authority, NewAuthority},
    value::{FailureClass, Value},
    x509::KeyAlgorithm,
};

/// Implements `pca::create_certificate_authority(#{ type, subject, key_algorithm, signing_algorithm, usage_mode,
/// key_storage_security_standard, revocation, tags })`: returns the new CA's ARN. When the call is in doubt, the CA is looked for by its tag.
pub fn create(context: NativeCallContext, map: Map) -> Result<String, Thrown> {
    const FUNCTION: &str = "pca::create_certificate_authority";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value();
    let key_algorithm = arguments.text("key_algorithm")?;
    let default_signing = KeyAlgorithm::parse(&key_algorithm)
        .map_or("SHA256WITHRSA", KeyAlgorithm::signing_algorithm);
    let new = NewAuthority {
        kind: arguments.text("type")?,
        subject: arguments.subject("subject")?,
        signing_algorithm: arguments
            .optional_text("signing_algorithm")?
            .unwrap_or_else(|| default_signing.into()),
        key_algorithm,
        usage_mode: arguments.optional_text("usage_mode")?,
        key_storage_security_standard: arguments.optional_text("key_storage_security_standard")?,
        revocation: match arguments.optional_map("revocation")? {
            Some(map) => Some(revocation::read(map)?),
            None => None,
        },
        tags: arguments.text_map("tags")?,
    };
    arguments.finish()?;
    let pca = host(&context)?.clients.pca;
    let finder = pca.clone();
    let call = Call::of(FUNCTION, record, move |key| async move {
        pca.create(&new, key.as_str()).await.map(Value::String)
    })
    .or_find(move |key| async move {
        Ok(finder.find_by_key(key.as_str()).await?.map(Value::String))
    });
    Ok(perform(&context, call)?.to_text())
}

pub fn describe(context: &NativeCallContext, arn: &str) -> Result<Value, Thrown> {
    let owned = arn.to_owned();
    let function = "pca::describe_certificate_authority";
    call(context, function, arn.into(), |pca| async move {
        pca.describe(&owned).await.map(authority_value)
    })
}

/// Returns `#{ arn, status, type, serial, not_after, failure_reason, usage_mode, key_storage_security_standard, revocation }`.
pub fn describe_dynamic(context: NativeCallContext, arn: &str) -> Result<Dynamic, Thrown> {
    describe(&context, arn).map(|value| to_dynamic(&value))
}

/// Implements `pca::list_certificate_authorities()`: returns every CA, in the format of `describe`.
pub fn list(context: NativeCallContext) -> Result<Dynamic, Thrown> {
    let function = "pca::list_certificate_authorities";
    let found = call(&context, function, Value::Null, |pca| async move {
        let found = pca.list().await?;
        Ok(Value::List(
            found.into_iter().map(authority_value).collect(),
        ))
    })?;
    Ok(to_dynamic(&found))
}

pub(super) fn authority_value(authority: Authority) -> Value {
    Value::map([
        ("arn", authority.arn.into()),
        ("status", authority.status.into()),
        ("type", authority.kind.into()),
        ("serial", authority.serial.into()),
        ("not_after", authority.not_after.into()),
        ("failure_reason", authority.failure_reason.into()),
        ("usage_mode", authority.usage_mode.into()),
        (
            "key_storage_security_standard",
            authority.key_storage_security_standard.into(),
        ),
        ("revocation", revocation::value(authority.revocation)),
    ])
}

/// Returns the CA's certificate signing request, PEM.
pub fn csr(context: NativeCallContext, arn: &str) -> Result<String, Thrown> {
    let owned = arn.to_owned();
    let function = "pca::certificate_authority_csr";
    let csr = call(&context, function, arn.into(), |pca| async move {
        pca.csr(&owned).await.map(Value::String)
    })?;
    Ok(csr.to_text())
}

/// Returns `#{ certificate, chain }` of the CA itself.
pub fn certificate(context: NativeCallContext, arn: &str) -> Result<Dynamic, Thrown> {
    let owned = arn.to_owned();
    let function = "pca::certificate_authority_certificate";
    let signed = call(&context, function, arn.into(), |pca| async move {
        pca.authority_certificate(&owned)
            .await
            .map(super::certificate::signed_value)
    })?;
    Ok(to_dynamic(&signed))
}

/// Disables a CA: it no longer issues certificates, but it can still revoke them.
pub fn disable(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    set_enabled(&context, "pca::disable_certificate_authority", arn, false)
}

pub fn enable(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    set_enabled(&context, "pca::enable_certificate_authority", arn, true)
}

fn set_enabled(
    context: &NativeCallContext,
    function: &'static str,
    arn: &str,
    is_enabled: bool,
) -> Result<(), Thrown> {
    let (owned, ca) = (arn.to_owned(), arn.to_owned());
    reversible(
        context,
        function,
        arn.into(),
        |pca| before::status(pca, ca),
        move |pca| async move { pca.set_enabled(&owned, is_enabled).await },
    )
}

/// Implements `pca::delete_certificate_authority(arn, #{ restore_within_days: 30 })`. A call in doubt is repeated, and
/// succeeds if the CA is already deleted.
pub fn delete(context: NativeCallContext, arn: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::delete_certificate_authority";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(arn, arguments.to_value());
    let days = match arguments.required("restore_within_days")? {
        Value::Int(days) => days,
        other => {
            let why = format!(
                "`restore_within_days` must be an int, not a {}",
                other.kind()
            );
            return Err(refuse(FUNCTION, why));
        }
    };
    arguments.finish()?;
    let days =
        i32::try_from(days).map_err(|_| refuse(FUNCTION, format!("{days} days are too long")))?;
    let (owned, ca) = (arn.to_owned(), arn.to_owned());
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::status(pca, ca),
        move |pca| async move {
            let failure = match pca.delete(&owned, days).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let may_be_done = failure.class == FailureClass::Conflict;
            if may_be_done && pca.describe(&owned).await?.status == "DELETED" {
                Ok(())
            } else {
                Err(failure)
            }
        },
    )
}

/// Restores a deleted CA to the status that it had.
pub fn restore(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    let (owned, ca) = (arn.to_owned(), arn.to_owned());
    reversible(
        &context,
        "pca::restore_certificate_authority",
        arn.into(),
        |pca| before::status(pca, ca),
        |pca| async move {
            let failure = match pca.restore(&owned).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let may_be_done = failure.class == FailureClass::Conflict;
            if may_be_done && pca.describe(&owned).await?.status != "DELETED" {
                Ok(())
            } else {
                Err(failure)
            }
        },
    )
}

/// Implements `pca::list_tags(arn)`, which returns a map.
pub fn tags(context: NativeCallContext, arn: &str) -> Result<Dynamic, Thrown> {
    let owned = arn.to_owned();
    let tags = call(&context, "pca::list_tags", arn.into(), |pca| async move {
        let tags = pca.tags(&owned).await?;
        Ok(Value::map(
            tags.into_iter().map(|(key, value)| (key, value.into())),
        ))
    })?;
    Ok(to_dynamic(&tags))
}

/// Implements `pca::tag_certificate_authority(arn, #{ Name: "x" })`.
pub fn tag(context: NativeCallContext, arn: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::tag_certificate_authority";
    let mut wrapped = Map::new();
    wrapped.insert("tags".into(), map.into());
    let mut arguments = Arguments::new(FUNCTION, wrapped)?;
    let record = record(arn, arguments.to_value());
    let tags = arguments.text_map("tags")?;
    let (owned, ca) = (arn.to_owned(), arn.to_owned());
    let set = Value::map(tags.iter().map(|(key, tag)| (key, tag.as_str().into())));
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::tags(pca, ca, set),
        |pca| async move { pca.tag(&owned, &tags).await },
    )
}

/// Implements `pca::untag_certificate_authority(arn, ["Name"])`.
pub fn untag(context: NativeCallContext, arn: &str, keys: Array) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::untag_certificate_authority";
    let keys = from_dynamic(&keys.into()).map_err(|e| refuse(FUNCTION, e))?;
    let record = record(arn, Value::map([("keys", keys.clone())]));
    let keys: Vec<String> = match keys {
        Value::List(keys) => keys.iter().map(Value::to_text).collect(),
        _ => Vec::new(),
    };
    let (owned, ca) = (arn.to_owned(), arn.to_owned());
    let set = Value::map(keys.iter().map(|key| (key, Value::Null)));
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::tags(pca, ca, set),
        |pca| async move { pca.untag(&owned, &keys).await },
    )
}
