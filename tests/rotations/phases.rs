//! An undo from the end of each phase of each rotation: no handshake fails on the way back, nothing is revoked that
//! somebody still shows, and afterwards the mesh is what it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use windlass::{
    execute::Stage,
    journal::{InstanceId, Outcome},
    script::{Act, Call, Class, Trace},
};

use super::{
    effects::{APART, CLUSTERS, made},
    eye::{Eye, Seen},
    rows::{Row, chosen},
    site::{Site, phase_names},
    undone::held,
};

const ALL: [&str; 3] = [CLUSTERS, APART, "force=true"];
const ROTATIONS: [&str; 4] = [
    "rotate-leaf.yaml",
    "rotate-relay-ca.yaml",
    "rotate-issuing-ca.yaml",
    "rotate-root.yaml",
];
const MEMBERS: [&str; 3] = ["mgmt", "cluster-1", "cluster-2"];

/// What a mesh is, without what is issued anew all the time.
#[derive(Debug, PartialEq)]
struct Standing {
    /// What its Secrets and its policy hold.
    held: BTreeMap<String, String>,
    /// Whom each player trusts, and the names of who has issued what it shows.
    players: BTreeMap<String, BTreeSet<String>>,
    /// The CAs that are not deleted, and what they issued and have not revoked.
    authorities: BTreeSet<String>,
}

impl Standing {
    fn of(site: &Site) -> Self {
        let mut players: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for cluster in MEMBERS {
            let path = site.clusters().join(cluster).join("cluster.db");
            // The pods of a workload have other names after each restart.
            let query = "WITH player AS (
                    SELECT json ->> '$.spec.role' || ' ' || coalesce(json ->> '$.spec.workload', '') AS name,
                        coalesce(json -> '$.status', '{}') AS status
                    FROM object WHERE resource LIKE 'meshtrusts%')
                SELECT name, 'trusts ' || (value ->> '$.sha256') FROM player, json_each(status -> '$.trusts')
                UNION
                SELECT name, 'of ' || (value ->> '$.issuer') FROM player, json_each(status -> '$.shows')";
            for (player, what) in pairs(&path, query) {
                let player = format!("{cluster} {player}");
                players.entry(player).or_default().insert(what);
            }
        }
        let authorities = "SELECT arn, status FROM authority WHERE status <> 'DELETED'
            UNION
            SELECT authority, serial FROM certificate JOIN authority ON arn = authority
            WHERE status <> 'DELETED' AND (authority, serial) NOT IN (SELECT authority, serial FROM revocation)";
        let authorities = pairs(&authority(site), authorities);
        Self {
            held: held(site.path()),
            players,
            authorities: authorities.map(|(a, b)| format!("{a} {b}")).collect(),
        }
    }
}

fn authority(site: &Site) -> PathBuf {
    site.path().join(".windlass/pca/authority.db")
}

fn pairs(database: &Path, query: &str) -> impl Iterator<Item = (String, String)> + use<> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let opened = Connection::open_with_flags(database, flags).expect("a database");
    opened.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut statement = opened.prepare(query).expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let rows: Result<Vec<_>, _> = rows.expect("rows").collect();
    rows.expect("texts").into_iter()
}

fn looking(site: &Site) -> Eye {
    Eye::on(&site.clusters()).without("cluster-3")
}

/// Rotates to the end of each of these phases, and undoes that.
fn undo_from(site: &Site, file: &str, about: &str, is_tried: impl Fn(&str) -> bool) -> Seen {
    let before = Standing::of(site);
    let mut all = Seen::default();
    for (at, phase) in phase_names(file).iter().enumerate() {
        if !is_tried(phase) {
            continue;
        }
        let about = format!("{about}, {file} undone from {phase}");
        // Each effect of the rotation itself is looked at elsewhere.
        let asleep = Eye::asleep(&site.clusters()).without("cluster-3");
        let ran = site.run_phases(file, &ALL, at + 1, &asleep);
        let ran = ran.expect(Outcome::Succeeded);
        ran.seen.expect_whole(&about);
        assert_ne!(Standing::of(site), before, "{about}: nothing had changed");
        let undone = site.undo(file, &ran.id, &looking(site));
        println!("{about}: {}", undone.seen);
        let seen = undone.expect(Outcome::Undone).seen.expect_whole(&about);
        assert!(seen.effects > 0 && seen.handshakes > 50, "{about}: {seen}");
        assert_eq!(Standing::of(site), before, "{about}");
        all = all.and(seen);
    }
    all
}

/// A sample: the longer test below tries all phases, and where Gloo Mesh issues too.
#[test]
fn a_rotation_of_each_kind_is_undone_from_a_phase() {
    let (row, istio_ca) = rows()
        .into_iter()
        .find(|(_, istio_ca)| *istio_ca == "cacerts")
        .expect("a row");
    let site = made(row, istio_ca);
    for (file, phase) in [
        ("rotate-leaf.yaml", "issue_server"),
        ("rotate-relay-ca.yaml", "trust"),
        ("rotate-issuing-ca.yaml", "sign"),
        ("rotate-root.yaml", "issue_agents"),
    ] {
        undo_from(&site, file, istio_ca, |one| one == phase);
    }
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(each_phase_of_each_rotation)', for every kind of mesh with WINDLASS_MESH_ROWS=all"]
fn each_phase_of_each_rotation_is_undone() {
    let (mut all, mut count) = (Seen::default(), 0);
    for (row, istio_ca) in rows() {
        let site = made(row, istio_ca);
        for file in ROTATIONS {
            if file.contains("root") && row.refusal(istio_ca).is_some() {
                continue;
            }
            let about = format!("{}, {istio_ca}", row.options);
            all = all.and(undo_from(&site, file, &about, |_| true));
            count += phase_names(file).len();
        }
    }
    println!("{count} phases undone: {all}");
}

fn rows() -> Vec<(Row, &'static str)> {
    let rows = chosen(&[("istio=1.30", "gloo"), ("istio=1.30", "cacerts")]);
    assert!(!rows.is_empty(), "no row is chosen");
    rows
}

/// Where mounted files are late, an undo waits until the former certificate is shown before it revokes the new one.
#[test]
fn an_undo_revokes_nothing_that_is_still_shown() {
    let late = Row {
        options: "istio=1.30,mount=1500ms",
        ..rows()[0].0
    };
    let site = made(late, "cacerts");
    for (file, phase) in [
        ("rotate-relay-ca.yaml", "issue_server"),
        ("rotate-issuing-ca.yaml", "sign"),
    ] {
        let at = phase_names(file).iter().position(|one| one == phase);
        let asleep = Eye::asleep(&site.clusters()).without("cluster-3");
        let ran = site.run_phases(file, &ALL, at.expect("a phase") + 1, &asleep);
        let id = ran.expect(Outcome::Succeeded).id;
        let witness = Witness::of(&site);
        let undone = site.undo_before(file, &id, &asleep, Arc::new(witness.clone()));
        undone.expect(Outcome::Undone).seen.expect_whole(file);
        let seen = witness.0.seen.lock().unwrap();
        println!("{file}, {phase}: {} certificates revoked", seen.revoked);
        assert!(seen.revoked > 0, "{file}: nothing was revoked");
        assert!(seen.shown.is_empty(), "{file}: {:#?}", seen.shown);
    }
}

/// Looks, each time that a certificate was revoked, who shows or signs with a revoked one.
#[derive(Clone)]
struct Witness(Arc<Inner>);

struct Inner {
    clusters: PathBuf,
    authority: PathBuf,
    seen: Mutex<Revoked>,
}

#[derive(Default)]
struct Revoked {
    revoked: usize,
    shown: Vec<String>,
}

impl Witness {
    fn of(site: &Site) -> Self {
        Self(Arc::new(Inner {
            clusters: site.clusters(),
            authority: authority(site),
            seen: Mutex::default(),
        }))
    }

    fn look(&self, what: &str) {
        let revoked = "SELECT serial, authority FROM revocation";
        let revoked: BTreeSet<_> = pairs(&self.0.authority, revoked)
            .map(|(serial, _)| plain(&serial))
            .collect();
        let mut seen = self.0.seen.lock().unwrap();
        seen.revoked += 1;
        for cluster in MEMBERS {
            let shown =
                "SELECT name, coalesce(json ->> '$.status.shows[0].serialNumber', '') FROM object
                    WHERE resource LIKE 'meshtrusts%'
                UNION
                SELECT name, coalesce(json ->> '$.status.signsWith[0].serialNumber', '') FROM object
                    WHERE resource LIKE 'meshtrusts%'";
            for (pod, serial) in pairs(&self.0.clusters.join(cluster).join("cluster.db"), shown) {
                if revoked.contains(&plain(&serial)) {
                    seen.shown
                        .push(format!("after {what}: {pod} of {cluster} shows {serial}"));
                }
            }
        }
    }
}

/// A serial number as hexadecimal digits and nothing else.
fn plain(serial: &str) -> String {
    let digits = serial.replace(':', "").to_lowercase();
    digits.trim_start_matches('0').to_owned()
}

impl Stage for Witness {
    fn set(&self, step: &InstanceId, mut call: Call) -> Call {
        if call.class == Class::Read || call.function != "pca::revoke_certificate" {
            return call;
        }
        let (witness, what) = (self.clone(), format!("{step} {}", call.function));
        let act = call.act;
        let act: Act = Box::new(move |key| {
            Box::pin(async move {
                let done = act(key).await;
                let looked = tokio::task::spawn_blocking(move || witness.look(&what)).await;
                looked.expect("the look");
                done
            })
        });
        call.act = act;
        call
    }

    fn passes(&self, _: Option<&InstanceId>, _: Duration) -> bool {
        false
    }

    fn trace(&self) -> Option<Arc<dyn Trace>> {
        None
    }
}
