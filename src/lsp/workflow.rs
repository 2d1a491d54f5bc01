//! The outline of a workflow file: its params, steps and outputs, and the reads of its expressions, with their places.

use std::{collections::BTreeSet, ops::Range};

use super::yaml::{self, Entry, Node, Style};
use windlass_script::lexer::{Chain, Quoting, chains, end_of_expression, lex};

/// A name and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub struct Workflow {
    pub root: Node,
    pub description: Option<String>,
    pub params: Vec<Param>,
    /// The steps; those under `finally` come last.
    pub steps: Vec<Step>,
    pub outputs: Vec<Output>,
    /// The names of params to which triggers give values.
    pub triggered: Vec<Name>,
    pub expressions: Vec<Expression>,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Name,
    pub ty: Option<String>,
    pub default: Option<String>,
    pub description: Option<String>,
    /// The range of the whole param.
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub name: Name,
    pub description: Option<String>,
    pub action: Action,
    pub with: Vec<Name>,
    pub needs: Vec<Name>,
    pub has_items: bool,
    pub is_finally: bool,
    /// The range of the whole step.
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub enum Action {
    None,
    /// The path of a script, as it is written.
    Script(Name),
    Workflow(Name),
    Approval,
    /// The place of an inline body.
    Inline {
        span: Range<usize>,
        quoting: Quoting,
    },
}

#[derive(Clone, Debug)]
pub struct Output {
    pub name: Name,
    pub span: Range<usize>,
}

/// The text after `${{`, up to its `}}` or as far as it could be read.
#[derive(Clone, Debug)]
pub struct Expression {
    pub span: Range<usize>,
    pub quoting: Quoting,
    /// Its reads and calls.
    pub chains: Vec<Chain>,
}

impl Workflow {
    pub fn read(text: &str) -> Self {
        let root = yaml::outline(text);
        let mut workflow = Self {
            description: word(text, &root, "description"),
            params: Vec::new(),
            steps: Vec::new(),
            outputs: Vec::new(),
            triggered: Vec::new(),
            expressions: Vec::new(),
            root: Node {
                span: 0..0,
                kind: yaml::Kind::Empty,
            },
        };
        let section = |name| {
            root.entry(text, name)
                .map_or(&[][..], |entry| entry.value.entries())
        };
        workflow.params = section("params")
            .iter()
            .map(|entry| param(text, entry))
            .collect();
        for (name, is_finally) in [("steps", false), ("finally", true)] {
            let steps = section(name)
                .iter()
                .map(|entry| step(text, entry, is_finally));
            workflow.steps.extend(steps);
        }
        let outputs = section("outputs").iter();
        workflow.outputs = outputs
            .map(|entry| Output {
                name: name_of(text, &entry.key),
                span: entry.span(),
            })
            .collect();
        let triggers = root.entry(text, "triggers");
        let triggers = triggers.map_or(&[][..], |entry| entry.value.items());
        let given = triggers.iter().filter_map(|one| one.entry(text, "params"));
        workflow.triggered = given
            .flat_map(|params| params.value.entries())
            .map(|entry| name_of(text, &entry.key))
            .collect();
        let bodies = workflow.steps.iter().filter_map(|step| match &step.action {
            Action::Inline { span, .. } => Some(span.start),
            _ => None,
        });
        let bodies: BTreeSet<_> = bodies.collect();
        root.scalars(&mut |node, style| {
            let start = node.content(text).map_or(0, |content| content.start);
            if !bodies.contains(&start) {
                let found = expressions(text, node, style);
                workflow.expressions.extend(found);
            }
        });
        workflow.root = root;
        workflow
    }

    /// Says whether a file is a workflow: it has the key `workflow:`. The word alone, without a colon, is not enough.
    pub fn is_one(&self, text: &str) -> bool {
        self.root
            .entry(text, "workflow")
            .is_some_and(|entry| entry.colon.is_some())
    }

    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name.text == name)
    }

    /// Returns the step that contains a byte of the file.
    pub fn step_at(&self, offset: usize) -> Option<&Step> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.span.start <= offset && offset <= step.span.end)
    }

    /// Returns the steps whose outputs a step reads, in the order of the file; each once, with the place of the first read.
    pub fn reads_of<'w>(&'w self, step: &Step) -> Vec<(&'w str, Range<usize>)> {
        let mut found: Vec<(&str, Range<usize>)> = Vec::new();
        let inside =
            |span: &Range<usize>| step.span.start <= span.start && span.end <= step.span.end;
        for expression in self
            .expressions
            .iter()
            .filter(|expression| inside(&expression.span))
        {
            for chain in expression
                .chains
                .iter()
                .filter(|chain| chain.root() == "steps")
            {
                let target = chain.part(1).and_then(|name| self.step(name));
                if let Some(target) = target
                    && !found.iter().any(|(name, _)| *name == target.name.text)
                {
                    found.push((&target.name.text, chain.parts[1].1.clone()));
                }
            }
        }
        found
    }
}

fn name_of(text: &str, span: &Range<usize>) -> Name {
    Name {
        text: text[span.clone()].to_owned(),
        span: span.clone(),
    }
}

fn word(text: &str, node: &Node, key: &str) -> Option<String> {
    let value = node.entry(text, key)?.value.clone();
    folded(text, &value)
}

/// Formats a text for people: joins the lines of a folded text.
fn folded(text: &str, node: &Node) -> Option<String> {
    let words: Vec<_> = node.text(text)?.split_whitespace().collect();
    Some(words.join(" "))
}

fn param(text: &str, entry: &Entry) -> Param {
    let node = &entry.value;
    let field = |key| {
        node.entry(text, key)
            .map(|entry| text[entry.value.span.clone()].trim().to_owned())
    };
    Param {
        name: name_of(text, &entry.key),
        // `cluster: string` is short for `cluster: { type: string }`.
        ty: node
            .text(text)
            .map(|text| text.trim().to_owned())
            .or_else(|| field("type")),
        default: field("default").filter(|text| !text.is_empty()),
        description: word(text, node, "description"),
        span: entry.span(),
    }
}

fn step(text: &str, entry: &Entry, is_finally: bool) -> Step {
    let node = &entry.value;
    let value = |key| node.entry(text, key).map(|entry| &entry.value);
    let path = |node: &Node| {
        node.content(text)
            .map(|span| name_of(text, &trimmed(text, span)))
    };
    let action = if let Some(path) = value("script").and_then(path) {
        Action::Script(path)
    } else if let Some(path) = value("workflow").and_then(path) {
        Action::Workflow(path)
    } else if value("approval").is_some() {
        Action::Approval
    } else {
        match value("run") {
            Some(Node {
                kind: yaml::Kind::Scalar(style),
                ..
            }) => {
                let node = value("run").expect("it has just been found");
                let span = node.content(text).expect("a scalar has a text");
                Action::Inline {
                    span,
                    quoting: style.quoting(),
                }
            }
            _ => Action::None,
        }
    };
    let names = |node: &Node| match node.items() {
        [] => node.content(text).into_iter().collect(),
        items => items
            .iter()
            .filter_map(|item| item.content(text))
            .collect::<Vec<_>>(),
    };
    Step {
        name: name_of(text, &entry.key),
        description: word(text, node, "description"),
        action,
        with: value("with").map_or_else(Vec::new, |with| {
            with.entries()
                .iter()
                .map(|entry| name_of(text, &entry.key))
                .collect()
        }),
        needs: value("needs").map_or_else(Vec::new, |needs| {
            names(needs)
                .iter()
                .map(|span| name_of(text, &trimmed(text, span.clone())))
                .collect()
        }),
        has_items: value("for_each").is_some(),
        is_finally,
        span: entry.span(),
    }
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let inside = &text[span.clone()];
    let start = span.start + (inside.len() - inside.trim_start().len());
    start..start + inside.trim().len()
}

/// Returns the expressions of a scalar.
fn expressions(text: &str, node: &Node, style: Style) -> Vec<Expression> {
    let Some(content) = node.content(text) else {
        return Vec::new();
    };
    let quoting = style.quoting();
    let (mut found, mut at) = (Vec::new(), content.start);
    while let Some(open) = text[at..content.end.max(at)].find("${{") {
        let start = at + open + 3;
        let close = end_of_expression(text, start, content.end, quoting);
        // Without a `}}`, the user is typing in it: this includes the blank at the end of a scalar.
        let after = &text[content.end..];
        let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
        let end = close.unwrap_or(content.end + blanks);
        let tokens = lex(text, start..end, quoting);
        found.push(Expression {
            chains: chains(text, &tokens),
            span: start..end,
            quoting,
        });
        at = close.map_or(content.end, |close| close + 2);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "workflow: w\nparams:\n  n: int\n  c: { type: list(string), default: [a], description: Some }\nsteps:\n  a:\n    run: |\n      #{ x: inputs.n }\n    with: { n: \"${{ params.n }}\" }\n  b:\n    script: s.rhai\n    for_each: ${{ params.c }}\n    needs: [a]\n    with:\n      y: ${{ steps.a.x + \"1\" }}\nfinally:\n  z: { approval: \"${{ run.status }}?\", needs: b }\noutputs:\n  o: ${{ steps['b']. \n";

    fn reads(workflow: &Workflow) -> Vec<String> {
        let chains = workflow
            .expressions
            .iter()
            .flat_map(|expression| &expression.chains);
        let names = chains.map(|chain| {
            chain
                .parts
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
        });
        names.map(|names| names.join(".")).collect()
    }

    #[test]
    fn a_workflow_has_its_parts() {
        let workflow = Workflow::read(TEXT);
        assert!(workflow.is_one(TEXT));
        let [n, c] = workflow.params.as_slice() else {
            panic!("two params")
        };
        assert_eq!(n.ty.as_deref(), Some("int"));
        assert_eq!(
            (c.ty.as_deref(), c.default.as_deref()),
            (Some("list(string)"), Some("[a]"))
        );
        assert_eq!(c.description.as_deref(), Some("Some"));
        let names: Vec<_> = workflow.steps.iter().map(|step| &*step.name.text).collect();
        assert_eq!(names, ["a", "b", "z"]);
        let b = workflow.step("b").expect("a step");
        assert!(matches!(&b.action, Action::Script(path) if path.text == "s.rhai"));
        assert!(b.has_items && !b.is_finally);
        assert_eq!(&b.needs[0].text, "a");
        assert_eq!(workflow.step("z").expect("a step").needs[0].text, "b");
        assert_eq!(
            reads(&workflow),
            ["params.n", "params.c", "steps.a.x", "run.status", "steps.b"]
        );
        assert!(workflow.expressions[4].chains[0].is_open);
        let read = workflow.reads_of(b);
        assert_eq!(read.len(), 1);
        assert_eq!(&TEXT[read[0].1.clone()], "a");
        let Action::Inline { span, .. } = &workflow.step("a").expect("a step").action else {
            panic!("an inline body")
        };
        assert_eq!(TEXT[span.clone()].trim(), "#{ x: inputs.n }");
    }

    #[test]
    fn other_files_are_no_workflows() {
        for text in [
            "",
            "name: CI\non: push\njobs: {}\n",
            "- workflow: w\n",
            "workflow\n",
        ] {
            assert!(!Workflow::read(text).is_one(text), "{text}");
        }
    }
}
