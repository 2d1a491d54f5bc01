//! `random`: random values. Each is an effect, so that a replay returns the same value.

use rhai::{Array, Dynamic, NativeCallContext};

use super::{
    Thrown,
    function::{
        Function, Gives,
        Impact::Records,
        Needs,
        ValueKind::{self, Any, Int, List, Text},
        required,
    },
    perform, rejected,
};
use crate::effects::Call;
use windlass_ground::random_bytes;
use windlass_world::value::{Failure, Secret, Value};

/// Without characters that look alike, so that a password can be read aloud.
const PASSWORD_CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

pub(super) static TABLE: [Function; 5] = [
    Function {
        name: "random::choice",
        about: "Returns a random item of a list.",
        takes: &[required("items", List(&Any), "not empty")],
        gives: Gives::new(Any, ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let zone = random::choice([\"a\", \"b\"]);",
        bind: |b| b.with(choice),
    },
    Function {
        name: "random::hex",
        about: "Returns random bytes as hex digits, two for each byte.",
        takes: &[required(
            "count",
            ValueKind::Between(1, 1024),
            "of bytes, 1 to 1024",
        )],
        gives: Gives::new(Text, ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let id = random::hex(16);",
        bind: |b| b.with(hex),
    },
    Function {
        name: "random::int",
        about: "Returns a random integer of a range.",
        takes: &[
            required("first", Int, ""),
            required("last", Int, "included"),
        ],
        gives: Gives::new(Int, ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let die = random::int(1, 6);",
        bind: |b| b.with(int),
    },
    Function {
        name: "random::password",
        about: "Returns random letters and digits, without characters that look alike.",
        takes: &[required("length", ValueKind::Between(8, 1024), "8 to 1024")],
        gives: Gives::new(ValueKind::Secret, ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let password = random::password(24);",
        bind: |b| b.with(password),
    },
    Function {
        name: "random::uuid",
        about: "Returns a random UUID (version 4, RFC 9562).",
        takes: &[],
        gives: Gives::new(Text, ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let id = random::uuid();",
        bind: |b| b.with(uuid),
    },
];

fn draw(
    context: &NativeCallContext,
    function: &'static str,
    record: Value,
    make: impl FnOnce() -> Result<Value, Failure> + Send + 'static,
) -> Result<Value, Thrown> {
    let call = Call::of(function, record, move |_| async move { make() });
    perform(context, call)
}

fn bytes<const N: usize>(function: &str) -> Result<[u8; N], Failure> {
    let mut buffer = [0; N];
    fill(function, &mut buffer)?;
    Ok(buffer)
}

fn fill(function: &str, buffer: &mut [u8]) -> Result<(), Failure> {
    random_bytes(buffer).map_err(|e| rejected(function, "NoRandomness", e.to_string()))
}

/// Returns a number below `end`; all are equally likely.
fn below(function: &str, end: u64) -> Result<u64, Failure> {
    // The remainder at the top would make the first numbers more likely, so it is excluded.
    let whole = u64::MAX - u64::MAX % end;
    loop {
        let drawn = u64::from_le_bytes(bytes(function)?);
        if drawn < whole {
            return Ok(drawn % end);
        }
    }
}

/// Implements `random::hex(16)`: returns 16 random bytes as 32 hex digits.
fn hex(context: NativeCallContext, count: i64) -> Result<String, Thrown> {
    const FUNCTION: &str = "random::hex";
    if !(1..=1024).contains(&count) {
        return Err("random::hex returns 1 to 1024 bytes".into());
    }
    let drawn = draw(&context, FUNCTION, Value::Int(count), move || {
        let mut buffer = vec![0; count as usize];
        fill(FUNCTION, &mut buffer)?;
        let text: String = buffer.iter().map(|b| format!("{b:02x}")).collect();
        Ok(text.into())
    })?;
    Ok(drawn.to_text())
}

/// Implements `random::uuid()`: returns a version 4 UUID (RFC 9562).
fn uuid(context: NativeCallContext) -> Result<String, Thrown> {
    const FUNCTION: &str = "random::uuid";
    let drawn = draw(&context, FUNCTION, Value::Null, || {
        let made = uuid::Builder::from_random_bytes(bytes(FUNCTION)?).into_uuid();
        Ok(made.to_string().into())
    })?;
    Ok(drawn.to_text())
}

/// Implements `random::int(1, 6)`: returns a number of this range, both ends included.
fn int(context: NativeCallContext, first: i64, last: i64) -> Result<i64, Thrown> {
    const FUNCTION: &str = "random::int";
    let span = last
        .checked_sub(first)
        .and_then(|span| u64::try_from(span).ok())
        .ok_or_else(|| format!("{FUNCTION}: {first} to {last} is not a valid range"))?;
    let record = Value::List(vec![Value::Int(first), Value::Int(last)]);
    let drawn = draw(&context, FUNCTION, record, move || {
        let drawn = below(FUNCTION, span.saturating_add(1))?;
        Ok(Value::Int(first.wrapping_add_unsigned(drawn)))
    })?;
    match drawn {
        Value::Int(drawn) => Ok(drawn),
        _ => Err("random::int: the journal has no number here".into()),
    }
}

/// Implements `random::choice(["a", "b"])`: returns one of the items.
fn choice(context: NativeCallContext, items: Array) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "random::choice";
    let count = items.len();
    if count == 0 {
        return Err(format!("{FUNCTION}: the list is empty").into());
    }
    let drawn = draw(&context, FUNCTION, Value::Int(count as i64), move || {
        below(FUNCTION, count as u64).map(|i| Value::Int(i as i64))
    })?;
    match drawn {
        Value::Int(i) => Ok(items.get(i as usize).cloned().unwrap_or_default()),
        _ => Err(format!("{FUNCTION}: the journal has no number here").into()),
    }
}

/// Implements `random::password(24)`: returns letters and digits, as a secret.
fn password(context: NativeCallContext, length: i64) -> Result<Secret, Thrown> {
    const FUNCTION: &str = "random::password";
    if !(8..=1024).contains(&length) {
        return Err("random::password returns 8 to 1024 characters".into());
    }
    let drawn = draw(&context, FUNCTION, Value::Int(length), move || {
        let drawn: Result<String, Failure> = (0..length)
            .map(|_| {
                let at = below(FUNCTION, PASSWORD_CHARACTERS.len() as u64)?;
                Ok(char::from(PASSWORD_CHARACTERS[at as usize]))
            })
            .collect();
        Ok(Value::Secret(Secret::new(drawn?)))
    })?;
    match drawn {
        Value::Secret(password) => Ok(password),
        _ => Err(format!("{FUNCTION}: the journal has no secret here").into()),
    }
}
