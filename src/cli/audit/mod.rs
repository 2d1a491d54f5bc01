//! `windlass audit`: verifies the journal of a run, and writes its evidence for others.

mod timestamp;

use std::{collections::BTreeMap, fs, io, path::Path};

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
            return print(&(text + "\n"));
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
        format!("{json:#}\n")
    } else {
        report::audit(&bundle.run, &state, &records, &proof)
    })
}

/// Writes a bundle all or nothing: an earlier one may be all the evidence that there is. A pipe or a device is written to.
fn write(path: &Path, text: String) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => fs::write(path, text),
        // Of a link, the file that it names is replaced.
        Ok(_) => disk::write_private(&fs::canonicalize(path)?, text),
        Err(_) => disk::write_private(path, text),
    }
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
