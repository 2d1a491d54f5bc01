use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use windlass_script::{HostCall, Known, Needs, ValueKind};
use windlass_world::{
    outside::{
        EFFECT_TAG,
        aws::{actions, service},
        is_account_wide, template_arn,
    },
    value::Value,
};

/// All CAs, for calls whose CA is only known at run time.
const ANY_AUTHORITY: &str = "arn:aws:acm-pca:*:*:certificate-authority/*";

const SECRET_READ: &str = "secret::read";
const CREATE: &str = "CreateCertificateAuthority";
const ISSUE: &str = "IssueCertificate";
const TAGGING: [&str; 2] = ["TagCertificateAuthority", "UntagCertificateAuthority"];

/// Returns the least IAM policy for the calls of a workflow and for the secrets in its params; `with_undo` includes their reversal. `None` if they
/// do not call AWS, which accepts no empty policy.
///
/// It names CAs, templates and tags, as far as they follow from the calls (AWS Service Authorization Reference, "Actions, resources,
/// and condition keys for AWS Private Certificate Authority").
pub fn iam_policy(
    calls: &BTreeSet<HostCall>,
    params: &BTreeMap<String, Value>,
    with_undo: bool,
) -> Option<Json> {
    let mut allowed = Allowed::default();
    for call in calls {
        let Some(Needs::Aws { run, undo }) = call.row().map(|row| &row.needs) else {
            continue;
        };
        let undo = undo.iter().filter(|_| with_undo);
        run.iter()
            .chain(undo)
            .for_each(|action| allowed.add(action, call));
    }
    let mut statements = allowed.without_repeats().statements(&Tags::of(calls));
    statements.extend(of_services(calls, params, with_undo));
    let is_empty = statements.is_empty();
    (!is_empty).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// Returns the permissions for calls of other AWS services. Their params alone do not show the resources.
fn of_services(
    calls: &BTreeSet<HostCall>,
    params: &BTreeMap<String, Value>,
    with_undo: bool,
) -> Option<Json> {
    let mut named = BTreeSet::new();
    for params in params.values() {
        named.extend(of_references(params));
    }
    for call in calls {
        let reference = match call.given_as(|kind| matches!(kind, ValueKind::SecretReference)) {
            Some(Known::Text(text) | Known::Begins(text)) => of_reference(text),
            _ => None,
        };
        named.extend(reference.map(str::to_owned));
        let Some((Some(service_name), operation)) = call.aws_operation() else {
            continue;
        };
        let Some(service) = service(service_name) else {
            if call.option("protocol").is_none() {
                continue;
            }
            // A described service has its own name in signatures, which is usually that of its actions.
            let signing = call.option("signing_name").and_then(Known::as_text);
            let prefix = signing.unwrap_or(service_name);
            named.extend(operation.map(|operation| format!("{prefix}:{operation}")));
            continue;
        };
        let undo = call.option("undo").filter(|_| with_undo);
        let undo = undo.and_then(|undo| undo.field("operation")?.as_text());
        for operation in operation.into_iter().chain(undo) {
            named.extend(actions(service, operation));
        }
    }
    let is_empty = named.is_empty();
    (!is_empty)
        .then(|| json!({ "Sid": "Services", "Effect": "Allow", "Action": named, "Resource": "*" }))
}

/// Returns the actions that read the secrets to which params refer.
fn of_references(value: &Value) -> Vec<String> {
    match value {
        Value::Reference(reference) => {
            let action = of_reference(reference.as_str());
            action.map(str::to_owned).into_iter().collect()
        }
        Value::List(items) => items.iter().flat_map(of_references).collect(),
        Value::Map(map) => map.values().flat_map(of_references).collect(),
        _ => Vec::new(),
    }
}

/// Returns the action that reads the secret of a reference whose beginning is known.
fn of_reference(text: &str) -> Option<&'static str> {
    match text.split_once(':')?.0 {
        "secretsmanager" => Some("secretsmanager:GetSecretValue"),
        "ssm" => Some("ssm:GetParameter"),
        _ => None,
    }
}

/// What a policy does not cover, because a script's text does not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCalls {
    /// Calls of `aws::request` whose service or operation is not known.
    pub requests: usize,
    /// Calls of `aws::request` that may have an `undo` whose operation is not known.
    pub undos: usize,
    /// Calls of `secret::read` whose store is not known.
    pub secrets: usize,
}

impl OpenCalls {
    /// Counts them; the reversal counts with `with_undo`.
    pub fn of(calls: &BTreeSet<HostCall>, with_undo: bool) -> Self {
        let mut open = Self::default();
        for call in calls {
            match call.aws_operation() {
                Some((None, _) | (_, None)) => open.requests += 1,
                Some(_) if with_undo && has_open_undo(call) => open.undos += 1,
                _ => {}
            }
            open.secrets += usize::from(reads_open_secret(call));
        }
        open
    }

    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Says whether a call may be reversed by an operation that the text does not show.
fn has_open_undo(call: &HostCall) -> bool {
    let names_it = |undo: &Known| undo.field("operation").and_then(Known::as_text).is_some();
    call.is_change()
        && match call.option("undo") {
            Some(undo) => !names_it(undo),
            None => call.may_have_more_options(),
        }
}

/// Says whether a call reads a secret of a store that the text does not show.
fn reads_open_secret(call: &HostCall) -> bool {
    if call.function != SECRET_READ {
        return false;
    }
    match call.given_as(|kind| matches!(kind, ValueKind::SecretReference)) {
        Some(Known::Text(_)) => false,
        Some(Known::Begins(text)) => !text.contains(':'),
        _ => true,
    }
}

/// The resource on which an action is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    Account,
    AnyAuthority,
    /// A CA, by its ARN.
    Authority(String),
}

impl Resource {
    fn of(action: &str, call: &HostCall) -> Self {
        let authority = call.given_as(|kind| matches!(kind, ValueKind::Authority));
        match authority.and_then(Known::as_text) {
            _ if is_account_wide(action) => Self::Account,
            Some(arn) => Self::Authority(arn.to_owned()),
            None => Self::AnyAuthority,
        }
    }

    fn arn(&self) -> &str {
        match self {
            Self::Account => "*",
            Self::AnyAuthority => ANY_AUTHORITY,
            Self::Authority(arn) => arn,
        }
    }
}

#[derive(Default)]
struct Allowed {
    actions: BTreeMap<Resource, BTreeSet<&'static str>>,
    /// The templates of certificates that may be issued, if not all templates are allowed.
    templates: BTreeMap<Resource, BTreeSet<String>>,
}

impl Allowed {
    fn add(&mut self, action: &'static str, call: &HostCall) {
        let resource = Resource::of(action, call);
        let template = call.given_as(|kind| matches!(kind, ValueKind::Template));
        match template.and_then(Known::as_text) {
            // A request without a template has no condition key, so the condition is only used for a known template.
            Some(template) if action == ISSUE => {
                let template = template_arn(template, "*");
                self.templates.entry(resource).or_default().insert(template);
            }
            _ => {
                self.actions.entry(resource).or_default().insert(action);
            }
        }
    }

    /// Removes permissions on one CA if they are granted on all of them, and those for one template if they are granted for all.
    fn without_repeats(mut self) -> Self {
        let any = Resource::AnyAuthority;
        let on_any = self.actions.get(&any).cloned().unwrap_or_default();
        let templates_of_any = self.templates.get(&any).cloned().unwrap_or_default();
        for (resource, actions) in &mut self.actions {
            if let Resource::Authority(_) = resource {
                actions.retain(|action| !on_any.contains(action));
            }
        }
        for (resource, templates) in &mut self.templates {
            let own = self.actions.get(resource);
            if on_any.contains(ISSUE) || own.is_some_and(|actions| actions.contains(ISSUE)) {
                templates.clear();
            }
            if let Resource::Authority(_) = resource {
                templates.retain(|template| !templates_of_any.contains(template));
            }
        }
        self.actions.retain(|_, actions| !actions.is_empty());
        self.templates.retain(|_, templates| !templates.is_empty());
        self
    }

    fn statements(mut self, tags: &Tags) -> Vec<Json> {
        let mut statements = Vec::new();
        let mut tagging = BTreeMap::new();
        if let Some(keys) = &tags.keys {
            for (resource, actions) in &mut self.actions {
                if actions.remove(CREATE) {
                    let condition = tags.of_creation(keys);
                    statements.push(statement("Create", &[CREATE], &[resource.arn()], condition));
                }
                let found: Vec<_> = TAGGING
                    .into_iter()
                    .filter(|action| actions.remove(action))
                    .collect();
                tagging.insert(resource.clone(), BTreeSet::from_iter(found));
            }
        }
        if let Some(actions) = self.actions.remove(&Resource::Account) {
            let actions: Vec<_> = actions.into_iter().collect();
            if !actions.is_empty() {
                statements.push(statement("Account", &actions, &["*"], Json::Null));
            }
        }
        for (number, (actions, resources)) in alike(&self.actions).into_iter().enumerate() {
            let sid = numbered("CertificateAuthorities", number);
            statements.push(statement(&sid, &actions, &resources, Json::Null));
        }
        for (number, (templates, resources)) in alike(&self.templates).into_iter().enumerate() {
            let condition = json!({ "StringLike": { "acm-pca:TemplateArn": templates } });
            statements.push(statement(
                &numbered("Issue", number),
                &[ISSUE],
                &resources,
                condition,
            ));
        }
        for (number, (actions, resources)) in alike(&tagging).into_iter().enumerate() {
            let condition = json!({ "ForAllValues:StringEquals": { "aws:TagKeys": tags.keys } });
            statements.push(statement(
                &numbered("Tags", number),
                &actions,
                &resources,
                condition,
            ));
        }
        statements
    }
}

/// The tags that calls set or remove.
struct Tags {
    /// `None` if a key is only known at run time.
    keys: Option<BTreeSet<String>>,
    /// The values with which a CA may be created, for keys whose values are all known.
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Tags {
    fn of(calls: &BTreeSet<HostCall>) -> Self {
        let mut tags = Self {
            keys: Some(BTreeSet::from([EFFECT_TAG.to_owned()])),
            values: BTreeMap::new(),
        };
        let mut open = BTreeSet::new();
        for call in calls {
            match call.function {
                "pca::create_certificate_authority" => match call.given_as(is_tags) {
                    // The options are known, and do not contain it.
                    None if call.knows_options() => {}
                    Some(Known::Map(map)) => {
                        for (key, value) in map {
                            tags.add(key);
                            match value.as_text() {
                                Some(text) => {
                                    let values = tags.values.entry(key.clone()).or_default();
                                    values.insert(text.to_owned());
                                }
                                None => {
                                    open.insert(key.clone());
                                }
                            }
                        }
                    }
                    _ => tags.keys = None,
                },
                "pca::tag_certificate_authority" => match call.given_as(is_tags) {
                    Some(Known::Map(map)) => map.keys().for_each(|key| tags.add(key)),
                    _ => tags.keys = None,
                },
                "pca::untag_certificate_authority" => {
                    match call.given_as(|kind| matches!(kind, ValueKind::List(_))) {
                        Some(Known::List(keys)) => {
                            for key in keys {
                                match key.as_text() {
                                    Some(key) => tags.add(key),
                                    None => tags.keys = None,
                                }
                            }
                        }
                        _ => tags.keys = None,
                    }
                }
                _ => {}
            }
        }
        tags.values.retain(|key, _| !open.contains(key));
        tags
    }

    fn add(&mut self, key: &str) {
        if let Some(keys) = &mut self.keys {
            keys.insert(key.to_owned());
        }
    }

    /// A CA must have the tag by which its call is found in doubt, no other tags than these, and these values.
    fn of_creation(&self, keys: &BTreeSet<String>) -> Json {
        let mut condition = json!({
            "ForAllValues:StringEquals": { "aws:TagKeys": keys },
            "Null": { format!("aws:RequestTag/{EFFECT_TAG}"): "false" },
        });
        let values = self
            .values
            .iter()
            .map(|(key, values)| (format!("aws:RequestTag/{key}"), json!(values)));
        let values: serde_json::Map<_, _> = values.collect();
        if !values.is_empty() {
            condition["StringEqualsIfExists"] = Json::Object(values);
        }
        condition
    }
}

fn is_tags(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Tags)
}

/// Groups resources on which the same is allowed.
fn alike<T: Ord + Clone>(allowed: &BTreeMap<Resource, BTreeSet<T>>) -> BTreeMap<Vec<T>, Vec<&str>> {
    let mut alike: BTreeMap<Vec<T>, Vec<&str>> = BTreeMap::new();
    for (resource, what) in allowed.iter().filter(|(_, what)| !what.is_empty()) {
        let what = what.iter().cloned().collect();
        alike.entry(what).or_default().push(resource.arn());
    }
    alike
}

/// A `Sid` must be unique in its policy.
fn numbered(sid: &str, number: usize) -> String {
    match number {
        0 => sid.to_owned(),
        n => format!("{sid}{}", n + 1),
    }
}

fn statement(sid: &str, actions: &[&str], resources: &[&str], condition: Json) -> Json {
    let actions: Vec<_> = actions
        .iter()
        .map(|action| format!("acm-pca:{action}"))
        .collect();
    let resources = match resources {
        [one] => json!(one),
        several => json!(several),
    };
    let mut statement =
        json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
    if condition != Json::Null {
        statement["Condition"] = condition;
    }
    statement
}
