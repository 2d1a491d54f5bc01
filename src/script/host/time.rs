//! `time`: the clock is an effect, so that a replay sees the same moment.

use ::time::{
    Duration, OffsetDateTime, format_description, format_description::well_known::Rfc3339,
};
use rhai::{Module, NativeCallContext};

use super::{FuncRegistration, Thrown, host, interrupt, perform};
use crate::{
    script::effects::{Call, Class},
    value::{Value, parse_duration},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("now")
        .set_into_module(&mut module, |context: NativeCallContext| now(&context));
    FuncRegistration::new("sleep").set_into_module(&mut module, sleep);
    FuncRegistration::new("add").set_into_module(&mut module, add);
    FuncRegistration::new("seconds_between").set_into_module(&mut module, seconds_between);
    FuncRegistration::new("format").set_into_module(&mut module, format);
    module
}

/// `time::now()` gives the moment in UTC, RFC 3339.
pub(super) fn now(context: &NativeCallContext) -> Result<String, Thrown> {
    let call = Call::new("time::now", Class::Read, Value::Null, |_| async {
        Ok(Value::from(
            OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
        ))
    });
    Ok(perform(context, call)?.to_text())
}

/// `time::add(moment, "30d")` gives a later moment, `time::add(moment, "-30d")` an earlier one.
fn add(moment: &str, duration: &str) -> Result<String, Thrown> {
    let at = parse("time::add", moment)?;
    let (is_back, text) = match duration.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, duration),
    };
    let duration = parse_duration(text).map_err(|e| format!("time::add: {e}"))?;
    let duration = Duration::try_from(duration).map_err(|e| format!("time::add: {e}"))?;
    let moved = match is_back {
        true => at.checked_sub(duration),
        false => at.checked_add(duration),
    };
    let no_moment = || format!("time::add: {moment} and {text} make no moment that can be written");
    moved
        .ok_or_else(no_moment)?
        .format(&Rfc3339)
        .map_err(|e| format!("time::add: {e}").into())
}

/// `time::seconds_between(earlier, later)`; negative if they are the other way round.
fn seconds_between(earlier: &str, later: &str) -> Result<i64, Thrown> {
    const FUNCTION: &str = "time::seconds_between";
    Ok((parse(FUNCTION, later)? - parse(FUNCTION, earlier)?).whole_seconds())
}

/// `time::format(moment, "[year]-[month]-[day]")`, in the words of the `time` crate.
fn format(moment: &str, pattern: &str) -> Result<String, Thrown> {
    let at = parse("time::format", moment)?;
    let pattern = format_description::parse_borrowed::<2>(pattern)
        .map_err(|e| format!("time::format: {e}"))?;
    at.format(&pattern)
        .map_err(|e| format!("time::format: {e}").into())
}

fn parse(function: &str, moment: &str) -> Result<OffsetDateTime, Thrown> {
    OffsetDateTime::parse(moment, &Rfc3339).map_err(|_| {
        format!("{function}: `{moment}` is no moment such as 2026-11-24T09:30:00Z").into()
    })
}

/// `time::sleep("90s")` waits; a resumed run waits only for what is left.
fn sleep(context: NativeCallContext, duration: &str) -> Result<(), Thrown> {
    let duration = parse_duration(duration).map_err(|e| format!("time::sleep: {e}"))?;
    host(&context)?.effects.sleep(duration).map_err(interrupt)
}
