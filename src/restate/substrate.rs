//! The substrate of a run's driver on Restate: attempts are invocations, waits are durable.

use std::{collections::BTreeMap, pin::Pin};

use restate_sdk::{
    context::{DurableFuture, macro_support::SealedDurableFuture},
    prelude::*,
};

use super::{
    attempted::Running,
    book::Book,
    index::{ALL, IndexClient},
    lock::LockClient,
    mail::MailClient,
    step::StepClient,
    wire::{Holder, Letters, Listening, Order, Parcel, Report},
};
use windlass_engine::execute::{
    DriveError, Finished, Happened, Substrate, Task, Trouble, Wait, Waiting,
};
use windlass_ground::Timestamp;
use windlass_journal::{
    ATTEMPT_KILLED, Claim, Event, InstanceId, LockReleased, Message, Record, RunId, Vault,
};
use windlass_world::value::{Digest, StepError, Value};

/// A value that Restate keeps for the driver, and returns in every life.
type Promised<'ctx, T> =
    Pin<Box<dyn DurableFuture<Output = Result<T, TerminalError>> + Send + 'ctx>>;

/// The data of a driver on Restate, besides the run's state.
pub(super) struct RunSubstrate<'ctx> {
    ctx: &'ctx ObjectContext<'ctx>,
    pub vault: &'ctx Vault,
    run: RunId,
    /// The time when the drive began, or of the last thing that happened since: the driver has no clock of its own.
    moment: Timestamp,
    clock: fn() -> Timestamp,
    /// The last message at the time of the order that this driver carries out.
    after_letter: u64,
    draws: u64,
    book: Book,
    /// The locks that it waits for, and their holders.
    waits: BTreeMap<String, String>,
    attempts: Vec<Running<'ctx>>,
    mail: Option<Promised<'ctx, Json<Letters>>>,
    last_letter: u64,
    timers: Vec<(Timestamp, Promised<'ctx, ()>)>,
    /// The run was cancelled in Restate itself.
    is_cancelled: bool,
}

/// The key under which the locks that a run waits for are stored.
pub(super) const WAITS: &str = "waits";

impl<'ctx> RunSubstrate<'ctx> {
    pub fn new(
        ctx: &'ctx ObjectContext<'ctx>,
        vault: &'ctx Vault,
        order: &Order,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            ctx,
            vault,
            run: RunId::stored(ctx.key().to_owned()),
            moment: order.at,
            clock,
            after_letter: order.after_letter,
            draws: 0,
            book: Book::new(RunId::stored(ctx.key().to_owned())),
            waits: BTreeMap::new(),
            attempts: Vec::new(),
            mail: None,
            last_letter: 0,
            timers: Vec::new(),
            is_cancelled: false,
        }
    }

    /// Records the earlier events of the run.
    pub fn remember(&mut self, records: &[Record], pages: u64) {
        self.book.read(records, pages);
        let moments = records.iter().map(|record| record.at);
        self.moment = moments.fold(self.moment, Timestamp::max);
    }

    /// Encrypts the secrets of values that have no ciphertext yet, in an action, so that every life has the same
    /// ciphertexts.
    async fn seal(&mut self, values: Vec<Value>) -> Result<(), DriveError> {
        if values.iter().all(|value| self.vault.knows(value)) {
            return Ok(());
        }
        // A cancel in Restate interrupts the first wait that it meets.
        for _ in 0..2 {
            let vault = self.vault.fresh();
            let values = Value::List(values.clone());
            let sealed = self
                .ctx
                .run(|| async move { Ok(Json(vault.close(values)?)) })
                .name("seal secrets")
                .await;
            if let Ok(Json(sealed)) = sealed {
                self.vault.open(sealed)?;
                return Ok(());
            }
            self.is_cancelled = true;
        }
        Err(DriveError::Substrate("secrets could not be sealed".into()))
    }

    fn release(&mut self, lock: &str, step: Option<&InstanceId>) {
        self.book.locks.remove(lock);
        let holder = Holder {
            run: self.run.clone(),
            step: step.cloned(),
        };
        let client = self.ctx.object_client::<LockClient>(lock);
        client.release(Json(holder)).send();
    }

    /// Shows watchers of the run for which lock it waits, and the lock's holder.
    fn remember_wait(&mut self, lock: &str, claim: &Claim) {
        let before = self.waits.clone();
        match claim {
            Claim::Taken => self.waits.remove(lock),
            Claim::Held { run, step } => {
                let step = step
                    .as_ref()
                    .map_or(String::new(), |s| format!(", step {s}"));
                self.waits
                    .insert(lock.to_owned(), format!("run {run}{step}"))
            }
        };
        if self.waits != before {
            self.ctx.set(WAITS, Json(self.waits.clone()));
        }
    }

    /// Starts to listen for messages, unless it does already.
    fn listen(&mut self) {
        if self.mail.is_some() {
            return;
        }
        let (promise, letters) = self.ctx.awakeable::<Json<Letters>>();
        let listening = Listening {
            promise,
            after: self.last_letter,
        };
        let client = self.ctx.object_client::<MailClient>(self.run.as_str());
        client.listen(Json(listening)).send();
        self.mail = Some(Box::pin(letters));
    }

    fn read(&mut self, letters: Letters) -> Vec<Happened> {
        let mut happened = Vec::new();
        self.moment = letters
            .woken_at
            .map_or(self.moment, |at| self.moment.max(at));
        for letter in letters.letters {
            self.last_letter = self.last_letter.max(letter.number);
            // A cancel is for the driver that existed when the cancel was sent.
            let is_cancel = matches!(letter.message, Message::Cancel { .. });
            if is_cancel && letter.number <= self.after_letter {
                continue;
            }
            self.moment = self.moment.max(letter.at);
            happened.push(Happened::Message(letter.message, letter.at));
        }
        happened
    }

    fn finished(
        &mut self,
        instance: InstanceId,
        report: Result<Json<Report>, TerminalError>,
    ) -> Result<Finished, DriveError> {
        match report {
            Ok(Json(report)) => {
                self.moment = self.moment.max(report.at);
                Ok(report.unpack(instance, self.vault)?)
            }
            Err(error) => {
                let error = killed(&format!("Restate ended the attempt: {}", error.message()));
                Ok(Finished {
                    instance,
                    recorded: Vec::new(),
                    result: Err(Trouble::Failed {
                        error,
                        class: Some(windlass_world::value::FailureClass::Rejected),
                    }),
                })
            }
        }
    }
}

/// Returns the error of an attempt that was lost with its records.
pub(super) fn killed(message: &str) -> StepError {
    StepError::new(ATTEMPT_KILLED, message).with_hint(
        "its last calls are not recorded; the next attempt looks for the result of each call",
    )
}

/// Returns every value in an event.
pub(super) fn values_of(event: &Event) -> Vec<Value> {
    let mut values = Vec::new();
    let copied = event.clone().try_map(|value| {
        values.push(value);
        Ok::<_, std::convert::Infallible>(())
    });
    drop(copied);
    values
}

impl Substrate for RunSubstrate<'_> {
    fn run_id(&self) -> &RunId {
        &self.run
    }

    fn now(&mut self) -> Timestamp {
        self.moment
    }

    async fn catch_up(&mut self) -> Result<(), DriveError> {
        let clock = self.clock;
        let read = move || async move { Ok(Json(clock())) };
        match self.ctx.run(read).name("clock").await {
            Ok(Json(now)) => self.moment = self.moment.max(now),
            Err(_) => self.is_cancelled = true,
        }
        Ok(())
    }

    fn jitter(&mut self) -> f64 {
        self.draws += 1;
        let digest = Digest::of(&[self.run.as_str().as_bytes(), &self.draws.to_be_bytes()]);
        f64::from(digest.as_bytes()[0]) / f64::from(u8::MAX)
    }

    async fn append(&mut self, batch: Vec<(Event, Timestamp)>) -> Result<(), DriveError> {
        self.seal(batch.iter().flat_map(|(e, _)| values_of(e)).collect())
            .await?;
        let mut links = Vec::with_capacity(batch.len());
        let (mut is_shown, mut has_ended) = (false, false);
        for (event, at) in batch {
            self.moment = self.moment.max(at);
            is_shown |= self.book.note(&event, at);
            has_ended |= matches!(event, Event::RunEnded(_));
            if let Event::LockReleased(LockReleased { lock, step }) = &event {
                self.release(lock, step.as_ref());
            }
            let body = serde_json::to_string(&self.vault.close_event(event)?)
                .map_err(|e| DriveError::Substrate(e.to_string()))?;
            links.push(self.book.link(at, body));
        }
        self.ctx.set(&self.book.next_page(), Json(links));
        if has_ended {
            for (lock, step) in self.book.locks.clone() {
                self.release(&lock, step.as_ref());
            }
        }
        if is_shown && let Some(row) = self.book.row.clone() {
            self.ctx
                .object_client::<IndexClient>(ALL)
                .put(Json(row))
                .send();
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), DriveError> {
        // Restate keeps what it receives, in the order of arrival.
        Ok(())
    }

    fn is_overdue(&self) -> bool {
        true
    }

    async fn start(&mut self, task: Task) -> Result<(), DriveError> {
        let instance = task.instance.clone();
        let is_finally = task.is_finally;
        // All values that are sent to it are in events that were sealed before.
        let parcel = Parcel::pack(
            &self.run,
            self.book.place.clone(),
            self.moment,
            task,
            self.vault,
        )?;
        let client = self.ctx.service_client::<StepClient>();
        let report = client.attempt(Json(parcel)).call();
        self.attempts.push(Running {
            instance,
            is_finally,
            report: Box::pin(report),
        });
        Ok(())
    }

    fn has_recorded(&self) -> bool {
        false
    }

    async fn cancel_attempts(&mut self) -> Result<(), DriveError> {
        for i in 0..self.attempts.len() {
            if self.attempts[i].is_finally {
                continue;
            }
            self.attempts[i].report.cancel().await;
        }
        Ok(())
    }

    async fn wait(&mut self, wait: Wait) -> Result<Vec<Happened>, DriveError> {
        self.listen();
        if std::mem::take(&mut self.is_cancelled) {
            return Ok(vec![Happened::Cancelled]);
        }
        if let Some(at) = wait.wake_at {
            if at <= self.moment {
                return Ok(Vec::new());
            }
            if self.timers.iter().all(|(other, _)| *other != at) {
                let pause = at.since(self.moment);
                self.timers.push((at, Box::pin(self.ctx.sleep(pause))));
            }
        }
        let Some(mail) = &self.mail else {
            return Ok(Vec::new());
        };
        let mut handles = vec![mail.handle()];
        handles.extend(self.attempts.iter().map(|attempt| attempt.report.handle()));
        handles.extend(self.timers.iter().map(|(_, timer)| timer.handle()));
        let Ok(first) = mail.inner_context().select(handles).await else {
            return Ok(vec![Happened::Cancelled]);
        };
        if first == 0 {
            let Some(mail) = self.mail.take() else {
                return Ok(Vec::new());
            };
            let letters = mail
                .await
                .map_or_else(|_| Letters::default(), Json::into_inner);
            let happened = self.read(letters);
            self.listen();
            return Ok(happened);
        }
        if first <= self.attempts.len() {
            let attempt = self.attempts.swap_remove(first - 1);
            let report = attempt.report.await;
            let finished = self.finished(attempt.instance, report)?;
            return Ok(vec![Happened::Finished(finished)]);
        }
        let (at, timer) = self.timers.swap_remove(first - 1 - self.attempts.len());
        let _ = timer.await;
        self.moment = self.moment.max(at);
        Ok(Vec::new())
    }

    async fn claim(&mut self, lock: &str, step: Option<&InstanceId>) -> Result<Claim, DriveError> {
        let holder = Holder {
            run: self.run.clone(),
            step: step.cloned(),
        };
        let client = self.ctx.object_client::<LockClient>(lock);
        match client.claim(Json(holder)).call().await {
            Ok(Json(claim)) => {
                self.remember_wait(lock, &claim);
                Ok(claim)
            }
            Err(_) => {
                self.is_cancelled = true;
                // The claim may have succeeded even so.
                self.release(lock, step);
                Ok(Claim::Held {
                    run: self.run.clone(),
                    step: None,
                })
            }
        }
    }

    fn messages(&mut self, _: bool) -> Result<Vec<(Message, Timestamp)>, DriveError> {
        Ok(Vec::new())
    }

    fn status_of(&mut self, _: &RunId) -> Result<String, DriveError> {
        Ok("on the engine".into())
    }

    /// Returns nothing: [`crate::Remote::waits`] reads the waits of other runs when they are shown, because they are not part of this run.
    fn waits_of(&mut self, _: &RunId) -> Result<Vec<Waiting>, DriveError> {
        Ok(Vec::new())
    }
}
