//! The service over runs: what a page, an API or a program can request, without any user interface.
//!
//! # Layout
//!
//! - [`Runs`] (`service`) is all that can be done with runs; `here` does it for the state folder of this machine,
//!   `restate` for a Restate server, `there` for a Windlass server elsewhere; [`Peers`] (`peers`) is what several servers
//!   of the same runs share; `error` is why a request failed;
//! - `begin` checks what a start needs and makes the first event of a run, `sent` allows files from a client, `choice`
//!   says which steps a run may be limited to, `rules` when it may be resumed, cancelled or undone, `events` with which
//!   events, `preflight` whether a target has what a workflow needs, `allowed` which calls it does not allow, `aws` whether its AWS is the
//!   one that is meant, `foresee` what a run would find there, `later` whether a newer run has to be undone first, by
//!   the `deeds` of both;
//! - `nearby` reads the secrets in files and variables of this machine;
//! - `answers` are a person's answers to questions; `reception` waits until a driver has taken them up, and says what became
//!   of them;
//! - `library` finds the workflows that may be started, by name and never by path;
//! - `drivers` drives several runs at once, `book` records which runs they are and which start belongs to a key;
//! - `bundle` is the evidence of a run, `revise` a resume with other files (`edited`), other params or steps that run
//!   again, `doubt` settles calls in doubt, `handshakes` asks for those of a rehearsal mesh;
//! - `prune` deletes runs that ended long ago, `retention` does so once a day;
//! - `log` turns events into lines, `tallies` counts the runs that this process drives;
//! - `folds` caches the states of runs that are read repeatedly, `programs` their workflows, `recent` is how long a run
//!   stays in such a cache; `alone` keeps a second service out of a state folder, `turns` makes requests with one key wait for each other, `clock` is the time.
//!
//! # On disk
//! `STATE/serve.db` (SQLite, WAL, `synchronous=FULL`):
//!
//! | table | what |
//! |---|---|
//! | `starts` | the run of each idempotency key, and a digest of the request |
//! | `driven` | the runs that continue when this service starts again |

mod allowed;
mod alone;
mod answers;
mod aws;
mod begin;
mod book;
mod bundle;
mod choice;
mod clock;
mod deeds;
mod doubt;
mod drivers;
mod edited;
mod error;
mod events;
mod folds;
mod foresee;
mod handshakes;
mod here;
mod later;
mod library;
mod log;
mod nearby;
mod peers;
mod preflight;
mod programs;
mod prune;
mod recent;
mod reception;
#[cfg(feature = "restate")]
mod restate;
mod retention;
mod revise;
mod rules;
mod sent;
mod service;
mod tallies;
mod there;
mod turns;

pub use allowed::{TargetAllows, allowed};
pub use answers::Answers;
pub use aws::{AwsAsked, account_line, calls, connect_to_aws, said_of};
pub use begin::{Beginning, Wanted, begin};
pub use book::MAX_KEY;
pub use bundle::{Bundle, Checked, refuse_other_list, verified};
pub use choice::{refuse_choice, refuse_edited_choice, unknown_step};
pub use clock::{new_id, now};
pub use doubt::{Doubt, DoubtAnswer, DoubtAnswers, DoubtfulCall, after_answers, doubts};
pub use drivers::Driving;
pub use edited::{after_edit, edited, params_now};
pub use error::{Kind, RunsError};
pub use events::{
    Revising, add_cancel, after_events, resume_events, resume_events_answered, revision_events,
    undo_events,
};
pub use folds::Cursor;
pub use foresee::{Looking, Tried, together};
pub use handshakes::{Asking, unreadable_mesh};
pub use here::{Here, HereOptions};
pub use later::refuse_undo_before_newer;
pub use library::{Library, WorkflowName, declares_workflow};
pub use log::LogLine;
pub use nearby::{read_here, refuse_unreadable};
pub use peers::{Peers, SeenChange, SeenStart, SeenTrigger, SendTurn};
pub use preflight::{Note, Rights, ask, permits_text, preflight};
pub use prune::{Pruning, Retention, compact, detached_log, prunable, prune};
pub use reception::Reception;
#[cfg(feature = "restate")]
pub use restate::{OnRestate, OnRestateOptions, prunable_on, prune_on, sight_of};
pub use retention::keep_retention;
pub use revise::{Changes, FileChange, Revision, SentFiles, file_changes};
pub use rules::{refuse_cancel, refuse_resume, refuse_undo};
pub use service::{
    Ask, Evidence, Filter, Listed, Page, Person, PlanDepth, Planned, Row, Runs, STATUSES, Sent,
    Shown, StartWanted, Started, StuckRun, UndoPlan, Undoing, refuse_unknown_status,
};
pub use tallies::Tallies;
pub use there::{ASSISTANT, Address, CLIENT_HEADER, There, encoded};
