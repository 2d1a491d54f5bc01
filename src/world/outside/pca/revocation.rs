//! How a CA publishes what it revokes.

use aws_sdk_acmpca::{
    error::BuildError,
    types::{
        CrlConfiguration, CrlDistributionPointExtensionConfiguration, OcspConfiguration,
        RevocationConfiguration,
    },
};

/// The publications of a CA; none of them is an ordinary case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    pub crl: Option<CrlPublication>,
    pub ocsp: Option<OcspPublication>,
}

/// Certificate revocation lists in an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlPublication {
    pub bucket: String,
    /// For how long each list is valid; AWS takes 1 to 5000 days.
    pub expiration_in_days: i32,
    /// The host name in the certificates instead of the bucket's.
    pub custom_cname: Option<String>,
    pub custom_path: Option<String>,
    /// `PUBLIC_READ` or `BUCKET_OWNER_FULL_CONTROL`.
    pub acl: Option<String>,
    /// `COMPLETE` or `PARTITIONED`.
    pub kind: Option<String>,
    /// Whether the certificates do not say where the list is.
    pub omits_extension: bool,
}

/// An OCSP responder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OcspPublication {
    /// The host name in the certificates instead of AWS's.
    pub custom_cname: Option<String>,
}

impl Revocation {
    pub(super) fn to_sdk(&self) -> Result<RevocationConfiguration, BuildError> {
        let crl = self.crl.as_ref().map(CrlPublication::to_sdk).transpose()?;
        let ocsp = self.ocsp.as_ref().map(OcspPublication::to_sdk);
        Ok(RevocationConfiguration::builder()
            .set_crl_configuration(crl)
            .set_ocsp_configuration(ocsp.transpose()?)
            .build())
    }

    pub(super) fn of_sdk(found: Option<&RevocationConfiguration>) -> Self {
        let crl = found.and_then(RevocationConfiguration::crl_configuration);
        let ocsp = found.and_then(RevocationConfiguration::ocsp_configuration);
        Self {
            crl: crl.filter(|crl| crl.enabled()).map(CrlPublication::of_sdk),
            ocsp: ocsp
                .filter(|ocsp| ocsp.enabled())
                .map(|ocsp| OcspPublication {
                    custom_cname: given(ocsp.ocsp_custom_cname()),
                }),
        }
    }
}

impl CrlPublication {
    fn to_sdk(&self) -> Result<CrlConfiguration, BuildError> {
        let extension = self.omits_extension.then(|| {
            CrlDistributionPointExtensionConfiguration::builder()
                .omit_extension(true)
                .build()
        });
        CrlConfiguration::builder()
            .enabled(true)
            .s3_bucket_name(&self.bucket)
            .expiration_in_days(self.expiration_in_days)
            .set_custom_cname(self.custom_cname.clone())
            .set_custom_path(self.custom_path.clone())
            .set_s3_object_acl(self.acl.as_deref().map(Into::into))
            .set_crl_type(self.kind.as_deref().map(Into::into))
            .set_crl_distribution_point_extension_configuration(extension.transpose()?)
            .build()
    }

    fn of_sdk(found: &CrlConfiguration) -> Self {
        let extension = found.crl_distribution_point_extension_configuration();
        Self {
            bucket: found.s3_bucket_name().unwrap_or_default().into(),
            expiration_in_days: found.expiration_in_days().unwrap_or_default(),
            custom_cname: given(found.custom_cname()),
            custom_path: given(found.custom_path()),
            acl: found.s3_object_acl().map(|acl| acl.as_str().into()),
            kind: found.crl_type().map(|kind| kind.as_str().into()),
            omits_extension: extension.is_some_and(|extension| extension.omit_extension()),
        }
    }
}

impl OcspPublication {
    fn to_sdk(&self) -> Result<OcspConfiguration, BuildError> {
        OcspConfiguration::builder()
            .enabled(true)
            .set_ocsp_custom_cname(self.custom_cname.clone())
            .build()
    }
}

/// An empty name is as none: AWS returns what it was given.
fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_read_again() {
        let whole = Revocation {
            crl: Some(CrlPublication {
                bucket: "lists".into(),
                expiration_in_days: 7,
                custom_cname: Some("crl.example.com".into()),
                custom_path: Some("mesh".into()),
                acl: Some("BUCKET_OWNER_FULL_CONTROL".into()),
                kind: Some("PARTITIONED".into()),
                omits_extension: true,
            }),
            ocsp: Some(OcspPublication {
                custom_cname: Some("ocsp.example.com".into()),
            }),
        };
        for revocation in [Revocation::default(), whole] {
            let sdk = revocation.to_sdk().unwrap();
            assert_eq!(Revocation::of_sdk(Some(&sdk)), revocation);
        }
    }

    #[test]
    fn what_is_off_is_none() {
        let off = RevocationConfiguration::builder()
            .crl_configuration(CrlConfiguration::builder().enabled(false).build().unwrap())
            .ocsp_configuration(OcspConfiguration::builder().enabled(false).build().unwrap())
            .build();
        assert_eq!(Revocation::of_sdk(Some(&off)), Revocation::default());
        assert_eq!(Revocation::of_sdk(None), Revocation::default());
    }
}
