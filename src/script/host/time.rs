//! `time`: the clock is an effect, so that a replay sees the same moment.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use rhai::{FuncRegistration, Module, NativeCallContext};

use super::{Thrown, host, interrupt, perform};
use crate::{
    script::effects::{Call, Class},
    value::{Value, parse_duration},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("now").set_into_module(&mut module, now);
    FuncRegistration::new("sleep").set_into_module(&mut module, sleep);
    module
}

/// `time::now()` gives the moment in UTC, RFC 3339.
fn now(context: NativeCallContext) -> Result<String, Thrown> {
    let call = Call::new("time::now", Class::Read, Value::Null, |_| async {
        Ok(Value::from(
            OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
        ))
    });
    Ok(perform(&context, call)?.to_text())
}

/// `time::sleep("90s")` waits; a resumed run waits only for what is left.
fn sleep(context: NativeCallContext, duration: &str) -> Result<(), Thrown> {
    let duration = parse_duration(duration).map_err(|e| format!("time::sleep: {e}"))?;
    host(&context)?.effects.sleep(duration).map_err(interrupt)
}
