use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use x509_parser::der_parser::ber::{BerObject, BerObjectContent, parse_ber};

use super::{
    certificate::Certificate,
    signed_data::{SignedData, SignerError},
};
use crate::value::Digest;
use windlass_ground::Timestamp;

/// The reason why a timestamp is not valid for the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("the timestamp can't be read as RFC 3161 says")]
    Unreadable,
    #[error("the authority refused (status {0})")]
    Refused(u64),
    #[error("the timestamp is of something else")]
    OtherContent,
    #[error("the timestamp answers another request")]
    OtherRequest,
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// The data of a timestamp that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// When, according to the authority, it saw the content.
    pub at: Timestamp,
    /// The subject of the authority's certificate.
    pub authority: String,
    /// Whether the certificate leads to one of the given CAs. Without any, the signer could be anyone.
    pub is_trusted: bool,
}

/// A `TimeStampReq` (RFC 3161, section 2.4.1) for the SHA-256 of some content.
pub struct TimestampRequest {
    der: Vec<u8>,
}

/// The answer of a time stamping authority about some content, with the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampToken {
    /// Base64 of the `TimeStampReq`.
    request: String,
    /// Base64 of the `TimeStampResp`, in the form that `openssl ts -verify -in` takes.
    response: String,
}

/// `SEQUENCE { version 1, messageImprint { { sha256, NULL }, OCTET STRING (32) …`.
const HEAD: [u8; 24] = [
    0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
/// `… nonce INTEGER (8)`.
const NONCE: [u8; 2] = [0x02, 0x08];
/// `… certReq TRUE }`: the answer contains what is needed to check it later.
const TAIL: [u8; 3] = [0x01, 0x01, 0xff];

impl TimestampRequest {
    pub fn new(content: &[u8], mut nonce: [u8; 8]) -> Self {
        // A positive number of exactly this length.
        nonce[0] = nonce[0] & 0x3f | 0x40;
        let digest = Digest::of_content(content);
        let der = [&HEAD[..], digest.as_bytes(), &NONCE, &nonce, &TAIL].concat();
        Self { der }
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn answered(&self, response: &[u8]) -> TimestampToken {
        TimestampToken {
            request: BASE64.encode(&self.der),
            response: BASE64.encode(response),
        }
    }
}

impl TimestampToken {
    /// Checks that the authority granted it, for this content and in answer to this request; that its signature is valid; that its certificate
    /// is for timestamps and was valid then; and, if `roots` are given, that it leads to one of
    /// them.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, content: &[u8], roots: &[Certificate]) -> Result<Stamped, TimestampError> {
        let decode = |text: &str| BASE64.decode(text.as_bytes()).ok();
        let unreadable = TimestampError::Unreadable;
        let request = decode(&self.request).ok_or(unreadable.clone())?;
        let response = decode(&self.response).ok_or(unreadable.clone())?;
        let stamp = Stamp::read(&response)?;
        if stamp.imprint != Digest::of_content(content).as_bytes() {
            return Err(TimestampError::OtherContent);
        }
        let nonce = nonce_of(&request).ok_or(unreadable)?;
        if stamp.nonce.as_deref() != Some(&nonce[..]) {
            return Err(TimestampError::OtherRequest);
        }
        let signer = stamp.signed.signer(&stamp.info)?;
        signer.check(stamp.moment, roots)?;
        Ok(Stamped {
            at: stamp.moment.into(),
            authority: signer.subject().to_owned(),
            is_trusted: !roots.is_empty(),
        })
    }
}

/// Returns the nonce of a request in the form of [`TimestampRequest::new`].
fn nonce_of(request: &[u8]) -> Option<[u8; 8]> {
    let rest = request.strip_prefix(&HEAD)?.get(32..)?;
    rest.strip_prefix(&NONCE)?
        .strip_suffix(&TAIL)?
        .try_into()
        .ok()
}

/// The contents of a `TSTInfo`.
struct Stamp {
    imprint: Vec<u8>,
    nonce: Option<Vec<u8>>,
    moment: OffsetDateTime,
    /// The `TSTInfo` itself, and its signature.
    info: Vec<u8>,
    signed: SignedData,
}

impl Stamp {
    /// Reads a `TimeStampResp`: its status, and the `TSTInfo` inside of the signed data.
    fn read(response: &[u8]) -> Result<Self, TimestampError> {
        let unreadable = TimestampError::Unreadable;
        let response = object(response).ok_or(unreadable.clone())?;
        let status = status_of(&response).ok_or(unreadable.clone())?;
        // Granted, or granted with modifications.
        if status > 1 {
            return Err(TimestampError::Refused(status));
        }
        let token = response.as_sequence().ok().and_then(|parts| parts.get(1));
        let signed = token.and_then(SignedData::of).ok_or(unreadable.clone())?;
        Self::of(signed).ok_or(unreadable)
    }

    /// `SEQUENCE { version, policy, messageImprint, serialNumber, genTime, …, nonce, … }`.
    fn of(signed: SignedData) -> Option<Self> {
        let der = signed.content.clone();
        let info = object(&der)?;
        let fields = info.as_sequence().ok()?;
        let imprint = fields.get(2)?.as_sequence().ok()?.get(1)?;
        let moment = match &fields.get(4)?.content {
            BerObjectContent::GeneralizedTime(at) => at.to_datetime().ok()?,
            _ => return None,
        };
        let nonce = fields.iter().skip(5).find_map(|field| match field.content {
            BerObjectContent::Integer(digits) => Some(digits.to_vec()),
            _ => None,
        });
        Some(Self {
            imprint: imprint.as_slice().ok()?.to_vec(),
            nonce,
            moment,
            info: der.clone(),
            signed,
        })
    }
}

pub(super) fn object(der: &[u8]) -> Option<BerObject<'_>> {
    parse_ber(der).ok().map(|(_, object)| object)
}

fn status_of(response: &BerObject) -> Option<u64> {
    let status = response.as_sequence().ok()?.first()?;
    status.as_sequence().ok()?.first()?.as_u64().ok()
}
