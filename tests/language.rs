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
    let ran = given(params, &["-p", "c=2h"]).expect(2);
    insta::assert_snapshot!("every_missing_param", ran.stderr);
    let ran = given(params, &["-p", "e=[a"]).expect(2);
    assert!(
        ran.stderr
            .contains("the value of `e` is not YAML: line 2, column 1: "),
        "{}",
        ran.stderr
    );
    let ran = given(params, &["--params", "params.yaml"]).expect(2);
    assert!(
        ran.stderr
            .contains("can't read params.yaml: it is not YAML: line "),
        "{}",
        ran.stderr
    );
}
