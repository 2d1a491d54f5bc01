//! The service model's `RevocationConfiguration`.

use serde_json::{Value, json};

use crate::authority::bucket;
use crate::authority::failure::{Code, Failure};

/// Checks a revocation configuration and writes out what it leaves unsaid.
pub(crate) fn complete(asked: Option<&Value>) -> Result<Value, Failure> {
    let off = json!({ "Enabled": false });
    let part = |name: &str| {
        asked
            .and_then(|asked| asked.get(name))
            .filter(|part| !part.is_null())
    };
    let crl = part("CrlConfiguration").map_or(Ok(off.clone()), crl)?;
    let ocsp = part("OcspConfiguration").map_or(Ok(off), ocsp)?;
    Ok(json!({ "CrlConfiguration": crl, "OcspConfiguration": ocsp }))
}

fn crl(asked: &Value) -> Result<Value, Failure> {
    let refuse = |message: &str| Err(Code::InvalidArgs.says(message));
    if asked["Enabled"] != json!(true) {
        return Ok(json!({ "Enabled": false }));
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
    let cname = asked["OcspCustomCname"].as_str();
    check_cname(cname)?;
    if asked["Enabled"] != json!(true) && cname.is_some() {
        return Err(Code::InvalidArgs.says("A custom OCSP CNAME needs OCSP to be enabled"));
    }
    Ok(asked.clone())
}

fn check_cname(cname: Option<&str>) -> Result<(), Failure> {
    match cname {
        Some(cname) if cname.contains("://") => Err(Code::InvalidArgs
            .says("The custom CNAME must not include a protocol prefix such as http://")),
        _ => Ok(()),
    }
}
