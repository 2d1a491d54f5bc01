//! `log`: messages for people, kept with the run. Secrets appear as their mask.

use rhai::{Dynamic, Module, NativeCallContext};

use super::{FuncRegistration, Thrown, host};
use crate::script::{dynamic::masked, effects::Level};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    for (name, level) in [("info", Level::Info), ("warn", Level::Warn)] {
        FuncRegistration::new(name).set_into_module(
            &mut module,
            move |context: NativeCallContext, message: Dynamic| -> Result<(), Thrown> {
                host(&context)?.effects.note(level, masked(&message));
                Ok(())
            },
        );
    }
    module
}
