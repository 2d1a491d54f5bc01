use windlass_world::value::Value;

use super::{
    document::Node,
    fields::{Fields, Report},
    graph::{Approval, OnTimeout},
    template::Template,
};

pub(super) const ON_TIMEOUT: [(&str, OnTimeout); 2] = [
    ("reject", OnTimeout::Reject),
    ("approve", OnTimeout::Approve),
];

/// The prefix that marks a name among the approvers as a group.
pub const GROUP: &str = "group:";

/// The longest question, in characters: as many as the longest comment on an answer. A question stands on pages, in notifications and in the
/// journal, and a text that nobody reads is not approved.
pub const MAX_QUESTION: usize = 4_000;

impl Approval {
    /// Reads `approval:` and the keys of its step that belong to it.
    pub(super) fn read(report: &mut Report, question: &Node, fields: &mut Fields) -> Self {
        let asked = Template::read(report, question);
        report.not_empty(question, &asked, "`approval`");
        if let Some(Value::String(text)) = asked.constant()
            && text.chars().count() > MAX_QUESTION
        {
            let message = format!(
                "`approval` has {} characters; the limit is {MAX_QUESTION}",
                text.chars().count()
            );
            let mistake = report.at("wrong-type", question.span.clone(), message);
            report.add_in_new(mistake.help(
                "ask the question, and put the details into a log message of a step before it",
            ));
        }
        if let (Some(node), None) = (fields.peek("on_timeout"), fields.peek("timeout")) {
            let message = "`on_timeout` has no effect without a `timeout`";
            let mistake = report.at("misplaced-key", node.span.clone(), message);
            report.add_in_new(mistake.help("say how long to wait for an answer: `timeout: 8h`"));
        }
        let approvers = fields.peek("approvers");
        let approvers = approvers.zip(fields.template(report, "approvers"));
        if let Some((node, template)) = &approvers
            && let Some(mistake) = nobody(template)
        {
            let mistake = report.at("wrong-type", node.span.clone(), mistake);
            report.add_in_new(mistake.help("remove `approvers` to let everybody answer"));
        }
        Self {
            question: asked,
            approvers: approvers.map(|(_, template)| template),
            not_requester: fields.flag(report, "not_requester"),
            timeout: fields.limit(report, "timeout", "no limit"),
            on_timeout: fields.word(report, "on_timeout", &ON_TIMEOUT),
        }
    }
}

/// Returns the mistake in approvers that are no list of names, an empty one, or one with an empty name, whatever the params are.
fn nobody(approvers: &Template) -> Option<String> {
    match (approvers.a_kind()?, approvers) {
        ("a list", Template::List(names)) if names.is_empty() => {
            Some("`approvers` is empty, so nobody could answer".into())
        }
        ("a list", Template::List(names)) => names
            .iter()
            .filter_map(Template::constant)
            .any(|name| is_nobody(&name.to_text()))
            .then(|| "`approvers` contains an empty name".into()),
        ("a list", _) => None,
        (kind, _) => Some(format!("`approvers` must be a list of names, not {kind}")),
    }
}

/// Says whether a name among the approvers is one that nobody and no group has.
pub fn is_nobody(name: &str) -> bool {
    name.strip_prefix(GROUP).unwrap_or(name).trim().is_empty()
}
