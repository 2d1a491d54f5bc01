//! Draws workflows, and what happens while they run.

use std::collections::BTreeSet;

use proptest::prelude::*;

/// A step, which may need those before it.
#[derive(Clone, Debug)]
pub struct Node {
    pub needs: Vec<usize>,
    pub kind: Kind,
    /// Whether its condition lets it run.
    pub runs: bool,
    pub tolerated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Script,
    /// Runs for so many items, so many at once.
    Each(usize, usize),
    Nested,
    Finally,
}

fn node(rank: usize) -> impl Strategy<Value = Node> {
    let needs = prop::collection::btree_set(0..rank.max(1), 0..=rank.min(2));
    let kind = prop_oneof![
        5 => Just(Kind::Script),
        2 => (0_usize..4, 1_usize..3).prop_map(|(items, most)| Kind::Each(items, most)),
        2 => Just(Kind::Nested),
        1 => Just(Kind::Finally),
    ];
    let (runs, tolerated) = (prop::bool::weighted(0.8), prop::bool::weighted(0.3));
    (needs, kind, runs, tolerated).prop_map(|(needs, kind, runs, tolerated)| Node {
        needs: needs.into_iter().collect(),
        kind,
        runs,
        tolerated,
    })
}

/// Graphs of one to seven steps; the steps under `finally` come last.
pub fn graph() -> impl Strategy<Value = Vec<Node>> {
    (1_usize..8).prop_flat_map(|count| {
        let nodes: Vec<_> = (0..count).map(node).collect();
        nodes.prop_map(|mut nodes| {
            nodes[0].kind = Kind::Script;
            let finally: Vec<_> = nodes
                .iter()
                .map(|node| node.kind == Kind::Finally)
                .collect();
            for (rank, node) in nodes.iter_mut().enumerate() {
                node.needs.retain(|need| finally[*need] <= finally[rank]);
            }
            nodes
        })
    })
}

pub fn text(graph: &[Node]) -> String {
    let (mut steps, mut finally) = (String::from("steps:\n"), String::new());
    for (rank, node) in graph.iter().enumerate() {
        let needs: Vec<_> = node.needs.iter().map(|need| format!("s{need}")).collect();
        let mut line = format!("  s{rank}: {{ needs: [{}]", needs.join(", "));
        line += &match node.kind {
            Kind::Script | Kind::Finally => ", run: '()'".to_owned(),
            Kind::Each(items, most) => {
                let items: Vec<_> = (0..items).map(|item| format!("i{item}")).collect();
                format!(
                    ", run: '()', for_each: [{}], max_parallel: {most}",
                    items.join(", ")
                )
            }
            Kind::Nested => ", workflow: inner.yaml".to_owned(),
        };
        line += if node.runs {
            ""
        } else {
            ", when: \"${{ 1 > 2 }}\""
        };
        line += if node.tolerated {
            ", on_error: continue }\n"
        } else {
            " }\n"
        };
        let section = if node.kind == Kind::Finally {
            &mut finally
        } else {
            &mut steps
        };
        section.push_str(&line);
    }
    if finally.is_empty() {
        steps
    } else {
        format!("{steps}finally:\n{finally}")
    }
}

pub const INNER: &str = "workflow: inner
steps: { x: { run: '()' }, y: { run: '()', needs: [x] }, z: { run: '()' } }
";

/// What happens while a run is played.
#[derive(Clone, Debug)]
pub struct Fortune {
    /// Which of the running attempts ends next.
    pub order: Vec<u8>,
    /// The attempts that fail; empty if none does.
    pub failing: BTreeSet<u8>,
    pub at_most: usize,
    /// After how many ends of attempts the process dies.
    pub dies_after: Option<usize>,
}

pub fn fortune(failures: usize) -> impl Strategy<Value = Fortune> {
    (
        prop::collection::vec(any::<u8>(), 40),
        prop::collection::btree_set(0_u8..20, 0..=failures),
        1_usize..5,
    )
        .prop_map(|(order, failing, at_most)| Fortune {
            order,
            failing,
            at_most,
            dies_after: None,
        })
}
