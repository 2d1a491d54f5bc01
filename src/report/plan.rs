use console::style;
use serde_json::{Value as Json, json};

use super::plain::line;
use windlass_engine::decide::{Fate, FateKind, Plan};
use windlass_journal::RunId;

/// Formats what a resume does with each step.
pub fn resume_plan(run: &RunId, plan: &Plan) -> String {
    let mut text = format!("resume plan of run {run}\n");
    let width = plan.fates.iter().map(|fate| fate.step.as_str().len()).max();
    for fate in &plan.fates {
        let line = format!(
            "  {} {:width$}  {:11}  {}",
            mark(fate.kind),
            fate.step.as_str(),
            word(fate.kind),
            line(&fate.reason),
            width = width.unwrap_or(0),
        );
        text.push_str(line.trim_end());
        text.push('\n');
        if !fate.repeats.is_empty() {
            let repeats = fate.repeats.join(", ");
            let note =
                style("it makes these calls again; an undo can still reverse the earlier ones:")
                    .yellow();
            text.push_str(&format!("      {note} {repeats}\n"));
        }
    }
    text
}

/// The same for programs.
pub fn plan_json(plan: &Plan) -> Json {
    let fate = |fate: &Fate| {
        json!({
            "step": fate.step, "fate": word(fate.kind), "reason": fate.reason,
            "repeats": fate.repeats,
        })
    };
    plan.fates.iter().map(fate).collect()
}

/// Returns the fate with this name in [`plan_json`].
pub fn fate_named(name: &str) -> Option<FateKind> {
    let mut all = FateKind::ALL.iter().copied();
    all.find(|kind| word(*kind) == name)
}

fn word(kind: FateKind) -> &'static str {
    match kind {
        FateKind::Kept => "kept",
        FateKind::GoesOn => "continues",
        FateKind::Replayed => "replayed",
        FateKind::LooksAgain => "looks again",
        FateKind::Again => "again",
        FateKind::New => "new",
        FateKind::Skipped => "skipped",
        FateKind::Removed => "removed",
    }
}

fn mark(kind: FateKind) -> console::StyledObject<&'static str> {
    match kind {
        FateKind::Kept => style("=").dim(),
        FateKind::GoesOn => style(">").cyan(),
        FateKind::Replayed => style("~").yellow(),
        FateKind::LooksAgain => style("?").cyan(),
        FateKind::Again => style("!").red(),
        FateKind::New => style("+").green(),
        FateKind::Skipped => style("-").yellow(),
        FateKind::Removed => style("-").red(),
    }
}
