//! Params that name a secret which is kept elsewhere.

use serde_json::json;

use super::{
    says,
    server::{Asked, Reply, Server},
};
use crate::harness::Test;

const USE: &str = "workflow: use
params:
  token: secret
steps:
  a:
    with: { token: '${{ params.token }}' }
    run: |
      file::write_secret(\"t\", \"<\" + inputs.token + \">\");
";

/// Speaks as much of Vault's API as its command line uses to read a secret: AppRole, the look-up of mounts, and
/// key-value engines of both versions (`kv/` and `old/`).
fn vault(asked: &Asked, _: usize) -> Reply {
    let says = |json: serde_json::Value| Reply::Says(200, json.to_string());
    let fails = |status, why: &str| Reply::Says(status, json!({ "errors": [why] }).to_string());
    if asked.target == "/v1/auth/approle/login" {
        let wanted = json!({ "role_id": "r", "secret_id": "s" });
        return match serde_json::from_str::<serde_json::Value>(&asked.body) {
            Ok(body) if body == wanted => says(json!({ "auth": { "client_token": "t0ken" } })),
            _ => fails(400, "invalid role or secret ID"),
        };
    }
    if asked.header("x-vault-token") != "t0ken" {
        return fails(403, "permission denied");
    }
    match asked.target.as_str() {
        "/v1/sys/internal/ui/mounts/kv/app/db" | "/v1/sys/internal/ui/mounts/kv/app/none" => {
            says(json!({ "data": { "path": "kv/", "options": { "version": "2" } } }))
        }
        "/v1/sys/internal/ui/mounts/old/db" => {
            says(json!({ "data": { "path": "old/", "options": null } }))
        }
        "/v1/sys/internal/ui/mounts/closed/db" => {
            fails(403, "preflight capability check returned 403")
        }
        "/v1/kv/data/app/db" | "/v1/closed/data/db" => says(
            json!({ "data": { "data": { "password": "v2-passw0rd", "port": 5432 }, "metadata": { "version": 1 } } }),
        ),
        "/v1/old/db" => says(json!({ "data": { "password": "v1-passw0rd" } })),
        _ => fails(404, ""),
    }
}

#[test]
fn vault_is_read_as_its_own_command_reads_it() {
    let server = Server::start(vault);
    let test = Test::new().file("use.yaml", USE);
    let run = |reference: &str, variables: &[(&str, &str)]| {
        let mut command = test.command(&["run", "use.yaml", "-p", &format!("token={reference}")]);
        command
            .env("HOME", test.path("."))
            .env_remove("VAULT_TOKEN")
            .env("VAULT_ADDR", &server.url)
            .envs(variables.iter().copied());
        crate::harness::Ran::from_output(command.output().expect("windlass starts"))
    };
    let token = [("VAULT_TOKEN", "t0ken")];
    let role = [("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID", "s")];
    for (reference, variables, wanted) in [
        ("vault:kv/app/db#password", &token[..], "<v2-passw0rd>"),
        ("vault:kv/app/db#port", &role, "<5432>"),
        ("vault:old/db#password", &role, "<v1-passw0rd>"),
        ("vault:closed/db#password", &token, "<v2-passw0rd>"),
    ] {
        run(reference, variables).expect(0);
        assert_eq!(test.read("out/t"), wanted, "{reference}");
    }
    for (reference, variables, said) in [
        (
            "vault:kv/app/none#x",
            &token[..],
            "Vault has no secret at kv/app/none",
        ),
        (
            "vault:kv/app/db#user",
            &token,
            "has no field `user` (it has password, port)",
        ),
        (
            "vault:kv/app/db#password",
            &[("VAULT_TOKEN", "other")],
            "permission denied",
        ),
        (
            "vault:kv/app/db#password",
            &[("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID", "x")],
            "could not log in",
        ),
        (
            "vault:kv/app/db#password",
            &[],
            "there is no token for Vault",
        ),
        (
            "vault:kv/app/db#password",
            &[("VAULT_TOKEN", "t"), ("VAULT_ADDR", "http://127.0.0.1:9")],
            "VAULT_ADDR",
        ),
    ] {
        let ran = run(reference, variables).expect(1);
        says(&ran, said);
    }
    // Of the token and the secret, nothing is anywhere.
    let journal = std::fs::read(test.path(".windlass/journal.db")).expect("a journal");
    let wal = std::fs::read(test.path(".windlass/journal.db-wal")).unwrap_or_default();
    let text = String::from_utf8_lossy(&[journal, wal].concat()).into_owned();
    for secret in ["v2-passw0rd", "v1-passw0rd", "t0ken"] {
        assert!(!text.contains(secret), "{secret} is in the journal");
    }
    assert!(
        text.contains("vault:kv/app/db#password"),
        "the reference is kept"
    );
}

#[test]
fn a_resume_reads_the_secret_again() {
    let test = Test::new().file(
        "use.yaml",
        &USE.replace(
            "file::write_secret",
            "if inputs.token == \"first\" { throw \"not yet\" }\n      file::write_secret",
        ),
    );
    test.write("token", "first\n");
    test.windlass(&["run", "use.yaml", "-p", "token=file:token"])
        .expect(1);
    test.write("token", "second\n");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(test.read("out/t"), "<second>");
}

#[test]
fn files_and_variables_are_those_of_who_starts_the_run() {
    let test = Test::new()
        .file("use.yaml", USE)
        .file("token", "from-file\n");
    let run = |arguments: &[&str]| {
        let mut command = test.command(&[&["run", "use.yaml"], arguments].concat());
        command.env("MY_TOKEN", "from-variable").env("EMPTY", "");
        crate::harness::Ran::from_output(command.output().expect("windlass starts"))
    };
    for (given, wanted) in [
        ("token=file:token", "<from-file>"),
        ("token=env:MY_TOKEN", "<from-variable>"),
        ("token=text:env:MY_TOKEN", "<env:MY_TOKEN>"),
        ("token=plain", "<plain>"),
        ("token=@token", "<from-file>"),
    ] {
        run(&["-p", given]).expect(0);
        assert_eq!(test.read("out/t"), wanted, "{given}");
    }
    test.write("params.yaml", "token: env:MY_TOKEN\n");
    run(&["--params", "params.yaml"]).expect(0);
    assert_eq!(test.read("out/t"), "<from-variable>");
    for (given, code, said) in [
        ("token=env:NO_SUCH", 2, "the variable NO_SUCH is not set"),
        ("token=file:none", 2, "No such file"),
        ("token=env:EMPTY", 2, "env:EMPTY is empty"),
        ("token=vault:x#y", 2, "write `vault:MOUNT/PATH#FIELD`"),
    ] {
        let ran = run(&["-p", given]).expect(code);
        says(&ran, said);
    }
}

#[test]
fn a_workflow_names_no_file_of_who_starts_it() {
    let test = Test::new();
    test.write(
        "use.yaml",
        &USE.replace(
            "token: secret",
            "token: { type: secret, default: 'file:/etc/hostname' }",
        ),
    );
    let ran = test.windlass(&["validate", "use.yaml"]).expect(2);
    says(&ran, "only the person who starts a run");
    // Nor does a text that a step gave.
    test.write("inner.yaml", USE);
    test.write(
        "outer.yaml",
        "workflow: outer\nsteps:\n  x: { run: '#{ text: \"file:/etc/hostname\" }' }\n  \
         b: { workflow: inner.yaml, with: { token: '${{ steps.x.text }}' } }\n",
    );
    test.windlass(&["run", "outer.yaml"]).expect(0);
    assert_eq!(test.read("out/t"), "<file:/etc/hostname>");
    test.write(
        "s.yaml",
        "workflow: s\nsteps: { a: { run: 'secret::read(\"file:/etc/hostname\");' } }\n",
    );
    let ran = test.windlass(&["validate", "s.yaml"]).expect(2);
    says(&ran, "pass the secret as an input");
    let computed = test.read("s.yaml").replace(
        "secret::read(\"file:/etc/hostname\")",
        "let name = \"file:/etc/hostname\"; secret::read(name)",
    );
    test.write("s.yaml", &computed);
    let ran = test.windlass(&["run", "s.yaml"]).expect(1);
    says(&ran, "pass the secret as an input");
}

#[test]
fn an_expression_passes_a_reference_on_and_computes_with_none() {
    let test = Test::new().file("token", "t\n");
    for with in [
        "'Bearer ${{ params.token }}'",
        "\"${{ 'Bearer ' + params.token }}\"",
    ] {
        test.write("use.yaml", &USE.replace("'${{ params.token }}'", with));
        let ran = test.windlass(&["run", "use.yaml", "-p", "token=file:token"]);
        assert_ne!(ran.code, 0, "{with}");
        says(&ran, "use it in the step's script");
        // The secret itself can be computed with.
        test.windlass(&["run", "use.yaml", "-p", "token=t"])
            .expect(0);
        assert_eq!(test.read("out/t"), "<Bearer t>");
    }
}

/// A file or an answer of unknown length is read only as far as a secret may be long.
#[test]
fn a_secret_without_an_end_is_refused() {
    let server = Server::start(|_, _| Reply::Says(200, "x".repeat(5 << 20)));
    let test = Test::new().file("use.yaml", USE);
    for (reference, code, said) in [
        ("file:/dev/zero", 2, "larger than 1 MiB"),
        ("vault:kv/app/db#password", 1, "larger than 4 MiB"),
    ] {
        let mut command = test.command(&["run", "use.yaml", "-p", &format!("token={reference}")]);
        command
            .env("VAULT_TOKEN", "t0ken")
            .env("VAULT_ADDR", &server.url);
        let output = command.output().expect("windlass starts");
        says(&crate::harness::Ran::from_output(output).expect(code), said);
    }
}
