//! A session of the prompt: one run, which each entry edits.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value as Json, json};

use super::entry::{Entry, read_entry};
use crate::{
    cli::{
        archive::{Archive, Held},
        args::{Args, Driving, Shell},
        beforehand::{Wanted, begin, with_secrets},
        drive::drive_here,
        failure::Failure,
        process::{absolute, person},
        taken::take,
    },
    compile::{Folder, Mistakes, Program, Sources, compile},
    decide::{self, Change},
    execute::{Ended, Observer},
    journal::{
        EffectOutcome, Event, Instance, InstanceId, Journal, NewRun, Outcome, RunId, RunJournal,
        State, Status,
    },
    report,
    runs::{Beginning, Revising, after_edit, edited, new_id, revision_events},
    script::{Class, function},
    targets::{Folders, Targets, rehearsal_folder},
    value::Value,
};

/// The name of the session's workflow file.
const MAIN: &str = "shell.yaml";
/// The clusters of the target `local` that a prompt can use, in addition to existing ones.
const REHEARSAL: [&str; 2] = ["mgmt", "cluster-1"];

/// The result of an entry.
#[derive(Default)]
pub struct Told {
    pub value: Option<Value>,
    /// The calls that changed something, a line each.
    pub changes: Vec<String>,
    /// The reason why it failed, as it is drawn.
    pub problem: Option<String>,
}

/// A prompt's run and its variables.
pub struct Session<'a> {
    args: &'a Args,
    target: String,
    out: PathBuf,
    kube: BTreeSet<String>,
    run: Option<RunId>,
    /// The entries that ran, in their order.
    steps: Vec<Step>,
    /// How many entries were typed.
    count: usize,
    /// For each variable, the step that set it last.
    variables: BTreeMap<String, String>,
    functions: BTreeMap<String, String>,
    has_changed: bool,
    /// Whether an entry that fails ends the session: then its run fails, too.
    ends_on_error: bool,
}

/// A run that is about to continue.
struct Ready {
    run: RunJournal,
    program: Program,
    state: State,
    events: Vec<Event>,
}

/// An entry as a step of the run.
#[derive(Clone)]
struct Step {
    name: String,
    text: Arc<str>,
    /// How many bytes of the script come before the typed text.
    head: usize,
    /// What was typed, without its functions.
    typed: Arc<str>,
    /// Where the expression at its end begins.
    value: Option<usize>,
    /// What the workflow says of it.
    says: Json,
}

/// The text before the expression at the end of an entry.
const VALUE: &str = "let value_of_entry = ";
/// The text after the typed text: the compiler reads it to see that the typed text has ended.
const BEHIND: &str = "\n;";

impl Step {
    /// Finds a byte of the script in what was typed; `None` for one that the session added.
    fn place(&self, at: usize) -> Option<usize> {
        let at = at.checked_sub(self.head)?;
        let at = match self.value {
            Some(value) if at > value => at.saturating_sub(VALUE.len()).max(value),
            _ => at,
        };
        let end = self.typed.len();
        (at <= end + BEHIND.len()).then_some(at.min(end))
    }
}

impl<'a> Session<'a> {
    /// Checks where the session will be recorded. Nothing is recorded before the first entry. With `ends_on_error`, an entry that fails
    /// ends the session and its run.
    ///
    /// # Errors
    /// A target that does not exist or whose runs Restate drives, or an output folder that scripts must not have.
    pub fn open(args: &'a Args, command: &Shell, ends_on_error: bool) -> Result<Self, Failure> {
        let (config, was_asked_for) = args.config();
        let targets = Targets::load(config, was_asked_for)?;
        let target = targets.find(&command.target)?;
        if args.on.is_some() || target.is_some_and(|target| target.substrate.is_some()) {
            let message = "the shell does not work with Restate, because it drives its run itself";
            return Err(Failure::new("engine", message)
                .hint("name a target without `substrate`, and remove --on"));
        }
        let out = absolute(&command.out)?;
        Folders {
            out: &out,
            state: &args.state,
            config,
            workflow: None,
        }
        .check()?;
        let kube = match rehearsal_folder(target, &args.state) {
            Some(folder) => rehearsal_clusters(&folder),
            None => target.map_or_else(BTreeSet::new, |target| {
                target.kube.keys().cloned().collect()
            }),
        };
        Ok(Self {
            args,
            target: command.target.clone(),
            out,
            kube,
            run: None,
            steps: Vec::new(),
            count: 0,
            variables: BTreeMap::new(),
            functions: BTreeMap::new(),
            has_changed: false,
            ends_on_error,
        })
    }

    /// Returns the run, if there is one yet.
    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Says whether an entry changed something outside.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Returns the names of its variables and functions.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let functions = self.functions.keys();
        let functions = functions.map(|key| key.split('/').next().unwrap_or_default().to_owned());
        self.variables.keys().cloned().chain(functions)
    }

    /// Runs an entry, as a new step of the run.
    ///
    /// # Errors
    /// Mistakes in it, or a reason why it could not run at all.
    pub fn enter(&mut self, text: &str) -> Result<Told, Failure> {
        let entry = read_entry(text);
        let before = self.functions.clone();
        self.functions.extend(entry.functions.clone());
        if !entry.runs && entry.functions.is_empty() {
            return Ok(Told::default());
        }
        if !entry.runs {
            // Mistakes in a function are shown when it is typed.
            let checked = self
                .compiled(&self.step(&Entry::default(), "checked"))
                .map(|_| Told::default());
            if checked.is_err() {
                self.functions = before;
            }
            return checked;
        }
        let step = self.step(&entry, &format!("entry_{}", self.count + 1));
        let program = match self.compiled(&step) {
            Ok(program) => program,
            Err(failure) => {
                self.functions = before;
                return Err(failure);
            }
        };
        self.count += 1;
        let Ready {
            run,
            program,
            state,
            events,
        } = match self.run.clone() {
            None => self.begin(program)?,
            Some(id) => self.edit(&id, program)?,
        };
        let driving = Driving {
            max_parallel: 1,
            json: false,
            wait: false,
            lock_timeout: None,
        };
        let (ended, state) = drive_here(
            self.args,
            &driving,
            run,
            (&program, state, events),
            Arc::new(Quiet),
        )?;
        Ok(self.told(step, &entry, ended, &state))
    }

    fn begin(&mut self, program: Program) -> Result<Ready, Failure> {
        let beginning = begin(Wanted {
            program: &program,
            file: Path::new(MAIN),
            target: &self.target,
            kube: self.kube.clone(),
            chosen: BTreeSet::new(),
            out: self.out.display().to_string(),
            params: Value::Map(BTreeMap::new()),
        })?;
        let journal = Journal::open(&self.args.state)?;
        let Beginning { event, at, state } =
            with_secrets(beginning, &Archive::Here(journal.clone()))?;
        let id = new_id()?;
        let run = journal.begin(NewRun {
            id: id.clone(),
            event,
            files: &program.files,
            at,
        })?;
        self.run = Some(id);
        Ok(Ready {
            run,
            program,
            state,
            events: Vec::new(),
        })
    }

    fn edit(&self, id: &RunId, program: Program) -> Result<Ready, Failure> {
        let archive = Archive::Here(Journal::open(&self.args.state)?);
        let mut taken = take(&archive, id)?;
        let edited = edited(
            &taken.info,
            &program,
            taken.info.params.clone(),
            self.kube.clone(),
            taken.info.secrets,
        );
        let plan = decide::plan(&Change {
            old: &taken.program.workflow,
            new: &program.workflow,
            state: &after_edit(&taken.state, Some(&edited)),
            run_id: id.as_str(),
            redo: &[],
            is_edited: true,
        })
        .map_err(|e| Failure::new("journal", e.to_string()))?;
        taken.run.freeze(edited.edition, &program.files)?;
        let revising = Revising {
            redo: &[],
            edited: Some(edited),
            plan: plan.events,
            answers: &[],
        };
        let workflow = &taken.program.workflow;
        let events = revision_events(workflow, &taken.state, revising, &person())?;
        match taken.run {
            Held::Here(run) => Ok(Ready {
                run,
                program,
                state: taken.state,
                events,
            }),
            #[cfg(feature = "restate")]
            Held::Restate(_) => Err(Failure::new("engine", "a shell drives its run itself")),
        }
    }

    /// Reads the result of an entry from the state of the run, and records its variables.
    fn told(&mut self, step: Step, entry: &Entry, ended: Ended, state: &State) -> Told {
        let id = InstanceId::step(None, &step.name);
        let instance = state.instance(&id);
        let changes: Vec<_> = instance.map_or_else(Vec::new, changes);
        self.has_changed |= !changes.is_empty();
        let status = instance.map_or(Status::Pending, |instance| instance.status);
        let mut told = Told {
            changes,
            ..Told::default()
        };
        match (status, instance) {
            (Status::Succeeded, Some(instance)) => {
                let variables = instance.outputs.field("variables").and_then(Value::as_map);
                let names = variables
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone());
                self.variables
                    .extend(names.map(|name| (name, step.name.clone())));
                told.value = entry.value.and(instance.outputs.field("value").cloned());
                self.steps.push(step);
            }
            (Status::Failed, Some(instance)) => {
                if let (Some(error), Some(run)) = (&instance.error, &self.run) {
                    told.problem = Some(problem(run, error, &step));
                }
                self.steps.push(step);
            }
            // The next edit leaves the entry out; an undo can still reverse its calls.
            _ if ended == Ended::Over(Outcome::Cancelled) => {
                told.problem = Some("cancelled".into())
            }
            (status, _) => told.problem = Some(format!("the entry is {}", status.as_str())),
        }
        told
    }

    /// Builds the script of an entry: its first line defines the variables that it names, then comes the typed text, and at the end the
    /// values that it leaves.
    fn step(&self, entry: &Entry, name: &str) -> Step {
        let of_functions = self
            .functions
            .values()
            .flat_map(|text| read_entry(text).words);
        let words: BTreeSet<_> = entry.words.iter().cloned().chain(of_functions).collect();
        let given: Vec<_> = self
            .variables
            .iter()
            .filter(|(name, _)| words.contains(*name))
            .collect();
        let declared: Vec<_> = given
            .iter()
            .map(|(name, _)| format!("{name}: \"any?\""))
            .collect();
        let bound: String = given
            .iter()
            .map(|(name, _)| format!(" let {name} = inputs.{name};"))
            .collect();
        let head = format!(
            "const INPUTS = #{{ {} }}; fn run(inputs) {{{bound}\n",
            declared.join(", ")
        );
        let mut names: BTreeSet<_> = given.iter().map(|(name, _)| *name).collect();
        names.extend(&entry.declares);
        let variables: Vec<_> = names.iter().map(|name| format!("{name}: {name}")).collect();
        let (before, value) = entry
            .statements
            .split_at(entry.value.unwrap_or(entry.statements.len()));
        let (value, end) = match entry.value {
            Some(_) => (format!("{VALUE}{value}"), "value_of_entry"),
            None => (String::new(), "()"),
        };
        let functions: Vec<_> = self.functions.values().map(String::as_str).collect();
        let text = format!(
            "{head}{before}{value}{BEHIND} #{{ value: {end}, variables: #{{ {} }} }} }}\n{}\n",
            variables.join(", "),
            functions.join("\n")
        );
        let with: BTreeMap<_, _> = given
            .iter()
            .map(|(name, step)| {
                (
                    *name,
                    format!("${{{{ steps.{step}.variables[\"{name}\"] }}}}"),
                )
            })
            .collect();
        let last = self.steps.last().map(|step| step.name.clone());
        let on_error = if self.ends_on_error {
            "fail"
        } else {
            "continue"
        };
        Step {
            says: json!({
                "script": file(name),
                "description": entry.statements.trim(),
                "with": with,
                "needs": last.into_iter().collect::<Vec<_>>(),
                // At a terminal, a failed entry ends neither the session nor its run.
                "on_error": on_error,
            }),
            name: name.to_owned(),
            head: head.len(),
            typed: entry.statements.as_str().into(),
            value: entry.value,
            text: text.into(),
        }
    }

    /// Compiles the session with one more entry.
    fn compiled(&self, new: &Step) -> Result<Program, Failure> {
        let steps = || self.steps.iter().chain([new]);
        let says: serde_json::Map<_, _> = steps()
            .map(|step| (step.name.clone(), step.says.clone()))
            .collect();
        let workflow = json!({ "workflow": "shell", "steps": says });
        let mut texts: BTreeMap<_, _> = steps()
            .map(|step| (file(&step.name), step.text.clone()))
            .collect();
        texts.insert(MAIN.into(), workflow.to_string().into());
        let mut sources = Typed {
            texts,
            folder: Folder::new("."),
        };
        compile(MAIN, &mut sources).map_err(|Mistakes(mistakes)| {
            let file = file(&new.name);
            let shown = mistakes
                .into_iter()
                .map(|mistake| mistake.as_written(&file, &new.typed, |at| new.place(at)));
            Failure::from(Mistakes(shown.collect()))
        })
    }
}

fn file(step: &str) -> String {
    format!("{step}.rhai")
}

/// Returns the clusters in a target's folder, and two default ones.
fn rehearsal_clusters(folder: &Path) -> BTreeSet<String> {
    let there = std::fs::read_dir(folder.join("kube"))
        .into_iter()
        .flatten()
        .flatten();
    let there = there.filter(|entry| entry.path().is_dir());
    let there = there.filter_map(|entry| entry.file_name().into_string().ok());
    there.chain(REHEARSAL.map(String::from)).collect()
}

/// Returns the calls of a step that changed something.
fn changes(instance: &Instance) -> Vec<String> {
    let done = instance.effects.iter().filter(|effect| {
        let is_change = function(&effect.call.function).is_some_and(|row| row.is_change());
        let is_read = effect.call.class == Class::Read;
        is_change && !is_read && matches!(effect.outcome, Some(EffectOutcome::Done(_)))
    });
    done.map(|effect| report::line(&report::call_line(&effect.call)).into_owned())
        .collect()
}

/// Returns an error of an entry, drawn in the typed text.
fn problem(run: &RunId, error: &crate::value::StepError, step: &Step) -> String {
    let file = file(&step.name);
    let mut error = error.clone();
    if let Some(place) = &mut error.place
        && place.file == file
    {
        place.line = place.line.saturating_sub(1).max(1);
        let before = step.value.and_then(|value| step.typed.get(..value));
        if let Some(before) = before.filter(|text| 1 + text.matches('\n').count() == place.line) {
            let start = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
            if place.column > start {
                place.column = place.column.saturating_sub(VALUE.len()).max(start);
            }
        }
    }
    report::render_error(run, None, &error, &[(file, step.typed.clone())].into())
}

/// The entries of the session; their imports are in the current folder.
struct Typed {
    texts: BTreeMap<String, Arc<str>>,
    folder: Folder,
}

impl Sources for Typed {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        match self.texts.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.folder.read(path),
        }
    }
}

/// Shows messages of scripts, and nothing about steps.
struct Quiet;

impl Observer for Quiet {
    fn happened(&self, _: &[Event], _: &State) {}

    fn doing(&self, _: &InstanceId, _: &str) {}

    fn waits_for(&self, lock: &str, holder: &str) {
        say!("{}", report::waiting(lock, holder).trim_start());
    }

    fn held_up(&self, why: &str) {
        say!("{}", report::line(why));
    }

    fn said(&self, _: &InstanceId, message: &str) {
        say!("{}", report::line(message));
    }
}
