//! How [`Bytes`] behave inside Rhai.
//!
//! They are not Rhai's blob type: a blob's size is limited like an array's, to 20,000 items, which a keystore or an
//! image exceeds.

use rhai::{EvalAltResult, FuncRegistration, Module};

use windlass_world::value::{Bytes, Secret};

type Thrown = Box<EvalAltResult>;

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<Bytes>("Bytes");
    let set = |name: &str| FuncRegistration::new(name).in_global_namespace();
    set("to_string").set_into_module(module, |bytes: &mut Bytes| bytes.to_string());
    set("to_debug").set_into_module(module, |bytes: &mut Bytes| bytes.to_string());
    set("len").set_into_module(module, |bytes: &mut Bytes| bytes.len() as i64);
    set("is_empty").set_into_module(module, |bytes: &mut Bytes| bytes.is_empty());
    FuncRegistration::new_getter("len")
        .in_global_namespace()
        .set_into_module(module, |bytes: &mut Bytes| bytes.len() as i64);
    set("to_text").set_into_module(module, to_text);
    set("extract").set_into_module(module, extract);
    FuncRegistration::new_index_getter()
        .in_global_namespace()
        .set_into_module(module, at);
    set("==").set_into_module(module, |a: &mut Bytes, b: Bytes| *a == b);
    set("!=").set_into_module(module, |a: &mut Bytes, b: Bytes| *a != b);
    for name in ["+", "+="] {
        set(name).set_into_module(module, |_: &mut Bytes, _: &str| refuse_join());
        set(name).set_into_module(module, |_: &str, _: Bytes| refuse_join());
        set(name).set_into_module(module, |_: Secret, _: Bytes| refuse_join());
    }
}

/// Rejects bytes in an interpolation, which would otherwise insert the text `bytes(12)`.
fn refuse_join() -> Result<(), Thrown> {
    Err("bytes can't be joined to a string: `bytes.to_text()` decodes UTF-8, `base64::encode(bytes)` encodes them".into())
}

fn to_text(bytes: &mut Bytes) -> Result<String, Thrown> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|e| format!("the bytes are not UTF-8: {e}").into())
}

/// Implements `bytes.extract(start, length)`; a range beyond the end is shortened.
fn extract(bytes: &mut Bytes, start: i64, length: i64) -> Bytes {
    let start = usize::try_from(start).unwrap_or(0).min(bytes.len());
    let length = usize::try_from(length)
        .unwrap_or(0)
        .min(bytes.len() - start);
    Bytes::new(&bytes[start..start + length])
}

fn at(bytes: &mut Bytes, index: i64) -> Result<i64, Thrown> {
    let found = usize::try_from(index).ok().and_then(|i| bytes.get(i));
    found.map(|byte| i64::from(*byte)).ok_or_else(|| {
        format!(
            "byte {index} is out of range: there are {} bytes",
            bytes.len()
        )
        .into()
    })
}
