//! Tells people what happens in runs: `[notify]` of `windlass.toml`, done by `windlass serve`.
//!
//! - `notice` is one thing that is told; `collector` makes notices of the journal's events, of questions that expire and of
//!   certificates that are due;
//! - [`Outbox`] keeps them until each receiver has got them, in their order;
//! - `courier` sends to one receiver, again and again with pauses; `form` is what each kind of receiver wants to get, `http` and
//!   `mail` bring it there.
//!
//! # How nothing is lost
//! The position in each run's events is kept in the same database as the notices, and moves in the transaction that writes them. A
//! notice has a key (of an event: the run and its number), so reading an event twice makes it once. A delivery is marked as sent after
//! the receiver has accepted it: one whose answer was lost is sent again, with the same id.
//!
//! Several servers over the same runs all make the notices, which have the same keys; before one is sent, its turn is asked for where
//! the servers share something, so one of them sends it.
//!
//! # On disk
//! `STATE/serve.db` (SQLite):
//!
//! | table | what |
//! |---|---|
//! | `notices` | what is told, as JSON without anything secret |
//! | `deliveries` | for each notice and receiver: `queued`, `sent` or `given_up` |
//! | `positions` | up to where the events of each run have been read |
//! | `notify_facts` | since when events are told |

mod collector;
mod courier;
mod form;
mod http;
mod mail;
mod notice;
mod outbox;
mod service;

pub use notice::Notice;
pub use outbox::{Delivered, FailedStart, Outbox, ReceiverQueue};
pub use service::Notifier;
