//! Reads `triggers:`, which start a workflow automatically.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use super::{
    document::{Kind, Node},
    draft::Spanned,
    fields::{Fields, OneOf, Report},
    graph::Param,
    keys::TRIGGER,
    schedule::{Schedule, ScheduleError},
    template::Template,
};
use windlass_script::{Names, closest, did_you_mean};
use windlass_world::value::Value;

/// What expressions in the params of a webhook may read.
static HOOK_ROOTS: &[&str] = &["body", "headers"];
/// The default zone of a schedule.
const UTC: &str = "UTC";
/// The default target of a trigger.
const LOCAL: &str = "local";
/// The longest name: it is part of addresses and of idempotency keys.
const LONGEST_NAME: usize = 64;

pub(super) const CATCH_UP: [(&str, CatchUp); 2] =
    [("once", CatchUp::Once), ("none", CatchUp::None)];

/// Starts a workflow automatically.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The name, unique among the triggers of its workflow.
    pub name: String,
    pub occasion: Occasion,
    pub target: String,
    /// The params of the run; only those of a webhook contain expressions.
    pub params: BTreeMap<String, Template>,
    pub catch_up: CatchUp,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// When a trigger starts its workflow.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a workflow has a few of them")]
pub enum Occasion {
    Schedule(Schedule),
    /// This long before a certificate expires that the workflow, or one of these others, issued.
    WhenDue(Duration, Vec<String>),
    /// When a signed request arrives at the hook of this name.
    Webhook(String),
}

/// What happens to starts that were missed while no server ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// One start replaces all of them.
    #[default]
    Once,
    None,
}

/// A trigger as it was read; its params have not been checked against those of the workflow yet.
#[derive(Debug)]
pub(super) struct TriggerDraft {
    trigger: Trigger,
    /// The names of its params, and the places of their values.
    params: Vec<(Spanned, Range<usize>)>,
}

impl Trigger {
    /// Evaluates its params. `body` and `headers` are those of a webhook's request.
    ///
    /// # Errors
    /// The first expression that could not be evaluated, with its place.
    pub fn params(&self, body: Value, headers: Value) -> Result<BTreeMap<String, Value>, String> {
        let names = Names {
            others: BTreeMap::from([("body", body), ("headers", headers)]),
            ..Names::default()
        };
        let params = self.params.iter().map(|(name, template)| {
            let value = template.evaluate(&names);
            let value = value.map_err(|error| match &error.place {
                Some(place) => format!("{error} ({place})"),
                None => error.to_string(),
            })?;
            Ok((name.clone(), value))
        });
        params.collect()
    }

    /// Describes briefly when it starts its workflow.
    pub fn occasion_text(&self) -> String {
        match &self.occasion {
            Occasion::Schedule(schedule) => format!("{} ({})", schedule.text(), schedule.zone()),
            Occasion::WhenDue(before, _) => format!("{} before expiry", days(*before)),
            Occasion::Webhook(name) => format!("POST /hooks/{name}"),
        }
    }
}

/// Formats a duration as `30d`, `36h`.
fn days(length: Duration) -> String {
    let hours = length.as_secs() / 3600;
    match hours % 24 {
        0 => format!("{}d", hours / 24),
        _ => format!("{hours}h"),
    }
}

/// Reads `triggers: [{ schedule | when_due | webhook, … }]`.
pub(super) fn read(report: &mut Report, node: Option<&Node>) -> Vec<TriggerDraft> {
    let items = match node.map(|node| (&node.kind, node)) {
        None => return Vec::new(),
        Some((Kind::List(items), _)) => items,
        Some((_, node)) => {
            report.wrong_type(node, "`triggers`", "a list");
            return Vec::new();
        }
    };
    let mut triggers: Vec<TriggerDraft> = Vec::new();
    for item in items {
        let Some(draft) = read_one(report, item) else {
            continue;
        };
        let name = &draft.trigger.name;
        if let Some(first) = triggers.iter().find(|known| known.trigger.name == *name) {
            let message = format!("two triggers are named `{name}`");
            let mistake = report
                .at("bad-name", draft.trigger.span.clone(), message)
                .label(first.trigger.span.clone(), "the other one")
                .help("give one of them a `name`");
            report.add(mistake);
            continue;
        }
        triggers.push(draft);
    }
    triggers
}

fn read_one(report: &mut Report, node: &Node) -> Option<TriggerDraft> {
    let mut fields = Fields::of(report, node, &TRIGGER, "a trigger");
    // Without `schedule` or `when_due`, their keys are not allowed.
    let has_schedule = fields.peek("schedule").is_some();
    let zone = if has_schedule {
        fields.take("time_zone")
    } else {
        None
    };
    let issued_by = if fields.peek("when_due").is_some() {
        fields.take("issued_by")
    } else {
        None
    };
    let occasion = read_occasion(report, &mut fields, node, (zone, issued_by));
    let name = match fields.take("name") {
        Some(node) => read_name(report, node, "trigger name")?,
        None => match occasion.as_ref()?.1 {
            Occasion::Schedule(_) => "schedule".to_owned(),
            Occasion::WhenDue(..) => "when_due".to_owned(),
            Occasion::Webhook(ref hook) => hook.clone(),
        },
    };
    let target = fields.text(report, "target");
    let is_webhook = matches!(occasion, Some((_, Occasion::Webhook(_))));
    let (params, places) = read_params(report, fields.take("params"), is_webhook);
    let catch_up = if has_schedule {
        fields.word(report, "catch_up", &CATCH_UP)
    } else {
        CatchUp::default()
    };
    fields.finish(report);
    let (span, occasion) = occasion?;
    Some(TriggerDraft {
        trigger: Trigger {
            name,
            occasion,
            target: target.unwrap_or_else(|| LOCAL.into()),
            params,
            catch_up,
            span,
        },
        params: places,
    })
}

/// Reads the key that says when the trigger fires, with the key's place.
fn read_occasion(
    report: &mut Report,
    fields: &mut Fields,
    whole: &Node,
    (zone, issued_by): (Option<&Node>, Option<&Node>),
) -> Option<(Range<usize>, Occasion)> {
    let wanted = OneOf {
        of: "the trigger",
        span: whole.span.clone(),
        none: "the trigger has no `schedule`, `when_due` or `webhook`".into(),
        add: "give it one of `schedule: \"0 3 * * SUN\"`, `when_due: 30d`, `webhook: NAME`",
        split: "split it into two triggers",
    };
    let kinds = ["schedule", "when_due", "webhook"];
    let (key, node) = fields.take_one_of(report, &kinds, &wanted)?;
    let occasion = match key.name.as_str() {
        "schedule" => Occasion::Schedule(read_schedule(report, node, zone)?),
        "when_due" => {
            let issuers = match issued_by {
                Some(node) => read_issuers(report, node),
                None => Vec::new(),
            };
            Occasion::WhenDue(report.duration(node, "`when_due`")?, issuers)
        }
        _ => Occasion::Webhook(read_name(report, node, "webhook name")?),
    };
    Some((key.span.clone(), occasion))
}

/// Reads a name of a workflow, or a list of them.
fn read_issuers(report: &mut Report, node: &Node) -> Vec<String> {
    let what = "a workflow of `issued_by`";
    let names: Vec<_> = match &node.kind {
        Kind::List(items) => {
            let names = items.iter().map(|item| report.text(item, what));
            names.flatten().map(str::to_owned).collect()
        }
        _ => report
            .text(node, what)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    };
    if names.is_empty() && matches!(node.kind, Kind::List(_)) {
        let mistake = report.at("wrong-type", node.span.clone(), "`issued_by` is empty");
        report.add(mistake.help("name workflows, or remove it: the workflow itself counts anyway"));
    }
    names
}

fn read_schedule(report: &mut Report, node: &Node, zone: Option<&Node>) -> Option<Schedule> {
    let text = report.text(node, "`schedule`")?;
    let zone_name = match zone {
        Some(zone) => report.text(zone, "`time_zone`")?,
        None => UTC,
    };
    let error = match Schedule::parse(text, zone_name) {
        Ok(schedule) => return Some(schedule),
        Err(error) => error,
    };
    let (span, help) = match (&error, zone) {
        (ScheduleError::Zone(_), Some(zone)) => {
            let near = closest_zone(zone_name);
            let help = match near {
                Some(near) => did_you_mean(&near),
                None => "use a name of the IANA database, such as `Europe/Berlin`".into(),
            };
            (zone.span.clone(), help)
        }
        (ScheduleError::Never(_), _) => (node.span.clone(), "no month has this day".to_owned()),
        _ => (
            node.span.clone(),
            "write minute, hour, day of the month, month and day of the week: `0 3 * * SUN` is Sunday at 03:00".to_owned(),
        ),
    };
    let mistake = report.at("wrong-type", span, error.to_string());
    report.add(mistake.help(help));
    None
}

fn closest_zone(wrong: &str) -> Option<String> {
    let names: Vec<_> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    closest(wrong, names.iter().map(String::as_str)).map(ToString::to_string)
}

/// Reads a name that is part of an address.
fn read_name(report: &mut Report, node: &Node, what: &str) -> Option<String> {
    let text = report.text(node, &format!("the {what}"))?;
    let fits = (1..=LONGEST_NAME).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let mistake = report
            .at(
                "bad-name",
                node.span.clone(),
                format!("`{text}` is not a valid {what}"),
            )
            .help("use letters, digits, `-`, `_` and `.`: it is part of URLs");
        report.add(mistake);
        return None;
    }
    Some(text.to_owned())
}

type Read = (BTreeMap<String, Template>, Vec<(Spanned, Range<usize>)>);

fn read_params(report: &mut Report, node: Option<&Node>, is_webhook: bool) -> Read {
    let (mut params, mut places) = (BTreeMap::new(), Vec::new());
    let Some(node) = node else {
        return (params, places);
    };
    let roots = std::mem::replace(&mut report.roots, HOOK_ROOTS);
    for (key, value) in report.entries(node, "`params`") {
        let before = report.mistakes.len();
        let template = Template::read(report, value);
        let is_read = report.mistakes.len() == before;
        let span = if value.span.is_empty() {
            key.span.clone()
        } else {
            value.span.clone()
        };
        if is_read && !is_webhook && template.constant().is_none() {
            let mistake = report
                .at("misplaced-expression", span.clone(), "this expression can't read anything")
                .help("only the params of a `webhook` can have expressions, which read `body` and `headers`");
            report.add(mistake);
        }
        params.insert(key.name.clone(), template);
        let name = Spanned {
            text: key.name.clone(),
            span: key.span.clone(),
        };
        places.push((name, span));
    }
    report.roots = roots;
    (params, places)
}

/// Checks the params of triggers against those of their workflow.
pub(super) fn check(
    report: &mut Report,
    params: &BTreeMap<String, Param>,
    drafts: Vec<TriggerDraft>,
) -> Vec<Trigger> {
    drafts
        .into_iter()
        .map(|mut draft| {
            check_one(report, params, &mut draft);
            draft.trigger
        })
        .collect()
}

fn check_one(report: &mut Report, params: &BTreeMap<String, Param>, draft: &mut TriggerDraft) {
    let trigger = &mut draft.trigger;
    for (name, span) in &draft.params {
        let Some(param) = params.get(&name.text) else {
            let help = match closest(&name.text, params.keys().map(String::as_str)) {
                Some(near) => did_you_mean(near),
                None => "declare it under `params:`".into(),
            };
            let message = format!("the workflow has no param `{}`", name.text);
            let mistake = report.at("unknown-param", name.span.clone(), message);
            report.add(mistake.help(help));
            continue;
        };
        // The value of an expression is only known when a request arrives.
        let Some(value) = trigger.params.get(&name.text).and_then(Template::constant) else {
            continue;
        };
        let mistake = |report: &Report, why: String| {
            let message = format!("the param `{}` does not fit: {why}", name.text);
            report.at("wrong-type", span.clone(), message)
        };
        if let Err(why) = param.check(&param.ty.taint(value.clone())) {
            let mistake = mistake(report, why.to_string());
            report.add(mistake);
            continue;
        }
        // What an expression of a webhook gives stays a text, because others write it.
        match param.refer(value) {
            Ok(value) => {
                let template = Template::Literal(value);
                trigger.params.insert(name.text.clone(), template);
            }
            Err(why) => {
                let mistake = mistake(report, why);
                report.add_in_new(mistake);
            }
        }
    }
    let missing = params
        .iter()
        .filter(|(name, param)| param.is_required() && !trigger.params.contains_key(*name));
    for (name, param) in missing {
        let message = format!("the trigger has no value for the param `{name}`");
        let mistake = report
            .at("missing-input", trigger.span.clone(), message)
            .help(format!("add `params: {{ {name}: … }}` ({})", param.ty));
        report.add(mistake);
    }
}
