//! `log`: messages for people, kept with the run. Secrets appear as their mask.

use rhai::{Dynamic, NativeCallContext};

use super::{
    Thrown,
    function::{Function, Gives, Impact::Records, Needs, ValueKind::Any, required},
    host,
};
use crate::{dynamic::masked, effects::Level};

pub(super) static TABLE: [Function; 2] = [
    Function {
        name: "log::info",
        about: "Shows a message, and records it with the run. A secret appears as `‹secret›`.",
        takes: &[required("message", Any, "")],
        gives: Gives::NOTHING,
        does: Records,
        needs: Needs::Nothing,
        example: "log::info(`restarted ${inputs.name}`);",
        bind: |b| {
            b.with(|context: NativeCallContext, message: Dynamic| {
                note(&context, Level::Info, &message)
            })
        },
    },
    Function {
        name: "log::warn",
        about: "Shows a warning, and records it with the run. A secret appears as `‹secret›`.",
        takes: &[required("message", Any, "")],
        gives: Gives::NOTHING,
        does: Records,
        needs: Needs::Nothing,
        example: "log::warn(\"nothing is restarted\");",
        bind: |b| {
            b.with(|context: NativeCallContext, message: Dynamic| {
                note(&context, Level::Warn, &message)
            })
        },
    },
];

fn note(context: &NativeCallContext, level: Level, message: &Dynamic) -> Result<(), Thrown> {
    host(context)?.effects.note(level, masked(message));
    Ok(())
}
