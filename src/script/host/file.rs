//! `file`: the run's output folder, and nothing else on the disk.

use data_encoding::BASE64;
use rhai::{Dynamic, FuncRegistration, Map, Module, NativeCallContext};

use super::{
    Thrown,
    arguments::refuse,
    host, on_blocking_thread, perform,
    undo::{Done, Reversal},
};
use crate::{
    outside::OutputFolder,
    script::{
        dynamic::{from_dynamic, to_dynamic},
        effects::{Call, Class},
    },
    value::{Digest, Failure, Secret, Value},
    x509::Certificate,
};

/// Certificates and requests are for everyone to read; what holds a secret is not.
const PUBLIC: u32 = 0o644;
const OWNER_ONLY: u32 = 0o600;

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("write").set_into_module(
        &mut module,
        |context: NativeCallContext, name: &str, text: &str| {
            write(&context, "file::write", name, text.to_owned(), PUBLIC)
        },
    );
    FuncRegistration::new("write").set_into_module(
        &mut module,
        |_: NativeCallContext, _: &str, _: Secret| -> Result<String, Thrown> {
            Err("file::write: the content is a secret; use `file::write_secret`, which writes it 0600".into())
        },
    );
    FuncRegistration::new("write_secret").set_into_module(
        &mut module,
        |context: NativeCallContext, name: &str, secret: Secret| {
            write(
                &context,
                "file::write_secret",
                name,
                secret.reveal().to_owned(),
                OWNER_ONLY,
            )
        },
    );
    FuncRegistration::new("write_template").set_into_module(&mut module, write_template);
    FuncRegistration::new("read").set_into_module(&mut module, read);
    FuncRegistration::new("exists").set_into_module(&mut module, exists);
    FuncRegistration::new("list").set_into_module(&mut module, list);
    FuncRegistration::new("remove").set_into_module(&mut module, remove);
    module
}

/// Writes a whole file below the output folder and returns its path. Writing the same again
/// leaves the same, so in doubt it is done again.
fn write(
    context: &NativeCallContext,
    function: &'static str,
    name: &str,
    content: String,
    mode: u32,
) -> Result<String, Thrown> {
    let files = host(context)?.clients.files;
    let record = match mode {
        OWNER_ONLY => Value::map([("name", name.into())]),
        _ => Value::map([
            ("name", name.into()),
            (
                "sha256",
                Digest::of_content(content.as_bytes()).to_string().into(),
            ),
        ]),
    };
    let (name, looked_at) = (name.to_owned(), name.to_owned());
    let operation = format!("write {name}");
    let folder = files.clone();
    // An undo knows what was written by its digest; that of a secret is one too.
    let secret_digest = (mode == OWNER_ONLY).then(|| {
        let digest = Digest::of_content(content.as_bytes());
        Value::Secret(Secret::new(digest.to_string()))
    });
    let call = Call::new(function, Class::Keyed, record, move |key| async move {
        on_blocking_thread(function, move || {
            let written = files.write(&name, content.as_bytes(), mode, key.as_str())?;
            let certificates = Certificate::read_all(&content).unwrap_or_default();
            // The digest of a weak secret would be a way to guess it.
            let digest = written.sha256.to_string();
            let digest = match mode {
                OWNER_ONLY => Value::Secret(Secret::new(digest)),
                _ => digest.into(),
            };
            Ok(Value::map([
                ("path", written.path.display().to_string().into()),
                ("bytes", Value::Int(written.bytes as i64)),
                ("sha256", digest),
                (
                    "certificates",
                    Value::List(certificates.iter().map(Certificate::to_value).collect()),
                ),
            ]))
        })
        .await?
    })
    .remembering(move || async move {
        on_blocking_thread(function, move || {
            // Whoever can't look can't write: it is the write that they asked for.
            let mut before = before(&folder, looked_at).map_err(|failure| Failure {
                operation,
                ..failure
            })?;
            if let (Value::Map(map), Some(digest)) = (&mut before, secret_digest) {
                map.insert("writes".into(), digest);
            }
            Ok(before)
        })
        .await?
    });
    let written = perform(context, call)?;
    Ok(written
        .field("path")
        .map_or_else(String::new, Value::to_text))
}

/// What a file was before it is written: `#{ name }` alone if it was not there.
fn before(files: &OutputFolder, name: String) -> Result<Value, Failure> {
    let mut value = Value::map([("name", name.as_str().into())]);
    if let (Some(found), Value::Map(map)) = (files.snapshot(&name)?, &mut value) {
        map.insert("mode".into(), Value::Int(i64::from(found.mode)));
        // Whether it was secret is not known: so it was.
        let content = found.content.map(|bytes| BASE64.encode(&bytes));
        map.insert(
            "content".into(),
            content.map_or(Value::Null, |text| Value::Secret(Secret::new(text))),
        );
    }
    Ok(value)
}

/// Puts a written file's old content back, or removes it; what somebody changed since is left.
pub(super) fn reversal(function: &str, done: Done, files: &OutputFolder) -> Reversal {
    let was_removed = function == "remove";
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
    let written = written(&done);
    let what = match &old {
        Some(_) => format!("put the old content of {name} back"),
        None => format!("remove {name}"),
    };
    let (files, about) = (files.clone(), name.clone());
    let cut_off = done.key.map(|key| key.as_str().to_owned());
    let call = Call::new(
        "file::restore",
        Class::Keyed,
        about.into(),
        move |key| async move {
            on_blocking_thread("file::restore", move || {
                if let Some(writer) = cut_off {
                    files.clear_after(&name, &writer)?;
                }
                let now = files.digest(&name)?;
                if now.is_some() && now.map(|digest| digest.to_string()) != written {
                    return Ok(Value::from("left as it is: it has been changed since"));
                }
                match old {
                    Some(bytes) => files
                        .write(&name, &bytes, mode.unwrap_or(OWNER_ONLY), key.as_str())
                        .map(|_| Value::Null),
                    None => files.remove(&name).map(|()| Value::Null),
                }
            })
            .await?
        },
    );
    Reversal::By { what, call }
}

/// The digest of what a call wrote, or was about to write.
fn written(done: &Done) -> Option<String> {
    let result = done.result.and_then(|result| result.field("sha256"));
    match result.or(done.before.field("writes")) {
        Some(Value::Secret(digest)) => Some(digest.reveal().to_owned()),
        Some(digest) => Some(digest.to_text()),
        None => done.arguments["sha256"].as_str().map(str::to_owned),
    }
}

/// `file::write_template("app.conf", template, #{ name: … })` puts the values where the template
/// says `{{ name }}`. With a secret among them the file is 0600.
fn write_template(
    context: NativeCallContext,
    name: &str,
    template: &str,
    values: Map,
) -> Result<String, Thrown> {
    const FUNCTION: &str = "file::write_template";
    let values = from_dynamic(&values.into()).map_err(|e| refuse(FUNCTION, e))?;
    let (mut text, mut rest, mut mode) = (String::new(), template, PUBLIC);
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        let end = from
            .find("}}")
            .ok_or_else(|| refuse(FUNCTION, "a `{{` of the template has no `}}`"))?;
        let key = from[2..end].trim();
        let value = values.field(key).ok_or_else(|| {
            refuse(
                FUNCTION,
                format!("the template reads `{key}`, which is not given"),
            )
        })?;
        text.push_str(before);
        match value {
            Value::Secret(secret) => {
                mode = OWNER_ONLY;
                text.push_str(secret.reveal());
            }
            other => text.push_str(&other.to_text()),
        }
        rest = &from[end + 2..];
    }
    text.push_str(rest);
    write(&context, FUNCTION, name, text, mode)
}

/// `file::exists("root-ca.pem")`.
fn exists(context: NativeCallContext, name: &str) -> Result<bool, Thrown> {
    const FUNCTION: &str = "file::exists";
    let (files, owned) = (host(&context)?.clients.files, name.to_owned());
    let call = Call::new(FUNCTION, Class::Read, name.into(), move |_| async move {
        let found = on_blocking_thread(FUNCTION, move || files.exists(&owned)).await??;
        Ok(found.into())
    });
    Ok(perform(&context, call)? == Value::Bool(true))
}

/// `file::list()` gives the names of all files of the output folder, sorted.
fn list(context: NativeCallContext) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "file::list";
    let files = host(&context)?.clients.files;
    let call = Call::new(FUNCTION, Class::Read, Value::Null, move |_| async move {
        on_blocking_thread(FUNCTION, move || files.list())
            .await?
            .map(Value::from)
    });
    Ok(to_dynamic(&perform(&context, call)?))
}

/// `file::remove("old.pem")`; one that is not there is removed already.
fn remove(context: NativeCallContext, name: &str) -> Result<(), Thrown> {
    const FUNCTION: &str = "file::remove";
    let files = host(&context)?.clients.files;
    let (folder, owned, looked_at) = (files.clone(), name.to_owned(), name.to_owned());
    let call = Call::new(FUNCTION, Class::Keyed, name.into(), move |_| async move {
        on_blocking_thread(FUNCTION, move || files.remove(&owned)).await??;
        Ok(Value::Null)
    })
    .remembering(move || async move {
        on_blocking_thread(FUNCTION, move || before(&folder, looked_at)).await?
    });
    perform(&context, call).map(|_| ())
}

/// `file::read("root-ca.pem")` gives the text of a file that this or an earlier run wrote: a secret
/// if nobody but its owner may read the file.
fn read(context: NativeCallContext, name: &str) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "file::read";
    let files = host(&context)?.clients.files;
    let owned = name.to_owned();
    let call = Call::new(FUNCTION, Class::Read, name.into(), move |_| async move {
        let (text, mode) = on_blocking_thread(FUNCTION, move || files.read(&owned)).await??;
        Ok(match mode & !OWNER_ONLY & 0o777 {
            0 => Value::Secret(Secret::new(text)),
            _ => Value::String(text),
        })
    });
    Ok(to_dynamic(&perform(&context, call)?))
}
