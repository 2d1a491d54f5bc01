use super::{
    document::Node,
    fields::{Fields, Report},
    graph::{Approval, OnTimeout},
    template::Template,
};

const ON_TIMEOUT: [(&str, OnTimeout); 2] = [
    ("reject", OnTimeout::Reject),
    ("approve", OnTimeout::Approve),
];

impl Approval {
    /// Reads `approval:` and the keys of its step that go with it.
    pub(super) fn read(report: &mut Report, question: &Node, fields: &mut Fields) -> Self {
        let timeout = fields.take("timeout");
        Self {
            question: Template::read(report, question),
            approvers: fields
                .take("approvers")
                .map(|node| Template::read(report, node)),
            not_requester: fields
                .take("not_requester")
                .and_then(|node| report.flag(node, "`not_requester`"))
                .unwrap_or_default(),
            timeout: timeout.and_then(|node| report.duration(node, "`timeout`")),
            on_timeout: fields
                .take("on_timeout")
                .and_then(|node| report.one_of(node, "`on_timeout`", &ON_TIMEOUT))
                .unwrap_or_default(),
        }
    }
}
