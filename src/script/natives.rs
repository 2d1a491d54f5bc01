//! Replaces functions of Rhai's own packages that could crash the process with versions that keep the limits.
//!
//! `replace` multiplies its input; `pad` of an array multiplies numbers that a script chooses, without an overflow check;
//! comparing and printing (`secret`) recurse for each level of nesting, with a few KiB of stack each. This list comes from
//! reading the packages of Rhai 1.27: every other native function returns no more than the sum of its arguments, or checks
//! the size before it allocates.

use rhai::{
    Array, Dynamic, EvalAltResult, FuncRegistration, ImmutableString, Map, Module,
    NativeCallContext,
};

use super::limits::{check_items, check_text, is_deeper, too_large};

type Given<T> = Result<T, Box<EvalAltResult>>;

/// How deeply a value may be nested to be compared or printed.
const MAX_DEPTH: usize = 128;

pub(super) fn register(module: &mut Module) {
    let set = |name: &str| FuncRegistration::new(name).in_global_namespace();
    set("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: &str, with: &str| replace(text, find, with),
    );
    set("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: &str, with: char| {
            replace(text, find, with.encode_utf8(&mut [0; 4]))
        },
    );
    set("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: char, with: &str| {
            replace(text, find.encode_utf8(&mut [0; 4]), with)
        },
    );
    set("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: char, with: char| {
            replace(
                text,
                find.encode_utf8(&mut [0; 4]),
                with.encode_utf8(&mut [0; 4]),
            )
        },
    );
    // In Rhai, `trim` and `replace` give nothing, so `let name = inputs.name.trim();` would be nothing. They change their variable here as well,
    // as scripts may rely on.
    set("trim").set_into_module(module, |text: &mut ImmutableString| {
        *text = text.trim().into();
        text.clone()
    });
    set("pad").set_into_module(module, pad);
    set("keys")
        .with_purity(true)
        .set_into_module(module, |map: &mut Map| -> Array {
            in_order(map)
                .into_iter()
                .map(|(key, _)| key.into())
                .collect()
        });
    set("values")
        .with_purity(true)
        .set_into_module(module, |map: &mut Map| -> Array {
            in_order(map)
                .into_iter()
                .map(|(_, value)| value.clone())
                .collect()
        });
    set("==")
        .with_purity(true)
        .set_into_module(module, arrays_equal);
    set("==")
        .with_purity(true)
        .set_into_module(module, maps_equal);
    set("!=").with_purity(true).set_into_module(
        module,
        |context: NativeCallContext, a: &mut Array, b: Array| {
            arrays_equal(context, a, b).map(|equal| !equal)
        },
    );
    set("!=").with_purity(true).set_into_module(
        module,
        |context: NativeCallContext, a: &mut Map, b: Map| {
            maps_equal(context, a, b).map(|equal| !equal)
        },
    );
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Given<ImmutableString> {
    if text.contains(find) {
        *text = replaced(text, find, with)?.into();
    }
    Ok(text.clone())
}

/// Returns the entries in the order of their keys; of numbers, by their value: the outputs of a list's `for_each` have the positions as
/// keys, and `10` comes after `9`.
fn in_order(map: &Map) -> Vec<(ImmutableString, &Dynamic)> {
    let number = |key: &str| key.parse::<i64>().ok().filter(|n| n.to_string() == key);
    let entries = map.iter().map(|(key, value)| (key.as_str().into(), value));
    let mut entries: Vec<(ImmutableString, &Dynamic)> = entries.collect();
    let numbers: Option<Vec<i64>> = entries.iter().map(|(key, _)| number(key)).collect();
    if numbers.is_some() {
        entries.sort_by_key(|(key, _)| number(key));
    }
    entries
}

/// Returns a text with each `find` replaced, unless the result would be too long.
pub(super) fn replaced(text: &str, find: &str, with: &str) -> Given<String> {
    let count = text.matches(find).count();
    let added = count.saturating_mul(with.len());
    check_text((text.len() - count * find.len()).saturating_add(added))?;
    Ok(text.replace(find, with))
}

fn pad(array: &mut Array, length: i64, item: Dynamic) -> Given<()> {
    let length = usize::try_from(length).unwrap_or_default();
    let added = length.saturating_sub(array.len());
    check_depth(std::iter::once(&item))?;
    let (items, bytes) = weigh(&item);
    check_items(added.saturating_mul(items.saturating_add(1)))?;
    check_text(added.saturating_mul(bytes))?;
    if added > 0 {
        array.resize(length, item);
    }
    Ok(())
}

/// Returns the number of items in a value, and the bytes of its texts. The value must not be nested too deeply.
fn weigh(value: &Dynamic) -> (usize, usize) {
    let sum = |(items, bytes): (usize, usize), item| {
        let (more_items, more_bytes) = weigh(item);
        (items + 1 + more_items, bytes + more_bytes)
    };
    if let Ok(text) = value.as_immutable_string_ref() {
        return (0, text.len());
    }
    if let Ok(array) = value.as_array_ref() {
        return array.iter().fold((0, 0), sum);
    }
    if let Ok(map) = value.as_map_ref() {
        return map.values().fold((0, 0), sum);
    }
    (value.as_blob_ref().map_or(0, |blob| blob.len()), 0)
}

fn arrays_equal(context: NativeCallContext, a: &mut Array, mut b: Array) -> Given<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    check_depth(a.iter())?;
    for (a, b) in a.iter_mut().zip(&mut b) {
        if !are_equal(&context, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(context: NativeCallContext, a: &mut Map, mut b: Map) -> Given<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    check_depth(a.values())?;
    for (key, a) in a.iter_mut() {
        let Some(b) = b.get_mut(key) else {
            return Ok(false);
        };
        if !are_equal(&context, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares as Rhai does: values of different types are not equal, and values of one type that can't
/// be compared are an error.
fn are_equal(context: &NativeCallContext, a: &mut Dynamic, b: &mut Dynamic) -> Given<bool> {
    match context.call_native_fn_raw("==", true, &mut [a, b]) {
        Ok(equal) => Ok(equal.as_bool().unwrap_or(false)),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(..) if a.type_id() != b.type_id() => Ok(false),
            _ => Err(error),
        },
    }
}

pub(super) fn check_depth<'a>(mut items: impl Iterator<Item = &'a Dynamic>) -> Given<()> {
    if items.any(|item| is_deeper(item, MAX_DEPTH, &mut { usize::MAX })) {
        Err(too_large("Depth of array or map"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::interpreter::expressions;

    #[test]
    fn numbers_as_keys_are_in_the_order_of_numbers() {
        let map = "#{ \"10\": 10, \"9\": 9, \"2\": 2 }";
        for expression in [
            &format!("{map}.values() == [2, 9, 10]"),
            &format!("{map}.keys() == [\"2\", \"9\", \"10\"]"),
            "#{ \"10\": 1, \"9\": 2, \"a\": 3 }.values() == [1, 2, 3]",
        ] {
            let holds = expressions().eval::<bool>(expression);
            assert!(holds.expect(expression), "{expression}");
        }
    }
}
