use std::sync::{Arc, LazyLock};

use rhai::{
    Engine, FuncRegistration, Module, OptimizationLevel, def_package,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage,
        BasicMapPackage, BasicMathPackage, BasicStringPackage, BitFieldPackage,
        LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
    },
};

use super::{answer, bytes, host, secret};

/// The stack that a thread needs to run any script: 64 call levels of nested native calls
/// overflow 4 MiB (measured), and a value of the deepest shape that the limits allow must be
/// dropped on it.
pub const STACK_BYTES: usize = 16 << 20;

/// A step script of the shipped workflows makes a few hundred operations; ten million are about
/// a second of work, which is a script that computes, or loops.
const MAX_OPERATIONS: u64 = 10_000_000;
/// Expressions are evaluated between steps, on the driver's thread.
const MAX_EXPRESSION_OPERATIONS: u64 = 1_000_000;
/// Deep enough for people, far from the stack's end.
const MAX_CALL_LEVELS: usize = 48;
const MAX_EXPRESSION_DEPTH: usize = 64;
/// The same as the largest effect result.
const MAX_STRING_BYTES: usize = 1 << 20;
/// Also bounds how deep arrays and maps can be nested in each other: dropping them recurses.
const MAX_ITEMS: usize = 20_000;
const MAX_FUNCTIONS: usize = 500;
const MAX_MODULES: usize = 100;
const MAX_VARIABLES: usize = 500;

def_package! {
    /// Rhai's standard library without its clock (`timestamp`, and `sleep`, which would block a
    /// thread that nobody can cancel), with secrets, bytes, and the answers of calls.
    PurePackage(module) : LanguageCorePackage, ArithmeticPackage, BasicStringPackage,
        BasicIteratorPackage, BasicFnPackage, LogicPackage, BitFieldPackage, BasicMathPackage,
        BasicArrayPackage, BasicMapPackage, MoreStringPackage
    {
        answer::register(module);
        bytes::register(module);
        secret::register(module);
        refuse_sleep(module);
    }
}

static PURE: LazyLock<PurePackage> = LazyLock::new(PurePackage::new);
static EXPRESSIONS: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = pure();
    engine.set_max_operations(MAX_EXPRESSION_OPERATIONS);
    engine
});
static STEPS: LazyLock<Engine> = LazyLock::new(step_engine);

/// The one engine that parses and evaluates expressions: no host modules, no clock.
pub(super) fn expressions() -> &'static Engine {
    &EXPRESSIONS
}

/// The engine that parses step scripts; running one takes a [`step_engine`] of its own.
pub(super) fn steps() -> &'static Engine {
    &STEPS
}

/// Makes the engine for one evaluation of a script. Cheap: the packages and modules are shared.
pub(super) fn step_engine() -> Engine {
    let mut engine = pure();
    engine.set_max_operations(MAX_OPERATIONS);
    for (name, module) in host::modules() {
        engine.register_static_module(*name, Arc::clone(module));
    }
    engine
}

fn pure() -> Engine {
    let mut engine = Engine::new_raw();
    PURE.register_into_engine(&mut engine);
    // Constant folding can panic (writing to a constant map) and can bypass checks; it saves
    // nothing measurable.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(false);
    engine.set_max_call_levels(MAX_CALL_LEVELS);
    engine.set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH);
    engine.set_max_string_size(MAX_STRING_BYTES);
    engine.set_max_array_size(MAX_ITEMS);
    engine.set_max_map_size(MAX_ITEMS);
    engine.set_max_functions(MAX_FUNCTIONS);
    engine.set_max_modules(MAX_MODULES);
    engine.set_max_variables(MAX_VARIABLES);
    engine.disable_symbol("eval");
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    engine
}

fn refuse_sleep(module: &mut Module) {
    fn refuse() -> Result<(), Box<rhai::EvalAltResult>> {
        Err("`sleep` would block; use `time::sleep(\"5s\")`, which a cancel interrupts".into())
    }
    FuncRegistration::new("sleep")
        .in_global_namespace()
        .set_into_module(module, |_: i64| refuse());
    FuncRegistration::new("sleep")
        .in_global_namespace()
        .set_into_module(module, |_: f64| refuse());
}
