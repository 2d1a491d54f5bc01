use petgraph::{
    dot::{Config, Dot},
    graph::DiGraph,
};

use crate::compile::{Action, Edge, Step, Workflow};

/// How a workflow's graph is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    Text,
    Mermaid,
    Dot,
}

/// Draws a workflow's graph. Solid edges carry data, dotted ones only order.
pub fn draw(workflow: &Workflow, format: GraphFormat) -> String {
    match format {
        GraphFormat::Text => text(workflow, ""),
        GraphFormat::Mermaid => mermaid(workflow),
        GraphFormat::Dot => dot(workflow),
    }
}

/// One line a step, in the order in which they may run, with what each waits for.
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

fn mermaid(workflow: &Workflow) -> String {
    let mut out = String::from("flowchart TD\n");
    mermaid_steps(workflow, "", "    ", &mut out);
    out
}

fn mermaid_steps(workflow: &Workflow, prefix: &str, indent: &str, out: &mut String) {
    for (_, step) in workflow.steps() {
        let id = format!("{prefix}{}", step.name);
        let label = match step.for_each.is_some() {
            true => format!("{} (for each)", step.name),
            false => step.name.to_string(),
        };
        match &step.action {
            Action::Script(_) => out.push_str(&format!("{indent}{id}[\"{label}\"]\n")),
            Action::Approval(_) => out.push_str(&format!("{indent}{id}{{\"{label}?\"}}\n")),
            Action::Workflow(inner) => {
                out.push_str(&format!("{indent}subgraph {id} [\"{label}\"]\n"));
                mermaid_steps(inner, &format!("{id}_"), &format!("{indent}    "), out);
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
            out.push_str(&format!(
                "{indent}{prefix}{} {arrow} {prefix}{}\n",
                other.name, step.name
            ));
        }
    }
}

fn dot(workflow: &Workflow) -> String {
    let graph: DiGraph<&str, Edge> = workflow.labelled_graph();
    let style =
        |_: &DiGraph<&str, Edge>, edge: petgraph::graph::EdgeReference<Edge>| match edge.weight() {
            Edge::Data => String::new(),
            Edge::Order => "style=dotted".into(),
        };
    let label =
        |_: &DiGraph<&str, Edge>, (_, name): (_, &&str)| format!("label=\"{name}\" shape=box");
    let config = [Config::EdgeNoLabel, Config::NodeNoLabel];
    format!(
        "{:?}",
        Dot::with_attr_getters(&graph, &config, &style, &label)
    )
}
