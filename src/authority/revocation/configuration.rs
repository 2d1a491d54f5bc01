//! The service model's `RevocationConfiguration`.

use serde_json::{Value, json};

use crate::bucket;
use crate::failure::{Code, Failure};

/// Returns a configuration that publishes nothing.
pub(crate) fn off() -> Value {
    json!({ "CrlConfiguration": { "Enabled": false }, "OcspConfiguration": { "Enabled": false } })
}

/// Checks a revocation configuration and fills in its defaults. A part that is not given stays as it was.
pub(crate) fn complete(asked: Option<&Value>, before: &Value) -> Result<Value, Failure> {
    let part = |name: &str, check: fn(&Value) -> Result<Value, Failure>| {
        let asked = asked.and_then(|asked| asked.get(name));
        asked.map_or_else(|| Ok(before[name].clone()), check)
    };
    Ok(json!({
        "CrlConfiguration": part("CrlConfiguration", crl)?,
        "OcspConfiguration": part("OcspConfiguration", ocsp)?,
    }))
}

/// Checks a part that disables something; like AWS, refuses other parameters in it.
fn check_off(asked: &Value, what: &str) -> Result<Value, Failure> {
    match asked.as_object() {
        Some(members) if members.len() == 1 => Ok(asked.clone()),
        _ => Err(Code::InvalidArgs.says(format!(
            "A configuration that disables {what} must contain only the Enabled=False parameter"
        ))),
    }
}

fn crl(asked: &Value) -> Result<Value, Failure> {
    let refuse = |message: &str| Err(Code::InvalidArgs.says(message));
    if asked["Enabled"] != json!(true) {
        return check_off(asked, "CRLs");
    }
    if !asked["S3BucketName"].is_string() {
        return refuse("An S3 bucket name is required when CRLs are enabled");
    }
    if !asked["ExpirationInDays"].is_number() {
        return refuse("The expiration in days is required when CRLs are enabled");
    }
    if !asked["S3BucketName"].as_str().is_some_and(bucket::is_name) {
        return refuse("The S3 bucket name does not follow the rules for bucket names");
    }
    let path = asked["CustomPath"].as_str().unwrap_or_default();
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return refuse("The custom path must not contain relative parts");
    }
    let cname = asked["CustomCname"].as_str();
    check_cname(cname)?;
    let omitted =
        asked["CrlDistributionPointExtensionConfiguration"]["OmitExtension"] == json!(true);
    if omitted && cname.is_some_and(|cname| !cname.is_empty()) {
        return refuse("The CRL distribution point cannot be omitted when a custom CNAME is set");
    }
    let mut whole = asked.clone();
    if whole["S3ObjectAcl"].is_null() {
        whole["S3ObjectAcl"] = json!("PUBLIC_READ");
    }
    if whole["CrlType"].is_null() {
        whole["CrlType"] = json!("COMPLETE");
    }
    Ok(whole)
}

fn ocsp(asked: &Value) -> Result<Value, Failure> {
    if asked["Enabled"] != json!(true) {
        return check_off(asked, "OCSP");
    }
    check_cname(asked["OcspCustomCname"].as_str())?;
    Ok(asked.clone())
}

fn check_cname(cname: Option<&str>) -> Result<(), Failure> {
    match cname {
        Some(cname) if cname.contains("://") => Err(Code::InvalidArgs
            .says("The custom CNAME must not include a protocol prefix such as http://")),
        _ => Ok(()),
    }
}
