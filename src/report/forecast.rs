//! Predicts what a run would call: each change with its arguments as far as they are known, the number of calls of each kind, and
//! their cost.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::{
    plain::{line, short_line},
    price::{GENERAL_PURPOSE, SHORT_LIVED, SOURCE},
    table::{Room, Table},
};
use windlass_authority::per_second;
use windlass_engine::decide::{Foreseen, Preview};
use windlass_journal::InstanceId;
use windlass_script::{HostCall, Known, Needs};

/// How a call affects something outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Creates,
    Changes,
    Deletes,
    /// Creates or changes it.
    Writes,
    /// Runs something whose effect only the other side knows.
    Runs,
}

impl Does {
    fn of(function: &str) -> Self {
        let name = function.rsplit("::").next().unwrap_or(function);
        let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        match function {
            "exec::run" | "http::post" => Self::Runs,
            _ if begins(&["create", "issue"]) => Self::Creates,
            _ if begins(&["delete", "remove", "revoke", "untag"]) => Self::Deletes,
            _ if begins(&["write", "apply", "put", "tag"]) => Self::Writes,
            _ => Self::Changes,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Creates => "creates",
            Self::Changes => "changes",
            Self::Deletes => "deletes",
            Self::Writes => "writes",
            Self::Runs => "runs",
        }
    }

    /// Returns the sign, as in a diff.
    fn sign(self) -> &'static str {
        match self {
            Self::Creates => "+",
            Self::Deletes => "-",
            Self::Changes | Self::Writes | Self::Runs => "~",
        }
    }
}

/// How often a step runs, as far as that is known.
#[derive(Clone, Copy)]
struct Times {
    count: u64,
    /// Whether there may be more: the items of a `for_each` are only known later.
    is_least: bool,
}

/// The number of calls, and whether it is certain.
#[derive(Default)]
struct Count {
    count: u64,
    /// Whether there may be more: those for items that are only known later are not counted, as there may be none.
    is_least: bool,
    /// Whether there may be fewer: a `when` is only known later.
    is_most: bool,
}

impl Count {
    fn is_none(&self) -> bool {
        self.count == 0 && !self.is_least
    }

    /// Formats an amount that belongs to the count.
    fn amount(&self, amount: f64, per: &str) -> String {
        match self.count {
            0 => self.text(),
            _ => format!("{amount:.2} {per}"),
        }
    }

    fn text(&self) -> String {
        let n = self.count;
        match (self.is_least, self.is_most) {
            (false, false) => n.to_string(),
            (true, _) if n == 0 => "not known yet".into(),
            (true, false) => format!("at least {n}"),
            (false, true) => format!("at most {n}"),
            (true, true) => format!("about {n}"),
        }
    }
}

/// Formats what a run would change and what that costs, and what `fn undo` of its scripts would change; empty for a run that changes
/// nothing.
pub fn forecast(steps: &[Preview], room: Room) -> String {
    let times = times(steps);
    let text = changes(steps, &times, |step| &step.calls);
    let undo = match changes(steps, &times, |step| &step.undo_calls) {
        text if text.is_empty() => text,
        text => format!("\n  Changes of `fn undo` in its scripts, if the run is undone\n{text}"),
    };
    if text.is_empty() {
        return undo;
    }
    let mut text = format!("\n  Changes\n{text}");
    let counted = counts(steps, &times);
    let mut table = Table::new(&["CALL", "COUNT", "AWS LIMIT"]);
    for (call, count) in &counted {
        let rate = operation(call).map(|name| format!("{} a second", per_second(name)));
        table.row([(*call).to_owned(), count.text(), rate.unwrap_or_default()]);
    }
    text.push_str(&format!("\n{}", table.render("  ", room)));
    text.push_str(&costs(&counted));
    text.push_str(&undo);
    text
}

/// Lists the changing calls below the steps that make them.
fn changes(
    steps: &[Preview],
    times: &HashMap<InstanceId, Times>,
    calls: for<'a> fn(&'a Preview<'_>) -> &'a [HostCall],
) -> String {
    let mut text = String::new();
    for step in running(steps) {
        let changing: Vec<_> = calls(step).iter().filter(|call| call.is_change()).collect();
        if changing.is_empty() {
            continue;
        }
        let n = &times[&step.step];
        let often = match (n.count, n.is_least) {
            (1, false) => String::new(),
            (n, false) => format!(" × {n}"),
            (_, true) => " × number of items (not known yet)".into(),
        };
        text.push_str(&format!("    {}{often}\n", line(step.step.as_str())));
        for call in changing {
            text.push_str(&change(call));
        }
    }
    text
}

/// Returns the same for programs: `changes`, `calls` and `cost`, and as `undo` what the scripts' own `fn undo` would change.
pub fn forecast_json(steps: &[Preview]) -> Json {
    let times = times(steps);
    let counted = counts(steps, &times);
    let calls = counted.iter().map(|(call, count)| {
        json!({
            "function": call, "count": count.count,
            "at_least": count.is_least, "at_most": count.is_most,
            "aws_a_second": operation(call).map(per_second),
        })
    });
    let changes = |calls: fn(&Preview) -> Vec<HostCall>| -> Vec<Json> {
        let of_step = |step: &Preview| {
            let n = times[&step.step].count;
            let changing = calls(step).into_iter().filter(HostCall::is_change);
            let changes = changing.map(|call| change_json(step, &call, n));
            changes.collect::<Vec<_>>()
        };
        running(steps).flat_map(of_step).collect()
    };
    let (authorities, certificates) = (made(&counted, CREATE), made(&counted, ISSUE));
    json!({
        "changes": changes(|step| step.calls.clone()),
        "undo": changes(|step| step.undo_calls.clone()),
        "calls": calls.collect::<Vec<_>>(),
        "cost": {
            "usd_a_month": authorities.count as f64 * GENERAL_PURPOSE.a_month,
            "usd_once": GENERAL_PURPOSE.issuing(certificates.count),
            "authorities": authorities.count, "certificates": certificates.count,
            "prices": [GENERAL_PURPOSE.json(), SHORT_LIVED.json()],
            "source": SOURCE,
        },
    })
}

fn change_json(step: &Preview, call: &HostCall, count: u64) -> Json {
    let (known, later) = arguments(call);
    json!({
        "step": step.step, "function": call.function, "count": count,
        "does": Does::of(call.function).as_str(),
        "arguments": known.into_iter().collect::<BTreeMap<_, _>>(), "known_later": later,
    })
}

const CREATE: &str = "pca::create_certificate_authority";
const ISSUE: &str = "pca::issue_certificate";

fn made(counted: &BTreeMap<&str, Count>, call: &str) -> Count {
    counted
        .get(call)
        .map_or_else(Count::default, |count| Count { ..*count })
}

fn running<'a, 'w>(steps: &'a [Preview<'w>]) -> impl Iterator<Item = &'a Preview<'w>> {
    steps
        .iter()
        .filter(|step| step.runs != Foreseen::Known(false))
}

/// Returns how often each step runs: once for each of its items, and for each item of the steps that contain it.
fn times(steps: &[Preview]) -> HashMap<InstanceId, Times> {
    let mut found: HashMap<InstanceId, Times> = HashMap::new();
    for step in steps {
        let outer = step
            .step
            .parent()
            .and_then(|outer| found.get(&outer).copied());
        let outer = outer.unwrap_or(Times {
            count: 1,
            is_least: false,
        });
        let own = match step.items {
            None => outer,
            Some(Foreseen::Known(n)) => Times {
                count: outer.count * n as u64,
                ..outer
            },
            Some(Foreseen::Later) => Times {
                is_least: true,
                ..outer
            },
        };
        found.insert(step.step.clone(), own);
    }
    found
}

/// Counts the changing calls, and other calls that AWS limits, once for each place in a script: a loop may make more.
fn counts(steps: &[Preview], times: &HashMap<InstanceId, Times>) -> BTreeMap<&'static str, Count> {
    let mut found: BTreeMap<&'static str, Count> = BTreeMap::new();
    for step in running(steps) {
        let n = &times[&step.step];
        let counted = step
            .calls
            .iter()
            .filter(|call| call.is_change() || operation(call.function).is_some());
        for call in counted {
            let count = found.entry(call.function).or_default();
            if n.is_least {
                count.is_least = true
            } else {
                count.count += n.count
            }
            count.is_most |= step.runs == Foreseen::Later;
        }
    }
    found
}

/// Returns the operation of AWS Private CA that a call makes; `None` for one that waits.
fn operation(function: &str) -> Option<&'static str> {
    let row = windlass_script::function(function).filter(|_| !function.contains("::wait_"))?;
    match &row.needs {
        Needs::Aws { run, .. } => {
            let name: String = function
                .strip_prefix("pca::")?
                .split('_')
                .flat_map(capitalized)
                .collect();
            let is_it = |action: &&&str| {
                action.eq_ignore_ascii_case(&name)
                    || action.eq_ignore_ascii_case(&format!("Get{name}"))
            };
            run.iter().find(is_it).or(run.first()).copied()
        }
        _ => None,
    }
}

fn capitalized(word: &str) -> impl Iterator<Item = char> + '_ {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars)
}

/// Formats a changing call in several lines: its arguments, and what is only known when it runs.
fn change(call: &HostCall) -> String {
    let does = Does::of(call.function);
    let mut text = format!(
        "      {} {} ({})\n",
        does.sign(),
        call.function,
        does.as_str()
    );
    let (known, later) = arguments(call);
    for (name, value) in known {
        let value = match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        text.push_str(&format!(
            "          {}: {}\n",
            line(&name),
            short_line(&value)
        ));
    }
    if !later.is_empty() {
        text.push_str(&format!(
            "          not known before the run: {}\n",
            line(&later.join(", "))
        ));
    }
    text
}

/// Returns the known arguments of a call, with options by name, and the names of the others.
fn arguments(call: &HostCall) -> (Vec<(String, Json)>, Vec<String>) {
    let (mut known, mut later) = (Vec::new(), Vec::new());
    for (name, value) in call.arguments() {
        match value {
            Known::Map(map) => {
                for (name, value) in map {
                    divide(name.clone(), value, &mut known, &mut later);
                }
            }
            value => divide(name.to_owned(), value, &mut known, &mut later),
        }
    }
    (known, later)
}

fn divide(name: String, value: &Known, known: &mut Vec<(String, Json)>, later: &mut Vec<String>) {
    match to_json(value) {
        Some(value) => known.push((name, value)),
        None => later.push(name),
    }
}

/// Returns the known value; in a list or a map, `…` stands for unknown parts.
fn to_json(value: &Known) -> Option<Json> {
    let part = |value: &Known| to_json(value).unwrap_or_else(|| "…".into());
    Some(match value {
        Known::Text(text) => json!(text),
        Known::Begins(text) => json!(format!("{text}…")),
        Known::Bool(value) => json!(value),
        Known::Int(value) => json!(value),
        Known::List(items) => items.iter().map(part).collect(),
        Known::Map(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), part(value)))
            .collect(),
        Known::Input(_) | Known::Unknown => return None,
    })
}

/// Formats what the CAs and certificates cost on AWS.
fn costs(counted: &BTreeMap<&'static str, Count>) -> String {
    let (authorities, certificates) = (made(counted, CREATE), made(counted, ISSUE));
    if authorities.is_none() && certificates.is_none() {
        return String::new();
    }
    let mut table = Table::new(&["COST ON AWS", "COUNT", "USD EACH", "USD"]);
    let mode = GENERAL_PURPOSE;
    if !authorities.is_none() {
        table.row([
            format!("certificate authorities ({})", mode.name),
            authorities.text(),
            format!("{:.2} a month", mode.a_month),
            authorities.amount(authorities.count as f64 * mode.a_month, "a month"),
        ]);
    }
    if !certificates.is_none() {
        let first = mode.certificates.first().map_or(0.0, |(_, price)| *price);
        table.row([
            "certificates".into(),
            certificates.text(),
            format!("{first:.2}, less after the first 1,000 in a month"),
            certificates.amount(mode.issuing(certificates.count), "once"),
        ]);
    }
    let prices = format!("  {SOURCE}\n");
    format!("\n{}{prices}", table.render("  ", Room::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_verb() {
        let of = |does: Does| {
            let changing = windlass_script::functions().filter(|row| row.is_change());
            changing
                .filter(|row| Does::of(row.name) == does)
                .map(|row| row.name)
                .collect::<Vec<_>>()
        };
        assert!(of(Does::Creates).contains(&ISSUE) && of(Does::Creates).contains(&CREATE));
        assert!(
            of(Does::Deletes).contains(&"kube::delete")
                && of(Does::Deletes).contains(&"pca::revoke_certificate")
        );
        assert!(
            of(Does::Writes).contains(&"kube::apply_secret")
                && of(Does::Writes).contains(&"file::write")
        );
        assert_eq!(of(Does::Runs), ["exec::run", "http::post"]);
        assert!(of(Does::Changes).contains(&"kube::restart"));
    }

    #[test]
    fn calls_are_operations_of_aws() {
        assert_eq!(operation(ISSUE), Some("IssueCertificate"));
        assert_eq!(operation(CREATE), Some("CreateCertificateAuthority"));
        assert_eq!(
            operation("pca::certificate_authority_csr"),
            Some("GetCertificateAuthorityCsr")
        );
        assert_eq!(operation("pca::wait_until_issued"), None);
        assert_eq!(operation("file::write"), None);
    }
}
