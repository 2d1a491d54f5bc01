//! `random`: an effect, so that a replay sees the same.

use rhai::{FuncRegistration, Module, NativeCallContext};

use super::{Thrown, perform, rejected};
use crate::{
    script::effects::{Call, Class},
    value::Value,
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("hex").set_into_module(&mut module, hex);
    module
}

/// `random::hex(16)` gives that many random bytes as hex digits, twice as many characters.
fn hex(context: NativeCallContext, bytes: i64) -> Result<String, Thrown> {
    const FUNCTION: &str = "random::hex";
    if !(1..=1024).contains(&bytes) {
        return Err("random::hex gives 1 to 1024 bytes".into());
    }
    let call = Call::new(
        FUNCTION,
        Class::Read,
        Value::Int(bytes),
        move |_| async move {
            let mut buffer = vec![0; bytes as usize];
            aws_lc_rs::rand::fill(&mut buffer)
                .map_err(|_| rejected(FUNCTION, "NoRandomness", "the system gave no randomness"))?;
            Ok(Value::String(
                buffer.iter().map(|b| format!("{b:02x}")).collect(),
            ))
        },
    );
    Ok(perform(&context, call)?.to_text())
}
