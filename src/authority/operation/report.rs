//! CreateCertificateAuthorityAuditReport and DescribeCertificateAuthorityAuditReport.
//!
//! The formats are described on the user guide's page "Use audit reports with your private CA".

use std::io::{self, Write};

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::bucket;
use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::describe::timestamp;
use crate::options::Quotas;
use crate::rule::arn;
use crate::rule::status::{Deed, Status};
use crate::service::unique;
use crate::store::authority::Authority;
use crate::store::certificate::{self, Certificate, Revocation};
use crate::store::report::{self, Report};
use crate::x509::certificate::facts;
use crate::x509::name::readable;

/// AWS creates at most one report within this time.
const BETWEEN: Moment = 30 * 60 * 1000;

const COLUMNS: [&str; 11] = [
    "awsAccountId",
    "requestedByServicePrincipal",
    "certificateArn",
    "serial",
    "subject",
    "notBefore",
    "notAfter",
    "issuedAt",
    "revokedAt",
    "revocationReason",
    "templateArn",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    s3_bucket_name: String,
    audit_report_response_format: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfReport {
    certificate_authority_arn: String,
    audit_report_id: String,
}

/// Writes a report to the bucket's folder.
pub(crate) fn create(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    if !bucket::is_name(&input.s3_bucket_name) {
        return Err(Code::InvalidArgs.says(format!(
            "The S3 bucket name {} does not follow the rules for bucket names",
            input.s3_bucket_name
        )));
    }
    let (now, options) = (call.now, &call.service.options);
    let id = unique()?;
    let format = Format::of(&input.audit_report_response_format);
    let failed = call.fails_later;
    let key = call.service.store.read(|connection| {
        let authority = call.authority(connection, &input.certificate_authority_arn)?;
        authority.check(Deed::Manage, now)?;
        if authority.status(now) == Status::Creating || authority.identity.is_none() {
            return Err(Code::InvalidState
                .says("The certificate authority is not in a valid state for audit reports"));
        }
        let last = report::last(connection, &authority.arn)?;
        if options.quotas == Quotas::Aws && last.is_some_and(|last| now - last < BETWEEN) {
            return Err(Code::RequestInProgress
                .says("An audit report can be created at most every 30 minutes"));
        }
        let extension = format.extension();
        let key = format!("audit-report/{}/{id}.{extension}", arn::id(&authority.arn));
        if !failed {
            let (folder, bucket) = (&options.folder, &input.s3_bucket_name);
            let write = |file: &mut dyn Write| format.write(file, connection, &authority);
            bucket::put_stream(folder, bucket, &key, write, unwritable)?;
        }
        Ok(key)
    })?;
    let answer = json!({ "AuditReportId": id, "S3Key": key });
    let report = Report {
        id,
        bucket: input.s3_bucket_name,
        key,
        created_at: now,
        ready_at: now,
        failed,
    };
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| report::insert(connection, &authority.arn, &report),
    )?;
    Ok(answer)
}

/// Returns the status of a report, and its location.
pub(crate) fn describe(call: &Call) -> Result<Value, Failure> {
    let input: OfReport = call.read()?;
    let found = call.service.store.read(|connection| {
        let authority = call.authority(connection, &input.certificate_authority_arn)?;
        report::find(connection, &authority.arn, &input.audit_report_id)?.ok_or_else(|| {
            let id = &input.audit_report_id;
            Code::ResourceNotFound.says(format!("Could not find audit report {id}"))
        })
    })?;
    let status = match found.failed {
        _ if call.now < found.ready_at => "CREATING",
        true => "FAILED",
        false => "SUCCESS",
    };
    Ok(json!({
        "AuditReportStatus": status,
        "S3BucketName": found.bucket,
        "S3Key": found.key,
        "CreatedAt": timestamp(found.created_at),
    }))
}

/// The format of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

impl Format {
    fn of(name: &str) -> Self {
        if name == "CSV" { Self::Csv } else { Self::Json }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Writes the rows of all certificates one by one, since there may be a million.
    fn write(
        self,
        file: &mut dyn Write,
        connection: &Connection,
        authority: &Authority,
    ) -> Result<(), Failure> {
        let mut rows = 0;
        let head = match self {
            Self::Csv => COLUMNS.join(",") + "\n",
            Self::Json => "[".to_owned(),
        };
        file.write_all(head.as_bytes()).map_err(unwritable)?;
        certificate::each(connection, &authority.arn, |certificate, revocation| {
            let row = row(authority, certificate, revocation);
            let text = match self {
                Self::Csv => csv(&row),
                Self::Json => {
                    let between = if rows == 0 { "\n  " } else { ",\n  " };
                    let row = format!("{:#}", Value::Object(row));
                    between.to_owned() + &row.replace('\n', "\n  ")
                }
            };
            rows += 1;
            file.write_all(text.as_bytes()).map_err(unwritable)
        })?;
        let tail = match (self, rows) {
            (Self::Csv, _) => "",
            (Self::Json, 0) => "]\n",
            (Self::Json, _) => "\n]\n",
        };
        file.write_all(tail.as_bytes()).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Failure {
    Code::RequestFailed.says(format!(
        "The report cannot be written to the bucket: {error}"
    ))
}

fn csv(row: &Map<String, Value>) -> String {
    let cells = COLUMNS.map(|column| {
        let cell = row.get(column).and_then(Value::as_str).unwrap_or_default();
        format!("\"{}\"", cell.replace('"', "\"\""))
    });
    cells.join(",") + "\n"
}

fn row(
    authority: &Authority,
    certificate: &Certificate,
    revocation: Option<&Revocation>,
) -> Map<String, Value> {
    let facts = facts(&certificate.body);
    let partition = arn::partition(&authority.region);
    let template = format!(
        "arn:{partition}:acm-pca:::template/{}/V1",
        certificate.template
    );
    let cells = [
        Some(certificate.requester.clone()),
        None,
        Some(arn::certificate(&authority.arn, &certificate.serial)),
        Some(colons(&certificate.serial)),
        facts.as_ref().map(|facts| readable(&facts.subject)),
        facts.as_ref().map(|facts| written(facts.not_before)),
        facts.as_ref().map(|facts| written(facts.not_after)),
        Some(written(certificate.issued_at)),
        revocation.map(|revocation| written(revocation.revoked_at)),
        revocation.map(|revocation| revocation.reason.clone()),
        Some(template),
    ];
    COLUMNS
        .into_iter()
        .zip(cells)
        .filter_map(|(column, cell)| Some((column.to_owned(), Value::from(cell?))))
        .collect()
}

fn colons(serial: &str) -> String {
    let pairs: Vec<&str> = (0..serial.len() / 2)
        .map(|at| &serial[2 * at..2 * at + 2])
        .collect();
    pairs.join(":")
}

fn written(moment: Moment) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    OffsetDateTime::from_unix_timestamp(moment.div_euclid(1000))
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}
