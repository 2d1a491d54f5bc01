//! Signs requests: AWS Signature Version 4, with AWS's own crate.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;

use super::write::Unsigned;

/// The scope of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub region: &'a str,
    /// The service's name in signatures.
    pub service: &'a str,
    pub at: SystemTime,
}

/// Returns the headers that sign a request, such as `authorization` and `x-amz-date`.
///
/// # Errors
/// An error of the crate: a header that is not ASCII.
pub fn headers(
    request: &Unsigned,
    url: &str,
    credentials: &Credentials,
    scope: Scope,
) -> Result<Vec<(String, String)>, String> {
    let mut settings = SigningSettings::default();
    // Amazon S3 uses the path unchanged, and requires the digest of the body as a header (Amazon S3 API Reference,
    // "Authenticating Requests: Using the Authorization Header").
    if scope.service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity: Identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.at)
        .settings(settings)
        .build()
        .map_err(|e| e.to_string())?
        .into();
    let signed = request.headers.iter();
    let signed = signed.map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&request.body);
    let request = SignableRequest::new(&request.method, url, signed, body);
    let request = request.map_err(|e| e.to_string())?;
    let (instructions, _) = sign(request, &params)
        .map_err(|e| e.to_string())?
        .into_parts();
    let headers = instructions.headers();
    Ok(headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// The keys, the region and the time of AWS's test suite for Signature Version 4.
    const KEYS: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    /// 2015-08-30T12:36:00Z.
    const AT: u64 = 1_440_938_160;

    fn signature(request: &Unsigned, path: &str, token: Option<&str>) -> String {
        let token = token.map(str::to_owned);
        let credentials = Credentials::new(KEYS.0, KEYS.1, token, None, "test");
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            at: UNIX_EPOCH + Duration::from_secs(AT),
        };
        let url = format!("https://example.amazonaws.com{path}");
        let headers = headers(request, &url, &credentials, scope).expect("signed");
        let found = headers.iter().find(|(name, _)| name == "authorization");
        let (_, value) = found.expect("the header");
        let (_, signature) = value.split_once("Signature=").expect("a signature");
        signature.to_owned()
    }

    fn request(method: &str, headers: &[(&str, &str)], body: &str) -> Unsigned {
        let headers = headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Unsigned {
            method: method.into(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec().into(),
            ..Unsigned::default()
        }
    }

    /// From aws-sig-v4-test-suite, which AWS publishes with its C and Rust libraries (Apache License 2.0), without
    /// `get-space-normalized`, which encodes a path once: services other than S3 expect it encoded twice, as boto3 does.
    #[test]
    fn aws_s_test_vectors_are_met() {
        const OWN: &[(&str, &str)] = &[("my-header1", "value1")];
        let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let unreserved = format!("/?{unreserved}={unreserved}");
        for (name, method, path, headers, body, wanted) in [
            (
                "get-vanilla",
                "GET",
                "/",
                &[][..],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-query-unreserved",
                "GET",
                &unreserved,
                &[],
                "",
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            (
                "get-vanilla-utf8-query",
                "GET",
                "/?%E1%88%B4=bar",
                &[],
                "",
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "get-slash-pointless-dot-normalized",
                "GET",
                "/./example",
                &[],
                "",
                "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
            ),
            (
                "post-header-key-sort",
                "POST",
                "/",
                OWN,
                "",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            (
                "post-vanilla-query",
                "POST",
                "/?Param1=value1",
                &[],
                "",
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
        ] {
            let request = request(method, headers, body);
            assert_eq!(signature(&request, path, None), wanted, "{name}");
        }
    }

    /// `post-sts-header-before` of the same suite.
    #[test]
    fn a_session_token_is_signed() {
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTfl\
            fKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6\
            fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2I\
            CCR/oLxBA==";
        assert_eq!(
            signature(&request("POST", &[], ""), "/", Some(token)),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        );
    }
}
