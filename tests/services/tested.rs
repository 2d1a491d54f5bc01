//! Tests of workflows that use services of AWS and secrets: nothing is asked, and what was asked once becomes a test.

use super::{
    says,
    server::{Reply, Server},
};
use crate::harness::{Ran, Test};

const WORKFLOW: &str = r##"workflow: w
params: { name: string, token: secret }
steps:
  a:
    with: { name: "${{ params.name }}", token: "${{ params.token }}" }
    run: |
      let who = aws::request("sts", "GetCallerIdentity").Account;
      let made = aws::request("secretsmanager", "CreateSecret", #{ Name: inputs.name, SecretString: "hunter22" }, #{
          undo: #{ operation: "DeleteSecret", from_answer: #{ SecretId: "ARN" } },
      });
      let read = aws::request("secretsmanager", "GetSecretValue", #{ SecretId: inputs.name }).SecretString;
      let kept = secret::read("ssm:/app/password");
      file::write_secret("t", inputs.token + read + kept);
      #{ who: who, said: `${read}` }
outputs: { who: "${{ steps.a.who }}", said: "${{ steps.a.said }}" }
"##;

const GIVEN: &str = r#"    given:
      - aws::request: { service: sts, operation: GetCallerIdentity }
        gives: { Account: "111122223333" }
      - aws::request: { operation: CreateSecret, params: { Name: n } }
        gives: { ARN: "arn:aws:secretsmanager:us-east-1:111122223333:secret:n" }
      - aws::request: { operation: GetSecretValue }
        gives: { SecretString: read-secret }
      - aws::request: { service: secretsmanager, operation: DeleteSecret }
        gives: {}
      - secret::read: { reference: "ssm:/app/*" }
        gives: kept-secret
"#;

/// A command whose AWS and Vault are a server that must not be asked.
fn ran(test: &Test, server: &Server, arguments: &[&str]) -> Ran {
    let mut command = test.command(arguments);
    command
        .env("HOME", test.path("."))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", &server.url)
        .env("VAULT_ADDR", &server.url)
        .env("VAULT_TOKEN", "t0ken")
        .env("A_TOKEN", "hunter33");
    Ran::from_output(command.output().expect("windlass starts"))
}

fn refusing() -> Server {
    Server::start(|_, _| Reply::Says(500, String::new()))
}

fn suite(body: &str) -> Test {
    let text = format!(
        "workflow: w.yaml\ntests:\n  it works:\n    params: {{ name: n, token: hunter33 }}\n{body}"
    );
    Test::new()
        .file("w.yaml", WORKFLOW)
        .file("w.test.yaml", &text)
}

#[test]
fn a_test_answers_services_and_secrets_and_asks_nobody() {
    let server = refusing();
    let expect = r#"    undo: true
    expect:
      status: undone
      effects: { aws::request: 1 }
      calls:
        - aws::request: { operation: GetCallerIdentity }
        - aws::request: { operation: CreateSecret }
        - aws::request: { operation: GetSecretValue }
        - secret::read
        - aws::request: { operation: DeleteSecret }
      snapshot: it-works
"#;
    let test = suite(&format!("{GIVEN}{expect}"));
    ran(&test, &server, &["test", "--accept"]).expect(0);
    ran(&test, &server, &["test"]).expect(0);
    let snapshot = test.read("snapshots/it-works.snap");
    for line in [
        "secret::read",
        "operation: \"DeleteSecret\"",
        "service: \"sts\"",
    ] {
        assert!(snapshot.contains(line), "no {line} in\n{snapshot}");
    }
    assert_eq!(server.asked().len(), 0, "a test reaches nothing");
}

#[test]
fn a_test_that_gives_no_answer_reads_no_secret() {
    let server = refusing();
    for (workflow, target, said) in [
        (
            "run: |\n      secret::read(\"vault:kv/app/db#password\");",
            "",
            "no answer of the test matches",
        ),
        (
            "run: |\n      secret::read(\"vault:kv/app/db#password\");",
            "    target: local\n",
            "no answer of the test matches",
        ),
        (
            "run: |\n      aws::request(\"ecs\", \"ListClusters\");",
            "    target: local\n",
            "no answer of the test matches",
        ),
        (
            "with: { token: \"${{ params.token }}\" }\n    run: |\n      file::write_secret(\"t\", inputs.token);",
            "    target: local\n",
            "secrets that are kept elsewhere are not read here",
        ),
    ] {
        let text = format!(
            "workflow: w\nparams: {{ token: {{ type: secret, default: \"vault:kv/app/db#password\" }} }}\nsteps:\n  a:\n    {workflow}\n"
        );
        let tests = format!(
            "workflow: w.yaml\ntests:\n  it works:\n{target}    expect: {{ status: succeeded }}\n"
        );
        let test = Test::new()
            .file("w.yaml", &text)
            .file("w.test.yaml", &tests);
        says(&ran(&test, &server, &["test"]).expect(1), said);
    }
    assert_eq!(server.asked().len(), 0, "a test reaches nothing");
}

#[test]
fn a_run_of_services_and_secrets_becomes_a_test() {
    let server = Server::start(|asked, _| {
        let body = match asked.header("x-amz-target") {
            "secretsmanager.CreateSecret" => {
                r#"{"Name":"n","ARN":"arn:aws:secretsmanager:us-east-1:111111111111:secret:n"}"#
            }
            "secretsmanager.GetSecretValue" => r#"{"Name":"n","SecretString":"hunter44"}"#,
            "AmazonSSM.GetParameter" => {
                r#"{"Parameter":{"Type":"SecureString","Value":"hunter55"}}"#
            }
            _ => "{}",
        };
        Reply::Says(200, body.into())
    });
    let test = Test::new()
        .file("w.yaml", WORKFLOW)
        .file("windlass.toml", &server.target());
    let params = ["-p", "name=n", "-p", "token=env:A_TOKEN"];
    let run = [&["run", "w.yaml", "--target", "t"], &params[..]].concat();
    ran(&test, &server, &run).expect(0);
    let id = test.shown()["run"].as_str().expect("an id").to_owned();
    let recorded = ran(&test, &server, &["test", "--record", &id]).expect(0);
    let text = &recorded.stdout;
    // The answer of STS names the account before an ARN says that it is one.
    for leaked in ["111111111111", "hunter", "A_TOKEN"] {
        assert!(!text.contains(leaked), "{leaked} in\n{text}");
    }
    assert!(text.contains("Account: \"111122223333\""), "{text}");
    says(&recorded, "the account 111111111111");
    test.write("w.test.yaml", text);
    let before = server.asked().len();
    ran(&test, &server, &["test"]).expect(0);
    assert_eq!(server.asked().len(), before, "a test reaches nothing");
}
