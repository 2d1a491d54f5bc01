//! `file`: the run's output folder, and nothing else on the disk.

use rhai::{FuncRegistration, Module, NativeCallContext};

use super::{Thrown, host, on_blocking_thread, perform};
use crate::{
    script::effects::{Call, Class},
    value::{Digest, Secret, Value},
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
    FuncRegistration::new("read").set_into_module(&mut module, read);
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
    let name = name.to_owned();
    let call = Call::new(function, Class::Keyed, record, move |_| async move {
        on_blocking_thread(function, move || {
            let written = files.write(&name, content.as_bytes(), mode)?;
            let certificates = Certificate::read_all(&content).unwrap_or_default();
            Ok(Value::map([
                ("path", written.path.display().to_string().into()),
                ("bytes", Value::Int(written.bytes as i64)),
                ("sha256", written.sha256.to_string().into()),
                (
                    "certificates",
                    Value::List(certificates.iter().map(Certificate::to_value).collect()),
                ),
            ]))
        })
        .await?
    });
    let written = perform(context, call)?;
    Ok(written
        .field("path")
        .map_or_else(String::new, Value::to_text))
}

/// `file::read("root-ca.pem")` gives the text of a file that this or an earlier run wrote.
fn read(context: NativeCallContext, name: &str) -> Result<String, Thrown> {
    let files = host(&context)?.clients.files;
    let owned = name.to_owned();
    let call = Call::new(
        "file::read",
        Class::Read,
        name.into(),
        move |_| async move {
            on_blocking_thread("file::read", move || files.read(&owned))
                .await?
                .map(Value::String)
        },
    );
    Ok(perform(&context, call)?.to_text())
}
