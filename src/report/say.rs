use std::{
    borrow::Cow,
    env,
    io::Write,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::plain::styled;

/// Prints to people, on stderr: colours, but nothing else that controls a terminal. If stderr is closed, a rotation must not stop; `eprintln!` would panic.
pub fn say(text: &str) {
    let shown = for_people(text);
    let shown = styled(&shown, console::colors_enabled_stderr());
    let _ = std::io::stderr().lock().write_all(shown.as_bytes());
}

/// Returns a text that the reader's terminal can show: if the locale is not UTF-8, our own signs are replaced by ASCII. Texts of scripts and other
/// programs are not changed.
pub fn for_people(text: &str) -> Cow<'_, str> {
    if *IS_UTF8 || text.is_ascii() {
        text.into()
    } else {
        in_ascii(text).into()
    }
}

/// Says whether the reader's terminal shows UTF-8.
pub(super) fn is_utf8() -> bool {
    *IS_UTF8
}

/// Replaces signs by ASCII from now on, whatever the locale is.
pub fn use_ascii() {
    WANTS_ASCII.store(true, Ordering::Relaxed);
}

static WANTS_ASCII: AtomicBool = AtomicBool::new(false);

static IS_UTF8: LazyLock<bool> = LazyLock::new(|| {
    let is_dumb = env::var("TERM").is_ok_and(|terminal| terminal == "dumb");
    if WANTS_ASCII.load(Ordering::Relaxed) || is_dumb {
        return false;
    }
    let named = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    speaks_utf8(named.as_deref())
});

/// Containers set no locale, and their terminals show UTF-8.
fn speaks_utf8(locale: Option<&str>) -> bool {
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn in_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '✓' => out.push('+'),
            '✗' | '×' => out.push('x'),
            '▸' => out.push('>'),
            '↻' => out.push('~'),
            '·' => out.push('.'),
            '…' => out.push_str("..."),
            '→' => out.push_str("->"),
            '←' => out.push_str("<-"),
            '─' | '━' | '╸' | '╴' | '╶' => out.push('-'),
            '│' | '╵' | '╷' => out.push('|'),
            '●' => out.push('*'),
            '▲' => out.push('^'),
            '╭' | '╰' | '╮' | '╯' | '├' | '┬' | '┴' | '┤' | '┼' => {
                out.push('+');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_signs_are_ascii_where_the_locale_is_not_utf8() {
        for locale in [None, Some("C.UTF-8"), Some("en_US.utf8")] {
            assert!(speaks_utf8(locale), "{locale:?}");
        }
        for locale in [Some("C"), Some("POSIX"), Some("de_DE.ISO-8859-1")] {
            assert!(!speaks_utf8(locale), "{locale:?}");
        }
        assert_eq!(in_ascii("✓ a → Zürich…"), "+ a -> Zürich...");
    }
}
