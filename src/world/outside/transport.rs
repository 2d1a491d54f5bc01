//! Finds out why a connection failed, from the chain of errors: once for all clients.

use std::{error::Error, io};

use tokio_rustls::rustls::{self, CertificateError};

use crate::value::{FailureClass, chain};

/// What went wrong before a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// No trusted CA has issued the server's certificate.
    Untrusted,
    /// The certificate is for another server.
    WrongName,
    /// The certificate has expired, or is not valid yet.
    OutOfDate,
    /// The certificate can't be accepted for another reason.
    BadCertificate,
    /// The server does not use TLS there.
    NotTls,
    /// Nothing listens there.
    Refused,
    UnknownHost,
}

impl Transport {
    /// Finds the reason in an error's chain.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        chain(error).into_iter().find_map(Self::of_one)
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(why) => Some(Self::of_certificate(why)),
                rustls::Error::InvalidMessage(_) => Some(Self::NotTls),
                _ => None,
            };
        }
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return Some(Self::Refused);
        }
        // The system's resolver has no error type of its own.
        let text = error.to_string();
        let is_of_dns = ["dns error", "failed to lookup address"]
            .iter()
            .any(|words| text.contains(words));
        is_of_dns.then_some(Self::UnknownHost)
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfDate,
            _ => Self::BadCertificate,
        }
    }

    /// Returns the code of the failure.
    pub fn code(self) -> &'static str {
        match self {
            Self::Untrusted => "UntrustedCertificate",
            Self::WrongName => "WrongHostName",
            Self::OutOfDate => "CertificateOutOfDate",
            Self::BadCertificate => "BadCertificate",
            Self::NotTls => "NotTls",
            Self::Refused => "ConnectionRefused",
            Self::UnknownHost => "UnknownHost",
        }
    }

    /// Returns the class of the failure. If the server was reached but is the wrong one, or is misconfigured, a retry changes nothing.
    pub fn class(self) -> FailureClass {
        match self {
            Self::Refused | Self::UnknownHost => FailureClass::Unavailable,
            _ => FailureClass::Rejected,
        }
    }

    /// Returns the code for an error without a connection.
    pub fn code_of(error: &(dyn Error + 'static)) -> &'static str {
        Self::of(error).map_or("Unreachable", Self::code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_a_reason_is_found_below_an_io_error() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(Transport::of(&error), Some(Transport::Untrusted));
        let text = crate::value::causes(&error);
        assert_eq!(text.matches("UnknownIssuer").count(), 1, "{text}");
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(Transport::of(&refused), Some(Transport::Refused));
        assert_eq!(Transport::of(&io::Error::other("x")), None);
    }
}
