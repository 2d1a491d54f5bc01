//! What is known of a call before it is made.

use super::{
    doubt::keyed,
    says,
    server::{Reply, Server},
};
use crate::harness::Test;

fn workflow(body: &str) -> Test {
    let text = format!(
        "workflow: w\nparams: {{ name: {{ type: string, default: n }} }}\nsteps:\n  a:\n    with: {{ name: '${{{{ params.name }}}}' }}\n    run: |\n      {body}\n"
    );
    Test::new().file("w.yaml", &text)
}

#[test]
fn a_misspelt_name_is_found_by_validate() {
    for (body, said) in [
        (
            r#"aws::request("secretmanager", "GetSecretValue", #{});"#,
            "did you mean `secretsmanager`?",
        ),
        (
            r#"aws::request("secretsmanager", "GetSecretValu", #{});"#,
            "did you mean `GetSecretValue`?",
        ),
        (
            r#"aws::request("sts", "GetCallerIdentity", #{}, #{ reads: true });"#,
            "did you mean `read`?",
        ),
        (
            r#"aws::request("glue", "GetJob", #{});"#,
            "describe another service that uses JSON with the option `protocol`",
        ),
    ] {
        let ran = workflow(body).windlass(&["validate", "w.yaml"]).expect(2);
        says(&ran, said);
    }
}

#[test]
fn wrong_params_are_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| Reply::Says(200, "{}".into()));
    for (body, said) in [
        (
            r#"aws::request("secretsmanager", "GetSecretValue", #{ SecretID: inputs.name });"#,
            "it has no param `SecretID`: did you mean `SecretId`?",
        ),
        (
            r#"aws::request("ssm", "PutParameter", #{ Name: inputs.name, Value: 5 });"#,
            "the param `Value` is an int, not a string",
        ),
        (
            r#"aws::request("s3", "GetObject", #{ Bucket: inputs.name, Key: "../x" });"#,
            "nor have `.` or `..` between slashes",
        ),
        (
            r#"aws::request("kms", "ListKeys", #{}, #{ undo: #{ operation: "DeleteAlias" } });"#,
            "a read can't have `undo`",
        ),
        (
            r#"aws::request("kms", "CreateAlias", #{ AliasName: "alias/a", TargetKeyId: "k" }, #{ undo: #{ operation: "DeleteAlias" } });"#,
            "`undo`: kms DeleteAlias: it needs the param `AliasName`",
        ),
    ] {
        let test = workflow(body).file("windlass.toml", &server.target());
        let ran = keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(1);
        says(&ran, said);
    }
    assert!(server.asked().is_empty());
}

#[test]
fn the_policy_and_the_plan_name_the_operations() {
    let test = workflow(
        r#"let id = aws::request("sts", "GetCallerIdentity");
      let old = aws::request("s3", "ListObjectsV2", #{ Bucket: inputs.name });
      let seen = secret::read(`secretsmanager:${inputs.name}`);
      aws::request("kms", "CreateAlias", #{ AliasName: "alias/a", TargetKeyId: "k" }, #{ undo: #{ operation: "DeleteAlias", params: #{ AliasName: "alias/a" } } });
      aws::request("glue", "StartJobRun", #{ JobName: "j" }, #{ protocol: "json", target_prefix: "AWSGlue" });
      aws::request(inputs.name, "X");"#,
    );
    let ran = test.windlass(&["iam", "w.yaml"]).expect(0);
    let policy = ran.json();
    assert_eq!(
        policy["Statement"][0]["Action"],
        serde_json::json!([
            "glue:StartJobRun",
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "s3:ListBucket",
            "secretsmanager:GetSecretValue",
        ])
    );
    ran.says("1 of the calls of aws::request");
    let plan = test.windlass(&["plan", "w.yaml"]).expect(0);
    let text = format!("{}{}", plan.stdout, plan.stderr);
    assert!(text.contains("kms:CreateAlias"), "{text}");
    assert!(
        !text.contains("ListObjectsV2"),
        "a read is no change: {text}"
    );
}

#[test]
fn a_fresh_step_may_read_aws_and_change_nothing() {
    let fresh = |body: &str| {
        let text = format!("workflow: w\nsteps:\n  a:\n    fresh: true\n    run: '{body}'\n");
        Test::new()
            .file("w.yaml", &text)
            .windlass(&["validate", "w.yaml"])
    };
    fresh(r#"aws::request("kms", "ListKeys");"#).expect(0);
    fresh(r#"aws::request("kms", "DeleteAlias", #{ AliasName: "alias/a" });"#).expect(2);
}

#[test]
fn a_service_that_is_described_is_asked_as_it_is_said() {
    let server = Server::start(|_, _| Reply::Says(200, r#"{"Job":{"Name":"j"}}"#.into()));
    let test = Test::new().file("windlass.toml", &server.target()).file(
        "w.yaml",
        r#"workflow: w
steps:
  a:
    run: |
      let job = aws::request("glue", "GetJob", #{ JobName: "j" }, #{ protocol: "json", target_prefix: "AWSGlue" });
      let stage = aws::request("apigateway", "GetStage", #{ restApiId: "a/b", stageName: "s", limit: 5 }, #{
          protocol: "rest-json", http: "GET /restapis/{restApiId}/stages/{stageName}", read: true,
      });
      #{ name: job.Job.Name }
outputs: { name: '${{ steps.a.name }}' }
"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    let asked = server.asked();
    assert_eq!(asked[0].header("x-amz-target"), "AWSGlue.GetJob");
    assert_eq!(asked[0].body, r#"{"JobName":"j"}"#);
    assert!(
        asked[0]
            .header("authorization")
            .contains("/us-east-1/glue/aws4_request")
    );
    assert_eq!(
        (asked[1].method.as_str(), asked[1].target.as_str()),
        ("GET", "/restapis/a%2Fb/stages/s?limit=5")
    );
}

#[test]
fn the_local_target_has_private_ca_and_no_other_service() {
    let test = workflow(
        r#"let found = aws::request("acm-pca", "ListCertificateAuthorities").CertificateAuthorities.len();
      check(found);
      aws::request("kms", "ListKeys");"#,
    );
    let text = test
        .read("w.yaml")
        .replace("check(found);", "if found != 0 { throw \"none yet\" }");
    test.write("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    says(&ran, "no other service of AWS, so not `kms`");
    says(&ran, "[targets.NAME]");
}

#[test]
fn another_account_than_the_target_s_is_refused() {
    let server = Server::start(|_, _| Reply::Says(200, "{}".into()));
    let test = workflow(r#"aws::request("kms", "ListKeys");"#);
    let target = format!(
        "[targets.t]\naws = {{ region = \"us-east-1\", account = \"222222222222\", endpoints = {{ kms = \"{}\" }} }}\n",
        server.url
    );
    test.write("windlass.toml", &target);
    let mut command = test.command(&["run", "w.yaml", "--target", "t"]);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_ENDPOINT_URL_STS", &server.url);
    let ran = crate::harness::Ran::from_output(command.output().expect("windlass starts"));
    assert_ne!(ran.code, 0);
    ran.says("111111111111");
    assert!(server.asked().is_empty());
}
