use std::fmt::Display;

/// Logs the failures of something that is retried: when they begin, when the reason changes, and when they end, rather than
/// at every attempt.
pub struct Trouble {
    what: &'static str,
    last: Option<String>,
}

impl Trouble {
    /// Makes a log without failures. `what` names what is tried, as in "can't {what}".
    pub fn with(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Records how the latest attempt ended. Returns whether this was logged.
    pub fn note<T, E: Display>(&mut self, result: &Result<T, E>) -> bool {
        let what = self.what;
        match result {
            Ok(_) => {
                let was_there = self.last.take().is_some();
                if was_there {
                    tracing::info!("no longer failing: {what}");
                }
                was_there
            }
            Err(error) => {
                let error = error.to_string();
                let is_new = self.last.as_ref() != Some(&error);
                if is_new {
                    tracing::warn!(%error, "can't {what}; retrying");
                    self.last = Some(error);
                }
                is_new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_when_it_changes() {
        let mut trouble = Trouble::with("read the runs");
        let story: [(Result<(), &str>, bool); 7] = [
            (Ok(()), false),
            (Err("locked"), true),
            (Err("locked"), false),
            (Err("full"), true),
            (Ok(()), true),
            (Ok(()), false),
            (Err("full"), true),
        ];
        for (result, is_logged) in story {
            assert_eq!(trouble.note(&result), is_logged, "{result:?}");
        }
    }
}
