//! Beside boto3: the same calls give the same on moto's server, and are the same on the wire.

use std::{path::Path, process::Command};

use serde_json::{Value as Json, json};

use super::{
    doubt::keyed,
    says,
    server::{Asked, Reply, Server},
};
use crate::{
    client::moto,
    harness::{Ran, Test, fed},
};

/// Runs the peer with some input; what it prints is JSON.
fn boto3(arguments: &[&str], input: &Json) -> Json {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/beside_boto3.py");
    let mut python = Command::new("python3");
    python
        .arg(script)
        .args(arguments)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1");
    fed(&mut python, &input.to_string()).expect(0).json()
}

/// Ends a script: without a secret in it, the text is none.
const WRITE: &str = r#"
    let text = json::stringify(all);
    if type_of(text) == "string" { file::write("all.json", text); } else { file::write_secret("all.json", text); }
    #{}
}
"#;

/// A script that makes these calls and writes what they give.
fn script(calls: &Json) -> String {
    let mut text = String::from("fn run(inputs) {\n    let all = [];\n");
    for call in calls.as_array().expect("a list") {
        let (service, operation) = (
            call[0].as_str().expect("a name"),
            call[1].as_str().expect("a name"),
        );
        let quoted = |value: &Json| serde_json::to_string(&value.to_string()).expect("a text");
        let options = match call.get(3) {
            Some(options) => format!("json::parse({})", quoted(options)),
            None => "#{ idempotent: false }".into(),
        };
        text.push_str(&format!(
            "    all.push(aws::request(\"{service}\", \"{operation}\", json::parse({}), {options}));\n",
            quoted(&call[2])
        ));
    }
    text.push_str(WRITE);
    text
}

fn made(test: &Test, name: &str, calls: &Json) -> Json {
    test.write(
        &format!("{name}.yaml"),
        &format!("workflow: {name}\nsteps: {{ a: {{ script: {name}.rhai }} }}\n"),
    );
    test.write(&format!("{name}.rhai"), &script(calls));
    keyed(test, &["run", &format!("{name}.yaml"), "--target", "t"]).expect(0);
    serde_json::from_str(&test.read("out/all.json")).expect("JSON")
}

#[test]
fn moto_answers_us_as_it_answers_boto3() {
    let Some(moto) = moto() else {
        return;
    };
    let url = format!("http://{}", moto.address());
    let target = format!("[targets.t]\naws = {{ region = \"us-east-1\", endpoint = \"{url}\" }}\n");
    let test = Test::new().file("windlass.toml", &target);
    let created = made(
        &test,
        "create",
        &json!([
            ["secretsmanager", "CreateSecret", { "Name": "db/prod", "SecretString": "{\"password\":\"hunter22\"}",
                "Tags": [{ "Key": "team", "Value": "a b" }] }],
            ["secretsmanager", "PutSecretValue", { "SecretId": "db/prod", "SecretString": "{\"password\":\"hunter23\"}" }],
            ["ssm", "PutParameter", { "Name": "/app/token", "Value": "s3cr3t-token", "Type": "SecureString" }],
            ["ssm", "PutParameter", { "Name": "/app/host", "Value": "db.example", "Type": "String" }],
            ["route53", "CreateHostedZone", { "Name": "example.org.", "CallerReference": "r1",
                "HostedZoneConfig": { "Comment": "<a & b>" } }],
            ["acm", "RequestCertificate", { "DomainName": "a.example.org", "ValidationMethod": "DNS",
                "SubjectAlternativeNames": ["b.example.org"], "Tags": [{ "Key": "team", "Value": "a" }] }],
            ["sts", "AssumeRole", { "RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "session",
                "Tags": [{ "Key": "k", "Value": "v" }] }],
            ["route53", "CreateHostedZone", { "Name": "example.net.", "CallerReference": "r2" }],
            ["s3", "CreateBucket", { "Bucket": "pages" }],
            ["s3", "PutObject", { "Bucket": "pages", "Key": "a/1", "Body": "x" }],
            ["s3", "PutObject", { "Bucket": "pages", "Key": "a/2", "Body": "x" }],
            ["s3", "PutObject", { "Bucket": "pages", "Key": "b", "Body": "x" }],
            ["ec2", "CreateVpc", { "CidrBlock": "10.0.0.0/16", "TagSpecifications": [
                { "ResourceType": "vpc", "Tags": [{ "Key": "Name", "Value": "a & b" }] }] }],
            ["ec2", "CreateKeyPair", { "KeyName": "k" }],
            ["ec2", "RunInstances", { "ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1 }],
            ["ec2", "RunInstances", { "ImageId": "ami-12c6146b", "MinCount": 2, "MaxCount": 2 }],
            ["ec2", "RunInstances", { "ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1 }],
        ]),
    );
    let zone = created[4]["HostedZone"]["Id"].as_str().expect("an id");
    let certificate = created[5]["CertificateArn"].as_str().expect("an ARN");
    assert!(
        created[6]["Credentials"]["SecretAccessKey"].is_string(),
        "{created}"
    );
    // An id as an answer gives it: `/hostedzone/Z…`.
    made(
        &test,
        "records",
        &json!([["route53", "ChangeResourceRecordSets", { "HostedZoneId": zone, "ChangeBatch": { "Changes": [
            { "Action": "UPSERT", "ResourceRecordSet": { "Name": "a.example.org.", "Type": "TXT", "TTL": 60,
                "ResourceRecords": [{ "Value": "\"one\"" }, { "Value": "\"two\"" }] } },
        ] } }]]),
    );
    let reads = json!([
        ["secretsmanager", "GetSecretValue", { "SecretId": "db/prod" }],
        ["secretsmanager", "DescribeSecret", { "SecretId": "db/prod" }],
        ["secretsmanager", "ListSecrets", {}],
        ["ssm", "GetParameter", { "Name": "/app/token", "WithDecryption": true }],
        ["ssm", "GetParametersByPath", { "Path": "/app", "WithDecryption": true }],
        ["ssm", "DescribeParameters", {}],
        ["sts", "GetCallerIdentity", {}],
        ["route53", "ListHostedZones", {}],
        ["route53", "GetHostedZone", { "Id": zone }],
        ["route53", "ListResourceRecordSets", { "HostedZoneId": zone, "MaxItems": "10" }],
        ["acm", "ListCertificates", {}],
        ["acm", "DescribeCertificate", { "CertificateArn": certificate }],
        ["acm", "ListTagsForCertificate", { "CertificateArn": certificate }],
        ["ec2", "DescribeVpcs", { "Filters": [{ "Name": "tag:Name", "Values": ["a & b", "c"] }] }],
        ["ec2", "DescribeKeyPairs", {}],
        ["ec2", "DescribeInstances", {}],
        ["ec2", "DescribeInstances", { "MaxResults": 1 }, { "pages": 5 }],
        ["secretsmanager", "ListSecrets", { "MaxResults": 1 }, { "pages": 5 }],
        ["ssm", "DescribeParameters", { "MaxResults": 1 }, { "pages": 5 }],
        ["route53", "ListHostedZones", { "MaxItems": "1" }, { "pages": 5 }],
        ["route53", "ListResourceRecordSets", { "HostedZoneId": zone, "MaxItems": "1" }, { "pages": 9 }],
        ["s3", "ListObjectsV2", { "Bucket": "pages", "MaxKeys": 2 }, { "pages": 5 }],
        ["s3", "ListObjects", { "Bucket": "pages", "MaxKeys": 1 }, { "pages": 5 }],
    ]);
    let ours = made(&test, "reads", &reads);
    let theirs = boto3(&["read", &url], &reads);
    for (at, call) in reads.as_array().expect("a list").iter().enumerate() {
        assert_eq!(ours[at], theirs[at], "{} {}", call[0], call[1]);
    }
    assert_eq!(ours[0]["SecretString"], "{\"password\":\"hunter23\"}");
    assert_eq!(ours[16]["Reservations"].as_array().map(Vec::len), Some(3));
    assert_eq!(ours[22]["Contents"].as_array().map(Vec::len), Some(3));
    more_pages_than_asked_for(&test);
    secrets_by_reference(&test);
}

fn more_pages_than_asked_for(test: &Test) {
    for (pages, code) in [(2, 1), (3, 0)] {
        test.write(
            "pages.yaml",
            &format!("workflow: pages\nsteps:\n  a:\n    run: |\n      aws::request(\"ec2\", \"DescribeInstances\", #{{ MaxResults: 1 }}, #{{ pages: {pages} }});\n      #{{}}\n"),
        );
        let ran = keyed(test, &["run", "pages.yaml", "--target", "t"]).expect(code);
        if code == 1 {
            says(&ran, "the result has more than 2 pages");
            says(&ran, "ask for less, or raise `pages`");
        }
    }
}

/// On the same server, which takes seconds to start.
fn secrets_by_reference(test: &Test) {
    test.write(
        "use.yaml",
        "workflow: use\nparams:\n  password: { type: secret, default: 'secretsmanager:db/prod#password' }\n  token: secret\n\
         steps:\n  a:\n    with: { password: '${{ params.password }}', token: '${{ params.token }}' }\n    run: |\n      \
         file::write_secret(\"p\", inputs.password + \" \" + inputs.token);\n      \
         file::write_secret(\"q\", secret::read(\"ssm:/app/host\"));\n",
    );
    let run = [
        "run",
        "use.yaml",
        "--target",
        "t",
        "-p",
        "token=ssm:/app/token",
    ];
    keyed(test, &run).expect(0);
    assert_eq!(test.read("out/p"), "hunter23 s3cr3t-token");
    assert_eq!(test.read("out/q"), "db.example");
    let shown = test.windlass(&["show", "--json"]).expect(0).stdout;
    assert!(shown.contains("‹secret from ssm:/app/token›"), "{shown}");
    for (token, said) in [
        ("ssm:/app/none", "ParameterNotFound"),
        ("secretsmanager:none", "ResourceNotFoundException"),
        (
            "secretsmanager:db/prod#user",
            "has no key `user` (it has password)",
        ),
    ] {
        let token = format!("token={token}");
        let ran = keyed(test, &["run", "use.yaml", "--target", "t", "-p", &token]).expect(1);
        says(&ran, said);
    }
}

/// Answers with the least that boto3 and we can read.
fn least(asked: &Asked, _: usize) -> Reply {
    let action = asked
        .body
        .strip_prefix("Action=")
        .and_then(|rest| rest.split('&').next());
    Reply::Says(200, match action {
        Some(action) => format!("<{action}Response><{action}Result/></{action}Response>"),
        None if asked.target.starts_with("/2013-04-01") => {
            "<R><ChangeInfo><Id>C</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></R>".into()
        }
        None if asked.target.starts_with("/bucket") => String::new(),
        None => "{}".into(),
    })
}

#[test]
fn a_request_is_the_same_on_the_wire_as_boto3_s() {
    let calls = json!([
        ["secretsmanager", "PutSecretValue", { "SecretId": "db/ä", "SecretString": "a\"b", "ClientRequestToken":
            "11111111111111111111111111111111" }],
        ["dynamodb", "PutItem", { "TableName": "t", "Item": { "id": { "S": "a" }, "n": { "N": "1" } } }],
        ["sqs", "SendMessage", { "QueueUrl": "http://127.0.0.1/1/q", "MessageBody": "hello world" }],
        ["elbv2", "AddTags", { "ResourceArns": ["arn:a", "arn:b"], "Tags": [{ "Key": "k", "Value": "v + ü&=" }] }],
        ["rds", "DescribeDBInstances", { "Filters": [{ "Name": "engine", "Values": ["a", "b"] }] }],
        ["sns", "SetTopicAttributes", { "TopicArn": "arn:t", "AttributeName": "n", "AttributeValue": "v" }],
        ["lambda", "ListTags", { "Resource": "arn:aws:lambda:us-east-1:1:function:f" }],
        ["lambda", "PutFunctionConcurrency", { "FunctionName": "f", "ReservedConcurrentExecutions": 5 }],
        ["eks", "ListNodegroups", { "clusterName": "c d", "maxResults": 5 }],
        ["route53", "ChangeResourceRecordSets", { "HostedZoneId": "/hostedzone/Z1", "ChangeBatch": { "Comment": "<&>", "Changes": [
            { "Action": "UPSERT", "ResourceRecordSet": { "Name": "a.example", "Type": "A", "TTL": 60,
                "ResourceRecords": [{ "Value": "10.0.0.1" }] } } ] } }],
        ["s3", "PutObject", { "Bucket": "bucket", "Key": "a b/ü+c", "Metadata": { "owner": "me" }, "ContentType": "text/plain" }],
        ["s3", "GetBucketTagging", { "Bucket": "bucket" }],
        ["ec2", "DescribeInstances", { "InstanceIds": ["i-1", "i-2"], "Filters": [{ "Name": "vpc-id", "Values": ["a", "b"] }] }],
        ["ec2", "RunInstances", { "ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "ClientToken": "k",
            "SecurityGroupIds": ["sg-1"], "BlockDeviceMappings": [{ "DeviceName": "/dev/sda1", "Ebs": { "VolumeSize": 8 } }],
            "IamInstanceProfile": { "Name": "p" }, "NetworkInterfaces": [{ "DeviceIndex": 0, "Groups": ["sg-2"] }],
            "TagSpecifications": [{ "ResourceType": "instance", "Tags": [{ "Key": "k", "Value": "v w" }] }] }],
    ]);
    let (ours, theirs) = (Server::start(least), Server::start(least));
    let test = Test::new().file("windlass.toml", &ours.target());
    test.write("w.yaml", "workflow: w\nsteps: { a: { script: w.rhai } }\n");
    test.write("w.rhai", &script(&calls).replace(WRITE, "    #{}\n}\n"));
    let mut command = test.command(&["run", "w.yaml", "--target", "t"]);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_SESSION_TOKEN", "token")
        .env_remove("AWS_PROFILE");
    Ran::from_output(command.output().expect("windlass starts")).expect(0);
    boto3(&["send", &theirs.url], &calls);
    let (ours, theirs) = (ours.asked(), theirs.asked());
    assert_eq!((ours.len(), theirs.len()), (14, 14));
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(wire(our), wire(their));
    }
    // And each of ours is signed as botocore signs what was sent.
    let requests: Vec<_> = ours.iter().map(Asked::to_json).collect();
    assert_eq!(boto3(&["verify"], &requests.into()), json!([]));
}

/// What a service looks at, in one form.
fn wire(asked: &Asked) -> Json {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let mut query: Vec<_> = query
        .split('&')
        .map(|pair| pair.trim_end_matches('='))
        .collect();
    query.sort_unstable();
    let form = |body: &str| {
        let mut pairs: Vec<_> = form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        pairs.sort();
        json!(pairs)
    };
    let body = match asked.body.as_str() {
        "" => Json::Null,
        body if body.starts_with("Action=") => form(body),
        // Elements of a structure may stand in any order.
        body if body.starts_with('<') => {
            let mut parts: Vec<_> = body.split('<').collect();
            parts.sort_unstable();
            json!(parts)
        }
        body => serde_json::from_str(body).expect("JSON"),
    };
    let scope = asked.header("authorization");
    let scope = scope
        .split("Credential=")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let headers: serde_json::Map<_, _> = asked
        .headers
        .iter()
        .filter(|(name, _)| {
            name.starts_with("x-amz-meta")
                || ["x-amz-target", "x-amz-security-token"].contains(&name.as_str())
        })
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "method": asked.method, "path": path, "query": query, "body": body,
        "scope": scope.map(|scope| scope.split('/').skip(2).collect::<Vec<_>>()),
        "headers": headers,
    })
}

#[test]
fn the_models_are_botocore_s() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/world/outside/aws/models/generate.py");
    let output = Command::new("python3").arg(script).arg("--check").output();
    Ran::from_output(output.expect("python3 starts")).expect(0);
}
