//! Steps with `for_each`.

use super::{Beginning, Story, yaml};
use windlass_journal::{Outcome, Status};

#[test]
fn each_item_is_an_execution_of_its_own_and_the_outputs_are_a_map_by_item() {
    let mut run = Story::of(
        "steps:
  each: { run: '#{ n: 1 }', for_each: [x, y], with: { name: \"${{ item }}\" } }
  after: { run: '()', needs: [each] }
",
    );
    run.starts(["each[x]", "each[y]"]);
    assert_eq!(run.instance("each[y]").inputs, yaml("{ name: y }"));
    run.gives("each[y]", "{ n: 2 }");
    run.waits();
    run.gives("each[x]", "{ n: 1 }");
    run.starts(["after"]);
    let outputs = yaml("{ x: { n: 1 }, y: { n: 2 } }");
    assert_eq!(run.instance("each").outputs, outputs);
}

#[test]
fn only_so_many_items_run_at_once_as_the_step_allows() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [x, y, z], max_parallel: 2 }
  other: { run: '()' }
",
    );
    run.starts(["other", "each[x]", "each[y]"]);
    run.succeeds("other");
    run.waits();
    run.succeeds("each[y]");
    run.starts(["each[z]"]);
}

#[test]
fn items_of_a_nested_workflow_count_until_they_have_ended() {
    let text = "steps: { each: { workflow: inner.yaml, for_each: [x, y], max_parallel: 1 } }";
    let inner = "workflow: inner\nsteps: { a: { run: '()' }, b: { run: '()', needs: [a] } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["each[x]/a"]);
    run.succeeds("each[x]/a");
    run.starts(["each[x]/b"]);
    run.succeeds("each[x]/b");
    run.starts(["each[y]/a"]);
}

#[test]
fn a_step_without_items_succeeds_at_once() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [] }
  after: { run: '()', needs: [each] }
",
    );
    run.starts(["after"]);
    assert_eq!(run.status("each"), Status::Succeeded);
    assert_eq!(run.instance("each").outputs, yaml("{}"));
}

#[test]
fn items_are_named_by_their_text_their_key_or_their_position() {
    for (items, names) in [
        ("[a, 1, true]", ["each[a]", "each[1]", "each[true]"]),
        ("{ b: 1, c: 2, d: 3 }", ["each[b]", "each[c]", "each[d]"]),
        ("[[], {}, 1.5]", ["each[0]", "each[1]", "each[2]"]),
        // A position could be the name of another item.
        ("[{}, 0, {}]", ["each[#0]", "each[0]", "each[#2]"]),
    ] {
        let text = format!("steps: {{ each: {{ run: '()', for_each: {items} }} }}");
        let mut run = Story::of(&text);
        run.starts(names);
    }
}

#[test]
fn a_key_names_the_items() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [{ name: x }, { name: y }], key: \"${{ item.name }}\" }
",
    );
    run.starts(["each[x]", "each[y]"]);
}

#[test]
fn items_that_can_not_be_told_apart_or_are_no_list_fail_the_step() {
    let of = |value: &str, key: &str| {
        let text = format!(
            "params: {{ items: any }}
steps: {{ each: {{ run: '()', for_each: \"${{{{ params.items }}}}\"{key} }} }}"
        );
        let mut run = Beginning::of(&text, &[])
            .params(&format!("{{ items: {value} }}"))
            .go();
        run.ends(Outcome::Failed);
        (
            run.error("each").code.clone(),
            run.error("each").message.clone(),
        )
    };
    let twice = "`for_each` of `each` has the item `x` twice".to_owned();
    assert_eq!(of("[x, y, x]", ""), ("duplicate-item".into(), twice));
    let no_list = "`for_each` must be a list or a map, not a string".to_owned();
    assert_eq!(of("x", ""), ("wrong-type".into(), no_list));
    let no_key = "`key` must be a string, an int or a bool, not a list".to_owned();
    assert_eq!(
        of("[[]]", ", key: \"${{ item }}\""),
        ("wrong-type".into(), no_key)
    );
}

#[test]
fn the_other_items_run_on_when_one_fails_and_then_the_step_fails() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [x, y, z], max_parallel: 1 }
  after: { run: '()', needs: [each] }
",
    );
    run.starts(["each[x]"]);
    run.fails("each[x]");
    run.starts(["each[y]"]);
    run.succeeds("each[y]");
    run.starts(["each[z]"]);
    run.succeeds("each[z]");
    run.ends(Outcome::Failed);
    assert_eq!(run.error("each").message, "1 of 3 failed: x");
}

#[test]
fn with_fail_fast_no_item_begins_after_one_has_failed() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [w, x, y, z], max_parallel: 2, fail_fast: true }
",
    );
    run.starts(["each[w]", "each[x]"]);
    run.fails("each[w]");
    // What runs goes on.
    run.waits();
    run.succeeds("each[x]");
    run.ends(Outcome::Failed);
    let message = "1 of 4 failed: w; 2 did not start (fail_fast)";
    assert_eq!(run.error("each").message, message);
}
