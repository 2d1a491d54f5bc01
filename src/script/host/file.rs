//! `file`: reads and writes files in the run's output folder, and nowhere else.

use data_encoding::BASE64;
use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    Thrown,
    arguments::refuse,
    function::{
        Changing, Doubt, Function, Gives,
        Impact::{self, Reads},
        Needs, Parameter, Reversible,
        ValueKind::{self, Any, Bool, Either, List, Text},
        required,
    },
    host,
    in_use::serials_in,
    on_blocking_thread, perform, rejected,
    undo::{Done, Judgement, Reversal, Reversed, WayBack},
};
use crate::{
    dynamic::{from_dynamic, to_dynamic},
    effects::Call,
};
use windlass_world::{
    outside::{Clients, MAX_SNAPSHOT_BYTES, OutputFolder, check_output_name},
    value::{Bytes, Digest, Failure, MASK, Secret, Value},
    x509::Certificate,
};

/// The mode of certificates and requests, which everyone may read; files with secrets have another mode.
const PUBLIC: u32 = 0o644;
const OWNER_ONLY: u32 = 0o600;

const NAME: Parameter = required("name", Text, "a path below the output folder");
/// The name of a file that is written or removed; a read also takes the whole path that a write returned.
const WRITTEN_NAME: Parameter = required(
    "name",
    ValueKind::Form(check_output_name),
    "a path below the output folder",
);
const PATH: Gives = Gives::new(Text, "the path of the file");

const fn writes() -> Impact {
    Impact::Changes(Changing::new(
        Doubt::Again("repeated: writing the same content again changes nothing"),
        Reversible::By(
            "the file gets its earlier content back, or is removed; a file that has changed since then stays",
            of_writing,
        ),
    ))
}

/// The name of the call that restores a file.
pub(super) const RESTORE: &str = "file::restore";

pub(super) static TABLE: [Function; 8] = [
    Function {
        name: "file::exists",
        about: "Returns whether a file exists.",
        takes: &[NAME],
        gives: Gives::new(Bool, ""),
        does: Reads,
        needs: Needs::Nothing,
        example: "let is_there = file::exists(\"root-ca.pem\");",
        bind: |b| b.with(exists),
    },
    Function {
        name: "file::list",
        about: "Lists all files of the output folder.",
        takes: &[],
        gives: Gives::new(List(&Text), "their names, sorted"),
        does: Reads,
        needs: Needs::Nothing,
        example: "let names = file::list();",
        bind: |b| b.with(list),
    },
    Function {
        name: "file::read",
        about: "Reads a text file that this or an earlier run wrote.",
        takes: &[NAME],
        gives: Gives::new(
            Either(&[Text, ValueKind::Secret]),
            "a secret if only the file's owner may read it",
        ),
        does: Reads,
        needs: Needs::Nothing,
        example: "let pem = file::read(\"root-ca.pem\");",
        bind: |b| b.with(read),
    },
    Function {
        name: "file::read_bytes",
        about: "Reads a file as bytes.",
        takes: &[NAME],
        gives: Gives::new(
            Either(&[ValueKind::Bytes, ValueKind::Secret]),
            "a secret if only the file's owner may read it",
        ),
        does: Reads,
        needs: Needs::Nothing,
        example: "let keystore = file::read_bytes(\"keystore.p12\");",
        bind: |b| b.with(read_bytes),
    },
    Function {
        name: "file::remove",
        about: "Removes a file; it is not an error if the file does not exist.",
        takes: &[WRITTEN_NAME],
        gives: Gives::NOTHING,
        does: Impact::Changes(Changing::new(
            Doubt::Again("repeated: it is not an error if the file no longer exists"),
            Reversible::By(
                "the file gets its content back, unless another file has its name by then",
                of_removal,
            ),
        )),
        needs: Needs::Nothing,
        example: "file::remove(\"old.pem\");",
        bind: |b| b.with(remove),
    },
    Function {
        name: "file::write",
        about: "Writes a file, with mode 0644. A secret is rejected: use `file::write_secret`.",
        takes: &[
            WRITTEN_NAME,
            required("text", Either(&[Text, ValueKind::Bytes]), ""),
        ],
        gives: PATH,
        does: writes(),
        needs: Needs::Nothing,
        example: "let path = file::write(\"root-ca.pem\", inputs.certificate);",
        bind: |b| {
            b.with(|context: NativeCallContext, name: &str, text: &str| {
                let content = text.as_bytes().to_vec();
                write(&context, "file::write", name, content, PUBLIC)
            })
            .with(|context: NativeCallContext, name: &str, bytes: Bytes| {
                write(&context, "file::write", name, bytes.to_vec(), PUBLIC)
            })
            .with(|_: NativeCallContext, _: &str, _: Secret| -> Result<String, Thrown> {
                Err("file::write: the content is a secret; use `file::write_secret`, which writes it with mode 0600".into())
            })
        },
    },
    Function {
        name: "file::write_secret",
        about: "Writes a secret to a file, with mode 0600.",
        takes: &[WRITTEN_NAME, required("secret", ValueKind::Secret, "")],
        gives: PATH,
        does: writes(),
        needs: Needs::Nothing,
        example: "let path = file::write_secret(\"relay.key\", inputs.key);",
        bind: |b| {
            b.with(|context: NativeCallContext, name: &str, secret: Secret| {
                let content = secret.reveal_bytes().to_vec();
                write(&context, "file::write_secret", name, content, OWNER_ONLY)
            })
        },
    },
    Function {
        name: "file::write_template",
        about: "Writes a template with a value in place of each `{{ NAME }}`, with mode 0644, or 0600 if a value is a secret.",
        takes: &[
            WRITTEN_NAME,
            required("template", Text, ""),
            required("values", ValueKind::Map(&Any), "by name"),
        ],
        gives: PATH,
        does: writes(),
        needs: Needs::Nothing,
        example: "let path = file::write_template(\"app.conf\", \"user = {{ user }}\", #{ user: inputs.user });",
        bind: |b| b.with(write_template),
    },
];

/// Writes a whole file below the output folder and returns its path. Repeating the write leaves the same
/// file, so a write in doubt is repeated.
fn write(
    context: &NativeCallContext,
    function: &'static str,
    name: &str,
    content: Vec<u8>,
    mode: u32,
) -> Result<String, Thrown> {
    let files = host(context)?.clients.files;
    if content
        .windows(MASK.len())
        .any(|part| part == MASK.as_bytes())
    {
        let why = format!("the text contains {MASK}, the mask of a secret");
        return Err(refuse(function, why));
    }
    let record = match mode {
        OWNER_ONLY => Value::map([("name", name.into())]),
        _ => Value::map([
            ("name", name.into()),
            ("sha256", Digest::of_content(&content).to_string().into()),
        ]),
    };
    let left = content.clone();
    let (name, looked_at, above) = (name.to_owned(), name.to_owned(), name.to_owned());
    let operation = format!("write {name}");
    let folder = files.clone();
    // An undo recognises what was written by its digest; the digest of a secret is a secret too.
    let secret_digest = (mode == OWNER_ONLY).then(|| {
        let digest = Digest::of_content(&content);
        Value::Secret(Secret::new(digest.to_string()))
    });
    let call = Call::of(function, record, move |key| async move {
        on_blocking_thread(function, move || {
            let written = files.write(&name, &content, mode, key.as_str())?;
            let certificates = Certificate::read_all(&content).unwrap_or_default();
            // A plain digest would allow guessing a weak secret.
            let digest = written.sha256.to_string();
            let digest = match mode {
                OWNER_ONLY => Value::Secret(Secret::new(digest)),
                _ => digest.into(),
            };
            let entries = [
                ("path", written.path.display().to_string().into()),
                ("bytes", Value::Int(written.bytes as i64)),
                ("sha256", digest),
                (
                    "certificates",
                    Value::List(certificates.iter().map(Certificate::to_value).collect()),
                ),
            ];
            let folder = files.identity().map(|id| (FOLDER, id.into()));
            Ok(Value::map(entries.into_iter().chain(folder)))
        })
        .await?
    })
    .remembering(move || async move {
        on_blocking_thread(function, move || {
            // A file that can't be read can't be written either, and the write reports the error.
            let mut before = before(&folder, looked_at).map_err(|failure| Failure {
                operation,
                ..failure
            })?;
            if let Value::Map(map) = &mut before {
                let kept = folder.empty_folder_above(&above)?;
                map.extend(kept.map(|kept| ("keeps".to_owned(), kept.into())));
                map.extend(secret_digest.map(|digest| ("writes".to_owned(), digest)));
            }
            Ok(before)
        })
        .await?
    })
    .replaced_if(move |first, again| replaces(first, again, Some(&left)));
    let written = perform(context, call)?;
    Ok(written
        .field("path")
        .map_or_else(String::new, Value::to_text))
}

/// The folder of a worker that wrote a file, in the record of the call.
const FOLDER: &str = "folder";
const ELSEWHERE: &str = "the folder of this worker is another one than that of the worker that did it: reverse it there, or have the workers share a folder (--out)";

/// Returns the state of a file before it is written: `#{ name }` alone if it did not exist.
fn before(files: &OutputFolder, name: String) -> Result<Value, Failure> {
    let mut value = Value::map([("name", name.as_str().into())]);
    if let (Some(found), Value::Map(map)) = (files.snapshot(&name)?, &mut value) {
        map.insert("mode".into(), Value::Int(i64::from(found.mode)));
        // It is not known whether the content was secret, so it is treated as secret.
        let content = found.content.map(|bytes| BASE64.encode(&bytes));
        map.insert(
            "content".into(),
            content.map_or(Value::Null, |text| Value::Secret(Secret::new(text))),
        );
    }
    Ok(value)
}

/// Says whether the state of a file before the repetition of a call in doubt replaces the state before the call: it is neither that state
/// nor has it the content that the call leaves (`None` if it removes the file), so others have changed the file since.
fn replaces(first: &Value, again: &Value, left: Option<&[u8]>) -> bool {
    let content = |of: &Value| match of.field("content") {
        None => Content::None,
        Some(Value::Secret(content)) => Content::Known(content.reveal().to_owned()),
        Some(_) => Content::TooLarge,
    };
    let now = content(again);
    let is_left = match (&now, left) {
        (Content::None, left) => left.is_none(),
        (Content::Known(now), Some(left)) => *now == BASE64.encode(left),
        (Content::TooLarge, Some(left)) => left.len() as u64 > MAX_SNAPSHOT_BYTES,
        (_, None) => false,
    };
    !is_left && (now != content(first) || again.field("mode") != first.field("mode"))
}

/// What is recorded of the content of a file.
#[derive(PartialEq)]
enum Content {
    /// There is no file.
    None,
    Known(String),
    TooLarge,
}

fn of_writing(done: Done, clients: &Clients) -> Reversal {
    reversal(done, &clients.files, false)
}

fn of_removal(done: Done, clients: &Clients) -> Reversal {
    reversal(done, &clients.files, true)
}

/// Restores the old content of a written file, or removes the file. A file that has been changed since is left alone.
fn reversal(done: Done, files: &OutputFolder, was_removed: bool) -> Reversal {
    let name = done
        .before
        .field("name")
        .map_or_else(String::new, Value::to_text);
    let mode = match done.before.field("mode") {
        Some(Value::Int(mode)) => u32::try_from(*mode).ok(),
        _ => None,
    };
    let old = match done.before.field("content") {
        Some(Value::Secret(text)) => match BASE64.decode(text.reveal().as_bytes()) {
            Ok(bytes) => Some(bytes),
            Err(_) => return Reversal::never(format!("{name}: its old content is damaged")),
        },
        Some(_) => {
            return Reversal::never(format!("{name}: its old content was too large to keep"));
        }
        None => None,
    };
    if was_removed && old.is_none() {
        return Reversal::Nothing;
    }
    // The file as the run left it: `None` if the run removed it, or if the journal is from an older version that does not record it.
    let written = if was_removed { None } else { written(&done) };
    let what = match &old {
        Some(_) => format!("restore the old content of {name}"),
        None => format!("remove {name}"),
    };
    let mode = mode.unwrap_or(OWNER_ONLY);
    let was = old.as_ref().map_or(Value::Null, |bytes| {
        state(&Digest::of_content(bytes).to_string(), mode)
    });
    // What the run wrote has a mode of its own.
    let own_mode = match &done.arguments["sha256"] {
        serde_json::Value::String(_) => PUBLIC,
        _ => OWNER_ONLY,
    };
    let as_written = written.as_ref().map(|digest| state(digest, own_mode));
    let kept = done.before.field("keeps").map(Value::to_text);
    // What another worker wrote to a folder of its own is not seen here.
    let folder = done.result.and_then(|result| result.field(FOLDER));
    let is_elsewhere = folder.is_some_and(|id| files.identity().as_deref() != id.as_str());
    let (looker, looked_at) = (files.clone(), name.clone());
    let (tidier, tidied) = (files.clone(), name.clone());
    let (reader, read) = (files.clone(), name.clone());
    let (files, about) = (files.clone(), Value::from(name.as_str()));
    let cut_off = done.key.map(|key| key.as_str().to_owned());
    Reversal::By(
        WayBack::new(
            what,
            (RESTORE, about),
            format!("file {name}"),
            move || {
                let (files, name) = (looker.clone(), looked_at.clone());
                async move {
                    let found = on_blocking_thread(RESTORE, move || files.digest(&name)).await??;
                    Ok(found.map_or(Value::Null, |(digest, mode)| {
                        state(&digest.to_string(), mode)
                    }))
                }
            },
            move |now| {
                let digest = |of: &Value| of.field("sha256").cloned();
                match now {
                    now if is_elsewhere => Judgement::left(ELSEWHERE, now),
                    now if *now == was => {
                        Judgement::already("it is already as before the run", now)
                    }
                    Value::Null if was_removed => Judgement::goes(was.clone()),
                    Value::Null => Judgement::left("it has been removed since the run", now),
                    // The same content as before, with the mode of what the run wrote.
                    now if Some(now) == as_written.as_ref() => Judgement::goes(was.clone()),
                    now if digest(now) == digest(&was) => {
                        Judgement::already("it is already as before the run", now)
                    }
                    now if as_written.as_ref().and_then(digest) == digest(now) => {
                        Judgement::goes(was.clone())
                    }
                    now => Judgement::left("it has been changed since the step ran", now),
                }
            },
            move |_, key| {
                let (files, name, old) = (files.clone(), name.clone(), old.clone());
                let kept = kept.clone();
                async move {
                    on_blocking_thread(RESTORE, move || match old {
                        Some(bytes) => files
                            .write(&name, &bytes, mode, key.as_str())
                            .map(|_| Reversed::Done),
                        None => files
                            .remove(&name, kept.as_deref())
                            .map(|()| Reversed::Done),
                    })
                    .await?
                }
            },
        )
        .after(move || {
            let (files, name, writer) = (tidier.clone(), tidied.clone(), cut_off.clone());
            async move {
                let Some(writer) = writer else { return Ok(()) };
                on_blocking_thread(RESTORE, move || files.clear_after(&name, &writer)).await?
            }
        })
        .using(move |_| {
            let (files, name) = (reader.clone(), read.clone());
            async move {
                let found = on_blocking_thread(RESTORE, move || files.snapshot(&name)).await??;
                let content = found.and_then(|found| found.content);
                Ok(content.map_or_else(Vec::new, |content| serials_in(&content)))
            }
        }),
    )
}

/// Returns the state of a file, as an undo compares it.
fn state(digest: &str, mode: u32) -> Value {
    Value::map([
        ("sha256", digest.into()),
        ("mode", Value::Int(i64::from(mode))),
    ])
}

/// Returns the digest of what a call wrote, or was about to write.
fn written(done: &Done) -> Option<String> {
    let result = done.result.and_then(|result| result.field("sha256"));
    match result.or(done.before.field("writes")) {
        Some(Value::Secret(digest)) => Some(digest.reveal().to_owned()),
        Some(digest) => Some(digest.to_text()),
        None => done.arguments["sha256"].as_str().map(str::to_owned),
    }
}

/// Implements `file::write_template("app.conf", template, #{ name: … })`, which replaces `{{ name }}` in the template
/// by the value. If one of the values is a secret, the file has mode 0600.
fn write_template(
    context: NativeCallContext,
    name: &str,
    template: &str,
    values: Map,
) -> Result<String, Thrown> {
    const FUNCTION: &str = "file::write_template";
    let values = from_dynamic(&values.into()).map_err(|e| refuse(FUNCTION, e))?;
    let (mut content, mut rest, mut mode) = (Vec::new(), template, PUBLIC);
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        let end = from
            .find("}}")
            .ok_or_else(|| refuse(FUNCTION, "a `{{` of the template has no `}}`"))?;
        let key = from[2..end].trim();
        let value = values.field(key).ok_or_else(|| {
            refuse(
                FUNCTION,
                format!("the template reads `{key}`, but there is no such value"),
            )
        })?;
        content.extend_from_slice(before.as_bytes());
        match value {
            Value::Secret(secret) => {
                mode = OWNER_ONLY;
                content.extend_from_slice(secret.reveal_bytes());
            }
            other if other.holds_secret() => {
                mode = OWNER_ONLY;
                other
                    .check_sayable("JSON")
                    .map_err(|why| refuse(FUNCTION, format!("`{key}`: {why}")))?;
                content.extend(other.revealed().to_text().into_bytes());
            }
            Value::Bytes(_) => {
                return Err(refuse(
                    FUNCTION,
                    format!("`{key}` must be a string, not bytes"),
                ));
            }
            other => content.extend(other.to_text().into_bytes()),
        }
        rest = &from[end + 2..];
    }
    content.extend_from_slice(rest.as_bytes());
    write(&context, FUNCTION, name, content, mode)
}

/// Implements `file::exists("root-ca.pem")`.
fn exists(context: NativeCallContext, name: &str) -> Result<bool, Thrown> {
    const FUNCTION: &str = "file::exists";
    let (files, owned) = (host(&context)?.clients.files, name.to_owned());
    let call = Call::of(FUNCTION, name.into(), move |_| async move {
        let found = on_blocking_thread(FUNCTION, move || files.exists(&owned)).await??;
        Ok(found.into())
    });
    Ok(perform(&context, call)? == Value::Bool(true))
}

/// Implements `file::list()`, which returns the names of all files in the output folder, sorted.
fn list(context: NativeCallContext) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "file::list";
    let files = host(&context)?.clients.files;
    let call = Call::of(FUNCTION, Value::Null, move |_| async move {
        on_blocking_thread(FUNCTION, move || files.list())
            .await?
            .map(Value::from)
    });
    Ok(to_dynamic(&perform(&context, call)?))
}

/// Implements `file::remove("old.pem")`; a file that does not exist counts as removed.
fn remove(context: NativeCallContext, name: &str) -> Result<(), Thrown> {
    const FUNCTION: &str = "file::remove";
    let files = host(&context)?.clients.files;
    let (folder, owned, looked_at) = (files.clone(), name.to_owned(), name.to_owned());
    let call = Call::of(FUNCTION, name.into(), move |_| async move {
        on_blocking_thread(FUNCTION, move || {
            files.remove(&owned, None)?;
            let folder = files.identity().map(|id| Value::map([(FOLDER, id.into())]));
            Ok(folder.unwrap_or_default())
        })
        .await?
    })
    .remembering(move || async move {
        on_blocking_thread(FUNCTION, move || before(&folder, looked_at)).await?
    })
    .replaced_if(|first, again| replaces(first, again, None));
    perform(&context, call).map(|_| ())
}

/// Implements `file::read("root-ca.pem")`, which returns the text of a file that this or an earlier run wrote: as a
/// secret if only its owner may read the file.
fn read(context: NativeCallContext, name: &str) -> Result<Dynamic, Thrown> {
    read_as(&context, "file::read", name, |content, function| {
        String::from_utf8(content).map(Value::String).map_err(|e| {
            rejected(
                function,
                "NotText",
                format!("the file is not UTF-8: {}", e.utf8_error()),
            )
            .with_hint("use `file::read_bytes`")
        })
    })
}

/// Implements `file::read_bytes("keystore.p12")`, which returns bytes instead of the text of [`read`].
fn read_bytes(context: NativeCallContext, name: &str) -> Result<Dynamic, Thrown> {
    read_as(&context, "file::read_bytes", name, |content, _| {
        Ok(Bytes::new(content).into())
    })
}

fn read_as(
    context: &NativeCallContext,
    function: &'static str,
    name: &str,
    value: fn(Vec<u8>, &str) -> Result<Value, Failure>,
) -> Result<Dynamic, Thrown> {
    let files = host(context)?.clients.files;
    let owned = name.to_owned();
    let call = Call::of(function, name.into(), move |_| async move {
        let (content, mode) = on_blocking_thread(function, move || files.read(&owned)).await??;
        let value = value(content, function)?;
        Ok(match mode & !OWNER_ONLY & 0o777 {
            0 => value.tainted(),
            _ => value,
        })
    });
    Ok(to_dynamic(&perform(context, call)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_since_is_told_from_what_the_call_left() {
        let file = |content: &[u8]| {
            let content = Value::Secret(Secret::new(BASE64.encode(content)));
            Value::map([("mode", Value::Int(0o644)), ("content", content)])
        };
        let none = Value::map([("name", "x".into())]);
        let left = Some(&b"new"[..]);
        for (first, again) in [
            (&none, &none),
            (&file(b"old"), &file(b"old")),
            (&file(b"old"), &file(b"new")),
        ] {
            assert!(!replaces(first, again, left));
        }
        assert!(replaces(&none, &file(b"mine"), left));
        assert!(replaces(&file(b"old"), &none, left));
        // It was to be removed, and was, or has been written since.
        assert!(!replaces(&file(b"old"), &none, None));
        assert!(replaces(&file(b"old"), &file(b"mine"), None));
    }
}
