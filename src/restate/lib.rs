//! The substrate for teams that outgrow one machine: a Restate server runs the same driver.
//!
//! No type of Restate's SDK leaves this crate. Everything that Restate stores is JSON, with secrets sealed.
//!
//! # Services
//!
//! | service | key | what |
//! |---|---|---|
//! | `WindlassRun` | run | `drive` is the driver; the run's events and frozen files are its state |
//! | `WindlassStep` | | `attempt` is one attempt of one step, each effect one action |
//! | `WindlassMail` | run | messages to a run, and the promise that its driver waits on |
//! | `WindlassLock` | lock | the holder of a lock, and who waits for it |
//! | `WindlassRuns` | `all` | the rows that a list of runs shows |
//! | `WindlassPruned` | `all` | the remains of deleted runs |
//! | `WindlassStart` | idempotency key | the run that was started with the key |
//! | `WindlassServers` | `all` | what servers share: how far triggers have been checked |
//! | `WindlassDelivery` | notification and receiver | which server sends a notification, and whether it was sent |
//!
//! # Layout
//!
//! - [`Worker`] (`worker`) serves them, `endpoint` provides their sockets;
//! - `run`, `step`, `mail`, `lock`, `index`, `pruned`, `keyed`, `servers` are the services, `wire` the types of their
//!   messages;
//! - `substrate` is that of a run's driver, `book` is what it keeps of the run's events, `attempted` is what it
//!   waits for; `ledger` is the substrate of an attempt;
//! - [`Remote`] (`remote`) is the other end: requests of the command line to the services, and (`admin`) to Restate
//!   itself; `waits` says which locks a run waits for, `replica` are the requests of servers, `error` are the errors of all of them;
//! - `stuck` are the errors of workers that can't do something, as Restate stores them and the command line reads them.

mod admin;
mod attempted;
mod book;
mod endpoint;
mod error;
mod index;
mod keyed;
mod ledger;
mod lock;
mod mail;
mod pruned;
mod remote;
mod replica;
mod run;
mod servers;
mod step;
mod stuck;
mod substrate;
mod waits;
mod wire;
mod worker;

pub use admin::{Hastened, ListedPart, Registered};
pub use endpoint::{Listen, ServeError};
pub use error::RemoteError;
pub use keyed::{KeyedOrder, KeyedStart};
pub use pruned::PrunedRun;
pub use remote::{Address, Remote};
pub use replica::{ReadPiece, ReadPosition, TakenUp};
pub use servers::{
    DeliveryClaim, DeliveryEnd, DeliveryTurn, TriggerChange, TriggerMark, TriggerStart,
};
pub use stuck::{Stuck, StuckPart};
pub use wire::{Done, GaveUp, Order};
pub use worker::{Observing, Opened, OpensTargets, Stopping, Worker, WorkerOptions};
