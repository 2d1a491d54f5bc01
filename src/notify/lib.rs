//! Sends notifications of what happens in runs: `[notify]` of `windlass.toml`, used by `windlass serve`.
//!
//! # Layout
//!
//! - `notice` is one notification; `collector` creates notifications from the journal's events, from questions that
//!   expire and from certificates that are due;
//! - [`Outbox`] (`outbox`) keeps them, in order, until each receiver has accepted them; `alerts` begins and ends those about
//!   triggers and certificates;
//! - `courier` sends to one receiver and retries with pauses; `form` builds the format that each kind of receiver
//!   expects, `http` and `mail` send it;
//! - `service` does all of it within a server.
//!
//! # How nothing is lost
//! The position in each run's events is kept in the same database as the notifications, and moves in the transaction that
//! stores them. A notification has a key (for an event: the run and the event's number), so an event that is read twice
//! causes one notification. A delivery is marked as sent after the receiver has accepted it: if the answer was lost, it
//! is sent again, with the same id.
//!
//! Several servers of the same runs all create the notifications, with the same keys. Before a server sends one, it asks
//! the shared store for its turn, so only one of them sends it.
//!
//! # On disk
//! `STATE/serve.db` (SQLite):
//!
//! | table | what |
//! |---|---|
//! | `notices` | the notifications, as JSON without secrets |
//! | `alerts` | the alerts about triggers and certificates: how often each began, and its notification while it is open |
//! | `deliveries` | for each notice and receiver: `queued`, `sent` or `given_up` |
//! | `positions` | up to where the events of each run have been read |
//! | `notify_facts` | the time since which events cause notifications |

mod alerts;
mod collector;
mod courier;
mod form;
mod http;
mod mail;
mod notice;
mod outbox;
mod service;

pub use alerts::FailedStart;
pub use notice::Notice;
pub use outbox::{Delivered, Outbox, ReceiverQueue};
pub use service::Notifier;
