//! What an author is shown for a mistake: file, line, column, what to do; and nothing is created.

use crate::harness::Test;

pub const STEP: &str = r##"//! A step.
const INPUTS = #{ name: "string", count: "int = 1" };
const OUTPUTS = #{ greeting: "string" };

fn run(inputs) {
    #{ greeting: `hello ${inputs.name}` }
}
"##;

/// Runs a workflow that has a mistake and returns what was shown.
fn shown(workflow: &str, more: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut test = Test::new().file("w.yaml", workflow).file("step.rhai", STEP);
    for (name, text) in more {
        test = test.file(name, text);
    }
    let ran = test
        .windlass(&[&["run", "w.yaml"], arguments].concat())
        .expect(2);
    assert_eq!(ran.stdout, "");
    assert!(!test.path(".windlass").exists(), "something was recorded");
    assert!(!test.path("out").exists(), "something was written");
    ran.stderr
}

macro_rules! mistakes {
    ($($name:ident: $workflow:expr $(, with $more:expr)? $(, given $arguments:expr)?;)*) => {
        $(#[test]
        fn $name() {
            #[allow(unused_mut, unused_assignments)]
            let (mut more, mut arguments): (&[(&str, &str)], &[&str]) = (&[], &[]);
            $(more = &$more;)?
            $(arguments = &$arguments;)?
            insta::assert_snapshot!(stringify!($name), shown($workflow, more, arguments));
        })*

        /// Every workflow with a mistake, by the name of its test.
        pub const WORKFLOWS: &[(&str, &str)] = &[$((stringify!($name), $workflow)),*];

        /// The files beside each of them.
        pub const BESIDE: &[&[(&str, &str)]] = &[$({
            #[allow(unused_variables)]
            let more: &[(&str, &str)] = &[];
            $(let more: &[(&str, &str)] = &$more;)?
            more
        }),*];
    };
}

/// A line is drawn whole, so one that is too long is only named.
#[test]
fn a_mistake_in_a_long_line_is_named() {
    let long = "x".repeat(500_000);
    let workflow = format!(
        "workflow: w\ndescription: {long}\nsteps: {{ a: {{ run: \"()\", nx: {long} }} }}\n"
    );
    let said = shown(&workflow, &[], &[]);
    assert!(said.len() < 2_000, "{} bytes", said.len());
    assert!(said.contains("(w.yaml:3:26)"), "{said}");
}

mistakes! {
    an_interpolation_of_a_shell: "workflow: w\nparams: { name: string }\nsteps:\n  a: { script: step.rhai, with: { name: \"${params.name} of ${{ run.id }}\", count: \"${{ 99999999999999999999 }}\" } }\n";
    an_interpolation_in_double_quotes: "workflow: w\nparams: { name: string }\nsteps:\n  a: { with: { name: \"${{ 'the ${params.name}' }}\" }, run: 'log::info(\"${inputs.name}\"); #{ at: 1.5, of: 2 * 1.5, as_is: `${inputs.name}` }' }\n  b: { script: own.rhai }\n",
        with [("own.rhai", "fn run(inputs) { let most = - 9_223_372_036_854_775_809; exec::run(\"sh\", [\"-c\", \"echo ${HOME} ${inputs[0]}\"]); #{} }\n")];
    a_name_with_a_hyphen: "workflow: w\nparams: { a-b: string }\nsteps:\n  a: { script: step.rhai, with: { name: \"x ${{ params.a-b }}\" } }\n";
    a_default_behind_a_type: "workflow: w\nparams: { count: \"int = 3\" }\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n";
    a_text_for_bytes: "workflow: w\nparams: { key: bytes }\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n", given ["-p", "key=aGk="];
    yaml_that_is_none: "workflow: w\nsteps:\n  a: { script: step.rhai\n";
    a_key_twice: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  a: { script: step.rhai, with: { name: y } }\n";
    an_unknown_key: "workflow: w\nsteps:\n  a:\n    script: step.rhai\n    wiht: { name: x }\n";
    a_bad_step_name: "workflow: w\nsteps:\n  root-ca: { script: step.rhai, with: { name: x } }\n";
    a_step_that_does_nothing: "workflow: w\nsteps:\n  a: { needs: [] }\n";
    a_step_that_does_two_things: "workflow: w\nsteps:\n  a: { script: step.rhai, run: \"()\" }\n";
    a_script_that_is_not_there: "workflow: w\nsteps:\n  a: { script: steps/step.rhai }\n";
    a_script_outside_the_folder: "workflow: w\nsteps:\n  a: { script: ../../etc/step.rhai }\n";
    a_missing_input: "workflow: w\nsteps:\n  a: { script: step.rhai }\n";
    an_unknown_input: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { nam: x, name: y } }\n";
    an_input_of_the_wrong_type: "workflow: w\nsteps:\n  a:\n    script: step.rhai\n    with:\n      name: x\n      count: many\n";
    a_param_of_the_wrong_type: "workflow: w\nparams:\n  n: { type: int, default: 1 }\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ params.n }}\" } }\n";
    an_unknown_step: "workflow: w\nsteps:\n  root_ca: { script: step.rhai, with: { name: x } }\n  b: { script: step.rhai, with: { name: \"${{ steps.rot_ca.greeting }}\" } }\n";
    an_unknown_output: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  b: { script: step.rhai, with: { name: \"Say ${{ steps.a.greting }}!\" } }\n";
    an_unknown_param: "workflow: w\nparams:\n  clusters: list(string)\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ params.cluster }}\" } }\n";
    literals_that_can_t_work: "workflow: w\nsteps:\n  a:\n    run: |\n      file::write(\"/abs\", \"x\");\n      file::write_secret(\"../x\", key::generate(\"RSA_2048\"));\n      file::read(\"/abs\");\n      random::password(4);\n      secret::read(\"foo:bar\");\n      secret::read(\"vault:x\");\n      http::get(\"x\", #{ undo: #{ method: \"GET\", url: \"https://x\" } });\n      time::format(time::now(), \"[year\");\n      http::put(\"https://x\", #{ expect: [9999], undo: #{ method: \"FOO\", url: \"https://x\" } });\n";
    outputs_that_are_not_there: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n  b: { when: \"${{ steps.a.n == '1' }}\", run: \"()\" }\n  c: { when: \"${{ steps.a.n = 1 }}\", run: \"()\" }\n  d: { for_each: \"${{ steps.a.list.sort() }}\", run: \"()\" }\n",
        with [("bad.rhai", "const OUTPUTS = #{ before: \"string\", n: \"int\", list: \"list(string)\" };\nfn run(inputs) {\n    if inputs == #{} { return #{ before: 1, n: 1, list: [] }; }\n    if true { #{ before: \"x\", n: 1, list: [] } }\n}\nfn undo(inputs, outputs) {\n    if outputs.befor == () { log::info(\"gone\"); }\n}\n")];
    outputs_of_another_type: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "const OUTPUTS = #{ a: \"int\", b: \"string\", c: \"float\" };\nfn run(inputs) {\n    #{ a: \"no\", b: 1, c: 1 }\n}\n")];
    a_text_for_a_secret: "workflow: w\nparams: { plain: string, hidden: secret }\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  b: { script: own.rhai, with: { token: \"${{ steps.a.greeting }}\", other: \"x ${{ params.plain }}\", fits: \"x ${{ params.hidden }}\" } }\n  c: { workflow: in.yaml, with: { token: \"${{ steps.a.greeting }}\" } }\n",
        with [("in.yaml", "workflow: in\nparams: { token: secret }\nsteps: { a: { run: \"()\" } }\n"), ("own.rhai", "const INPUTS = #{ token: \"secret\", other: \"secret\", fits: \"secret\" };\nfn run(inputs) { #{} }\n")];
    an_item_by_its_number: "workflow: w\nsteps:\n  a: { script: step.rhai, for_each: [1, 2], with: { name: \"${{ `${item}` }}\" } }\n  b: { script: step.rhai, with: { name: \"${{ steps.a[0].greeting }}\" } }\n";
    a_signature_below_its_name: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "//! Its INPUTS are few, and its fn run is short.\nconst INPUTS = #{ name: \"string\", a: \"strin\" };\nfn run() { #{} }\n")];
    a_name_with_a_control_character: "workflow: \"w\\e[31m\"\nsteps:\n  a: { run: \"()\" }\n";
    an_unknown_type: "workflow: w\nparams:\n  n: { type: strnig }\nsteps:\n  a: { run: \"()\" }\n";
    a_default_of_the_wrong_type: "workflow: w\nparams:\n  n: { type: list(string), default: [a, 2] }\nsteps:\n  a: { run: \"()\" }\n";
    a_cycle: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ steps.c.greeting }}\" } }\n  b: { script: step.rhai, with: { name: \"${{ steps.a.greeting }}\" } }\n  c: { script: step.rhai, needs: [b], with: { name: x } }\n";
    a_step_that_needs_itself: "workflow: w\nsteps:\n  a: { run: \"()\", needs: [a] }\n";
    workflows_in_a_circle: "workflow: w\nsteps:\n  a: { workflow: inner.yaml }\n",
        with [("inner.yaml", "workflow: inner\nsteps:\n  b: { workflow: w.yaml }\n")];
    an_item_without_for_each: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ item }}\" } }\n";
    a_bare_steps: "workflow: w\nsteps:\n  a: { run: \"()\" }\n  b: { run: \"()\", when: \"${{ steps.len() > 0 }}\" }\n";
    an_expression_that_is_none: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ 1 + }}\" } }\n";
    an_expression_without_an_end: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ params.x\" } }\n";
    an_expression_that_asks_for_the_clock: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ time::now() }}\" } }\n";
    an_unknown_function_in_an_expression: "workflow: w\nparams:\n  c: { type: list, default: [] }\nsteps:\n  a: { script: step.rhai, with: { name: \"${{ params.c.lenght() }}\" } }\n";
    a_bad_retry: "workflow: w\nsteps:\n  a:\n    run: \"()\"\n    timeout: soon\n    retry: { attempts: 0, backoff: 9s..1s, on: [throtled] }\n";
    a_timeout_of_nothing: "workflow: w\nsteps:\n  a: { run: \"()\", timeout: 0s }\n  b: { approval: \"ok?\", timeout: 0ms }\n";
    what_could_never_be_met: "workflow: \"\"\nlock: \"\"\nparams:\n  n: { type: int, min: 9, max: 3 }\n  m: { type: string, one_of: [] }\n  k: { type: string, one_of: [gloo, cacerts] }\nsteps:\n  a: { approval: \" \", approvers: [], on_timeout: approve }\n  b: { lock: \"\", when: \"${{ params.k == 'glo' }}\", run: \"()\" }\nfinally:\n  c: { when: \"${{ run.status != 'success' }}\", run: \"()\" }\n";
    what_never_has_the_right_type: "workflow: w\nlock: [a]\nsteps:\n  a: { approval: { say: x }, approvers: alice }\n  b: { lock: 5, run: \"()\" }\n  c: { approval: \"go?\", approvers: \"\" }\n  d: { approval: \"go?\", approvers: \"${{ ['a'] }}\", lock: \"${{ 'x' }}\" }\n";
    what_is_never_there: "workflow: w\nparams: { n: int, s: \"string?\" }\nsteps:\n  a: { for_each: [x, y], script: each.rhai }\n  b: { when: \"${{ run.status == 'failed' }}\", with: { sq: \"${{ steps.a.sq }}\", x: \"${{ steps.a.x.sq }}\", y: \"${{ steps.a.sq.sq }}\" }, run: \"()\" }\n  c: { when: \"${{ params.n == '1' || params.s == '1' }}\", run: \"()\" }\nfinally:\n  d: { when: \"${{ run.status == 'failed' }}\", run: \"()\" }\noutputs: { s: \"${{ run.status }}\" }\n",
        with [("each.rhai", "const OUTPUTS = #{ sq: \"int\" };\nfn run(inputs) {\n    #{ sq: 1 }\n}\n")];
    a_script_that_does_more_than_its_functions: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "import \"lib/top\" as top;\n\nconst OUTPUTS = #{ sum: \"int\", note: \"string?\" };\nhttp::post(\"https://example.com\");\n\nfn run(inputs) {\n    #{ summ: 1, other: 2 }\n}\n"), ("lib/top.rhai", "log::info(\"here\");\n\nfn x() { 1 }\n")];
    a_secret_of_who_starts_in_a_trigger: "workflow: w\nparams: { s: secret, t: secret }\ntriggers:\n  - { schedule: \"@daily\", params: { s: \"env:PW\", t: \"ssm:/app/pw\" } }\nsteps:\n  a: { run: \"()\" }\n";
    a_constant_in_a_function: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "const BASE = \"x\";\n\nfn run(inputs) {\n    #{ x: BASE }\n}\n")];
    phases_in_the_wrong_order: "workflow: w\nphases: { before: {}, change: {} }\nsteps:\n  a: { phase: change, run: \"()\" }\n  b: { phase: before, needs: [a], run: \"()\" }\n";
    a_step_under_finally_in_an_early_phase: "workflow: w\nphases: { one: {}, two: {} }\nsteps:\n  a: { phase: one, run: \"()\" }\n  b: { phase: two, needs: [a], run: \"()\" }\nfinally:\n  c: { phase: one, run: \"()\" }\n";
    a_timeout_on_a_workflow: "workflow: w\nsteps:\n  a: { workflow: inner.yaml, timeout: 5m, max_parallel: 2 }\n",
        with [("inner.yaml", "workflow: inner\nsteps:\n  b: { run: \"()\" }\n")];
    a_step_that_reads_finally: "workflow: w\nsteps:\n  a: { run: \"()\", needs: [z] }\nfinally:\n  z: { run: \"()\" }\n";
    a_script_with_a_syntax_error: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    let x = ;\n    #{}\n}\n")];
    a_script_that_calls_what_does_not_exist: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    let arn = pca::create_certificate_authorty(#{});\n    pka::describe(arn);\n    halp(1);\n    pca::wait_until_active();\n    #{}\n}\n")];
    a_script_without_run: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn main(inputs) {\n    #{}\n}\n")];
    a_script_with_a_bad_signature: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "const INPUTS = #{ name: \"strnig\", count: 5 };\n\nfn run(inputs) {\n    #{}\n}\n")];
    a_script_with_an_unknown_variable: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    #{ greeting: input.name }\n}\n")];
    calls_of_imports_that_can_t_be_read: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "import \"lib/naming\" as naming;\nimport \"lib/gone\" as gone;\n\nfn run(inputs) {\n    let x = naming::of(1) + naming::of(2);\n    gone::by(x);\n    #{}\n}\n"), ("lib/naming.rhai", "fn of(x) {\n    x +\n}\n")];
    an_import_that_is_not_there: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "import \"lib/naming\" as naming;\n\nfn run(inputs) {\n    #{}\n}\n")];
    a_mistake_in_an_import: "workflow: w\nsteps:\n  a: { script: good.rhai }\n",
        with [("good.rhai", "import \"lib/naming\" as naming;\n\nfn run(inputs) {\n    #{ x: naming::of(1) }\n}\n"), ("lib/naming.rhai", "fn of(x) {\n    upper(x)\n}\n")];
    a_mistake_in_an_inline_body: "workflow: w\nsteps:\n  a:\n    run: |\n      let x = inputs.name;\n      log::inform(x);\n    with: { name: x }\n";
    a_mistake_in_a_nested_workflow: "workflow: w\nsteps:\n  a: { workflow: inner.yaml, with: { nam: x } }\n",
        with [("inner.yaml", "workflow: inner\nparams:\n  name: string\nsteps:\n  b: { script: step.rhai, with: { name: \"${{ params.nmae }}\" } }\n")];
    many_mistakes_at_once: "workflow: w\nparams:\n  n: { type: nubmer }\nsteps:\n  a: { script: step.rhai, with: { nam: x } }\n  b: { script: gone.rhai, needs: [c] }\noutputs:\n  o: ${{ steps.a.greting }}\n";
    a_given_param_that_does_not_exist: "workflow: w\nparams:\n  clusters: { type: list(string), default: [] }\nsteps:\n  a: { run: \"()\" }\n",
        given ["-p", "cluster=[a]"];
    a_given_param_of_the_wrong_type: "workflow: w\nparams:\n  clusters: { type: list(string), default: [] }\nsteps:\n  a: { run: \"()\" }\n",
        given ["-p", "clusters=cluster-1"];
    a_param_that_is_not_given: "workflow: w\nparams:\n  clusters: list(string)\nsteps:\n  a: { run: \"()\" }\n";
    an_unknown_target: "workflow: w\nsteps:\n  a: { run: \"()\" }\n", given ["--target", "prod"];
    a_mistake_behind_escapes: "workflow: w\nsteps:\n  a: { run: \"log::info(\\\"hi\\\");\\n log::inform(1); let x = ;\" }\n";
    an_expression_behind_escapes: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: \"say \\\"${{ \\\"a\\\" + params.nmae }}\\\"\" } }\n";
    a_body_that_ends_with_the_file: "workflow: w\nsteps:\n  a:\n    run: |\n      let x = (";
    a_body_that_ends_with_a_wide_letter: "workflow: w\nsteps:\n  a:\n    run: |\n      (ü";
    a_text_in_single_quotes: "workflow: w\nsteps:\n  a:\n    run: log::info('hi')\n";
    names_that_rhai_keeps: "workflow: w\nparams:\n  match: string\n  plain: string\nsteps:\n  go: { run: \"()\" }\n  if: { run: \"()\" }\n";
    inputs_that_are_not_given: "workflow: w\nsteps:\n  a:\n    with: { name: x }\n    run: |\n      log::info(`hi ${inputs.nmae}`);\n      let far = [1].map(|n| inputs[\"other\"] + n);\n      #{ x: inputs?.name }\n  b: { run: \"#{ x: inputs.name }\" }\n";
    inputs_that_are_not_declared: "workflow: w\nsteps:\n  a: { script: bad.rhai, with: { name: x } }\n  b: { script: bare.rhai }\n",
        with [("bad.rhai", "const INPUTS = #{ name: \"string\" };\n\nfn run(given) {\n    #{ x: given.nmae, y: other(given) }\n}\n\nfn other(inputs) {\n    inputs.anything\n}\n\nfn undo(inputs, outputs) {\n    log::info(inputs.named);\n}\n"), ("bare.rhai", "fn run(inputs) {\n    #{ x: inputs.name }\n}\n")];
    an_output_of_a_body_that_is_none: "workflow: w\nsteps:\n  a: { run: \"#{ path: 1, more: 2 }\" }\n  b: { run: \"()\", when: \"${{ steps.a.pth > 0 }}\" }\n";
    conditions_that_are_texts: "workflow: w\nparams: { n: int }\nsteps:\n  a: { run: \"()\", when: \"params.n > 3\" }\n  b: { run: \"()\", for_each: \"abc\" }\n  c: { run: \"()\", when: \"${{ params.n }} > 3\" }\n  d: { run: \"()\", when: true, for_each: [a, b] }\n  e: { run: \"()\", when: 1, for_each: 3 }\n";
    keys_of_other_tools: "workflow: w\nsteps:\n  a: { run: \"()\" }\n  b: { run: \"()\", depends_on: [a], if: true, retries: 3, timeout: 5 }\n";
    keys_types_and_words_of_other_tools: "workflow: w\nparams: { n: number, of: \"array<object>\" }\nsteps:\n  a: { run: \"()\", loop: [1], retry: 3, dependsOn: [b], ignore_errors: true }\n  b: { run: \"let x = null;\", when: \"${{ params.n == None }}\" }\n  c: { run: \"let x = {a: 1};\", when: \"${{ params.n == 1 and params.n == 2 }}\" }\n  d: { script: bad.rhai }\n",
        with [("bad.rhai", "const INPUTS = #{ on: \"boolean = false\" };\nfn run(inputs) { #{} }\n")];
    variables_in_ordinary_quotes: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    let name = inputs.len();\n    log::info(\"hello ${name}\");\n    for part in [\"a\"] { log::info(\"${part.len()}: ${name}\"); }\n    [1].map(|n| \"${n} of ${name}\");\n    try { throw \"x\"; } catch (e) { log::warn(\"${e.message}\"); }\n    let of_others = [\"${HOME}/${name}\", \"${name:-x}\", \"$name\"];\n    exec::run(\"sh\", [\"-c\", \"echo ${name}\"]);\n    #{ text: `${name}`, of: of_others }\n}\n")];
    names_of_one_letter: "workflow: w\nsteps:\n  a: { run: \"()\" }\n  b: { run: \"()\", needs: [c] }\n";
    an_empty_file: "";
    an_undo_of_a_step: "workflow: w\nsteps:\n  a: { workflow: inner.yaml }\n",
        with [("inner.yaml", "workflow: inner\non_failure: undo\nsteps:\n  a: { run: \"()\" }\n")];
    a_script_for_a_workflow: "workflow: w\nsteps:\n  a: { workflow: step.rhai }\n";
    a8_an_integer_that_is_too_large: "workflow: w\nparams:\n  n: { type: int, default: 9223372036854775808 }\nsteps:\n  a: { run: \"()\" }\n";
    a8_a_second_document: "workflow: w\nsteps:\n  a: { run: \"()\" }\n---\nworkflow: v\n";
    a8_a_tag_of_another_tool: "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: !vault token } }\n";
    a8_reads_without_their_mark: "workflow: w\nparams: { n: { type: int, default: 1 } }\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  b:\n    for_each: [x]\n    with: { x: steps.a.greeting, y: [params.n, item, steps.example.com, \"params.n is\"] }\n    run: ()\noutputs:\n  o: steps.a.greeting\n";
    a8_an_expression_in_a_body: "workflow: w\nparams: { n: { type: int, default: 1 } }\nsteps:\n  a:\n    run: |\n      // not ${{ this }}\n      log::info(\"n is ${{ params.n }}\");\n";
    a8_an_expression_in_a_script: "workflow: w\nsteps:\n  a: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    let x = ${{ params.n }};\n    #{}\n}\n")];
    e8_an_expression_that_yaml_cuts: "workflow: w\nsteps:\n  a:\n    run: ()\n    with:\n      x: ${{ #{ a: 1 } }}\n";
    e8_an_expression_in_flow_style: "workflow: w\nparams: { n: { type: int, default: 1 } }\nsteps:\n  a:\n    run: ()\n    with: { n: ${{ params.n }} }\n";
    e8_an_expression_with_a_colon: "workflow: w\nsteps:\n  a:\n    run: ()\n    when: ${{ target.name == \"a: b\" }}\n";
    e8_names_of_the_workflow_in_a_body: "workflow: w\nparams: { n: { type: int, default: 1 } }\nsteps:\n  a: { run: \"#{ x: params.n }\" }\n  b: { run: \"#{ x: steps.a.x }\" }\n  c: { script: bad.rhai }\n",
        with [("bad.rhai", "fn run(inputs) {\n    #{ x: params.n }\n}\n")];
    e8_shell_commands: "workflow: w\nsteps:\n  a: { run: echo hello }\n  b: { run: ls }\n  c:\n    run: |\n      kubectl get pods -n \"my space\"\n";
    e8_a_list_of_steps: "workflow: w\nsteps:\n  - name: build\n    run: ()\n";
    e8_a_condition_on_an_item: "workflow: w\nsteps:\n  a: { run: (), for_each: [x, y], when: \"${{ item == 'x' }}\" }\n";
    e8_wrong_argument_counts: "workflow: w\nsteps:\n  a:\n    run: |\n      kube::get(\"mgmt\", \"deployment/x\");\n      file::write(\"x\");\n      pca::issue_certificate(\"arn\");\n      helper(1, 2);\n      fn helper(name) { name.len() }\n";
    e8_unknown_options: "workflow: w\nsteps:\n  a:\n    run: |\n      http::get(\"https://example.com\", #{ header: #{}, timeout: \"5s\" });\n      kube::apply(\"mgmt\", #{ kind: \"X\", forse: 1 }, #{ forse: true });\n      csr::create(key::generate(\"RSA_2048\"), #{ subject: #{}, dnsnames: [] });\n      file::write_template(\"a\", \"b\", #{ anything: 1 });\n";
    options_inside_of_options: "workflow: w\nsteps:\n  a:\n    run: |\n      pca::issue_certificate(inputs.ca, #{\n        csr: inputs.csr,\n        validity: #{ type: \"DAYS\", valeu: 1 },\n        api_passthrough: #{ subject: #{ comon_name: \"x\" }, custom_extensions: [#{ oid: \"1.2\", vlaue: \"\" }] },\n      });\n      http::put(inputs.url, #{ undo: #{ methd: \"PUT\", url: inputs.url } });\n    with: { ca: x, csr: y, url: z }\n";
    options_of_the_wrong_type: "workflow: w\nsteps:\n  a:\n    run: |\n      kube::apply_secret(\"mgmt\", \"ns\", \"x\", #{ a: 1 }, #{ force: \"yes\", labels: [\"a\"] });\n      kube::patch(\"mgmt\", \"ns\", \"configmap\", #{}, #{ type: \"strategc\" });\n      exec::run(\"ls\", \"-l\", #{ timeout: 5, grace: \"soon\" });\n      time::sleep(90);\n      csr::create(\"key\", #{ subject: #{ country: \"USA\" }, key_usage: [\"digitalSignatur\"] });\n";
    options_that_are_missing: "workflow: w\nsteps:\n  a:\n    run: |\n      pca::issue_certificate(inputs.ca, #{ template: \"RootCACertificate/V1\" });\n      pca::create_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\", actions: () });\n    with: { ca: x }\n";
    changes_in_a_fresh_step: "workflow: w\nsteps:\n  a: { fresh: true, run: 'kube::replace_pods(\"mgmt\", \"ns\", \"daemonset/a\", \"5m\");' }\n  b: { fresh: true, run: 'http::options(\"https://example.com\");' }\n";
}

#[test]
fn a_file_that_is_not_there() {
    let test = Test::new();
    let ran = test.windlass(&["run", "w.yaml"]).expect(2);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn validate_shows_the_mistakes_of_every_file() {
    let test = Test::new()
        .file(
            "good.yaml",
            "workflow: good\nsteps:\n  a: { run: \"()\" }\n",
        )
        .file("bad.yaml", "workflow: bad\nsteps:\n  a: { runn: \"()\" }\n");
    test.windlass(&["validate", "good.yaml"]).expect(0);
    let ran = test
        .windlass(&["validate", "good.yaml", "bad.yaml"])
        .expect(2);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn a_condition_is_asked_once_for_all_items() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { for_each: [x, y], when: \"${{ item != 'y' }}\", run: '()' }\n",
    );
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
    refused.says("no-item");
}

/// What does nothing by itself may stand outside of functions, and only the `fn run` of the step gives its outputs.
#[test]
fn a_script_may_have_constants_and_functions_of_any_name() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { script: a.rhai }\n")
        .file(
            "a.rhai",
            "import \"lib/names\" as names;\n\nconst OUTPUTS = #{ x: \"string\" };\nconst LIMIT = 60 * 60;\n\nfn run(inputs) {\n    #{ x: names::PREFIX + names::of() }\n}\n\nfn run(a, b) {\n    #{ a: a, b: b }\n}\n",
        )
        .file(
            "lib/names.rhai",
            "export const PREFIX = \"p-\";\n\nfn of() { \"x\" }\n",
        );
    test.windlass(&["validate", "w.yaml"]).expect(0);
    test.windlass(&["run", "w.yaml"]).expect(0);
}
