//! Lists the parts of a file for an editor's outline, and the edges between steps, for display beside their names.

use std::ops::Range;

use gen_lsp_types::SymbolKind;

use super::{
    script::Script,
    workflow::{Action, Workflow},
};

/// A part of a file, with its own parts.
pub struct Part {
    pub name: String,
    pub detail: String,
    pub kind: SymbolKind,
    pub span: Range<usize>,
    /// The range of its name.
    pub name_span: Range<usize>,
    pub parts: Vec<Part>,
}

/// Lists the params, steps and outputs of a workflow.
pub fn of_workflow(text: &str, workflow: &Workflow) -> Vec<Part> {
    let part = |name: &super::workflow::Name, detail: String, kind, span: &Range<usize>| Part {
        name: name.text.clone(),
        detail,
        kind,
        span: span.clone(),
        name_span: name.span.clone(),
        parts: Vec::new(),
    };
    let params = workflow.params.iter().map(|param| {
        let ty = param.ty.clone().unwrap_or_default();
        part(&param.name, ty, SymbolKind::Variable, &param.span)
    });
    let steps = |is_finally: bool| {
        let steps = workflow
            .steps
            .iter()
            .filter(move |step| step.is_finally == is_finally);
        steps.map(move |step| {
            let detail = match &step.action {
                Action::Script(path) | Action::Workflow(path) => path.text.clone(),
                Action::Approval => "approval".to_owned(),
                Action::Inline { .. } => "run".to_owned(),
                Action::None => String::new(),
            };
            part(&step.name, detail, SymbolKind::Event, &step.span)
        })
    };
    let outputs = workflow
        .outputs
        .iter()
        .map(|output| part(&output.name, String::new(), SymbolKind::Field, &output.span));
    let sections: [(&str, Vec<Part>); 4] = [
        ("params", params.collect()),
        ("steps", steps(false).collect()),
        ("finally", steps(true).collect()),
        ("outputs", outputs.collect()),
    ];
    let sections = sections.into_iter().filter_map(|(name, parts)| {
        let entry = workflow.root.entry(text, name)?;
        Some(Part {
            name: name.to_owned(),
            detail: String::new(),
            kind: SymbolKind::Namespace,
            span: entry.span(),
            name_span: entry.key.clone(),
            parts,
        })
    });
    sections.collect()
}

/// Lists the declarations and functions of a script.
pub fn of_script(text: &str, script: &Script) -> Vec<Part> {
    let mut parts = Vec::new();
    for (name, fields) in [("INPUTS", &script.inputs), ("OUTPUTS", &script.outputs)] {
        let (Some(fields), Some(at)) = (fields, text.find(name)) else {
            continue;
        };
        let end = fields
            .last()
            .map_or(at + name.len(), |field| field.name.span.end);
        parts.push(Part {
            name: name.to_owned(),
            detail: String::new(),
            kind: SymbolKind::Struct,
            span: at..end.max(at + name.len()),
            name_span: at..at + name.len(),
            parts: fields
                .iter()
                .map(|field| Part {
                    name: field.name.text.clone(),
                    detail: field.declared.clone(),
                    kind: SymbolKind::Field,
                    span: field.name.span.clone(),
                    name_span: field.name.span.clone(),
                    parts: Vec::new(),
                })
                .collect(),
        });
    }
    let functions = script.functions.iter().map(|function| Part {
        name: function.name.text.clone(),
        detail: function.takes(),
        kind: SymbolKind::Function,
        span: function.span.clone(),
        name_span: function.name.span.clone(),
        parts: Vec::new(),
    });
    parts.extend(functions);
    parts
}

/// Lists the steps that each step reads: the place to show it, and the names.
pub fn edges(workflow: &Workflow) -> Vec<(usize, String)> {
    let found = workflow.steps.iter().filter_map(|step| {
        let names: Vec<_> = workflow
            .reads_of(step)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        (!names.is_empty()).then(|| (step.name.span.end, format!("← {}", names.join(", "))))
    });
    found.collect()
}
