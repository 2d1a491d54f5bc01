//! Refuses what Rhai does silently, and what would make a guard pass or a request go elsewhere:
//!
//! - an order between values of different types, such as `"97" > 90`, which is always false in Rhai;
//! - nothing (`()`, such as an entry that a map does not have) in a text, where it adds nothing.
//!
//! Rhai asks for these functions only without its fast operators.

use rhai::{
    Array, Dynamic, EvalAltResult, FuncRegistration, ImmutableString, Map, Module, Variant,
};

use windlass_world::value::parse_duration;

type Given<T> = Result<T, Box<EvalAltResult>>;

const ORDERS: [&str; 4] = ["<", "<=", ">", ">="];
/// The function that makes durations comparable.
const SECONDS: &str = "seconds";

/// A type of values that scripts have.
trait Kind: Variant + Clone {
    /// The type in a sentence.
    const NAME: &'static str;
    /// What it can be converted with into a number.
    const NUMBER: Option<&'static str> = None;
}

impl Kind for () {
    const NAME: &'static str = "nothing";
}

impl Kind for bool {
    const NAME: &'static str = "a bool";
}

impl Kind for i64 {
    const NAME: &'static str = "an int";
}

impl Kind for f64 {
    const NAME: &'static str = "a float";
}

impl Kind for ImmutableString {
    const NAME: &'static str = "a string";
    const NUMBER: Option<&'static str> = Some("parse_int");
}

impl Kind for char {
    const NAME: &'static str = "a character";
}

impl Kind for Array {
    const NAME: &'static str = "a list";
    const NUMBER: Option<&'static str> = Some("len");
}

impl Kind for Map {
    const NAME: &'static str = "a map";
    const NUMBER: Option<&'static str> = Some("len");
}

pub(super) fn register(module: &mut Module) {
    refuse_orders_of::<()>(module);
    refuse_orders_of::<bool>(module);
    refuse_orders_of::<ImmutableString>(module);
    refuse_order_between::<char, ()>(module);
    refuse_order_between::<char, bool>(module);
    refuse_order_between::<char, i64>(module);
    refuse_order_between::<char, f64>(module);
    refuse_orders_of::<Array>(module);
    refuse_orders_of::<Map>(module);
    refuse_order::<(), ()>(module);
    refuse_nothing_in_texts(module);
    set(SECONDS).set_into_module(module, |text: &str| -> Given<i64> {
        let duration = parse_duration(text).map_err(|e| format!("{SECONDS}: {e}"))?;
        Ok(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
    });
}

fn set(name: &str) -> FuncRegistration {
    FuncRegistration::new(name).in_global_namespace()
}

/// Refuses the order between a type and each other type, in both directions.
fn refuse_orders_of<A: Kind>(module: &mut Module) {
    refuse_order_between::<A, ()>(module);
    refuse_order_between::<A, bool>(module);
    refuse_order_between::<A, i64>(module);
    refuse_order_between::<A, f64>(module);
    refuse_order_between::<A, ImmutableString>(module);
    refuse_order_between::<A, Array>(module);
    refuse_order_between::<A, Map>(module);
}

fn refuse_order_between<A: Kind, B: Kind>(module: &mut Module) {
    if A::NAME != B::NAME {
        refuse_order::<A, B>(module);
        refuse_order::<B, A>(module);
    }
}

fn refuse_order<A: Kind, B: Kind>(module: &mut Module) {
    for order in ORDERS {
        set(order).set_into_module(module, move |_: A, _: B| -> Given<bool> {
            Err(no_order::<A, B>(order).into())
        });
    }
}

fn no_order<A: Kind, B: Kind>(order: &str) -> String {
    let (a, b) = (A::NAME, B::NAME);
    let help = match [A::NUMBER, B::NUMBER] {
        _ if [a, b].contains(&<()>::NAME) => {
            "compare with `== ()` first, or give a default: `x ?? 0`".to_owned()
        }
        [Some(number), _] | [_, Some(number)] => {
            format!("make a number of it first: `x.{number}()`")
        }
        [None, None] => "compare values of one type".to_owned(),
    };
    format!("`{order}` can't compare {a} with {b}; {help}")
}

fn refuse_nothing_in_texts(module: &mut Module) {
    set("+").set_into_module(module, |_: ImmutableString, _: ()| nothing());
    set("+").set_into_module(module, |_: (), _: ImmutableString| nothing());
    set("+=").set_into_module(module, |_: &mut ImmutableString, _: ()| {
        nothing().map(|_| ())
    });
}

/// Refuses to make a text with nothing in it.
pub(super) fn nothing() -> Given<Dynamic> {
    Err("a text with `()`, nothing, in it: an entry that a map does not have is `()`; give a default: `x ?? \"\"`".into())
}

#[cfg(test)]
mod tests {
    use crate::interpreter::{expressions, step_interpreter};

    fn fails(script: &str) -> String {
        match step_interpreter().eval::<rhai::Dynamic>(script) {
            Ok(value) => panic!("{script} is {value}"),
            Err(error) => error.to_string(),
        }
    }

    fn holds(script: &str) {
        let held = step_interpreter().eval::<bool>(script);
        assert!(held.unwrap_or_else(|e| panic!("{script}: {e}")), "{script}");
        let held = expressions().eval::<bool>(script);
        assert!(held.unwrap_or_else(|e| panic!("{script}: {e}")), "{script}");
    }

    #[test]
    fn values_of_different_types_have_no_order() {
        for script in [
            "\"97\" > 90",
            "90 < \"97\"",
            "let json = #{}; json.lag > 100",
            "() <= 1.5",
            "() < ()",
            "true > 0",
            "[1] >= 1",
            "#{} < \"x\"",
            "'a' < 1",
            "1.5 > 'a'",
        ] {
            assert!(fails(script).contains("can't compare"), "{script}");
        }
        for script in [
            "1 < 2",
            "1 < 2.5",
            "1.5 >= 1",
            "\"a\" < \"b\"",
            "'a' < 'b'",
            "\"b\" > 'a'",
            "\"97\".parse_int() > 90",
            "\"97\" != 97",
            "!(\"97\" == 97)",
            "() == ()",
            "() != 1",
        ] {
            holds(script);
        }
    }

    #[test]
    fn nothing_is_no_part_of_a_text() {
        for script in [
            "let user = #{}; \"u/\" + user.id",
            "let user = #{}; user.id + \"/u\"",
            "let text = \"u/\"; text += ()",
        ] {
            assert!(fails(script).contains("nothing, in it"), "{script}");
        }
        holds("\"a\" + 1 + 'c' + true + [()] == \"a1ctrue[]\" || true");
        holds("let t = \"a\"; t += \"b\"; t += 'c'; t += 1; t == \"abc1\"");
    }

    #[test]
    fn durations_are_compared_by_their_seconds() {
        holds("\"100d\".seconds() > seconds(\"90d\")");
        holds("seconds(\"1m30s\") == 90");
        assert!(fails("seconds(\"soon\")").contains("seconds: "));
    }
}
