use std::{collections::BTreeMap, path::Path};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{facts::Facts, place::Place};
use windlass_ground::Timestamp;
use windlass_journal::{EffectState, InstanceId, State};
use windlass_script::{Class, Reversed, plain_serial};
use windlass_world::{
    value::{MASK, Value},
    x509::holding::{Holding, of_object, read, read_value, walk},
};

/// What a run saw of certificates and did with them, in chronological order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sightings {
    pub workflow: String,
    /// The workflow's file, as the user named it.
    pub file: String,
    pub target: String,
    pub certificates: Vec<Facts>,
    pub seen: Vec<Sighting>,
    /// Whether it delivered to Secrets whose contents can't be read, because the journal's identity is missing.
    #[serde(default)]
    pub is_sealed: bool,
}

/// A single event of a run that concerns certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    pub at: Timestamp,
    pub step: String,
    pub what: What,
}

/// The certificates of a place: for each key, the numbers of its certificates.
type Contents = Vec<(String, Vec<usize>)>;

/// What a run saw or did. Certificates are given by their indices in [`Sightings::certificates`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The run had the certificate issued.
    Made(usize),
    /// The run saw the certificate.
    Found(usize),
    /// From then on, the place holds exactly these certificates.
    Holds {
        place: Place,
        contents: Contents,
        deed: Deed,
    },
    /// An undo restored these keys of an object, and left its others as they were.
    Restored { place: Place, contents: Contents },
    /// A CA that was deleted is there again, with the certificate that it had.
    Undeleted { place: Place },
    /// A certificate was revoked: the ARN of its CA, and its serial in hex.
    Revoked { authority: String, serial: String },
}

/// How a run learned what a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It read the place.
    Looked,
    /// It changed the place.
    Changed,
    /// Its undo changed or read the place.
    Reversed,
}

/// Reads what a run saw of certificates and did with them, from its params, the results of its calls, and its undo.
pub fn sightings(state: &State) -> Sightings {
    let Some(run) = &state.run else {
        return Sightings::default();
    };
    let mut reader = Reader {
        sightings: Sightings {
            workflow: run.workflow.clone(),
            file: run.file.clone(),
            target: run.target.clone(),
            ..Sightings::default()
        },
        out: &run.out,
        numbers: BTreeMap::new(),
        issued: Vec::new(),
        changed: BTreeMap::new(),
    };
    for holding in walk(&run.params) {
        reader.found(run.started_at, "", holding);
    }
    for (step, effect) in in_order(state) {
        reader.see(effect, step);
    }
    reader.sightings
}

/// Returns all effects that were done, in chronological order.
fn in_order(state: &State) -> Vec<(&InstanceId, &EffectState)> {
    let mut effects: Vec<_> = state
        .steps
        .iter()
        .flat_map(|(step, instance)| {
            let earlier = instance.earlier.iter().flat_map(|round| &round.effects);
            let all = earlier.chain(&instance.effects);
            all.filter(|effect| effect.is_done())
                .map(move |effect| (instance.order, step, effect))
        })
        .collect();
    effects.sort_by_key(|(order, _, effect)| (effect.at, *order));
    effects.into_iter().map(|(_, step, e)| (step, e)).collect()
}

struct Reader<'r> {
    sightings: Sightings,
    /// The run's output folder.
    out: &'r str,
    /// The index of each certificate in `sightings`, by its fingerprint.
    numbers: BTreeMap<String, usize>,
    /// The certificates that the run had issued: the step, the CA's ARN, the serial.
    issued: Vec<(String, String, String)>,
    /// The places that each step changed, by the step and the name of the place in its calls. Each has its contents before each change,
    /// the oldest first.
    changed: BTreeMap<(String, String), (Place, Vec<Change>)>,
}

/// A change of a place.
#[derive(Default)]
struct Change {
    was: Contents,
    /// What an existing object held then; its reversal restores only what differs.
    then: Option<Contents>,
}

impl Change {
    /// A change of a place that is restored as a whole.
    fn of(was: Contents) -> Self {
        Self { was, then: None }
    }
}

const RESTORES: &str = "pca::restore_certificate_authority";

impl Reader<'_> {
    fn see(&mut self, effect: &EffectState, step: &InstanceId) {
        let Some(undone) = step.undone() else {
            return self.effect(effect, step, Deed::Changed);
        };
        match effect.result().map(Reversed::read) {
            Some(Some(verdict)) => self.reversed(effect, step, &undone, &verdict),
            // The `fn undo` of a script makes calls like any other script.
            Some(None) => self.effect(effect, step, Deed::Reversed),
            None => {}
        }
    }

    /// Reads a call. For calls of an undo, `change` is [`Deed::Reversed`], so that they supersede nothing.
    fn effect(&mut self, effect: &EffectState, step: &InstanceId, change: Deed) {
        let (at, step) = (effect.at, step.as_str());
        let look = match change {
            Deed::Reversed => Deed::Reversed,
            Deed::Looked | Deed::Changed => Deed::Looked,
        };
        let arguments = &effect.call.arguments;
        let argument = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
        let result = effect.result().unwrap_or(&Value::Null);
        let before = effect.before.as_ref().unwrap_or(&Value::Null);
        match effect.call.function.as_str() {
            "pca::issue_certificate" => {
                let arn = result.to_text();
                if let Some((authority, serial)) = arn.split_once("/certificate/") {
                    let issued = (step.into(), authority.into(), plain_serial(serial));
                    self.issued.push(issued);
                }
            }
            "pca::get_certificate" => {
                for holding in walk(result) {
                    // The certificate is identified by its serial, the last part of its ARN, because the record shortens the argument.
                    let first = holding.read.certificates.first();
                    let serial = first.map(|first| plain_serial(&first.serial));
                    let mut issued = self.issued.iter();
                    let is_own = issued.any(|(_, _, own)| Some(own) == serial.as_ref());
                    if is_own && holding.key == "certificate" {
                        self.made(at, step, holding)
                    } else {
                        self.found(at, step, holding)
                    }
                }
            }
            "pca::certificate_authority_certificate" => {
                let arn = arguments.as_str().unwrap_or_default().to_owned();
                let contents = self.texts([("", result.field("certificate"))]);
                self.holds(at, step, Place::Authority { arn }, contents, look);
            }
            "pca::import_certificate_authority_certificate" => {
                let (Some(written), Some(arn)) = (before.field("writes"), before.field("ca"))
                else {
                    return;
                };
                let place = Place::Authority { arn: arn.to_text() };
                let was = self.texts([("", before.field("certificate"))]);
                let contents = self.texts([("", Some(written))]);
                self.changes(
                    at,
                    step,
                    (arn.to_text(), place),
                    (Change::of(was), contents),
                    change,
                );
            }
            "pca::delete_certificate_authority" => {
                let place = Place::Authority {
                    arn: argument("ca"),
                };
                self.holds(at, step, place, Vec::new(), change);
            }
            RESTORES => {
                let arn = arguments.as_str().unwrap_or_default().to_owned();
                let place = Place::Authority { arn };
                self.push(at, step, What::Undeleted { place });
            }
            "pca::revoke_certificate" => self.push(
                at,
                step,
                What::Revoked {
                    authority: argument("ca"),
                    serial: plain_serial(&argument("serial")),
                },
            ),
            "file::write" | "file::write_secret" | "file::write_template" => {
                let path = result.field("path").map(Value::to_text).unwrap_or_default();
                let name = argument("name");
                let was = self.file_before(before);
                let listed = match result.field("certificates") {
                    Some(Value::List(listed)) => {
                        listed.iter().filter_map(Facts::of_value).collect()
                    }
                    _ => Vec::new(),
                };
                let listed: Vec<usize> = listed.into_iter().map(|f| self.number(f)).collect();
                let contents = vec![(String::new(), listed)];
                let named = (name, Place::File { path });
                self.changes(at, step, named, (Change::of(was), contents), change);
            }
            "file::remove" => {
                let name = arguments.as_str().unwrap_or_default().to_owned();
                let (was, place) = (self.file_before(before), self.file(&name));
                self.changes(
                    at,
                    step,
                    (name, place),
                    (Change::of(was), Vec::new()),
                    change,
                );
            }
            "file::read" | "file::read_bytes" => {
                let place = self.file(arguments.as_str().unwrap_or_default());
                let contents = self.texts([("", Some(result))]);
                self.holds(at, step, place, contents, look);
            }
            // A dry run: its answer is what the API server would store, but nothing was stored.
            "kube::apply" | "kube::apply_secret" | "kube::patch"
                if effect.call.class == Class::Read => {}
            "kube::apply" | "kube::apply_secret" | "kube::patch" => {
                let Some(place) = self.object(&argument("cluster"), result) else {
                    return;
                };
                let before = before.field("was").filter(|was| **was != Value::Null);
                let was = before.map(of_object).unwrap_or_default();
                let was = self.holdings(was);
                let contents = self.holdings(of_object(result));
                let named = (object_name(arguments), place);
                let then = before.map(|_| contents.clone());
                self.changes(at, step, named, (Change { was, then }, contents), change);
            }
            "kube::delete" => {
                let was = before.field("was").unwrap_or(&Value::Null);
                let Some(place) = self.object(&argument("cluster"), was) else {
                    return;
                };
                let was = self.holdings(of_object(was));
                let named = (object_name(arguments), place);
                self.changes(at, step, named, (Change::of(was), Vec::new()), change);
            }
            "kube::get" | "kube::find" | "kube::wait_until" => {
                self.object_seen(at, step, &argument("cluster"), result, look);
            }
            "kube::list" => {
                if let Value::List(objects) = result {
                    for object in objects {
                        self.object_seen(at, step, &argument("cluster"), object, look);
                    }
                }
            }
            _ => {
                let is_look = effect.call.class == Class::Read;
                for holding in walk(result) {
                    if is_look {
                        self.found(at, step, holding)
                    } else {
                        self.made(at, step, holding)
                    }
                }
            }
        }
    }

    /// Reads the reversal of a call: a place holds again what it held before, or a certificate is revoked.
    fn reversed(
        &mut self,
        effect: &EffectState,
        step: &InstanceId,
        undone: &InstanceId,
        verdict: &Reversed,
    ) {
        let is_left = matches!(verdict, Reversed::Left(_));
        let (at, step) = (effect.at, step.as_str());
        let arguments = &effect.call.arguments;
        let about = arguments.as_str().unwrap_or_default();
        if effect.call.function == "pca::revoke_certificate" {
            // An undo reverses calls from the last to the first.
            let own = |(by, _, _): &(String, String, String)| by == undone.as_str();
            if let Some(last) = self.issued.iter().rposition(own) {
                let (_, authority, serial) = self.issued.remove(last);
                if !is_left {
                    self.push(at, step, What::Revoked { authority, serial });
                }
            }
            return;
        }
        if is_left {
            return;
        }
        if effect.call.function == "pca::delete_certificate_authority" {
            let place = Place::Authority { arn: about.into() };
            self.holds(at, step, place, Vec::new(), Deed::Reversed);
            return;
        }
        if effect.call.function == RESTORES {
            let place = Place::Authority { arn: about.into() };
            self.push(at, step, What::Undeleted { place });
            return;
        }
        let name = match about {
            "" => object_name(arguments),
            about => about.to_owned(),
        };
        let name = (undone.to_string(), name);
        let Some((place, earlier)) = self.changed.get_mut(&name) else {
            return;
        };
        let (place, change) = (place.clone(), earlier.pop().unwrap_or_default());
        match change.then {
            None => self.holds(at, step, place, change.was, Deed::Reversed),
            Some(then) => {
                let contents = differing(change.was, &then);
                self.push(at, step, What::Restored { place, contents });
            }
        }
    }

    fn push(&mut self, at: Timestamp, step: &str, what: What) {
        self.sightings.seen.push(Sighting {
            at,
            step: step.to_owned(),
            what,
        });
    }

    fn number(&mut self, facts: Facts) -> usize {
        let known = &mut self.sightings.certificates;
        match self.numbers.get(&facts.fingerprint) {
            Some(number) => {
                // Older journals recorded certificates in files without their key digests.
                if known[*number].key_digest.is_none() {
                    known[*number] = facts;
                }
                *number
            }
            None => {
                self.numbers.insert(facts.fingerprint.clone(), known.len());
                known.push(facts);
                known.len() - 1
            }
        }
    }

    fn numbers_of(&mut self, holding: Holding) -> Vec<usize> {
        let certificates = holding.read.certificates.iter();
        let facts: Vec<_> = certificates.map(Facts::of).collect();
        facts.into_iter().map(|facts| self.number(facts)).collect()
    }

    fn made(&mut self, at: Timestamp, step: &str, holding: Holding) {
        for number in self.numbers_of(holding) {
            self.push(at, step, What::Made(number));
        }
    }

    fn found(&mut self, at: Timestamp, step: &str, holding: Holding) {
        for number in self.numbers_of(holding) {
            self.push(at, step, What::Found(number));
        }
    }

    fn holdings(&mut self, holdings: Vec<Holding>) -> Contents {
        let mut contents = Vec::new();
        for holding in holdings {
            let key = holding.key.clone();
            contents.push((key, self.numbers_of(holding)));
        }
        contents
    }

    fn texts<const N: usize>(&mut self, values: [(&str, Option<&Value>); N]) -> Contents {
        let holdings = values.into_iter().filter_map(|(key, value)| {
            Some(Holding {
                key: key.to_owned(),
                read: read_value(value?),
            })
        });
        let holdings = holdings.collect();
        self.holdings(holdings)
    }

    /// Returns the certificates in the old content of a file, which was recorded for the undo.
    fn file_before(&mut self, before: &Value) -> Contents {
        let Some(Value::Secret(content)) = before.field("content") else {
            return Vec::new();
        };
        let content = BASE64.decode(content.reveal().as_bytes());
        let holding = Holding {
            key: String::new(),
            read: read(&content.unwrap_or_default()),
        };
        self.holdings(vec![holding])
    }

    fn file(&self, name: &str) -> Place {
        let path = Path::new(self.out).join(name).display().to_string();
        Place::File { path }
    }

    fn object(&mut self, cluster: &str, object: &Value) -> Option<Place> {
        if let Some(Value::Map(data)) = object.field("data") {
            self.sightings.is_sealed |= data.values().any(|value| value.as_str() == Some(MASK));
        }
        let metadata = object.field("metadata")?;
        let text = |key: &str| metadata.field(key).map(Value::to_text);
        let kind = object.field("kind")?.as_str()?.to_ascii_lowercase();
        Some(Place::Object {
            target: Some(self.sightings.target.clone()),
            cluster: cluster.to_owned(),
            namespace: text("namespace").unwrap_or_default(),
            object: format!("{kind}/{}", text("name")?),
            key: String::new(),
        })
    }

    fn object_seen(
        &mut self,
        at: Timestamp,
        step: &str,
        cluster: &str,
        object: &Value,
        look: Deed,
    ) {
        if let Some(place) = self.object(cluster, object) {
            let contents = self.holdings(of_object(object));
            self.holds(at, step, place, contents, look);
        }
    }

    fn changes(
        &mut self,
        at: Timestamp,
        step: &str,
        (name, place): (String, Place),
        (change, contents): (Change, Contents),
        deed: Deed,
    ) {
        let changed = self.changed.entry((step.to_owned(), name));
        let (_, earlier) = changed.or_insert_with(|| (place.clone(), Vec::new()));
        earlier.push(change);
        self.holds(at, step, place, contents, deed);
    }

    fn holds(
        &mut self,
        at: Timestamp,
        step: &str,
        place: Place,
        mut contents: Contents,
        deed: Deed,
    ) {
        contents.retain(|(_, certificates)| !certificates.is_empty());
        let what = What::Holds {
            place,
            contents,
            deed,
        };
        self.push(at, step, what);
    }
}

/// Returns what each key held that holds something else `then`; nothing for a key that was not there.
fn differing(was: Contents, then: &Contents) -> Contents {
    let is_same = |(key, numbers): &(String, Vec<usize>)| {
        then.iter()
            .any(|(other, others)| other == key && others == numbers)
    };
    let new = then
        .iter()
        .filter(|(key, _)| !was.iter().any(|(other, _)| other == key));
    let gone: Contents = new.map(|(key, _)| (key.clone(), Vec::new())).collect();
    was.into_iter()
        .filter(|one| !is_same(one))
        .chain(gone)
        .collect()
}

/// Returns the key of an object in `changed`, from the recorded arguments of a call to Kubernetes.
fn object_name(arguments: &Json) -> String {
    let text = |key: &str| arguments[key].as_str().unwrap_or_default();
    format!("{}\n{}", text("cluster"), text("object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use windlass_journal::{CallRecord, EffectOutcome};
    use windlass_world::value::Digest;

    const SHOWN: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBdzCCAR2gAwIBAgIUD4DEdTOZ6kxOon7+fKCiAoF04lEwCgYIKoZIzj0EAwIw\n\
EDEOMAwGA1UEAwwFc2hvd24wIBcNMjYxMTI4MDAxODMyWhgPMjEyNjExMDQwMDE4\n\
MzJaMBAxDjAMBgNVBAMMBXNob3duMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n\
9r+2ZYieyeLl4DpdyJfgNJ4NR/gy+2ruwy5DYnBiNLLLeEJuLx8KQ36tCZST+Ews\n\
SdDMeBPT9H8DReXC16oDnKNTMFEwHQYDVR0OBBYEFKRV+NjzIBLtok0ibBdiTEHi\n\
kidHMB8GA1UdIwQYMBaAFKRV+NjzIBLtok0ibBdiTEHikidHMA8GA1UdEwEB/wQF\n\
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhALBZiPSWHjCAGwm3bEedkKWN501RRm5d\n\
d1FvEvQU+5OlAiB8K4SBWHO9tazj5dLcJr4FQzuo1DXzOyl1hDfoUgi2lA==\n\
-----END CERTIFICATE-----\n";

    fn call(function: &str, class: Class, arguments: Json, gives: Value) -> EffectState {
        EffectState {
            call: CallRecord {
                function: function.into(),
                arguments,
                digest: Digest::of_content(b""),
                class,
            },
            at: Timestamp::EPOCH,
            before: None,
            outcome: Some(EffectOutcome::Done(gives)),
            ended_attempt: false,
            settled: None,
        }
    }

    /// Returns a ConfigMap `trust` that contains a text.
    fn object(text: &str) -> Value {
        let metadata = Value::map([("namespace", "default".into()), ("name", "trust".into())]);
        Value::map([
            ("kind", "ConfigMap".into()),
            ("metadata", metadata),
            ("data", Value::map([("ca.crt", text.into())])),
        ])
    }

    /// Returns the sightings of a step's calls.
    fn seen(step: &str, calls: &[EffectState]) -> Vec<What> {
        let mut reader = Reader {
            sightings: Sightings::default(),
            out: "out",
            numbers: BTreeMap::new(),
            issued: Vec::new(),
            changed: BTreeMap::new(),
        };
        let step = step.parse().expect("the name of a step");
        calls.iter().for_each(|call| reader.see(call, &step));
        let seen = reader.sightings.seen.into_iter();
        seen.map(|one| one.what).collect()
    }

    fn of_trust(contents: Contents, deed: Deed) -> What {
        What::Holds {
            place: Place::Object {
                target: Some(String::new()),
                cluster: "mgmt".into(),
                namespace: "default".into(),
                object: "configmap/trust".into(),
                key: String::new(),
            },
            contents,
            deed,
        }
    }

    #[test]
    fn a_dry_run_changes_no_place() {
        let arguments = || json!({ "cluster": "mgmt", "object": "configmap/trust" });
        let apply = |class| call("kube::apply", class, arguments(), object("a question"));
        assert_eq!(seen("put", &[apply(Class::Read)]), []);
        let written = of_trust(Vec::new(), Deed::Changed);
        assert_eq!(seen("put", &[apply(Class::Keyed)]), [written]);
    }

    #[test]
    fn an_undo_sees_what_it_reads_and_writes() {
        let cluster = || json!({ "cluster": "mgmt", "object": "configmap/trust" });
        let holds = || vec![("ca.crt".to_owned(), vec![0])];
        for (function, class) in [("kube::find", Class::Read), ("kube::apply", Class::Keyed)] {
            let made = call(function, class, cluster(), object(SHOWN));
            let found = seen("put!undo", &[made]);
            assert_eq!(found, [of_trust(holds(), Deed::Reversed)], "{function}");
        }
        let listed = Value::from(vec![object(SHOWN)]);
        let list = call("kube::list", Class::Read, cluster(), listed);
        let found = seen("put!undo", &[list]);
        assert_eq!(found, [of_trust(holds(), Deed::Reversed)]);
        // A change that was not reversed stays in its place.
        let left = Value::map([("undo", "left".into()), ("why", "theirs".into())]);
        let left = call("kube::apply", Class::Keyed, cluster(), left);
        assert_eq!(seen("put!undo", &[left]), []);
    }
}
