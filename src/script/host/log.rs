//! `log`: messages for people, kept with the run. Secrets appear as their mask.

use rhai::{Dynamic, FuncRegistration, Module, NativeCallContext};

use super::{Thrown, host};
use crate::script::{dynamic::from_dynamic, effects::Level};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    for (name, level) in [("info", Level::Info), ("warn", Level::Warn)] {
        FuncRegistration::new(name).set_into_module(
            &mut module,
            move |context: NativeCallContext, message: Dynamic| -> Result<(), Thrown> {
                let text =
                    from_dynamic(&message).map_or_else(|e| e.to_string(), |value| value.to_text());
                host(&context)?.effects.note(level, text);
                Ok(())
            },
        );
    }
    module
}
