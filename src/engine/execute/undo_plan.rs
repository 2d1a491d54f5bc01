//! Says what an undo would do, and what one has done: for plans and reports.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::StreamExt;

use super::{
    settle::{FoundOut, found_out},
    undo::{in_use, reversal_of},
};
use crate::decide;
use windlass_compile::{Action, Workflow};
use windlass_journal::{EffectState, Instance, InstanceId, State, Status};
use windlass_script::{Class, InUse, Reversal, Reversed, WayBack};
use windlass_world::{
    outside::Clients,
    value::{Failure, Value},
};

/// One action of an undo, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoItem {
    pub step: InstanceId,
    pub what: String,
    pub kind: UndoKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoKind {
    /// It will be reversed.
    Reversed,
    /// There is nothing to reverse (any more); says why.
    Already(String),
    /// The current state is not what the run left, so it stays; says what is different.
    Left(String),
    /// It is not known whether the call was made; the undo finds out first.
    Unknown,
    /// The current state could not be read now; says why. The undo tries again.
    Unseen(String),
    /// It can't be reversed.
    Stays,
}

/// How much of a step's effects an undo has reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    Whole,
    Part,
    /// All effects stay.
    Nothing,
}

impl Undone {
    /// Combines the results of two steps.
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Part }
    }
}

/// What this machine sees of what a run has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Whole,
    /// All but the files, which are on the machine of a worker.
    WithoutFiles,
    /// Nothing for certain: the embedded servers may be those of a worker.
    Uncertain,
}

impl Sight {
    /// Corrects what was found out about a thing that this machine may not see: only if it is as the run left it, it is the same thing.
    fn corrects(self, way: &WayBack, kind: UndoKind) -> UndoKind {
        let may_be_another = match self {
            Self::Whole => false,
            Self::WithoutFiles => way.is_of_file(),
            Self::Uncertain => true,
        };
        match kind {
            UndoKind::Already(_) | UndoKind::Left(_) if may_be_another => {
                UndoKind::Unseen("only the workers see its current state".into())
            }
            kind => kind,
        }
    }
}

/// Lists what an undo would do, in order, by reading the current state. Changes nothing.
pub async fn undo_plan(
    workflow: &Workflow,
    state: &State,
    clients: &Clients,
    sight: Sight,
) -> Vec<UndoItem> {
    let order = decide::undo_order(workflow, state).into_iter();
    let steps: Vec<_> = order
        .filter(|id| state.status(&id.undo()) != Status::Succeeded)
        .flat_map(|id| {
            let steps = steps_back(workflow, state, &id, clients);
            steps.into_iter().map(move |step| (id.clone(), step))
        })
        .collect();
    let mut there = look_at_all(&steps).await;
    let mut in_use = in_use(state);
    let mut items = Vec::new();
    for (step, back) in steps {
        let undo = state.instance(&step.undo());
        let left_by = undo.filter(|undo| undo.status == Status::Skipped);
        let what = back.what();
        let kind = match (left_by, back) {
            (_, StepBack::Stays(_)) => UndoKind::Stays,
            (Some(undo), _) => UndoKind::Left(undo.skip_reason.clone().unwrap_or_default()),
            (None, StepBack::Suspect | StepBack::Find(_)) => UndoKind::Unknown,
            (None, StepBack::Script(_)) => UndoKind::Reversed,
            (None, StepBack::By(way)) => {
                let way = way.sparing(&in_use);
                let kind = judged(&way, &mut there, &mut in_use).await;
                sight.corrects(&way, kind)
            }
        };
        items.push(UndoItem { step, what, kind });
    }
    items
}

/// Returns, for each step whose undo has ended, how much was reversed according to the undo's records; leaves out steps
/// without effects.
pub fn undone(workflow: &Workflow, state: &State) -> BTreeMap<InstanceId, Undone> {
    let clients = Clients::nowhere();
    let mut found: BTreeMap<InstanceId, Undone> = BTreeMap::new();
    for id in decide::undo_order(workflow, state) {
        match state.status(&id.undo()) {
            Status::Succeeded => {}
            Status::Skipped => {
                found.insert(id, Undone::Nothing);
                continue;
            }
            _ => continue,
        }
        let steps = steps_back(workflow, state, &id, &clients).into_iter();
        let known = steps.filter_map(|step| match step {
            StepBack::Stays(_) => Some(Undone::Nothing),
            StepBack::Script(_) => Some(Undone::Whole),
            _ => None,
        });
        let recorded = verdicts(state, &id)
            .into_iter()
            .map(|verdict| match verdict {
                Reversed::Left(_) => Undone::Nothing,
                Reversed::Done | Reversed::Already(_) => Undone::Whole,
            });
        if let Some(reached) = known.chain(recorded).reduce(Undone::and) {
            found.insert(id, reached);
        }
    }
    found
}

/// Lists what stays of the steps whose undo has ended, in the order of the undo: what can't be reversed, and what a person has left.
pub fn stays(workflow: &Workflow, state: &State) -> Vec<UndoItem> {
    let clients = Clients::nowhere();
    let mut items = Vec::new();
    for step in decide::undo_order(workflow, state) {
        let undo = state.instance(&step.undo());
        let (is_over, left_by) = match undo.map(|undo| (undo.status, &undo.skip_reason)) {
            Some((Status::Succeeded, _)) => (true, None),
            Some((Status::Skipped, reason)) => (true, reason.clone()),
            _ => (false, None),
        };
        if is_over {
            let steps = steps_back(workflow, state, &step, &clients).into_iter();
            items.extend(steps.filter_map(|back| {
                let kind = match (&left_by, &back) {
                    (_, StepBack::Stays(_)) => UndoKind::Stays,
                    (Some(reason), _) => UndoKind::Left(reason.clone()),
                    (None, _) => return None,
                };
                let (step, what) = (step.clone(), back.what());
                Some(UndoItem { step, what, kind })
            }));
        }
    }
    items
}

/// Returns the results that the undo of a step recorded, one for each effect.
fn verdicts(state: &State, id: &InstanceId) -> Vec<Reversed> {
    let undo = state.instance(&id.undo());
    let rounds = undo.into_iter().flat_map(Instance::rounds);
    let effects = rounds.flat_map(|round| round.effects);
    let given = effects.filter(|effect| effect.call.class != Class::Read);
    given
        .filter_map(EffectState::result)
        .map(|given| match Reversed::read(given) {
            Some(verdict) => verdict,
            // Earlier versions recorded this.
            None => match given {
                Value::String(why) if why.starts_with("left") => Reversed::Left(why.clone()),
                _ => Reversed::Done,
            },
        })
        .collect()
}

/// The current state of each thing. When an effect would be reversed, the state is changed here as well, for the earlier
/// effects on the same thing.
type There = BTreeMap<String, Result<Value, Failure>>;

/// How many reads are made at once.
const LOOKS: usize = 8;

async fn look_at_all(steps: &[(InstanceId, StepBack)]) -> There {
    let mut ways: BTreeMap<&str, &WayBack> = BTreeMap::new();
    for (_, step) in steps {
        if let StepBack::By(way) = step {
            ways.entry(&way.subject).or_insert(way);
        }
    }
    futures_util::stream::iter(ways)
        .map(|(subject, way)| async move { (subject.to_owned(), way.look().await) })
        .buffer_unordered(LOOKS)
        .collect()
        .await
}

async fn judged(way: &WayBack, there: &mut There, in_use: &mut InUse) -> UndoKind {
    let now = match there.get(&way.subject) {
        Some(Ok(now)) => now,
        Some(Err(failure)) => return UndoKind::Unseen(failure.to_string()),
        None => return UndoKind::Reversed,
    };
    let judgement = way.judge(now);
    if let Reversed::Left(_) = judgement.verdict
        && let Err(failure) = way.note_uses(now, in_use).await
    {
        return UndoKind::Unseen(failure.to_string());
    }
    there.insert(way.subject.clone(), Ok(judgement.then));
    match judgement.verdict {
        Reversed::Done => UndoKind::Reversed,
        Reversed::Already(why) => UndoKind::Already(why),
        Reversed::Left(why) => UndoKind::Left(why),
    }
}

/// One part of a step's undo.
enum StepBack {
    /// An attempt was killed, and its effects are not known.
    Suspect,
    /// The script with this path does it.
    Script(Arc<str>),
    /// It must first be found out whether a call was made; says how.
    Find(String),
    By(WayBack),
    /// Says what stays.
    Stays(String),
}

impl StepBack {
    /// Describes it for a plan.
    fn what(&self) -> String {
        match self {
            Self::Suspect => {
                "find out what a killed attempt did (a resume before the undo does this)".into()
            }
            Self::Script(path) => format!("run `fn undo` of {path}"),
            Self::Find(what) | Self::Stays(what) => what.clone(),
            Self::By(way) => way.what.clone(),
        }
    }
}

/// Returns the parts of a step's undo, in order.
fn steps_back(
    workflow: &Workflow,
    state: &State,
    id: &InstanceId,
    clients: &Clients,
) -> Vec<StepBack> {
    let mut steps = Vec::new();
    let script = match decide::step_of(workflow, id).map(|step| &step.action) {
        Some(Action::Script(script)) => Some(script),
        _ => None,
    };
    if state.instance(id).is_some_and(|i| i.is_suspect) {
        steps.push(StepBack::Suspect);
    }
    let instance = state.instance(id);
    let own: BTreeMap<_, _> = instance
        .into_iter()
        .flat_map(|instance| decide::own_undos(workflow, id, instance))
        .map(|(round, script)| (round.number, script))
        .collect();
    for round in instance.into_iter().flat_map(Instance::rounds) {
        if let Some(script) = own.get(&round.number) {
            steps.push(StepBack::Script(script.path.clone()));
            continue;
        }
        for effect in round.effects.iter().rev() {
            if let Some(how) = found_out(effect, clients) {
                let function = &effect.call.function;
                steps.push(StepBack::Find(match how {
                    FoundOut::ByAnswer => {
                        format!("ask you whether {function} was done (--answer {id}=…)")
                    }
                    FoundOut::ByLook => format!("find out whether {function} was done"),
                }));
                continue;
            }
            match reversal_of(effect, None, clients) {
                Some(Reversal::By(way)) => steps.push(StepBack::By(way)),
                Some(Reversal::Never(what)) => steps.push(StepBack::Stays(match script {
                    Some(script) if script.has_undo => {
                        format!("{what}; `fn undo` is run only for a step that has succeeded")
                    }
                    _ => what,
                })),
                Some(Reversal::Nothing) | None => {}
            }
        }
    }
    steps
}
