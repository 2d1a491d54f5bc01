use rhai::{
    Dynamic, EvalAltResult, Module, NativeCallContext, Position, RhaiFunc, RhaiNativeFunc, Shared,
};

use super::Thrown;
use crate::effects::Stop;

/// Registers a host function, as Rhai's type of the same name does, but gives its errors the position of the call. Rhai itself
/// omits the position if a call names a module.
pub(super) struct FuncRegistration(rhai::FuncRegistration);

/// A [`Stop`] with the place of the call that was stopped. Rhai overwrites the position of an error that no script
/// can catch.
#[derive(Clone)]
pub(crate) struct Halt {
    pub stop: Stop,
    /// The script or module that made the call; empty if it has no name.
    pub source: String,
    pub position: Position,
}

impl FuncRegistration {
    pub fn new(name: &str) -> Self {
        Self(rhai::FuncRegistration::new(name))
    }

    pub fn set_into_module<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
        self,
        module: &mut Module,
        function: FUNC,
    ) where
        R: Clone + Send + Sync + 'static,
        FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let types = FUNC::param_types();
        let placed = match function.into_rhai_function(true, false) {
            RhaiFunc::Pure { func, .. } => RhaiFunc::Pure {
                func: Shared::new(
                    move |context: Option<NativeCallContext>, arguments: &mut [&mut Dynamic]| {
                        let caller = context.as_ref().map(caller);
                        func(context, arguments).map_err(|thrown| place(thrown, caller))
                    },
                ),
                has_context: true,
                is_pure: true,
                is_volatile: false,
            },
            // Only a function that changes its first argument needs another registration.
            other => other,
        };
        self.0.set_into_module_raw(module, types, placed);
    }
}

fn caller(context: &NativeCallContext) -> (String, Position) {
    let source = context.call_source().unwrap_or_default();
    (source.to_owned(), context.call_position())
}

fn place(mut thrown: Thrown, caller: Option<(String, Position)>) -> Thrown {
    let Some((source, position)) = caller else {
        return thrown;
    };
    if let EvalAltResult::ErrorTerminated(token, _) = &mut *thrown
        && let Some(stop) = token.clone().try_cast::<Stop>()
    {
        *token = Dynamic::from(Halt {
            stop,
            source,
            position,
        });
    }
    if thrown.position().is_none() {
        thrown.set_position(position);
    }
    thrown
}
