//! `windlass certs`: the inventory of certificates, and scans of certificates that Windlass did not issue.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    time::Duration,
};

use console::{Term, style};

use super::{
    Done,
    account::block_on,
    archive::Archive,
    args::{Args, Certs, CertsCommand, CertsLook, Scan},
    exit,
    failure::Failure,
    print, print_text,
    process::{absolute, now},
};
use crate::{
    inventory::{
        Entry, Inventory,
        scan::{self, AuditRow, Scanned},
    },
    outside::{KubeClients, KubeTarget, PcaClient},
    report::{self, Detail, Pick, Room, View},
    targets::{Folders, OpenError, OpenTarget, Target, Targets, rehearsal_folder},
    value::{Failure as Trouble, FailureClass},
};
use windlass_ground::Timestamp;

/// The folder in place of a bucket, to which the embedded CA writes its audit reports.
const BUCKET: &str = "windlass-inventory";

/// `windlass certs`, and `windlass certs scan`.
pub fn certs(args: &Args, command: &Certs) -> Done {
    let known = match Archive::open_if_there(args)? {
        Some(archive) => match archive.inventory(&args.state) {
            // A scan needs no worker.
            Err(failure) if archive.asks_workers() && command.command.is_some() => {
                let warning = style("warning:").yellow();
                say!(
                    "{warning} it is not known which of these certificates runs issued: {}",
                    report::lines(&failure.text())
                );
                Inventory::default()
            }
            known => known?,
        },
        None => Inventory::default(),
    };
    match &command.command {
        Some(CertsCommand::Scan(command)) => {
            let found = scan(args, command)?.finish(&known);
            if command.look.check.is_some() && is_empty(&found) {
                let message = match found.certificates.len() {
                    0 => "the scan found no certificates to check".to_owned(),
                    all => unused(all),
                };
                return Err(Failure::new("scan", message));
            }
            show(&found, &command.look, "the scan found no certificates")
        }
        None => {
            if command.look.check.is_some() && is_empty(&known) {
                return Err(nothing_to_check(args, &known)?);
            }
            show(
                &known,
                &command.look,
                "no run has issued or found a certificate yet; to scan other places: windlass certs scan FILE|DIR",
            )
        }
    }
}

/// Whether there is nothing to check, so that a check could only pass.
fn is_empty(inventory: &Inventory) -> bool {
    let mut certificates = inventory.certificates.iter();
    let is_checked = |entry: &Entry| entry.matters() || entry.is_revoked_in_use();
    !certificates.any(is_checked) && inventory.problems.is_empty()
}

fn unused(all: usize) -> String {
    format!("none of the {all} known certificates is in use, so there is nothing to check")
}

/// Returns the error for an empty inventory: a monitor that reads the wrong folder must not report success.
fn nothing_to_check(args: &Args, known: &Inventory) -> Result<Failure, Failure> {
    let archive = Archive::open(args)?;
    archive.find(None)?;
    let place = archive.place();
    let message = match known.certificates.len() {
        0 => format!("no run {place} has issued or found a certificate to check yet"),
        all => unused(all),
    };
    Ok(Failure::new("no-such-run", message).hint(
        "for the runs of another folder, use --state DIR; to check other certificates: windlass certs scan FILE|DIR --check 30d",
    ))
}

/// Prints certificates as the options say. Fails if something could not be read, or if `--check` finds something.
fn show(inventory: &Inventory, look: &CertsLook, nothing: &str) -> Done {
    let now = now();
    for problem in &inventory.problems {
        let place = report::line(&problem.place).into_owned();
        let warning = style("warning:").yellow();
        say!("{warning} {place}: {}", report::line(&problem.why));
    }
    if inventory.is_partial {
        let warning = style("warning:").yellow();
        say!(
            "{warning} your roles on this server show only the certificates of some workflows and targets"
        );
    }
    // A check of a part must not report success.
    let is_whole = !(inventory.is_partial && look.check.is_some());
    let ended = if is_whole && inventory.problems.is_empty() {
        exit::SUCCEEDED
    } else {
        exit::FAILED
    };
    let pick = Pick {
        due: look.due.map(seconds),
        is_expired: look.expired,
        is_all: look.all,
    };
    if let Some(within) = look.check {
        return check(inventory, within, now, ended);
    }
    if look.json {
        let json = report::inventory_json(inventory, pick, now);
        print(&report::json_text(&json))?;
    } else if look.prometheus {
        print(&report::inventory_metrics(inventory, pick, now))?;
    } else if inventory.certificates.is_empty() {
        say!("{nothing}");
    } else {
        let folder = env::current_dir().unwrap_or_default();
        let view = View {
            folder: &folder,
            detail: Detail::Full,
            room: Room::of(&Term::stdout()),
            is_driven: false,
            now,
        };
        print_text(&report::inventory_tree(inventory, pick, view))?;
    }
    Ok(ended)
}

/// Prints the certificates that are due on stdout.
fn check(inventory: &Inventory, within: Duration, now: Timestamp, ended: u8) -> Done {
    let due = report::due_lines(inventory, seconds(within), now);
    if due.is_empty() {
        say!("{}", report::nothing_due(inventory, seconds(within), now));
        return Ok(ended);
    }
    print_text(&(due.join("\n") + "\n"))?;
    Ok(exit::FAILED)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn scan(args: &Args, command: &Scan) -> Result<Scanned, Failure> {
    if command.sources.is_empty() && command.kube.is_empty() && command.pca.is_none() {
        let message = "nothing to scan was named";
        return Err(Failure::new("scan", message)
            .hint("name files, folders and servers (HOST:PORT), a cluster (--kube CONTEXT), or CAs (--pca TARGET)"));
    }
    let count = command.sources.len() + command.kube.len() + usize::from(command.pca.is_some());
    let mut scanning = Scanning {
        scanned: Scanned::default(),
        is_only: count == 1,
    };
    for source in &command.sources {
        let read = source_of(source, &mut scanning.scanned)?;
        scanning.note(source, read)?;
    }
    if !command.kube.is_empty() {
        clusters(args, command, &mut scanning)?;
    }
    if let Some(target) = &command.pca {
        let read = authorities(args, command, target, &mut scanning.scanned)?;
        let read = read.map_err(|trouble| of_trouble("target", &trouble));
        scanning.note(&format!("CAs of {target}"), read)?;
    }
    Ok(scanning.scanned)
}

/// A scan of several places.
struct Scanning {
    scanned: Scanned,
    /// Whether only one place was named: if it can't be read, there is nothing to show.
    is_only: bool,
}

impl Scanning {
    /// Records that a place could not be read; the scan continues with the others.
    fn note(&mut self, place: &str, read: Result<(), Failure>) -> Result<(), Failure> {
        match read {
            Err(failure) if self.is_only => Err(failure),
            Err(failure) => {
                self.scanned.problem(place, failure.text());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Reads a file, a folder or a server; returns why it could not be read.
fn source_of(source: &str, scanned: &mut Scanned) -> Result<Result<(), Failure>, Failure> {
    let path = Path::new(source);
    if let (false, Some((host, port))) = (path.exists(), scan::parse_address(source)) {
        let read = block_on(scan::server(host, port, scanned))?;
        return Ok(read.map_err(|trouble| of_trouble("scan", &trouble)));
    }
    Ok(scan::files(path, scanned).map_err(|e| {
        Failure::new("scan", format!("can't read {source}: {e}"))
            .hint("name a file, a folder or a server (HOST:PORT); clusters are read with --kube, CAs with --pca")
    }))
}

/// Reads clusters: contexts of the kubeconfig, or the clusters of a target by their roles.
fn clusters(args: &Args, command: &Scan, scanning: &mut Scanning) -> Result<(), Failure> {
    let names: BTreeSet<String> = command.kube.iter().cloned().collect();
    let mut embedded = None;
    let kube = match &command.target {
        Some(name) => {
            let (config, was_asked_for) = args.config();
            let targets = Targets::load(config, was_asked_for)?;
            let target = targets.find(name)?;
            match rehearsal_folder(target, &args.state) {
                None => {
                    let kube = target.map(Target::kube).unwrap_or_default();
                    KubeClients::new(kube, names.clone())
                }
                Some(folder) => {
                    for name in &names {
                        refuse_new(&folder.join("kube").join(name), "rehearsal cluster")?;
                    }
                    let open = embedded_servers(args, target, names.clone())?;
                    let kube = open.0.clients.kube.clone();
                    embedded = Some(open);
                    kube
                }
            }
        }
        None => {
            let same = |name: &String| (name.clone(), name.clone());
            let contexts: BTreeMap<_, _> = names.iter().map(same).collect();
            let target = KubeTarget {
                contexts,
                ..KubeTarget::default()
            };
            KubeClients::new(target, names.clone())
        }
    };
    let work = async {
        for name in &names {
            let read = match kube.client(name).await {
                Ok(client) => scan::cluster(&client, name, &mut scanning.scanned).await,
                Err(trouble) => Err(trouble),
            };
            let read = read.map_err(|trouble| of_trouble("clusters", &trouble));
            scanning.note(&format!("cluster {name}"), read)?;
        }
        Ok(())
    };
    match &embedded {
        Some((_open, runtime)) => runtime.block_on(work),
        None => block_on(work)?,
    }
}

/// Reads the CAs of a target, with the contents of their audit reports; returns why they could not be read.
fn authorities(
    args: &Args,
    command: &Scan,
    target: &str,
    scanned: &mut Scanned,
) -> Result<Result<(), Trouble>, Failure> {
    let mut rows = Vec::new();
    for path in &command.audit_report {
        let name = path.display();
        let content =
            fs::read(path).map_err(|e| Failure::new("scan", format!("can't read {name}: {e}")))?;
        let read = scan::read_audit_report(&content)
            .map_err(|why| Failure::new("scan", format!("{name} {why}")))?;
        rows.extend(read);
    }
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let found = targets.find(target)?;
    if let Some(found) = found.filter(|found| !found.has_embedded_pca()) {
        let client = block_on(PcaClient::connect(&found.pca))?.map_err(OpenError::from)?;
        return block_on(scan::authorities(&client, &rows, now(), scanned));
    }
    let home = rehearsal_folder(found, &args.state).unwrap_or_else(|| args.state.clone());
    refuse_new(&home.join("pca"), "embedded CA")?;
    let (open, runtime) = embedded_servers(args, found, BTreeSet::new())?;
    let pca = open.clients.pca.clone();
    let folder = home.join("pca/buckets").join(BUCKET);
    Ok(runtime.block_on(async {
        rows.extend(embedded_rows(&pca, &folder).await?);
        scan::authorities(&pca, &rows, now(), scanned).await
    }))
}

/// Gets the valid certificates of the embedded CA from audit reports, which are deleted afterwards.
async fn embedded_rows(pca: &PcaClient, bucket: &Path) -> Result<Vec<AuditRow>, Trouble> {
    let mut rows = Vec::new();
    for authority in pca.list().await? {
        // A CA in another status has issued nothing, or is deleted.
        if !["ACTIVE", "DISABLED", "EXPIRED"].contains(&&*authority.status) {
            continue;
        }
        let id = pca
            .create_audit_report(&authority.arn, BUCKET, "JSON")
            .await?;
        let report = pca.audit_report(&authority.arn, &id).await?;
        let unreadable = |why: String| {
            let operation = format!("read the audit report {}", report.key);
            Trouble::new(FailureClass::Rejected, operation, "BadReport", why)
        };
        let path = bucket.join(&report.key);
        let content = fs::read(&path).map_err(|e| unreadable(e.to_string()))?;
        rows.extend(scan::read_audit_report(&content).map_err(unreadable)?);
    }
    // A report that can't be deleted does no harm: its name is unique, and no later scan reads it.
    let _ = fs::remove_dir_all(bucket);
    Ok(rows)
}

/// Returns a target whose servers are embedded, with the threads that serve it.
fn embedded_servers(
    args: &Args,
    target: Option<&Target>,
    clusters: BTreeSet<String>,
) -> Result<(OpenTarget, tokio::runtime::Runtime), Failure> {
    let runtime = super::process::runtime(1)?;
    // Nothing is written there.
    let out = absolute(Path::new("out"))?;
    let state = absolute(&args.state)?;
    let folders = Folders {
        out: &out,
        state: &state,
        config: args.config().0,
        workflow: None,
    };
    let open = runtime.block_on(OpenTarget::open(target, folders, clusters))?;
    Ok((open, runtime))
}

/// Refuses a folder that does not exist: a scan creates nothing, so the user meant another one.
fn refuse_new(path: &Path, what: &str) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let message = format!("there is no {what} in {}", path.display());
    Err(Failure::new("scan", message)
        .hint("a run on the target creates it; for the runs of another folder, use --state DIR"))
}

fn of_trouble(code: &'static str, trouble: &Trouble) -> Failure {
    let failure = Failure::new(code, trouble.to_string());
    match &trouble.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
