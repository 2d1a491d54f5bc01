//! Finds secrets in whatever leaves a run, however they are written there.
//!
//! - [`Redactor`] knows the secrets of a run (or of one attempt of a step) and takes them out of texts and values;
//! - `parts` says what of a secret is worth finding, `private` which part of a private key is no secret;
//! - `forms` writes a part as others may write it, for an Aho–Corasick automaton;
//! - `views` undoes what escapes change, so that no form is needed for each way to escape.
//!
//! # What is found
//! | what | from |
//! |---|---|
//! | a whole secret | [`LEAST_WHOLE`] bytes: shorter ones are words and numbers, and hiding these would hide more than it keeps |
//! | each line of a secret of several lines | [`LEAST_LINE`] bytes |
//! | each random-looking word in a secret (a token in a URL, a key in a JSON document) | [`LEAST_WORD`] bytes |
//! | the beginning or the end of any of these where it is one long word: it was cut elsewhere | [`LEAST_CUT`] bytes |
//!
//! Each of them as it is; in base64 and base64url at each of the three alignments, padded or not, in one line or several;
//! in hex; and through URL encoding (`%2B`, `+` for a space), JSON and shell escapes, quotes of a shell, and entities of XML, also
//! where one is inside another. Inside of base64 a secret has at least [`LEAST_ENCODED`] bytes.
//!
//! What is public is not hidden: certificates, requests and public keys in a secret, and the public half of a private key.
//!
//! A secret that a run learns later does not change what was recorded before.

mod forms;
mod parts;
mod private;
mod redactor;
mod views;

pub use parts::{LEAST_CUT, LEAST_ENCODED, LEAST_LINE, LEAST_WHOLE, LEAST_WORD};
pub use redactor::Redactor;
