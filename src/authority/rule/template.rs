//! The certificate templates by name (the user guide's page "Template definitions").

use crate::failure::{Code, Failure};
use crate::rule::arn;

/// A template: what it defines, and where the rest may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Template {
    pub base: Base,
    /// The path length of an authority's certificate; `None` for end entities.
    pub path_length: Option<u8>,
    /// Whether the basic constraints of an end entity are critical.
    pub critical_constraints: bool,
    /// Whether `ApiPassthrough` is used.
    pub api: bool,
    /// Whether the extensions of the CSR are used.
    pub csr: bool,
}

/// The purpose of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    BlankEndEntity,
    BlankRoot,
    BlankSubordinate,
    CodeSigning,
    EndEntity,
    EndEntityClientAuth,
    EndEntityServerAuth,
    OcspSigning,
    Root,
    Subordinate,
}

impl Base {
    const NAMES: [(Self, &str); 10] = [
        (Self::BlankEndEntity, "BlankEndEntityCertificate"),
        (Self::BlankRoot, "BlankRootCACertificate"),
        (Self::BlankSubordinate, "BlankSubordinateCACertificate"),
        (Self::CodeSigning, "CodeSigningCertificate"),
        (Self::EndEntity, "EndEntityCertificate"),
        (Self::EndEntityClientAuth, "EndEntityClientAuthCertificate"),
        (Self::EndEntityServerAuth, "EndEntityServerAuthCertificate"),
        (Self::OcspSigning, "OCSPSigningCertificate"),
        (Self::Root, "RootCACertificate"),
        (Self::Subordinate, "SubordinateCACertificate"),
    ];

    /// Returns whether it is for the certificate of a self-signed authority.
    pub fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::BlankRoot)
    }

    /// Returns whether it is for the certificate of a subordinate authority.
    pub fn is_subordinate(self) -> bool {
        matches!(self, Self::Subordinate | Self::BlankSubordinate)
    }

    /// Returns whether it leaves key usage and extended key usage undefined.
    pub fn is_blank(self) -> bool {
        matches!(
            self,
            Self::BlankEndEntity | Self::BlankRoot | Self::BlankSubordinate
        )
    }
}

impl Template {
    /// The template of an `IssueCertificate` request without one.
    pub const DEFAULT: Self = Self {
        base: Base::EndEntity,
        path_length: None,
        critical_constraints: false,
        api: false,
        csr: false,
    };

    /// Returns the template with an ARN, which must belong to the partition of the region.
    pub fn of_arn(text: &str, region: &str) -> Result<Self, Failure> {
        let prefix = format!("arn:{}:acm-pca:::template/", arn::partition(region));
        text.strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix("/V1"))
            .and_then(Self::named)
            .ok_or_else(|| {
                Code::InvalidArgs.says(format!("The template ARN {text} is not supported"))
            })
    }

    /// Returns the template with a name such as `SubordinateCACertificate_PathLen1_APIPassthrough`.
    fn named(name: &str) -> Option<Self> {
        let mut words = name.split('_');
        let base = words.next()?;
        let (base, _) = Base::NAMES.iter().find(|(_, known)| *known == base)?;
        let mut template = Self {
            base: *base,
            ..Self::DEFAULT
        };
        for word in words {
            match word {
                "PathLen0" => template.path_length = Some(0),
                "PathLen1" => template.path_length = Some(1),
                "PathLen2" => template.path_length = Some(2),
                "PathLen3" => template.path_length = Some(3),
                "CriticalBasicConstraints" => template.critical_constraints = true,
                "APIPassthrough" => template.api = true,
                "CSRPassthrough" => template.csr = true,
                "APICSRPassthrough" => (template.api, template.csr) = (true, true),
                _ => return None,
            }
        }
        // Each word must occur once and in AWS's order, so the template's name must equal the given name.
        (template.exists() && template.name() == name).then_some(template)
    }

    /// Returns the name, without `/V1`.
    pub fn name(&self) -> String {
        let mut name = Base::NAMES
            .iter()
            .find(|(base, _)| *base == self.base)
            .map_or("", |(_, name)| name)
            .to_owned();
        if self.critical_constraints {
            name.push_str("_CriticalBasicConstraints");
        }
        if let Some(length) = self.path_length {
            name.push_str(&format!("_PathLen{length}"));
        }
        name.push_str(match (self.api, self.csr) {
            (true, true) => "_APICSRPassthrough",
            (true, false) => "_APIPassthrough",
            (false, true) => "_CSRPassthrough",
            (false, false) => "",
        });
        name
    }

    fn exists(&self) -> bool {
        let passes = self.api || self.csr;
        match self.base {
            Base::BlankRoot => self.api && !self.csr && !self.critical_constraints,
            Base::Root => !self.csr && self.path_length.is_none() && !self.critical_constraints,
            Base::BlankSubordinate => {
                passes && self.path_length.is_some() && !self.critical_constraints
            }
            Base::Subordinate => self.path_length.is_some() && !self.critical_constraints,
            Base::BlankEndEntity => passes && self.path_length.is_none(),
            _ => self.path_length.is_none() && !self.critical_constraints,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_aws_are_templates() {
        let of = |name: &str| {
            Template::of_arn(
                &format!("arn:aws:acm-pca:::template/{name}/V1"),
                "us-east-1",
            )
        };
        assert_eq!(of("EndEntityCertificate").unwrap(), Template::DEFAULT);
        let found = of("SubordinateCACertificate_PathLen1_APICSRPassthrough").unwrap();
        assert_eq!(
            (found.path_length, found.api, found.csr),
            (Some(1), true, true)
        );
        for wrong in [
            "SubordinateCACertificate",
            "EndEntityCertificate_PathLen0",
            "RootCACertificate_CSRPassthrough",
            "BlankRootCACertificate",
            "SubordinateCACertificate_APIPassthrough_PathLen1",
            "SubordinateCACertificate_PathLen1_PathLen1",
            "SubordinateCACertificate_PathLen4",
            "endEntityCertificate",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(
            Template::of_arn(
                "arn:aws:acm-pca:::template/EndEntityCertificate/V2",
                "us-east-1"
            )
            .is_err()
        );
    }
}
