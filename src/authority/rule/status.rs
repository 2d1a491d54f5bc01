//! What an authority may do in each of its states (the user guide's page "Private CA lifecycle").

use strum::{EnumString, IntoStaticStr};

use crate::clock::Moment;
use crate::failure::{Code, Failure};

/// The status of an authority, as in the response of `DescribeCertificateAuthority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Creating,
    PendingCertificate,
    Active,
    Deleted,
    Disabled,
    Expired,
    Failed,
}

impl Status {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the status at a point in time: CREATING until the authority is ready, EXPIRED after its certificate has
    /// expired. These two are never stored.
    pub fn at(self, now: Moment, ready_at: Moment, not_after: Option<Moment>) -> Self {
        match self {
            Self::PendingCertificate | Self::Failed if now < ready_at => Self::Creating,
            Self::Active | Self::Disabled if not_after.is_some_and(|end| end < now) => {
                Self::Expired
            }
            other => other,
        }
    }
}

/// What a request does with an authority, as far as the status matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Configure,
    Delete,
    Import,
    Issue,
    IssueOwn,
    Manage,
    ReadCertificate,
    ReadCsr,
    Restore,
    Revoke,
}

/// Refuses what the status does not allow, with AWS's messages where they are known.
pub(crate) fn check(status: Status, deed: Deed) -> Result<(), Failure> {
    use Status::{Active, Creating, Deleted, Disabled, Expired, Failed, PendingCertificate};
    let invalid = |message: &str| Err(Code::InvalidState.says(message));
    match (deed, status) {
        (Deed::Issue, Active) | (Deed::IssueOwn, Active | PendingCertificate) => Ok(()),
        (Deed::Issue | Deed::IssueOwn, _) => {
            invalid("The certificate authority is not in a valid state for issuing certificates")
        }
        (Deed::Configure, Active | Disabled) => Ok(()),
        (Deed::Configure, _) => invalid(
            "The certificate authority must be in the ACTIVE or DISABLED state to be updated",
        ),
        (Deed::Delete, PendingCertificate | Creating | Expired | Disabled | Failed) => Ok(()),
        (Deed::Delete, _) => {
            invalid("The certificate authority is not in a valid state for deletion")
        }
        (Deed::Import, PendingCertificate | Active | Disabled | Expired) => Ok(()),
        (Deed::Import, _) => {
            invalid("The certificate authority is not in a valid state for importing a certificate")
        }
        (Deed::ReadCsr, PendingCertificate | Active | Disabled | Expired) => Ok(()),
        (Deed::ReadCsr, Creating) => Err(Code::RequestInProgress
            .says("The request to create the certificate authority is still in progress")),
        (Deed::ReadCsr, Failed) => {
            Err(Code::RequestFailed.says("The request to create the certificate authority failed"))
        }
        (Deed::ReadCsr, Deleted) => invalid(
            "The certificate authority is not in the correct state to have a certificate signing request",
        ),
        (Deed::ReadCertificate, Active | Disabled | Expired) => Ok(()),
        (Deed::ReadCertificate, _) => {
            invalid("The certificate authority is not in the correct state to have a certificate")
        }
        (Deed::Restore, Deleted) => Ok(()),
        (Deed::Restore, _) => {
            invalid("The certificate authority must be in the DELETED state to be restored")
        }
        (Deed::Revoke, Active | Disabled) => Ok(()),
        (Deed::Revoke, _) => {
            invalid("The certificate authority is not in a valid state for revoking certificates")
        }
        (Deed::Manage, Deleted) => invalid("The certificate authority is in the DELETED state"),
        (Deed::Manage, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creating_and_expired_depend_on_the_clock() {
        let pending = Status::PendingCertificate;
        assert_eq!(pending.at(5, 6, None), Status::Creating);
        assert_eq!(pending.at(6, 6, None), pending);
        assert_eq!(Status::Disabled.at(9, 0, Some(8)), Status::Expired);
        assert_eq!(Status::Active.at(8, 0, Some(8)), Status::Active);
        assert_eq!(Status::Deleted.at(9, 0, Some(8)), Status::Deleted);
    }

    #[test]
    fn an_active_authority_must_be_disabled_before_it_is_deleted() {
        assert!(check(Status::Active, Deed::Delete).is_err());
        assert!(check(Status::Disabled, Deed::Delete).is_ok());
        assert!(check(Status::Disabled, Deed::Revoke).is_ok());
        assert!(check(Status::Disabled, Deed::Issue).is_err());
    }
}
