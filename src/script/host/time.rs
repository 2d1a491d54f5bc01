//! `time`: reading the clock is an effect, so that a replay sees the same time.

use ::time::{
    Duration, OffsetDateTime, format_description, format_description::well_known::Rfc3339,
};
use rhai::NativeCallContext;

use super::{
    Thrown,
    function::{
        Function, Gives,
        Impact::{Computes, Records},
        Needs, Parameter,
        ValueKind::{self, Int, Text},
        required,
    },
    host, interrupt, perform,
};
use crate::effects::{Call, Clock};
use windlass_world::value::{Value, parse_duration};

const MOMENT: Parameter = required("moment", Text, "RFC 3339");

pub(super) static TABLE: [Function; 5] = [
    Function {
        name: "time::add",
        about: "Returns a later time or, with `-30d`, an earlier one.",
        takes: &[
            MOMENT,
            required("duration", Text, "such as `30d`, `90m` or `-30d`"),
        ],
        gives: Gives::new(Text, "RFC 3339"),
        does: Computes,
        needs: Needs::Nothing,
        example: "let due = time::add(inputs.not_after, \"-30d\");",
        bind: |b| b.with(add),
    },
    Function {
        name: "time::format",
        about: "Formats a time, with a format description of the `time` crate.",
        takes: &[
            MOMENT,
            required(
                "pattern",
                ValueKind::Form(check_pattern),
                "such as `[year]-[month]-[day]`",
            ),
        ],
        gives: Gives::new(Text, ""),
        does: Computes,
        needs: Needs::Nothing,
        example: "let day = time::format(time::now(), \"[year]-[month]-[day]\");",
        bind: |b| b.with(format),
    },
    Function {
        name: "time::now",
        about: "Returns the current time; a replay returns the same one.",
        takes: &[],
        gives: Gives::new(Text, "UTC, RFC 3339"),
        does: Records,
        needs: Needs::Nothing,
        example: "let now = time::now();",
        bind: |b| b.with(|context: NativeCallContext| now(&context)),
    },
    Function {
        name: "time::seconds_between",
        about: "Returns the seconds from one time to another.",
        takes: &[
            required("earlier", Text, "RFC 3339"),
            required("later", Text, "RFC 3339"),
        ],
        gives: Gives::new(Int, "negative if the second is before the first"),
        does: Computes,
        needs: Needs::Nothing,
        example: "let left = time::seconds_between(time::now(), inputs.not_after);",
        bind: |b| b.with(seconds_between),
    },
    Function {
        name: "time::sleep",
        about: "Waits. A resumed run waits only for the rest of the time.",
        takes: &[required("duration", ValueKind::Duration, "such as `90s`")],
        gives: Gives::NOTHING,
        does: Records,
        needs: Needs::Nothing,
        example: "time::sleep(\"90s\");",
        bind: |b| b.with(sleep),
    },
];

/// Implements `time::now()`: returns the current time in UTC, RFC 3339.
pub(super) fn now(context: &NativeCallContext) -> Result<String, Thrown> {
    let clock = Clock::default();
    let read = clock.clone();
    let call = Call::of("time::now", Value::Null, move |_| async move {
        Ok(Value::from(read.now().format(&Rfc3339).unwrap_or_default()))
    })
    .reading(clock);
    Ok(perform(context, call)?.to_text())
}

/// Implements `time::add(moment, "30d")`, and `time::add(moment, "-30d")` for an earlier time.
fn add(moment: &str, duration: &str) -> Result<String, Thrown> {
    let at = parse("time::add", moment)?;
    let (is_back, text) = match duration.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, duration),
    };
    let duration = parse_duration(text).map_err(|e| format!("time::add: {e}"))?;
    let duration = Duration::try_from(duration).map_err(|e| format!("time::add: {e}"))?;
    let moved = if is_back {
        at.checked_sub(duration)
    } else {
        at.checked_add(duration)
    };
    let no_moment = || format!("time::add: {moment} plus {text} is out of range");
    moved
        .ok_or_else(no_moment)?
        .format(&Rfc3339)
        .map_err(|e| format!("time::add: {e}").into())
}

/// Implements `time::seconds_between(earlier, later)`; the result is negative if they are in reverse order.
fn seconds_between(earlier: &str, later: &str) -> Result<i64, Thrown> {
    const FUNCTION: &str = "time::seconds_between";
    Ok((parse(FUNCTION, later)? - parse(FUNCTION, earlier)?).whole_seconds())
}

/// Implements `time::format(moment, "[year]-[month]-[day]")`, with the format descriptions of the `time` crate.
fn format(moment: &str, pattern: &str) -> Result<String, Thrown> {
    let at = parse("time::format", moment)?;
    let pattern = format_description::parse_borrowed::<2>(pattern)
        .map_err(|e| format!("time::format: {e}"))?;
    at.format(&pattern)
        .map_err(|e| format!("time::format: {e}").into())
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let parsed = format_description::parse_borrowed::<2>(pattern);
    parsed.map(|_| ()).map_err(|e| e.to_string())
}

fn parse(function: &str, moment: &str) -> Result<OffsetDateTime, Thrown> {
    OffsetDateTime::parse(moment, &Rfc3339).map_err(|_| {
        format!(
            "{function}: `{moment}` is not a valid time; expected one such as 2026-11-24T09:30:00Z"
        )
        .into()
    })
}

/// Implements `time::sleep("90s")`; a resumed run waits only for the rest of the time.
fn sleep(context: NativeCallContext, duration: &str) -> Result<(), Thrown> {
    let duration = parse_duration(duration).map_err(|e| format!("time::sleep: {e}"))?;
    host(&context)?.effects.sleep(duration).map_err(interrupt)
}
