//! `windlass audit`: verifies the journal of a run, and writes its evidence for others.

mod timestamp;

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::{
    Done,
    archive::Archive,
    args::{Args, Audit},
    failure::Failure,
    print,
};
use crate::{
    journal, report,
    runs::{Bundle, Checked, refuse_other_list},
    value::Command,
    x509::{Certificate, public_key, sign},
};
use windlass_ground::disk;

/// How a public key begins in PEM.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----";

/// `windlass audit [RUN] [--bundle FILE]` and `windlass audit --verify FILE`.
pub fn audit(args: &Args, command: &Audit) -> Done {
    let roots = match &command.timestamp_ca {
        Some(path) => roots(path)?,
        None => Vec::new(),
    };
    let (bundle, checked) = match &command.verify {
        Some(path) => verify(path, &roots)?,
        None => collect(args, command, &roots)?,
    };
    if !roots.is_empty() && bundle.timestamps.is_empty() {
        let message = format!("the bundle of run {} has no timestamp", bundle.run);
        return Err(Failure::new("timestamp", message));
    }
    if let Some(path) = &command.signer {
        let text = read(path)?;
        if text.matches(PUBLIC_KEY).count() > 1 {
            return Err(unusable(path, &"it holds several public keys; give one"));
        }
        let key = public_key(&text).map_err(|e| unusable(path, &e))?;
        refuse_other_signers(&bundle, &key, path)?;
    }
    if let Some(path) = &command.bundle {
        let text = serde_json::to_string_pretty(&bundle)
            .map_err(|e| Failure::new("output", format!("can't write the bundle: {e}")))?;
        if path == Path::new("-") {
            return print(&report::json_text(&text));
        }
        write(path, text + "\n")
            .map_err(|e| Failure::new("output", format!("can't write {}: {e}", path.display())))?;
        let verify = Command::new("audit").option("--verify", path.display());
        say!("wrote {}. To check it: {verify}", path.display());
    }
    let Checked {
        state,
        records,
        proof,
    } = checked;
    print(&if command.json {
        let json = report::audit_json(&bundle.run, &state, &records, &proof);
        report::json_text(&json)
    } else {
        report::audit(&bundle.run, &state, &records, &proof)
    })
}

/// Writes a bundle all or nothing: an earlier one may be all the evidence that there is. A file keeps its permissions; a new one gets those of the
/// umask. A pipe or a device is written to.
fn write(path: &Path, text: String) -> io::Result<()> {
    let found = match fs::metadata(path) {
        Ok(found) if !found.is_file() => return fs::write(path, text),
        Ok(found) => Some(found),
        // A link to nothing is followed.
        Err(_) if path.is_symlink() => return fs::write(path, text),
        Err(_) => None,
    };
    // Of a link, the file that it names is replaced.
    let path = match &found {
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let folder = disk::parent(&path);
    let mut draft = tempfile::Builder::new()
        .prefix(".")
        .suffix(".draft")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if let Some(found) = found {
        let own = draft.as_file().metadata()?;
        if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
            // Another file would belong to others.
            return fs::write(&path, text);
        }
        draft.as_file().set_permissions(found.permissions())?;
    }
    draft.write_all(text.as_bytes())?;
    draft.as_file().sync_all()?;
    draft.persist(&path).map_err(|e| e.error)?;
    disk::sync_folder(folder)
}

fn verify(path: &Path, roots: &[Certificate]) -> Result<(Bundle, Checked), Failure> {
    let bundle = if path == Path::new("-") {
        let text = io::read_to_string(io::stdin())
            .map_err(|e| Failure::new("bad-bundle", format!("can't read stdin: {e}")))?;
        Bundle::parse("stdin", &text)?
    } else {
        Bundle::read(path)?
    };
    let checked = bundle.check(roots).map_err(|refused| {
        let failure = Failure::from(refused);
        if failure.is("timestamp") && failure.has_hint() {
            failure
        } else {
            failure.hint(format!(
                "{} is not as `windlass audit` wrote it; write it again",
                path.display()
            ))
        }
    })?;
    Ok((bundle, checked))
}

/// Collects the evidence of a run, signs it, and has it timestamped.
fn collect(
    args: &Args,
    command: &Audit,
    roots: &[Certificate],
) -> Result<(Bundle, Checked), Failure> {
    let archive = Archive::open(args)?;
    let run = archive.find(command.run.as_deref())?;
    let events = archive.evidence(&run)?;
    let verified = journal::verify(&run, &events)?;
    refuse_other_list(&archive.runs()?, &run, &verified.state)?;
    let newest = verified.state.run.as_ref().map_or(0, |run| run.edition);
    let files = (0..=newest)
        .map(|edition| {
            let files = archive.files(&run, edition)?;
            let texts = files
                .into_iter()
                .map(|(path, text)| (path, text.to_string()));
            Ok((edition, texts.collect()))
        })
        .collect::<Result<BTreeMap<_, _>, Failure>>()?;
    let mut bundle = Bundle::new(run, &verified, events, files);
    if let Some(path) = &command.sign {
        let signature =
            sign(&read(path)?, bundle.statement.as_bytes()).map_err(|e| unusable(path, &e))?;
        bundle.signatures.push(signature);
    }
    if let Some(url) = &command.timestamp {
        bundle
            .timestamps
            .push(timestamp::fetch(url, &bundle.statement, roots)?);
    }
    let checked = bundle.check(roots)?;
    Ok((bundle, checked))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|e| unusable(path, &e))
}

/// Reads the CAs with which timestamps are verified.
fn roots(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new("timestamp", format!("{}: {why}", path.display()))
            .hint("--timestamp-ca takes certificates of CAs, in PEM")
    };
    let text = fs::read(path).map_err(|e| wrong(&e))?;
    Certificate::read_all(&text).map_err(|e| wrong(&e))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new("signing-key", format!("{}: {why}", path.display()))
        .hint("a private key in PEM (P-256, Ed25519 or RSA) signs; --signer takes its public key or certificate")
}

fn refuse_other_signers(bundle: &Bundle, key: &[u8], path: &Path) -> Result<(), Failure> {
    let mut signatures = bundle.signatures.iter();
    if signatures.any(|signature| signature.is_by(key)) {
        Ok(())
    } else {
        Err(Failure::new(
            "not-signed",
            format!(
                "the bundle of run {} is not signed with the key of {}",
                bundle.run,
                path.display()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_bundle_keeps_the_permissions_of_its_file() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("bundle.json");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let plain = root.path().join("plain");
        fs::write(&plain, "").expect("written");
        write(&path, "one".into()).expect("written");
        assert_eq!(mode(&path), mode(&plain), "that of the umask");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
        let link = root.path().join("link");
        symlink(&path, &link).expect("linked");
        write(&link, "two".into()).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(mode(&path), 0o640);
        assert!(link.is_symlink());
        write(&root.path().join("no/bundle.json"), "x".into()).expect_err("no folder is made");
        let entries = fs::read_dir(root.path()).expect("a folder");
        assert_eq!(entries.count(), 3, "a draft is left");
    }
}
