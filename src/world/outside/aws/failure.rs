//! Classifies errors of AWS services.

use std::collections::BTreeMap;

use super::{
    super::{
        answer::proof_of_aws,
        pca::{class_of, unreachable},
        transport::Transport,
    },
    model::{Protocol, Service},
    read::{Answer, json_of, parse},
    rule::actions,
};
use crate::{
    outside::answer::{Client, LOST, NOT_SENT, proof},
    value::{Failure, FailureClass, causes},
};

/// The contents of an error answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// Returns the failure for an answer with an error status.
pub fn of_answer(service: &Service, operation: &str, answer: Answer) -> Failure {
    let said = said(service, answer);
    let code = said
        .code
        .unwrap_or_else(|| format!("HTTP{}", answer.status));
    let message = said.message.unwrap_or_else(|| "no message".into());
    let mut failure = Failure::new(class(&code, answer.status), operation, &code, message);
    failure.request_id = said.request_id;
    failure.hint = hint(service, operation, &code);
    failure.proving(proof_of_aws(operation, &code, answer.status))
}

fn said(service: &Service, answer: Answer) -> Said {
    let header = |name: &str| answer.headers.get(name).map(String::as_str);
    let mut said = match service.protocol {
        Protocol::Json | Protocol::RestJson => of_json(answer.body),
        Protocol::Query | Protocol::RestXml | Protocol::Ec2 => of_xml(answer.body),
    };
    let of_header = header("x-amzn-errortype").map(plain);
    // A service that used the query protocol in the past keeps the codes of that time.
    let of_query = header("x-amzn-query-error").and_then(|text| text.split(';').next());
    said.code = of_query.or(of_header).map(str::to_owned).or(said.code);
    let id = ["x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"];
    let id = id.into_iter().find_map(header).map(str::to_owned);
    said.request_id = id.or(said.request_id);
    said
}

/// Shortens `com.amazonaws.x#CodeException:http://…` to `CodeException`.
fn plain(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or(code);
    code.split(':').next().unwrap_or(code)
}

fn of_json(body: &[u8]) -> Said {
    let json = json_of(body).unwrap_or_default();
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| json.get(name)?.as_str());
        found.map(str::to_owned)
    };
    Said {
        code: text(&["__type", "code", "Code"]).map(|code| plain(&code).to_owned()),
        message: text(&["message", "Message", "errorMessage"]),
        request_id: None,
    }
}

/// Reads `<ErrorResponse><Error><Code>…`, S3's `<Error><Code>…`, or EC2's `<Response><Errors><Error><Code>…`.
fn of_xml(body: &[u8]) -> Said {
    let text = String::from_utf8_lossy(body);
    let Ok(document) = parse(&text) else {
        return Said::default();
    };
    let find = |name: &str| {
        let mut nodes = document.descendants();
        let node = nodes.find(|node| node.tag_name().name() == name);
        node.and_then(|node| Some(node.text()?.trim().to_owned()))
    };
    Said {
        code: find("Code"),
        message: find("Message"),
        // EC2 spells it differently.
        request_id: find("RequestId").or_else(|| find("RequestID")),
    }
}

fn class(code: &str, status: u16) -> FailureClass {
    match code {
        // Codes for "too many" in addition to those of all services (botocore's `_retry.json`).
        "BandwidthLimitExceeded" | "EC2ThrottledException" | "LimitExceededException"
            if status == 429 =>
        {
            FailureClass::Throttled
        }
        "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "TransactionInProgressException" => FailureClass::Throttled,
        _ => match class_of(code) {
            FailureClass::Rejected => FailureClass::of_status(status),
            class => class,
        },
    }
}

fn hint(service: &Service, operation: &str, code: &str) -> Option<String> {
    Some(match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "UnauthorizedOperation" => match actions(service, operation).as_slice() {
            [] => return None,
            actions => format!(
                "the caller needs the IAM action `{}`; `windlass iam FILE` writes the policy",
                actions.join("`, `")
            ),
        },
        "ExpiredToken" | "ExpiredTokenException" => {
            "log in again (`aws sso login`), then resume the run".into()
        }
        "RequestTimeTooSkewed" | "RequestExpired" => "the clock of this machine is wrong".into(),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            "the bucket is in another region: name that region in the target".into()
        }
        _ => return None,
    })
}

/// Returns the failure for a request without a complete answer.
pub fn of_transport(operation: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let chain = causes(&error);
    let is_unsent = error.is_connect() || error.is_builder();
    let failure = if error.is_timeout() && !error.is_connect() {
        Failure::new(FailureClass::Timeout, operation, "Timeout", chain)
    } else {
        unreachable(operation, chain, Transport::of(&error))
    };
    let answer = if is_unsent { NOT_SENT } else { LOST };
    failure.proving(proof(Client::Aws, operation, answer))
}

/// Returns the names of headers in lower case; several values of one name are joined by `, `.
pub fn headers(answer: &reqwest::Response) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in answer.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::{super::model::service, *};

    fn failed(name: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
        let headers = headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let headers = headers.collect();
        let answer = Answer {
            status,
            headers: &headers,
            body: body.as_bytes(),
        };
        of_answer(service(name).expect("a model"), "CreateX", answer)
    }

    #[test]
    fn an_error_is_read_in_each_protocol() {
        let json = r#"{"__type":"com.amazonaws.secretsmanager#ResourceExistsException","Message":"it exists"}"#;
        let query = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>it exists</Message></Error>\
            <RequestId>r1</RequestId></ErrorResponse>";
        let s3 = "<Error><Code>NoSuchKey</Code><Message>it exists</Message><RequestId>r1</RequestId></Error>";
        let ec2 = "<Response><Errors><Error><Code>InvalidGroup.Duplicate</Code><Message>it exists</Message></Error></Errors>\
            <RequestID>r1</RequestID></Response>";
        for (name, body, code) in [
            ("ec2", ec2, "InvalidGroup.Duplicate"),
            ("secretsmanager", json, "ResourceExistsException"),
            ("elbv2", query, "ValidationError"),
            ("s3", s3, "NoSuchKey"),
            (
                "lambda",
                r#"{"Message":"it exists"}"#,
                "ResourceConflictException",
            ),
        ] {
            let headers = [(
                "x-amzn-errortype",
                "ResourceConflictException:http://internal/",
            )];
            let headers = if name == "lambda" { &headers[..] } else { &[] };
            let failure = failed(name, 400, headers, body);
            assert_eq!(
                (failure.code.as_str(), failure.message.as_str()),
                (code, "it exists"),
                "{name}"
            );
            assert!(!failure.may_be_done(), "{name}: a 4xx is refused");
        }
    }

    #[test]
    fn a10_what_does_not_prove_that_nothing_was_done_is_unknown() {
        for (status, code, may_be_done) in [
            (400, "ResourceExistsException", false),
            (400, "ThrottlingException", false),
            (429, "TooManyRequestsException", false),
            (403, "AccessDeniedException", false),
            (400, "RequestTimeoutException", true),
            (400, "RequestInProgressException", true),
            (408, "X", true),
            (500, "InternalServiceError", true),
            (503, "ServiceUnavailableException", true),
            (502, "X", true),
        ] {
            let body = format!(r#"{{"__type":"{code}"}}"#);
            let failure = failed("secretsmanager", status, &[], &body);
            assert_eq!(failure.may_be_done(), may_be_done, "{status} {code}");
        }
    }
}
