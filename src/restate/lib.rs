//! The substrate for teams that outgrow one machine: a Restate server drives the same driver.
//!
//! No type of the engine's SDK leaves this folder. Everything the engine keeps is JSON, with secrets sealed.
//!
//! | service | key | what |
//! |---|---|---|
//! | `WindlassRun` | run | `drive` is the driver; the run's events and frozen files are its state |
//! | `WindlassStep` | | `attempt` is one attempt of one step, each effect one action |
//! | `WindlassMail` | run | messages to a run, and the promise that its driver waits on |
//! | `WindlassLock` | lock | who holds a lock, and who waits for it |
//! | `WindlassRuns` | `all` | the rows that a list of runs shows |
//! | `WindlassPruned` | `all` | what is left of deleted runs |
//! | `WindlassStart` | idempotency key | the run that was started with the key |
//! | `WindlassServers` | `all` | what servers share: how far triggers have been looked at |
//! | `WindlassDelivery` | notice and receiver | which server sends a notice, and whether it was sent |
//!
//! - [`Worker`] serves them, `endpoint` their sockets;
//! - `run`, `step`, `mail`, `lock`, `index`, `pruned`, `keyed`, `servers` are the services, `wire` what they say to each other;
//! - `engine` is the substrate of a run's driver, `book` what it keeps of the run's events, `attempted` what it waits
//!   for; `ledger` is the substrate of an attempt;
//! - [`Remote`] is the other end: what the command line asks of the services, and (`admin`) of the engine itself; `replica` is
//!   what servers ask;
//! - `stuck` is what workers say when they can't do something, as the engine keeps it and the command line reads it.

mod admin;
mod attempted;
mod book;
mod endpoint;
mod engine;
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
mod wire;
mod worker;

pub use endpoint::{Listen, ServeError};
pub use keyed::{KeyedOrder, KeyedStart};
pub use pruned::PrunedRun;
pub use remote::{Address, Remote, RemoteError};
pub use replica::{ReadPiece, ReadPosition, TakenUp};
pub use servers::{
    DeliveryClaim, DeliveryEnd, DeliveryTurn, TriggerChange, TriggerMark, TriggerStart,
};
pub use stuck::Stuck;
pub use wire::{Done, GaveUp, Order};
pub use worker::{Observing, Opened, OpensTargets, Worker, WorkerOptions};
