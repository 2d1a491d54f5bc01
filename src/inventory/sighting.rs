use std::{collections::BTreeMap, path::Path};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    facts::Facts,
    place::Place,
    read::{Holding, of_object, read, read_value, walk},
};
use windlass_engine::journal::{EffectState, InstanceId, State};
use windlass_ground::Timestamp;
use windlass_script::{Class, Reversed};
use windlass_world::value::{MASK, Value};

/// What a run says about certificates, in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sightings {
    pub workflow: String,
    /// The workflow's file, as the user named it.
    pub file: String,
    pub target: String,
    pub certificates: Vec<Facts>,
    pub seen: Vec<Sighting>,
    /// Whether it delivered to Secrets, and what can't be read: the journal's identity is missing.
    #[serde(default)]
    pub is_sealed: bool,
}

/// One thing that a run did with certificates, or saw of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    pub at: Timestamp,
    pub step: String,
    pub what: What,
}

/// The certificates of a place, by key.
type Contents = Vec<(String, Vec<usize>)>;

/// Certificates are named by their number in [`Sightings::certificates`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The run had it issued.
    Made(usize),
    /// The run came across it.
    Found(usize),
    /// From then on the place holds just this; the lists of certificates are by key.
    Holds {
        place: Place,
        contents: Contents,
        deed: Deed,
    },
    /// By the ARN of its CA, and its serial in hex.
    Revoked { authority: String, serial: String },
}

/// How a run came to know what a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    Looked,
    Changed,
    /// By an undo.
    Reversed,
}

/// Reads what a run says about certificates: from the results of its calls, and what its undo took back.
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
        match step.undone() {
            Some(undone) => reader.reversed(effect, step, &undone),
            None => reader.effect(effect, step),
        }
    }
    reader.sightings
}

/// Every effect that was done, by when.
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
    /// The numbers of certificates by their fingerprints.
    numbers: BTreeMap<String, usize>,
    /// What the run had issued: the step, the CA's ARN, the serial.
    issued: Vec<(String, String, String)>,
    /// The places that each step changed, by what its calls name them; with what each held before, the oldest first.
    changed: BTreeMap<(String, String), (Place, Vec<Contents>)>,
}

impl Reader<'_> {
    fn effect(&mut self, effect: &EffectState, step: &InstanceId) {
        let (at, step) = (effect.at, step.as_str());
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
                    // The last part of a certificate's ARN is its serial; of the argument, the record shows only the beginning.
                    let first = holding.read.certificates.first();
                    let serial = first.map(|first| plain_serial(&first.serial));
                    let mut issued = self.issued.iter();
                    let is_own = issued.any(|(_, _, own)| Some(own) == serial.as_ref());
                    match is_own && holding.key == "certificate" {
                        true => self.made(at, step, holding),
                        false => self.found(at, step, holding),
                    }
                }
            }
            "pca::certificate_authority_certificate" => {
                let arn = arguments.as_str().unwrap_or_default().to_owned();
                let contents = self.texts([("", result.field("certificate"))]);
                self.holds(at, step, Place::Authority { arn }, contents, Deed::Looked);
            }
            "pca::import_certificate_authority_certificate" => {
                let (Some(written), Some(arn)) = (before.field("writes"), before.field("ca"))
                else {
                    return;
                };
                let place = Place::Authority { arn: arn.to_text() };
                let was = self.texts([("", before.field("certificate"))]);
                let contents = self.texts([("", Some(written))]);
                self.changes(at, step, (arn.to_text(), place), was, contents);
            }
            "pca::delete_certificate_authority" => {
                let place = Place::Authority {
                    arn: argument("ca"),
                };
                self.holds(at, step, place, Vec::new(), Deed::Changed);
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
                self.changes(at, step, (name, Place::File { path }), was, contents);
            }
            "file::remove" => {
                let name = arguments.as_str().unwrap_or_default().to_owned();
                let (was, place) = (self.file_before(before), self.file(&name));
                self.changes(at, step, (name, place), was, Vec::new());
            }
            "file::read" | "file::read_bytes" => {
                let place = self.file(arguments.as_str().unwrap_or_default());
                let contents = self.texts([("", Some(result))]);
                self.holds(at, step, place, contents, Deed::Looked);
            }
            // A dry run: its answer is what the API server would store, and nothing is.
            "kube::apply" | "kube::apply_secret" | "kube::patch"
                if effect.call.class == Class::Read => {}
            "kube::apply" | "kube::apply_secret" | "kube::patch" => {
                let Some(place) = self.object(&argument("cluster"), result) else {
                    return;
                };
                let was = before.field("was").map(of_object).unwrap_or_default();
                let was = self.holdings(was);
                let contents = self.holdings(of_object(result));
                self.changes(at, step, (object_name(arguments), place), was, contents);
            }
            "kube::delete" => {
                let was = before.field("was").unwrap_or(&Value::Null);
                let Some(place) = self.object(&argument("cluster"), was) else {
                    return;
                };
                let was = self.holdings(of_object(was));
                self.changes(at, step, (object_name(arguments), place), was, Vec::new());
            }
            "kube::get" | "kube::find" | "kube::wait_until" => {
                self.object_seen(at, step, &argument("cluster"), result);
            }
            "kube::list" => {
                if let Value::List(objects) = result {
                    for object in objects {
                        self.object_seen(at, step, &argument("cluster"), object);
                    }
                }
            }
            _ => {
                let is_look = effect.call.class == Class::Read;
                for holding in walk(result) {
                    match is_look {
                        true => self.found(at, step, holding),
                        false => self.made(at, step, holding),
                    }
                }
            }
        }
    }

    /// What an undo did: a place holds again what it held before, a certificate is revoked.
    fn reversed(&mut self, effect: &EffectState, step: &InstanceId, undone: &InstanceId) {
        let verdict = effect.result().and_then(Reversed::read);
        if !matches!(verdict, Some(Reversed::Done | Reversed::Already(_))) {
            return;
        }
        let (at, step) = (effect.at, step.as_str());
        let arguments = &effect.call.arguments;
        let about = arguments.as_str().unwrap_or_default();
        if effect.call.function == "pca::revoke_certificate" {
            // An undo goes from the last to the first.
            let own = |(by, _, _): &(String, String, String)| by == undone.as_str();
            if let Some(last) = self.issued.iter().rposition(own) {
                let (_, authority, serial) = self.issued.remove(last);
                self.push(at, step, What::Revoked { authority, serial });
            }
            return;
        }
        if effect.call.function == "pca::delete_certificate_authority" {
            let place = Place::Authority { arn: about.into() };
            self.holds(at, step, place, Vec::new(), Deed::Reversed);
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
        let (place, contents) = (place.clone(), earlier.pop().unwrap_or_default());
        self.holds(at, step, place, contents, Deed::Reversed);
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
                // What an older journal recorded of a file lacks the keys.
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

    /// The old content of a file, as an undo has it.
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

    fn object_seen(&mut self, at: Timestamp, step: &str, cluster: &str, object: &Value) {
        if let Some(place) = self.object(cluster, object) {
            let contents = self.holdings(of_object(object));
            self.holds(at, step, place, contents, Deed::Looked);
        }
    }

    fn changes(
        &mut self,
        at: Timestamp,
        step: &str,
        (name, place): (String, Place),
        was: Contents,
        contents: Contents,
    ) {
        let changed = self.changed.entry((step.to_owned(), name));
        let (_, earlier) = changed.or_insert_with(|| (place.clone(), Vec::new()));
        earlier.push(was);
        self.holds(at, step, place, contents, Deed::Changed);
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

/// What the record of a call to Kubernetes calls its object.
fn object_name(arguments: &Json) -> String {
    let text = |key: &str| arguments[key].as_str().unwrap_or_default();
    format!("{}\n{}", text("cluster"), text("object"))
}

/// A serial without the colons and zeros that people and AWS write or leave out.
pub(super) fn plain_serial(serial: &str) -> String {
    let plain = serial.replace(':', "").to_ascii_lowercase();
    plain.trim_start_matches('0').to_owned()
}
