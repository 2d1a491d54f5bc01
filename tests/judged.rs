//! What a test gives is judged and sealed as the client would: a test passes only if the real call would have ended so.

use crate::harness::{Test, contains};

/// Runs the only test of a workflow with one step; `body` is its script, `test` the keys of the test.
fn tested(body: &str, test: &str) -> Test {
    let body: String = body.lines().map(|line| format!("      {line}\n")).collect();
    let case: String = test.lines().map(|line| format!("    {line}\n")).collect();
    Test::new()
        .file(
            "w.yaml",
            &format!(
                "workflow: w\nparams: {{ token: secret?, pem: string? }}\nsteps:\n  a:\n    with: {{ token: \"${{{{ params.token }}}}\", pem: \"${{{{ params.pem }}}}\" }}\n    run: |\n{body}outputs: {{ all: \"${{{{ steps.a }}}}\" }}\n"
            ),
        )
        .file("w.test.yaml", &format!("workflow: w.yaml\ntests:\n  it:\n{case}"))
}

/// The test passes.
fn passes(body: &str, test: &str) {
    tested(body, test)
        .windlass(&["test", "w.test.yaml"])
        .expect(0);
}

/// The test fails, and this is said.
fn fails(body: &str, test: &str, said: &[&str]) {
    let ran = tested(body, test)
        .windlass(&["test", "w.test.yaml"])
        .expect(1);
    contains(&ran.stderr, said);
}

#[test]
fn an_exit_code_that_is_not_expected_is_a_failure() {
    let given = "given: [{ exec::run: {}, gives: { code: 7, stderr: no disk } }]";
    let status = "\nexpect: { status: failed, error: \"*Exit7*no disk*\" }";
    passes(
        "exec::run(\"sh\", [\"-c\", \"x\"]);",
        &format!("{given}{status}"),
    );
    fails(
        "exec::run(\"sh\", [\"-c\", \"x\"]);",
        given,
        &["the run is failed, not succeeded"],
    );
    passes("exec::run(\"sh\", [], #{ expect: [0, 7] });", given);
}

#[test]
fn the_answer_of_an_undo_is_judged() {
    let body =
        "http::put(\"http://x/y\", #{ undo: #{ method: \"DELETE\", url: \"http://x/y\" } });";
    let answered = |status: u16, expect: &str| {
        format!(
            "undo: true\ngiven: [{{ http::put: {{}} }}, {{ http::delete: {{}}, gives: {{ status: {status} }} }}]\nexpect: {expect}"
        )
    };
    passes(body, &answered(500, "{ status: undo failed }"));
    fails(
        body,
        &answered(500, "{ status: undone }"),
        &["the run is undo failed, not undone"],
    );
    for status in [204, 404] {
        passes(body, &answered(status, "{ status: undone }"));
    }
    let body = "exec::run(\"sh\", [], #{ undo: [\"sh\", \"back\"] });";
    let given = "undo: true\ngiven: [{ exec::run: {} }, { exec::undo: {}, gives: { code: 1 } }]";
    passes(body, &format!("{given}\nexpect: {{ status: undo failed }}"));
}

#[test]
fn the_contents_of_a_secret_are_secret() {
    let body = "let s = kube::find(\"c\", \"default\", \"secret/x\");\njson::parse(base64::decode(s.data.a))";
    for object in [
        "{ apiVersion: v1, kind: Secret, data: { a: eyJ4IjoxfQ== } }",
        "{ data: { a: eyJ4IjoxfQ== } }",
    ] {
        let given = format!("given: [{{ kube::find: {{}}, gives: {object} }}]");
        passes(
            body,
            &format!("{given}\nexpect: {{ status: failed, error: \"*the text is a secret*\" }}"),
        );
    }
    let body = "let s = kube::find(\"c\", \"default\", \"configmap/x\");\njson::parse(s.data.a)";
    passes(
        body,
        "given: [{ kube::find: {}, gives: { data: { a: \"{}\" } } }]",
    );
}

#[test]
fn what_the_client_refuses_is_no_answer() {
    let body = "let url = \"no \" + \"url\";\nhttp::get(url);";
    fails(body, "given: [{ http::get: {} }]", &["BadUrl"]);
    let body = "let kind = \"nonsense\";\nkube::list(\"c\", \"\", kind)";
    fails(
        body,
        "given: [{ kube::list: {}, gives: [] }]",
        &["is not a kind that every cluster has"],
    );
}

#[test]
fn a_certificate_is_verified_at_the_time_of_the_test() {
    let body = "let v = x509::verify(#{ leaf: inputs.pem, roots: inputs.pem, purpose: \"ca\" });\n#{ ok: v.ok }";
    let test = tested(body, "given: []");
    test.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "root.pem",
        "-days",
        "30",
        "-subj",
        "/CN=root",
    ])
    .expect(0);
    let pem: String = test
        .read("root.pem")
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    for (clock, ok) in [("", true), ("    clock: 2040-01-01T00:00:00Z\n", false)] {
        test.write(
            "w.test.yaml",
            &format!("workflow: w.yaml\ntests:\n  it:\n{clock}    params:\n      pem: |\n{pem}    expect: {{ outputs: {{ all: {{ ok: {ok} }} }} }}\n"),
        );
        test.windlass(&["test", "w.test.yaml"]).expect(0);
    }
}

#[test]
fn the_answer_that_is_proposed_matches() {
    let body = "http::post(\"http://x/\", #{ json: #{ pw: inputs.token } });";
    fails(
        body,
        "params: { token: hush }",
        &["- http::post: { json: { pw: \"*\" }, url: \"http://x/\" }"],
    );
    passes(
        body,
        "params: { token: hush }\ngiven: [{ http::post: { json: { pw: \"*\" }, url: \"http://x/\" } }]",
    );
}

#[test]
fn what_can_never_fail_is_refused() {
    for (expect, said) in [
        (
            "effects: { http::get: 0 }",
            "`http::get` changes nothing, so it is not counted",
        ),
        (
            "effects: { json::parse: 0 }",
            "`json::parse` changes nothing, so it is not counted",
        ),
        ("snapshot: ../../escape", "can't be the name of a snapshot"),
        ("snapshot: a/b", "can't be the name of a snapshot"),
    ] {
        let test = tested("#{}", &format!("expect: {{ {expect} }}"));
        let ran = test
            .windlass(&["test", "w.test.yaml", "--accept"])
            .expect(2);
        contains(&ran.stderr, &[said]);
        assert!(!test.path("snapshots").exists());
    }
}
