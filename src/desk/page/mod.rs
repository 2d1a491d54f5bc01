//! The pages for people: HTML that the server generates and a small script keeps up to date.
//!
//! All pages also work without the script: actions are forms, and the address contains what the page shows.

mod act;
mod assets;
mod audit;
mod axis;
mod bulk;
mod certificates;
mod compare;
mod detail;
mod edit;
mod expiries;
mod fields;
mod fold;
mod format;
mod graph;
mod layers;
mod layout;
mod list;
mod log;
mod login;
mod mesh;
mod phases;
mod picture;
mod prune;
mod run;
mod runs;
mod start;
mod steps;
mod table;
mod triggers;
mod views;
mod waiting;
mod waterfall;

pub use act::{approve, cancel, reject, resume, undo, undo_plan};
pub use assets::asset;
pub use bulk::bulk;
pub use certificates::certificates;
pub use layout::{problem, see_other};
pub use login::{LoginWay, log_in, log_out, logged_in, login, login_form};
pub use picture::picture;
pub use run::run;
pub use runs::runs;
pub use start::{form, start, workflows};
pub use table::more;
pub use triggers::{notifications, pause_trigger, resume_trigger, triggers};
pub use views::save_view;
