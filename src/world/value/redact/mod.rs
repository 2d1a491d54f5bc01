//! Finds secrets in everything that leaves a run, in any encoding.
//!
//! - [`Redactor`] knows the secrets of a run (or of one attempt of a step) and removes them from texts and values;
//! - `parts` decides which parts of a secret are searched for, `private` which part of a private key is not secret;
//! - `forms` encodes a part as others may encode it, for an Aho–Corasick automaton;
//! - `views` undoes escapes, so that not every escaped form has to be searched for.
//!
//! # What is found
//! | what | minimum length |
//! |---|---|
//! | a whole secret | [`LEAST_WHOLE`] bytes: shorter ones are words and numbers, and hiding these would make texts unreadable |
//! | each line of a secret of several lines | [`LEAST_LINE`] bytes |
//! | each random-looking word in a secret (a token in a URL, a key in a JSON document) | [`LEAST_WORD`] bytes |
//! | the beginning or the end of any of these, if it is one long word, or not text, and was cut elsewhere | [`LEAST_CUT`] bytes |
//!
//! Each of them is found as it is; in base64 and base64url at each of the three alignments, with or without padding, in one line or several;
//! in hex, also with marks or blanks between the bytes; and through URL encoding (`%2B`, `+` for a space), escapes of JSON, C and shells (octal
//! ones too), shell quotes, and XML entities, also nested. A text is also found in UTF-16 and Latin-1,
//! a secret that is not text where it was read as Latin-1 or as UTF-8.
//! Inside of base64, a secret has at least [`LEAST_ENCODED`] bytes.
//!
//! Public data is not hidden: certificates, requests and public keys in a secret, and the public half of a private key.
//!
//! A secret that a run learns later does not change what was recorded before.

mod forms;
mod parts;
mod private;
mod redactor;
mod views;

pub use parts::{LEAST_CUT, LEAST_ENCODED, LEAST_LINE, LEAST_WHOLE, LEAST_WORD};
pub use redactor::Redactor;
