//! The graph of a workflow or run as an SVG file.

use super::{
    fold::Web,
    format::length,
    graph::{Links, graph},
    steps::{Node, nodes},
};
use windlass_compile::Workflow;
use windlass_ground::Timestamp;
use windlass_journal::State;

/// The part of the page's style that the graph needs.
const STYLE: &str = "\
svg{font-family:system-ui,sans-serif;background:#fff}a{text-decoration:none}path{fill:none;stroke:#a9b7bd;stroke-width:1.5}\
.order{stroke-dasharray:4 4}.box,.behind{fill:#fff;stroke:#cfd8dc;stroke-width:1.2}.behind{fill:#f3f6f7}.rail{fill:#eceff1}\
.name{fill:#1c2529;font-size:13px;font-weight:600}.note{fill:#5b6b73;font-size:11px}.mark{font-size:13px;font-weight:700}\
.stripe,.mark,.part{fill:#8c959f}.good .stripe,.good .mark,.part.good{fill:#1a7f37}.bad .stripe,.bad .mark,.part.bad{fill:#cf222e}\
.bad .box{stroke:#cf222e;stroke-width:2}.warn .stripe,.warn .mark,.part.warn{fill:#9a6700}.busy .stripe,.busy .mark,.part.busy{fill:#0969da}";

/// Draws a workflow as SVG; with the state of a run, also the status and duration of each step. Large workflows are drawn in groups, as on
/// the page. Returns `None` for a workflow without steps.
pub fn picture(workflow: &Workflow, state: Option<&State>, now: Timestamp) -> Option<String> {
    let mut nodes: Vec<Node> = nodes(workflow, state.unwrap_or(&State::default()), now);
    for node in nodes.iter_mut().filter(|node| node.ended_at.is_some()) {
        node.does = format!("{} · {}", node.does, length(node.took(now)));
    }
    let links = Links {
        step: &|step| format!("#node-{step}"),
        open: &|_| "#graph".to_owned(),
    };
    let picture = Web::of(workflow).picture(&[]);
    let drawn = graph(&picture, &nodes, &links, None).into_string();
    let inside = drawn.strip_prefix("<svg ")?;
    let (attributes, rest) = inside.split_once('>')?;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {attributes}><style>{STYLE}</style>{rest}\n"
    ))
}
