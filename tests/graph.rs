//! `windlass graph`.

use crate::harness::Test;

#[test]
fn the_shipped_workflow_as_text_mermaid_and_dot() {
    let test = Test::with_shipped_workflows();
    for format in ["text", "mermaid", "dot"] {
        let ran = test
            .windlass(&["graph", "workflows/gloo-mesh.yaml", "--format", format])
            .expect(0);
        insta::assert_snapshot!(format!("gloo_mesh_{format}"), ran.stdout);
    }
}
