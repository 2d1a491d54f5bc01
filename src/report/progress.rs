use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    commands::completed,
    next_steps::answer,
    plain::{line, short_line},
    say::{for_people, is_utf8, say},
    style::describe_status,
    tally::tally,
};
use windlass_compile::Workflow;
use windlass_engine::execute::Observer;
use windlass_ground::lock;
use windlass_journal::{
    ApprovalAsked, ApprovalDecided, Event, InstanceId, RunId, State, Status, StepFailed,
    StepSkipped, StepStarted, StepSucceeded,
};
use windlass_world::value::format_duration;

/// The number of lines for running steps; a screen has about 24 lines.
const MOST_LINES: usize = 12;
/// How often spinners turn.
const TICK: Duration = Duration::from_millis(120);
/// The largest share of the time for counting the steps of a large run.
const SHARE: u32 = 20;

/// Shows progress on a terminal: a line for each running step with its current call, and a bar for all
/// steps.
pub struct Bars {
    workflow: Arc<Workflow>,
    bars: MultiProgress,
    total: ProgressBar,
    running: Mutex<HashMap<InstanceId, ProgressBar>>,
    /// When the steps may be counted again.
    next_tally: Mutex<Instant>,
    run: RunId,
}

impl Bars {
    pub fn new(workflow: Arc<Workflow>, run: RunId) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = bars.add(ProgressBar::new(0));
        let template = "{bar:30.green/dim} {pos}/{len} steps  {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let signs = if is_utf8() { "━╸─" } else { "=>-" };
            total.set_style(style.progress_chars(signs));
        }
        Self {
            workflow,
            bars,
            total,
            running: Mutex::default(),
            next_tally: Mutex::new(Instant::now()),
            run,
        }
    }

    fn begin(&self, step: &InstanceId) {
        let mut running = self.running();
        if running.len() >= MOST_LINES || running.contains_key(step) {
            return;
        }
        let spinner = self
            .bars
            .insert_before(&self.total, ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix} {msg:.dim}") {
            spinner.set_style(if is_utf8() {
                style
            } else {
                style.tick_chars("|/-\\ ")
            });
        }
        spinner.set_prefix(line(step.as_str()).into_owned());
        spinner.enable_steady_tick(TICK);
        running.insert(step.clone(), spinner);
    }

    fn end(&self, step: &InstanceId) {
        if let Some(line) = self.running().remove(step) {
            line.finish_and_clear();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, ProgressBar>> {
        lock(&self.running)
    }
}

impl Observer for Bars {
    fn happened(&self, events: &[Event], state: &State) {
        for event in events {
            match event {
                Event::StepStarted(StepStarted {
                    step,
                    items: None,
                    is_scope: false,
                    ..
                }) => self.begin(step),
                Event::RunEnded(_) => {
                    for (_, line) in self.running().drain() {
                        line.finish_and_clear();
                    }
                    self.total.finish_and_clear();
                }
                event => {
                    if let Some(step) = ended(event) {
                        self.end(step);
                    }
                    if let Some(line) =
                        line_of(event, state, &self.run).filter(|line| line.is_trouble)
                    {
                        // On a terminal, the summary shows the successful steps.
                        let _ = self.bars.println(for_people(&line.text));
                    }
                }
            }
        }
        let mut next_tally = lock(&self.next_tally);
        let began = Instant::now();
        if began >= *next_tally {
            let (done, all) = tally(&self.workflow, state);
            self.total.set_length(all);
            self.total.set_position(done);
            *next_tally = began + began.elapsed() * SHARE;
        }
    }

    fn doing(&self, step: &InstanceId, what: &str) {
        if let Some(line) = self.running().get(step) {
            line.set_message(what.to_owned());
        }
    }

    fn waits_for(&self, lock: &str, holder: &str) {
        let _ = self.bars.println(for_people(&waiting(lock, holder)));
    }

    fn held_up(&self, why: &str) {
        let _ = self.bars.println(for_people(&format!("  {}", line(why))));
    }

    fn said(&self, step: &InstanceId, message: &str) {
        let _ = self.bars.println(for_people(&said(step, message)));
    }
}

/// Shows progress without a terminal: a line for each step that ends.
pub struct Lines(pub RunId);

impl Observer for Lines {
    fn happened(&self, events: &[Event], state: &State) {
        let text: String = events
            .iter()
            .filter_map(|event| line_of(event, state, &self.0))
            .map(|line| line.text + "\n")
            .collect();
        say(&text);
    }

    fn doing(&self, _: &InstanceId, _: &str) {}

    fn waits_for(&self, lock: &str, holder: &str) {
        say(&format!("{}\n", waiting(lock, holder)));
    }

    fn held_up(&self, why: &str) {
        say(&format!("  {}\n", line(why)));
    }

    fn said(&self, step: &InstanceId, message: &str) {
        say(&format!("{}\n", said(step, message)));
    }
}

/// Formats a message of a script in one line.
fn said(step: &InstanceId, message: &str) -> String {
    let step = line(step.as_str());
    format!("  {} {}", style(format!("{step}:")).dim(), line(message))
}

/// Formats what a run waits for. The commands for its holder are completed, so that they find the same runs.
pub fn waiting(lock: &str, holder: &str) -> String {
    format!(
        "  waits for `{}`, which is held by {}",
        line(lock),
        completed(&line(holder), None)
    )
}

fn ended(event: &Event) -> Option<&InstanceId> {
    match event {
        Event::StepSucceeded(StepSucceeded { step, .. })
        | Event::StepFailed(StepFailed { step, .. })
        | Event::StepInterrupted { step } => Some(step),
        _ => None,
    }
}

struct Line {
    text: String,
    is_trouble: bool,
}

fn line_of(event: &Event, state: &State, run: &RunId) -> Option<Line> {
    let told = |status: Status, step: &InstanceId, text: String, is_trouble| {
        let step = line(step.as_str());
        let text = format!("{} {step} {text}", describe_status(status))
            .trim_end()
            .to_owned();
        Some(Line { text, is_trouble })
    };
    match event {
        Event::StepSucceeded(StepSucceeded { step, .. }) => {
            let instance = state.instance(step)?;
            // As in the table, without waits; an approval does nothing else. Items work side by side.
            let took = instance.ended_at?.millis_since(instance.started_at?);
            let took = match instance.approval {
                Some(_) => took,
                None => instance.worked.min(took),
            };
            let took = format_duration(Duration::from_millis(took.max(0) as u64));
            told(
                Status::Succeeded,
                step,
                style(took).dim().to_string(),
                false,
            )
        }
        Event::StepSkipped(StepSkipped { step, reason }) => told(
            Status::Skipped,
            step,
            format!("skipped: {}", line(reason)),
            false,
        ),
        Event::StepFailed(StepFailed {
            step,
            error,
            retry_at: Some(at),
        }) => {
            let pause = at.since(state.instance(step)?.ended_at?);
            let pause = format_duration(pause);
            let text = format!(
                "failed, retry in {pause}: {}",
                short_line(&error.headline())
            );
            told(Status::Retrying { at: *at }, step, text, true)
        }
        Event::StepFailed(StepFailed { step, error, .. }) => told(
            Status::Failed,
            step,
            format!("failed: {}", short_line(&error.headline())),
            true,
        ),
        Event::StepInterrupted { step } => told(Status::Pending, step, "stopped".into(), false),
        Event::ApprovalAsked(ApprovalAsked { step, message, .. }) => {
            let command = style(answer("approve", run, step)).dim();
            told(
                Status::Waiting,
                step,
                format!("asks: {}  {command}", line(message)),
                true,
            )
        }
        Event::ApprovalDecided(ApprovalDecided {
            step,
            verdict,
            approver,
            ..
        }) => {
            let text = format!("{} by {}", verdict.as_str(), line(approver));
            told(state.status(step), step, text, true)
        }
        Event::UndoStarted(_) => Some(Line {
            text: "undoing…".into(),
            is_trouble: true,
        }),
        Event::RunCancelled(_) => Some(Line {
            text: "cancelling…".into(),
            is_trouble: true,
        }),
        _ => None,
    }
}
