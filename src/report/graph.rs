use std::collections::BTreeSet;

use petgraph::{
    dot::{Config, Dot},
    graph::DiGraph,
};

use super::{
    lanes::lanes,
    style::{describe_status, took},
};
use windlass_compile::{Action, Edge, Step, Workflow};
use windlass_journal::{InstanceId, State};

/// The format of a workflow's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// One line for each step, with the steps that it waits for.
    Text,
    /// One line for each step, with lanes to the steps that wait for it.
    Lanes,
    Mermaid,
    Dot,
}

/// The statuses of the steps that are drawn, if they are those of a run.
#[derive(Clone, Copy)]
pub struct Standings<'a> {
    /// `None` for a workflow without a run.
    pub state: Option<&'a State>,
}

impl Standings<'_> {
    /// Returns the sign of a step.
    pub(super) fn mark(self, step: &Step) -> String {
        match self.state {
            Some(state) => describe_status(state.status(&id_of(step))).to_string(),
            None => "●".into(),
        }
    }

    /// Returns the note after a step's name: what it does or, in a run, its status.
    pub(super) fn note(self, step: &Step) -> String {
        match self.status(step) {
            Some((status, took)) => format!("{} {status} {took}", kind(step))
                .trim_end()
                .to_owned(),
            None => kind(step),
        }
    }

    /// Returns the status of a step in a run, and how long it took.
    fn status(self, step: &Step) -> Option<(&'static str, String)> {
        let state = self.state?;
        let id = id_of(step);
        let took = state.instance(&id).and_then(took).unwrap_or_default();
        Some((state.status(&id).as_str(), took))
    }
}

fn id_of(step: &Step) -> InstanceId {
    InstanceId::step(None, step.name.as_str())
}

/// Draws the graph of a workflow or of a run. Solid edges carry data, dotted ones only order.
pub fn draw(workflow: &Workflow, format: GraphFormat, standings: Standings) -> String {
    match format {
        GraphFormat::Text => text(workflow, ""),
        GraphFormat::Lanes => lanes(workflow, &standings),
        GraphFormat::Mermaid => mermaid(workflow, standings),
        GraphFormat::Dot => dot(workflow, standings),
    }
}

/// Draws one line for each step, in a possible order of the run, with the steps that each waits for.
fn text(workflow: &Workflow, indent: &str) -> String {
    let width = workflow
        .steps()
        .map(|(_, step)| step.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (index, step) in workflow.steps() {
        let mut waits: Vec<_> = workflow
            .dependencies(index)
            .map(|(other, edge)| match edge {
                Edge::Data => other.name.to_string(),
                Edge::Order => format!("({})", other.name),
            })
            .collect();
        waits.sort();
        let mut line = format!("{indent}{:width$}  {}", step.name.as_str(), kind(step));
        if !waits.is_empty() {
            line.push_str(&format!("  ← {}", waits.join(", ")));
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if let Action::Workflow(inner) = &step.action {
            out.push_str(&text(inner, &format!("{indent}    ")));
        }
    }
    out
}

fn kind(step: &Step) -> String {
    let mut parts = Vec::new();
    if step.is_finally {
        parts.push("finally".to_owned());
    }
    if step.for_each.is_some() {
        parts.push("for each".to_owned());
    }
    if step.when.is_some() {
        parts.push("when".to_owned());
    }
    parts.push(match &step.action {
        Action::Script(script) => file_name(&script.path).to_owned(),
        Action::Workflow(inner) => file_name(&inner.path).to_owned(),
        Action::Approval(_) => "approval".into(),
    });
    format!("[{}]", parts.join(", "))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn mermaid(workflow: &Workflow, standings: Standings) -> String {
    let mut out = String::from("flowchart TD\n");
    mermaid_steps(workflow, "", "    ", &mut out);
    let mut seen = BTreeSet::new();
    for (_, step) in workflow.steps() {
        if let Some((status, took)) = standings.status(step) {
            let id = mermaid_id("", step);
            out.push_str(&format!("    class {id} {status}\n"));
            if !took.is_empty() && matches!(step.action, Action::Script(_)) {
                out.push_str(&format!("    {id}[\"{}<br/>{took}\"]\n", step.name));
            }
            seen.insert(status);
        }
    }
    for status in seen {
        let colour = colour(status);
        out.push_str(&format!(
            "    classDef {status} stroke:{colour},stroke-width:2px\n"
        ));
    }
    out
}

/// Returns the colour of a status in the light theme of the page.
fn colour(status: &str) -> &'static str {
    match status {
        "succeeded" => "#1a7f37",
        "failed" => "#cf222e",
        "running" => "#0969da",
        "waiting" | "retrying" => "#9a6700",
        _ => "#8c959f",
    }
}

/// Returns the id of a step within the one of its workflow, which is empty at the top. The name of a step may be a reserved word of Mermaid,
/// such as `end`, and has no `-`, so ids differ.
fn mermaid_id(within: &str, step: &Step) -> String {
    match within {
        "" => format!("s-{}", step.name),
        within => format!("{within}-{}", step.name),
    }
}

fn mermaid_steps(workflow: &Workflow, prefix: &str, indent: &str, out: &mut String) {
    for (_, step) in workflow.steps() {
        let id = mermaid_id(prefix, step);
        let label = if step.for_each.is_some() {
            format!("{} (for each)", step.name)
        } else {
            step.name.to_string()
        };
        match &step.action {
            Action::Script(_) => out.push_str(&format!("{indent}{id}[\"{label}\"]\n")),
            Action::Approval(_) => out.push_str(&format!("{indent}{id}{{\"{label}?\"}}\n")),
            Action::Workflow(inner) => {
                out.push_str(&format!("{indent}subgraph {id} [\"{label}\"]\n"));
                mermaid_steps(inner, &id, &format!("{indent}    "), out);
                out.push_str(&format!("{indent}end\n"));
            }
        }
    }
    for (index, step) in workflow.steps() {
        for (other, edge) in workflow.dependencies(index) {
            let arrow = match edge {
                Edge::Data => "-->",
                Edge::Order => "-.->",
            };
            let (from, to) = (mermaid_id(prefix, other), mermaid_id(prefix, step));
            out.push_str(&format!("{indent}{from} {arrow} {to}\n"));
        }
    }
}

fn dot(workflow: &Workflow, standings: Standings) -> String {
    let graph: DiGraph<&str, Edge> = workflow.labelled_graph();
    let style =
        |_: &DiGraph<&str, Edge>, edge: petgraph::graph::EdgeReference<Edge>| match edge.weight() {
            Edge::Data => String::new(),
            Edge::Order => "style=dotted".into(),
        };
    let label = |_: &DiGraph<&str, Edge>, (_, name): (_, &&str)| {
        let status = workflow
            .step_named(name)
            .and_then(|step| standings.status(step));
        match status {
            Some((status, took)) => {
                let says = format!("{status} {took}");
                let colour = colour(status);
                format!(
                    "label=\"{name}\\n{}\" shape=box color=\"{colour}\"",
                    says.trim_end()
                )
            }
            None => format!("label=\"{name}\" shape=box"),
        }
    };
    let config = [Config::EdgeNoLabel, Config::NodeNoLabel];
    format!(
        "{:?}",
        Dot::with_attr_getters(&graph, &config, &style, &label)
    )
}
