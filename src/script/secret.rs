//! Implements [`Secret`] in Rhai: a value made from a secret is a secret, a comparison returns a bool, and no function returns its text
//! or its mask as a plain text.
//!
//! Rhai's own functions for joining and printing convert any value to text. They are replaced here, also for lists and maps with secrets
//! in them. Any other function that takes a text does not accept a secret, so the call fails.
//!
//! A [`Reference`] is a secret that is not read yet; only expressions meet one. It can be passed on, and compared with `()` and an empty
//! text, which it is not.

use std::any::TypeId;

use rhai::{
    Array, Dynamic, EvalAltResult, FuncRegistration, ImmutableString, Map, Module,
    NativeCallContext,
};

use super::{
    dynamic::from_dynamic,
    limits::check_text,
    natives::{check_depth, replaced},
    strict,
};
use windlass_world::value::{MASK, Reference, Secret};

type Thrown = Box<EvalAltResult>;

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<Secret>("Secret");
    module.set_custom_type::<Reference>(REFERENCE);
    register_comparisons(module);
    register_references(module);
    register_joins(module);
    register_prints(module);
    register_parts(module);
}

/// A value as it becomes part of a text.
enum Written {
    Plain(String),
    Secret(String),
}

impl Written {
    fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Secret(text) => text,
        }
    }

    fn then(self, other: &Self) -> Result<Self, Thrown> {
        check_text(self.as_str().len() + other.as_str().len())?;
        let text = format!("{}{}", self.as_str(), other.as_str());
        Ok(match (&self, other) {
            (Self::Plain(_), Self::Plain(_)) => Self::Plain(text),
            _ => Self::Secret(text),
        })
    }

    fn into_dynamic(self) -> Dynamic {
        match self {
            Self::Plain(text) => text.into(),
            Self::Secret(text) => Dynamic::from(Secret::new(text)),
        }
    }
}

/// The name of the type of a secret that is not read yet.
pub(super) const REFERENCE: &str = "SecretReference";

/// Returns an error of Rhai with the names of types as scripts know them.
pub(super) fn named(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let text = text.replace(std::any::type_name::<Secret>(), "Secret");
    text.replace(std::any::type_name::<Reference>(), REFERENCE)
}

/// Returns the message for an expression that uses a secret which is not read yet.
pub(super) fn unread(shown: &str) -> String {
    format!(
        "{shown} is read only when a step that uses it starts, so an expression can only pass it on: use it in the step's script"
    )
}

/// Refuses what would not be about the secret itself.
fn refuse_unread(value: &Dynamic) -> Result<(), Thrown> {
    if let Some(reference) = value.read_lock::<Reference>() {
        return Err(unread(&reference.to_string()).into());
    }
    if from_dynamic(value).is_ok_and(|value| value.holds_reference()) {
        Err(unread("a secret in it").into())
    } else {
        Ok(())
    }
}

/// Rhai says that values of two types are not equal, and prints the name of a type that it does not know.
fn register_references(module: &mut Module) {
    fn refuse(reference: &Reference) -> Thrown {
        unread(&reference.to_string()).into()
    }
    /// A secret is given, so it is neither `()` nor empty, whatever it is.
    fn compare(reference: &Reference, other: &Dynamic, name: &str) -> Result<bool, Thrown> {
        let is_empty = other
            .as_immutable_string_ref()
            .is_ok_and(|text| text.is_empty());
        match (other.is_unit() || is_empty, name) {
            (true, "==") => Ok(false),
            (true, "!=") => Ok(true),
            _ => Err(refuse(reference)),
        }
    }
    for name in ["==", "!=", "<", ">", "<=", ">="] {
        set(name).set_into_module(module, move |a: &mut Reference, b: Dynamic| {
            compare(a, &b, name)
        });
        set(name).set_into_module(module, move |a: Dynamic, b: Reference| {
            compare(&b, &a, name)
        });
        set(name).set_into_module(
            module,
            |a: &mut Reference, _: Reference| -> Result<bool, Thrown> { Err(refuse(a)) },
        );
        set(name).set_into_module(
            module,
            |a: &mut Reference, _: Secret| -> Result<bool, Thrown> { Err(refuse(a)) },
        );
        set(name).set_into_module(
            module,
            |_: &mut Secret, b: Reference| -> Result<bool, Thrown> { Err(refuse(&b)) },
        );
    }
    for name in ["to_string", "to_debug"] {
        set(name).set_into_module(
            module,
            |reference: &mut Reference| -> Result<Dynamic, Thrown> { Err(refuse(reference)) },
        );
    }
}

/// Joins values as an interpolated string does.
pub(super) fn joined(context: &NativeCallContext, parts: Array) -> Result<Dynamic, Thrown> {
    let mut all = Written::Plain(String::new());
    for mut part in parts {
        if part.is_unit() {
            return strict::nothing();
        }
        all = all.then(&written(context, &mut part)?)?;
    }
    Ok(all.into_dynamic())
}

fn written(context: &NativeCallContext, value: &mut Dynamic) -> Result<Written, Thrown> {
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(Written::Secret(text_of(&secret)?.to_owned()));
    }
    check_depth(std::iter::once(&*value))?;
    refuse_unread(value)?;
    if holds_secret(value) {
        return Ok(Written::Secret(revealed(context, value)?));
    }
    Ok(Written::Plain(printed(context, "to_string", value)))
}

/// Returns the text of a secret.
fn text_of(secret: &Secret) -> Result<&str, Thrown> {
    secret.text().map_err(|e| e.to_string().into())
}

/// Returns a list or a map as Rhai prints it, with the texts of its secrets.
fn revealed(context: &NativeCallContext, value: &mut Dynamic) -> Result<String, Thrown> {
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(format!("{:?}", text_of(&secret)?));
    }
    if let Some(mut items) = value.write_lock::<Array>() {
        let items = items.iter_mut().map(|item| revealed(context, item));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        return Ok(format!("[{}]", items.join(", ")));
    }
    if let Some(mut map) = value.write_lock::<Map>() {
        let entries = map
            .iter_mut()
            .map(|(key, item)| Ok(format!("{key:?}: {}", revealed(context, item)?)));
        let entries = entries.collect::<Result<Vec<_>, Thrown>>()?;
        return Ok(format!("#{{{}}}", entries.join(", ")));
    }
    Ok(printed(context, "to_debug", value))
}

/// Prints as Rhai does.
fn printed(context: &NativeCallContext, function: &str, value: &mut Dynamic) -> String {
    let printed = context.call_native_fn_raw(function, true, &mut [value]);
    let text = printed.ok().and_then(|text| text.into_string().ok());
    text.unwrap_or_else(|| value.type_name().to_owned())
}

/// Says whether a value contains a secret.
pub(super) fn holds_secret(value: &Dynamic) -> bool {
    if value.is::<Secret>() {
        return true;
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().any(holds_secret);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.values().any(holds_secret);
    }
    false
}

fn set(name: &str) -> FuncRegistration {
    FuncRegistration::new(name).in_global_namespace()
}

/// Compares in constant time. Ordering would reveal a secret bit by bit, and is an error.
fn register_comparisons(module: &mut Module) {
    fn is_equal(secret: &Secret, other: &Dynamic) -> bool {
        if let Some(other) = other.read_lock::<Secret>() {
            return *secret == *other;
        }
        let text = match other.as_char() {
            Ok(c) => Some(c.to_string()),
            Err(_) => other
                .as_immutable_string_ref()
                .ok()
                .map(|text| text.to_string()),
        };
        text.is_some_and(|text| *secret == Secret::new(text))
    }
    for (name, wanted) in [("==", true), ("!=", false)] {
        set(name).set_into_module(module, move |a: &mut Secret, b: Dynamic| {
            is_equal(a, &b) == wanted
        });
        set(name).set_into_module(module, move |a: Dynamic, b: Secret| {
            is_equal(&b, &a) == wanted
        });
        set(name).set_into_module(module, move |a: &mut Secret, b: Secret| (*a == b) == wanted);
    }
    fn refuse() -> Result<bool, Thrown> {
        Err("secrets can be compared only with `==` and `!=`".into())
    }
    for name in ["<", ">", "<=", ">="] {
        set(name).set_into_module(module, |_: &mut Secret, _: Dynamic| refuse());
        set(name).set_into_module(module, |_: Dynamic, _: Secret| refuse());
        set(name).set_into_module(module, |_: &mut Secret, _: Secret| refuse());
    }
    type Found = Result<bool, Thrown>;
    set("contains").set_into_module(module, |a: &mut Secret, b: &str| -> Found {
        Ok(text_of(a)?.contains(b))
    });
    set("contains").set_into_module(module, |a: &mut Secret, b: char| -> Found {
        Ok(text_of(a)?.contains(b))
    });
    set("contains").set_into_module(module, |a: &mut Secret, b: Secret| -> Found {
        Ok(text_of(a)?.contains(text_of(&b)?))
    });
    set("contains").set_into_module(module, |a: &str, b: Secret| -> Found {
        Ok(a.contains(text_of(&b)?))
    });
    for (name, test) in [
        ("starts_with", starts_with as fn(&str, &str) -> bool),
        ("ends_with", ends_with),
    ] {
        set(name).set_into_module(module, move |a: &mut Secret, b: &str| -> Found {
            Ok(test(text_of(a)?, b))
        });
        set(name).set_into_module(module, move |a: &mut Secret, b: Secret| -> Found {
            Ok(test(text_of(a)?, text_of(&b)?))
        });
    }
    fn starts_with(text: &str, start: &str) -> bool {
        text.starts_with(start)
    }
    fn ends_with(text: &str, end: &str) -> bool {
        text.ends_with(end)
    }
    set(SWITCHED).set_into_module(module, |value: Dynamic| -> Result<Dynamic, Thrown> {
        refuse_unread(&value)?;
        if !holds_secret(&value) {
            Ok(value)
        } else {
            Err("`switch` does not work with a secret; compare it with `==`".into())
        }
    });
}

/// The functions around the value of a `switch` and of an interpolated string; see `interpolation`.
pub(super) const SWITCHED: &str = "__switched";
pub(super) const JOINED: &str = "__joined";

fn register_joins(module: &mut Module) {
    set(JOINED).set_into_module(module, |context: NativeCallContext, parts: Array| {
        joined(&context, parts)
    });
    // Replaces Rhai's own version, which would write the mask of a secret, or of one in a list.
    set("+").set_into_module(
        module,
        |context: NativeCallContext,
         a: &mut ImmutableString,
         mut b: Dynamic|
         -> Result<Dynamic, Thrown> {
            let a = Written::Plain(a.to_string());
            a.then(&written(&context, &mut b)?)
                .map(Written::into_dynamic)
        },
    );
    set("+").set_into_module(
        module,
        |context: NativeCallContext, a: &mut Dynamic, b: &str| -> Result<Dynamic, Thrown> {
            let b = Written::Plain(b.to_owned());
            written(&context, a)?.then(&b).map(Written::into_dynamic)
        },
    );
    set("+").set_into_module(module, |_: &mut Secret, _: ()| strict::nothing());
    set("+").set_into_module(module, |_: (), _: Secret| strict::nothing());
    set("+=").set_into_module(module, |_: &mut Secret, _: ()| {
        strict::nothing().map(|_| ())
    });
    set("+").set_into_module(module, |a: &mut Secret, b: Secret| {
        join(text_of(a)?, text_of(&b)?)
    });
    set("+").set_into_module(module, |a: &mut Secret, b: &str| join(text_of(a)?, b));
    set("+").set_into_module(module, |a: &str, b: Secret| join(a, text_of(&b)?));
    set("+").set_into_module(
        module,
        |context: NativeCallContext, a: &mut Secret, mut b: Dynamic| -> Result<Secret, Thrown> {
            let b = written(&context, &mut b)?;
            join(text_of(a)?, b.as_str())
        },
    );
    set("+").set_into_module(
        module,
        |context: NativeCallContext, mut a: Dynamic, b: Secret| -> Result<Dynamic, Thrown> {
            if a.is_array() {
                let mut items = a.into_array().unwrap_or_default();
                items.push(Dynamic::from(b));
                return Ok(items.into());
            }
            let a = written(&context, &mut a)?;
            Ok(Dynamic::from(join(a.as_str(), text_of(&b)?)?))
        },
    );
    // A variable that holds a text becomes a secret after `text += secret`.
    for name in ["+=", "append"] {
        set(name).set_into_module_raw(
            module,
            [TypeId::of::<ImmutableString>(), TypeId::of::<Dynamic>()],
            rhai::RhaiFunc::Method {
                func: rhai::Shared::new(append),
                has_context: true,
                is_pure: false,
                is_volatile: false,
            },
        );
        set(name).set_into_module(module, |a: &mut Secret, b: Secret| -> Result<(), Thrown> {
            *a = join(text_of(a)?, text_of(&b)?)?;
            Ok(())
        });
        set(name).set_into_module(
            module,
            |context: NativeCallContext, a: &mut Secret, mut b: Dynamic| -> Result<(), Thrown> {
                *a = join(text_of(a)?, written(&context, &mut b)?.as_str())?;
                Ok(())
            },
        );
    }
}

fn append(
    context: Option<NativeCallContext>,
    arguments: &mut [&mut Dynamic],
) -> Result<Dynamic, Thrown> {
    let (Some(context), [text, other]) = (context, arguments) else {
        return Err("`+=` takes two values".into());
    };
    let before = Written::Plain(text.to_string());
    let after = before.then(&written(&context, other)?)?.into_dynamic();
    **text = after;
    Ok(Dynamic::UNIT)
}

/// `print` and `debug` are for people and print the mask; the result of `to_string` may be used further, so it is a secret.
fn register_prints(module: &mut Module) {
    for name in ["to_string", "to_debug"] {
        set(name).set_into_module(module, |secret: &mut Secret| secret.clone());
        set(name).set_into_module(module, |context: NativeCallContext, list: &mut Array| {
            print_list(&context, list)
        });
        set(name).set_into_module(module, |context: NativeCallContext, map: &mut Map| {
            print_map(&context, map)
        });
    }
    for name in ["print", "debug"] {
        set(name).set_into_module(module, |_: &mut Secret| MASK.to_owned());
        set(name).set_into_module(module, |list: &mut Array| {
            super::dynamic::masked(&Dynamic::from(list.clone()))
        });
        set(name).set_into_module(module, |map: &mut Map| {
            super::dynamic::masked(&Dynamic::from(map.clone()))
        });
    }
    set("to_json").set_into_module(module, |map: &mut Map| -> Result<Dynamic, Thrown> {
        map.values().try_for_each(refuse_unread)?;
        let value = super::dynamic::from_dynamic(&Dynamic::from(map.clone()))
            .map_err(|e| format!("to_json: {e}"))?;
        for secret in value.secrets() {
            text_of(&secret)?;
        }
        let json = value.reveal_json().map_err(|e| format!("to_json: {e}"))?;
        let text = json.to_string();
        Ok(if value.holds_secret() {
            Dynamic::from(Secret::new(text))
        } else {
            text.into()
        })
    });
}

fn print_list(context: &NativeCallContext, list: &mut Array) -> Result<Dynamic, Thrown> {
    check_depth(list.iter())?;
    list.iter().try_for_each(refuse_unread)?;
    let is_secret = list.iter().any(holds_secret);
    let items = list.iter_mut().map(|item| debugged(context, item));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    of_text(is_secret, format!("[{}]", items.join(", ")))
}

fn print_map(context: &NativeCallContext, map: &mut Map) -> Result<Dynamic, Thrown> {
    check_depth(map.values())?;
    map.values().try_for_each(refuse_unread)?;
    let is_secret = map.values().any(holds_secret);
    let entries = map
        .iter_mut()
        .map(|(key, item)| Ok(format!("{key:?}: {}", debugged(context, item)?)));
    let entries = entries.collect::<Result<Vec<_>, Thrown>>()?;
    of_text(is_secret, format!("#{{{}}}", entries.join(", ")))
}

fn debugged(context: &NativeCallContext, item: &mut Dynamic) -> Result<String, Thrown> {
    if holds_secret(item) {
        revealed(context, item)
    } else {
        Ok(printed(context, "to_debug", item))
    }
}

fn of_text(is_secret: bool, text: String) -> Result<Dynamic, Thrown> {
    check_text(text.len())?;
    Ok(if is_secret {
        Dynamic::from(Secret::new(text))
    } else {
        text.into()
    })
}

/// Parts of a secret are secrets. Its length is not: scripts use it to test whether a value was given.
fn register_parts(module: &mut Module) {
    set("len").set_into_module(module, |a: &mut Secret| {
        a.text()
            .map_or_else(|_| a.reveal_bytes().len(), |text| text.chars().count()) as i64
    });
    set("is_empty").set_into_module(module, |a: &mut Secret| a.reveal().is_empty());
    set("trim").set_into_module(module, |a: &mut Secret| -> Result<Secret, Thrown> {
        *a = Secret::new(text_of(a)?.trim());
        Ok(a.clone())
    });
    set("sub_string").set_into_module(module, |a: &mut Secret, start: i64| {
        part(a, start, i64::MAX)
    });
    set("sub_string").set_into_module(module, part);
    set("to_upper").set_into_module(module, |a: &mut Secret| -> Result<Secret, Thrown> {
        Ok(Secret::new(text_of(a)?.to_uppercase()))
    });
    set("to_lower").set_into_module(module, |a: &mut Secret| -> Result<Secret, Thrown> {
        Ok(Secret::new(text_of(a)?.to_lowercase()))
    });
    set("split").set_into_module(
        module,
        |a: &mut Secret, at: &str| -> Result<Array, Thrown> {
            let parts = text_of(a)?.split(at);
            Ok(parts.map(|part| Dynamic::from(Secret::new(part))).collect())
        },
    );
    set("replace").set_into_module(
        module,
        |a: &mut Secret, from: &str, to: &str| -> Result<Secret, Thrown> {
            *a = Secret::new(replaced(text_of(a)?, from, to)?);
            Ok(a.clone())
        },
    );
    set("replace").set_into_module(
        module,
        |a: &mut Secret, from: &str, to: Secret| -> Result<Secret, Thrown> {
            *a = Secret::new(replaced(text_of(a)?, from, text_of(&to)?)?);
            Ok(a.clone())
        },
    );
}

fn part(secret: &mut Secret, start: i64, len: i64) -> Result<Secret, Thrown> {
    let text = text_of(secret)?;
    let count = text.chars().count() as i64;
    // A negative start counts from the end, as for a text.
    let start = if start < 0 {
        (count + start).max(0)
    } else {
        start
    };
    let (start, len) = (start as usize, len.max(0) as usize);
    Ok(Secret::new(
        text.chars().skip(start).take(len).collect::<String>(),
    ))
}

fn join(a: &str, b: &str) -> Result<Secret, Thrown> {
    check_text(a.len() + b.len())?;
    Ok(Secret::new(format!("{a}{b}")))
}
