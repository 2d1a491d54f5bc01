//! The limits of an evaluation, with the reason for each limit.
//!
//! Rhai checks the size of a value after each call of a native function. How much a single call can
//! allocate is limited in `natives`, how deeply closures capture each other in [`check_captures`], and
//! the total by the memory that the thread holds, which is checked at every operation.

use std::cell::Cell;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, Position};

/// The stack that a thread needs to run any script: 64 call levels of nested native calls
/// overflow 4 MiB (measured), and a value of the deepest shape that the limits allow must be
/// dropped on it.
pub const STACK_BYTES: usize = 16 << 20;

/// Deep enough for scripts that people write, and far from the end of the stack.
const MAX_CALL_LEVELS: usize = 48;
const MAX_EXPRESSION_DEPTH: usize = 64;
/// The same as the limit of an effect's result.
const MAX_STRING_BYTES: usize = 1 << 20;
/// Also limits how deeply arrays and maps can be nested in each other: dropping them recurses.
const MAX_ITEMS: usize = 20_000;
const MAX_FUNCTIONS: usize = 500;
const MAX_MODULES: usize = 100;
const MAX_VARIABLES: usize = 500;
/// How deeply closures may capture each other, and how deeply captured values may be nested: dropping
/// them recurses, and Rhai does not count these levels.
const MAX_CAPTURES: usize = 64;
/// How many values one check of a closure's captures visits.
const MAX_CAPTURED_VALUES: usize = 100_000;

/// What one evaluation may use in total.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    /// Operations of closures that a native function calls are counted by Rhai for each call only.
    pub operations: u64,
    pub memory_bytes: usize,
}

/// The limits of a step script. The shipped workflows need a few hundred operations; ten million take about
/// a second, so a script that needs more computes or loops. All results of a step may take 16 MiB in the
/// journal.
pub(super) const STEP: Allowance = Allowance {
    operations: 10_000_000,
    memory_bytes: 256 << 20,
};

/// The limits of an expression, which is evaluated between steps, on the driver's thread.
pub(super) const EXPRESSION: Allowance = Allowance {
    operations: 1_000_000,
    memory_bytes: 64 << 20,
};

/// The limit that an evaluation exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Operations(u64),
    Memory(usize),
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operations(most) => write!(f, "too many operations (the limit is {most})"),
            Self::Memory(most) => write!(f, "too much memory (the limit is {} MiB)", most >> 20),
        }
    }
}

/// Sets the limits that Rhai enforces itself.
pub(super) fn set(engine: &mut Engine) {
    engine.set_max_call_levels(MAX_CALL_LEVELS);
    engine.set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH);
    engine.set_max_string_size(MAX_STRING_BYTES);
    engine.set_max_array_size(MAX_ITEMS);
    engine.set_max_map_size(MAX_ITEMS);
    engine.set_max_functions(MAX_FUNCTIONS);
    engine.set_max_modules(MAX_MODULES);
    engine.set_max_variables(MAX_VARIABLES);
    // A function pointer that is curried with itself doubles with every call. Closures that capture
    // variables do not need the name.
    engine.disable_symbol("curry");
    #[expect(
        deprecated,
        reason = "marked so because it may change, not because it will go"
    )]
    engine.on_var(|name, _, context| {
        match context.scope().get(name).filter(|value| value.is_shared()) {
            Some(captured) => check_captures(captured).map(|()| None),
            None => Ok(None),
        }
    });
}

/// Evaluates within an allowance; [`exceeded`] returns the limit that was exceeded, if any.
pub(super) fn within<T>(allowance: Allowance, body: impl FnOnce() -> T) -> T {
    let meter = Meter {
        left: allowance.operations,
        allowance,
        held_before: held(),
    };
    let outer = METER.replace(Some(meter));
    let result = body();
    METER.set(outer);
    result
}

/// Counts one operation, and returns the limit that is exceeded, if any.
pub(super) fn exceeded() -> Option<Exceeded> {
    let mut meter = METER.get()?;
    let Allowance {
        operations,
        memory_bytes,
    } = meter.allowance;
    if meter.left == 0 {
        return Some(Exceeded::Operations(operations));
    }
    meter.left -= 1;
    METER.set(Some(meter));
    let taken = held().wrapping_sub(meter.held_before);
    // What other threads allocated and this one frees makes it negative.
    let is_exceeded = usize::try_from(taken).is_ok_and(|taken| taken > memory_bytes);
    is_exceeded.then_some(Exceeded::Memory(memory_bytes))
}

/// Returns the error for a value that is too large or nested too deeply.
pub(super) fn too_large(what: &str) -> Box<EvalAltResult> {
    EvalAltResult::ErrorDataTooLarge(what.into(), Position::NONE).into()
}

/// Rejects a text longer than Rhai's limit before it is allocated.
pub(super) fn check_text(bytes: usize) -> Result<(), Box<EvalAltResult>> {
    if bytes > MAX_STRING_BYTES {
        Err(too_large("Length of string"))
    } else {
        Ok(())
    }
}

/// Rejects a list longer than Rhai's limit before it is allocated.
pub(super) fn check_items(count: usize) -> Result<(), Box<EvalAltResult>> {
    if count > MAX_ITEMS {
        Err(too_large("Size of array/BLOB"))
    } else {
        Ok(())
    }
}

/// Measures the evaluation on this thread.
#[derive(Clone, Copy)]
struct Meter {
    allowance: Allowance,
    left: u64,
    held_before: isize,
}

thread_local! {
    static METER: Cell<Option<Meter>> = const { Cell::new(None) };
}

/// Returns how many bytes this thread has allocated and not freed; only differences are meaningful.
fn held() -> isize {
    alloc_metrics::thread_metrics().allocated_bytes
}

fn check_captures(captured: &Dynamic) -> Result<(), Box<EvalAltResult>> {
    let mut visits = MAX_CAPTURED_VALUES;
    if is_deeper(captured, MAX_CAPTURES, &mut visits) {
        Err(too_large("Depth of what closures capture"))
    } else {
        Ok(())
    }
}

/// Says whether a value is nested deeper than `levels`, or whether checking it takes more than the remaining `visits`.
pub(super) fn is_deeper(value: &Dynamic, levels: usize, visits: &mut usize) -> bool {
    *visits = visits.saturating_sub(1);
    if levels == 0 || *visits == 0 {
        return true;
    }
    if value.is_shared() {
        // A locked value is being changed right now; the code that changes it checks it too.
        return value
            .read_lock::<Dynamic>()
            .is_some_and(|inner| is_deeper(&inner, levels - 1, visits));
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().any(|item| is_deeper(item, levels - 1, visits));
    }
    if let Ok(map) = value.as_map_ref() {
        return map.values().any(|item| is_deeper(item, levels - 1, visits));
    }
    if let Some(function) = value.read_lock::<FnPtr>() {
        return function
            .iter_curry()
            .any(|item| is_deeper(item, levels - 1, visits));
    }
    false
}
