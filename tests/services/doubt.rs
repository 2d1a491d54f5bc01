//! What becomes of a call whose answer is lost, and what an undo takes back.

use serde_json::Value as Json;

use super::{
    says,
    server::{Asked, Reply, Server},
};
use crate::harness::{Ran, Test};

pub fn keyed(test: &Test, arguments: &[&str]) -> Ran {
    let mut command = test.command(arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().to_uppercase();
        if name.starts_with("AWS_") || name.ends_with("_PROXY") {
            command.env_remove(&name).env_remove(name.to_lowercase());
        }
    }
    command
        .env("HOME", test.path("."))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    Ran::from_output(command.output().expect("windlass starts"))
}

fn test(server: &Server, body: &str) -> Test {
    let workflow = format!("workflow: w\nsteps:\n  a:\n    run: |\n      {body}\n");
    Test::new()
        .file("windlass.toml", &server.target())
        .file("w.yaml", &workflow)
}

fn is(asked: &Asked, operation: &str) -> bool {
    asked
        .header("x-amz-target")
        .ends_with(&format!(".{operation}"))
}

#[test]
fn a_call_that_carries_its_key_is_made_again_under_it() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Hangs,
        _ => Reply::Says(200, r#"{"Name":"n","ARN":"arn:n"}"#.into()),
    });
    let test = test(
        &server,
        r#"#{ arn: aws::request("secretsmanager", "CreateSecret", #{ Name: "n", SecretString: "hunter22" }).ARN }"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    let tokens: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| {
            let body: Json = serde_json::from_str(&asked.body).expect("JSON");
            body["ClientRequestToken"]
                .as_str()
                .expect("a token")
                .to_owned()
        })
        .collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(tokens[0].len(), 32);
    // A sensitive param is nowhere in the journal, also where the script has it as a plain text.
    let logs = test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(logs.contains("secretsmanager:CreateSecret n"), "{logs}");
    let journal = std::fs::read(test.path(".windlass/journal.db")).expect("a journal");
    let wal = std::fs::read(test.path(".windlass/journal.db-wal")).unwrap_or_default();
    let script = "SecretString: \\\"hunter22\\\"";
    let found = [journal, wal].concat();
    let text = String::from_utf8_lossy(&found)
        .replace(script, "")
        .replace("SecretString: \"hunter22\"", "");
    assert!(!text.contains("hunter22"), "the secret is in the journal");
}

/// A param that is `()` carries no key: the request leaves it out, so AWS would do it twice.
#[test]
fn a_key_that_the_script_gives_as_nothing_is_filled_in() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Says(500, r#"{"__type":"InternalServiceError"}"#.into()),
        _ => Reply::Says(200, r#"{"Name":"n","ARN":"arn:n"}"#.into()),
    });
    let test = test(
        &server,
        r#"#{ arn: aws::request("secretsmanager", "CreateSecret", #{ Name: "n", SecretString: "x", ClientRequestToken: () }).ARN }"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    let tokens: Vec<_> = server.asked().iter().map(token).collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].as_deref().map(str::len), Some(32));
    assert_eq!(tokens[0], tokens[1]);
}

fn token(asked: &Asked) -> Option<String> {
    let body: Json = serde_json::from_str(&asked.body).expect("JSON");
    body["ClientRequestToken"].as_str().map(str::to_owned)
}

/// An undo is sent again after a lost answer, too.
#[test]
fn the_call_of_an_undo_carries_its_key() {
    let server = Server::start(|_, before| match before {
        1 => Reply::Hangs,
        _ => Reply::Says(200, r#"{"Name":"n","ARN":"arn:n"}"#.into()),
    });
    let test = test(
        &server,
        r#"aws::request("secretsmanager", "PutSecretValue", #{ SecretId: "n", SecretString: "new" }, #{
          undo: #{ operation: "PutSecretValue", params: #{ SecretId: "n", SecretString: "old", ClientRequestToken: () } },
      });"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    keyed(&test, &["undo", "--yes"]).expect(0);
    let tokens: Vec<_> = server.asked().iter().map(token).collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[1].as_deref().map(str::len), Some(32));
    assert_eq!(tokens[1], tokens[2], "the same at its second try");
    assert_ne!(tokens[0], tokens[1], "it is another call");
}

/// S3 sends the status before it copies (Amazon S3 API Reference, "CopyObject").
#[test]
fn an_error_within_an_answer_of_success_fails_the_call() {
    let server = Server::start(|_, before| {
        let body = match before {
            0 => "<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>",
            _ => "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>",
        };
        Reply::Says(200, body.into())
    });
    let test = test(
        &server,
        r#"aws::request("s3", "CopyObject", #{ Bucket: "b", Key: "k", CopySource: "b/a" }, #{ idempotent: true });"#,
    );
    let ran = keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(1);
    says(&ran, "CopyObject: AccessDenied: not yours");
    keyed(&test, &["resume"]).expect(0);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_call_that_carries_none_stops_and_asks() {
    let server = Server::start(|_, _| Reply::Hangs);
    let body =
        r#"aws::request("ecs", "UpdateService", #{ service: "web", forceNewDeployment: true });"#;
    let unsure = test(&server, body);
    let ran = keyed(&unsure, &["run", "w.yaml", "--target", "t"]).expect(1);
    assert_eq!(
        server.asked().len(),
        1,
        "it is not sent again: {}",
        ran.stderr
    );
    let ran = keyed(&unsure, &["resume"]).expect(1);
    says(&ran, "aws::request(");
    says(&ran, "so it is not known whether it was done");
    assert_eq!(server.asked().len(), 1, "nor by a resume");
    // Its author says that twice is as once.
    let body =
        r#"aws::request("ecs", "UpdateService", #{ service: "web" }, #{ idempotent: true });"#;
    let again = test(&server, body);
    keyed(&again, &["run", "w.yaml", "--target", "t"]).expect(1);
    assert_eq!(server.asked().len(), 1 + 4, "tried four times");
}

#[test]
fn a_refusal_proves_that_nothing_was_done() {
    let server = Server::start(|_, _| {
        let body = r#"{"__type":"ServiceNotFoundException","message":"no such service"}"#;
        Reply::Says(400, body.into())
    });
    let test = test(
        &server,
        r#"aws::request("ecs", "UpdateService", #{ service: "web", forceNewDeployment: true });"#,
    );
    let ran = keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(1);
    for part in [
        "UpdateService: ServiceNotFoundException: no such service",
        "request id r-1",
    ] {
        says(&ran, part);
    }
    // So it is made again, and nobody is asked.
    keyed(&test, &["resume"]).expect(1);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn throttling_is_ridden_out_and_a_lost_answer_of_a_read_too() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Says(400, r#"{"__type":"ThrottlingException"}"#.into()),
        1 => Reply::Hangs,
        2 => Reply::Says(503, "busy".into()),
        _ => Reply::Says(200, r#"{"KeyMetadata":{"KeyId":"k"}}"#.into()),
    });
    let test = test(
        &server,
        r#"#{ id: aws::request("kms", "DescribeKey", #{ KeyId: "alias/a" }).KeyMetadata.KeyId }"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn an_undo_makes_the_call_that_was_given() {
    let server = Server::start(|asked, _| match () {
        () if is(asked, "RequestCertificate") => Reply::Says(
            200,
            r#"{"CertificateArn":"arn:aws:acm:us-east-1:1:certificate/c"}"#.into(),
        ),
        () if is(asked, "DeleteCertificate") => {
            Reply::Says(400, r#"{"__type":"ResourceNotFoundException"}"#.into())
        }
        () => Reply::Says(200, "{}".into()),
    });
    let test = test(
        &server,
        r#"aws::request("acm", "RequestCertificate", #{ DomainName: "a.example" }, #{
          idempotency: "IdempotencyToken", key_lives: "1h",
          undo: #{ operation: "DeleteCertificate", from_answer: #{ CertificateArn: "CertificateArn" } },
      });
      aws::request("ssm", "PutParameter", #{ Name: "/a", Value: "new", Type: "String", Overwrite: true }, #{
          idempotent: true,
          undo: #{ operation: "PutParameter", params: #{ Name: "/a", Value: "old", Type: "String", Overwrite: true } },
      });"#,
    );
    keyed(&test, &["run", "w.yaml", "--target", "t"]).expect(0);
    let asked = server.asked();
    let body: Json = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!(body["IdempotencyToken"].as_str().map(str::len), Some(32));
    let plan = keyed(&test, &["undo", "--plan"]).expect(0);
    plan.prints("acm:DeleteCertificate");
    keyed(&test, &["undo", "--yes"]).expect(0);
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        logs.contains("nothing to reverse: it no longer exists"),
        "{logs}"
    );
    let undone: Vec<_> = server.asked()[2..]
        .iter()
        .map(|asked| serde_json::from_str::<Json>(&asked.body).expect("JSON"))
        .collect();
    assert_eq!(undone[0]["Value"], "old", "the last one first");
    assert_eq!(
        undone[1]["CertificateArn"],
        "arn:aws:acm:us-east-1:1:certificate/c"
    );
}
