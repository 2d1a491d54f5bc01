//! Turns Rhai's errors into the errors of this crate.

use rhai::{Dynamic, EvalAltResult, Position};

use super::{
    dynamic::masked,
    effects::Stop,
    host::{Halt, WRONG_ARGUMENTS, failure_of},
    interpolation::position_in,
    interpreter,
    limits::Exceeded,
    script::{Script, lowercase_first},
    secret::named,
};
use windlass_world::value::{Place, StepError};

/// Turns an evaluation error into what is journaled and shown; returns a [`Stop`] unchanged, with the
/// place of the call that was stopped.
pub(super) fn explain(
    script: &Script,
    error: EvalAltResult,
) -> Result<StepError, (Stop, Option<Place>)> {
    if let EvalAltResult::ErrorTerminated(token, _) = &error
        && !token.is::<Exceeded>()
    {
        return Err(stopped(script, token));
    }
    let mut chain = Vec::new();
    let mut error = error;
    let mut source = script.path.to_string();
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, from, inner, position) => {
                if !name.starts_with("anon$") {
                    chain.push(at(
                        script,
                        &source,
                        &format!("in `{name}`, called"),
                        position,
                    ));
                }
                if !from.is_empty() {
                    source = from;
                }
                error = *inner;
            }
            EvalAltResult::ErrorInModule(path, inner, position) => {
                chain.push(at(
                    script,
                    &source,
                    &format!("in module `{path}`, imported"),
                    position,
                ));
                error = *inner;
            }
            inner => {
                error = inner;
                break;
            }
        }
    }
    // The outermost entry is our own call of `run`, which has no position.
    chain.retain(|entry| !entry.is_empty());
    chain.reverse();
    let place = place_of(script, &source, error.position());
    let mut explained = describe(error);
    explained.place = place;
    explained.chain = chain;
    Ok(explained)
}

fn at(script: &Script, source: &str, what: &str, position: Position) -> String {
    place_of(script, source, position)
        .map_or_else(String::new, |place| format!("{what} at {place}"))
}

/// Returns the place, in a script or in a module that it imports, of a position from Rhai.
pub(super) fn place_of(script: &Script, source: &str, position: Position) -> Option<Place> {
    let text = if source == &*script.path {
        Some(&script.text)
    } else {
        let mut modules = script.imports.0.values();
        modules
            .find(|module| *module.file == *source)
            .map(|module| &module.text)
    };
    let position = text.map_or(position, |text| {
        position_in(interpreter::steps(), text, position)
    });
    let (line, column) = if source == &*script.path {
        script.places.line_and_column(&script.text, position)?
    } else {
        (position.line()?, position.position().unwrap_or(1))
    };
    Some(Place {
        file: source.into(),
        line,
        column,
    })
}

fn describe(mut error: EvalAltResult) -> StepError {
    match &error {
        EvalAltResult::ErrorTerminated(token, _) if token.is::<Exceeded>() => {
            let exceeded = token.clone().try_cast::<Exceeded>();
            over(exceeded.unwrap_or(Exceeded::Operations(0)))
        }
        EvalAltResult::ErrorRuntime(thrown, _) => describe_thrown(thrown),
        EvalAltResult::ErrorStackOverflow(_) => {
            StepError::new("script-limit", "the script's calls are nested too deeply")
                .with_hint("check for a function that calls itself without end")
        }
        EvalAltResult::ErrorDataTooLarge(..) => {
            let _ = error.take_position();
            StepError::new("script-limit", lowercase_first(&error.to_string()))
                .with_hint("write large data to a file instead")
        }
        _ => {
            let _ = error.take_position();
            let described = StepError::new("script-error", lowercase_first(&named(&error)));
            match &error {
                EvalAltResult::ErrorFunctionNotFound(signature, _)
                    if signature.contains("Secret") =>
                {
                    described.with_hint(
                        "this function does not accept a secret, because its result would be plain text; pass the secret on unchanged",
                    )
                }
                _ => described,
            }
        }
    }
}

fn stopped(script: &Script, token: &Dynamic) -> (Stop, Option<Place>) {
    match token.clone().try_cast::<Halt>() {
        Some(halt) => {
            let place = place_of(script, &halt.source, halt.position);
            (halt.stop, place)
        }
        None => (
            token.clone().try_cast::<Stop>().unwrap_or(Stop::Cancelled),
            None,
        ),
    }
}

fn over(exceeded: Exceeded) -> StepError {
    let error = StepError::new("script-limit", format!("the script uses {exceeded}"));
    error.with_hint(match exceeded {
        Exceeded::Operations(_) => {
            "check for an endless loop; a step script is for calls and waits, not for computations"
        }
        Exceeded::Memory(_) => "write large data to a file instead, or split it with `for_each`",
    })
}

fn describe_thrown(thrown: &Dynamic) -> StepError {
    match failure_of(thrown) {
        Some(failure) => {
            let mut error = if failure.code == WRONG_ARGUMENTS {
                let message = format!("{}: {}", failure.operation, failure.message);
                StepError::new("wrong-arguments", message)
            } else {
                StepError::new("outside-failure", failure.to_string())
            };
            error.hint = failure.hint.clone();
            error.failure = Some(failure);
            error
        }
        None => StepError::new("script-threw", masked(thrown)),
    }
}
