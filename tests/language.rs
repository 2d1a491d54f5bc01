//! What the language accepts, and what it refuses before anything is started.

use crate::harness::{Ran, Test};

/// Runs a workflow's inline body, written as YAML, and returns the output `x` that it gives.
fn x_of(body: &str) -> String {
    let workflow = format!(
        "workflow: w\nsteps:\n  a:\n    with: {{ name: you }}\n    run: {body}\noutputs: {{ x: \"${{{{ steps.a.x }}}}\" }}\n"
    );
    let test = Test::new().file("w.yaml", &workflow);
    test.outputs_of(&["w.yaml"])["x"]
        .as_str()
        .expect("a text")
        .to_owned()
}

#[test]
fn a_body_is_read_as_yaml_says() {
    let quoted = r##""#{ x: \"hi \" + inputs.name }""##;
    assert_eq!(x_of(quoted), "hi you");
    assert_eq!(
        x_of(r##""let x = \"one\\n\";\n#{ x: x + \"tw\u006f\" }""##),
        "one\ntwo"
    );
    assert_eq!(x_of("'#{ x: \"it''s\" }'"), "it's");
    let lines = "|\n      #{ x: `one\n        two\n      three` }";
    assert_eq!(x_of(lines), "one\n  two\nthree");
    assert_eq!(x_of(">-\n      #{ x: `one\n      two` }"), "one two");
}

#[test]
fn an_expression_behind_escapes_is_read_as_yaml_says() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { run: \"()\" }\noutputs: { x: \"a\\tb ${{ \\\"c\\\" + 'd' }}\" }\n",
    );
    assert_eq!(test.outputs_of(&["w.yaml"])["x"], "a\tb cd");
}

#[test]
fn a_body_that_fails_names_its_place_behind_escapes() {
    let failed = |body: &str| {
        let workflow = format!("workflow: w\nsteps:\n  a:\n    run: {body}\n");
        let test = Test::new().file("w.yaml", &workflow);
        test.windlass(&["run", "w.yaml"]).expect(1).stderr
    };
    let stderr = failed(r##""let x = \"a\"; throw x""##);
    assert!(stderr.contains("w.yaml:4:26"), "{stderr}");
    let stderr = failed("|\n      let x = 1;\n\n      throw x");
    assert!(stderr.contains("w.yaml:7:7"), "{stderr}");
    let stderr = failed(r##""fn f() { throw \"b\" }\n\nf()""##);
    assert!(stderr.contains("w.yaml:4:20"), "{stderr}");
    assert!(stderr.contains("called at w.yaml:4:37"), "{stderr}");
}

#[test]
fn inputs_that_a_script_makes_itself_are_known() {
    let accepted = [
        "inputs.more = 1; #{ x: inputs.more }",
        "inputs.mixin(#{ more: 1 }); #{ x: inputs.more }",
        "inputs += #{ more: 1 }; #{ x: inputs.more }",
        "let inputs = #{ more: 1 }; #{ x: inputs.more }",
        "inputs[\"mo\" + \"re\"] = 1; #{ x: inputs.more }",
        "fn add() { this.more = 1; } inputs.add(); #{ x: inputs.more }",
        "#{ x: [1].map(|inputs| inputs.more) }",
        "#{ x: inputs.len() + inputs.keys().len() }",
    ];
    for body in accepted {
        let workflow = format!("workflow: w\nsteps:\n  a:\n    run: |\n      {body}\n");
        let test = Test::new().file("w.yaml", &workflow);
        test.windlass(&["validate", "w.yaml"]).expect(0);
    }
}

#[test]
fn outputs_that_cannot_be_told_are_not_checked() {
    let accepted = [
        "if 1 > 2 { return #{ y: 1 } } #{ x: 1 }",
        "let map = #{ x: 1 }; map.y = 1; map",
        "if 1 > 2 { exit(#{ y: 1 }) } #{ x: 1 }",
    ];
    for body in accepted {
        let workflow = format!(
            "workflow: w\nsteps:\n  a:\n    run: |\n      {body}\noutputs: {{ y: \"${{{{ steps.a.y }}}}\" }}\n"
        );
        let test = Test::new().file("w.yaml", &workflow);
        test.windlass(&["validate", "w.yaml"]).expect(0);
    }
}

/// A step before the one that can't begin: it must not run.
const LATER: &str = "workflow: w
params:
  clusters: { type: list(string), default: [a] }
  n: { type: int, default: 1 }
  deep: { type: map, default: { x: true } }
  ask: { type: bool, default: false }
steps:
  first: { run: 'file::write(\"first\", \"\")' }
  each:
    needs: [first]
    for_each: ${{ params.clusters }}
    workflow: inner.yaml
    with: { cluster: \"${{ item }}\", n: \"${{ params.n }}\" }
  strict:
    needs: [first]
    when: ${{ params.deep.x }}
    script: strict.rhai
    with: { text: \"${{ params.deep.text ?? 'a' }}\" }
  asked:
    when: ${{ params.ask }}
    for_each: ${{ params.deep.items }}
    run: ()
";
const INNER: &str = "workflow: inner
params:
  cluster: { type: string, none_of: [mgmt] }
  n: { type: int, max: 9 }
steps:
  tenth: { for_each: \"${{ [10 - params.n, 10] }}\", run: () }
";
const STRICT: &str =
    "const INPUTS = #{ text: \"string\" };\nfn run(inputs) { #{ x: inputs.text } }\n";

fn later() -> Test {
    Test::new()
        .file("w.yaml", LATER)
        .file("inner.yaml", INNER)
        .file("strict.rhai", STRICT)
}

/// Holds what all three commands refuse; nothing may have been started.
#[track_caller]
fn refused(test: &Test, file: &str, param: &str, expected: &str) {
    for command in ["run", "plan", "validate"] {
        let stderr = test
            .windlass(&[command, file, "-p", param])
            .expect(2)
            .stderr;
        assert!(stderr.contains(expected), "{command} {param}: {stderr}");
    }
    assert!(!test.path("out").exists() && !test.path(".windlass").exists());
}

#[test]
fn params_that_are_sure_to_fail_start_nothing() {
    let test = later();
    let told = |param: &str, expected: &str| refused(&test, "w.yaml", param, expected);
    told(
        "clusters=[a, b, a]",
        "each: `for_each` of `each` has the item `a` twice",
    );
    told(
        "clusters=[a, mgmt]",
        "each: the param `cluster` does not fit: it must not be mgmt",
    );
    told(
        "n=10",
        "each: the param `n` does not fit: 10 is more than 9",
    );
    told(
        "n=0",
        "each/tenth: `for_each` of `tenth` has the item `10` twice",
    );
    told("deep={ x: 1 }", "strict: `when` must be a bool, not an int");
    told(
        "deep={ x: true, text: 5 }",
        "strict: the input `text` does not fit: expected string",
    );
    // The place of what is wrong.
    told("deep={ x: true, text: 5 }", " (w.yaml:");
    told(
        "ask=true",
        "asked: `for_each` must be a list or a map, not nothing",
    );
    let ran = test.windlass(&["plan", "w.yaml", "-p", "deep={ x: true, text: { } }"]);
    assert!(
        !ran.expect(2).stderr.contains("hint:"),
        "no step is to blame"
    );
    test.windlass(&["run", "w.yaml", "-p", "deep={ x: false, text: 5 }"])
        .expect(0);
}

#[test]
fn what_may_be_skipped_or_tolerated_is_not_foreseen() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { items: { type: list, default: [a, a] } }
steps:
  look: { run: '#{ found: false }' }
  maybe: { when: \"${{ steps.look.found }}\", run: () }
  after: { needs: [maybe], for_each: \"${{ params.items }}\", run: () }
  tolerated: { on_error: continue, for_each: \"${{ params.items }}\", run: () }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
}

#[test]
fn shipped_workflows_refuse_params_that_could_not_work() {
    let test = Test::with_shipped_workflows();
    let told = |file: &str, param: &str, expected: &str| refused(&test, file, param, expected);
    for file in ["workflows/gloo-mesh.yaml", "workflows/restart-mesh.yaml"] {
        told(
            file,
            "at_once=0",
            "the param `at_once` does not fit: 0 is less than 1",
        );
        told(file, "clusters=[east, mgmt]", "it must not be mgmt");
        told(file, "clusters=[east, east]", "has the item `east` twice");
    }
    told(
        "workflows/gloo-mesh.yaml",
        "key_algorithm=RSA_1024",
        "RSA_1024 is not one of RSA_2048, RSA_3072,",
    );
}

#[test]
fn limits_are_checked_where_they_are_written() {
    let refused = |param: &str| {
        let workflow = format!("workflow: w\nparams:\n  p: {param}\nsteps:\n  a: {{ run: () }}\n");
        let test = Test::new().file("w.yaml", &workflow);
        test.windlass(&["validate", "w.yaml"]).expect(2).stderr
    };
    let cases = [
        (
            "{ type: int, min: 2, default: 1 }",
            "the default of `p` does not fit: 1 is less than 2",
        ),
        (
            "{ type: duration, max: 5 }",
            "`max` does not fit the param's type",
        ),
        (
            "{ type: string, min: 1 }",
            "`min` is for numbers and durations",
        ),
        (
            "{ type: string, one_of: [a, 1] }",
            "`one_of` does not fit the param's type",
        ),
        (
            "{ type: string, one_of: a }",
            "`one_of` must be a list of values",
        ),
    ];
    for (param, expected) in cases {
        let stderr = refused(param);
        assert!(stderr.contains(expected), "{param}: {stderr}");
    }
}

/// What a workflow with these params says of what is given.
fn given(params: &str, arguments: &[&str]) -> Ran {
    let workflow = format!("workflow: w\nparams: {params}\nsteps:\n  a: {{ run: () }}\n");
    let test = Test::new()
        .file("w.yaml", &workflow)
        .file("params.yaml", "a: 1\nb: [\n");
    test.windlass(&[&["validate", "w.yaml"], arguments].concat())
}

#[test]
fn every_wrong_param_is_shown_at_once() {
    let params = "{ a: int, b: string, c: { type: duration, default: 1h }, d: bool?, e: { type: list(string), default: [] } }";
    given(params, &[]).expect(0);
    let ran = given(
        params,
        &["-p", "c=90", "-p", "d=yes", "-p", "e=east", "-p", "f=1"],
    )
    .expect(2);
    insta::assert_snapshot!("every_wrong_param", ran.stderr);
    let ran = given(params, &["-p", "a=017", "-p", "b=017"]).expect(2);
    ran.says("`017` begins with a zero");
    ran.says("write 17, or 0o17 for an octal number");
    let ran = given(params, &["-p", "c=2h"]).expect(2);
    insta::assert_snapshot!("every_missing_param", ran.stderr);
    let ran = given(params, &["-p", "e=[a"]).expect(2);
    ran.says("the value of `e` can't be read: line 1, column 3: ");
    let ran = given(params, &["--params", "params.yaml"]).expect(2);
    ran.says("can't read params.yaml: line ");
}

#[test]
fn a_number_that_may_be_octal_is_refused_in_every_type() {
    let params = "{ any: any, list: { type: list(int), default: [] }, m: { type: 'map(int)', default: {} } }";
    for (given_as, place) in [
        ("any=0777", "line 1, column 1: `0777` begins with a zero"),
        (
            "any=[1, 0777]",
            "line 1, column 5: `0777` begins with a zero",
        ),
        (
            "any={ a: -017 }",
            "`-017` begins with a zero, which may mean an octal number (write -17, or \"-017\" for a text)",
        ),
        (
            "list=[017]",
            "write 17, 0o17 for an octal number, or \"017\" for a text",
        ),
        ("m={ '017': 017 }", "line 1, column 10"),
    ] {
        given(params, &["-p", given_as]).expect(2).says(place);
    }
    given(
        params,
        &["-p", "any=[0o17, '017', 0, 0.5]", "-p", "m={ 017: 1 }"],
    )
    .expect(0);
}

#[test]
fn the_items_of_a_list_are_proposed_as_they_were_typed() {
    let params = "{ l: list(string) }";
    let ran = given(params, &["-p", "l=[1, no, 1.10, 0x1F, null, \"a b\"]"]).expect(2);
    ran.says(r#"-p l='["1", "no", "1.10", "0x1F", "null", "a b"]'"#);
    given(params, &["-p", r#"l=["1", "no", "1.10", "0x1F", "null"]"#]).expect(0);
    let ran = given(params, &["-p", "l=[1, it's]"]).expect(2);
    ran.says("quote the items, so that they are texts");
    assert!(!ran.stderr.contains("-p l="), "{}", ran.stderr);
}

/// As `json.dumps` of Python writes a sign beyond the basic plane, and with tabs.
#[test]
fn params_in_json_are_read_as_json() {
    let secret = "workflow: w
params: { v: any, s: secret? }
steps: { a: { run: '()' } }
outputs: { v: \"${{ params.v }}\" }
";
    let json = r#"{"v": ["\ud83d\ude00", {"a": 1}]}"#;
    let test = Test::new().file("w.yaml", secret);
    let said = serde_json::json!({ "v": ["😀", { "a": 1 }] });
    test.write("p.json", &json.replace(", ", ",\n\t"));
    assert_eq!(test.outputs_of(&["w.yaml", "--params", "p.json"]), said);
    let argument = r#"v=["\ud83d\ude00", {"a": 1}]"#;
    assert_eq!(test.outputs_of(&["w.yaml", "-p", argument]), said);
    // The names of params are no secrets; other keys may be.
    for (text, why) in [
        (
            r#"{"v": 1, "v": 2}"#,
            "line 1, column 12: the key `v` is defined twice",
        ),
        (
            "v: 1\nv: 2\n",
            "line 2, column 1: the key `v` is defined twice",
        ),
        (r#"{"v": {"x": 1, "x": 2}}"#, "a key is defined twice"),
        (
            r#"{"v": 1, // no"#,
            "it is not valid JSON, so it was read as YAML",
        ),
        (
            r#"{"v": 9223372036854775808}"#,
            "it may contain secrets, so it is not shown",
        ),
    ] {
        test.write("p.json", text);
        let ran = test.windlass(&["run", "w.yaml", "--params", "p.json"]);
        ran.expect(2).says(why);
    }
}

#[test]
fn a_long_name_is_refused_in_a_new_file() {
    let of = |length: usize| {
        format!(
            "workflow: {}\nsteps: {{ a: {{ run: '()' }} }}\n",
            "n".repeat(length)
        )
    };
    let test = Test::new().file("w.yaml", &of(128));
    test.windlass(&["validate", "w.yaml"]).expect(0);
    test.write("w.yaml", &of(129));
    let ran = test.windlass(&["validate", "w.yaml"]);
    ran.expect(2)
        .says("the workflow's name has 129 characters; the limit is 128");
    let question = |length: usize| {
        format!(
            "workflow: w\nsteps: {{ a: {{ approval: {} }} }}\n",
            "q".repeat(length)
        )
    };
    test.write("w.yaml", &question(4000));
    test.windlass(&["validate", "w.yaml"]).expect(0);
    test.write("w.yaml", &question(4001));
    let ran = test.windlass(&["validate", "w.yaml"]);
    ran.expect(2)
        .says("`approval` has 4001 characters; the limit is 4000");
}

#[test]
fn a_mistake_in_a_request_is_not_tried_again() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a:
    retry: { attempts: 3, backoff: 1s..1s }
    run: |
      pca::create_certificate_authority(#{ type: \"ROOT\", subject: inputs.subject })
    with: { subject: { common_nam: x } }
  b:
    retry: { attempts: 3, backoff: 1s..1s }
    run: |
      try { key::generate(\"RSA_\" + 1) } catch (e) { log::info(e.class + \": \" + e.message); }
",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("a subject has no attribute `common_nam`");
    ran.says("b: rejected: `RSA_1` is not a key algorithm");
    let failures = test.events();
    let failures = failures
        .iter()
        .filter(|e| e["event"] == "step_failed")
        .count();
    assert_eq!(failures, 1);
    let shown = test.shown();
    let step = &shown["steps"][0];
    assert_eq!(step["error"]["code"], "wrong-arguments", "{shown:#}");
}

#[test]
fn missing_credentials_are_not_asked_for_again() {
    let test = Test::new()
        .file(
            "windlass.toml",
            "[targets.prod]\npca = { region = \"us-east-1\" }\n",
        )
        .file(
            "w.yaml",
            "workflow: w
steps:
  a:
    retry: { attempts: 3, backoff: 1s..1s }
    run: pca::list_certificate_authorities()
",
        );
    let mut command = test.command(&["run", "w.yaml", "--target", "prod"]);
    let home = test.path("home");
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    for name in names {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = Ran::from_output(command.output().expect("windlass starts")).expect(1);
    ran.says("NoCredentials");
    ran.says("aws sso login");
    assert!(!ran.stderr.contains("again in"), "{}", ran.stderr);
}

#[test]
fn logs_of_a_step_that_is_none_say_so() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps:\n  build: { run: () }\n");
    test.windlass(&["run", "w.yaml"]).expect(0);
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id");
    let ran = test.windlass(&["logs", run, "biuld"]).expect(2);
    ran.says("no step `biuld`");
    ran.says("did you mean `build`?");
}

/// Runs a workflow whose step `s` has this body and whose output `x` is this expression.
fn reading(body: &str, expression: &str) -> Ran {
    let body: String = body.lines().map(|line| format!("      {line}\n")).collect();
    let workflow = format!(
        "workflow: w\nsteps:\n  s:\n    run: |\n{body}outputs: {{ x: \"${{{{ {expression} }}}}\" }}\n"
    );
    let test = Test::new().file("w.yaml", &workflow);
    test.windlass(&["run", "w.yaml"])
}

/// A message without the line breaks that make it fit the terminal.
fn unwrapped(stderr: &str) -> String {
    let words = stderr.replace('│', " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_body_that_is_read_ends_with_a_map() {
    for (body, kind) in [
        ("[1, 2]", "a list"),
        ("log::info(\"a\");\n\"b\"", "a string"),
        ("`a ${1}`", "a string"),
        ("5", "an int"),
        ("true", "a bool"),
    ] {
        for expression in ["steps.s", "steps.s.x", "steps.s?.x ?? 1"] {
            let refused = reading(body, expression).expect(2);
            refused.says(&format!("the body of `s` ends with {kind}"));
            refused.says("wrong-output");
        }
        // Nothing reads it.
        reading(body, "1").expect(0);
    }
    // Only the run shows it.
    let body = "let found = [];\nfound.push(1);\nfound";
    let failed = reading(body, "steps.s").expect(1);
    failed.says("wrong-output");
    failed.says("the body ends with a list");
    reading(body, "1").expect(0);
    for body in [
        "#{ x: 1 }",
        "()",
        "log::info(\"a\")",
        "let m = #{ x: 1 };\nm",
    ] {
        reading(body, "steps.s?.x").expect(0);
    }
}

#[test]
fn an_output_that_is_missing_is_an_error() {
    let body = "let found = #{ healthy: true, hosts: [\"a\"] };\nfound";
    for expression in [
        "steps.s.helthy == true",
        "steps.s.helthy",
        "steps.s['helthy']",
        "steps.s.healthy && steps.s.helthy",
        "if steps.s.healthy { steps.s.helthy } else { 1 }",
        "params.len() + steps.s.helthy",
    ] {
        let failed = reading(body, expression).expect(1);
        let said = unwrapped(&failed.stderr);
        assert!(said.contains("expression-failed"), "{said}");
        let message = "has no output `helthy` (it has healthy, hosts)";
        assert!(said.contains(message), "{expression}: {said}");
    }
    for expression in [
        "steps.s?.helthy == true",
        "steps.s?.helthy",
        "steps.s?['helthy']",
        "steps.s.helthy ?? 1",
        "(steps.s.helthy) ?? 1",
        "steps.s.helthy == ()",
        "() != steps.s.helthy",
        "steps.s.healthy || steps.s.helthy",
        "if 'helthy' in steps.s { steps.s.helthy } else { steps.s }",
        "steps.s.keys()",
        "steps.s.hosts[0]",
    ] {
        reading(body, expression).expect(0);
    }
    let failed = reading("log::info(\"x\")", "steps.s.nope").expect(1);
    let said = unwrapped(&failed.stderr);
    assert!(
        said.contains("has no output `nope` (it has none)"),
        "{said}"
    );
    let items = "workflow: w\nparams: { none: { type: string, default: c } }\nsteps:\n  s:\n    for_each: [a, b]\n    run: |\n      let m = #{ x: 1 };\n      m\noutputs: { x: \"${{ EXPRESSION }}\" }\n";
    for (expression, code) in [
        ("steps.s.a.x", 0),
        ("steps.s.a.y", 1),
        ("steps.s.a?.y", 0),
        ("steps.s['b'].y", 1),
        ("steps.s[params.none]", 1),
        ("steps.s[params.none].x", 1),
        ("steps.s['' + 'c']", 1),
        ("steps.s[params.none] ?? 1", 0),
        ("steps.s[params.none]?.x", 0),
        ("steps.s['a' + ''].y", 1),
        ("steps.s['a' + ''].x", 0),
        ("steps.s['c']?.x", 0),
        (
            "if params.none in steps.s { steps.s[params.none] } else { steps.s.len() }",
            0,
        ),
    ] {
        let test = Test::new().file("w.yaml", &items.replace("EXPRESSION", expression));
        test.windlass(&["run", "w.yaml"]).expect(code);
    }
}

#[test]
fn a_read_of_an_item_that_can_not_be_there_is_found_beforehand() {
    let script = "const INPUTS = #{};\nconst OUTPUTS = #{ label: \"string\" };\nfn run(inputs) { #{ label: \"x\" } }\n";
    let inner = "workflow: inner\nsteps: { a: { run: '#{ q: 1 }' } }\noutputs: { label: \"${{ steps.a.q }}\" }\n";
    let text = "workflow: w\nparams: { hosts: { type: list(string), default: [a] } }\nsteps:\n  \
                of_script: { script: s.rhai, for_each: \"${{ params.hosts }}\" }\n  \
                of_workflow: { workflow: inner.yaml, for_each: [a, b] }\n  \
                after: { for_each: [a], run: '()', with: { l: \"${{ EXPRESSION }}\" } }\n";
    for (expression, message) in [
        (
            "steps.of_script[item].labell",
            "the step `of_script` has no output `labell`",
        ),
        ("steps.of_script['a'].labell", "did you mean `label`?"),
        (
            "steps.of_script[params.hosts[0]].labell",
            "has no output `labell`",
        ),
        (
            "steps.of_workflow.b.labell",
            "the step `of_workflow` has no output `labell`",
        ),
        (
            "steps.of_workflow.c.label",
            "the step `of_workflow` has no item `c`",
        ),
        ("steps.of_workflow['c']", "its items are a, b"),
    ] {
        let test = Test::new()
            .file("s.rhai", script)
            .file("inner.yaml", inner)
            .file("w.yaml", &text.replace("EXPRESSION", expression));
        let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
        let said = unwrapped(&refused.stderr);
        assert!(
            said.contains("unknown-output") && said.contains(message),
            "{expression}: {said}"
        );
    }
    for expression in [
        "steps.of_script[item].label",
        "steps.of_script.z.label",
        "steps.of_workflow.b.label.len",
        "steps.of_workflow.len()",
        "steps.of_workflow.values()[0].label",
    ] {
        let test = Test::new()
            .file("s.rhai", script)
            .file("inner.yaml", inner)
            .file("w.yaml", &text.replace("EXPRESSION", expression));
        test.windlass(&["validate", "w.yaml"]).expect(0);
    }
}

#[test]
fn a_text_has_no_null() {
    let text = "workflow: w\nparams: { suffix: { type: string?, default: ~ } }\nsteps: { a: { run: '()' } }\noutputs: { name: \"x-${{ EXPRESSION }}\" }\n";
    let run = |expression: &str| {
        let test = Test::new().file("w.yaml", &text.replace("EXPRESSION", expression));
        test.windlass(&["run", "w.yaml"])
    };
    let failed = run("params.suffix").expect(1);
    let said = unwrapped(&failed.stderr);
    assert!(
        said.contains("it is null, which can't be a part of a text"),
        "{said}"
    );
    run("params.suffix ?? ''").expect(0);
}

#[test]
fn an_expression_in_the_braces_of_other_tools_is_refused() {
    let validate = |text: &str| {
        let file = format!(
            "workflow: w\nparams: {{ host: {{ type: string, default: a }} }}\nsteps: {{ a: {{ run: '()', with: {{ t: \"{text}\" }} }} }}\n"
        );
        Test::new()
            .file("w.yaml", &file)
            .windlass(&["validate", "w.yaml"])
    };
    for text in ["{{ params.host }}", "to {{params.host}}!", "{{ item }}"] {
        let refused = validate(text).expect(2);
        let said = unwrapped(&refused.stderr);
        assert!(said.contains("is plain text"), "{text}: {said}");
        assert!(said.contains("for the expression"), "{text}: {said}");
    }
    for text in [
        "{{ .Values.host }}",
        "{{ parameters.host }}",
        "${{ '{{' }} params.host }}",
        "{{ items }}",
        "{{ params",
    ] {
        validate(text).expect(0);
    }
    let when = "workflow: w\nparams: { yes: bool }\nsteps: { a: { run: '()', when: \"{{ params.yes }}\" } }\n";
    let test = Test::new().file("w.yaml", when);
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
    refused.says("write `${{ params.yes }}` for the expression");
}

#[test]
fn a_body_that_only_defines_functions_is_refused() {
    let text = "workflow: w\nsteps:\n  a:\n    run: |\n      // Writes it.\n      fn run(inputs) { file::write(\"a\", \"x\"); #{} }\n";
    let test = Test::new().file("w.yaml", text);
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
    refused.says("the body only defines functions, and calls none");
    refused.says("w.yaml:6:7");
    let whole = text.replace(
        "      fn run",
        "      const INPUTS = #{};\n      import \"lib/x\" as x;\n      fn run",
    );
    let test = Test::new()
        .file("w.yaml", &whole)
        .file("lib/x.rhai", "fn y() { 1 }\n");
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
    refused.says("the body only defines functions, and calls none");
    let called = text.replace("#{} }\n", "#{} }\n      run(inputs)\n");
    let test = Test::new().file("w.yaml", &called);
    test.windlass(&["validate", "w.yaml"]).expect(0);
}

#[test]
fn an_int_becomes_a_float_where_a_float_is_declared() {
    let script = "const INPUTS = #{ r: \"float\", more: \"list(float)\" };\nconst OUTPUTS = #{ q: \"float\", half: \"float\", kind: \"string\" };\nfn run(inputs) { #{ q: 3, half: inputs.r / 2, kind: type_of(inputs.more[0]) } }\n";
    let workflow = "workflow: w\nparams: { ratio: { type: float, default: 1 } }\nsteps:\n  a: { run: \"#{ half: inputs.r / 2 }\", with: { r: \"${{ params.ratio }}\" } }\n  b: { script: b.rhai, with: { r: 1, more: [1] } }\noutputs: { half: \"${{ steps.a.half }}\", b: \"${{ steps.b }}\" }\n";
    let test = Test::new().file("w.yaml", workflow).file("b.rhai", script);
    let outputs = test.outputs_of(&["w.yaml"]);
    assert_eq!(outputs["half"], 0.5);
    assert_eq!(outputs["b"]["half"], 0.5);
    assert_eq!(outputs["b"]["kind"], "f64");
    assert!(outputs["b"]["q"].is_f64(), "{outputs}");
    let outputs = test.outputs_of(&["w.yaml", "-p", "ratio=3"]);
    assert_eq!(outputs["half"], 1.5);
}

#[test]
fn what_people_see_is_no_secret() {
    let script = "const INPUTS = #{};\nconst OUTPUTS = #{ pw: \"secret\" };\nfn run(inputs) { #{ pw: secret::read(\"env:X\") } }\n";
    for (key, workflow) in [
        (
            "lock",
            "lock: l-${{ params.tok }}\nsteps: { s: { run: () } }\n",
        ),
        (
            "approval",
            "steps: { s: { approval: \"Use ${{ params.tok }}?\" } }\n",
        ),
        (
            "approval",
            "steps: { made: { script: made.rhai }, s: { approval: \"Use ${{ steps.made.pw }}?\" } }\n",
        ),
    ] {
        let workflow = format!("workflow: w\nparams: {{ tok: secret }}\n{workflow}");
        let test = Test::new()
            .file("w.yaml", &workflow)
            .file("made.rhai", script);
        let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
        refused.says(&format!("`{key}` must be a string, not a secret"));
    }
}
