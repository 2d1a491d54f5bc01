//! A CA of 10,000 certificates beside one of 1,000,000, of which as many were revoked.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ALGORITHMS,
    client::{self, Connection},
    served::Served,
};

const SIZES: [u64; 2] = [10_000, 1_000_000];
const SECONDS: u64 = 3;
const STARTS: usize = 5;
const LOOKUPS: usize = 2_000;
const REVOKED: usize = 200;
const FETCHED: usize = 50;

struct Figures {
    start: Duration,
    issue: Duration,
    lookup: Duration,
    revoke: Duration,
    crl: Duration,
    list: Duration,
    report: Duration,
}

pub fn compare(folder: &Path) {
    let figures = SIZES.map(|size| measure(&folder.join(size.to_string()), size));
    let [small, large] = &figures;
    println!(
        "{:<38} {:>12} {:>12} {:>6}",
        "", "10,000", "1,000,000", "ratio"
    );
    let row = |name: &str, take: fn(&Figures) -> Duration, each: [f64; 2], unit: &str| {
        let scale = if unit == "ms" { 1e3 } else { 1e6 };
        let [a, b] = [
            take(small).as_secs_f64() / each[0] * scale,
            take(large).as_secs_f64() / each[1] * scale,
        ];
        println!("{name:<38} {a:>9.1} {unit} {b:>9.1} {unit} {:>6.2}", b / a);
    };
    row("start-up", |it| it.start, [1.0, 1.0], "ms");
    row("CPU of an issue", |it| it.issue, [1.0, 1.0], "µs");
    row("lookup", |it| it.lookup, [1.0, 1.0], "µs");
    row("revocation, with its CRL", |it| it.revoke, [1.0, 1.0], "ms");
    row("CRL, signed and fetched", |it| it.crl, [1.0, 1.0], "ms");
    row("list of authorities", |it| it.list, [1.0, 1.0], "µs");
    let sizes = SIZES.map(|size| size as f64);
    row(
        "audit report, for each certificate",
        |it| it.report,
        sizes,
        "µs",
    );
}

fn measure(folder: &Path, size: u64) -> Figures {
    fs::create_dir_all(folder).expect("a folder");
    let algorithm = &ALGORITHMS[1];
    let served = Served::start(folder);
    let authority = client::create(served.address(), algorithm);
    let seed = issued(served.address(), &authority, 1)[0].clone();
    drop(served);
    let serials = fill(folder, &authority, &seed, size);
    let serials = &serials;

    // The first start after so large a change may wait for the disk.
    let mut starts = [(); STARTS].map(|()| {
        let began = Instant::now();
        drop(Served::start(folder));
        began.elapsed()
    });
    starts.sort();
    let start = starts[STARTS / 2];
    let served = Served::start(folder);
    let before = served.cpu();
    let count = served.load(&authority, algorithm, SECONDS);
    let issue = (served.cpu() - before).div_f64(count as f64);

    let mut connection = Connection::open(served.address());
    let spread = |count: usize| (0..count).map(move |at| &serials[at * (serials.len() / count)]);
    let began = Instant::now();
    for serial in spread(LOOKUPS) {
        let arn = format!("{authority}/certificate/{serial}");
        connection.call(
            "GetCertificate",
            &json!({ "CertificateAuthorityArn": authority, "CertificateArn": arn }),
        );
    }
    let lookup = began.elapsed().div_f64(LOOKUPS as f64);

    connection.call("UpdateCertificateAuthority", &json!({
        "CertificateAuthorityArn": authority,
        "RevocationConfiguration": { "CrlConfiguration": { "Enabled": true, "ExpirationInDays": 7, "S3BucketName": "crls" } },
    }));
    let began = Instant::now();
    for serial in spread(REVOKED) {
        let colons: Vec<_> = (0..serial.len())
            .step_by(2)
            .map(|at| &serial[at..at + 2])
            .collect();
        let input = json!({ "CertificateAuthorityArn": authority, "CertificateSerial": colons.join(":"), "RevocationReason": "SUPERSEDED" });
        connection.call("RevokeCertificate", &input);
    }
    let revoke = began.elapsed().div_f64(REVOKED as f64);

    let id = authority.rsplit('/').next().unwrap_or_default();
    let began = Instant::now();
    for _ in 0..FETCHED {
        let size = connection.fetch(&format!("/crl/{id}.crl"));
        assert!(size > REVOKED * 16, "a CRL of {size} bytes");
    }
    let crl = began.elapsed().div_f64(FETCHED as f64);
    let began = Instant::now();
    for _ in 0..LOOKUPS {
        connection.call("ListCertificateAuthorities", &json!({ "MaxResults": 10 }));
    }
    let list = began.elapsed().div_f64(LOOKUPS as f64);

    let began = Instant::now();
    let input = json!({ "CertificateAuthorityArn": authority, "S3BucketName": "reports", "AuditReportResponseFormat": "JSON" });
    let asked = connection.call("CreateCertificateAuthorityAuditReport", &input);
    let id =
        json!({ "CertificateAuthorityArn": authority, "AuditReportId": asked["AuditReportId"] });
    loop {
        let status: Value = connection.call("DescribeCertificateAuthorityAuditReport", &id);
        if status["AuditReportStatus"] == "SUCCESS" {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let report = began.elapsed();
    Figures {
        start,
        issue,
        lookup,
        revoke,
        crl,
        list,
        report,
    }
}

/// Issues a few certificates; gives their serial numbers.
fn issued(address: &str, authority: &str, count: u64) -> Vec<String> {
    let algorithm = &ALGORITHMS[1];
    let csrs = client::encoded_csrs(&client::csrs(algorithm));
    let mut connection = Connection::open(address);
    let one = |token| {
        let input = client::issue(authority, &csrs[0], algorithm.signing, token);
        let input = serde_json::from_str(&input).expect("JSON");
        let answer = connection.call("IssueCertificate", &input);
        let arn = answer["CertificateArn"].as_str().expect("an ARN");
        arn.rsplit('/').next().unwrap_or_default().to_owned()
    };
    (0..count).map(one).collect()
}

/// Repeats one certificate under other serial numbers, as the CA would have given them in the last milliseconds, until it has
/// so many; gives all of these.
fn fill(folder: &Path, authority: &str, seed: &str, size: u64) -> Vec<String> {
    let database =
        rusqlite::Connection::open(folder.join("authority.db")).expect("the CA's database");
    let columns: Vec<String> = database
        .prepare(
            "SELECT name FROM pragma_table_info('certificate') WHERE name NOT IN ('id', 'serial')",
        )
        .and_then(|mut names| names.query_map([], |row| row.get(0))?.collect())
        .expect("the table of certificates");
    let columns = columns.join(", ");
    database
        .execute(
            &format!(
                "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
                 INSERT INTO certificate (serial, {columns})
                 SELECT printf('%012x', (1 << 46) + issued_at - ?1 + n) || lower(hex(randomblob(10))), {columns}
                 FROM count, certificate WHERE serial = ?2"
            ),
            rusqlite::params![size, seed],
        )
        .unwrap_or_else(|error| panic!("{authority} can't be filled: {error}"));
    database
        .prepare("SELECT serial FROM certificate WHERE generation > 0")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .expect("serial numbers")
}
