//! `windlass graph`.

use crate::harness::Test;

#[test]
fn the_shipped_workflow_as_text_mermaid_and_dot() {
    let test = Test::with_shipped_workflows();
    for format in ["text", "lanes", "mermaid", "dot"] {
        let ran = test
            .windlass(&["graph", "workflows/gloo-mesh.yaml", "--format", format])
            .expect(0);
        insta::assert_snapshot!(format!("gloo_mesh_{format}"), ran.stdout);
    }
}

const CHAIN: &str = "workflow: chain
steps:
  good: { run: '1' }
  bad: { needs: [good], run: 'throw \"no\"' }
  never: { needs: [bad], run: '1' }
";

#[test]
fn a_run_is_drawn_with_states_and_times() {
    let test = Test::new().file("chain.yaml", CHAIN);
    test.windlass(&["run", "chain.yaml"]).expect(1);
    let id = test.shown()["run"].as_str().expect("an id").to_owned();
    // A part of the id is enough.
    let id = &id[id.len() - 6..];
    let lanes = test.windlass(&["graph", id]).expect(0).stdout;
    let lines: Vec<_> = lanes.lines().collect();
    assert_eq!(lines.len(), 3, "{lanes}");
    assert!(
        lines[0].starts_with("✓  good") && lines[0].contains("succeeded 0."),
        "{lanes}"
    );
    assert!(
        lines[1].starts_with("✗  bad") && lines[1].contains("failed"),
        "{lanes}"
    );
    assert!(
        lines[2].starts_with("·  never") && lines[2].contains("pending"),
        "{lanes}"
    );
    let mermaid = test
        .windlass(&["graph", id, "--format", "mermaid"])
        .expect(0)
        .stdout;
    assert!(
        mermaid.contains("class s-bad failed") && mermaid.contains("classDef failed"),
        "{mermaid}"
    );
    let dot = test
        .windlass(&["graph", id, "--format", "dot"])
        .expect(0)
        .stdout;
    assert!(dot.contains("label=\"bad\\nfailed"), "{dot}");
    let svg = test
        .windlass(&["graph", id, "--format", "svg"])
        .expect(0)
        .stdout;
    assert!(
        svg.contains("node bad") && svg.contains("node good"),
        "{svg}"
    );
    assert!(svg.contains("bad: failed"), "{svg}");
    // The file is another thing than the run, and what is neither is a file that is not there.
    let file = test.windlass(&["graph", "chain.yaml"]).expect(0).stdout;
    assert!(
        file.contains("good") && !file.contains("succeeded"),
        "{file}"
    );
    let nothing = test.windlass(&["graph", "chains"]).expect(2).stderr;
    assert!(nothing.contains("unreadable-file"), "{nothing}");
}

/// An XML parser reads the picture, and every step is in it.
#[test]
fn the_picture_of_the_shipped_workflow_is_a_document() {
    let test = Test::with_shipped_workflows();
    let file = "workflows/gloo-mesh.yaml";
    let svg = test
        .windlass(&["graph", file, "--format", "svg"])
        .expect(0)
        .stdout;
    test.write("graph.svg", &svg);
    let script = "import sys, xml.etree.ElementTree as x\nr = x.parse('graph.svg').getroot()\n\
        assert r.tag == '{http://www.w3.org/2000/svg}svg', r.tag\n\
        print(len([t for t in r.iter('{http://www.w3.org/2000/svg}text') if t.get('class') == 'name']))";
    let read = std::process::Command::new("python3")
        .args(["-c", script])
        .current_dir(test.path("."))
        .output()
        .expect("python3 is installed");
    let names = String::from_utf8_lossy(&read.stdout);
    let steps = test.windlass(&["graph", file]).expect(0).stdout;
    let steps = steps.lines().filter(|line| !line.starts_with(' ')).count();
    assert_eq!(
        names.trim(),
        steps.to_string(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
}

#[test]
fn a_terminal_gets_lanes_and_a_pipe_text() {
    let test = Test::new().file("chain.yaml", CHAIN);
    let at_terminal = crate::surface::at_a_terminal(&test, "graph chain.yaml", "")
        .expect(0)
        .stdout;
    assert!(at_terminal.contains("●  good"), "{at_terminal}");
    let piped = test.windlass(&["graph", "chain.yaml"]).expect(0).stdout;
    assert!(
        piped.contains("bad    [script]  ← (good)") || piped.contains("← (good)"),
        "{piped}"
    );
}
