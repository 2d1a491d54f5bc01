use std::sync::{Arc, LazyLock};

use rhai::{
    Dynamic, Engine, FuncRegistration, Module, OptimizationLevel, def_package,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage,
        BasicMapPackage, BasicMathPackage, BasicStringPackage, BitFieldPackage,
        LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
    },
};

use super::{absent, answer, bytes, host, limits, natives, secret, strict};

def_package! {
    /// Rhai's standard library without its clock (`timestamp`, and `sleep`, which would block a
    /// thread without a way to cancel it), with secrets, bytes, and the answers of calls.
    PurePackage(module) : LanguageCorePackage, ArithmeticPackage, BasicStringPackage,
        BasicIteratorPackage, BasicFnPackage, LogicPackage, BitFieldPackage, BasicMathPackage,
        BasicArrayPackage, BasicMapPackage, MoreStringPackage
    {
        natives::register(module);
        answer::register(module);
        bytes::register(module);
        secret::register(module);
        strict::register(module);
        refuse_sleep(module);
    }
}

static PURE: LazyLock<PurePackage> = LazyLock::new(PurePackage::new);
static EXPRESSIONS: LazyLock<Engine> = LazyLock::new(expression_interpreter);
static STRICT_EXPRESSIONS: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = expression_interpreter();
    engine.on_map_missing_property(absent::read);
    engine
});
static STEPS: LazyLock<Engine> = LazyLock::new(step_interpreter);

/// Returns the interpreter that parses and evaluates expressions: no host modules, no clock.
pub(super) fn expressions() -> &'static Engine {
    &EXPRESSIONS
}

/// Returns the interpreter that evaluates expressions over maps that are marked: see [`absent`].
pub(super) fn strict_expressions() -> &'static Engine {
    &STRICT_EXPRESSIONS
}

fn expression_interpreter() -> Engine {
    let mut engine = pure();
    engine.on_progress(|_| limits::exceeded().map(Dynamic::from));
    engine
}

/// Returns the interpreter that parses step scripts; to run one, use a [`step_interpreter`] of its own.
pub(super) fn steps() -> &'static Engine {
    &STEPS
}

/// Creates the interpreter for one evaluation of a script. This is cheap: the packages and modules are shared.
pub(super) fn step_interpreter() -> Engine {
    let mut engine = pure();
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
    // Or Rhai's own operators would come before those of `strict` and `secret`.
    engine.set_fast_operators(false);
    limits::set(&mut engine);
    engine.disable_symbol("eval");
    // Comes with Rhai's feature `debugging`.
    engine.disable_symbol("back_trace");
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    engine
}

fn refuse_sleep(module: &mut Module) {
    fn refuse() -> Result<(), Box<rhai::EvalAltResult>> {
        Err("`sleep` can't be interrupted; use `time::sleep(\"5s\")`".into())
    }
    FuncRegistration::new("sleep")
        .in_global_namespace()
        .set_into_module(module, |_: i64| refuse());
    FuncRegistration::new("sleep")
        .in_global_namespace()
        .set_into_module(module, |_: f64| refuse());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreters_of_steps_share_their_modules() {
        for (name, module) in host::modules() {
            let before = Arc::strong_count(module);
            let engine = step_interpreter();
            assert!(Arc::strong_count(module) > before, "{name} was copied");
            drop(engine);
        }
    }
}
