//! How a [`Secret`] behaves inside Rhai: whatever is made from one is one again, and whatever
//! would show it shows the mask.

use rhai::{Dynamic, FuncRegistration, Module};

use crate::value::{MASK, Secret};

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<Secret>("Secret");
    let set = |name: &str| FuncRegistration::new(name).in_global_namespace();
    set("to_string").set_into_module(module, |_: &mut Secret| MASK.to_string());
    set("to_debug").set_into_module(module, |_: &mut Secret| MASK.to_string());
    for name in ["==", "!=", "<", ">", "<=", ">="] {
        set(name).set_into_module(module, |_: &mut Secret, _: Dynamic| MASK.to_string());
        set(name).set_into_module(module, |_: Dynamic, _: Secret| MASK.to_string());
    }
    set("+").set_into_module(module, |a: &mut Secret, b: Secret| {
        join(a.reveal(), b.reveal())
    });
    set("+").set_into_module(module, |a: &mut Secret, b: &str| join(a.reveal(), b));
    set("+").set_into_module(module, |a: &str, b: Secret| join(a, b.reveal()));
    set("trim").set_into_module(module, |a: &mut Secret| {
        *a = Secret::new(a.reveal().trim());
    });
    set("sub_string").set_into_module(module, |a: &mut Secret, start: i64, len: i64| {
        let (start, len) = (start.max(0) as usize, len.max(0) as usize);
        Secret::new(a.reveal().chars().skip(start).take(len).collect::<String>())
    });
    set("to_upper").set_into_module(module, |a: &mut Secret| {
        Secret::new(a.reveal().to_uppercase())
    });
    set("to_lower").set_into_module(module, |a: &mut Secret| {
        Secret::new(a.reveal().to_lowercase())
    });
}

fn join(a: &str, b: &str) -> Secret {
    Secret::new(format!("{a}{b}"))
}
