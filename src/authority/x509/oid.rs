//! Object identifiers in dotted form, by name.

// Extensions of certificates and CRLs, RFC 5280.
pub(crate) const SUBJECT_KEY_IDENTIFIER: &str = "2.5.29.14";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const CRL_NUMBER: &str = "2.5.29.20";
pub(crate) const REASON_CODE: &str = "2.5.29.21";
pub(crate) const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
pub(crate) const CERTIFICATE_POLICIES: &str = "2.5.29.32";
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(crate) const AUTHORITY_INFORMATION_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
pub(crate) const SUBJECT_INFORMATION_ACCESS: &str = "1.3.6.1.5.5.7.1.11";

// Attributes of certificate signing requests, PKCS #9.
pub(crate) const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

// Public keys and signatures.
pub(crate) const RSA: &str = "1.2.840.113549.1.1.1";
pub(crate) const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
pub(crate) const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
pub(crate) const RSA_SHA512: &str = "1.2.840.113549.1.1.13";
pub(crate) const RSA_PSS: &str = "1.2.840.113549.1.1.10";
pub(crate) const EC: &str = "1.2.840.10045.2.1";
pub(crate) const P256: &str = "1.2.840.10045.3.1.7";
pub(crate) const P384: &str = "1.3.132.0.34";
pub(crate) const P521: &str = "1.3.132.0.35";
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
pub(crate) const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
pub(crate) const ECDSA_SHA512: &str = "1.2.840.10045.4.3.4";
pub(crate) const ML_DSA_44: &str = "2.16.840.1.101.3.4.3.17";
pub(crate) const ML_DSA_65: &str = "2.16.840.1.101.3.4.3.18";
pub(crate) const ML_DSA_87: &str = "2.16.840.1.101.3.4.3.19";
pub(crate) const SHA1: &str = "1.3.14.3.2.26";
pub(crate) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(crate) const SHA384: &str = "2.16.840.1.101.3.4.2.2";
pub(crate) const SHA512: &str = "2.16.840.1.101.3.4.2.3";

// Purposes of a key.
pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
pub(crate) const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
pub(crate) const SMART_CARD_LOGIN: &str = "1.3.6.1.4.1.311.20.2.2";
pub(crate) const DOCUMENT_SIGNING: &str = "1.3.6.1.4.1.311.10.3.12";
pub(crate) const CERTIFICATE_TRANSPARENCY: &str = "1.3.6.1.4.1.11129.2.4.4";

// Access methods, OCSP responses and policy qualifiers.
pub(crate) const OCSP: &str = "1.3.6.1.5.5.7.48.1";
pub(crate) const OCSP_BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
pub(crate) const CA_REPOSITORY: &str = "1.3.6.1.5.5.7.48.5";
pub(crate) const RESOURCE_PKI_MANIFEST: &str = "1.3.6.1.5.5.7.48.10";
pub(crate) const RESOURCE_PKI_NOTIFY: &str = "1.3.6.1.5.5.7.48.13";
pub(crate) const CPS_URI: &str = "1.3.6.1.5.5.7.2.1";

// Attributes of names, in the order in which AWS writes them.
pub(crate) const COUNTRY: &str = "2.5.4.6";
pub(crate) const ORGANIZATION: &str = "2.5.4.10";
pub(crate) const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";
pub(crate) const NAME_QUALIFIER: &str = "2.5.4.46";
pub(crate) const STATE: &str = "2.5.4.8";
pub(crate) const COMMON_NAME: &str = "2.5.4.3";
pub(crate) const SERIAL_NUMBER: &str = "2.5.4.5";
pub(crate) const LOCALITY: &str = "2.5.4.7";
pub(crate) const TITLE: &str = "2.5.4.12";
pub(crate) const SURNAME: &str = "2.5.4.4";
pub(crate) const GIVEN_NAME: &str = "2.5.4.42";
pub(crate) const INITIALS: &str = "2.5.4.43";
pub(crate) const PSEUDONYM: &str = "2.5.4.65";
pub(crate) const GENERATION_QUALIFIER: &str = "2.5.4.44";
pub(crate) const EMAIL_ADDRESS: &str = "1.2.840.113549.1.9.1";
pub(crate) const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";
