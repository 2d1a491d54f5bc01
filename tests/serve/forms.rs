//! Forms change only what a person changes.

use serde_json::json;

use super::server::{ALICE, Served, with_people};
use crate::harness::Test;

const TEXTS: &str = "workflow: texts
description: \"Reads \\u202Eevil\"
params:
  pem: { type: string, default: \"line1\\nline2\\n  line3\\n\" }
  dos: { type: string, default: \"a\\r\\nb\" }
  any: { type: any, default: \"k: v\\n\" }
  digits: { type: any, default: \"123\" }
  mode: { type: string, default: \" lead\", one_of: [\"two  spaces\", \" lead\"] }
  names: { type: list(string), default: [east, west] }
  maybe: { type: string? }
steps: { a: { with: { p: \"${{ params.pem }}\" }, run: \"#{ p: inputs.p }\" } }
";

/// The first value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().expect("a value").to_owned()
}

/// Sends an edit, first for its plan, and then to resume with that. Returns the page with the plan.
fn resume_as_planned(served: &Served, cookie: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let with = |what: &'static str| [&[("do", what)], fields].concat();
    let plan = served.submit(cookie, path, &with("plan")).expect(200).body;
    let digest = hidden(&plan, "digest");
    let mut resume = with("resume");
    resume.push(("digest", &digest));
    served.submit(cookie, path, &resume).expect(303);
    plan
}

#[test]
fn what_a_person_leaves_alone_is_started_as_it_is() {
    let test = with_people(Test::new().file("texts.yaml", TEXTS));
    let served = Served::start(&test);
    let alice = served.log_in(ALICE);
    let form = served.page(&alice, "/start/texts").expect(200).body;
    for part in [
        "\nline1\nline2\n  line3\n</textarea>",
        "<option value=\" lead\" selected>",
        "value=\"two  spaces\"",
        "empty means the default, [&quot;east&quot;,&quot;west&quot;]",
        "empty means no value",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(!form.contains('\u{202e}'), "{form}");
    // As a browser sends them: all line ends are CRLF.
    let mut fields = vec![
        ("do", "plan"),
        ("target", "local"),
        ("p.pem", "line1\r\nline2\r\n  line3\r\n"),
        ("p.dos", "a\r\nb"),
        ("p.any", "\"k: v\\n\""),
        ("p.digits", "\"123\""),
        ("p.mode", " lead"),
        ("p.names", ""),
        ("p.maybe", ""),
    ];
    let plan = served
        .submit(&alice, "/start/texts", &fields)
        .expect(200)
        .body;
    assert!(
        plan.contains("[\"east\",\"west\"]")
            || plan.contains("[&quot;east&quot;,&quot;west&quot;]"),
        "{plan}"
    );
    let (key, digest) = (hidden(&plan, "key"), hidden(&plan, "digest"));
    served
        .submit(
            &alice,
            "/start/texts",
            &[("do", "start"), ("target", "local")],
        )
        .expect(400);
    fields[0].1 = "start";
    fields.extend([("key", key.as_str()), ("digest", digest.as_str())]);
    let started = served.submit(&alice, "/start/texts", &fields).expect(303);
    let run = started.header("location").expect("an address")[6..].to_owned();
    served.wait(&run, "succeeded");
    let params = test.events()[0]["params"].clone();
    let wanted = json!({
        "pem": "line1\nline2\n  line3\n", "dos": "a\r\nb", "any": "k: v\n", "digits": "123",
        "mode": " lead", "names": ["east", "west"], "maybe": null,
    });
    assert_eq!(params, wanted);
    // Another selection is not what was planned.
    let mut other = fields.clone();
    other.retain(|(name, _)| *name != "p.mode");
    other.push(("p.mode", "two  spaces"));
    other.retain(|(name, _)| *name != "key");
    let refused = served
        .submit(&alice, "/start/texts", &other)
        .expect(409)
        .body;
    assert!(refused.contains("plan-changed"), "{refused}");
}

#[test]
fn an_edit_keeps_the_lines_of_what_nobody_changed() {
    let fails = "workflow: fails
params: { pem: string, n: { type: int, default: 1 } }
steps:
  first: { with: { p: \"${{ params.pem }}\" }, run: \"#{ p: inputs.p }\" }
  second: { needs: [first], with: { n: \"${{ params.n }}\" }, run: \"if inputs.n == 1 { throw \\\"no\\\" } #{}\" }
";
    let test = with_people(Test::new().file("fails.yaml", fails));
    let served = Served::start(&test);
    let alice = served.log_in(ALICE);
    let pem = "-----BEGIN-----\nAA\n-----END-----\n";
    let run = served.run(
        ALICE,
        &json!({ "workflow": "fails", "params": { "pem": pem } }),
    );
    served.wait(&run, "failed");
    let path = format!("/runs/{run}/edit");
    let crlf = pem.replace('\n', "\r\n");
    let fields = [("files", "1"), ("p.pem", crlf.as_str()), ("p.n", "2")];
    let plan = resume_as_planned(&served, &alice, &path, &fields);
    assert!(!plan.contains("params.pem"), "{plan}");
    let shown = served.wait(&run, "succeeded");
    assert_eq!(shown["params"], json!({ "pem": pem, "n": 2 }));
}

#[test]
fn a_param_that_the_run_does_not_have_gets_the_files_default() {
    let fails = "workflow: fails
params: { colour: { type: string, default: blue } }
steps:
  a: { with: { n: \"${{ params }}\" }, run: \"throw 1\" }
";
    let test = with_people(Test::new().file("fails.yaml", fails));
    let served = Served::start(&test);
    let alice = served.log_in(ALICE);
    let run = served.run(ALICE, &json!({ "workflow": "fails" }));
    served.wait(&run, "failed");
    let more = "params: { colour: { type: string, default: blue }, force: { type: bool, default: false }, mode: { type: string, one_of: [delete, keep], default: keep } }";
    let mended = fails
        .replace("params: { colour: { type: string, default: blue } }", more)
        .replace("throw 1", "#{}");
    test.write("fails.yaml", &mended);
    let path = format!("/runs/{run}/edit");
    let form = served.page(&alice, &path).expect(200).body;
    for name in ["p.force", "p.mode"] {
        let select = form
            .split_once(&format!("<select id=\"{name}\""))
            .expect(name)
            .1;
        let select = select.split_once("</select>").expect(name).0;
        assert!(select.contains("><option value=\"\"></option>"), "{select}");
        assert!(!select.contains("selected"), "{select}");
    }
    // A param is not dropped because the files were not asked for.
    let fields = [
        ("do", "plan"),
        ("p.colour", "red"),
        ("p.force", ""),
        ("p.mode", ""),
    ];
    let refused = served.submit(&alice, &path, &fields).expect(422).body;
    assert!(refused.contains("param colour was changed"), "{refused}");
    let fields = [
        ("files", "1"),
        ("p.colour", "blue"),
        ("p.force", ""),
        ("p.mode", ""),
    ];
    resume_as_planned(&served, &alice, &path, &fields);
    let shown = served.wait(&run, "succeeded");
    assert_eq!(
        shown["params"],
        json!({ "colour": "blue", "force": false, "mode": "keep" })
    );
}

/// Lists and maps of secrets are secrets, too: a page does not contain them, and an edit keeps them.
#[test]
fn no_page_contains_the_secrets_in_a_list() {
    let fails = "workflow: fails
params: { toks: list(secret), m: \"map(secret)\", n: { type: int, default: 1 } }
steps:
  a: { with: { t: \"${{ params.toks }}\", n: \"${{ params.n }}\" }, run: \"if inputs.n == 1 { throw \\\"no\\\" } #{ n: inputs.t.len() }\" }
outputs: { n: \"${{ steps.a.n }}\" }
";
    let test = with_people(Test::new().file("fails.yaml", fails));
    let served = Served::start(&test);
    let alice = served.log_in(ALICE);
    let fields = [
        ("do", "plan"),
        ("target", "local"),
        ("p.toks", "[\"pagesecret-1\", \"pagesecret-2\"]"),
        ("p.m", "{ k: mapsecret-3 }"),
    ];
    let plan = served
        .submit(&alice, "/start/fails", &fields)
        .expect(200)
        .body;
    let wrong = [
        ("do", "plan"),
        ("target", "local"),
        ("p.toks", "pagesecret-1"),
        ("p.m", "{}"),
    ];
    let refused = served
        .submit(&alice, "/start/fails", &wrong)
        .expect(422)
        .body;
    for page in [&plan, &refused] {
        assert!(page.contains("id=\"p.toks\""), "{page}");
        assert!(
            !page.contains("pagesecret") && !page.contains("mapsecret"),
            "{page}"
        );
    }
    let params = json!({ "toks": ["one-1111", "two-2222"], "m": { "k": "map-3333" } });
    let run = served.run(ALICE, &json!({ "workflow": "fails", "params": params }));
    served.wait(&run, "failed");
    let path = format!("/runs/{run}/edit");
    let form = served.page(&alice, &path).expect(200).body;
    let (_, field) = form.split_once("id=\"p.toks\"").expect("a field");
    assert!(
        !field
            .split("</textarea>")
            .next()
            .unwrap_or_default()
            .contains("‹secret›"),
        "{form}"
    );
    // What is shown in place of a secret is refused.
    let masked = [
        ("do", "plan"),
        ("files", "1"),
        ("p.toks", "[\"‹secret›\", \"three-44\"]"),
        ("p.n", "2"),
    ];
    let refused = served.submit(&alice, &path, &masked).expect(422).body;
    assert!(refused.contains("shown in place of a secret"), "{refused}");
    let fields = [("files", "1"), ("p.toks", ""), ("p.m", ""), ("p.n", "2")];
    resume_as_planned(&served, &alice, &path, &fields);
    let shown = served.wait(&run, "succeeded");
    assert_eq!(shown["outputs"]["n"], json!(2), "{shown}");
}
