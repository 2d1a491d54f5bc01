//! Parses, checks and runs Rhai scripts and expressions in a sandbox, and provides the host modules through which a
//! script reaches the outside. No other crate names a Rhai type.
//!
//! # Layout
//!
//! - `script`: [`Script`] is a parsed and checked `.rhai` file (or inline body) with its imports (`modules`, `import`,
//!   `parsed`, `frozen`); checks: `signature`, `inputs`, `calls`, `lint`, `uninterpolated`, `valueless`, `beginner`, `foreign`, and a `fault` for each mistake;
//! - `expression`: [`Expression`] is the text between `${{` and `}}`; [`lexer`] finds its end, and splits texts that need
//!   not be valid, for editors, shells and mutants; `interpolation` rewrites strings, `places` finds them in their file;
//! - `run`: [`run`] evaluates a script on the calling thread, which must be a blocking one with a stack of at least
//!   [`STACK_BYTES`]; `interpreter` makes it for a script or an expression, within `limits` and without those of Rhai's `natives` that could
//!   crash; `error` turns its errors into ours, `trace` reports lines;
//! - `dynamic`, `bytes`, `answer`, `secret` and `secrecy` are values in Rhai;
//! - `effects`: a [`Call`], and [`Effects`], the gate that all calls of host modules pass; `execute` implements it;
//! - `host` has the modules, a table of functions each;
//! - `given`, `literal`, `reach` and `permits` say what a text shows of its calls: arguments, their mistakes, which calls
//!   are reached, and which permissions they need.

use std::alloc::System;

use alloc_metrics::MetricAlloc;

/// Counts the allocations of each thread, so that a script is stopped when it uses too much memory.
#[global_allocator]
static ALLOCATOR: MetricAlloc<System> = MetricAlloc::new(System);

mod absent;
mod answer;
mod beginner;
mod bytes;
mod calls;
mod dynamic;
mod effects;
mod error;
mod exits;
mod expression;
mod fault;
mod foreign;
mod frozen;
mod given;
mod host;
mod import;
mod inputs;
mod interpolation;
mod interpreter;
pub mod lexer;
mod limits;
mod lint;
mod literal;
mod modules;
mod natives;
mod parsed;
mod permits;
mod places;
mod reach;
mod run;
mod script;
mod secrecy;
mod secret;
mod signature;
mod strict;
mod trace;
mod uninterpolated;
mod valueless;

pub use effects::{
    Act, Before, Call, Class, Clock, EffectKey, Effects, Interruption, Level, OnStop, Stop,
};
pub use expression::{
    Absent, Expression, ExpressionError, Hop, MISSING_NAME, Names, ROOTS, Read, is_readable,
};
pub use fault::Fault;
pub use frozen::FrozenScript;
pub use given::{About, HostCall, Known};
pub use host::{
    AuthorityUse, Changing, Done, Doubt, Finding, Function, Host, HostModule, Impact, InUse,
    MODULES, Need, Needs, On, Parameter, Reversal, Reversed, Reversible, Rule, ScriptType,
    ValueKind, WRONG_ARGUMENTS, WayBack, authority_use, check_answer, finding, function, functions,
    is_authority, judged_undo, lacks_result, leaves, needs_its_call, plain_serial, reversal,
    sealed_answer,
};
pub use import::join_path;
pub use inputs::InputRead;
pub use limits::STACK_BYTES;
pub use lint::interpolated;
pub use parsed::ParsedScripts;
pub use permits::{outdates, permits_of};
pub use places::Places;
pub use run::{Ended, Limits, Rules, run, run_undo};
pub use script::{ReadImport, Script};
pub use signature::{Field, Signature};
pub use trace::Trace;
// Mistakes in scripts and workflow files suggest names in the same words.
pub use windlass_ground::{closest, did_you_mean};
