//! Every template with every passthrough, as `openssl x509 -text` prints it, compared with AWS's own table.
//!
//! `templates.json` has the definitions of the user guide's page "Template definitions". The expectations for a certificate
//! come from this file, not from the server's code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::authority::lab::{Lab, beside, has_openssl, text};

const NAME_CONSTRAINTS: &str = "X509v3 Name Constraints";
const OF_CSR: &str = "1.2.3.4.1";
const OF_API: &str = "1.2.3.4.2";

/// A request for everything that a template might refuse.
const REQUEST: &str = "
[req]
prompt = no
distinguished_name = name
req_extensions = wanted
[name]
CN = of-csr
[wanted]
basicConstraints = critical,CA:TRUE,pathlen:7
keyUsage = nonRepudiation
extendedKeyUsage = emailProtection
subjectAltName = DNS:csr.example.com
subjectKeyIdentifier = 00:11
nameConstraints = permitted;DNS:example.com
crlDistributionPoints = URI:http://csr.example.com/crl
1.2.3.4.1 = ASN1:UTF8String:csr
";

/// Extensions by openssl's names, with whether they are critical, and their values.
type Shown = BTreeMap<String, (bool, String)>;

struct Table {
    lab: Lab,
    /// One issuer with a CRL, and one without.
    issuers: [String; 2],
    request: String,
}

impl Table {
    fn new() -> Self {
        let lab = Lab::new();
        let crl = json!({ "RevocationConfiguration": { "CrlConfiguration": {
            "Enabled": true, "ExpirationInDays": 7, "S3BucketName": "crl-bucket",
        }}});
        let issuers = [lab.root("with", crl), lab.root("without", json!({}))];
        lab.file("req.conf", REQUEST);
        let arguments = [
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-config",
            "req.conf",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
        ];
        let (succeeded, printed) = lab.openssl(&arguments);
        assert!(succeeded, "{printed}");
        let request = std::fs::read_to_string(lab.folder.path().join("request.pem")).unwrap();
        Self {
            lab,
            issuers,
            request,
        }
    }

    fn issue(&self, template: &str, issuer: &str) -> (String, Shown) {
        let request = if template.contains("Root") {
            let of = json!({ "CertificateAuthorityArn": issuer });
            text(
                &self.lab.call("GetCertificateAuthorityCsr", of).unwrap(),
                "Csr",
            )
        } else {
            self.request.clone()
        };
        let more = json!({
            "TemplateArn": format!("arn:aws:acm-pca:::template/{template}"),
            "ApiPassthrough": {
                "Subject": { "CommonName": "of-api" },
                "Extensions": {
                    "KeyUsage": { "DataEncipherment": true },
                    "ExtendedKeyUsage": [{ "ExtendedKeyUsageType": "TIME_STAMPING" }],
                    "SubjectAlternativeNames": [{ "DnsName": "api.example.com" }],
                    "CertificatePolicies": [{ "CertPolicyId": "1.2.3.4.9" }],
                    "CustomExtensions": [
                        { "ObjectIdentifier": OF_API, "Value": "DANhcGk=", "Critical": true },
                        { "ObjectIdentifier": "2.5.29.31", "Value": "MB8wHaAboBmGF2h0dHA6Ly9hcGkuZXhhbXBsZS5jb20v" },
                    ],
                },
            },
        });
        let issued = self.lab.issue(issuer, &request, more).unwrap();
        let answer = self.lab.certificate(issuer, &issued).unwrap();
        self.lab
            .file("certificate.pem", text(&answer, "Certificate"));
        let (_, printed) = self
            .lab
            .openssl(&["x509", "-in", "certificate.pem", "-noout", "-text"]);
        (field(&printed, "Subject: "), extensions(&printed))
    }
}

#[test]
fn every_template_issues_what_its_definition_says() {
    if !has_openssl() {
        return;
    }
    let table = Table::new();
    let definitions: Value =
        serde_json::from_str(&std::fs::read_to_string(beside("templates.json")).unwrap()).unwrap();
    let arns = definitions["arns"].as_array().unwrap();
    assert_eq!(arns.len(), 61);
    for arn in arns {
        let template = arn.as_str().unwrap().split_once(":::template/").unwrap().1;
        let definition = &definitions["defs"][template];
        for (issuer, has_list) in table.issuers.iter().zip([true, false]) {
            let (subject, shown) = table.issue(template, issuer);
            let expected = expected(template, definition, has_list);
            assert_eq!(shown, expected, "{template}");
            let api = template.contains("API");
            let root = if has_list { "with" } else { "without" };
            let plain = if template.contains("Root") {
                root
            } else {
                "of-csr"
            };
            assert_eq!(
                subject,
                format!("CN = {}", if api { "of-api" } else { plain }),
                "{template}"
            );
        }
    }
}

/// Returns the extensions that AWS's table and its page "Template order of operations" require.
fn expected(template: &str, definition: &Value, has_list: bool) -> Shown {
    let (api, csr) = (template.contains("API"), template.contains("CSR"));
    let root = template.contains("Root");
    let mut all = Shown::new();
    let mut row = |name: &str, row: &str| {
        if let Some(words) = definition[row].as_str() {
            all.insert(name.to_owned(), translated(words));
        }
    };
    row("X509v3 Basic Constraints", "Basic constraints");
    row("X509v3 Key Usage", "Key usage");
    row("X509v3 Extended Key Usage", "Extended key usage");
    let mut add = |name: &str, critical: bool, value: &str| {
        all.entry(name.to_owned())
            .or_insert((critical, value.to_owned()));
    };
    // The values depend on the keys, so only their presence is compared.
    add("X509v3 Subject Key Identifier", false, "");
    if definition["Authority key identifier"]
        .as_str()
        .is_some_and(|words| words.contains("SKI from CA"))
    {
        add("X509v3 Authority Key Identifier", false, "");
    }
    let points = definition["CRL distribution points"]
        .as_str()
        .unwrap_or("from API");
    if has_list && points.contains("CA configuration") {
        add(
            "X509v3 CRL Distribution Points",
            false,
            "Full Name: crl-bucket.s3.us-east-1.amazonaws.com",
        );
    } else if api && (points.contains("API") && !points.contains("N/A")) {
        add(
            "X509v3 CRL Distribution Points",
            false,
            "Full Name: api.example.com",
        );
    } else if csr && points.contains("CSR") {
        add(
            "X509v3 CRL Distribution Points",
            false,
            "Full Name: csr.example.com",
        );
    }
    if api {
        add(
            "X509v3 Subject Alternative Name",
            false,
            "DNS:api.example.com",
        );
        add("X509v3 Key Usage", true, "Data Encipherment");
        add("X509v3 Extended Key Usage", false, "Time Stamping");
        add("X509v3 Certificate Policies", false, "Policy: 1.2.3.4.9");
        add(OF_API, true, "..api");
    } else if !root {
        add(
            "X509v3 Subject Alternative Name",
            false,
            "DNS:csr.example.com",
        );
    }
    if csr {
        add("X509v3 Key Usage", false, "Non Repudiation");
        add("X509v3 Extended Key Usage", false, "E-mail Protection");
        add(NAME_CONSTRAINTS, false, "Permitted: DNS:example.com");
        add(OF_CSR, false, "..csr");
    }
    all
}

/// Translates the table's terms to openssl's.
fn translated(words: &str) -> (bool, String) {
    let words = words.replace('`', "");
    let critical = words.starts_with("Critical");
    let listed: Vec<&str> = words
        .split(',')
        .map(str::trim)
        .filter(|word| *word != "Critical")
        .map(|word| match word {
            "digital signature" => "Digital Signature",
            "key encipherment" => "Key Encipherment",
            "keyCertSign" => "Certificate Sign",
            "CRL sign" => "CRL Sign",
            "TLS web server authentication" => "TLS Web Server Authentication",
            "TLS web client authentication" => "TLS Web Client Authentication",
            "code signing" => "Code Signing",
            "OCSP signing" => "OCSP Signing",
            other => other,
        })
        .collect();
    (critical, listed.join(", ").replace("pathlen: ", "pathlen:"))
}

fn field(printed: &str, name: &str) -> String {
    let line = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix(name));
    line.unwrap_or_default().to_owned()
}

/// Reads the extensions from the text: their names are indented by 12 spaces, their values by more.
fn extensions(printed: &str) -> Shown {
    let mut all = Shown::new();
    let mut last = String::new();
    let lines = printed
        .lines()
        .skip_while(|line| !line.contains("X509v3 extensions:"));
    for line in lines
        .skip(1)
        .take_while(|line| line.starts_with("            "))
    {
        if !line.starts_with("             ") {
            let (name, rest) = line
                .trim()
                .split_once(": ")
                .unwrap_or((line.trim().trim_end_matches(':'), ""));
            last = name.trim_end_matches(':').to_owned();
            all.insert(last.clone(), (rest.contains("critical"), String::new()));
        } else if let Some((_, value)) = all.get_mut(&last) {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(line.trim());
        }
    }
    for (name, (_, value)) in &mut all {
        if name.ends_with("Key Identifier") {
            value.clear();
        }
    }
    // Only the host of an address is compared.
    if let Some((_, value)) = all.get_mut("X509v3 CRL Distribution Points") {
        let host = value
            .split("URI:http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        *value = format!("Full Name: {}", host.unwrap_or_default());
    }
    all
}
