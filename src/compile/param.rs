use super::{
    document::{Key, Kind, Node},
    draft::reserved,
    fields::{Fields, Report},
    graph::Param,
    keys::PARAM,
    limits::Limits,
    name::StepName,
    template::Template,
};
use windlass_script::{did_you_mean, is_readable};
use windlass_world::value::{ParseTypeError, Source, Type, Value};

impl Param {
    /// Checks a value; null is accepted for an optional param.
    ///
    /// # Errors
    /// The problem: the type, or a limit.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.ty.check(value).map_err(|e| e.to_string())?;
        self.limits.check(value)
    }

    /// Says whether the param must be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.ty.is_optional()
    }

    /// Reads one entry of `params:`.
    pub(super) fn read(report: &mut Report, key: &Key, node: &Node) -> Option<Self> {
        // A name with a `-`, for example, is read as `params["a-b"]`.
        let is_word = StepName::parse(&key.name.to_ascii_lowercase()).is_some();
        if is_word && !is_readable(&key.name) {
            reserved(report, key, "param name", "params");
        }
        // `cluster: string` is short for `cluster: { type: string }`.
        if let Kind::Scalar { text, .. } = &node.kind {
            return Some(Self {
                ty: read_type(report, node, text)?,
                default: None,
                limits: Limits::default(),
                description: None,
            });
        }
        let mut fields = Fields::of(report, node, &PARAM, format!("the param `{}`", key.name));
        let ty = match fields.take("type") {
            Some(node) => match report.text(node, "`type`") {
                Some(text) => read_type(report, node, text),
                None => None,
            },
            None => {
                let message = format!("the param `{}` has no type", key.name);
                let mistake = report.at("missing-key", key.span.clone(), message);
                report.add(mistake.help("write `type: string`, `type: list(string)`, …"));
                None
            }
        };
        let description = fields.text(report, "description");
        let limits = Limits::read(report, &mut fields, ty.as_ref());
        let default = fields.take("default");
        fields.finish(report);
        let mut param = Self {
            ty: ty?,
            default: None,
            limits,
            description,
        };
        param.default = default.and_then(|node| param.read_default(report, key, node));
        Some(param)
    }

    fn read_default(&self, report: &mut Report, key: &Key, node: &Node) -> Option<Value> {
        let Some(value) = Template::read(report, node).constant() else {
            let message = "write a plain value: a default can't contain expressions";
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake);
            return None;
        };
        let value = match self.refer(value.clone()) {
            // A secret itself must not be in a file.
            Ok(referred) if referred.holds_secret() => value,
            Ok(referred) => referred,
            Err(why) => {
                let mistake = report.at("wrong-type", node.span.clone(), why);
                report.add(mistake);
                return None;
            }
        };
        if let Err(e) = self.check(&value) {
            let message = format!("the default of `{}` does not fit: {e}", key.name);
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake);
        }
        Some(value)
    }

    /// Reads references to secrets in a value that a workflow file contains.
    ///
    /// # Errors
    /// A reference that is not valid, or that only the person who starts a run may use.
    pub(super) fn refer(&self, value: Value) -> Result<Value, String> {
        match self.ty.refer(value) {
            Ok(referred) if is_of_who_starts(&referred) => Err(
                "only the person who starts a run can name a file or a variable; a workflow can name a secret of \
                 Secrets Manager (`secretsmanager:`), the Parameter Store (`ssm:`) or Vault (`vault:`)"
                    .into(),
            ),
            Ok(referred) => Ok(referred),
            Err(e) => Err(e.to_string()),
        }
    }
}

/// Says whether it names a secret that only the person who starts a run may name.
fn is_of_who_starts(value: &Value) -> bool {
    match value {
        Value::Reference(reference) => {
            matches!(
                reference.source(),
                Source::File { .. } | Source::Variable { .. }
            )
        }
        Value::List(items) => items.iter().any(is_of_who_starts),
        Value::Map(map) => map.values().any(is_of_who_starts),
        _ => false,
    }
}

fn read_type(report: &mut Report, node: &Node, text: &str) -> Option<Type> {
    text.parse()
        .map_err(|e: ParseTypeError| {
            let mistake = report.at("unknown-type", node.span.clone(), e.to_string());
            report.add(match text.split_once('=') {
                Some((ty, default)) => {
                    let (ty, default) = (ty.trim(), default.trim());
                    mistake.help(format!("write `{{ type: {ty}, default: {default} }}`"))
                }
                None => match e.meant() {
                    Some(ty) => mistake.help(did_you_mean(&ty)),
                    None => mistake,
                },
            });
        })
        .ok()
}
