//! Evaluates the expressions of a scope.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{decision::View, scope::Scope};
use windlass_compile::{Action, OnError, Step, Template};
use windlass_journal::{Instance, InstanceId, State, Status};
use windlass_script::{Absent, ExpressionError, Hop, MISSING_NAME, Names, Read};
use windlass_world::value::{StepError, Value};

/// How many names a message lists at most.
const FEW: usize = 8;

impl Scope<'_, '_> {
    pub fn condition(
        &self,
        view: View,
        step: &Step,
        run_status: Option<&str>,
    ) -> Result<bool, StepError> {
        if self.leaves_out(view.state, step) {
            return Ok(false);
        }
        let Some(when) = &step.when else {
            return Ok(true);
        };
        match self.evaluate(view, when, &Value::Null, run_status)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(StepError::new(
                "wrong-type",
                format!("`when` must be a bool, not {}", other.a_kind()),
            )
            .with_hint("compare something: `when: ${{ params.region == \"eu\" }}`")
            .at(when.place())),
        }
    }

    /// Evaluates the inputs that a step gives to its script or workflow.
    pub fn inputs(
        &self,
        view: View,
        step: &Step,
        item: &Value,
        run_status: Option<&str>,
    ) -> Result<BTreeMap<String, Value>, StepError> {
        let inputs = step.with.iter().map(|(name, template)| {
            let value = self.evaluate(view, template, item, run_status)?;
            Ok((name.clone(), value))
        });
        inputs.collect()
    }

    /// Evaluates the items of a `for_each` step, each with the key that names its instance.
    pub fn items(
        &self,
        view: View,
        step: &Step,
        items: &Template,
        run_status: Option<&str>,
    ) -> Result<Vec<(String, Value)>, StepError> {
        let value = self.evaluate(view, items, &Value::Null, run_status)?;
        let at = |error: StepError| error.at(items.place());
        let mut found = keyed_items(value).map_err(at)?;
        if let Some(template) = &step.key {
            for (key, item) in &mut found {
                *key = match self.evaluate(view, template, item, run_status)? {
                    name @ (Value::String(_) | Value::Int(_) | Value::Bool(_)) => name.to_text(),
                    other => {
                        let message = format!(
                            "`key` must be a string, an int or a bool, not {}",
                            other.a_kind()
                        );
                        let error = StepError::new("wrong-type", message);
                        return Err(error.at(template.place()));
                    }
                };
            }
        }
        refuse_twins(&found, step).map_err(at)?;
        Ok(found)
    }

    /// Evaluates a template that must give a text.
    pub fn text(
        &self,
        view: View,
        template: &Template,
        item: &Value,
        what: &str,
    ) -> Result<String, StepError> {
        match self.evaluate(view, template, item, None)? {
            Value::String(text) if !text.is_empty() => Ok(text),
            other => {
                let message = match other {
                    Value::String(_) => format!("`{what}` must not be empty"),
                    other => format!("`{what}` must be a string, not {}", other.a_kind()),
                };
                Err(StepError::new("wrong-type", message).at(template.place()))
            }
        }
    }

    pub fn outputs(&self, view: View) -> Result<Value, StepError> {
        // Outputs of skipped steps do not exist.
        let outputs = self.workflow.outputs.iter();
        let outputs = outputs.filter(|(_, template)| !self.reads_left_out(view.state, template));
        let outputs = outputs.map(|(name, template)| {
            let value = self.evaluate(view, template, &Value::Null, None)?;
            Ok((name.clone(), value))
        });
        outputs.collect::<Result<_, _>>().map(Value::Map)
    }

    /// Says, before the steps under `finally` run, whether an output can't be evaluated; of those that read no such step.
    pub fn outputs_will_fail(&self, view: View) -> bool {
        let mut outputs = self.workflow.outputs.iter().map(|(_, template)| template);
        outputs.any(|template| {
            !self.reads_finally(template)
                && !self.reads_left_out(view.state, template)
                && self.evaluate(view, template, &Value::Null, None).is_err()
        })
    }

    pub fn evaluate(
        &self,
        view: View,
        template: &Template,
        item: &Value,
        run_status: Option<&str>,
    ) -> Result<Value, StepError> {
        if let Template::Literal(value) = template {
            return Ok(value.clone());
        }
        if let Some(value) = self.plainly_read(view, template, item) {
            return Ok(value.into_owned());
        }
        let run = view.state.run.as_ref();
        let names = Names {
            params: self.params_read_by(template, item),
            steps: self.outputs_read_by(view, template, item),
            item: item.clone(),
            run: Value::map([
                ("id", Value::from(view.run_id)),
                (
                    "started_at",
                    Value::Int(run.map_or(0, |run| run.started_at.as_millis())),
                ),
                ("status", run_status.unwrap_or("running").into()),
            ]),
            target: Value::map([
                ("name", Value::from(run.map_or("", |run| &run.target))),
                ("kube", run.is_some_and(|run| !run.kube.is_empty()).into()),
            ]),
            absent: self.absent_outputs(view, template, item),
            // What an earlier version began goes on as it did.
            writes_null: run.is_some_and(|run| !run.is_strict),
            ..Names::default()
        };
        template.evaluate(&names).map_err(|e: ExpressionError| {
            let error = StepError::new("expression-failed", e.to_string()).at(e.place);
            match hint_of(&error.message, names.steps != Value::Map(BTreeMap::new())) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    /// Returns the value of a template that is a single path to an existing value: `${{ params.clusters }}`. It is not evaluated by the
    /// interpreter, so the interpreter's limits do not apply: lists for a `for_each` may be long.
    fn plainly_read<'v>(
        &'v self,
        view: View<'v>,
        template: &Template,
        item: &'v Value,
    ) -> Option<Cow<'v, Value>> {
        let Template::Expression(placed) = template else {
            return None;
        };
        let read = placed.expression.as_hops()?;
        let way: Option<Vec<&str>> = read.hops.iter().map(|hop| name_of(hop, item)).collect();
        let mut way = way?.into_iter();
        let mut found = match read.root {
            "params" => self.params,
            "item" => item,
            "steps" => {
                let name = way.next()?;
                let id = InstanceId::step(self.inside, name);
                let instance = view.state.instance(&id)?;
                if self.has_partly_failed(name, instance) {
                    let Some(key) = way.next() else {
                        return Some(Cow::Owned(outputs_of_items(view.state, instance)));
                    };
                    outputs_of_item(view.state, &id, key)?
                } else {
                    (instance.status == Status::Succeeded).then_some(&instance.outputs)?
                }
            }
            _ => return None,
        };
        for name in way {
            found = found.field(name)?;
        }
        Some(Cow::Borrowed(found))
    }

    /// Lists the outputs that the template reads of steps that have succeeded without them, unless it says what it makes of that.
    fn absent_outputs(&self, view: View, template: &Template, item: &Value) -> Vec<Absent> {
        if view.state.run.as_ref().is_none_or(|run| !run.is_strict) {
            return Vec::new();
        }
        let expressions = template.expressions().into_iter();
        let reads = expressions.flat_map(|placed| placed.expression.reads());
        let reads: Vec<&Read> = reads.filter(|read| read.root == "steps").collect();
        let strict = reads.iter().filter(|read| !read.tolerates_nothing);
        let absent = strict.flat_map(|read| {
            let found = self.absent_in(view, read, item, &reads);
            found.unwrap_or_default()
        });
        absent.collect()
    }

    /// Lists what one read of the outputs of a step does not find there; `reads` are all of the template.
    fn absent_in(
        &self,
        view: View,
        read: &Read,
        item: &Value,
        reads: &[&Read],
    ) -> Option<Vec<Absent>> {
        let way = |hop: Option<&Hop>| hop.and_then(|hop| name_of(hop, item)).map(str::to_owned);
        let name = way(read.hops.first())?;
        let step = self.workflow.step_named(&name)?;
        let instance = view.state.instance(&InstanceId::step(self.inside, &name))?;
        if instance.status != Status::Succeeded {
            return None;
        }
        // The outputs of others are declared, and all that are optional may be missing.
        let has_any = gives_any_outputs(step);
        let lacks = |path: Vec<String>, output: Option<String>, outputs: &Value| {
            let (output, outputs) = (output.filter(|_| has_any)?, outputs.as_map()?);
            (!outputs.contains_key(&output)).then(|| Absent {
                message: no_output(&path, &output, outputs),
                path,
                name: Some(output),
            })
        };
        if step.for_each.is_none() {
            let found = lacks(vec![name], way(read.hops.get(1)), &instance.outputs);
            return Some(found.into_iter().collect());
        }
        let items = instance.outputs.as_map()?;
        let (key, output) = (way(read.hops.get(1)), way(read.hops.get(2)));
        if let Some(found) = key.as_ref().and_then(|key| items.get(key)) {
            let path = vec![name, key.unwrap_or_default()];
            return Some(lacks(path, output, found).into_iter().collect());
        }
        let mut absent = Vec::new();
        if only_items_are_read(reads, &name) {
            absent.push(Absent {
                message: no_item(&name, key.as_deref().unwrap_or(MISSING_NAME), items),
                path: vec![name.clone()],
                name: key.clone(),
            });
        }
        if key.is_none() {
            // It may be any of them.
            let each = items.iter();
            absent.extend(each.filter_map(|(key, found)| {
                lacks(vec![name.clone(), key.clone()], output.clone(), found)
            }));
        }
        Some(absent)
    }

    /// Collects only the parts of the params that the template reads: each value is copied for each evaluation.
    fn params_read_by(&self, template: &Template, item: &Value) -> Value {
        Wanted::by(template, "params", item).of(self.params)
    }

    /// Collects only the parts of the outputs that the template reads. A `for_each` step over many items gives as many outputs,
    /// and a step for each of these reads one of them.
    fn outputs_read_by(&self, view: View, template: &Template, item: &Value) -> Value {
        let Wanted::Parts(wanted) = Wanted::by(template, "steps", item) else {
            return Value::Map(BTreeMap::new());
        };
        Value::map(wanted.into_iter().map(|(name, wanted)| {
            let id = InstanceId::step(self.inside, name);
            let instance = view.state.instance(&id);
            let outputs = instance.map_or(Value::Null, |instance| match instance.status {
                Status::Succeeded => wanted.of(&instance.outputs),
                _ if self.has_partly_failed(name, instance) => match &wanted {
                    Wanted::Whole => outputs_of_items(view.state, instance),
                    Wanted::Parts(items) => Value::map(items.iter().filter_map(|(key, wanted)| {
                        let outputs = outputs_of_item(view.state, &id, key)?;
                        Some((*key, wanted.of(outputs)))
                    })),
                },
                _ => Value::Null,
            });
            (name, outputs)
        }))
    }

    /// Says whether a step is a `for_each` that failed, and without whose failed items the run continues: it gives what the others gave.
    fn has_partly_failed(&self, name: &str, whole: &Instance) -> bool {
        whole.status == Status::Failed
            && whole.items.is_some()
            && self
                .workflow
                .step_named(name)
                .is_some_and(|step| step.on_error == OnError::Continue)
    }
}

/// Returns the outputs of an item of a `for_each` if it succeeded.
fn outputs_of_item<'s>(state: &'s State, whole: &InstanceId, key: &str) -> Option<&'s Value> {
    let item = state.instance(&whole.item(key))?;
    (item.status == Status::Succeeded).then_some(&item.outputs)
}

/// Returns the outputs of the items of a `for_each` that succeeded.
fn outputs_of_items(state: &State, whole: &Instance) -> Value {
    let items = whole.items.iter().flatten();
    let instances = whole.item_instances.ids().iter();
    let succeeded = items.zip(instances).filter_map(|((key, _), id)| {
        let item = state.instance(id)?;
        (item.status == Status::Succeeded).then(|| (key.clone(), item.outputs.clone()))
    });
    Value::Map(succeeded.collect())
}

/// Says whether only a run of a step shows which outputs it has.
fn gives_any_outputs(step: &Step) -> bool {
    matches!(&step.action, Action::Script(script) if script.outputs.is_none())
}

/// Says whether all that is read of a `for_each` step are items that have to be there: a mark among its items would be counted and listed as
/// one of them.
fn only_items_are_read(reads: &[&Read], step: &str) -> bool {
    let mut of_step = reads
        .iter()
        .filter(|read| matches!(read.hops.first(), Some(Hop::Name(name)) if name == step));
    of_step.all(|read| read.hops.len() > 1 && !read.tolerates_nothing)
}

fn no_item(step: &str, key: &str, items: &BTreeMap<String, Value>) -> String {
    let names: Vec<_> = items.keys().take(FEW).map(String::as_str).collect();
    let has = match (items.len(), names.is_empty()) {
        (_, true) => "it has none".to_owned(),
        (count, _) if count > FEW => format!("it has {count}: {}, …", names.join(", ")),
        _ => format!("it has {}", names.join(", ")),
    };
    format!(
        "the step `{step}` has no item `{key}` ({has}); for one that may be missing, write `?.` or `??` after it"
    )
}

fn no_output(step: &[String], output: &str, outputs: &BTreeMap<String, Value>) -> String {
    let names: Vec<_> = outputs.keys().map(String::as_str).collect();
    let has = if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    };
    let step = match step {
        [name, item] => format!("{name}[{item}]"),
        path => path.join("."),
    };
    format!(
        "the step `{step}` has no output `{output}` ({has}); for one that may be missing, write `?.` before it"
    )
}

/// Returns the key to which a hop leads; `None` if the item is no text.
fn name_of<'a>(hop: &'a Hop, item: &'a Value) -> Option<&'a str> {
    match (hop, item) {
        (Hop::Name(name), _) => Some(name),
        (Hop::Item, Value::String(text)) => Some(text),
        (Hop::Item, _) | (Hop::Computed, _) => None,
    }
}

/// The parts of a value that are read.
enum Wanted<'a> {
    Whole,
    Parts(BTreeMap<&'a str, Wanted<'a>>),
}

impl<'a> Wanted<'a> {
    /// Collects what a template reads of a root, for an item.
    fn by(template: &'a Template, root: &str, item: &'a Value) -> Self {
        let mut wanted = Self::Parts(BTreeMap::new());
        for placed in template.expressions() {
            for read in placed.expression.reads() {
                if read.root == root {
                    wanted.add(read.hops.iter().map_while(|hop| name_of(hop, item)));
                }
            }
        }
        wanted
    }

    /// Adds the part to which these names lead.
    fn add(&mut self, mut way: impl Iterator<Item = &'a str>) {
        let Self::Parts(parts) = self else {
            return;
        };
        match way.next() {
            None => *self = Self::Whole,
            Some(name) => parts
                .entry(name)
                .or_insert_with(|| Self::Parts(BTreeMap::new()))
                .add(way),
        }
    }

    /// Copies these parts. What has no fields is copied as it is.
    fn of(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::Parts(parts), Value::Map(map)) => {
                let found = parts
                    .iter()
                    .filter_map(|(name, wanted)| Some((*name, wanted.of(map.get(*name)?))));
                Value::map(found)
            }
            _ => value.clone(),
        }
    }
}

/// Gives each item the key that names its instance: its text or, for items without a name, its position.
fn keyed_items(value: Value) -> Result<Vec<(String, Value)>, StepError> {
    let is_named = |item: &Value| matches!(item, Value::String(_) | Value::Int(_) | Value::Bool(_));
    match value {
        Value::List(items) => {
            // If other items have names, one of them could be `0`.
            let mark = if items.iter().any(is_named) { "#" } else { "" };
            let items = items.into_iter().enumerate();
            Ok(items
                .map(|(i, item)| {
                    if is_named(&item) {
                        (item.to_text(), item)
                    } else {
                        (format!("{mark}{i}"), item)
                    }
                })
                .collect())
        }
        Value::Map(map) => Ok(map
            .into_iter()
            .map(|(key, value)| {
                let item = Value::map([("key", key.clone().into()), ("value", value)]);
                (key, item)
            })
            .collect()),
        other => {
            let message = format!("`for_each` must be a list or a map, not {}", other.a_kind());
            Err(StepError::new("wrong-type", message))
        }
    }
}

/// Says whether an item was named by its position `i` because it has no name.
pub(super) fn is_position((key, item): &(String, Value), i: usize) -> bool {
    let is_named = matches!(item, Value::String(_) | Value::Int(_) | Value::Bool(_));
    // Items of a map have its keys.
    let is_entry = item.field("key") == Some(&Value::from(key.as_str()));
    !is_named && !is_entry && (*key == i.to_string() || *key == format!("#{i}"))
}

fn refuse_twins(items: &[(String, Value)], step: &Step) -> Result<(), StepError> {
    let mut seen = BTreeSet::new();
    match items.iter().find(|(key, _)| !seen.insert(key)) {
        Some((key, _)) => Err(StepError::new(
            "duplicate-item",
            format!("`for_each` of `{}` has the item `{key}` twice", step.name),
        )),
        None => Ok(()),
    }
}

/// Returns what to do about an expression that failed with this message, and that reads outputs of steps or not.
fn hint_of(message: &str, reads_outputs: bool) -> Option<&'static str> {
    /// How Rhai says that an index of a map is no string.
    const NO_KEY: &str = "(expecting string)";
    if message.contains(NO_KEY) {
        Some(
            "the keys of a map are strings, and so are those of the items of a `for_each`: write `[KEY.to_string()]`",
        )
    } else if reads_outputs {
        Some("a step that was skipped or failed has no outputs: write `steps.NAME?.OUTPUT ?? …`")
    } else {
        None
    }
}
