use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::OnRestate;
use crate::{
    begin::{About, Prepared, checked, key_of, other_start, start_digest},
    clock::{new_id, now},
    error::RunsError,
    library::Library,
    sent::{self, known_file},
    service::{Person, PlanDepth, Planned, Sent, StartWanted, Started},
};
use windlass_compile::Program;
use windlass_journal::{Event, RunId};
use windlass_restate::{KeyedOrder, KeyedStart, Order};
use windlass_targets::Folders;
use windlass_world::value::Digest;

/// How long a start waits until a worker has begun the run, so that the run can be shown. If none has by then, the run begins when
/// a worker is there.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// The request to start.
pub(super) enum ToStart<'a> {
    Named(&'a StartWanted),
    Sent(&'a Sent),
}

impl ToStart<'_> {
    /// Digests the request; each secret is represented by its mask.
    fn digest(&self) -> Digest {
        match self {
            Self::Named(wanted) => start_digest(wanted),
            Self::Sent(sent) => sent::digest(sent),
        }
    }
}

impl OnRestate {
    /// Starts a run; the same key returns the same run, on any server.
    pub(super) fn begin(
        &self,
        asked: &ToStart,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let Some(key) = key else {
            let (run, order) = self.first_order(asked, who)?;
            self.remote.send(&run, &order)?;
            return Ok(self.started(run, false));
        };
        let (key, request) = (key_of(key, who)?, asked.digest());
        // A repeated start is not checked again: its workflow may have changed since.
        if let Some(known) = self.remote.start_of(key)? {
            return self.repeated(known, request);
        }
        let (run, order) = self.first_order(asked, who)?;
        let start = KeyedStart { run, request };
        let begun = self.remote.begin_once(
            key,
            &KeyedOrder {
                start: start.clone(),
                order,
            },
        )?;
        if begun == start {
            Ok(self.started(begun.run, false))
        } else {
            self.repeated(begun, request)
        }
    }

    fn repeated(&self, known: KeyedStart, request: Digest) -> Result<Started, RunsError> {
        if known.request == request {
            Ok(self.started(known.run, true))
        } else {
            Err(other_start())
        }
    }

    /// Waits until the run can be shown.
    fn started(&self, run: RunId, is_repeated: bool) -> Started {
        let until = Instant::now() + PATIENCE;
        while self.reads.look(&run, |_| ()).is_err() && Instant::now() < until {
            thread::sleep(PAUSE);
        }
        Started { run, is_repeated }
    }

    /// Checks the request, and returns the order that begins a new run.
    fn first_order(&self, asked: &ToStart, who: &Person) -> Result<(RunId, Order), RunsError> {
        let run = new_id()?;
        let (program, beginning, _) = self.prepare(asked, who)?;
        if let ToStart::Named(wanted) = asked {
            wanted.refuse_other_plan(&beginning.state)?;
        }
        let beginning = beginning.with_secrets(|params| self.remote.digest_secrets(params))?;
        let files = program.files.iter();
        let files = files.map(|(path, text)| (path.clone(), text.to_string()));
        let order = Order {
            files: Some((0, files.collect())),
            ..self.order(vec![beginning.event], 0, 0)?
        };
        Ok((run, order))
    }

    /// Returns an order for a run that has this many events and has received this many messages.
    pub(super) fn order(
        &self,
        events: Vec<Event>,
        expects: u64,
        after_letter: u64,
    ) -> Result<Order, RunsError> {
        Ok(Order {
            at: now(),
            expects,
            events: self.remote.seal(events)?,
            after_letter,
            files: None,
            max_parallel: self.options.max_parallel,
            is_only_record: false,
            lock_timeout: None,
        })
    }

    /// Works out what a start would do. This server looks at the target, with its own permissions and network routes.
    pub(super) fn planned(
        &self,
        asked: &ToStart,
        depth: PlanDepth,
        who: &Person,
    ) -> Result<Planned, RunsError> {
        let (program, beginning, notes) = self.prepare(asked, who)?;
        let planned = Planned::of(program, beginning, notes);
        if depth == PlanDepth::Checks {
            return Ok(planned);
        }
        let target = planned.state.run.as_ref().map(|run| run.target.clone());
        let targets = self.load_targets()?;
        let target = targets.find(&target.unwrap_or_default())?;
        let folders = Folders {
            out: &self.options.out,
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: None,
        };
        let mut planned = self.looks.complete(planned, target, folders)?;
        // Workers have other permissions and routes, so none of the findings is certain.
        let obstacles = planned.obstacles.iter_mut();
        obstacles.for_each(|obstacle| obstacle.is_sure = false);
        Ok(planned)
    }

    /// Checks everything that a start needs, and makes its first event.
    fn prepare(&self, asked: &ToStart, who: &Person) -> Result<Prepared, RunsError> {
        match asked {
            ToStart::Named(wanted) => {
                let file = self.options.library.find(&wanted.workflow)?;
                let all = BTreeSet::new();
                let about = About::of_file(&file, wanted, &all);
                self.prepare_program(Library::compile(&file)?, about, who)
            }
            ToStart::Sent(sent) => {
                let known = known_file(&self.options.library, sent)?;
                let about = About::of_sent(sent, known.as_deref());
                self.prepare_program(sent.program.clone(), about, who)
            }
        }
    }

    fn prepare_program(
        &self,
        program: Program,
        about: About,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let targets = self.load_targets()?;
        if let Some(target) = targets.find(about.target)?
            && !self.drives(target)
        {
            let message = format!(
                "another Restate server drives the runs of target `{}`",
                about.target
            );
            return Err(RunsError::wrong("engine", message)
                .hint("serve that one with `windlass serve --on TARGET`"));
        }
        // Workers ignore `out` and write to their own folder; the plan of an undo looks there.
        checked(program, &about, &targets, &self.options.out, who)
    }
}
