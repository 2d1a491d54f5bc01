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

impl Approval {
    /// Reads `approval:` and the keys of its step that belong to it.
    pub(super) fn read(report: &mut Report, question: &Node, fields: &mut Fields) -> Self {
        Self {
            question: Template::read(report, question),
            approvers: fields.template(report, "approvers"),
            not_requester: fields.flag(report, "not_requester"),
            timeout: fields.limit(report, "timeout", "no limit"),
            on_timeout: fields.word(report, "on_timeout", &ON_TIMEOUT),
        }
    }
}
