//! Finds calls that a target does not allow, before a run begins: programs, hosts and services of AWS that the files and params name.

use windlass_compile::Workflow;
use windlass_script::{HostCall, Known};
use windlass_targets::Target;
use windlass_world::{
    outside::{HttpClient, Programs},
    value::{Failure, Value},
};

/// The service that the embedded certificate authority serves.
const EMBEDDED: &str = "acm-pca";

/// What a target says about the programs, hosts and services in the calls of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetAllows {
    /// The calls that would fail, by step, each with the reason.
    pub refused: Vec<(String, String)>,
    /// Whether all of them are known before the run.
    pub is_all_known: bool,
}

/// Looks for calls of a workflow that the target (`None` is the built-in one) does not allow. Whether a call is reached is not known: a script may
/// have conditions.
pub fn allowed(target: Option<&Target>, workflow: &Workflow, params: &Value) -> TargetAllows {
    let params = params.as_map().cloned().unwrap_or_default();
    let place = Permitted::of(target);
    let mut found = TargetAllows {
        refused: Vec::new(),
        is_all_known: true,
    };
    for (_, step) in workflow.steps() {
        for call in step.known_calls(&params) {
            match place.refuses(&call) {
                Judged::Fine => {}
                Judged::Unknown => found.is_all_known = false,
                Judged::Refused(why) => {
                    let refused = (step.name.to_string(), why);
                    if !found.refused.contains(&refused) {
                        found.refused.push(refused);
                    }
                }
            }
        }
    }
    found
}

/// What is known about one call.
enum Judged {
    Fine,
    /// What it names is worked out by the script.
    Unknown,
    Refused(String),
}

impl Judged {
    /// Judges both of two things that a call names.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match (self, other()) {
            (Self::Refused(why), _) | (_, Self::Refused(why)) => Self::Refused(why),
            (Self::Fine, Self::Fine) => Self::Fine,
            _ => Self::Unknown,
        }
    }

    fn of_undo(self) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("`undo`: {why}")),
            other => other,
        }
    }
}

/// Returns the program of the option `undo` of `exec::run`: `["helm", …]` or `#{ run: ["helm", …] }`.
fn program_of(undo: &Known) -> Option<&Known> {
    match undo.field("run").unwrap_or(undo) {
        Known::List(words) => words.first(),
        _ => None,
    }
}

/// What a target allows.
struct Permitted {
    programs: Programs,
    http: HttpClient,
    has_aws: bool,
    /// Whether scripts run on other machines, which may have other programs.
    is_elsewhere: bool,
}

impl Permitted {
    fn of(target: Option<&Target>) -> Self {
        Self {
            programs: target.map_or_else(Programs::default, |target| Programs::new(&target.exec.0)),
            http: target.map_or_else(HttpClient::default, |target| {
                HttpClient::new(target.http.allow.clone())
            }),
            has_aws: target.is_some(),
            is_elsewhere: target.is_some_and(|target| target.substrate.is_some()),
        }
    }

    fn refuses(&self, call: &HostCall) -> Judged {
        let argument = |name: &str| {
            let given = call.arguments().find(|(parameter, _)| *parameter == name);
            given.map(|(_, known)| known.as_text())
        };
        // What reverses the call is sent by an undo, which would fail then.
        let undo = call.option("undo");
        if call.function == "exec::run" {
            let check = |name: &str| self.check_program(name);
            let undo = undo.map(|undo| program_of(undo).and_then(Known::as_text));
            return judged(argument("program"), check).and(|| judged(undo, check).of_undo());
        }
        if call.function.starts_with("http::") {
            let check = |url: &str| self.http.check_host_of(url);
            let undo = undo.map(|undo| undo.field("url").and_then(Known::as_text));
            return judged(argument("url"), check).and(|| judged(undo, check).of_undo());
        }
        if call.function == "tls::chain" {
            return judged(argument("host"), |host| self.http.check_host("", host));
        }
        match call.aws_operation() {
            Some((Some(service), _)) if !self.has_aws && service != EMBEDDED => {
                Judged::Refused(format!(
                    "the target `local` has AWS Private CA (`{EMBEDDED}`) and no other service of AWS, so not `{service}`"
                ))
            }
            Some((None, _)) if !self.has_aws => Judged::Unknown,
            _ => Judged::Fine,
        }
    }

    fn check_program(&self, name: &str) -> Result<(), Failure> {
        match self.programs.check_program(name) {
            Err(failure) if self.is_elsewhere && failure.code == "CannotStart" => Ok(()),
            checked => checked,
        }
    }
}

/// Checks an argument: `None` if the call has no such one, `Some(None)` if its value is not known.
fn judged(argument: Option<Option<&str>>, check: impl Fn(&str) -> Result<(), Failure>) -> Judged {
    match argument {
        None => Judged::Fine,
        Some(None) => Judged::Unknown,
        Some(Some(given)) => match check(given) {
            Ok(()) => Judged::Fine,
            Err(failure) => Judged::Refused(failure.message),
        },
    }
}
