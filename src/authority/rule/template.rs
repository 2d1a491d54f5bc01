//! The certificate templates by name (the user guide's page "Template definitions").

use crate::failure::{Code, Failure};
use crate::rule::arn;

/// A template: what it fixes, and where the rest may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Template {
    pub base: Base,
    /// Of an authority's certificate; an end entity has none.
    pub path_length: Option<u8>,
    /// Whether an end entity's basic constraints are critical.
    pub critical_constraints: bool,
    /// Whether `ApiPassthrough` counts.
    pub api: bool,
    /// Whether the CSR's extensions are taken over.
    pub csr: bool,
}

/// What a template is for.
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

    /// Whether it makes the certificate of an authority that signs itself.
    pub fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::BlankRoot)
    }

    /// Whether it makes the certificate of an authority under another.
    pub fn is_subordinate(self) -> bool {
        matches!(self, Self::Subordinate | Self::BlankSubordinate)
    }

    /// Whether it leaves key usage and extended key usage open.
    pub fn is_blank(self) -> bool {
        matches!(
            self,
            Self::BlankEndEntity | Self::BlankRoot | Self::BlankSubordinate
        )
    }
}

impl Template {
    /// What `IssueCertificate` uses when no template is named.
    pub const DEFAULT: Self = Self {
        base: Base::EndEntity,
        path_length: None,
        critical_constraints: false,
        api: false,
        csr: false,
    };

    /// The template of an ARN, which must lie in the region's partition.
    pub fn of_arn(text: &str, region: &str) -> Result<Self, Failure> {
        let prefix = format!("arn:{}:acm-pca:::template/", arn::partition(region));
        text.strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix("/V1"))
            .and_then(Self::named)
            .ok_or_else(|| {
                Code::InvalidArgs.says(format!("The template ARN {text} is not supported"))
            })
    }

    /// The template of a name such as `SubordinateCACertificate_PathLen1_APIPassthrough`.
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
        // The words must stand in the one order that AWS writes, each once: so the name written back is the name.
        (template.exists() && template.name() == name).then_some(template)
    }

    /// Its name, without `/V1`.
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
    fn only_the_words_that_aws_writes_make_a_template() {
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
