//! Lists the possible values of an argument, an option or an input, if their number is limited.

use windlass_script::{Parameter, ValueKind};
use windlass_world::{
    outside::aws::services,
    x509::{EXTENDED_KEY_USAGES, KEY_USAGES, KeyAlgorithm},
};

/// The short names of AWS Private CA's certificate templates (user guide, "AWS Private CA template varieties").
pub const TEMPLATES: [&str; 61] = [
    "BlankEndEntityCertificate_APICSRPassthrough/V1",
    "BlankEndEntityCertificate_APIPassthrough/V1",
    "BlankEndEntityCertificate_CSRPassthrough/V1",
    "BlankEndEntityCertificate_CriticalBasicConstraints_APICSRPassthrough/V1",
    "BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1",
    "BlankEndEntityCertificate_CriticalBasicConstraints_CSRPassthrough/V1",
    "BlankRootCACertificate_APIPassthrough/V1",
    "BlankRootCACertificate_PathLen0_APIPassthrough/V1",
    "BlankRootCACertificate_PathLen1_APIPassthrough/V1",
    "BlankRootCACertificate_PathLen2_APIPassthrough/V1",
    "BlankRootCACertificate_PathLen3_APIPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen0_APICSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen0_APIPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen0_CSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen1_APICSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen1_APIPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen1_CSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen2_APICSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen2_APIPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen2_CSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen3_APICSRPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen3_APIPassthrough/V1",
    "BlankSubordinateCACertificate_PathLen3_CSRPassthrough/V1",
    "CodeSigningCertificate/V1",
    "CodeSigningCertificate_APICSRPassthrough/V1",
    "CodeSigningCertificate_APIPassthrough/V1",
    "CodeSigningCertificate_CSRPassthrough/V1",
    "EndEntityCertificate/V1",
    "EndEntityCertificate_APICSRPassthrough/V1",
    "EndEntityCertificate_APIPassthrough/V1",
    "EndEntityCertificate_CSRPassthrough/V1",
    "EndEntityClientAuthCertificate/V1",
    "EndEntityClientAuthCertificate_APICSRPassthrough/V1",
    "EndEntityClientAuthCertificate_APIPassthrough/V1",
    "EndEntityClientAuthCertificate_CSRPassthrough/V1",
    "EndEntityServerAuthCertificate/V1",
    "EndEntityServerAuthCertificate_APICSRPassthrough/V1",
    "EndEntityServerAuthCertificate_APIPassthrough/V1",
    "EndEntityServerAuthCertificate_CSRPassthrough/V1",
    "OCSPSigningCertificate/V1",
    "OCSPSigningCertificate_APICSRPassthrough/V1",
    "OCSPSigningCertificate_APIPassthrough/V1",
    "OCSPSigningCertificate_CSRPassthrough/V1",
    "RootCACertificate/V1",
    "RootCACertificate_APIPassthrough/V1",
    "SubordinateCACertificate_PathLen0/V1",
    "SubordinateCACertificate_PathLen0_APICSRPassthrough/V1",
    "SubordinateCACertificate_PathLen0_APIPassthrough/V1",
    "SubordinateCACertificate_PathLen0_CSRPassthrough/V1",
    "SubordinateCACertificate_PathLen1/V1",
    "SubordinateCACertificate_PathLen1_APICSRPassthrough/V1",
    "SubordinateCACertificate_PathLen1_APIPassthrough/V1",
    "SubordinateCACertificate_PathLen1_CSRPassthrough/V1",
    "SubordinateCACertificate_PathLen2/V1",
    "SubordinateCACertificate_PathLen2_APICSRPassthrough/V1",
    "SubordinateCACertificate_PathLen2_APIPassthrough/V1",
    "SubordinateCACertificate_PathLen2_CSRPassthrough/V1",
    "SubordinateCACertificate_PathLen3/V1",
    "SubordinateCACertificate_PathLen3_APICSRPassthrough/V1",
    "SubordinateCACertificate_PathLen3_APIPassthrough/V1",
    "SubordinateCACertificate_PathLen3_CSRPassthrough/V1",
];

/// The signing algorithms of CAs with RSA and elliptic keys, by AWS's names.
const SIGNING_ALGORITHMS: [&str; 6] = [
    "SHA256WITHRSA",
    "SHA384WITHRSA",
    "SHA512WITHRSA",
    "SHA256WITHECDSA",
    "SHA384WITHECDSA",
    "SHA512WITHECDSA",
];

/// Returns the values of a parameter; empty if it may have any. Texts are without quotes.
pub fn values_of(parameter: &Parameter) -> Vec<&'static str> {
    match parameter.name {
        "key_algorithm" => KeyAlgorithm::NAMES.to_vec(),
        "signing_algorithm" => SIGNING_ALGORITHMS.to_vec(),
        "key_usage" => KEY_USAGES.to_vec(),
        "extended_key_usage" => EXTENDED_KEY_USAGES.to_vec(),
        _ => values_of_kind(parameter.kind),
    }
}

fn values_of_kind(kind: ValueKind) -> Vec<&'static str> {
    match kind {
        ValueKind::Bool => vec!["true", "false"],
        ValueKind::Word(words) => words.to_vec(),
        ValueKind::Template => TEMPLATES.to_vec(),
        ValueKind::AwsService => services().collect(),
        ValueKind::List(kind) | ValueKind::Maybe(kind) => values_of_kind(*kind),
        ValueKind::Either(kinds) => kinds
            .iter()
            .flat_map(|kind| values_of_kind(*kind))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// `templates.json` is AWS's own list.
    #[test]
    fn the_templates_are_those_of_aws() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/authority/templates.json");
        let list = fs::read_to_string(file).expect("the list");
        let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
        let known = list["arns"]
            .as_array()
            .expect("ARNs")
            .iter()
            .filter_map(|arn| arn.as_str()?.split_once("template/"));
        let known: Vec<_> = known.map(|(_, name)| name).collect();
        assert_eq!(known, TEMPLATES);
    }

    #[test]
    fn a_parameter_has_its_values() {
        let values = |function: &str, option: &str| {
            let row = windlass_script::function(function).expect("a function");
            let (_, options) = row.options().expect("options");
            values_of(
                options
                    .iter()
                    .find(|field| field.name == option)
                    .expect("an option"),
            )
        };
        assert_eq!(
            values("pca::create_certificate_authority", "type"),
            ["ROOT", "SUBORDINATE"]
        );
        assert!(
            values("pca::create_certificate_authority", "key_algorithm").contains(&"EC_prime256v1")
        );
        assert!(values("pca::issue_certificate", "template").contains(&"RootCACertificate/V1"));
        assert!(values("pca::issue_certificate", "csr").is_empty());
        assert_eq!(values("kube::apply_secret", "force"), ["true", "false"]);
    }
}
